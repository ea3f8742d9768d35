"""Shrinking: what is left breaks the same clause, and no part of it can be left out."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from conformance.simulation.shrinking import RUNS_MAX, ddmin, shrink
from reference.simulator.faults import Fault, FaultKind, RunOptions, Schedule, random_schedule


@given(items=st.lists(st.integers(0, 20), max_size=20, unique=True), data=st.data())
def test_what_ddmin_leaves_is_minimal(items: list[int], data: st.DataObject) -> None:
    needed = set(data.draw(st.lists(st.sampled_from(items), unique=True)) if items else [])
    asked = 0

    def breaks(some: object) -> bool:
        nonlocal asked
        asked += 1
        return needed <= set(some)  # type: ignore[call-overload]

    assert set(ddmin(items, breaks)) == needed
    assert asked <= len(items) ** 2 + 2 * len(items) + 2


def test_ddmin_keeps_the_order_and_copes_with_what_is_not_monotone() -> None:
    def breaks(some: object) -> bool:
        return list(some) in ([1, 2, 3, 4], [1, 3, 4], [3, 4])  # type: ignore[call-overload]

    assert ddmin([1, 2, 3, 4], breaks) == [3, 4]


def test_a_schedule_becomes_small_in_every_respect() -> None:
    drawn = next(
        schedule
        for seed in range(1_000)
        if len((schedule := random_schedule(seed, "quorum")).faults) == 8
        and sum(fault.kind is FaultKind.CRASH for fault in schedule.faults) >= 2
    )
    drawn = replace(drawn, options=replace(drawn.options, loss=0.02, partitions=3, consumers=2))

    def breaks(schedule: Schedule) -> bool:
        crashes = [fault for fault in schedule.faults if fault.kind is FaultKind.CRASH]
        return len(crashes) >= 2 and schedule.options.partitions >= 2

    small = shrink(drawn, breaks)
    assert breaks(small.schedule)
    assert small.runs <= RUNS_MAX
    assert [fault.kind for fault in small.schedule.faults] == [FaultKind.CRASH] * 2
    assert all(fault.duration_ms < 20 for fault in small.schedule.faults)
    assert all(fault.at_ms % 1_000 == 0 for fault in small.schedule.faults)
    options, plain = small.schedule.options, RunOptions()
    assert (options.loss, options.latency_ms) == (plain.loss, plain.latency_ms)
    assert (options.partitions, options.consumers, options.producers) == (2, 0, 1)
    assert options.think_ms == (400, 800)


def test_shrinking_stops_when_its_runs_are_used_up() -> None:
    faults = tuple(
        Fault(at_ms=n, kind=FaultKind.CUT, target=1, duration_ms=1_000) for n in range(8)
    )
    runs = 0

    def breaks(schedule: Schedule) -> bool:
        nonlocal runs
        runs += 1
        return len(schedule.faults) > 3

    small = shrink(Schedule(seed=1, faults=faults), breaks, runs_max=10)
    assert small.runs == runs == 10
    assert len(small.schedule.faults) > 3
