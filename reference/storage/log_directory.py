"""The folder of one log: what `reference.log.Log` writes through to.

An append is one write. A segment that is full is synced before the next one begins, so that a loss
of power takes away a suffix of the log and nothing from its middle (DUR-02). Deleting goes from the
old end or from the new one, file by file: whenever it is interrupted, what is left is a log.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from contextlib import suppress

from reference.batch import HEADER, LENGTH_ENDS_AT, Header
from reference.epochs import EpochCache
from reference.storage import snapshot as snapshots
from reference.storage.checkpoints import encoded_epochs
from reference.storage.disk import Disk, DiskError
from reference.storage.index import SegmentIndex
from reference.storage.ledger import Ledger, Marks
from reference.storage.names import (
    LEADER_EPOCHS,
    OFFSET_INDEX,
    SEGMENT,
    SNAPSHOT,
    SWAP,
    TIME_INDEX,
    file_at,
)
from reference.storage.segment import StoredSegment
from reference.storage.snapshot import Snapshot


class LogDirectory:
    """Every method that changes something raises DiskError."""

    __slots__ = ("_broken", "_disk", "_ledger", "folder", "marks", "segments", "snapshots")

    def __init__(self, disk: Disk, folder: str, ledger: Ledger, marks: Marks) -> None:
        self._disk = disk
        self._ledger = ledger
        self._broken = False
        self.folder = folder
        self.marks = marks
        self.segments: list[StoredSegment] = []
        """In ascending order; the last one is the active one."""
        self.snapshots: list[int] = []
        """The offsets of the producer snapshots, in ascending order."""

    # ---- at the end of the log -----------------------------------------------------------------

    def append(self, batch: bytes, header: Header) -> None:
        """Writes a batch into the active segment."""
        if self._broken:
            self._check()
        active = self.segments[-1]
        self._disk.append(active.path, batch)
        active.index.add(header, active.size_bytes, len(batch))
        active.size_bytes += len(batch)

    def give_up(self) -> None:
        """Nothing is written any more; a batch that was written in part is taken back, if the disk
        allows it, so that the file has what was acknowledged and no more (DUR-04)."""
        if not self._broken and self.segments:
            active = self.segments[-1]
            with suppress(OSError):
                self._disk.truncate(active.path, active.size_bytes)
        self._broken = True

    def retire(self) -> None:
        """The folder is about to be deleted, and another log may take its place."""
        self._broken = True

    def _check(self) -> None:
        if self._broken:
            raise DiskError(f"nothing is written to {self.folder} any more")

    def roll(self, base_offset: int, before: Snapshot) -> None:
        """Begins a segment; `before` is what is known of all that comes before it."""
        self._check()
        if self.segments:
            self._disk.sync(self.segments[-1].path)
            self._save_index(self.segments[-1])
        self._save_snapshot(base_offset, before)
        self.segments.append(self._segment(base_offset))
        self.marks.recovery_point = base_offset

    def flush(self, end_offset: int) -> None:
        """Returns once the log up to its end would survive a loss of power."""
        self._check()
        if self.marks.recovery_point < end_offset:
            if self.segments:
                self._disk.sync(self.segments[-1].path)
            self.marks.recovery_point = end_offset

    def close(self, end_offset: int, state: Snapshot) -> None:
        """Puts everything on the disk that the next start would otherwise have to find out."""
        self.flush(end_offset)
        if self.segments:
            self._save_index(self.segments[-1])
        self._save_snapshot(end_offset, state)

    def truncate(self, end_offset: int) -> None:
        """Removes all batches from an offset on, where a batch begins or the log ends."""
        self._check()
        self._take_back_marks(end_offset)
        while self.segments and self.segments[-1].base_offset >= end_offset:
            self._delete_segment(self.segments.pop())
        if self.segments:
            self._cut(self.segments[-1], end_offset)
        self._keep_snapshots(lambda offset: offset <= end_offset)

    def _take_back_marks(self, end_offset: int) -> None:
        """Before anything is cut, or recovery would trust what is written there afterwards."""
        if end_offset < self.marks.recovery_point:
            self.marks.recovery_point = end_offset
            self._ledger.save_recovery_points()
        if end_offset < self.marks.cleaned_up_to:
            self.marks.cleaned_up_to = end_offset
            self._ledger.save_cleaned()

    def _cut(self, segment: StoredSegment, end_offset: int) -> None:
        """Reads the segment from where its index knows the way, to find the new end in bytes."""
        first = segment.index.cut(end_offset)
        tail = self._disk.read(segment.path, first)
        size = first
        while size - first < len(tail):
            header = Header._make(HEADER.unpack_from(tail, size - first))
            if header.base_offset >= end_offset:
                break
            length = LENGTH_ENDS_AT + header.length
            if size == first and segment.index.positions:
                segment.index.unindexed_bytes = length
            else:
                segment.index.add(header, size, length)
            size += length
        if size < segment.size_bytes:
            self._disk.truncate(segment.path, size)
            segment.size_bytes = size

    # ---- at the start of the log ---------------------------------------------------------------

    def delete_before(self, start: int, first_base: int | None, before: Snapshot) -> None:
        """Moves the start of the log and deletes the segments before the one at `first_base`.

        Without one all are deleted, and the log goes on from its start; `before` is what is known
        of all that came before that.
        """
        self._check()
        if first_base is None:
            self._save_snapshot(start, before)
        self.marks.log_start = start
        self._ledger.save_log_starts()
        kept = start if first_base is None else first_base
        while self.segments and (first_base is None or self.segments[0].base_offset < kept):
            self._delete_segment(self.segments.pop(0))
        self._keep_snapshots(lambda offset: offset >= kept)

    def restart(self, offset: int, before: Snapshot) -> None:
        """Empties the log, which goes on from an offset that it has not reached."""
        self._check()
        self._save_snapshot(offset, before)
        self._take_back_marks(self.segments[0].base_offset if self.segments else offset)
        while self.segments:
            self._delete_segment(self.segments.pop())
        self._keep_snapshots(lambda each: each == offset)
        self.marks.log_start = self.marks.recovery_point = offset
        self._ledger.save_log_starts()

    # ---- compaction ----------------------------------------------------------------------------

    def replace_segments(
        self, bases: Sequence[int], batches: Sequence[bytes], headers: Sequence[Header]
    ) -> None:
        """Puts one segment of these batches, or none, in the place of some that follow each other.

        The new file is there before the old ones go; an interrupted swap is finished by the next
        start (`LogLoader.completeSwapOperations` in Kafka).
        """
        self._check()
        first = bisect_left(self.segments, bases[0], key=lambda segment: segment.base_offset)
        old = self.segments[first : first + len(bases)]
        cleaned = self._segment(old[0].base_offset)
        if batches:
            self._disk.replace(cleaned.path + SWAP, b"".join(batches))
        for segment in reversed(old):
            self._delete_segment(segment)
        if batches:
            self._disk.rename(cleaned.path + SWAP, cleaned.path)
            for batch, header in zip(batches, headers, strict=True):
                cleaned.index.add(header, cleaned.size_bytes, len(batch))
                cleaned.size_bytes += len(batch)
            self._save_index(cleaned)
        self.segments[first : first + len(bases)] = [cleaned] if batches else []
        gone = {segment.base_offset for segment in (old[1:] if batches else old)}
        self._keep_snapshots(lambda offset: offset not in gone)

    def save_cleaned(self) -> None:
        """Writes down how far the log has been compacted."""
        self._check()
        self._ledger.save_cleaned()

    # ---- reading -------------------------------------------------------------------------------

    def offset_before(self, timestamp_ms: int) -> int:
        """Where to look for the first record that is not older than a time."""
        for segment in self.segments:
            if segment.index.newest_ms >= timestamp_ms:
                return segment.index.offset_before(timestamp_ms)
        return self.segments[-1].base_offset if self.segments else 0

    # ---- files ---------------------------------------------------------------------------------

    def save_epochs(self, cache: EpochCache) -> None:
        self._check()
        self._disk.replace(f"{self.folder}/{LEADER_EPOCHS}", encoded_epochs(cache))

    def _segment(self, base_offset: int) -> StoredSegment:
        path = file_at(self.folder, base_offset, SEGMENT)
        return StoredSegment(path, SegmentIndex(base_offset))

    def _save_index(self, segment: StoredSegment) -> None:
        segment.index.note_newest()
        offsets, times = segment.index.encoded()
        self._disk.replace(file_at(self.folder, segment.base_offset, OFFSET_INDEX), offsets)
        self._disk.replace(file_at(self.folder, segment.base_offset, TIME_INDEX), times)

    def _save_snapshot(self, offset: int, state: Snapshot) -> None:
        path = file_at(self.folder, offset, SNAPSHOT)
        self._disk.replace(path, snapshots.encoded(state))
        if offset not in self.snapshots:
            insort(self.snapshots, offset)

    def _keep_snapshots(self, keeps: Callable[[int], bool]) -> None:
        for offset in self.snapshots:
            if not keeps(offset):
                self._disk.delete(file_at(self.folder, offset, SNAPSHOT))
        self.snapshots = [offset for offset in self.snapshots if keeps(offset)]

    def _delete_segment(self, segment: StoredSegment) -> None:
        for suffix in (SEGMENT, OFFSET_INDEX, TIME_INDEX):
            self._disk.delete(file_at(self.folder, segment.base_offset, suffix))
