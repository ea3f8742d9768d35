"""Leaving one guard out of a model: what breaks then is the reason for the guard."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from spec.checkers.bounds import Bounds
from spec.checkers.explore import explore
from spec.language import Expr, Model, show


def without(model: Model, action: str, text: str) -> Model:
    """The model without the only guard of the action that reads like this."""
    changed = model.actions[action]
    guards = [part for guard, _ in changed.requires for part in _parts(guard)]
    kept = [guard for guard in guards if text not in show(guard)]
    assert len(kept) == len(guards) - 1, [show(guard) for guard in guards]
    weaker = replace(changed, requires=[(guard, "") for guard in kept])
    return replace(model, actions={**model.actions, action: weaker})


def _parts(guard: Expr) -> Iterator[Expr]:
    if guard.op == "and":
        for part in guard.args:
            yield from _parts(part)
    else:
        yield guard


def broken(model: Model, bounds: Mapping[str, int], symmetry: str = "") -> set[str]:
    """The invariants that the shortest counterexamples break; none if the model is right."""
    found = explore(model, Bounds(**bounds), symmetry=symmetry, stop_at_violation=True)
    assert found.complete or found.violations, found.reason
    return set(found.violations)
