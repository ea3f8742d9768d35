"""Limits, reports and errors of the explorer."""

from collections.abc import Callable
from typing import Any

import pytest

from spec.checkers.bounded import search
from spec.checkers.bounds import Bounds, BoundsError, bound_guards, span
from spec.checkers.explore import Limits, Progress, explore
from spec.checkers.ground import Ground
from spec.checkers.ground.nodes import Graph, TooLarge
from spec.checkers.step import Machine
from spec.language import (
    Optional,
    Protocol,
    action,
    const,
    end_of_last,
    entity,
    first_where,
    invariant,
    number,
    require,
    rigid,
    show,
    smaller,
    trace,
    var,
)
from spec.language.sorts import NONE
from spec.language.views import Pre
from spec.models.replication import Kip320, TruncateToHighWatermark, bounds
from tests.explore_zoo import Broker, Numbers, Voting

SMALL, THREE = Bounds(**bounds(2, 2, 2, 1)), Bounds(**bounds(3, 2, 2, 1))
Step = number("Step")
Worker = entity("Worker")


class Counter(Protocol):
    """Counts up by one or by two, up to the bound."""

    step = var(Step, init=0)
    owner = var(Optional(Worker), init=NONE)

    @action
    def one(self, new: Any) -> None:
        new.step = self.step + 1

    @action
    def two(self, new: Any, worker: Worker) -> None:
        require(self.owner == NONE)
        new.step = self.step + 2
        new.owner = worker

    @invariant()
    def small(self) -> Any:
        return self.step < 3


def test_counts_by_level_and_action_and_states_without_successors() -> None:
    result = explore(trace(Counter), Bounds(Step=4, Worker=1))
    # Steps 0..3 without an owner, 2..3 with one.
    assert result.levels == (1, 2, 2, 1)
    assert result.actions == {"one": 4, "two": 2}
    assert result.fresh == {"one": 3, "two": 2}
    assert (result.distinct, result.generated, result.depth) == (6, 7, 4)
    violation = result.violations["small"]
    assert (violation.count, violation.first_level, violation.trace.length) == (2, 3, 3)
    deadlocks = result.deadlocks
    assert (deadlocks.count, deadlocks.first_level, deadlocks.first) == (2, 3, (3, 0))
    assert (result.bits, result.words) == (3, 1)
    assert result.cpu_s > 0
    assert result.peak_rss_bytes > 1 << 20


def test_limits_end_an_exploration_with_what_was_found() -> None:
    whole = explore(trace(Kip320), THREE)
    assert whole.complete
    assert not whole.reason
    by_states = explore(trace(Kip320), THREE, limits=Limits(states=5_000))
    assert not by_states.complete
    assert "5000 states" in by_states.reason
    assert 5_000 < by_states.distinct < whole.distinct
    known = by_states.levels[:-1]
    assert known == whole.levels[: len(known)]
    assert sum(by_states.levels) == by_states.distinct
    by_time = explore(trace(Kip320), THREE, limits=Limits(time_s=0.0))
    assert not by_time.complete
    assert "time limit" in by_time.reason


def test_memory_is_a_limit_too() -> None:
    result = explore(
        trace(Kip320), Bounds(**bounds(3, 2, 2, 2)), limits=Limits(memory_bytes=24 << 20)
    )
    assert not result.complete
    assert result.reason == "the memory limit of 24 MiB was reached"
    assert 10_000 < result.distinct < 737_794
    assert sum(result.levels) == result.distinct


def test_a_violation_can_end_it_and_other_invariants_be_left_out() -> None:
    model = trace(TruncateToHighWatermark)
    result = explore(model, SMALL, invariants=["strong_isr"], stop_at_violation=True)
    assert set(result.violations) == {"strong_isr"}
    assert result.violations["strong_isr"].trace.length == 10
    assert not result.complete
    assert "violation" in result.reason
    with pytest.raises(KeyError):
        explore(model, SMALL, invariants=["no_such_invariant"])


def test_witnesses_have_the_level_where_they_are_first_reached() -> None:
    assert explore(trace(Kip320), SMALL).witnesses == {"a_later_leader_has_a_committed_record": 7}
    one_epoch = explore(trace(Kip320), Bounds(**bounds(2, 2, 2, 0)))
    assert one_epoch.witnesses == {"a_later_leader_has_a_committed_record": None}


def test_progress_is_told() -> None:
    seen: list[Progress] = []
    result = explore(trace(Kip320), SMALL, progress=seen.append)
    assert [progress.level for progress in seen] == list(range(1, result.depth + 1))
    assert seen[-1].distinct == result.distinct
    assert seen[-1].generated == result.generated
    assert seen[-1].waiting == 0


