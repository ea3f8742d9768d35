"""`explore`: every state of an instance; of all models also how each wrong variant shows itself."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import Any

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Exploration, Limits, NoSymmetry, Progress, Violation, explore
from spec.checkers.explore.story import as_json, tell
from spec.command import arguments, findings, tasks
from spec.command.findings import Finding, sentence_of
from spec.command.outcome import Exit, UsageError, worst
from spec.command.replay import save
from spec.command.retelling import story_of
from spec.command.tasks import Task
from spec.language import Model, Property, trace
from spec.story import Story
from spec.verdict import Verdict


def run(options: Namespace) -> Exit:
    every = [*tasks.right_ones(), *tasks.refutations()]
    documents, codes = [], []
    for task in every if options.all else [tasks.one(options)]:
        model = trace(task.variant.protocol)
        try:
            found = _explored(task, model, options)
        except NoSymmetry as error:
            raise UsageError(str(error)) from error
        except KeyError as error:
            known = ", ".join([*model.invariants, *model.conjuncts])
            raise UsageError(f"{task.subject} has no invariant {error}; it has {known}") from error
        records = list(_findings(task, model, found))
        findings.append(records, options.evidence)
        codes.append(_judged(task, found))
        for violation in list(found.violations.values())[:1] if options.save_trace else ():
            save(violation.trace, options.save_trace)
        documents.append(_document(task, found))
        if not options.json:
            _tell(task, model, found, whole=not options.all)
    if options.json:
        findings.print_json({"explorations": documents} if options.all else documents[0])
    return worst(codes)


# ---- exploring --------------------------------------------------------------------------------


def _explored(task: Task, model: Model, options: Namespace) -> Exploration:
    limits = Limits(
        memory_bytes=options.memory_mb * arguments.MEGABYTE,
        states=options.states,
        time_s=options.time_limit_s,
    )
    return explore(
        model,
        Bounds(**task.bounds),
        invariants=task.invariants,
        symmetry=task.symmetry,
        stop_at_violation=task.stop,
        limits=limits,
        progress=None if options.quiet else _reporter(task.subject),
    )


def _reporter(subject: str) -> Callable[[Progress], None]:
    """A line on standard error every few seconds."""
    said = 2.0

    def report(progress: Progress) -> None:
        nonlocal said
        if progress.elapsed_s >= said:
            said = progress.elapsed_s + 2.0
            print(
                f"{subject}: level {progress.level}, {progress.distinct:,} states, "
                f"{progress.waiting:,} waiting, {progress.elapsed_s:.0f} s",
                file=sys.stderr,
            )

    return report


# ---- what it means ------------------------------------------------------------------------------


def _judged(task: Task, found: Exploration) -> Exit:
    if task.refutation is not None:
        violation = found.violations.get(task.refutation.invariant)
        steps = violation.first_level - 1 if violation else None
        return Exit.AS_CLAIMED if steps == task.refutation.steps else Exit.REFUTED
    if found.violations:
        return Exit.REFUTED
    return Exit.AS_CLAIMED if found.complete or task.stop else Exit.UNDECIDED


def _findings(task: Task, model: Model, found: Exploration) -> Iterator[Finding]:
    checked = task.invariants or tuple(model.invariants)
    for name in checked:
        if name not in model.invariants:
            continue
        violation = found.violations.get(name)
        yield Finding(
            checker="explore",
            subject=task.subject,
            invariant=model.invariants[name],
            verdict=_verdict(violation, found),
            weight=found.distinct,
            wrong_variant=task.variant.is_wrong,
            story=tell(violation.trace) if violation else "",
            played=_played(violation, model.invariants[name]),
            note="" if found.complete or violation else f"not complete: {found.reason}",
            facts=_facts(task, found),
            counts=found.actions,
            duration_s=found.cpu_s,
            reproduce=task.command("explore"),
        )


def _played(violation: Violation | None, invariant: Property) -> Story | None:
    return story_of(violation.trace, sentence_of(invariant)) if violation else None


def _verdict(violation: Violation | None, found: Exploration) -> Verdict:
    if violation is not None:
        return Verdict.FAIL
    return Verdict.PASS if found.complete else Verdict.INCONCLUSIVE


def _facts(task: Task, found: Exploration) -> dict[str, Any]:
    return {
        "bounds": dict(task.bounds),
        "symmetry": task.symmetry,
        "distinct": found.distinct,
        "depth": found.depth,
        "complete": found.complete,
        "witnesses": dict(found.witnesses),
    }


# ---- what is said -------------------------------------------------------------------------------


def _document(task: Task, found: Exploration) -> dict[str, Any]:
    return {
        "model": task.family.name,
        "variant": task.variant.name,
        "bounds": dict(task.bounds),
        "symmetry": task.symmetry,
        "distinct": found.distinct,
        "generated": found.generated,
        "depth": found.depth,
        "levels": list(found.levels),
        "complete": found.complete,
        "reason": found.reason,
        "violations": {
            name: {
                "count": violation.count,
                "first_level": violation.first_level,
                "trace": as_json(violation.trace),
            }
            for name, violation in found.violations.items()
        },
        "actions": dict(found.actions),
        "witnesses": dict(found.witnesses),
        "deadlocks": found.deadlocks.count,
        "cpu_s": round(found.cpu_s, 3),
        "peak_rss_bytes": found.peak_rss_bytes,
    }


def _tell(task: Task, model: Model, found: Exploration, *, whole: bool) -> None:
    if not whole:
        seen = ", ".join(
            f"{name} violated in {violation.first_level - 1} steps"
            for name, violation in found.violations.items()
        )
        mark = "as claimed" if _judged(task, found) is Exit.AS_CLAIMED else "NOT AS CLAIMED"
        states = f"{found.distinct:,} states, {found.cpu_s:.1f} CPU-s"
        print(f"{mark}: {task.subject} ({task.size}): {states}; {seen or 'no violation'}")
        return
    print(f"{task.subject} with {task.size}{f', up to {task.symmetry}s' if task.symmetry else ''}")
    print(
        f"{found.distinct:,} distinct states in {found.depth} levels, {found.generated:,} "
        f"generated, {found.cpu_s:.2f} CPU-s, {found.peak_rss_bytes >> 20} MiB"
    )
    if not found.complete:
        print(f"NOT COMPLETE: {found.reason}")
    for action, count in found.actions.items():
        print(f"  {count:>12,}  {action}{'' if count else '   NEVER HAPPENED'}")
    for name, level in found.witnesses.items():
        print(f"  {f'level {level}' if level else 'NOT REACHED':>12}  witness {name}")
    print(f"  {found.deadlocks.count:>12,}  states without a successor (the bounds leave no room)")
    for name, violation in found.violations.items():
        print(f"\n{name} is violated in {violation.count:,} states; a shortest way to one:\n")
        print(tell(violation.trace))
    if not found.violations:
        print(f"No invariant is violated: {', '.join(task.invariants or model.invariants)}.")
    if task.variant.is_wrong:
        expected = ", ".join(f"{r.invariant} in {r.steps} steps" for r in task.variant.refutations)
        print(f"\nThis variant is wrong on purpose; it is known to break {expected}.")
