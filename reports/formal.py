"""Evidence about the formal models: what is proved, explored and refuted for each clause.

It says nothing about a target, so it is no column of verdicts and counts in no headline: it says
that the rule holds in the protocol as it is modelled, and what goes wrong without it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reports.wire import bounded, cut
from spec.evidence import Evidence
from spec.story_json import to_json
from spec.verdict import Verdict

CHECKERS = frozenset({"prove", "explore", "bounded", "walk"})
STORY_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Formal:
    """The latest record of each invariant, variant and checker, by clause."""

    by_clause: Mapping[str, tuple[Evidence, ...]]

    def proofs(self, clause: str) -> list[Evidence]:
        return [r for r in self.by_clause.get(clause, ()) if r.checker == "prove"]

    def explorations(self, clause: str) -> list[Evidence]:
        """Of variants that claim the invariant; complete, or stopped by a limit."""
        found = self.by_clause.get(clause, ())
        return [r for r in found if r.checker != "prove" and r.mutant is None]

    def refutations(self, clause: str) -> list[Evidence]:
        """Wrong variants that break an invariant of the clause."""
        found = self.by_clause.get(clause, ())
        return [r for r in found if r.mutant is not None and r.verdict is Verdict.FAIL]

    def records(self) -> list[Evidence]:
        return [record for found in self.by_clause.values() for record in found]


def split(records: Iterable[Evidence]) -> tuple[list[Evidence], Formal]:
    """Records about targets, and what the others say; a later record of a case replaces it."""
    targets: list[Evidence] = []
    latest: dict[str, dict[str, Evidence]] = defaultdict(dict)
    for record in records:
        if record.checker in CHECKERS:
            latest[record.clause][record.case] = record
        else:
            targets.append(record)
    return targets, Formal(by_clause={id: tuple(found.values()) for id, found in latest.items()})


def model_of(record: Evidence) -> str:
    """`replication/kip-320`."""
    return record.target.removeprefix("model:")


def size_of(record: Evidence) -> str:
    """`any size`, or the bounds: `Broker 3, Epoch 3`."""
    bounds = record.run.get("bounds")
    if not isinstance(bounds, dict):
        return f"{record.run.get('size', 'any')} size"
    return ", ".join(f"{cut(str(name), 40)} {count}" for name, count in bounds.items())


def weight_of(record: Evidence) -> str:
    """What the verdict rests on, in words."""
    words = {
        "prove": f"{record.premise_count:,} obligations",
        "explore": f"{record.premise_count:,} states",
        "bounded": f"{record.premise_count:,} steps deep",
        "walk": f"{record.premise_count:,} steps",
    }
    return words[record.checker]


def document(record: Evidence) -> dict[str, Any]:
    """The record as `report.json` has it."""
    story = record.counterexample.observed if record.counterexample else None
    return {
        "clause": record.clause,
        "checker": record.checker,
        "model": model_of(record),
        "invariant": str(record.run.get("invariant", "")),
        "title": record.title,
        "verdict": record.verdict.value,
        "wrong_variant": record.mutant is not None,
        "weight": record.premise_count,
        "counts": record.premises,
        "note": cut(record.note, STORY_CHARACTERS),
        "counterexample": None if story is None else cut(story, STORY_CHARACTERS),
        "reproduce": record.reproduce,
        "seed": record.seed,
        "duration_s": record.duration_s,
        "tool_version": record.tool_version,
        "commit": record.commit,
        "at": record.at,
        "run": bounded(record.run),
        **({"story": to_json(record.story)} if record.story else {}),
    }
