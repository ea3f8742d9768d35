"""`walk`: random walks through instances that are too large to explore."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any

from spec.checkers.bounds import Bounds
from spec.checkers.explore.story import as_json, tell
from spec.checkers.step import Machine
from spec.checkers.walk import Violation, Walked, walk
from spec.command import findings, tasks
from spec.command.findings import Finding
from spec.command.outcome import Exit, worst
from spec.command.replay import replayed, save
from spec.command.tasks import Task
from spec.language import Model, trace
from spec.verdict import Verdict


def run(options: Namespace) -> Exit:
    documents, codes = [], []
    for task in tasks.right_ones() if options.all else [tasks.one(options)]:
        model, bounds = trace(task.variant.protocol), Bounds(**task.bounds)
        seen = walk(
            Machine(model, bounds),
            steps=options.walks * options.steps,
            length=options.steps,
            seed=options.seed,
            progress=None if options.quiet else _reporter(task.subject),
        )
        stories = {
            name: replayed(model, bounds, violation.path)
            for name, violation in seen.violations.items()
        }
        told = {name: tell(path) for name, path in stories.items()}
        findings.append(_findings(task, model, seen, told, options), options.evidence)
        for path in list(stories.values())[:1] if options.save_trace else ():
            save(path, options.save_trace)
        codes.append(Exit.REFUTED if seen.violations else Exit.AS_CLAIMED)
        documents.append(
            _document(task, seen) | {"traces": {n: as_json(p) for n, p in stories.items()}}
        )
        if not options.json:
            _tell(task, seen, told)
    if options.json:
        findings.print_json({"walks": documents} if options.all else documents[0])
    return worst(codes)


def _reporter(subject: str) -> Callable[[Walked], None]:
    def report(seen: Walked) -> None:
        if seen.walks % 10 == 0:
            print(f"{subject}: {seen.walks} walks, {seen.steps:,} steps", file=sys.stderr)

    return report


def _findings(
    task: Task, model: Model, seen: Walked, told: dict[str, str], options: Namespace
) -> Iterator[Finding]:
    for name, invariant in model.invariants.items():
        yield Finding(
            checker="walk",
            subject=task.subject,
            invariant=invariant,
            verdict=Verdict.FAIL if name in told else Verdict.PASS,
            weight=seen.steps,
            wrong_variant=task.variant.is_wrong,
            story=told.get(name, ""),
            facts={"bounds": dict(task.bounds), "walks": seen.walks, "steps": seen.steps},
            counts=dict(seen.taken),
            seed=options.seed,
            reproduce=task.command(
                "walk", f" --seed {options.seed} --walks {options.walks} --steps {options.steps}"
            ),
        )


def _document(task: Task, seen: Walked) -> dict[str, Any]:
    def shown(violation: Violation) -> dict[str, Any]:
        return {"steps": len(violation.path), "found_after": violation.found_after}

    return {
        "model": task.family.name,
        "variant": task.variant.name,
        "bounds": dict(task.bounds),
        "walks": seen.walks,
        "steps": seen.steps,
        "actions": dict(seen.taken),
        "witnessed": sorted(seen.witnessed),
        "violations": {name: shown(violation) for name, violation in seen.violations.items()},
    }


def _tell(task: Task, seen: Walked, told: dict[str, str]) -> None:
    print(f"{task.subject} ({task.size}): {seen.steps:,} steps in {seen.walks} walks")
    for action, count in seen.taken.items():
        print(f"  {count:>12,}  {action}{'' if count else '   NEVER HAPPENED'}")
    for name, story in told.items():
        print(f"\n{name} is violated; a walk to it, shortened:\n")
        print(story)
    if not told:
        print("No invariant was seen violated.")
