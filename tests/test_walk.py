"""Random walks: they find what is wrong, cover every action, and repeat from their seed."""

from typing import Any

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.step import Machine
from spec.checkers.walk import Walked, Walker, replayed, shortened, walk, weights_of
from spec.language import BOOL, Protocol, action, entity, invariant, per, require, trace, var
from spec.models import replication

BOUNDS = Bounds(Broker=3, Epoch=8, Offset=8, RecordId=16)


@pytest.fixture(scope="module")
def kip_320() -> Machine:
    return Machine(trace(replication.Kip320), BOUNDS)


@pytest.fixture(scope="module")
def truncating() -> Machine:
    return Machine(trace(replication.TruncateToHighWatermark), BOUNDS)


def test_a_right_protocol_is_walked_without_violations(kip_320: Machine) -> None:
    seen = walk(kip_320, steps=5000, seed=1)
    assert seen.steps == 5000
    assert seen.walks > 10
    assert not seen.violations
    assert seen.never_taken == ()
    assert sum(seen.taken.values()) == seen.steps
    assert seen.witnessed == {"a_later_leader_has_a_committed_record"}


def test_a_wrong_protocol_is_found_out_with_a_short_path(truncating: Machine) -> None:
    seen = walk(truncating, steps=20_000, seed=1)
    assert {"weak_isr", "strong_isr"} <= set(seen.violations)
    for name, violation in seen.violations.items():
        state = truncating.initial
        for number, (action_name, params) in enumerate(violation.path, 1):
            following = truncating.step[action_name](state, *params)
            assert following is not None
            state = following
            assert truncating.holds[name](state) == (number < len(violation.path))
        assert len(violation.path) <= violation.found_after


def test_no_single_step_of_a_shortened_path_can_be_left_out(truncating: Machine) -> None:
    path = walk(truncating, steps=20_000, seed=2).violations["strong_isr"].path
    for number in range(len(path)):
        fewer = [*path[:number], *path[number + 1 :]]
        kept = replayed(truncating, "strong_isr", fewer)
        assert kept is None or len(kept) >= len(path)
    with pytest.raises(ValueError, match="does not break strong_isr"):
        shortened(truncating, "strong_isr", path[:-1])


def test_a_seed_repeats_the_walk(kip_320: Machine) -> None:
    def steps(seed: int) -> list[Any]:
        return [taken for _, taken in Walker(kip_320, seed).walk(200, swarm=True)]

    assert steps(4) == steps(4)
    assert steps(4) != steps(5)


def test_the_data_path_dominates() -> None:
    bounds = Bounds(Broker=3, Epoch=4, Offset=32, RecordId=64)
    weights = weights_of(Machine(trace(replication.Kip320), bounds))
    busiest = {name for name, weight in weights.items() if weight == max(weights.values())}
    assert busiest == {"leader_write", "follower_fetch", "leader_increment_high_watermark"}
    assert 10 * weights["controller_elect_leader"] < weights["leader_write"]


def test_progress_is_told_after_each_walk(kip_320: Machine) -> None:
    told: list[int] = []

    def progress(seen: Walked) -> None:
        told.append(seen.steps)

    seen = walk(kip_320, steps=500, seed=1, length=100, progress=progress)
    assert told == sorted(told)
    assert (told[-1], len(told)) == (500, seen.walks)


Lamp = entity("Lamp")


class Lamps(Protocol):
    """Lamps that are switched on one after the other, and then nothing more can be done."""

    on = per(Lamp, BOOL, init=False)
    dark = var(BOOL, init=True)

    @action
    def switch_on(self, new: Any, lamp: Lamp) -> None:  # type: ignore[valid-type]
        require(self.on[lamp] == False)  # noqa: E712
        new.on[lamp] = True

    @action
    def paint(self, new: Any, lamp: Lamp) -> None:  # type: ignore[valid-type]
        require(self.dark == False)  # noqa: E712
        new.on[lamp] = False

    @invariant()
    def is_dark(self) -> Any:
        return self.dark


class Lit(Lamps):
    """Broken from the beginning."""

    @invariant()
    def is_lit(self) -> Any:
        return self.dark == False  # noqa: E712


def test_dead_ends_begin_new_walks_and_dead_actions_are_reported() -> None:
    seen = walk(Machine(trace(Lamps), Bounds(Lamp=3)), steps=30, seed=1)
    assert (seen.steps, seen.walks, seen.never_taken) == (30, 10, ("paint",))


def test_an_initial_state_that_is_wrong_is_a_path_of_no_steps() -> None:
    seen = walk(Machine(trace(Lit), Bounds(Lamp=3)), steps=30, seed=1)
    assert seen.violations["is_lit"].path == ()
    assert seen.steps == 0
