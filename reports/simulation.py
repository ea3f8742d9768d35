"""What simulations say: how many runs held a clause, under which faults, and what killed mutants.

A record of a simulation is `Evidence(checker="simulate")`, about one clause, in one mode of the
metadata. It is a case of its target like any other, so a violation that a simulation finds is a
violation of the target; beside that, simulations have a column of their own. Its fields:

* `target`: the cluster that was simulated, `reference`; `mutant` where one of its rules is broken
* `case`: `LEAD-04/simulation-quorum`: one for each clause and mode
* `premise_count`: how often the situation arose that the clause speaks about
* `seed`: the first seed, or that of the run which broke the clause
* `counterexample` and `story`: of the shrunk run that broke it
* `run`: facts, of which the report knows these. All are optional; a missing one is not shown.
  - `mode`: `quorum` or `zookeeper`
  - `seeds`: runs, one for each seed
  - `events`: events of all runs together
  - `validated`: steps that the model allows
  - `refused`: steps that it does not
  - `outgrown`: runs that outgrew the bounds of the checker, and count as validated no further
  - `faults`: how often each kind of fault was brought about, `{"crash": 812, "cut": 455}`
  - `bounds`: sizes of the model, `{"Broker": 3}`
  - of a mutant that was killed, `cpu_s_to_kill`, `seeds_to_kill` and `faults_to_kill`: processor
    time and runs until the first violation, and how many faults are left of it after shrinking
"""

from dataclasses import dataclass
from typing import Any

from reports.model import Report, Run, Target
from reports.wire import cut
from spec.verdict import Verdict

CHECKER = "simulate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One row: the runs of one target in one mode, and what they say about one clause."""

    target: Target
    run: Run

    @property
    def mode(self) -> str:
        return cut(str(self.run.record.run.get("mode", "")), 40)

    def count(self, name: str) -> int | None:
        """A number of the record; None where it has none."""
        return _number(self.run, name)

    @property
    def faults(self) -> str:
        """`812 crash, 455 cut`, most frequent first."""
        found = self.run.record.run.get("faults")
        if not isinstance(found, dict):
            return ""
        counts = [(n, str(name)) for name, n in found.items() if type(n) is int and n > 0]
        return ", ".join(f"{n:,} {cut(name, 40)}" for n, name in sorted(counts, reverse=True)[:12])


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """What it took a simulation to notice a mutant."""

    run: Run
    cpu_s: float | None
    seeds: int | None
    faults: int | None


def simulations(report: Report, clause: str) -> list[Simulation]:
    """Those of whole targets, in the order of the evidence."""
    return [
        Simulation(target=target, run=run)
        for target in report.everything
        if target.mutant is None
        for run in target.runs.get(clause, ())
        if run.record.checker == CHECKER
    ]


def any_simulation(report: Report) -> bool:
    return any(simulations(report, clause) for clause in report.clauses)


def seeds(found: list[Simulation]) -> int:
    """Runs of all of them together."""
    return sum(simulation.count("seeds") or 0 for simulation in found)


def kill(mutant: Target) -> Kill | None:
    """The fastest kill of a mutant by a simulation, if there is one."""
    kills = [
        Kill(
            run=run,
            cpu_s=_seconds(run, "cpu_s_to_kill"),
            seeds=_number(run, "seeds_to_kill"),
            faults=_number(run, "faults_to_kill"),
        )
        for runs in mutant.runs.values()
        for run in runs
        if run.record.checker == CHECKER and run.record.verdict is Verdict.FAIL
    ]
    return min(kills, key=lambda found: (found.cpu_s is None, found.cpu_s), default=None)


def _number(run: Run, name: str) -> int | None:
    found: Any = run.record.run.get(name)
    return found if type(found) is int else None


def _seconds(run: Run, name: str) -> float | None:
    found: Any = run.record.run.get(name)
    return float(found) if type(found) in (int, float) else None
