"""Symmetry: states that differ only in which entity is called what count as one.

A specification cannot name or order entities, so it is the same for every permutation of them: what
other checkers ask the user to promise is here a property of the language. Only tables could break
it: the values of theories, and rigid symbols. Values of theories are permuted along with the
entities, and every table is checked to be the same after it.

One thing is left to the specification, as it is for all checkers: a read at NONE, which gives what
the last entity has, must not matter.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from spec.checkers.bounds import Bounds
from spec.checkers.explore.packing import Packing, Words
from spec.checkers.ground import Cell, Ground
from spec.language.expression import Symbol
from spec.language.model import Model
from spec.language.sorts import Sort

ENTITIES_MAX = 4
"""All permutations are tried, so more entities would cost more than they save."""
Renaming = dict[Sort, tuple[int, ...]]
"""What each value of a sort becomes."""
U64 = np.uint64


class NoSymmetry(ValueError):
    """The model cannot be reduced by this sort; the message says why."""


class Symmetry:
    """Maps each state to the smallest of those that permuting an entity sort makes of it."""

    def __init__(self, packing: Packing, name: str) -> None:
        ground = packing.ground
        sort = ground.model.sorts.get(name)
        if sort is None or sort.kind != "entity":
            raise NoSymmetry(f"{name} is not an entity sort of {ground.model.name}")
        count = len(ground.bounds.domain(sort))
        if count > ENTITIES_MAX:
            raise NoSymmetry(f"{count} values of {name}: symmetry handles {ENTITIES_MAX} at most")
        self._words = packing.words
        self._plans = []
        for renaming in renamings(ground.model, ground.bounds, sort):
            if not _starts_alike(ground, renaming):
                raise NoSymmetry(f"the initial state tells the values of {name} apart")
            self._plans.append(_moves(packing, renaming))

    def canonical(self, states: Words) -> None:
        """Replaces each state by the smallest of its permutations."""
        original = [word.copy() for word in states]
        for moves in self._plans:
            other = _permuted(moves, original)
            less, same = other[-1] < states[-1], other[-1] == states[-1]
            for k in range(self._words - 2, -1, -1):
                less |= same & (other[k] < states[k])
                same &= other[k] == states[k]
            for mine, smaller in zip(states, other, strict=True):
                np.copyto(mine, smaller, where=less)


class _Move:
    """Neighbouring bits that a permutation moves together, or one field that it renames."""

    __slots__ = ("bits", "shift", "source", "table", "target", "to")

    def __init__(self, source: int, shift: int, bits: int, target: int, to: int) -> None:
        self.source, self.shift, self.bits = source, shift, bits
        self.target, self.to = target, to
        self.table: np.ndarray[tuple[int], np.dtype[np.uint64]] | None = None


def _starts_alike(ground: Ground, renaming: Renaming) -> bool:
    """Whether the initial state is the same after it, cells that never change included."""
    for cell, value in zip(ground.cells, ground.initial, strict=True):
        renamed = renaming.get(cell.leaf.scalar.sort.base)
        moved = value if renamed is None or value < 0 else renamed[int(value)]
        if ground.initial[ground.number[cell.leaf.name, _moved(cell, renaming)]] != moved:
            return False
    return True


def _moved(cell: Cell, renaming: Renaming) -> tuple[int, ...]:
    """The indices of the cell that takes this one's place."""
    dims = zip(cell.leaf.dims, cell.index, strict=True)
    return tuple(renaming[s.base][i] if s.base in renaming else i for s, i in dims)


