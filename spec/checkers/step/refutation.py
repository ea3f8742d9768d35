"""What refutes a property: the ways in which it can fail, each a search for values of variables.

`for all x: guard(x) implies (a(x) and b(x))` fails in two ways: some x with guard and not a, or
some x with guard and not b. A property taken apart like this is searched with early tests, and
after a step only those ways and values are searched again that the step can have affected.
"""

from dataclasses import dataclass

from spec.checkers.step.loops import conjunction
from spec.language.expression import Expr, all_of, any_of, make, not_
from spec.language.sorts import BOOL

SPLIT_MAX = 16
"""A disjunction is not taken apart into more ways than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One way to fail: some values of the variables meet all of the conditions."""

    variables: tuple[Expr, ...] = ()
    conditions: tuple[Expr, ...] = ()


def refutations(e: Expr) -> list[Clause]:
    """The property fails exactly if one of these is met."""
    if e.op == "const":
        return [] if e.args[0] else [Clause()]
    if e.op == "and":
        return [clause for part in e.args for clause in refutations(part)]
    if e.op == "forall":
        return [_within(e.args[0], clause) for clause in refutations(e.args[1])]
    if e.op == "or":
        return _joined(e)
    if e.op == "not" and e.args[0].op == "exists":
        variables, body = e.args[0].args
        return [Clause(variables=variables, conditions=tuple(conjunction(body)))]
    return [Clause(conditions=tuple(conjunction(not_(e))))]


def _within(variables: tuple[Expr, ...], clause: Clause) -> Clause:
    """The clause for some values of these; no sort is empty, so unused variables do not matter."""
    used = {variable.id for condition in clause.conditions for variable in condition.free}
    kept = [x for x in (*variables, *clause.variables) if x.id in used]
    return Clause(variables=tuple(kept), conditions=clause.conditions)


def _joined(e: Expr) -> list[Clause]:
    """A disjunction fails if all of its parts fail at once."""
    simple: list[Expr] = []
    split: list[list[Clause]] = []
    for part in e.args:
        ways = refutations(part)
        if len(ways) == 1 and not ways[0].variables:
            simple += ways[0].conditions
        else:
            split.append(ways)
    found = [Clause(conditions=tuple(simple))]
    for ways in split:
        together = _merged(ways, {variable.id for c in simple for variable in c.free})
        bound = {variable.id for clause in together for variable in clause.variables}
        known = {variable.id for clause in found for variable in clause.variables}
        if len(found) * len(together) > SPLIT_MAX or known & bound:
            together = [Clause(conditions=(_alternative(ways),))]
        found = [
            Clause(
                variables=(*one.variables, *other.variables),
                conditions=(*one.conditions, *other.conditions),
            )
            for one in found
            for other in together
        ]
    return found


def _merged(ways: list[Clause], known: set[int]) -> list[Clause]:
    """Ways with no variables but those that are looped over in any case become one."""
    plain = [
        way
        for way in ways
        if not way.variables and all(x.id in known for c in way.conditions for x in c.free)
    ]
    if len(plain) < 2:
        return ways
    merged = any_of(*(all_of(*way.conditions) for way in plain))
    rest = [way for way in ways if not any(way is one for one in plain)]
    return [Clause(conditions=(merged,)), *rest]


def _alternative(ways: list[Clause]) -> Expr:
    """That one of the ways is met, as one condition."""
    return any_of(
        *(
            make("exists", (way.variables, all_of(*way.conditions)), BOOL)
            if way.variables
            else all_of(*way.conditions)
            for way in ways
        )
    )
