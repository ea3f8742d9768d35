"""Invariants after a step: only what the step can have affected is computed again.

Let an invariant hold before a step. An instance of one of its clauses (values of the quantified
variables) can have changed only if something that it reads has changed: a cell, or a comparison of
a variable with a cell. For every cell that an action writes, and every place where a clause reads
that leaf, this gives equations and limits for the clause's variables: `log[a][offset].epoch` is
affected by a write to broker 2's offset 7 only for a = 2 and offset = 7; `offset < end_offset[a]`,
where the end moves from 7 to 8, only for a = 2 and offset = 7. Where an index is not a variable, no
limit is set. So nothing is missed, and what is reported as broken is broken.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from spec.checkers.step.actions import parameter
from spec.checkers.step.loops import all_values
from spec.checkers.step.refutation import Clause, refutations
from spec.checkers.step.source import Function, Instance, any_texts, is_atom
from spec.language.expression import Expr, equal, fresh, make, parts
from spec.language.protocol import Action
from spec.language.sorts import BOOL
from spec.language.views import Write

TURNED = {"lt": "gt", "le": "ge"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A place where a clause reads a leaf; perhaps only to compare it with a variable."""

    leaf: str
    indices: tuple[Expr, ...]
    comparison: str = ""
    """How the variable is compared with the cell: lt le gt ge."""
    variable: Expr | None = None


def reads(clause: Clause) -> list[Read]:
    """Everything that the truth of an instance of the clause depends on, each place once."""
    variables = {variable.id for variable in clause.variables}
    found: dict[object, Read] = {}
    seen: set[int] = set()

    def add(e: Expr, comparison: str = "", variable: Expr | None = None) -> None:
        key = (e.id, comparison, variable.id if variable is not None else None)
        found[key] = Read(
            leaf=e.args[0], indices=e.args[1:], comparison=comparison, variable=variable
        )

    def visit(e: Expr) -> None:
        if e.id in seen:
            return
        seen.add(e.id)
        if e.op in TURNED:
            a, b = e.args
            if a.id in variables and b.op == "get":
                add(b, e.op, a)
                return visit_indices(b)
            if b.id in variables and a.op == "get":
                add(a, TURNED[e.op], b)
                return visit_indices(a)
        if e.op == "get":
            add(e)
        for arg in e.args:
            if isinstance(arg, Expr):
                visit(arg)

    def visit_indices(e: Expr) -> None:
        for index in e.args[1:]:
            visit(index)

    for condition in clause.conditions:
        visit(condition)
    return list(found.values())


@dataclass(slots=True)
class _Cells:
    """Cells that an action writes, with the same indices in one or more leaves."""

    indices: tuple[Expr | None, ...]
    """In the state before the action; None for every value."""
    leaves: list[str] = field(default_factory=list)
    names: tuple[Expr, ...] = ()
    """Variables that stand for the indices while the cells are looked at."""


def written(action: Action, instance: Instance) -> list[_Cells]:
    """All cells that an action can change."""
    found: dict[object, _Cells] = {}
    for write in action.writes:
        indices = _point_indices(write)
        dims = instance.model.leaves[write.leaf].dims
        key = tuple(
            (sort, index.id if index is not None else None)
            for index, sort in zip(indices, dims, strict=True)
        )
        if key not in found:
            names = tuple(fresh("c", sort) for sort in dims)
            found[key] = _Cells(indices=indices, names=names)
        if write.leaf not in found[key].leaves:
            found[key].leaves.append(write.leaf)
    return list(found.values())


def _point_indices(write: Write) -> tuple[Expr | None, ...]:
    wild = {variable.id for variable in write.wild}
    return tuple(None if index.id in wild else index for index in write.idx)


def is_affected(action: Action, e: Expr) -> bool:
    """Whether the action writes anything that the property reads."""
    read = {part.args[0] for part in parts(e) if part.op == "get"}
    return any(write.leaf in read for write in action.writes)


def recheck_source(instance: Instance, action: Action, name: str, e: Expr) -> str:
    """`recheck(s, t, *params)`: whether a property that held in s holds in t, its successor."""
    function = Function(instance)
    names = [parameter(param) for param in action.params]
    function.names.update(zip((param.id for param in action.params), names, strict=True))
    clauses = [(clause, reads(clause)) for clause in refutations(e)]
    for cells in written(action, instance):
        relevant = [
            (clause, [read for read in found if read.leaf in cells.leaves])
            for clause, found in clauses
        ]
        if any(found for _, found in relevant):
            with contextlib.ExitStack() as stack:
                stack.enter_context(function.scope())
                _open_cells(function, stack, cells)
                _Search(function, cells).write(relevant)
    function.line("return True")
    return function.finished(name, ["s", "t", *names])


