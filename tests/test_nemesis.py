"""The nemesis: every fault is undone, whatever happens, and none happens that is not allowed."""

from collections.abc import Callable

import pytest

from conformance.nemesis.capability import Capability, allowed
from conformance.nemesis.nemesis import Nemesis
from conformance.outcomes import NotRun
from conformance.wirelog import WireLog
from reference.simulator.faults import Fault, FaultKind

CALLS = (
    "kill",
    "start",
    "pause",
    "resume",
    "shut_down",
    "lose_power",
    "cut",
    "join",
    "cut_controllers",
    "join_controllers",
    "isolate",
    "rejoin",
    "set_clock",
)


class Controls:
    """Notes what it is told to do; `fails` names what raises."""

    brokers = (1, 2, 3)

    def __init__(self, capabilities: frozenset[Capability] = frozenset(Capability)) -> None:
        self.capabilities = capabilities
        self.calls: list[tuple[object, ...]] = []
        self.fails: set[str] = set()

    def is_running(self, broker: int) -> bool:
        return True

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in CALLS:
            raise AttributeError(name)

        def call(*arguments: int) -> None:
            self.calls.append((name, *arguments))
            if name in self.fails:
                raise RuntimeError(name)

        return call


class Clock:
    ms = 1_000

    def __call__(self) -> int:
        self.ms += 10
        return self.ms


@pytest.fixture
def controls() -> Controls:
    return Controls()


@pytest.fixture
def nemesis(controls: Controls) -> Nemesis:
    return Nemesis(controls, WireLog(), Clock())


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        (lambda n: n.kill(1), [("kill", 1), ("start", 1)]),
        (lambda n: n.lose_power(1), [("lose_power", 1), ("start", 1)]),
        (lambda n: n.pause(2), [("pause", 2), ("resume", 2)]),
        (lambda n: n.shut_down(3), [("shut_down", 3), ("start", 3)]),
        (lambda n: n.cut(1, 2, 3), [("cut", 1, 2), ("cut", 1, 3), ("join", 1, 2), ("join", 1, 3)]),
        (lambda n: n.cut_controllers(1), [("cut_controllers", 1), ("join_controllers", 1)]),
        (lambda n: n.isolate(1), [("isolate", 1), ("rejoin", 1)]),
        (lambda n: n.set_clock(1, 500), [("set_clock", 1, 500), ("set_clock", 1, 0)]),
    ],
)
def test_a_fault_ends_with_its_block_even_if_that_fails(
    controls: Controls,
    nemesis: Nemesis,
    fault: Callable[[Nemesis], object],
    calls: list[tuple[object, ...]],
) -> None:
    with pytest.raises(KeyboardInterrupt), fault(nemesis):  # type: ignore[attr-defined]
        raise KeyboardInterrupt
    assert controls.calls == calls
    nemesis.heal()
    assert controls.calls == calls, "what has ended does not end again"


def test_what_goes_on_is_healed_last_things_first(controls: Controls, nemesis: Nemesis) -> None:
    first, _, _ = nemesis.kill(1), nemesis.pause(2), nemesis.isolate(3)
    first.end()
    first.end()
    nemesis.heal()
    assert controls.calls[3:] == [("start", 1), ("rejoin", 3), ("resume", 2)]


def test_a_fault_that_fails_half_way_is_undone(controls: Controls, nemesis: Nemesis) -> None:
    controls.fails.add("isolate")
    with pytest.raises(RuntimeError, match="isolate"):
        nemesis.isolate(1)
    assert controls.calls == [("isolate", 1), ("rejoin", 1)]


def test_one_that_cannot_be_undone_does_not_keep_others_from_it(
    controls: Controls, nemesis: Nemesis
) -> None:
    nemesis.kill(1)
    nemesis.pause(2)
    controls.fails.add("resume")
    with pytest.raises(RuntimeError, match="resume"):
        nemesis.heal()
    assert controls.calls[-1] == ("start", 1)
    nemesis.heal()


def test_what_was_done_is_remembered_as_a_schedule(nemesis: Nemesis) -> None:
    with nemesis.cut(1, 2), nemesis.set_clock(3, -70):
        pass
    assert nemesis.faults == [
        Fault(at_ms=1010, kind=FaultKind.CUT_PAIR, target=1, duration_ms=50, other=2),
        Fault(at_ms=1020, kind=FaultKind.CLOCK_JUMP, target=3, duration_ms=20, amount=-70),
    ]
    remarks = [entry.name for entry in nemesis.wire_log.render()]
    assert remarks == [
        "cut pair 1 from 2",
        "clock jump 3 by -70",
        "end of: clock jump 3 by -70",
        "end of: cut pair 1 from 2",
    ]


def test_what_is_not_offered_or_not_allowed_is_not_run(controls: Controls) -> None:
    controls.capabilities = frozenset({Capability.KILL, Capability.PAUSE})
    nemesis = Nemesis(controls, WireLog(), Clock(), allowed=frozenset({Capability.KILL}))
    with pytest.raises(NotRun, match="cannot cut a broker off from the whole cluster on this"):
        nemesis.isolate(1)
    with pytest.raises(NotRun, match="--faults does not allow the harness to pause brokers"):
        nemesis.pause(1)
    assert controls.calls == []
    nemesis.kill(1).end()


def test_the_words_of_the_option_allow_more_and_more() -> None:
    assert allowed("none") == frozenset()
    assert allowed("process") == {
        Capability.KILL,
        Capability.PAUSE,
        Capability.SHUT_DOWN,
        Capability.LOSE_POWER,
    }
    assert allowed("network") == {
        Capability.CUT_BROKERS,
        Capability.CUT_CONTROLLERS,
        Capability.ISOLATE,
    }
    assert allowed("clock") == {Capability.SET_CLOCKS}
    assert allowed("all") == frozenset(Capability)
