"""The record batches of a partition, as the model names them.

One record of the model stands for one batch. A batch is what a leader wrote at an offset in its
epoch; its place in a log counts the batches before it, and a place and the end offset of the batch
before it stand for each other. Every offset that replication deals in is such an end: what a
follower asks for, what is committed, where a log is cut. (A log's start is not; nothing of the
model depends on it.)
"""

from bisect import bisect_right
from collections.abc import Sequence


class Batches:
    """By the model's record id, which counts what was ever written."""

    __slots__ = ("contents", "ends", "epochs")

    def __init__(self) -> None:
        self.ends: list[int] = []
        """End offset of each batch."""
        self.epochs: list[int] = []
        self.contents: list[bytes] = []

    def add(self, epoch: int, end_offset: int, content: bytes) -> None:
        """A leader has written the next batch."""
        self.ends.append(end_offset)
        self.epochs.append(epoch)
        self.contents.append(content)

    def offset(self, log: Sequence[int], place: int) -> int:
        """The end offset of the batch before a place; a log is given as ids."""
        return self.ends[log[place - 1]] if place else 0

    def place(self, log: Sequence[int], length: int, offset: int) -> int:
        """How many of a log's first `length` batches end at or before an offset."""
        ends = self.ends
        if length and ends[log[length - 1]] <= offset:
            return length
        return bisect_right(log, offset, 0, length, key=ends.__getitem__)
