"""The leader epoch cache: at which offset each leader epoch began in one replica's log (KIP-101).

Source: storage/.../LeaderEpochFileCache.java.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from reference.requests import NO_EPOCH, NO_EPOCH_END, EpochEnd


@dataclass(slots=True)
class EpochCache:
    """Both lists ascend together: epochs strictly, start offsets weakly (LOG-06)."""

    epochs: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    @property
    def latest(self) -> int:
        """The largest epoch known, or -1."""
        return self.epochs[-1] if self.epochs else NO_EPOCH

    def assign(self, epoch: int, start_offset: int) -> None:
        """An epoch begins, by a leader that takes over or by the first batch that bears it.

        An epoch that wrote nothing keeps its entry: a follower that stopped in it must be told
        where it ended (KAFKA-7415). Entries that the new one contradicts are dropped.
        """
        if epoch <= self.latest:
            return
        keep = bisect_right(self.starts, start_offset)
        del self.epochs[keep:], self.starts[keep:]
        self.epochs.append(epoch)
        self.starts.append(start_offset)

    def extended(self, epoch: int, start_offset: int) -> "EpochCache":
        """Returns what `assign` would make of this cache, which stays as it is."""
        other = EpochCache(self.epochs.copy(), self.starts.copy())
        other.assign(epoch, start_offset)
        return other

    def end_of(self, epoch: int, end_offset: int) -> EpochEnd:
        """Returns the largest known epoch not above `epoch`, and where it ends (KIP-279).

        `end_offset` is that of the log. The answer is (-1, -1) for an epoch newer than any known.
        """
        if epoch == NO_EPOCH or epoch > self.latest:
            return NO_EPOCH_END
        index = bisect_right(self.epochs, epoch)
        if index == len(self.epochs):
            return EpochEnd(self.epochs[-1], end_offset)
        return EpochEnd(self.epochs[index - 1] if index else epoch, self.starts[index])

    def epoch_of(self, offset: int) -> int:
        """The epoch whose records lie at `offset`, or -1 if it is below all known."""
        index = bisect_right(self.starts, offset)
        return self.epochs[index - 1] if index else NO_EPOCH

    def truncate_from_end(self, end_offset: int) -> None:
        """Forgets the epochs that began at or after the new end of the log."""
        keep = bisect_left(self.starts, end_offset)
        del self.epochs[keep:], self.starts[keep:]

    def truncate_from_start(self, start_offset: int) -> None:
        """Forgets the epochs that ended before the new start; the one it lies in starts there."""
        drop = bisect_right(self.starts, start_offset) - 1
        if drop > 0:
            del self.epochs[:drop], self.starts[:drop]
        if self.starts:
            self.starts[0] = max(self.starts[0], start_offset)

    def clear(self) -> None:
        self.epochs.clear()
        self.starts.clear()
