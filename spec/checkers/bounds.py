"""Finite instances: how many values each sort has, and what that forbids.

A specification knows no bounds; a finite instance is chosen here. What a bound means:

* An action is impossible if a value that it would store, or an index that it would store at, lies
  outside its type. `bound_guards` derives these guards from the types, so no value ever overflows.
* A read outside a map, and a symbol applied outside its sorts, give what the last index gives. All
  checkers of finite instances agree on that; a specification must make such reads irrelevant.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spec.language.expression import Expr, Symbol, all_of, any_of, const, make, not_
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Scalar, Sort
from spec.language.views import Leaf, Write

COUNT_MAX = 10_000
"""Larger counts are refused: each finite checker runs through all values somewhere.

The explorer and the solver are narrower; they say so themselves.
"""


class BoundsError(ValueError):
    """The bounds do not fit the model; the message names the sort or the number."""


class _Reads(Mapping[str, int]):
    """Counts that remember which of them were asked for."""

    def __init__(self, counts: Mapping[str, int], model: str) -> None:
        self._counts, self._model = counts, model
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> int:
        self.asked.add(name)
        if name not in self._counts:
            raise BoundsError(f"{self._model} needs a bound for {name}; given: {_list(self)}")
        return self._counts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={count}" for name, count in counts.items()) or "nothing"


class Bounds:
    """`Bounds(Broker=3, Epoch=2, Offset=2, min_insync=2)`: sizes by the name of a sort.

    A count is the number of values from 0 on; a sort whose first value is -1 has one more. Numbers
    that only a theory reads, such as min_insync, stand beside the sorts. Raises BoundsError for a
    count that is not between 1 and COUNT_MAX.
    """

    def __init__(self, **counts: int) -> None:
        for name, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise BoundsError(f"{name}={count}: a bound is a whole number of at least 1")
            if count > COUNT_MAX:
                raise BoundsError(f"{name}={count} is too large: at most {COUNT_MAX}")
        self.counts: Mapping[str, int] = counts
        self._domains: dict[Sort, range | tuple[bool, bool]] = {BOOL: (False, True)}

    def __repr__(self) -> str:
        return f"Bounds({_list(self.counts)})"

    def domain(self, sort: Sort) -> range | tuple[bool, bool]:
        """The values of a sort, in order. An abstract sort has the indices of its values."""
        found = self._domains.get(sort)
        if found is None:
            counts = _Reads(self.counts, "a sort")
            size = sort.size(counts)
            if not 1 <= size <= COUNT_MAX + 1:
                raise BoundsError(
                    f"{sort} has {size} values in {self}: 1 to {COUNT_MAX + 1} allowed"
                )
            found = self._domains[sort] = range(sort.first, sort.first + size)
        return found

    def range_of(self, scalar: Scalar) -> tuple[int, int]:
        """The smallest and the largest integer that stand for a value; NONE is -1."""
        domain = self.domain(scalar.sort)
        return (-1 if scalar.optional else int(domain[0])), int(domain[-1])

    def inside(self, sort: Sort, value: int) -> int:
        """The value if the sort has it, else the sort's last one (what a stray read gives)."""
        domain = self.domain(sort)
        return value if value in domain else int(domain[-1])

    def applied(self, symbol: Symbol, arguments: Sequence[int]) -> int | bool:
        """What the table of a function says. Raises BoundsError for what its sort does not have.

        Intervals, and so the room that values are packed into, rely on it.
        """
        value = symbol.at(self.counts, *arguments)
        if value not in self.domain(symbol.result):
            shown = ", ".join(map(str, arguments))
            raise BoundsError(f"{symbol.name}({shown}) is {value}, no {symbol.result} in {self}")
        return bool(value) if symbol.result is BOOL else int(value)

    def table(self, symbol: Symbol, arguments: tuple[int, ...] = ()) -> Any:
        """What a function says of all values of its sorts, in their order: sequences in sequences,
        one level for each sort."""
        if len(arguments) == len(symbol.args):
            return self.applied(symbol, arguments)
        domain = self.domain(symbol.args[len(arguments)])
        return tuple(self.table(symbol, (*arguments, int(value))) for value in domain)

    def text(self, sort: Sort, value: int) -> str:
        """A value as people write it."""
        return sort.text(value, self.counts)

    def first_value(self, leaf: Leaf, index: Sequence[int], value: int | bool) -> int | bool:
        """The value that a leaf starts with. Raises BoundsError if its type does not have it."""
        low, high = self.range_of(leaf.scalar)
        if not low <= value <= high:
            raise BoundsError(
                f"{leaf.name}{list(index)} starts outside its type: {value} in {self}"
            )
        return bool(value) if leaf.scalar.sort is BOOL else int(value)

    def check(self, model: Model) -> None:
        """Raises BoundsError unless the bounds name exactly what the model needs."""
        counts = _Reads(self.counts, model.name)
        for sort in model.sorts.values():
            sort.size(counts)
        for symbol in model.symbols.values():
            symbol.at(counts, *[int(self.domain(sort)[0]) for sort in symbol.args])
        unknown = sorted(set(self.counts) - counts.asked)
        if unknown:
            known = ", ".join(sorted(counts.asked))
            raise BoundsError(f"{model.name} has no {', '.join(unknown)}; its bounds are: {known}")


