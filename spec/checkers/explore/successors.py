"""All successors of a block of states, step by step, straight into the table."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from spec.checkers.explore.evaluation import Array, Values, cell_values, evaluate
from spec.checkers.explore.packing import Packing, Words
from spec.checkers.explore.plan import Effect, Plan, Stage
from spec.checkers.explore.table import Table
from spec.checkers.ground import Node

Rows = npt.NDArray[np.intp]
"""Positions in a block."""
U64 = np.uint64


class Block:
    """States that are looked at together. Goes through the stages of a plan in their order."""

    def __init__(self, packing: Packing, words: Words) -> None:
        self.packing, self.words = packing, words
        self.size = len(words[0])
        self.has_successor = np.zeros(self.size, np.bool_)
        self._values: Values = {}

    def successors(self, plan: Plan, table: Table) -> Iterator[tuple[int, Rows, Words]]:
        """Yields (number of the step, positions of its states, their successors, staged)."""
        for number, stage in enumerate(plan.steps):
            guard = self._root(stage)
            if isinstance(guard, np.ndarray):
                rows = np.flatnonzero(guard)
            else:
                rows = np.arange(self.size if guard else 0)
            if len(rows):
                self.has_successor |= guard
                assert stage.effect is not None
                new = table.stage(len(rows))
                self._apply(stage.effect, rows, new)
                yield number, rows, new
            self._forget(stage)

    def violating(self, stage: Stage) -> Rows:
        """Positions of the states in which a property does not hold."""
        holds = self._root(stage)
        self._forget(stage)
        if not isinstance(holds, np.ndarray):
            return np.arange(0 if holds else self.size)
        return np.zeros(0, np.intp) if holds.all() else np.flatnonzero(~holds)

    def _root(self, stage: Stage) -> Array:
        values = self._values
        for node in stage.nodes:
            values[node.number] = (
                self._cell(node, self.words) if node.op == "cell" else evaluate(node, values)
            )
        root = stage.root
        return values[root.number] if isinstance(root, Node) else root

    def _forget(self, stage: Stage) -> None:
        for number in stage.dead:
            del self._values[number]

    def _cell(self, node: Node, words: Words) -> Array:
        return cell_values(words, self.packing.fields[node.args[0]], node.is_bool)

    def _apply(self, effect: Effect, rows: Rows, new: Words) -> None:
        """Writes the successors of these states to `new`."""
        for words, out in zip(self.words, new, strict=True):
            words.take(rows, out=out, mode="clip")
        values: Values = {}
        for node in effect.gathered:
            values[node.number] = self._values[node.number].take(rows)
        for node in effect.cells:
            values[node.number] = self._cell(node, new)
        for node in effect.nodes:
            values[node.number] = evaluate(node, values)
        set_bits: dict[int, Array] = {}
        for copy in effect.copies:
            bits = new[copy.source] >> U64(copy.shift)
            bits &= U64((1 << copy.bits) - 1)
            bits <<= U64(copy.to)
            _join(set_bits, copy.target, bits)
        for field, node in effect.computed:
            value = values[node.number]
            if not node.is_bool and field.low:
                value = value - np.int8(field.low)
            bits = value.view(np.uint8).astype(U64)
            bits <<= U64(field.shift)
            _join(set_bits, field.word, bits)
        for word, keep in effect.keep.items():
            new[word] &= U64(keep)
            if effect.constant.get(word):
                new[word] |= U64(effect.constant[word])
            if word in set_bits:
                new[word] |= set_bits[word]


def _join(bits: dict[int, Array], word: int, more: Array) -> None:
    if word in bits:
        bits[word] |= more
    else:
        bits[word] = more
