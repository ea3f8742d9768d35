"""`report.json`: what a program reads. Its schema is `schema.json` beside this file."""

from typing import Any

from reports.formal import document as formal_document
from reports.model import Report, Run, Target
from reports.wire import bounded, cut
from spec.evidence import Counterexample
from spec.story_json import to_json
from spec.verdict import Verdict

SCHEMA_VERSION = 1
TEXT_CHARACTERS = 20_000


def document(report: Report) -> dict[str, Any]:
    """The target's object, or a list of them under `targets` where the evidence has several."""
    targets = [_target(target, report) for target in report.everything]
    formal = [formal_document(record) for record in report.formal.records()]
    if len(targets) == 1:
        return {"schema_version": SCHEMA_VERSION, **targets[0], "formal": formal}
    return {
        "schema_version": SCHEMA_VERSION,
        "profile": report.profile.name,
        "targets": targets,
        "formal": formal,
    }


def _target(target: Target, report: Report) -> dict[str, Any]:
    return {
        "headline": target.headline.value,
        "target": target.name,
        **({"mutant": target.mutant} if target.mutant is not None else {}),
        "profile": report.profile.name,
        "seed": target.seed,
        "started": target.started,
        "duration_s": target.duration_s,
        "tool_version": target.tool_version,
        "commit": target.commit,
        "run": bounded(target.facts),
        "must_counts": {v.value: target.must_counts[v] for v in Verdict},
        "counts": {v.value: target.counts[v] for v in Verdict},
        "clauses": [
            {
                "id": clause.id,
                "level": clause.level.value,
                "kind": clause.kind.value,
                "verdict": target.verdicts[clause.id].value,
                "premise_count": target.premise_count(clause.id),
                "cases": [_case(run) for run in target.runs.get(clause.id, ())],
            }
            for clause in report.clauses.values()
        ],
    }


def _case(run: Run) -> dict[str, Any]:
    record = run.record
    return {
        "case": record.case,
        "title": record.title,
        "checker": record.checker,
        "verdict": record.verdict.value,
        "premise_count": record.premise_count,
        "premises": record.premises,
        "seed": record.seed,
        "note": cut(record.note, TEXT_CHARACTERS),
        "link": record.link,
        "reproduce": record.reproduce,
        "counterexample": _counterexample(record.counterexample),
        "runs": run.records,
        "duration_s": record.duration_s,
        "at": record.at,
        "run": bounded(record.run),
        **({"story": to_json(record.story)} if record.story else {}),
    }


def _counterexample(found: Counterexample | None) -> dict[str, str] | None:
    if found is None:
        return None
    return {
        "expected": cut(found.expected, TEXT_CHARACTERS),
        "observed": cut(found.observed, TEXT_CHARACTERS),
        "falsifying": cut(found.falsifying, TEXT_CHARACTERS),
    }
