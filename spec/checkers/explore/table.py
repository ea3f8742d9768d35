"""The set of states found so far: exact, in the order of discovery, in K columns of words.

Open addressing in pure NumPy. A slot holds 32 bits of a state's hash and its number plus one; only
where those bits agree are the words themselves compared, all of them. A whole batch of states is
inserted at once, and each is claimed by one member of the batch.
"""

import numpy as np
import numpy.typing as npt

from spec.checkers.explore.packing import Words

U64 = np.uint64
_TAG, _NUMBER = U64(0xFFFFFFFF00000000), U64(0xFFFFFFFF)
_WORDS_FIRST = 1 << 24
"""Room for states to begin with: it takes memory only as it is touched."""
_SLOTS_FIRST, _SLOTS_NEXT = 1 << 16, 1 << 21
"""Little for small models; for larger ones so much that few states ever move."""
_BATCH = 1 << 16
STATES_MAX = (1 << 32) - 2


class MemoryFull(Exception):
    """The next batch would take more memory than is allowed."""


class Table:
    """A growing set of states of `words` words, in at most `bytes_max` bytes."""

    def __init__(self, words: int, bytes_max: int) -> None:
        self.words, self.bytes_max = words, bytes_max
        self.count = 0
        """Distinct states; those from here on in the columns are only staged."""
        self.staged = 0
        room = min(_WORDS_FIRST, bytes_max // 8) // words
        self.columns: Words = [np.empty(room, U64) for _ in range(words)]
        self._slots = np.zeros(_SLOTS_FIRST, U64)

    @property
    def bytes_used(self) -> int:
        """Memory that has been touched: the states, the staged ones and the slots."""
        return 8 * self.words * (self.count + self.staged) + self._slots.nbytes

    def rows(self, first: int, end: int) -> Words:
        """The states with these numbers, as views."""
        return [column[first:end] for column in self.columns]

    def row(self, number: int) -> list[int]:
        """The words of one state."""
        return [int(column[number]) for column in self.columns]

    def stage(self, count: int) -> Words:
        """Room for `count` states more, to be filled before `commit`. Raises MemoryFull."""
        first = self.count + self.staged
        end = first + count
        if end > STATES_MAX or 8 * self.words * end + self._slots_for(end) * 8 > self.bytes_max:
            raise MemoryFull
        if end > len(self.columns[0]):
            size = max(end, 2 * len(self.columns[0]))
            for k, column in enumerate(self.columns):
                self.columns[k] = np.empty(size, U64)
                self.columns[k][:first] = column[:first]
        self.staged += count
        return self.rows(first, end)

    def pending(self) -> Words:
        """All that is staged."""
        return self.rows(self.count, self.count + self.staged)

    def discard(self) -> None:
        """Forgets what is staged."""
        self.staged = 0

    def commit(self) -> npt.NDArray[np.intp]:
        """Inserts what is staged. Returns which of it was new, as positions in the batch."""
        base, batch = self.count, self.pending()
        if not self.staged:
            return np.zeros(0, np.intp)
        self._grow(base + self.staged)
        first, slots = self._claim(batch, base)
        is_new = np.zeros(self.staged, np.bool_)
        is_new[first] = True
        new = np.flatnonzero(is_new)
        for column, words in zip(self.columns, batch, strict=True):
            column[base : base + len(new)] = words[new]
        rank = np.cumsum(is_new, dtype=U64)
        self._slots[slots] = self._slots[slots] & _TAG | (rank[first] + U64(base))
        self.count, self.staged = base + len(new), 0
        return new

    def _claim(self, batch: Words, base: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Finds a slot for each state that is new: (positions in the batch, slots).

        Equal states of a batch walk over the same slots, so only one of them gets a slot; for the
        time being slots name states by where they are staged.
        """
        slots, mask = self._slots, len(self._slots) - 1
        hashes = _hash(batch)
        mine = hashes & _TAG | np.arange(base + 1, base + 1 + len(hashes), dtype=U64)
        place = (hashes & U64(mask)).view(np.int64)
        first, taken = [], []
        while len(place):
            found = slots[place]
            free = np.flatnonzero(found == 0)
            wanted, own = place[free], mine[free]
            slots[wanted] = own
            now = slots[wanted]
            found[free] = now
            won = np.flatnonzero(now == own)
            first.append(own[won])
            taken.append(wanted[won])
            found ^= mine
            further = found > _NUMBER
            alike = np.flatnonzero(~further & (found != 0))
            other = ((found[alike] ^ mine[alike]) & _NUMBER).view(np.int64) - 1
            position = (mine[alike] & _NUMBER).view(np.int64) - (base + 1)
            different = np.zeros(len(alike), np.bool_)
            for column, words in zip(self.columns, batch, strict=True):
                different |= column[other] != words[position]
            further[alike[different]] = True
            left = np.flatnonzero(further)
            place, mine = (place[left] + 1) & mask, mine[left]
        claimed = (np.concatenate(first) & _NUMBER).view(np.int64) - (base + 1)
        return claimed, np.concatenate(taken)

    def _slots_for(self, states: int) -> int:
        """How many slots so many states need: at most three fifths are taken."""
        size = len(self._slots)
        while 3 * size < 5 * states:
            size = max(2 * size, _SLOTS_NEXT)
        return size

    def _grow(self, states: int) -> None:
        size = self._slots_for(states)
        if size == len(self._slots):
            return
        self._slots = np.zeros(0, U64)
        self._slots = slots = np.zeros(size, U64)
        for start in range(0, self.count, _BATCH):
            end = min(self.count, start + _BATCH)
            hashes = _hash(self.rows(start, end))
            mine = hashes & _TAG | np.arange(start + 1, end + 1, dtype=U64)
            place = (hashes & U64(size - 1)).view(np.int64)
            while len(place):
                free = np.flatnonzero(slots[place] == 0)
                slots[place[free]] = mine[free]
                left = np.flatnonzero(slots[place] != mine)
                place, mine = (place[left] + 1) & (size - 1), mine[left]


def _hash(words: Words) -> npt.NDArray[np.uint64]:
    """A mixture of all bits of all words; its upper half is the tag, its lower the slot."""
    mixed = words[0] * U64(0xFF51AFD7ED558CCD)
    for word in words[1:]:
        mixed ^= mixed >> U64(32)
        mixed ^= word
        mixed *= U64(0xC4CEB9FE1A85EC53)
    mixed ^= mixed >> U64(29)
    mixed *= U64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> U64(32)
    return mixed
