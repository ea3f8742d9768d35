"""Evidence of the formal checkers, one record for each clause that an invariant stands for."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spec.command.outcome import UsageError
from spec.evidence import Counterexample, Evidence
from spec.language import Property
from spec.provenance import commit, now, tool_version
from spec.story import Story
from spec.verdict import Verdict

DEFAULT = Path("build/spec/evidence.ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a checker found out about one invariant of one variant."""

    checker: str
    """`prove`, `explore`, `bounded` or `walk`."""
    subject: str
    """`replication/kip-320`."""
    invariant: Property
    verdict: Verdict
    weight: int
    """How much it rests on: states explored, obligations proved."""
    wrong_variant: bool = False
    """Whether the variant is meant to break it: then a violation is what was hoped for."""
    story: str = ""
    """The counterexample, for people."""
    played: Story | None = None
    """The same step by step, of models that are about the logs of brokers."""
    note: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Bounds, counts, versions of tools."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """How often each action happened, or how many obligations each conjunct has."""
    seed: int | None = None
    duration_s: float = 0.0
    reproduce: str = ""


def records(findings: Iterable[Finding]) -> Iterator[Evidence]:
    """The findings as evidence; an invariant that stands for no clause gives none."""
    at, of, version = now(), commit(), tool_version()
    for finding in findings:
        invariant = finding.invariant
        name = f"{finding.subject}/{invariant.name}".replace("/", ".")
        sentence = sentence_of(invariant)
        for clause in invariant.clauses:
            yield Evidence(
                clause=clause,
                checker=finding.checker,
                target=f"model:{finding.subject}",
                verdict=finding.verdict,
                case=f"{clause}/{name}.{finding.checker}",
                title=sentence,
                premise_count=finding.weight,
                premises=dict(finding.counts),
                mutant=finding.subject if finding.wrong_variant else None,
                seed=finding.seed,
                note=finding.note,
                counterexample=_counterexample(finding, sentence),
                story=finding.played,
                reproduce=finding.reproduce,
                run=dict(finding.facts) | {"invariant": invariant.name, "at": invariant.where},
                duration_s=round(finding.duration_s, 3),
                tool_version=version,
                commit=of,
                at=at,
            )


def sentence_of(invariant: Property) -> str:
    """What the invariant says, in a line."""
    return invariant.doc.split("\n")[0] or invariant.name.replace("_", " ")


def _counterexample(finding: Finding, sentence: str) -> Counterexample | None:
    return Counterexample(expected=sentence, observed=finding.story) if finding.story else None


def append(findings: Iterable[Finding], path: Path) -> int:
    """Appends to an evidence file and returns how many records. Raises `UsageError`."""
    lines = [record.line() for record in records(findings)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(line + os.linesep for line in lines))
    except OSError as error:
        raise UsageError(f"cannot append evidence to {path}: {error.strerror}") from error
    return len(lines)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on standard output; all else that is said goes to standard error."""
    print(json.dumps(document, indent=1, ensure_ascii=False))
