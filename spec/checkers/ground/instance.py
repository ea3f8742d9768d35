"""A model within bounds: the cells of its states, their first values, and every concrete step."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spec.checkers.bounds import COUNT_MAX, Bounds, bound_guards
from spec.checkers.ground.lower import Lowering, Values, domains
from spec.checkers.ground.nodes import MOST, Graph, Node, TooLarge, Value, same
from spec.language.expression import Expr, fresh, lift
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Sort
from spec.language.views import Leaf, Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value of the state: a leaf at concrete indices."""

    leaf: Leaf
    index: tuple[int, ...]
    low: int
    high: int
    is_bool: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An action with concrete parameters: when it is possible, and what its cells become."""

    action: str
    params: tuple[int, ...]
    guard: Value
    updates: dict[int, Value]


def _check_width(model: Model, bounds: Bounds) -> None:
    """Before anything is unrolled, which would take long: do all values fit into their byte?"""
    for sort in model.sorts.values():
        if int(bounds.domain(sort)[-1]) >= MOST:
            raise TooLarge(
                f"{sort} has values up to {int(bounds.domain(sort)[-1])}; "
                f"all states can only be explored with values below {MOST}"
            )


class Ground:
    """A model within bounds. Raises BoundsError or TooLarge where they do not fit.

    cells    every value that a state has; those of one entity are neighbours
    initial  their values in the initial state
    fixed    cells that no step ever writes, with their value: constants in all expressions
    steps    every action with every choice of parameters that is not impossible outright
    """

    def __init__(self, model: Model, bounds: Bounds) -> None:
        bounds.check(model)
        _check_width(model, bounds)
        self.model, self.bounds, self.graph = model, bounds, Graph()
        self.cells = [
            _cell(leaf, index, bounds)
            for leaf in model.leaves.values()
            for index in domains(bounds, leaf.dims)
        ]
        self.cells.sort(key=_owner)
        self.number = {(cell.leaf.name, cell.index): n for n, cell in enumerate(self.cells)}
        self.fixed: dict[int, int | bool] = {}
        self._lowering = self._new_lowering()
        self.initial = [self._first_value(cell) for cell in self.cells]
        written = {cell for step in self._all_steps() for cell in step.updates}
        self.fixed = {n: v for n, v in enumerate(self.initial) if n not in written}
        self._lowering = self._new_lowering()
        self.steps = self._all_steps()

    def properties(self, names: Iterable[str]) -> dict[str, Value]:
        """Invariants, conjuncts and witnesses by name. Raises KeyError for an unknown one."""
        model = self.model
        known = {**model.conjuncts, **model.witnesses, **model.invariants}
        return {name: self._lowering.lowered(known[name].expr, {}) for name in names}

    # ---- cells ----------------------------------------------------------------------------------

    def _new_lowering(self) -> Lowering:
        def read(leaf: str, index: tuple[int, ...]) -> Value:
            return self._held(self.number[leaf, index])

        return Lowering(self.model.leaves, self.bounds, self.graph, read)

    def _held(self, number: int) -> Value:
        """What a cell holds before a step."""
        if number in self.fixed:
            return self.fixed[number]
        cell = self.cells[number]
        return self.graph.cell(number, cell.low, cell.high, cell.is_bool)

    def _first_value(self, cell: Cell) -> int | bool:
        init = cell.leaf.init
        values: Values = {}
        if callable(init):
            variables = [fresh("index", sort) for sort in cell.leaf.dims]
            values = {var.id: x for var, x in zip(variables, cell.index, strict=True)}
            init = init(*variables)
        value = self._lowering.lowered(lift(init, cell.leaf.scalar.sort), values)
        assert not isinstance(value, Node), "initial values depend on no state"
        return self.bounds.first_value(cell.leaf, cell.index, value)

    # ---- steps ----------------------------------------------------------------------------------

    def _all_steps(self) -> list[Step]:
        steps = []
        for action in self.model.actions.values():
            guards = [condition for condition, _ in action.requires]
            guards += bound_guards(action, self.model, self.bounds)
            for chosen in domains(self.bounds, tuple(param.sort for param in action.params)):
                values = {p.id: value for p, value in zip(action.params, chosen, strict=True)}
                guard = self._guard(guards, values)
                if guard is not False:
                    updates = self._updates(action, values)
                    step = Step(action=action.name, params=chosen, guard=guard, updates=updates)
                    steps.append(step)
        return steps

    def _guard(self, conditions: list[Expr], values: Values) -> Value:
        guard: Value = True
        for condition in conditions:
            guard = self.graph.all_of((guard, self._lowering.lowered(condition, values)))
            if guard is False:
                break
        return guard

    def _updates(self, action: Action, values: Values) -> dict[int, Value]:
        """What the cells become that may change; later writes win."""
        updates: dict[int, Value] = {}
        for write in action.writes:
            for number, hit, value in self._targets(write, values):
                held = self._held(number)
                new = self.graph.choose(hit, value, updates.get(number, held))
                if same(new, held):
                    updates.pop(number, None)
                else:
                    updates[number] = new
        return updates

    def _targets(self, write: Write, values: Values) -> Iterator[tuple[int, Value, Value]]:
        """The cells that a write may mean: (cell, when it does, its value)."""
        graph, lowered = self.graph, self._lowering.lowered
        wild = {var.id for var in write.wild}
        at = [None if expr.id in wild else lowered(expr, values) for expr in write.idx]
        dims = zip(at, self.model.leaves[write.leaf].dims, strict=True)
        for index in itertools.product(*(self._meant(x, sort) for x, sort in dims)):
            free = {e.id: i for e, i in zip(write.idx, index, strict=True) if e.id in wild}
            inner = {**values, **free}
            places = zip(at, index, strict=True)
            here = [graph.equal(x, i) for x, i in places if isinstance(x, Node)]
            hit = graph.all_of((lowered(write.cond, inner), *here))
            if hit is not False:
                yield self.number[write.leaf, index], hit, lowered(write.value, inner)

    def _meant(self, index: Value | None, sort: Sort) -> Iterable[int]:
        """The values that an index of a write may have; None stands for all."""
        domain = self.bounds.domain(sort)
        if index is None or isinstance(index, Node):
            return domain
        return (index,) if index in domain else ()


def _cell(leaf: Leaf, index: tuple[int, ...], bounds: Bounds) -> Cell:
    low, high = bounds.range_of(leaf.scalar)
    is_bool = leaf.scalar.sort is BOOL
    return Cell(leaf=leaf, index=index, low=low, high=high, is_bool=is_bool)


def _owner(cell: Cell) -> int:
    """What one broker stores comes together, so that a step of it touches few machine words."""
    dims = cell.leaf.dims
    return cell.index[0] if dims and dims[0].kind == "entity" else COUNT_MAX + 1
