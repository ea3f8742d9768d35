"""What it takes the swarm to kill each mutant that a finding is kept of: measured, and evidence.

A kill is the first run that breaks a clause which the mutant names. Runs that break another clause
before are counted as runs, and as nothing more.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.simulation.evidence import records
from conformance.simulation.finding import Finding, load
from conformance.simulation.replay import breaks
from conformance.simulation.run import run
from conformance.simulation.shrinking import shrink
from conformance.simulation.swarm import Hunt, SeedResult, Tally, run_seeds
from conformance.simulation.validation import VALIDATORS
from reference.mutants import MUTANTS
from reference.simulator.faults import FaultKind, random_schedule
from spec.evidence import Evidence

EVERY_KIND = tuple(FaultKind)
SLEEPERS = (FaultKind.PAUSE, FaultKind.CUT_FROM_METADATA, FaultKind.MOVE_LEADER)
NARROWED: Mapping[str, tuple[FaultKind, ...]] = {
    "zombie-controller-writes": SLEEPERS,
    "stale-controller-obeyed": SLEEPERS,
    "bounce-unnoticed": (FaultKind.PAUSE, FaultKind.MOVE_LEADER),
    "failover-from-cache": (FaultKind.CUT_FROM_METADATA, FaultKind.MOVE_LEADER, FaultKind.CRASH),
    "unclean-restart-undetected": (FaultKind.POWER_LOSS, FaultKind.CRASH),
}
"""Kinds of faults for mutants that only few of them bring out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """The first run that broke a clause of a mutant, and what is left of it after shrinking."""

    hunt: Hunt
    finding: Finding
    seed: int
    runs: int
    cpu_s: float
    tally: Tally

    def __str__(self) -> str:
        return (
            f"{self.hunt.mutant or '':34} {self.hunt.mode:10} {self.finding.clause:8} "
            f"seed {self.seed:4} {self.runs:4} runs {self.cpu_s:7.2f} s "
            f"{len(self.finding.schedule.faults)} faults"
        )

    def evidence(self, command: str) -> Iterator[Evidence]:
        """The record of the clause that the mutant was killed by."""
        clause = self.finding.clause
        told = records(
            self.hunt, self.tally, {clause: self.finding}, {}, command, round(self.cpu_s, 3)
        )
        return (record for record in told if record.clause == clause)


def hunts(folder: Path) -> list[Hunt]:
    """One for each mutant and mode that the folder has a finding of. Raises BadFinding."""
    found = {
        (finding.mutant, finding.schedule.mode)
        for finding in map(load, sorted(folder.glob("*.json")))
        if finding.mutant
    }
    return [
        Hunt(mode=mode, mutant=name, kinds=NARROWED.get(name, EVERY_KIND))
        for name, mode in sorted(found)
    ]


def kill(hunt: Hunt, seeds: Sequence[int], shrinks_max: int) -> Kill | None:
    """The first kill by a clause that the mutant names, or None."""
    wanted = MUTANTS[hunt.mutant or ""].clauses
    spent = Tally()
    for seed in seeds:
        (found,) = run_seeds(hunt, [seed])
        clause = next((c for c in wanted if c in found.result.clauses), None)
        if clause is not None and not found.result.error:
            return _told(hunt, found, clause, spent, shrinks_max)
        spent.runs += 1
        spent.costs_s[seed] = found.cpu_s
    return None


def _told(hunt: Hunt, found: SeedResult, clause: str, spent: Tally, shrinks_max: int) -> Kill:
    """Shrinks a kill. The tally holds it as broken by the clause that it is a kill by."""
    validators = VALIDATORS[hunt.mode]
    schedule = shrink(
        random_schedule(found.seed, hunt.mode, kinds=hunt.kinds),
        lambda each: breaks(run(each, hunt.mutant, validators), clause),
        shrinks_max,
    ).schedule
    said = [each for each in found.result.violations if each.clause == clause]
    again = run(schedule, hunt.mutant, validators)
    message = next(each.message for each in (*again.violations, *said) if each.clause == clause)
    finding = Finding(schedule=schedule, mutant=hunt.mutant, clause=clause, message=message)
    runs, cpu_s = spent.runs + 1, sum(spent.costs_s.values()) + found.cpu_s
    first = tuple(sorted(found.result.violations, key=lambda each: each.clause != clause))
    spent.add(replace(found, result=replace(found.result, violations=first)))
    return Kill(hunt=hunt, finding=finding, seed=found.seed, runs=runs, cpu_s=cpu_s, tally=spent)


def summary(kills: Sequence[Kill]) -> str:
    """How many, and the median of their CPU time."""
    if not kills:
        return "no kills"
    median_s = statistics.median(each.cpu_s for each in kills)
    return f"{len(kills)} kills, median {median_s:.2f} s of CPU time"