# ---- how large an expression can get ------------------------------------------------------------


def span(expr: Expr, model: Model, bounds: Bounds) -> tuple[int, int]:
    """The smallest and the largest value that the expression can have, by interval arithmetic."""
    return _Spans(model, bounds).of(expr)


class _Spans:
    """Intervals of expressions of one model; each shared part is computed once."""

    def __init__(self, model: Model, bounds: Bounds) -> None:
        self.model, self.bounds = model, bounds
        self._known: dict[int, tuple[int, int]] = {}

    def of(self, expr: Expr) -> tuple[int, int]:
        found = self._known.get(expr.id)
        if found is None:
            found = self._known[expr.id] = self._compute(expr)
        return found

    def _compute(self, expr: Expr) -> tuple[int, int]:
        op, args = expr.op, expr.args
        if op == "const":
            return int(args[0]), int(args[0])
        if op == "none":
            return -1, -1
        if op == "get":
            return self.bounds.range_of(self.model.leaves[args[0]].scalar)
        if op in ("var", "apply"):
            return self.bounds.range_of(Scalar(expr.sort))
        if op in ("add", "sub"):
            (low, high), (low2, high2) = self.of(args[0]), self.of(args[1])
            return (low + low2, high + high2) if op == "add" else (low - high2, high - low2)
        if op == "ite":
            return self._choice(*args)
        if op == "lastend":
            return 0, max(0, self.of(args[1])[1])
        if op == "first":
            low, high = self.of(args[1])
            return min(0, low), high
        return 0, 1

    def _choice(self, condition: Expr, then: Expr, otherwise: Expr) -> tuple[int, int]:
        """smaller(x, y) is ite(x <= y, x, y), and larger the reverse: both have a tighter side."""
        (low, high), (low2, high2) = self.of(then), self.of(otherwise)
        compared = [arg.id for arg in condition.args] if condition.op == "le" else []
        bottom = max(low, low2) if compared == [otherwise.id, then.id] else min(low, low2)
        top = min(high, high2) if compared == [then.id, otherwise.id] else max(high, high2)
        return bottom, top


# ---- what the bounds forbid ---------------------------------------------------------------------


def bound_guards(action: Action, model: Model, bounds: Bounds) -> list[Expr]:
    """What must hold for the action's writes to stay inside the bounds.

    Only what the types do not imply already; where a write has a condition, only if it holds.
    """
    spans = _Spans(model, bounds)
    guards = []
    for write in action.writes:
        needs = [need for part in _stored(write, model) for need in _fits(*part, spans)]
        if needs:
            guard = any_of(not_(write.cond), all_of(*needs))
            wild = {var.id for var in write.wild}
            free = any(var.id in wild for var in guard.free)
            guards.append(make("forall", (write.wild, guard), BOOL) if free else guard)
    return guards


def _stored(write: Write, model: Model) -> Iterator[tuple[Expr, Scalar]]:
    """The value that is written and the indices it is written at, each with its type."""
    leaf = model.leaves[write.leaf]
    yield write.value, leaf.scalar
    for index, sort in zip(write.idx, leaf.dims, strict=True):
        yield index, Scalar(sort)


def _fits(expr: Expr, scalar: Scalar, spans: _Spans) -> Iterator[Expr]:
    """What must hold for the expression to be a value of the type."""
    if scalar.sort is BOOL:
        return
    (low, high), (least, most) = spans.of(expr), spans.bounds.range_of(scalar)
    if high > most:
        yield make("le", (expr, const(most, scalar.sort)), BOOL)
    if low < least and scalar.sort.is_ordered:
        yield make("le", (const(least, scalar.sort), expr), BOOL)
    elif low < least:
        yield not_(expr == make("none", (), scalar.sort.base))
