"""Finding a log again: what is in its folder, how much of it is whole, and what follows from it.

After a clean shutdown all that was written down is true. After any other end the files are true up
to the recovery point, and behind it as far as checksums show. Everything else is made from the
batches again: indexes, leader epochs, producers. Source: storage/.../LogLoader.java.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from reference.batch import Header
from reference.epochs import EpochCache
from reference.log import Log
from reference.requests import NO_EPOCH
from reference.rules import Rules
from reference.storage import index, names, snapshot
from reference.storage.checkpoints import Damaged, decoded_epochs
from reference.storage.disk import Disk
from reference.storage.index import SegmentIndex
from reference.storage.ledger import UNKNOWN, Ledger, Marks
from reference.storage.log_directory import LogDirectory
from reference.storage.names import OFFSET_INDEX, SEGMENT, SNAPSHOT, SWAP, TIME_INDEX, file_at
from reference.storage.segment import Scanned, StoredSegment, scanned
from reference.storage.snapshot import Snapshot

NOTHING_BEFORE = Snapshot(NO_EPOCH, {})


@dataclass(slots=True)
class Recovery:
    """Loads one log."""

    disk: Disk
    folder: str
    rules: Rules
    ledger: Ledger
    marks: Marks
    was_clean: bool
    batches: list[bytes] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)

    @property
    def end_offset(self) -> int:
        return self.headers[-1].end_offset if self.headers else 0

    def log(self) -> Log:
        """Returns the log that is on the disk, after putting the files right. Raises DiskError."""
        self._finish_swaps()
        directory = LogDirectory(self.disk, self.folder, self.ledger, self.marks)
        self._load_segments(directory)
        first = directory.segments[0].base_offset if directory.segments else 0
        start = self.marks.log_start if self.marks.log_start != UNKNOWN else first
        self._load_snapshots(directory, max(start, self.end_offset))
        stored = self._stored_epochs()
        log = Log(self.rules)
        log.load(
            self.batches,
            self.headers,
            segments=[segment.base_offset for segment in directory.segments],
            epochs=self._epochs(stored, max(start, self.end_offset)),
            start_offset=min(first, start) if directory.segments else start,
            before=self._snapshot(directory, first if directory.segments else start),
        )
        self._replay_producers(log, directory)
        self._begin(log, directory, start)
        if log.epochs != stored:
            directory.save_epochs(log.epochs)
        log.store = directory
        self.marks.log_start = log.start_offset
        self.marks.recovery_point = log.end_offset
        log.cleaned_up_to = min(self.marks.cleaned_up_to, log.end_offset)
        self.marks.cleaned_up_to = log.cleaned_up_to
        return log

    # ---- segments ------------------------------------------------------------------------------

    def _finish_swaps(self) -> None:
        """A cleaned segment that is there goes in the place of those that it was made of."""
        for path in self.disk.files(self.folder):
            found = names.parsed(path)
            if found is None or found.suffix != SEGMENT + SWAP:
                continue
            content = scanned(self.disk.read(path), found.offset, 0, NO_EPOCH, _trusting)
            end = content.headers[-1].end_offset if content.headers else found.offset
            for base in self._offsets(SEGMENT):
                if found.offset <= base < end:
                    self._delete_segment(base)
            self.disk.rename(path, path.removesuffix(SWAP))

    def _load_segments(self, directory: LogDirectory) -> None:
        """An empty file in front of others has lost what it had, for a segment is never empty."""
        bases = self._offsets(SEGMENT)
        for number, base in enumerate(bases):
            path = file_at(self.folder, base, SEGMENT)
            found = self._scanned(self.disk.read(path), base)
            is_last = bool(found.flaw) or not found.size_bytes
            if is_last:
                for later in reversed(bases[number + 1 :]):
                    self._delete_segment(later)
                self.disk.truncate(path, found.size_bytes)
            if found.size_bytes:
                made = self._index(base, found)
                directory.segments.append(StoredSegment(path, made, found.size_bytes))
                self.batches += found.batches
                self.headers += found.headers
            else:
                self._delete_segment(base)
            if is_last:
                break
        for segment in directory.segments:
            if not self.was_clean:
                self.disk.sync(segment.path)

    def _scanned(self, data: bytes, base: int) -> Scanned:
        last_epoch = self.headers[-1].leader_epoch if self.headers else NO_EPOCH
        return scanned(
            data,
            base,
            self.end_offset,
            last_epoch,
            _trusting if self.was_clean else self._is_intact,
            skips=not self.rules.recovery_ends_at_bad_batch(),
        )

    def _is_intact(self, header: Header, batch: bytes) -> bool:
        if header.end_offset <= self.marks.recovery_point:
            return True
        return self.rules.is_intact_on_disk(batch)

    def _index(self, base: int, found: Scanned) -> SegmentIndex:
        """The one on the disk, or after an unclean stop a new one."""
        if self.was_clean:
            try:
                offsets = self.disk.read(file_at(self.folder, base, OFFSET_INDEX))
                times = self.disk.read(file_at(self.folder, base, TIME_INDEX))
                return index.decoded(base, offsets, times, found.size_bytes)
            except (FileNotFoundError, Damaged):
                pass
        made, position = SegmentIndex(base), 0
        for batch, header in zip(found.batches, found.headers, strict=True):
            made.add(header, position, len(batch))
            position += len(batch)
        return made

    def _begin(self, log: Log, directory: LogDirectory, start: int) -> None:
        """Lets the log begin where it did, though what was deleted before may still be there."""
        if start > log.end_offset:
            # A loss of power took records with it that come before the start, or were deleted.
            before = log.state_at_end()
            log.restart(start, *before)
            directory.restart(start, before)
        elif start > log.start_offset:
            log.delete_before(start)
            first = log.segments[0] if log.segments else None
            directory.delete_before(start, first, log.before)

    def _offsets(self, suffix: str) -> list[int]:
        parsed = map(names.parsed, self.disk.files(self.folder))
        return [each.offset for each in parsed if each and each.suffix == suffix]

    def _delete_segment(self, base: int) -> None:
        for suffix in (SEGMENT, OFFSET_INDEX, TIME_INDEX):
            self.disk.delete(file_at(self.folder, base, suffix))

    # ---- leader epochs -------------------------------------------------------------------------

    def _epochs(self, stored: EpochCache, end_offset: int) -> EpochCache:
        """What the batches say; and what the checkpoint says besides, if it agrees with them.

        It alone knows epochs that wrote nothing, or whose records were all compacted away. One
        that a loss of power has overtaken may speak of records that are no longer there.
        """
        starts: dict[int, int] = {}
        for header in self.headers:
            epoch = header.leader_epoch
            if epoch not in starts and self.rules.recovers_epoch(epoch):
                starts[epoch] = header.base_offset
        borne = [header.leader_epoch for header in self.headers]
        for epoch, start in zip(stored.epochs, stored.starts, strict=True):
            at = bisect_left(borne, epoch)
            least = self.headers[at - 1].end_offset if at else 0
            most = self.headers[at].base_offset if at < len(borne) else end_offset
            if least <= start <= most:
                starts[epoch] = start
        return EpochCache(sorted(starts), [starts[epoch] for epoch in sorted(starts)])

    def _stored_epochs(self) -> EpochCache:
        try:
            return decoded_epochs(self.disk.read(f"{self.folder}/{names.LEADER_EPOCHS}"))
        except (FileNotFoundError, Damaged):
            return EpochCache()

    # ---- producers -----------------------------------------------------------------------------

    def _load_snapshots(self, directory: LogDirectory, end_offset: int) -> None:
        """Those behind the end speak of batches that are lost."""
        for offset in self._offsets(SNAPSHOT):
            if offset <= end_offset:
                directory.snapshots.append(offset)
            else:
                self.disk.delete(file_at(self.folder, offset, SNAPSHOT))

    def _snapshot(self, directory: LogDirectory, offset: int) -> Snapshot:
        """What is known of all before an offset; nothing where that was lost."""
        if offset not in directory.snapshots:
            return NOTHING_BEFORE
        try:
            return snapshot.decoded(self.disk.read(file_at(self.folder, offset, SNAPSHOT)))
        except Damaged:
            return NOTHING_BEFORE

    def _replay_producers(self, log: Log, directory: LogDirectory) -> None:
        """Begins with the newest snapshot, so that most of the log need not be replayed."""
        for offset in reversed(directory.snapshots):
            found = self._snapshot(directory, offset)
            if found is not NOTHING_BEFORE:
                tail = _from(self.headers, offset)
                log.producers.replay(found.producers, self.rules.replayed_after_snapshot(tail))
                return


def _from(headers: Sequence[Header], offset: int) -> Sequence[Header]:
    return headers[bisect_left(headers, offset, key=lambda header: header.base_offset) :]


def _trusting(header: Header, batch: bytes) -> bool:
    return True
