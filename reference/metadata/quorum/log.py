"""One replica of the metadata log, on disk and in memory.

What an append or a cut returns from has reached the disk. Two files: the newest snapshot, and the
log, which begins at the end of the snapshot before it, so that a follower that is only a little
behind finds records. Source: core/src/main/scala/kafka/raft/KafkaMetadataLog.scala.
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter

from reference.metadata.quorum import codec
from reference.metadata.quorum.messages import START, Entry, Position, Snapshot
from reference.metadata.records import MetadataRecord
from reference.storage.disk import Disk

LOG = "quorum/log"
SNAPSHOT = "quorum/snapshot"

_epoch = itemgetter(0)


class MetadataLog:
    """Recovers from the disk when it is made. Raises Damaged, DiskError."""

    __slots__ = ("_disk", "_entries", "_sizes", "end", "snapshot", "start")

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.start = START
        """Where the entries begin; what came before is in the snapshot."""
        self.end = START
        self.snapshot: Snapshot | None = _read_snapshot(disk)
        self._entries: list[Entry] = []
        self._sizes: list[int] = []
        """The size of the file before each entry, and after the last one, in bytes."""
        self._recover()

    # ---- reading -------------------------------------------------------------------------------

    def read(self, start: int, end: int) -> tuple[Entry, ...]:
        """Returns the entries from one offset up to another; neither is before `self.start`."""
        first = self.start.offset
        return tuple(self._entries[start - first : end - first])

    def position(self, offset: int) -> Position:
        """Returns the end of the part that has so many records; not less than `self.start`."""
        index = offset - self.start.offset
        return Position(self._entries[index - 1].epoch, offset) if index else self.start

    def end_of(self, epoch: int) -> Position:
        """Returns the largest epoch not above `epoch` that wrote here, and where it ends."""
        index = bisect_right(self._entries, epoch, key=_epoch)
        return self.position(self.start.offset + index)

    def records(self, end: int) -> tuple[Sequence[MetadataRecord], Sequence[MetadataRecord]]:
        """Returns a snapshot and the tail after it: together the metadata at offset `end`."""
        if self.snapshot is None:
            return (), [entry.record for entry in self.read(0, end)]
        tail = self.read(self.snapshot.end.offset, end)
        return self.snapshot.records, [entry.record for entry in tail]

    # ---- writing -------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> None:
        lines = [codec.entry_line(entry) for entry in entries]
        if not self._sizes:
            self._rewrite()
        self._disk.append(LOG, b"".join(lines))
        self._disk.sync(LOG)
        for entry, line in zip(entries, lines, strict=True):
            self._entries.append(entry)
            self._sizes.append(self._sizes[-1] + len(line))
        self.end = self.position(self.start.offset + len(self._entries))

    def truncate(self, end: int) -> None:
        """Cuts off all entries from an offset on."""
        kept = end - self.start.offset
        self._disk.truncate(LOG, self._sizes[kept])
        del self._entries[kept:], self._sizes[kept + 1 :]
        self.end = self.position(end)

    def keep_snapshot(self, snapshot: Snapshot) -> None:
        """A snapshot of this log: what the snapshot before it has is dropped from the log."""
        before = self.snapshot
        self._write_snapshot(snapshot)
        if before is not None:
            del self._entries[: before.end.offset - self.start.offset]
            self.start = before.end
            self._rewrite()

    def begin_after(self, snapshot: Snapshot) -> None:
        """A snapshot of the leader's log takes the place of all that is here."""
        self._write_snapshot(snapshot)
        self._begin_empty(snapshot.end)

    # ---- files ---------------------------------------------------------------------------------

    def _write_snapshot(self, snapshot: Snapshot) -> None:
        lines = [codec.line((snapshot.end, len(snapshot.records)))]
        lines += [codec.entry_line(Entry(0, record)) for record in snapshot.records]
        self._disk.replace(SNAPSHOT, b"".join(lines))
        self.snapshot = snapshot

    def _begin_empty(self, start: Position) -> None:
        self.start = self.end = start
        self._entries.clear()
        self._rewrite()

    def _rewrite(self) -> None:
        lines = [codec.line(self.start), *(codec.entry_line(entry) for entry in self._entries)]
        self._disk.replace(LOG, b"".join(lines))
        self._sizes = []
        size_bytes = 0
        for line in lines:
            size_bytes += len(line)
            self._sizes.append(size_bytes)

    def _recover(self) -> None:
        """Drops a torn tail; and a log that the snapshot of a leader was about to replace."""
        try:
            data = self._disk.read(LOG)
        except FileNotFoundError:
            data = b""
        for value, size_bytes in codec.whole_lines(data):
            if self._sizes:
                self._entries.append(codec.read_entry(value))
            else:
                self.start = Position(*value)
            self._sizes.append(size_bytes)
        if self._sizes and self._sizes[-1] < len(data):
            self._disk.truncate(LOG, self._sizes[-1])
        self.end = self.position(self.start.offset + len(self._entries))
        if self.snapshot is not None and not self._has(self.snapshot.end):
            self._begin_empty(self.snapshot.end)

    def _has(self, end: Position) -> bool:
        return self.start.offset <= end.offset <= self.end.offset and (
            self.position(end.offset) == end
        )


def _read_snapshot(disk: Disk) -> Snapshot | None:
    try:
        data = disk.read(SNAPSHOT)
    except FileNotFoundError:
        return None
    (end, count), *values = codec.all_lines(data)
    if count != len(values):
        raise codec.Damaged(f"{SNAPSHOT} has {len(values)} records of {count}")
    records = tuple(codec.read_entry(value).record for value in values)
    return Snapshot(end=Position(*end), records=records)