def _open_cells(function: Function, stack: contextlib.ExitStack, cells: _Cells) -> None:
    """Makes the indices known; where they can be stray, only inside the map."""
    bounds = function.instance.bounds
    tests = []
    for index, variable in zip(cells.indices, cells.names, strict=True):
        if index is None:
            continue
        text = function.text(index)
        if not is_atom(text):
            name = function.fresh("c")
            function.line(f"{name} = {text}")
            text = name
        function.names[variable.id] = text
        if not function.instance.fits(index, variable.sort):
            domain = bounds.domain(variable.sort)
            tests.append(f"{int(domain[0])} <= {text} <= {int(domain[-1])}")
    if tests:
        stack.enter_context(function.block(f"if {' and '.join(tests)}:"))
    for index, variable in zip(cells.indices, cells.names, strict=True):
        if index is None:
            domain = bounds.domain(variable.sort)
            name = function.fresh("c")
            stack.enter_context(function.block(f"for {name} in {all_values(domain)}:"))
            function.names[variable.id] = name


@dataclass(slots=True)
class _Affected:
    """Instances of a clause, and in which leaves a change affects them."""

    limits: tuple[Expr, ...]
    leaves: list[str]


class _Search:
    """The search for refutations that the change of some cells can have brought about."""

    def __init__(self, function: Function, cells: _Cells) -> None:
        self.function, self.cells = function, cells
        self.ends: dict[str, tuple[Expr, Expr]] = {}
        """The smaller and the larger of what a leaf's cell held and holds."""

    def write(self, relevant: Sequence[tuple[Clause, Sequence[Read]]]) -> None:
        for clause, found in relevant:
            for affected in self._affected(clause, found):
                changed = any_texts([self._changed(leaf) for leaf in affected.leaves])
                with contextlib.ExitStack() as stack:
                    stack.enter_context(self.function.block(f"if {changed}:"))
                    self._name_values(affected)
                    conditions = (*affected.limits, *clause.conditions)
                    with self.function.reading("t"):
                        if self.function.nest(stack, clause.variables, conditions):
                            self.function.line("return False")

    def _cell(self, leaf: str, state: str) -> str:
        function = self.function
        with function.reading(state):
            positions = (function.position(name, name.sort) for name in self.cells.names)
            return function.leaf(leaf) + "".join(f"[{position}]" for position in positions)

    def _changed(self, leaf: str) -> str:
        return f"{self._cell(leaf, 's')} != {self._cell(leaf, 't')}"

    def _name_values(self, affected: _Affected) -> None:
        """What a cell held and holds, where the limits speak of it."""
        function = self.function
        free = {variable.id for limit in affected.limits for variable in limit.free}
        for leaf, (low, high) in self.ends.items():
            if low.id in free:
                function.names[low.id] = function.fresh("low")
                function.names[high.id] = function.fresh("high")
                ends = f"{function.names[low.id]}, {function.names[high.id]}"
                function.line(f"{ends} = {self._cell(leaf, 's')}, {self._cell(leaf, 't')}")
                function.line(f"if {function.names[low.id]} > {function.names[high.id]}:")
                function.line(f"    {ends} = {', '.join(reversed(ends.split(', ')))}")

    def _affected(self, clause: Clause, found: Sequence[Read]) -> list[_Affected]:
        """The instances that changes affect, those left out that others include."""
        groups: dict[frozenset[int], _Affected] = {}
        for read in found:
            limits = self._limits(clause, read)
            key = frozenset(limit.id for limit in limits)
            group = groups.setdefault(key, _Affected(limits=tuple(limits), leaves=[]))
            if read.leaf not in group.leaves:
                group.leaves.append(read.leaf)
        return [
            group
            for key, group in groups.items()
            if not any(
                other < key and set(group.leaves) <= set(larger.leaves)
                for other, larger in groups.items()
            )
        ]

    def _limits(self, clause: Clause, read: Read) -> list[Expr]:
        """What the clause's variables meet where the cell matters."""
        instance = self.function.instance
        own = {variable.id for variable in clause.variables}
        limits = []
        for index, name in zip(read.indices, self.cells.names, strict=True):
            mine = all(variable.id in own for variable in index.free)
            if mine and instance.fits(index, name.sort):
                limits.append(equal(index, name))
        if read.variable is None:
            return limits
        sort = instance.model.leaves[read.leaf].scalar.sort
        low, high = self.ends.setdefault(read.leaf, (fresh("low", sort), fresh("high", sort)))
        return [*limits, *_between(read, low, high)]


def _between(read: Read, low: Expr, high: Expr) -> list[Expr]:
    """The variable's values for which the comparison differs between two values of the cell."""
    x = read.variable
    assert x is not None
    if read.comparison in ("lt", "ge"):
        return [make("le", (low, x), BOOL), make("lt", (x, high), BOOL)]
    return [make("lt", (low, x), BOOL), make("le", (x, high), BOOL)]
