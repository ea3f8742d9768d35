"""Runs many seeds, on several cores, and adds up what came of them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from conformance.simulation.run import RunResult, run
from conformance.simulation.validation import VALIDATORS
from reference.simulator.faults import FaultKind, random_schedule

SEEDS_PER_TASK = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What is run: everything but the seeds."""

    mode: str
    mutant: str | None = None
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    is_validated: bool = True

    def run(self, seed: int) -> RunResult:
        """The run of one seed."""
        validators = VALIDATORS[self.mode] if self.is_validated else ()
        return run(random_schedule(seed, self.mode, kinds=self.kinds), self.mutant, validators)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedResult:
    seed: int
    result: RunResult
    cpu_s: float


@dataclass(slots=True)
class Tally:
    """The sum of many runs."""

    runs: int = 0
    events: int = 0
    steps: int = 0
    virtual_ms: int = 0
    costs_s: dict[int, float] = field(default_factory=dict)
    """CPU time of each seed's run."""
    refused: int = 0
    """Runs that a model has stopped."""
    outgrown: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    """How many of each kind were scheduled."""
    premises: Counter[str] = field(default_factory=Counter)
    broken: list[SeedResult] = field(default_factory=list)
    """The runs that broke a clause, by seed."""

    def add(self, found: SeedResult) -> None:
        result = found.result
        self.runs += 1
        self.events += result.events
        self.steps += result.steps
        self.virtual_ms += result.virtual_ms
        self.costs_s[found.seed] = found.cpu_s
        self.refused += result.is_refused
        self.outgrown += bool(result.outgrown)
        self.faults.update(result.faults)
        self.premises.update(result.premises)
        if result.clause:
            self.broken.append(found)
            self.broken.sort(key=lambda each: each.seed)

    @property
    def cpu_s(self) -> float:
        return sum(self.costs_s.values())

    def cpu_until_s(self, seed: int) -> float:
        """CPU time of the runs up to and with a seed's."""
        return sum(cost for each, cost in self.costs_s.items() if each <= seed)

    @property
    def first_broken(self) -> dict[str, SeedResult]:
        """By clause, the first run in which it was the first to be broken."""
        first: dict[str, SeedResult] = {}
        for found in self.broken:
            first.setdefault(found.result.clause, found)
        return first

    @property
    def counts(self) -> Counter[str]:
        """By clause, how many runs broke it first."""
        return Counter(found.result.clause for found in self.broken)


def run_seeds(hunt: Hunt, seeds: Sequence[int]) -> list[SeedResult]:
    """Runs seeds one after another in this process."""
    found = []
    for seed in seeds:
        began_s = time.process_time()
        result = hunt.run(seed)
        cpu_s = time.process_time() - began_s
        found.append(SeedResult(seed=seed, result=result, cpu_s=cpu_s))
    return found


def swarm(
    hunt: Hunt,
    seeds: range,
    *,
    workers: int = 1,
    stops_at_first: bool = False,
    time_limit_s: float | None = None,
    progress: Callable[[Tally], None] | None = None,
) -> Tally:
    """Runs the seeds in order, as far as the time allows. KeyboardInterrupt ends the workers."""
    tally = Tally()
    began_s = time.monotonic()
    for batch in _results(hunt, seeds, workers):
        for found in batch:
            tally.add(found)
        if progress:
            progress(tally)
        late = time_limit_s is not None and time.monotonic() - began_s > time_limit_s
        if late or (stops_at_first and tally.broken):
            break
    return tally


def _results(hunt: Hunt, seeds: range, workers: int) -> Iterator[list[SeedResult]]:
    tasks = (seeds[at : at + SEEDS_PER_TASK] for at in range(0, len(seeds), SEEDS_PER_TASK))
    if workers == 1:
        yield from (run_seeds(hunt, task) for task in tasks)
        return
    with ProcessPoolExecutor(workers) as pool:
        waiting: set[Future[list[SeedResult]]] = set()
        try:
            for task in tasks:
                waiting.add(pool.submit(run_seeds, hunt, task))
                if len(waiting) >= 2 * workers:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
