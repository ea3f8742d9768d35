"""Why a step is refused: the rule and its line, the variable that differs, or the bound."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spec.checkers.bounds import bound_guards
from spec.checkers.step.answers import Outgrown, Refused, State
from spec.checkers.step.loops import conjunction
from spec.language.expression import Expr
from spec.language.sorts import BOOL, Sort
from spec.language.text import show

if TYPE_CHECKING:
    from spec.checkers.step.machine import Machine


def of_refusal(
    machine: "Machine", state: State, action: str, params: tuple[int, ...]
) -> Refused | Outgrown:
    """Why `step` gave None: the first rule, in the order of the text, that is false."""
    traced = machine.model.actions[action]
    values = dict(zip(traced.params, params, strict=True))
    for condition, where in traced.requires:
        for part in conjunction(condition):
            if not machine.evaluate(part, state, values):
                rule, witness = show(part), _witness(machine, part, state, values)
                return Refused(
                    step=step_text(machine, action, params),
                    reason=f"{rule} is false{_places(machine, part, witness)}",
                    rule=rule,
                    where=where,
                    witness=witness,
                )
    failing = [
        guard
        for guard in bound_guards(traced, machine.model, machine.bounds)
        if not machine.evaluate(guard, state, values)
    ]
    small = [
        sort
        for guard in failing
        for sort, need in _needs(guard)
        if not _is_closed(need, values) or not machine.evaluate(need, state, values)
    ]
    step = step_text(machine, action, params)
    return Outgrown(step=step, bound=", ".join(dict.fromkeys(small)))


def step_text(machine: "Machine", action: str, params: Sequence[int]) -> str:
    """`leader_write(leader=b1)`."""
    pairs = zip(machine.model.actions[action].params, params, strict=True)
    texts = (f"{x.args[0]}={value_text(machine, x.sort, value)}" for x, value in pairs)
    return f"{action}({', '.join(texts)})"


def value_text(machine: "Machine", sort: Sort, value: Any) -> str:
    """A value of a sort, or a map to such values, as people write it."""
    if isinstance(value, tuple):
        return f"[{', '.join(value_text(machine, sort, part) for part in value)}]"
    if sort is BOOL or not isinstance(value, int):
        return str(value).lower()
    return machine.bounds.text(sort, value)


def _places(machine: "Machine", rule: Expr, witness: dict[str, int]) -> str:
    """` for member = b3`."""
    if not witness:
        return ""
    sorts = {variable.args[0]: variable.sort for variable in rule.args[0]}
    texts = (f"{name} = {value_text(machine, sorts[name], x)}" for name, x in witness.items())
    return f" for {', '.join(texts)}"


def _witness(
    machine: "Machine", rule: Expr, state: State, values: dict[Expr, int]
) -> dict[str, int]:
    """Values of the variables of a universal rule for which it is false."""
    if rule.op != "forall":
        return {}
    variables, body = rule.args
    holds = machine.function(body, [*values, *variables])
    domains = [machine.bounds.domain(variable.sort) for variable in variables]
    found = next(
        found for found in itertools.product(*domains) if not holds(state, *values.values(), *found)
    )
    return {variable.args[0]: int(x) for variable, x in zip(variables, found, strict=True)}


def _needs(guard: Expr) -> Iterator[tuple[str, Expr]]:
    """What must fit, with the sort that it must fit.

    A guard is `not condition, or all needs`, perhaps for all values of wild indices; a need
    compares with a constant of the sort.
    """
    body = guard.args[1] if guard.op == "forall" else guard
    for need in conjunction(body.args[-1] if body.op == "or" else body):
        compared = need.args[0] if need.op == "not" else need
        if compared.op in ("le", "eq"):
            constant = (x.sort for x in compared.args if x.op == "const")
            yield next(constant, compared.args[0].sort).name, need


def _is_closed(e: Expr, values: dict[Expr, int]) -> bool:
    return all(any(x is known for known in values) for x in e.free)


def of_difference(
    machine: "Machine", action: str, params: tuple[int, ...], difference: "Difference"
) -> Refused:
    """The action is possible, but makes something else of a variable."""
    traced = machine.model.actions[action]
    assigned = any(write.leaf == difference.leaf for write in traced.writes)
    rule = "what the action assigns" if assigned else "what is not assigned does not change"
    return refusal(machine, difference, step_text(machine, action, params), rule, traced.where)


def refusal(
    machine: "Machine", difference: "Difference", step: str, rule: str, where: str
) -> Refused:
    """A refusal because a variable differs."""
    sort = machine.model.leaves[difference.leaf].scalar.sort
    observed = value_text(machine, sort, difference.observed)
    expected = value_text(machine, sort, difference.expected)
    return Refused(
        step=step,
        reason=f"{difference.variable} is {observed}, the model says {expected}: {rule}",
        rule=rule,
        where=where,
        variable=difference.variable,
        expected=difference.expected,
        observed=difference.observed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A variable, or a part of it, that is not as the model says."""

    leaf: str
    variable: str
    """With its indices: `high_watermark[b2]`."""
    expected: Any
    observed: Any


def where_they_differ(
    machine: "Machine", leaf: str, index: Sequence[int], expected: Any, observed: Any
) -> Iterator[Difference]:
    """Cell by cell, if both are maps of the same size; else the whole."""
    alike = isinstance(expected, tuple) and isinstance(observed, tuple)
    dims = machine.model.leaves[leaf].dims
    if not alike or len(expected) != len(observed):
        pairs = zip(dims, index, strict=False)
        places = ", ".join(value_text(machine, sort, value) for sort, value in pairs)
        variable = f"{leaf}[{places}]" if places else leaf
        yield Difference(leaf=leaf, variable=variable, expected=expected, observed=observed)
        return
    first = int(machine.bounds.domain(dims[len(index)])[0])
    for position, (one, other) in enumerate(zip(expected, observed, strict=True)):
        if one != other:
            yield from where_they_differ(machine, leaf, [*index, position + first], one, other)
