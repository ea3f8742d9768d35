"""Runs a finding again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.simulation.finding import REFERENCE_RAISED, Finding, load
from conformance.simulation.run import RunResult, ValidatorFactory, run
from conformance.simulation.validation import VALIDATORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    finding: Finding
    result: RunResult

    @property
    def breaks(self) -> bool:
        """Whether the clause of the finding is broken, also if another is broken before."""
        return breaks(self.result, self.finding.clause)


def breaks(result: RunResult, clause: str) -> bool:
    """Whether a run has broken a clause; REFERENCE_RAISED stands for an exception."""
    return bool(result.error) if clause == REFERENCE_RAISED else clause in result.clauses


def again(
    finding: Finding,
    *,
    mutant: str | None,
    validators: Sequence[ValidatorFactory] | None = None,
) -> Replayed:
    """Runs the schedule of a finding, against its mutant, another or none."""
    chosen = VALIDATORS[finding.schedule.mode] if validators is None else validators
    return Replayed(finding=finding, result=run(finding.schedule, mutant, chosen))


def replay(path: Path) -> Replayed:
    """Runs what a file says, against the mutant that it names. Raises BadFinding."""
    finding = load(path)
    return again(finding, mutant=finding.mutant)