def _moves(packing: Packing, renaming: Renaming) -> list[_Move]:
    """How a permutation moves the fields of a state."""
    ground, moves = packing.ground, list[_Move]()
    for number, field in packing.fields.items():
        cell = ground.cells[number]
        place = ground.number[cell.leaf.name, _moved(cell, renaming)]
        if place not in packing.fields:
            raise NoSymmetry(f"{cell.leaf.name} changes at some entities only")
        target = packing.fields[place]
        move = _Move(field.word, field.shift, field.bits, target.word, target.shift)
        renamed = renaming.get(cell.leaf.scalar.sort.base)
        last = moves[-1] if moves else None
        if renamed is not None:
            values = (value + field.low for value in range(1 << field.bits))
            new = [renamed[v] if 0 <= v < len(renamed) else v for v in values]
            move.table = np.array([value - field.low for value in new], U64)
        elif last is not None and last.table is None and _continues(last, move):
            last.bits += move.bits
            continue
        moves.append(move)
    return moves


def _continues(last: _Move, move: _Move) -> bool:
    return (
        (last.source, last.target) == (move.source, move.target)
        and last.shift + last.bits == move.shift
        and last.to + last.bits == move.to
    )


def _permuted(moves: list[_Move], states: Words) -> Words:
    new = [np.zeros(len(word), U64) for word in states]
    for move in moves:
        bits = states[move.source] >> U64(move.shift)
        bits &= U64((1 << move.bits) - 1)
        if move.table is not None:
            bits = move.table[bits.view(np.int64)]
        bits <<= U64(move.to)
        new[move.target] |= bits
    return new


# ---- what a permutation does to the other sorts -------------------------------------------------


def renamings(model: Model, bounds: Bounds, sort: Sort) -> Iterator[Renaming]:
    """Every permutation of the sort but the identity, with what it does to abstract sorts.

    Raises NoSymmetry where a table is not the same after it.
    """
    derived = [s for s in model.sorts.values() if sort in getattr(s, "parts", ())]
    for order in itertools.islice(itertools.permutations(bounds.domain(sort)), 1, None):
        renaming: Renaming = {sort: order}
        for other in derived:
            renaming[other] = _renamed(other, renaming, model, bounds)
        for symbol in model.symbols.values():
            _check(symbol, renaming, bounds)
        yield renaming


def _renamed(sort: Sort, renaming: Renaming, model: Model, bounds: Bounds) -> tuple[int, ...]:
    """Where the values of an abstract sort go: each is known by what the symbols say of it."""
    symbols = [
        symbol
        for symbol in model.symbols.values()
        if symbol.args.count(sort) == 1 and symbol.result is not sort
    ]

    def described(value: int, rename: bool) -> tuple[tuple[str, tuple[int, ...], int], ...]:
        facts = []
        for symbol in symbols:
            choices = [(value,) if s is sort else bounds.domain(s) for s in symbol.args]
            for args in itertools.product(*choices):
                result = int(symbol.at(bounds.counts, *args))
                others = [(s, x) for s, x in zip(symbol.args, args, strict=True) if s is not sort]
                seen = tuple(renaming[s][x] if rename and s in renaming else x for s, x in others)
                if rename and symbol.result in renaming:
                    result = renaming[symbol.result][result]
                facts.append((symbol.name, seen, result))
        return tuple(sorted(facts))

    values = bounds.domain(sort)
    known = {described(value, False): int(value) for value in values}
    if len(known) < len(values):
        raise NoSymmetry(f"nothing tells the values of {sort} apart, so they cannot be permuted")
    found = [known.get(described(value, True)) for value in values]
    if None in found:
        raise NoSymmetry(f"{sort} is not the same after a permutation")
    return tuple(value for value in found if value is not None)


def _check(symbol: Symbol, renaming: Renaming, bounds: Bounds) -> None:
    if not any(sort in renaming for sort in (*symbol.args, symbol.result)):
        return
    counts = bounds.counts
    for args in itertools.product(*(bounds.domain(sort) for sort in symbol.args)):
        moved = [
            renaming[sort][x] if sort in renaming else x
            for sort, x in zip(symbol.args, args, strict=True)
        ]
        before, after = symbol.at(counts, *args), symbol.at(counts, *moved)
        wanted = renaming[symbol.result][before] if symbol.result in renaming else before
        if after != wanted:
            raise NoSymmetry(f"the table of {symbol.name} tells the values of a sort apart")
