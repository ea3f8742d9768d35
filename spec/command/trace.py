"""`trace`: whether the steps of a file are steps of the model, and which rule refuses one."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from spec.checkers.bounds import Bounds
from spec.checkers.itf import Document, ItfError, read_document, steps_of
from spec.checkers.step import OutsideDomain
from spec.checkers.trace import Checked, Validator, check
from spec.command import findings, tasks
from spec.command.outcome import Exit, UsageError
from spec.command.tasks import Task
from spec.language import trace


def run(options: Namespace) -> Exit:
    task = tasks.one(options)
    document = _of_family(_read(options.file), task)
    model = trace(task.variant.protocol)
    counts = {**task.bounds, **document.bounds} if not options.bounds else dict(task.bounds)
    bounds = Bounds(**counts)
    try:
        found = check(Validator(model, bounds), steps_of(document, model, bounds))
    except (ItfError, OutsideDomain) as error:
        raise UsageError(f"{options.file}: {error}") from error
    if options.json:
        findings.print_json(_document(task, found))
    else:
        _tell(task, found)
    return Exit.AS_CLAIMED if found.failure is None and not found.broken else Exit.REFUTED


def _read(path: Path) -> Document:
    try:
        return read_document(path)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ItfError as error:
        raise UsageError(str(error)) from error


def _of_family(document: Document, task: Task) -> Document:
    """A run of one variant may be put to another: to see which rule makes the difference."""
    variants = {variant.protocol.__name__ for variant in task.family.variants}
    return replace(document, model="") if document.model in variants else document


def _document(task: Task, found: Checked) -> dict[str, Any]:
    return {
        "model": task.family.name,
        "variant": task.variant.name,
        "steps": found.steps,
        "allowed": found.failure is None,
        "failure": None if found.failure is None else str(found.failure),
        "broken": [{"step": step, "invariant": name} for step, name in found.broken],
    }


def _tell(task: Task, found: Checked) -> None:
    print(f"{task.subject}: {found.steps:,} steps are allowed")
    for step, name in found.broken:
        print(f"  step {step} breaks {name}")
    if found.failure is not None:
        print(f"  step {found.steps + 1}: {found.failure}")
