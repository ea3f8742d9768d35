"""The nemesis: brings faults about, and undoes each of them whatever happens.

The undo is registered before the fault begins, so that a fault that fails half-way, a failed
assertion and Ctrl-C leave nothing behind. What was done is remembered as `Fault` records, the
form in which a simulation is scheduled, and remarked in the wire log.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from conformance.nemesis.capability import KINDS, Capability
from conformance.nemesis.controls import Controls
from conformance.outcomes import NotRun
from conformance.wirelog import WireLog
from reference.simulator.faults import EVERYBODY, Fault


class Ongoing:
    """A fault that lasts until `end` is called or its block is left, whichever comes first."""

    def __init__(self, end: Callable[["Ongoing"], None]) -> None:
        self._end: Callable[[Ongoing], None] | None = end

    def end(self) -> None:
        """Undoes the fault. Idempotent."""
        if self._end:
            end, self._end = self._end, None
            end(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


@dataclass(eq=False)
class Nemesis:
    """Works on one cluster for as long as there is a connection to it.

    Each fault is undone at the end of its `with` block or of its `end`, and by `heal` at the
    latest. Asking for one that the target does not offer, or that `--faults` does not allow,
    raises `NotRun`.
    """

    controls: Controls = field(repr=False)
    wire_log: WireLog = field(repr=False)
    now_ms: Callable[[], int] = field(repr=False)
    allowed: frozenset[Capability] = frozenset(Capability)
    """What `--faults` leaves of it."""
    faults: list[Fault] = field(default_factory=list)
    """What was brought about, in order; the duration of one that goes on is 0."""
    _ongoing: list[Ongoing] = field(default_factory=list, repr=False)

    @property
    def brokers(self) -> tuple[int, ...]:
        """The ids of all brokers, running or not, ascending."""
        return tuple(self.controls.brokers)

    def is_running(self, broker: int) -> bool:
        """Whether its process exists; a paused one does."""
        return self.controls.is_running(broker)

    # ---- processes ------------------------------------------------------------------------------

    def kill(self, broker: int) -> Ongoing:
        """kill -9; the end of it starts the broker again, over what its disk has kept."""
        controls = self.controls
        return self._begin(Capability.KILL, broker, controls.kill, controls.start)

    def lose_power(self, broker: int) -> Ongoing:
        """It dies, and its disk loses what was not synced; the end of it starts it again."""
        controls = self.controls
        return self._begin(Capability.LOSE_POWER, broker, controls.lose_power, controls.start)

    def pause(self, broker: int) -> Ongoing:
        """SIGSTOP: it stands still, its connections stay open. The end of it is SIGCONT."""
        controls = self.controls
        return self._begin(Capability.PAUSE, broker, controls.pause, controls.resume)

    def shut_down(self, broker: int) -> Ongoing:
        """Asks it to hand over and stop, which takes a while; the end of it starts it again."""
        controls = self.controls
        return self._begin(Capability.SHUT_DOWN, broker, controls.shut_down, controls.start)

    # ---- network --------------------------------------------------------------------------------

    def cut(self, broker: int, *others: int) -> Ongoing:
        """Nothing is replicated between `broker` and `others`; all reach the controllers."""

        def cut(one: int) -> None:
            for other in others:
                self.controls.cut(one, other)

        def join(one: int) -> None:
            for other in others:
                self.controls.join(one, other)

        return self._begin(Capability.CUT_BROKERS, broker, cut, join, others)

    def cut_controllers(self, broker: int) -> Ongoing:
        """It does not reach controllers or ZooKeeper on other machines, nor they it."""
        controls = self.controls
        begin, end = controls.cut_controllers, controls.join_controllers
        return self._begin(Capability.CUT_CONTROLLERS, broker, begin, end)

    def isolate(self, broker: int) -> Ongoing:
        """It reaches nothing of the cluster, and nothing of the cluster reaches it; clients do."""
        controls = self.controls
        return self._begin(Capability.ISOLATE, broker, controls.isolate, controls.rejoin)

    # ---- clocks ---------------------------------------------------------------------------------

    def set_clock(self, broker: int, ahead_ms: int) -> Ongoing:
        """Its clock shows so much more than the right time; the end of it puts it right."""

        def begin(one: int) -> None:
            self.controls.set_clock(one, ahead_ms)

        def end(one: int) -> None:
            self.controls.set_clock(one, 0)

        return self._begin(Capability.SET_CLOCKS, broker, begin, end, amount=ahead_ms)

    # ---- healing --------------------------------------------------------------------------------

    def heal(self) -> None:
        """Undoes whatever still goes on, last things first.

        One that cannot be undone does not keep the others from it; its error is raised at the end.
        """
        errors: list[Exception] = []
        while self._ongoing:
            try:
                self._ongoing[-1].end()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

    def _begin(
        self,
        capability: Capability,
        broker: int,
        begin: Callable[[int], None],
        end: Callable[[int], None],
        others: tuple[int, ...] = (),
        amount: int = 0,
    ) -> Ongoing:
        self._check(capability)
        other = others[0] if len(others) == 1 else EVERYBODY
        kind, at_ms, number = KINDS[capability], self.now_ms(), len(self.faults)
        fault = Fault(
            at_ms=at_ms, kind=kind, target=broker, duration_ms=0, other=other, amount=amount
        )
        words = f"{kind.replace('_', ' ')} {broker}"
        words += f" from {', '.join(map(str, others))}" if others else ""
        words += f" by {amount}" if amount else ""

        def undo(ongoing: Ongoing) -> None:
            self._ongoing.remove(ongoing)
            end(broker)
            self.wire_log.remark(self.now_ms(), f"end of: {words}")
            self.faults[number] = replace(fault, duration_ms=self.now_ms() - at_ms)

        ongoing = Ongoing(undo)
        self._ongoing.append(ongoing)
        self.faults.append(fault)
        self.wire_log.remark(at_ms, words)
        try:
            begin(broker)
        except BaseException:
            ongoing.end()
            raise
        return ongoing

    def _check(self, capability: Capability) -> None:
        if capability not in self.controls.capabilities:
            raise NotRun(f"the harness cannot {capability} on this target")
        if capability not in self.allowed:
            raise NotRun(f"--faults does not allow the harness to {capability}")
