"""What an action makes of the state, as text: each write becomes a new value of its leaf."""

from collections.abc import Sequence

from spec.checkers.step.source import Function, is_atom
from spec.language.expression import TRUE, Expr
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import Sort
from spec.language.views import Write

SPELLED_OUT_MAX = 8
"""Rows with more cells than this are computed in a loop."""


def write_effect(function: Function, action: Action) -> dict[str, str]:
    """Writes the assignments of an action; returns the text of each leaf's new value.

    Values and indices are read in the state before the action; where two writes meet, the later
    one wins.
    """
    new: dict[str, str] = {}
    function.share([e for write in action.writes for e in closed_parts(write)])
    for write in action.writes:
        old = new.get(write.leaf) or function.leaf(write.leaf)
        text = _Store(function, write).text(old)
        new[write.leaf] = function.fresh("new")
        function.line(f"{new[write.leaf]} = {text}")
    return new


def closed_parts(write: Write) -> list[Expr]:
    """The expressions of a write."""
    return [write.value, write.cond, *(index for index in write.idx if index.op != "var")]


def next_state(model: Model, new: dict[str, str]) -> str:
    """The text of the state after the action; what is not assigned does not change."""
    leaves = (new.get(name, f"s[{index}]") for index, name in enumerate(model.leaves))
    return f"({', '.join(leaves)},)"


class _Store:
    """One write: a map with some cells replaced, shared with the old one where it can be."""

    def __init__(self, function: Function, write: Write) -> None:
        self.function, self.write = function, write
        self.wild = {variable.id for variable in write.wild}
        self.dims: Sequence[Sort] = function.instance.model.leaves[write.leaf].dims
        self.positions = [
            "" if index.id in self.wild else self._position(index, sort)
            for index, sort in zip(write.idx, self.dims, strict=True)
        ]
        self.uniform = not any(variable.id in self.wild for variable in write.cond.free)

    def text(self, old: str) -> str:
        """The new value of the leaf whose value now is `old`."""
        replaced = self._replaced(old, 0)
        if self.write.cond is TRUE or not self.uniform:
            return replaced
        return f"({replaced} if {self.function.text(self.write.cond)} else {old})"

    def _replaced(self, old: str, depth: int) -> str:
        """The part of the leaf below `depth` indices."""
        if depth == len(self.dims):
            value = self.function.text(self.write.value)
            if self.uniform:
                return value
            return f"({value} if {self.function.text(self.write.cond)} else {old})"
        if self.positions[depth]:
            at = self.positions[depth]
            cell = self._replaced(f"{old}[{at}]", depth + 1)
            after = str(int(at) + 1) if at.isdigit() else f"{at} + 1"
            return f"({old}[:{at}] + ({cell},) + {old}[{after}:])"
        return self._row(old, depth)

    def _row(self, old: str, depth: int) -> str:
        """Every cell of a dimension."""
        function, variable = self.function, self.write.idx[depth]
        domain = function.instance.bounds.domain(self.dims[depth])
        first = int(domain[0])
        with function.scope():
            if len(domain) <= SPELLED_OUT_MAX:
                cells = []
                for position, value in enumerate(domain):
                    function.names[variable.id] = str(value)
                    cells.append(self._replaced(f"{old}[{position}]", depth + 1))
                return f"({', '.join(cells)},)"
            name = function.names[variable.id] = function.fresh("x")
            at = f"{name}{-first:+d}" if first else name
            cell = self._replaced(f"{old}[{at}]", depth + 1)
            return f"tuple([{cell} for {name} in range({first}, {int(domain[-1]) + 1})])"

    def _position(self, index: Expr, sort: Sort) -> str:
        """A name or a number. A stray index is harmless: the bounds or the condition forbid it."""
        function = self.function
        position = function.position(index, sort)
        if is_atom(position):
            return position
        name = function.fresh("at")
        function.line(f"{name} = {position}")
        domain = function.instance.bounds.domain(sort)
        if function.span(index)[0] < int(domain[0]):
            function.line(f"if {name} < 0: {name} = {len(domain) - 1}")
        return name
