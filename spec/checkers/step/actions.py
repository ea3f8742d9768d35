"""Functions for the actions of a model: one step, and all steps."""

import contextlib
from collections.abc import Sequence

from spec.checkers.bounds import bound_guards
from spec.checkers.step.effects import closed_parts, next_state, write_effect
from spec.checkers.step.loops import all_values, conjunction
from spec.checkers.step.refutation import refutations
from spec.checkers.step.source import Function, Instance, all_texts
from spec.language.expression import Expr
from spec.language.protocol import Action


def guards(instance: Instance, action: Action) -> list[Expr]:
    """What the text requires, then what the bounds ask for; conjunctions are taken apart."""
    required = [condition for condition, _ in action.requires]
    bounded = bound_guards(action, instance.model, instance.bounds)
    return [part for condition in (*required, *bounded) for part in conjunction(condition)]


def parameter(param: Expr) -> str:
    return f"p_{param.args[0]}"


def step_source(instance: Instance, action: Action) -> str:
    """`step(s, *params)`: the next state; None if it is refused or outgrows the bounds.

    Raises OutsideDomain for parameters that their sorts do not have.
    """
    conditions = guards(instance, action)
    effect = [e for write in action.writes for e in closed_parts(write)]
    function = Function(instance, count=[*conditions, *effect])
    names = [parameter(param) for param in action.params]
    function.names.update(zip((param.id for param in action.params), names, strict=True))
    tested: set[str] = set()
    for condition in conditions:
        function.share([condition])
        test = function.text(condition)
        if test == "False":
            function.line("return None")
            break
        if test != "True" and test not in tested:
            function.line(f"if not {test}: return None")
        tested.add(test)
        function.learn([condition])
    new = write_effect(function, action)
    function.line(f"return {next_state(instance.model, new)}")
    checks = []
    if names:
        outside = f"raise OutsideDomain(outside({action.name!r}, ({', '.join(names)},)))"
        checks = [f"    if not {_in_domains(instance, action)}: {outside}"]
    return function.finished(f"step_{action.name}", ["s", *names], checks)


def _in_domains(instance: Instance, action: Action) -> str:
    texts = []
    for param in action.params:
        values = all_values(instance.bounds.domain(param.sort))
        texts.append(f"{parameter(param)} in {values}")
    return f"({all_texts(texts)})"


def moves_source(instance: Instance, action: Action) -> str:
    """`moves(s, out)`: calls out((action, params, next state)) for every step by this action."""
    conditions = guards(instance, action)
    effect = [e for write in action.writes for e in closed_parts(write)]
    function = Function(instance, count=[*conditions, *effect])
    with contextlib.ExitStack() as stack:
        if function.nest(stack, action.params, conditions):
            new = write_effect(function, action)
            params = "".join(f"{function.names[param.id]}, " for param in action.params)
            state = next_state(instance.model, new)
            function.line(f"out(({action.name!r}, ({params}), {state}))")
    function.line("return None")
    return function.finished(f"moves_{action.name}", ["s", "out"])


def property_source(instance: Instance, name: str, e: Expr) -> str:
    """`holds(s)`: whether a property holds, by a search for what refutes it."""
    clauses = refutations(e)
    function = Function(instance, count=[c for clause in clauses for c in clause.conditions])
    for clause in clauses:
        with contextlib.ExitStack() as stack:
            stack.enter_context(function.scope())
            if function.nest(stack, clause.variables, clause.conditions):
                function.line("return False")
    function.line("return True")
    return function.finished(name, ["s"])


def value_source(instance: Instance, name: str, params: Sequence[Expr], e: Expr) -> str:
    """`value(s, *params)`: the value of an expression."""
    function = Function(instance)
    names = [f"v_{param.args[0]}_{index}" for index, param in enumerate(params)]
    function.names.update(zip((param.id for param in params), names, strict=True))
    function.line(f"return {function.text(e)}")
    return function.finished(name, ["s", *names])
