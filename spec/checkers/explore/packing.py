"""States as machine words: each cell is a field of some bits in one of K 64-bit words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spec.checkers.ground import Ground

Words = list[npt.NDArray[np.uint64]]
"""States, column by column: word k of all of them is one array."""
Cells = tuple[int | bool, ...]
"""One state: the values of all cells, in the order of `Ground.cells`."""
WORD_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where a cell is: `bits` bits from `shift` on in a word, holding its value minus `low`."""

    word: int
    shift: int
    bits: int
    low: int

    @property
    def mask(self) -> int:
        """The bits of the field, at the bottom of a word."""
        return (1 << self.bits) - 1


class Packing:
    """Between the cells of a state and its words. Cells that never change take no bits."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.fields: dict[int, Field] = {}
        word = shift = 0
        for number, cell in enumerate(ground.cells):
            if number in ground.fixed:
                continue
            bits = max(1, (cell.high - cell.low).bit_length())
            if shift + bits > WORD_BITS:
                word, shift = word + 1, 0
            self.fields[number] = Field(word=word, shift=shift, bits=bits, low=cell.low)
            shift += bits
        self.words = word + 1
        self.bits = sum(field.bits for field in self.fields.values())

    def pack(self, cells: Sequence[int | bool]) -> list[int]:
        """The words of one state. Raises ValueError for a value outside its cell's range."""
        words = [0] * self.words
        for number, value in enumerate(cells):
            cell = self.ground.cells[number]
            field = self.fields.get(number)
            wanted = self.ground.fixed.get(number, value)
            if value != wanted or not cell.low <= value <= cell.high:
                raise ValueError(f"{cell.leaf.name}{list(cell.index)} cannot be {value}")
            if field is not None:
                words[field.word] |= (int(value) - field.low) << field.shift
        return words

    def unpack(self, words: Sequence[int]) -> Cells:
        """The cells of one state."""
        return tuple(self._unpacked(number, words) for number in range(len(self.ground.cells)))

    def _unpacked(self, number: int, words: Sequence[int]) -> int | bool:
        field = self.fields.get(number)
        if field is None:
            return self.ground.fixed[number]
        value = (int(words[field.word]) >> field.shift & field.mask) + field.low
        return bool(value) if self.ground.cells[number].is_bool else value
