"""States as people think of them: records, sets, maps and logs instead of single cells.

The shape is read off the names and indices of a model's leaves: `x.f` is a field of `x`, a truth
value per index is a set of indices, and `x.end_offset` makes `x` a log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spec.checkers.bounds import Bounds
from spec.checkers.explore.packing import Cells
from spec.checkers.ground import Cell
from spec.language.model import Model
from spec.language.sorts import BOOL, Sort
from spec.language.views import Leaf

END = "end_offset"
Key = tuple[str, ...]
"""Values of the indices of a map, as text."""


@dataclass(frozen=True, slots=True)
class Plain:
    """One value: its text, and itself where it is a number or a truth value."""

    text: str
    value: int | bool | str


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields."""

    fields: Mapping[str, "Shape"]


@dataclass(frozen=True, slots=True)
class Set:
    """The indices at which a truth value is true; of several dimensions, tuples."""

    members: tuple[tuple[Plain, ...], ...]


@dataclass(frozen=True, slots=True)
class Map:
    """A value for each index."""

    entries: tuple[tuple[Plain, "Shape"], ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    """The records of a log, from offset 0 on."""

    records: tuple["Shape", ...]


Shape = Plain | Record | Set | Map | Sequence


class Layout:
    """How the states of a model within bounds are put together from cells."""

    def __init__(self, model: Model, bounds: Bounds, cells: tuple[Cell, ...]) -> None:
        self.model, self.bounds = model, bounds
        self._numbers = {(cell.leaf.name, cell.index): n for n, cell in enumerate(cells)}
        self._groups: dict[str, list[Leaf]] = {}
        for leaf in model.leaves.values():
            self._groups.setdefault(leaf.name.split(".")[0], []).append(leaf)

    def variables(self, state: Cells) -> dict[str, Shape]:
        """The state variables of a state."""
        return {name: self._map(name, leaves, (), state) for name, leaves in self._groups.items()}

    def owner(self, variable: str) -> Sort | None:
        """The entity sort that a variable has a part for each value of, if so.

        A flag of each entity, and a set of messages, are shown as the sets that they are.
        """
        common = self._common(self._groups[variable])
        return common[0] if common and common[0].kind == "entity" else None

    def plain(self, sort: Sort, value: int | bool) -> Plain:
        """A value of a sort."""
        if sort is BOOL:
            return Plain("true" if value else "false", bool(value))
        text = sort.text(int(value), self.bounds.counts)
        return Plain(text, int(value) if sort.is_ordered else text)

    def params(self, action: str, values: Mapping[str, int]) -> dict[str, Plain]:
        """The parameters of an action."""
        sorts = {param.args[0]: param.sort for param in self.model.actions[action].params}
        return {name: self.plain(sort, values[name]) for name, sort in sorts.items()}

    # ---- from cells to shapes -------------------------------------------------------------------

    def _common(self, leaves: list[Leaf]) -> tuple[Sort, ...]:
        """The leading indices that make a map of whatever the leaves are together."""
        first = leaves[0].dims
        length = min(len(leaf.dims) for leaf in leaves)
        while any(leaf.dims[:length] != first[:length] for leaf in leaves):
            length -= 1
        if all(leaf.scalar.sort is BOOL and len(leaf.dims) == length for leaf in leaves):
            length = 1 if length == 2 else 0
        return first[:length]

    def _map(self, name: str, leaves: list[Leaf], at: tuple[int, ...], state: Cells) -> Shape:
        """The value of `name` at the first indices; a map where there are more of them."""
        common = self._common(leaves)[len(at) :]
        if not common:
            return self._value(name, leaves, at, state)
        sort = common[0]
        return Map(
            tuple(
                (self.plain(sort, index), self._map(name, leaves, (*at, index), state))
                for index in self.bounds.domain(sort)
            )
        )

    def _value(self, name: str, leaves: list[Leaf], at: tuple[int, ...], state: Cells) -> Shape:
        if len(leaves) == 1 and leaves[0].name == name:
            return self._of_leaf(leaves[0], at, state)
        end = next((leaf for leaf in leaves if leaf.name == f"{name}.{END}"), None)
        if end is not None and len(end.dims) == len(at):
            return self._log(name, leaves, at, state)
        return Record(
            {
                field: self._field(f"{name}.{field}", parts, at, state)
                for field, parts in _by_field(name, leaves).items()
            }
        )

    def _field(self, name: str, leaves: list[Leaf], at: tuple[int, ...], state: Cells) -> Shape:
        """A field may be a map of its own."""
        if len(leaves) == 1 and leaves[0].scalar.sort is BOOL:
            return self._of_leaf(leaves[0], at, state)
        return self._map(name, leaves, at, state)

    def _log(self, name: str, leaves: list[Leaf], at: tuple[int, ...], state: Cells) -> Shape:
        end = state[self._numbers[f"{name}.{END}", at]]
        fields = _by_field(name, leaves)
        records = [
            Record(
                {
                    field: self._field(f"{name}.{field}", parts, (*at, offset), state)
                    for field, parts in fields.items()
                    if field != END
                }
            )
            for offset in range(int(end))
        ]
        return Sequence(tuple(records))

    def _of_leaf(self, leaf: Leaf, at: tuple[int, ...], state: Cells) -> Shape:
        more = leaf.dims[len(at) :]
        if not more:
            return self.plain(leaf.scalar.sort, state[self._numbers[leaf.name, at]])
        if leaf.scalar.sort is BOOL:
            return Set(tuple(self._members(leaf, at, state)))
        return Map(
            tuple(
                (self.plain(more[0], index), self._of_leaf(leaf, (*at, index), state))
                for index in self.bounds.domain(more[0])
            )
        )

    def _members(
        self, leaf: Leaf, at: tuple[int, ...], state: Cells
    ) -> Iterator[tuple[Plain, ...]]:
        for (name, index), number in self._numbers.items():
            if name == leaf.name and index[: len(at)] == at and state[number]:
                places = zip(leaf.dims, index, strict=True)
                yield tuple(self.plain(sort, i) for sort, i in list(places)[len(at) :])


def _by_field(name: str, leaves: list[Leaf]) -> dict[str, list[Leaf]]:
    found: dict[str, list[Leaf]] = {}
    for leaf in leaves:
        found.setdefault(leaf.name[len(name) + 1 :].split(".")[0], []).append(leaf)
    return found
