"""Any counterexample as a path of states: what a solver or a walk found is run once more."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Moment, Trace
from spec.checkers.ground import Ground
from spec.checkers.itf import Getter, trace_to_itf
from spec.checkers.step import Machine
from spec.command.outcome import UsageError
from spec.language import Model


class NotABehaviour(AssertionError):
    """Checkers disagree about what is possible: one of them is wrong."""


def replayed(model: Model, bounds: Bounds, moves: Iterable[tuple[str, Sequence[int]]]) -> Trace:
    """The path that these actions with their parameters take from the initial state.

    Raises `NotABehaviour` where one is not possible.
    """
    machine, layout = Machine(model, bounds), Ground(model, bounds).cells
    state = machine.initial

    def moment(action: str, params: Sequence[int]) -> Moment:
        names = [param.args[0] for param in model.actions[action].params] if action else []
        return Moment(
            action=action,
            params=dict(zip(names, params, strict=True)),
            cells=tuple(machine.value(state, cell.leaf.name, *cell.index) for cell in layout),
        )

    moments = [moment("", ())]
    for action, params in moves:
        after = machine.step[action](state, *params)
        if after is None:
            raise NotABehaviour(f"{model.name}: {action}{tuple(params)} is not possible here")
        state = after
        moments.append(moment(action, params))
    return Trace(model=model, bounds=bounds, layout=tuple(layout), moments=tuple(moments))


def itf_document(trace: Trace) -> dict[str, Any]:
    """A path in the Informal Trace Format."""

    def getter(cells: Sequence[int | bool]) -> Getter:
        at = {(c.leaf.name, *c.index): v for c, v in zip(trace.layout, cells, strict=True)}
        return lambda leaf, *index: at[leaf, *index]

    moments = [(m.action, tuple(m.params.values()), getter(m.cells)) for m in trace.moments]
    return trace_to_itf(trace.model, trace.bounds, moments)


def save(trace: Trace, path: Path) -> None:
    """Writes a path as an ITF file, which `trace` reads. Raises `UsageError`."""
    document = itf_document(trace)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