def test_small_models_cost_little() -> None:
    assert min(explore(trace(Kip320), SMALL).cpu_s for _ in range(3)) < 0.1


# ---- bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"Broker": 0}, "Broker=0"),
        ({"Broker": -1}, "at least 1"),
        ({"Broker": True}, "whole number"),
        ({"Broker": 10_001}, "too large"),
    ],
)
def test_counts_are_checked(counts: dict[str, int], message: str) -> None:
    with pytest.raises(BoundsError, match=message):
        Bounds(**counts)


def test_bounds_must_fit_the_model() -> None:
    with pytest.raises(BoundsError, match="needs a bound for RecordId"):
        explore(trace(Kip320), Bounds(Broker=2, Offset=2, Epoch=2))
    with pytest.raises(BoundsError, match="has no Brokers"):
        explore(trace(Kip320), Bounds(**bounds(2, 2, 2, 1), Brokers=2))
    with pytest.raises(BoundsError, match="min_insync"):
        explore(trace(Voting), Bounds(Broker=2, Epoch=2))
    with pytest.raises(TooLarge, match="up to 255"):
        explore(trace(Voting), Bounds(Broker=8, Epoch=2, min_insync=1))


def test_values_must_fit_a_byte() -> None:
    Ground(trace(Counter), Bounds(Step=126, Worker=1))
    with pytest.raises(TooLarge):
        Ground(trace(Counter), Bounds(Step=127, Worker=1))
    with pytest.raises(TooLarge):
        Graph().cell(0, 0, 128, False)


def test_guards_are_derived_only_where_a_type_could_be_left() -> None:
    model = trace(Numbers)
    limits = Bounds(Broker=2, Offset=2, Level=1)
    guards = {
        name: sorted(show(guard) for guard in bound_guards(action, model, limits))
        for name, action in model.actions.items()
    }
    assert guards["raise_level"] == ["((level + 1) <= 0)"]
    assert "(log.end_offset[broker] <= 1)" in guards["write"]
    assert guards["cut"] == []


def test_spans_know_the_smaller_and_the_larger() -> None:
    model = trace(Counter)
    limits = Bounds(Step=4, Worker=1)
    (write, *_) = model.actions["two"].writes
    assert span(write.value, model, limits) == (2, 5)
    assert span(smaller(write.value, write.value - 2), model, limits) == (0, 3)
    # Below nothing there is nothing, so the search gives its limit, even a negative one.
    numbers, view = trace(Numbers), Numbers(Pre(trace(Numbers).leaves))
    below = view.log[const(0, Broker)].end_offset - 1
    searched = first_where(below, lambda offset: view.log[const(0, Broker)][offset].mark)
    limits = Bounds(Broker=2, Offset=2, Level=1)
    assert span(searched, numbers, limits) == (-1, 1)
    assert span(end_of_last(below, lambda offset: offset == 0), numbers, limits) == (0, 1)


# ---- what leaves its type is an error, to all finite checkers -----------------------------------

far = rigid("far", (Worker,), Step, table=lambda counts, _: counts["Step"] + 1)


class FarAway(Protocol):
    """A table has a value that its sort does not have: there is no room for it."""

    step = var(Step, init=0)
    at = var(Optional(Worker), init=NONE)

    @action
    def jump(self, new: Any, worker: Worker) -> None:
        new.at = worker
        new.step = far(worker)

    @invariant()
    def near(self) -> Any:
        return self.step <= 3


class StartsHigh(Protocol):
    """The initial value is none of its sort's."""

    step = var(Step, init=9)

    @action
    def down(self, new: Any) -> None:
        new.step = self.step - 1

    @invariant()
    def low(self) -> Any:
        return self.step <= 3


@pytest.mark.parametrize(
    ("protocol", "counts", "message"),
    [
        (FarAway, {"Step": 4, "Worker": 2}, r"far\(\d\) is 5, no Step"),
        (StartsHigh, {"Step": 4}, "step.*starts outside its type.*: 9"),
    ],
)
def test_no_checker_takes_a_value_outside_its_type(
    protocol: type[Protocol], counts: dict[str, int], message: str
) -> None:
    model, within = trace(protocol), Bounds(**counts)
    (name,) = model.invariants
    checkers: list[Callable[[], object]] = [
        lambda: explore(model, within),
        lambda: Machine(model, within),
        lambda: search(model, within, name, depth=2, budget_s=10),
    ]
    for checker in checkers:
        with pytest.raises(BoundsError, match=message):
            checker()
