"""A finding: a schedule that breaks, or broke, a clause; small enough to be kept with the tests."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference.mutants import MUTANTS
from reference.simulator.faults import BadSchedule, Schedule, from_json, to_json
from spec.clauses import CLAUSES

FORMAT = 1
REFERENCE_RAISED = "error"
"""In place of a clause: an exception in the reference."""


class BadFinding(ValueError):
    """A file is not a finding; the message names the file and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Run again, it shows that a mutant is killed, or that a fault of the reference is gone."""

    schedule: Schedule
    mutant: str | None
    clause: str
    message: str
    """What was wrong, in the words of the oracle or of the validation."""

    def dump(self) -> str:
        """One JSON document."""
        document = {
            "format": FORMAT,
            "clause": self.clause,
            "message": self.message,
            "mutant": self.mutant,
            "schedule": to_json(self.schedule),
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"

    def save(self, path: Path) -> None:
        """Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.dump(), encoding="utf-8")


def load(path: Path) -> Finding:
    """Raises BadFinding for anything but a finding, also where it cannot be read."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadFinding(f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise BadFinding(f"{path}: {error}") from error


def parse(raw: Any) -> Finding:
    """Raises ValueError."""
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ValueError(f'not a finding: it has no "format": {FORMAT}')
    mutant, clause, message = raw.get("mutant"), raw.get("clause"), raw.get("message")
    if mutant is not None and mutant not in MUTANTS:
        raise ValueError(f"mutant: {mutant!r:.40} is none of the mutants; see --list-mutants")
    if not isinstance(clause, str) or clause not in (*CLAUSES, REFERENCE_RAISED):
        raise ValueError(f"clause: {clause!r:.40} is no clause")
    if not isinstance(message, str):
        raise ValueError(f"message: {message!r:.40} is not a text")
    try:
        schedule = from_json(raw.get("schedule"))
    except BadSchedule as error:
        raise ValueError(f"schedule: {error}") from error
    return Finding(schedule=schedule, mutant=mutant, clause=clause, message=message)
