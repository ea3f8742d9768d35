"""Shortest paths to states, without parent pointers: levels are expanded once more, backwards."""

from collections.abc import Iterator

import numpy as np

from spec.checkers.explore.packing import Packing, Words
from spec.checkers.explore.plan import Plan
from spec.checkers.explore.result import Moment, Trace
from spec.checkers.explore.successors import Block, Rows
from spec.checkers.explore.symmetry import Symmetry
from spec.checkers.explore.table import Table

_BLOCK = 1 << 15
_NO_LIMIT = 1 << 62
U64 = np.uint64


def shortest_path(
    packing: Packing,
    table: Table,
    levels: list[tuple[int, int]],
    symmetry: Symmetry | None,
    state: int,
) -> Trace:
    """A shortest path to a state of the table; `levels` says which states each level has."""
    search = _Search(packing, symmetry)
    depth = next(k for k, (first, end) in enumerate(levels) if first <= state < end)
    chain = [table.row(state)]
    for first, end in reversed(levels[:depth]):
        chain.append(table.row(search.predecessor(table, first, end, chain[-1])))
    return search.replayed(chain[-2::-1])


class _Search:
    def __init__(self, packing: Packing, symmetry: Symmetry | None) -> None:
        self.packing, self.symmetry = packing, symmetry
        self._plan = Plan(packing, {})
        self._scratch = Table(packing.words, _NO_LIMIT)

    def _hits(self, states: Words, wanted: list[int]) -> Iterator[tuple[int, Rows, Rows, Words]]:
        """Steps that lead to a state: (step, positions before, those that hit, successors)."""
        for step, rows, new in Block(self.packing, states).successors(self._plan, self._scratch):
            form = [word.copy() for word in new]
            if self.symmetry:
                self.symmetry.canonical(form)
            same = [word == U64(value) for word, value in zip(form, wanted, strict=True)]
            hits = np.flatnonzero(np.logical_and.reduce(same))
            if len(hits):
                yield step, rows, hits, new
            self._scratch.discard()
        self._scratch.discard()

    def predecessor(self, table: Table, first: int, end: int, wanted: list[int]) -> int:
        """A state with a number from `first` to `end` that has this successor."""
        for start in range(first, end, _BLOCK):
            block = table.rows(start, min(end, start + _BLOCK))
            for _, rows, hits, _ in self._hits(block, wanted):
                self._scratch.discard()
                return start + int(rows[hits[0]])
        raise AssertionError("a state of the table has no predecessor in the level before")

    def replayed(self, chain: list[list[int]]) -> Trace:
        """The path through these states from the initial one, with its actions.

        With symmetry the chain has one form of each state; the replay has the states themselves.
        """
        ground = self.packing.ground
        now = self.packing.pack(ground.initial)
        moments = [Moment(action="", params={}, cells=self.packing.unpack(now))]
        for wanted in chain:
            block = [np.array([word], U64) for word in now]
            number, _, hits, new = next(self._hits(block, wanted))
            now = [int(word[hits[0]]) for word in new]
            self._scratch.discard()
            step = ground.steps[number]
            names = [param.args[0] for param in ground.model.actions[step.action].params]
            params = dict(zip(names, step.params, strict=True))
            cells = self.packing.unpack(now)
            moments.append(Moment(action=step.action, params=params, cells=cells))
        return Trace(
            model=ground.model,
            bounds=ground.bounds,
            layout=tuple(ground.cells),
            moments=tuple(moments),
        )
