"""Finite instances as bit-vectors: every sort has the values that the bounds give it.

A map is a table of cells. A read at an index that is not known is a choice among the cells, and so
is a rigid symbol, which is given by its table. Compound terms get names, so that what is shared is
built once; the definitions pile up in `script` until a solver takes them.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from spec.checkers.bounds import Bounds, bound_guards, span
from spec.checkers.smt.terms import (
    Environment,
    State,
    Term,
    World,
    every_expression,
    optional_sorts,
)
from spec.language.expression import Expr, Symbol, parts
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Scalar, Sort
from spec.language.views import Leaf

Cell = tuple[str, tuple[int, ...]]
"""A leaf and indices into it."""


class Finite(World):
    """A finite instance of a model.

    `script` collects SMT-LIB declarations and definitions; `take` hands them over.
    """

    def __init__(self, model: Model, bounds: Bounds) -> None:
        super().__init__(model)
        self.bounds = bounds
        self.optional = optional_sorts(model)
        self.script: list[str] = []
        self.cells: dict[Cell, Leaf] = {
            (leaf.name, indices): leaf
            for leaf in model.leaves.values()
            for indices in self.tuples(leaf.dims)
        }
        """Every cell of a state, in a fixed order."""
        self.guards: dict[str, list[tuple[Expr, str]]] = {
            action.name: [
                *action.requires,
                *[(guard, f"bounds of {action.name}") for guard in self._bound_guards(action)],
            ]
            for action in model.actions.values()
        }
        """What each action needs here: its own conditions, and what the bounds add."""
        self._names: dict[str, str] = {}
        self._opposite: dict[str, str] = {}
        self._tables: dict[tuple[object, ...], Term] = {}
        self._widths = self._needed_widths()

    def _bound_guards(self, action: Action) -> list[Expr]:
        return bound_guards(action, self.model, self.bounds)

    def _needed_widths(self) -> dict[str, int]:
        """Bits for each sort such that no sum of the model ever overflows (two's complement)."""
        reach: dict[str, tuple[int, int]] = {}

        def widen(sort: Sort, low: int, high: int) -> None:
            old = reach.get(sort.name, (-1, 0))
            reach[sort.name] = min(old[0], low), max(old[1], high)

        for sort in self.model.sorts.values():
            domain = self.bounds.domain(sort)
            # One more at each side: `end` sorts and what lies just outside a map.
            widen(sort, int(domain[0]) - 1, int(domain[-1]) + 2)
        guards = [guard for each in self.guards.values() for guard, _ in each]
        for e in (*guards, *every_expression(self.model)):
            for part in parts(e):
                if part.op in ("add", "sub", "const", "lastend") and part.sort is not BOOL:
                    widen(part.sort, *span(part, self.model, self.bounds))
        return {
            name: max((-low - 1).bit_length(), high.bit_length()) + 1
            for name, (low, high) in reach.items()
        }

    # ---- terms -----------------------------------------------------------------------------------

    def compound(self, text: str, sort: Sort) -> str:
        name = self._names.get(text)
        if name is None:
            name = self._names[text] = f"t{len(self._names)}"
            self.script.append(f"(define-fun {name} () {self.sort_text(sort)} {text})")
        return name

    def negation(self, term: Term) -> Term:
        if not isinstance(term, str):
            return not term
        opposite = self._opposite.get(term)
        if opposite is None:
            opposite = self._opposite[term] = self.compound(f"(not {term})", BOOL)
            self._opposite[opposite] = term
        return opposite

    def sort_text(self, sort: Sort) -> str:
        return "Bool" if sort is BOOL else f"(_ BitVec {self._widths[sort.name]})"

    def literal(self, value: int, sort: Sort) -> str:
        width = self._widths[sort.name]
        return f"(_ bv{value % (1 << width)} {width})"

    def none(self, sort: Sort) -> Term:
        return -1

    def arithmetic(self, op: str, a: Term, b: Term, sort: Sort) -> Term:
        if not isinstance(a, str) and not isinstance(b, str):
            known = {"lt": a < b, "le": a <= b, "add": a + b, "sub": a - b}
            return known[op]
        if a == b and op in ("lt", "le"):
            return op == "le"
        word = {"lt": "bvslt", "le": "bvsle", "add": "bvadd", "sub": "bvsub"}[op]
        text = f"({word} {self.text(a, sort)} {self.text(b, sort)})"
        return self.compound(text, BOOL if op in ("lt", "le") else sort)

    def quantified(
        self,
        op: str,
        variables: Sequence[Expr],
        body: Callable[[Environment], Term],
        environment: Environment,
    ) -> Term:
        ids = [variable.id for variable in variables]
        values = self.tuples([variable.sort for variable in variables])
        instances = (body({**environment, **dict(zip(ids, each, strict=True))}) for each in values)
        return self.all_of(instances) if op == "forall" else self.any_of(instances)

    def search(self, e: Expr, state: State, environment: Environment) -> Term:
        (variable,), below, body = e.args
        limit = self.value(below, state, environment)
        last = e.op == "lastend"
        offsets = [offset for offset in self.bounds.domain(variable.sort) if offset >= 0]
        result: Term = 0 if last else limit
        for offset in offsets if last else reversed(offsets):
            inner = {**environment, variable.id: offset}
            below_limit = self.arithmetic("lt", offset, limit, variable.sort)
            if below_limit is not False:
                hit = self.all_of((below_limit, self.value(body, state, inner)))
                result = self.choose(hit, offset + 1 if last else offset, result, variable.sort)
        return result

    def applied(self, e: Expr, arguments: tuple[Term, ...]) -> Term:
        symbol: Symbol = e.args[0]
        key = (symbol.name, *arguments)
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = self._looked_up(symbol, arguments)
        return found

    def _looked_up(self, symbol: Symbol, arguments: tuple[Term, ...]) -> Term:
        def entry(known: tuple[int, ...]) -> Term:
            return self.bounds.applied(symbol, known)

        return self.chosen(symbol.args, symbol.result, arguments, entry)

    def chosen(
        self,
        sorts: Sequence[Sort],
        result: Sort,
        indices: tuple[Term, ...],
        entry: Callable[[tuple[int, ...]], Term],
    ) -> Term:
        """An entry of a table; outside the table, that of the last index."""
        return self._chain(sorts, result, indices, entry)

    def _chain(
        self,
        sorts: Sequence[Sort],
        result: Sort,
        indices: tuple[Term, ...],
        entry: Callable[[tuple[int, ...]], Term],
    ) -> Term:
        """A chain of choices for every index that is not known."""
        known: list[int] = []
        for position, (index, sort) in enumerate(zip(indices, sorts, strict=True)):
            if not isinstance(index, str):
                known.append(self.bounds.inside(sort, int(index)))
                continue
            *others, last = self.bounds.domain(sort)
            left, right = tuple(known), indices[position + 1 :]
            chain = self._chain(sorts, result, (*left, last, *right), entry)
            for value in reversed(others):
                here = self._chain(sorts, result, (*left, value, *right), entry)
                chain = self.choose(self.equal(index, value, sort), here, chain, result)
            return chain
        return entry(tuple(known))

    # ---- states ----------------------------------------------------------------------------------

    def tuples(self, sorts: Sequence[Sort]) -> Iterator[tuple[int, ...]]:
        """All combinations of values of these sorts."""
        return itertools.product(*[self.bounds.domain(sort) for sort in sorts])

    def constant(self, name: str, scalar: Scalar, loose: bool = False) -> tuple[str, list[Term]]:
        """A new constant, and what says that it is in its range (or just below it, if `loose`)."""
        sort = scalar.sort
        quoted = f"|{name}|"
        self.script.append(f"(declare-const {quoted} {self.sort_text(sort)})")
        return quoted, self.in_range(quoted, scalar, loose)

    def in_range(self, term: Term, scalar: Scalar, loose: bool = False) -> list[Term]:
        """What says that a term is a value of a type (or lies just below it, if `loose`)."""
        sort = scalar.sort
        if sort is BOOL:
            return []
        low, high = self.bounds.range_of(scalar)
        if loose and (sort.kind == "number" or sort.name in self.optional):
            low = min(low, sort.first - 1)
        at_least = self.arithmetic("le", low, term, sort)
        return [at_least, self.arithmetic("le", term, high, sort)]

    def symbolic(self, tag: str = "", loose: bool = False) -> tuple["Cells", list[Term]]:
        """A state of constants, and what says that they are in their ranges.

        With `loose` a number may also lie just below its first value, and an entity may be NONE, as
        it may in a proof for any size, where no state variable has a range.
        """
        table: dict[Cell, Term] = {}
        ranges: list[Term] = []
        for (name, indices), leaf in self.cells.items():
            shown = f"{name}{list(map(int, indices))}{tag}"
            table[name, indices], constraints = self.constant(shown, leaf.scalar, loose)
            ranges += constraints
        return Cells(self, table), ranges

    def known(self, values: Mapping[Cell, int]) -> "Cells":
        """A state of which every cell is known; expressions fold to their values in it."""
        table: dict[Cell, Term] = {
            cell: bool(values[cell]) if leaf.scalar.sort is BOOL else int(values[cell])
            for cell, leaf in self.cells.items()
        }
        return Cells(self, table)

    def initial_state(self) -> "Cells":
        """The state that every behaviour begins in, all known."""
        nowhere = Cells(self, {})
        return Cells(
            self,
            {
                (name, indices): self._first_value(leaf, indices, nowhere)
                for (name, indices), leaf in self.cells.items()
            },
        )

    def _first_value(self, leaf: Leaf, indices: tuple[int, ...], nowhere: "Cells") -> Term:
        value = self.initial(leaf, indices, nowhere)
        assert not isinstance(value, str), "initial values depend on no state"
        return self.bounds.first_value(leaf, indices, value)

    def parameters(self, action: Action, tag: str = "") -> tuple[Environment, list[Term]]:
        """Constants for an action's parameters, and their ranges."""
        environment: Environment = {}
        ranges: list[Term] = []
        for parameter in action.params:
            name = f"{action.name}.{parameter.args[0]}{tag}"
            environment[parameter.id], limits = self.constant(name, Scalar(parameter.sort))
            ranges += limits
        return environment, ranges

    def possible(self, action: Action, state: State, environment: Environment) -> Term:
        """Whether the action can happen, bounds included."""
        return self.all_of(
            self.value(guard, state, environment) for guard, _ in self.guards[action.name]
        )

    def take(self) -> str:
        """The declarations and definitions made since this was last called."""
        text = "\n".join(self.script)
        self.script.clear()
        return text


class Cells(State):
    """A state of a finite instance: a term for each cell."""

    def __init__(self, world: Finite, table: dict[Cell, Term]) -> None:
        super().__init__()
        self.world, self.table = world, table

    def cell(self, leaf: str, indices: tuple[int, ...]) -> Term:
        return self.table[leaf, indices]

    def read(self, leaf: str, indices: tuple[Term, ...]) -> Term:
        of = self.world.model.leaves[leaf]
        key = ("read", leaf, *indices)
        found = self.memo.get(key)
        if found is None:
            found = self.memo[key] = self.world.chosen(
                of.dims, of.scalar.sort, indices, lambda known: self.cell(leaf, known)
            )
        return found


class Next(Cells):
    """The state after an action, cell by cell as it is asked for."""

    def __init__(
        self, world: Finite, action: Action, state: State, environment: Environment
    ) -> None:
        super().__init__(world, {})
        self.action, self.state, self.environment = action, state, environment
        self.written = {write.leaf for write in action.writes}

    def cell(self, leaf: str, indices: tuple[int, ...]) -> Term:
        found = self.table.get((leaf, indices))
        if found is None:
            if leaf not in self.written:
                found = self.state.read(leaf, indices)
            else:
                found = self.world.after(
                    self.action,
                    self.world.model.leaves[leaf],
                    indices,
                    self.state,
                    self.environment,
                )
            self.table[leaf, indices] = found
        return found
