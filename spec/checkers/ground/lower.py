"""From the expressions of a specification to ground ones: quantifiers become conjunctions.

An index that depends on the state becomes a chain of choices over the cells it may mean, a symbol
a table, a search over offsets a chain of conditions.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spec.checkers.bounds import Bounds
from spec.checkers.ground.nodes import Graph, Node, Table, Value, extent
from spec.language.expression import Expr, Symbol
from spec.language.sorts import BOOL, Sort
from spec.language.views import Leaf

Values = Mapping[int, int]
"""The values of variables, by the variable's id."""
Reader = Callable[[str, tuple[int, ...]], Value]
"""What a leaf holds at concrete indices."""


class Lowering:
    """Lowers expressions of one model within bounds. `read` says what its cells hold."""

    def __init__(
        self, leaves: Mapping[str, Leaf], bounds: Bounds, graph: Graph, read: Reader
    ) -> None:
        self.leaves, self.bounds, self.graph, self._read = leaves, bounds, graph, read
        self._known: dict[tuple[int, ...], Value] = {}
        self._tables: dict[Any, Table] = {}
        self._by_op: dict[str, Callable[[Expr, Values], Value]] = {
            "const": lambda e, _: e.args[0],
            "none": lambda _, __: -1,
            "var": lambda e, values: values[e.id],
            "get": lambda e, values: self.cell_at(e.args[0], self._all(e.args[1:], values)),
            "apply": self._applied,
            "add": lambda e, values: graph.total("add", *self._all(e.args, values)),
            "sub": lambda e, values: graph.total("sub", *self._all(e.args, values)),
            "lt": lambda e, values: graph.compare("lt", *self._all(e.args, values)),
            "le": lambda e, values: graph.compare("le", *self._all(e.args, values)),
            "eq": lambda e, values: graph.equal(*self._all(e.args, values)),
            "not": lambda e, values: graph.negation(self.lowered(e.args[0], values)),
            "and": lambda e, values: graph.all_of(self._until(False, e, values)),
            "or": lambda e, values: graph.any_of(self._until(True, e, values)),
            "ite": self._choice,
            "forall": lambda e, values: graph.all_of(self._bodies(e, values)),
            "exists": lambda e, values: graph.any_of(self._bodies(e, values)),
            "lastend": self._search,
            "first": self._search,
        }

    def lowered(self, expr: Expr, values: Values) -> Value:
        """The ground expression where the free variables have these values."""
        key = (expr.id, *(values[var.id] for var in expr.free))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._by_op[expr.op](expr, values)
        return found

    def _all(self, exprs: tuple[Expr, ...], values: Values) -> tuple[Value, ...]:
        return tuple(self.lowered(expr, values) for expr in exprs)

    def _until(self, zero: bool, expr: Expr, values: Values) -> Iterator[Value]:
        """The terms of a conjunction or disjunction, up to one that decides it."""
        for term in expr.args:
            value = self.lowered(term, values)
            yield value
            if value is zero:
                return

    def _choice(self, expr: Expr, values: Values) -> Value:
        condition = self.lowered(expr.args[0], values)
        if not isinstance(condition, Node):
            return self.lowered(expr.args[1] if condition else expr.args[2], values)
        return self.graph.choose(condition, *self._all(expr.args[1:], values))

    def _bodies(self, expr: Expr, values: Values) -> Iterator[Value]:
        variables, body = expr.args
        for chosen in itertools.product(*(self.bounds.domain(var.sort) for var in variables)):
            bound = {var.id: value for var, value in zip(variables, chosen, strict=True)}
            yield self.lowered(body, {**values, **bound})

    def _search(self, expr: Expr, values: Values) -> Value:
        """1 + the last offset below a limit where the body holds, else 0; or the first, else it."""
        (variable,), below, body = expr.args
        limit = self.lowered(below, values)
        last = expr.op == "lastend"
        result: Value = 0 if last else limit
        offsets = [int(value) for value in self.bounds.domain(variable.sort) if value >= 0]
        for offset in offsets if last else reversed(offsets):
            inside = self.graph.compare("lt", offset, limit)
            holds = self.lowered(body, {**values, variable.id: offset})
            hit = self.graph.all_of((inside, holds))
            result = self.graph.choose(hit, offset + last, result)
        return result

    # ---- reads ----------------------------------------------------------------------------------

    def cell_at(self, leaf: str, index: tuple[Value, ...]) -> Value:
        """What the leaf holds there; an index outside its sort means the last one."""
        dims = self.leaves[leaf].dims
        place = next((k for k, x in enumerate(index) if isinstance(x, Node)), None)
        if place is None:
            pairs = [(s, i) for s, i in zip(dims, index, strict=True) if not isinstance(i, Node)]
            return self._read(leaf, tuple(self.bounds.inside(sort, i) for sort, i in pairs))
        *others, last = self.bounds.domain(dims[place])

        def at(value: int) -> Value:
            return self.cell_at(leaf, (*index[:place], value, *index[place + 1 :]))

        result = at(last)
        for value in reversed(others):
            hit = self.graph.equal(index[place], value)
            if hit is not False:
                result = self.graph.choose(hit, at(value), result)
        return result

    def _applied(self, expr: Expr, values: Values) -> Value:
        symbol: Symbol = expr.args[0]
        args = self._all(expr.args[1:], values)
        is_bool = symbol.result is BOOL
        key = (symbol.name, *((extent(x) if isinstance(x, Node) else x) for x in args))
        if key not in self._tables:
            self._tables[key] = self._table(symbol, args)
        varying = tuple(x for x in args if isinstance(x, Node))
        table = self._tables[key]
        return self.graph.lookup(table, varying, is_bool) if varying else table.values[0]

    def _table(self, symbol: Symbol, args: tuple[Value, ...]) -> Table:
        """The symbol's values, for all that the arguments can be."""
        spans = [extent(x) for x in args if isinstance(x, Node)]
        choices = [range(low, high + 1) for low, high in map(extent, args)]
        entries = tuple(self._entry(symbol, chosen) for chosen in itertools.product(*choices))
        sizes = tuple(high - low + 1 for low, high in spans)
        return Table(entries, tuple(low for low, _ in spans), sizes)

    def _entry(self, symbol: Symbol, args: tuple[int, ...]) -> int | bool:
        inside = [self.bounds.inside(s, x) for s, x in zip(symbol.args, args, strict=True)]
        return self.bounds.applied(symbol, inside)


def domains(bounds: Bounds, sorts: tuple[Sort, ...]) -> Iterator[tuple[int, ...]]:
    """Every combination of values of these sorts."""
    return itertools.product(*(bounds.domain(sort) for sort in sorts))
