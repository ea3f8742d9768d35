"""Loops over the values of variables, cut short by the conditions that they must meet.

`offset < high_watermark` becomes the end of a range, `request.leader == leader` a value instead of
a search, and every condition is tested in the outermost loop where it can be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from spec.checkers.bounds import Bounds
from spec.language.expression import Expr, not_
from spec.language.sorts import Sort


class Scope(Protocol):
    """What a loop is written into."""

    names: dict[int, str]

    @property
    def instance(self) -> "Spans": ...

    def text(self, e: Expr) -> str: ...

    def fresh(self, name: str) -> str: ...

    def knows(self, e: Expr) -> bool: ...


class Spans(Protocol):
    """What is known about the values of expressions."""

    @property
    def bounds(self) -> Bounds: ...

    def span(self, e: Expr) -> tuple[int, int]: ...

    def fits(self, e: Expr, sort: Sort) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """`for name in values`. Whoever writes it makes the variable known under the name."""

    variable: Expr
    name: str
    values: str
    """A range or a tuple; or what is in its place: the only value."""
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """Conditions that can be tested here."""

    conditions: tuple[Expr, ...]


def conjunction(e: Expr) -> list[Expr]:
    """Conditions that together say that it holds."""
    if e.op == "not" and e.args[0].op == "or":
        return negation(e.args[0])
    return [part for x in e.args for part in conjunction(x)] if e.op == "and" else [e]


def negation(e: Expr) -> list[Expr]:
    """Conditions that together say that it does not hold."""
    if e.op == "not":
        return conjunction(e.args[0])
    return [part for x in e.args for part in negation(x)] if e.op == "or" else [not_(e)]


def clauses(
    scope: Scope, variables: Sequence[Expr], conditions: Sequence[Expr]
) -> Iterator[Loop | Test]:
    """Loops over all values of the variables that meet the conditions, and the tests between them.

    The writer must make each variable known before it asks for the next part.
    """
    open_, todo = list(conditions), list(variables)
    while True:
        ready = tuple(condition for condition in open_ if scope.knows(condition))
        if ready:
            done = {condition.id for condition in ready}
            open_ = [condition for condition in open_ if condition.id not in done]
            yield Test(conditions=ready)
        if not todo:
            return
        variable = _next(scope, todo, open_)
        todo = [x for x in todo if x is not variable]
        limits = _limits(scope, variable, open_)
        loop = limits.loop(scope, variable)
        open_ = [condition for condition in open_ if condition.id not in limits.used]
        yield loop


def _next(scope: Scope, todo: Sequence[Expr], conditions: Sequence[Expr]) -> Expr:
    """A variable with one possible value; else one that gives another its value; else the first."""
    equations = [(c.args[0], c.args[1]) for c in conditions if c.op == "eq"]
    sides: list[tuple[Expr, Expr]] = [*equations, *((b, a) for a, b in equations)]
    unknown = {variable.id for variable in todo}
    helpful: Expr | None = None
    for target, value in sides:
        if target.id not in unknown:
            continue
        missing = [x for x in value.free if x.id not in scope.names]
        if not missing:
            return next(variable for variable in todo if variable is target)
        if len(missing) == 1 and missing[0].id in unknown and missing[0] is not target:
            helpful = helpful if helpful is not None else missing[0]
    return next((variable for variable in todo if variable is helpful), todo[0])


@dataclass(slots=True)
class _Limits:
    """What conditions say of one variable."""

    equal: Expr | None = None
    low: list[tuple[Expr, int]] = field(default_factory=list)
    """Expressions, each with what is added to it, that the variable is not less than."""
    high: list[tuple[Expr, int]] = field(default_factory=list)
    """... that it is less than."""
    used: set[int] = field(default_factory=set)
    """The conditions that the loop makes sure of."""
    equation: int = 0
    """The condition that says what it is equal to."""

    def loop(self, scope: Scope, variable: Expr) -> Loop:
        """The loop over the values within the limits; `used` is what need not be tested in it."""
        name = scope.fresh(variable.args[0])
        if self.equal is not None and scope.instance.fits(self.equal, variable.sort):
            self.used = {self.equation}
            value = scope.text(self.equal)
            return Loop(variable=variable, name=name, values=value, single=True)
        return Loop(variable=variable, name=name, values=self._range(scope, variable))

    def _range(self, scope: Scope, variable: Expr) -> str:
        domain = scope.instance.bounds.domain(variable.sort)
        if isinstance(domain, tuple):
            self.used = set()
            return all_values(domain)
        low, high = list(self.low), list(self.high)
        if self.equal is not None:
            low.append((self.equal, 0))
            high.append((self.equal, 1))
        starts = [_plus(scope.text(e), more) for e, more in low]
        ends = [_plus(scope.text(e), more) for e, more in high]
        if not any(scope.instance.span(e)[0] + more >= domain.start for e, more in low):
            starts.append(str(domain.start))
        if not any(scope.instance.span(e)[1] + more <= domain.stop for e, more in high):
            ends.append(str(domain.stop))
        return f"range({_extreme('max', starts)}, {_extreme('min', ends)})"


def all_values(domain: range | tuple[bool, bool]) -> str:
    """The values of a sort, as what a loop runs over."""
    if isinstance(domain, tuple):
        return str(domain)
    return f"range({domain.start}, {domain.stop})"


def _plus(text: str, more: int) -> str:
    if text.removeprefix("-").isdigit():
        return str(int(text) + more)
    return f"{text} + {more}" if more else text


def _extreme(function: str, texts: Sequence[str]) -> str:
    kept = list(dict.fromkeys(texts))
    return kept[0] if len(kept) == 1 else f"{function}({', '.join(kept)})"


def _limits(scope: Scope, variable: Expr, conditions: Sequence[Expr]) -> _Limits:
    limits = _Limits()
    for condition in conditions:
        op, a, b = comparison(condition)
        if a is variable and b is not None and scope.knows(b):
            other, mine_first = b, True
        elif b is variable and a is not None and scope.knows(a):
            other, mine_first = a, False
        else:
            continue
        if op == "eq":
            if limits.equal is not None:
                continue
            limits.equal, limits.equation = other, condition.id
        elif mine_first:
            limits.high.append((other, int(op == "le")))
        else:
            limits.low.append((other, int(op == "lt")))
        limits.used.add(condition.id)
    return limits


def comparison(e: Expr) -> tuple[str, Expr | None, Expr | None]:
    """An order or an equation, its negation turned round: not a < b is b <= a."""
    if e.op in ("eq", "lt", "le"):
        return e.op, e.args[0], e.args[1]
    if e.op == "not" and e.args[0].op in ("lt", "le"):
        a, b = e.args[0].args
        return ("le" if e.args[0].op == "lt" else "lt"), b, a
    return "", None, None
