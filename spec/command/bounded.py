"""`bounded`: a solver looks for the shortest counterexample, one action longer each time."""

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from spec.checkers import bounded as checker
from spec.checkers.bounded import Counterexample, NoneFound, OutOfTime
from spec.checkers.bounds import Bounds
from spec.checkers.explore import Trace
from spec.checkers.explore.story import as_json, tell
from spec.command import findings, tasks
from spec.command.findings import Finding, sentence_of
from spec.command.outcome import Exit, UsageError, worst
from spec.command.replay import replayed, save
from spec.command.retelling import story_of
from spec.command.tasks import Task
from spec.language import Model, trace
from spec.verdict import Verdict

Found = Counterexample | NoneFound | OutOfTime


def run(options: Namespace) -> Exit:
    documents, codes = [], []
    task = tasks.one(options)
    model = trace(task.variant.protocol)
    for name in task.invariants or tuple(model.invariants):
        if name not in {*model.invariants, *model.conjuncts, *model.witnesses}:
            known = ", ".join([*model.invariants, *model.witnesses])
            raise UsageError(f"{task.subject} has no invariant {name}; it has {known}")
        if not options.quiet:
            print(f"{task.subject} ({task.size}): looking for {name}", file=sys.stderr)
        found = _searched(task, model, name, options)
        path = _path(task, model, found)
        findings.append(_findings(task, model, name, found, path), options.evidence)
        codes.append(_judged(model, name, found))
        if path and options.save_trace:
            save(path, options.save_trace)
        documents.append(_document(task, name, found, path))
        if not options.json:
            _tell(task, name, found, path)
    if options.json:
        findings.print_json({"searches": documents})
    return worst(codes)


def _searched(task: Task, model: Model, name: str, options: Namespace) -> Found:
    return checker.search(
        model,
        Bounds(**task.bounds),
        name,
        depth=options.depth,
        start=options.start,
        budget_s=options.time_limit_s,
    )


def _path(task: Task, model: Model, found: Found) -> Trace | None:
    if not isinstance(found, Counterexample):
        return None
    moves = [(step.action, tuple(step.parameters.values())) for step in found.steps]
    return replayed(model, Bounds(**task.bounds), moves)


def _judged(model: Model, name: str, found: Found) -> Exit:
    if isinstance(found, Counterexample) and name not in model.witnesses:
        return Exit.REFUTED
    return Exit.UNDECIDED if isinstance(found, OutOfTime) else Exit.AS_CLAIMED


def _findings(
    task: Task, model: Model, name: str, found: Found, path: Trace | None
) -> Iterator[Finding]:
    if name not in model.invariants:
        return
    depth = found.depth
    yield Finding(
        checker="bounded",
        subject=task.subject,
        invariant=model.invariants[name],
        verdict=Verdict.FAIL if path else Verdict.INCONCLUSIVE,
        weight=depth,
        wrong_variant=task.variant.is_wrong,
        story=tell(path) if path else "",
        played=story_of(path, sentence_of(model.invariants[name])) if path else None,
        note="" if path else f"no counterexample of at most {depth} actions was found",
        facts={"bounds": dict(task.bounds), "depth": depth},
        duration_s=found.seconds,
        reproduce=task.command("bounded", f" --depth {depth} --start {found_start(found)}"),
    )


def found_start(found: Found) -> int:
    """The depth that the search began at."""
    return 0 if isinstance(found, Counterexample) else found.start


def _document(task: Task, name: str, found: Found, path: Trace | None) -> dict[str, Any]:
    results = {Counterexample: "found", NoneFound: "none", OutOfTime: "out of time"}
    return {
        "model": task.family.name,
        "variant": task.variant.name,
        "bounds": dict(task.bounds),
        "property": name,
        "result": results[type(found)],
        "depth": found.depth,
        "seconds": round(found.seconds, 3),
        "trace": as_json(path) if path else None,
    }


def _tell(task: Task, name: str, found: Found, path: Trace | None) -> None:
    said = {
        Counterexample: f"{name} in {found.depth} steps",
        NoneFound: f"no way to {name} in {found.depth} steps",
        OutOfTime: f"{name}: the time was up at depth {found.depth}",
    }
    print(f"{task.subject} ({task.size}): {said[type(found)]}, {found.seconds:.1f} s")
    if path:
        print(tell(path))
