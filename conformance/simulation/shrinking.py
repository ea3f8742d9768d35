"""Makes a schedule that breaks a clause small, for as long as it breaks the same clause."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from reference.simulator.faults import AMOUNTS, Fault, RunOptions, Schedule

T = TypeVar("T")
Breaks = Callable[[Schedule], bool]
"""Whether a run of the schedule breaks the clause that the shrinking is about."""

RUNS_MAX = 400
"""After so many runs the smallest schedule found is good enough."""
SHORTEST_MS = 10


def ddmin(items: Sequence[T], breaks: Callable[[Sequence[T]], bool]) -> list[T]:
    """The items without those that can be left out, alone or in runs of neighbours.

    Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input (2002). The result is
    1-minimal, unless `breaks` gives up in between: without any single item nothing is broken.
    """
    kept = list(items)
    if kept and breaks([]):
        return []
    parts = 2
    while len(kept) >= 2:
        size = max(1, len(kept) // parts)
        at, was_reduced = 0, False
        while at < len(kept):
            fewer = kept[:at] + kept[at + size :]
            if fewer and breaks(fewer):
                kept, was_reduced = fewer, True
            else:
                at += size
        if was_reduced:
            parts = max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(parts * 2, len(kept))
    return kept


@dataclass(slots=True)
class _Budget:
    """Counts runs; once they are used up nothing breaks the clause any more."""

    breaks: Breaks
    left: int
    runs: int = 0

    def __call__(self, schedule: Schedule) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        self.runs += 1
        return self.breaks(schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    schedule: Schedule
    runs: int
    """How many it took."""


def shrink(schedule: Schedule, breaks: Breaks, runs_max: int = RUNS_MAX) -> Shrunk:
    """The smallest schedule found: fewer faults, then a plainer run, then shorter faults."""
    budget = _Budget(breaks, runs_max)
    best = _fewer_faults(schedule, budget)
    while True:
        before = best
        best = _first_that_breaks(best, _plainer_runs, budget)
        best = _first_that_breaks(best, _gentler_faults, budget)
        best = _fewer_faults(best, budget)
        if best == before:
            return Shrunk(schedule=best, runs=budget.runs)


def _fewer_faults(schedule: Schedule, breaks: Breaks) -> Schedule:
    kept = ddmin(schedule.faults, lambda faults: breaks(replace(schedule, faults=tuple(faults))))
    return replace(schedule, faults=tuple(kept))


def _first_that_breaks(
    schedule: Schedule, candidates: Callable[[Schedule], Iterator[Schedule]], breaks: Breaks
) -> Schedule:
    """Takes the first simpler schedule that still breaks the clause, again and again."""
    while True:
        found = next((each for each in candidates(schedule) if breaks(each)), None)
        if found is None:
            return schedule
        schedule = found


def _plainer_runs(schedule: Schedule) -> Iterator[Schedule]:
    options, plain = schedule.options, RunOptions()
    for think_ms in ((400, 800), (150, 300)):  # fewer records make a shorter story
        if options.think_ms < think_ms:
            yield replace(schedule, options=replace(options, think_ms=think_ms))
    for name in ("reorder", "duplicate", "loss", "latency_ms"):
        if getattr(options, name) != getattr(plain, name):
            yield replace(schedule, options=replace(options, **{name: getattr(plain, name)}))
    for name, least in {"consumers": 0, "partitions": 1, "producers": 1}.items():
        if getattr(options, name) > least:
            fewer = getattr(options, name) - 1
            yield replace(schedule, options=replace(options, **{name: fewer}))
    last_ms = max((fault.at_ms for fault in schedule.faults), default=0)
    for until_ms in ((options.until_ms + last_ms) // 2, last_ms + SHORTEST_MS):
        if 0 < until_ms < options.until_ms - SHORTEST_MS:
            yield replace(schedule, options=replace(options, until_ms=until_ms))


def _gentler_faults(schedule: Schedule) -> Iterator[Schedule]:
    for number, fault in enumerate(schedule.faults):
        for gentler in _gentler(fault):
            faults = (*schedule.faults[:number], gentler, *schedule.faults[number + 1 :])
            yield replace(schedule, faults=faults)


def _gentler(fault: Fault) -> Iterator[Fault]:
    if fault.duration_ms >= 2 * SHORTEST_MS:
        yield replace(fault, duration_ms=fault.duration_ms // 2)
    if fault.kind in AMOUNTS and abs(fault.amount) >= 2 * max(1, abs(AMOUNTS[fault.kind][0]) // 8):
        yield replace(fault, amount=int(fault.amount / 2))
    for grain in (1_000, 100):
        if fault.at_ms % grain:
            yield replace(fault, at_ms=fault.at_ms // grain * grain)
