"""One replica's log: stamped batches in offset order, and what is derived from them.

Derived are the leader epoch cache, the producer state and the segments, so that appending,
truncating and deleting keep all of them in step. All of it is in memory, to be read; what changes
is written through to the log's folder, if it has one. Between two batches there may be offsets
that no record has any more, where a compaction has passed.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

from reference.batch import Header, read_header
from reference.epochs import EpochCache
from reference.producer_state import ProducerSnapshot, ProducerState
from reference.records import timestamps
from reference.requests import NO_EPOCH
from reference.rules import Rules
from reference.storage.disk import DiskError
from reference.storage.log_directory import LogDirectory
from reference.storage.segment import OFFSETS_MAX
from reference.storage.snapshot import Snapshot

NEVER = 2**63 - 1


class Slice(NamedTuple):
    """Consecutive batches of a log: which, and how large they are together."""

    first: int
    stop: int
    size_bytes: int


class Found(NamedTuple):
    """A record found by its timestamp."""

    offset: int
    timestamp_ms: int
    leader_epoch: int


class OutOfOrder(Exception):
    """A batch starts below the end of the log. A leader never does this to a follower."""


@dataclass(slots=True)
class Log:
    rules: Rules
    producers: ProducerState = field(init=False)
    batches: list[bytes] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    """End offset of each batch, for searching."""
    segments: list[int] = field(default_factory=list)
    """Base offset of each segment; each has a batch. The last segment is the active one."""
    epochs: EpochCache = field(default_factory=EpochCache)
    start_offset: int = 0
    end_offset: int = 0
    last_epoch: int = NO_EPOCH
    """Leader epoch of the record before the end, even if that record is deleted by now."""
    size_bytes: int = 0
    active_bytes: int = 0
    store: LogDirectory | None = None
    """Where the log is kept; None for one that is in memory only."""
    cleaned_up_to: int = 0
    """Where the part begins that no compaction has seen."""
    _front_epoch: int = NO_EPOCH
    """Leader epoch of the last batch deleted from the front."""
    _front_producers: ProducerSnapshot = field(default_factory=dict)
    """What the batches deleted from the front made of the producers."""

    def __post_init__(self) -> None:
        self.producers = ProducerState(self.rules)

    @property
    def first_offset(self) -> int:
        """Base offset of the first batch. The log may start inside it."""
        if not self.headers:
            return self.start_offset
        return min(self.headers[0].base_offset, self.start_offset)

    @property
    def before(self) -> Snapshot:
        """What the batches deleted from the front have left behind."""
        return Snapshot(self._front_epoch, self._front_producers)

    def state_at_end(self) -> Snapshot:
        """What all batches, deleted or not, have made of the producers."""
        return Snapshot(self.last_epoch, self.producers.producers)

    def load(
        self,
        batches: list[bytes],
        headers: list[Header],
        *,
        segments: list[int],
        epochs: EpochCache,
        start_offset: int,
        before: Snapshot,
    ) -> None:
        """Becomes the log that was found on a disk."""
        self.batches, self.headers, self.segments = batches, headers, segments
        self.ends = [header.end_offset for header in headers]
        self.start_offset = start_offset
        self.end_offset = self.ends[-1] if self.ends else start_offset
        self._front_epoch, self._front_producers = before
        self.last_epoch = headers[-1].leader_epoch if headers else self._front_epoch
        self.epochs = epochs
        if epochs.starts and epochs.starts[0] < start_offset:
            epochs.truncate_from_start(start_offset)
        self._replay_producers()
        self._measure()

    # ---- writing -------------------------------------------------------------------------------

    def append(
        self, batch: bytes, segment_bytes: int, segment_ms: int, flush_messages: int = NEVER
    ) -> Header:
        """Appends a stamped batch, in a new segment where the active one is full or too old.

        Raises DiskError: then nothing may be acknowledged, and memory has no more than the disk.
        """
        header = read_header(batch)
        if header.base_offset < self.end_offset:
            raise OutOfOrder(f"batch at {header.base_offset} below the end {self.end_offset}")
        rolls = not self.segments or (
            self.active_bytes > 0 and self._rolls(header, len(batch), segment_bytes, segment_ms)
        )
        epochs = self.epochs
        if header.leader_epoch > epochs.latest:
            epochs = epochs.extended(header.leader_epoch, header.base_offset)
        if self.store is not None:
            self._write(self.store, batch, header, rolls, epochs)
        self.epochs = epochs
        if rolls:
            self.segments.append(header.base_offset)
            self.active_bytes = 0
        self.batches.append(batch)
        self.headers.append(header)
        self.end_offset = header.end_offset
        self.ends.append(self.end_offset)
        self.last_epoch = header.leader_epoch
        self.size_bytes += len(batch)
        self.active_bytes += len(batch)
        self.producers.remember(header)
        if self.store is not None and (
            self.end_offset - self.store.marks.recovery_point >= flush_messages
        ):
            self.store.flush(self.end_offset)
        return header

    def _rolls(self, header: Header, size: int, segment_bytes: int, segment_ms: int) -> bool:
        return (
            self.active_bytes + size > segment_bytes
            or self._is_old(header, segment_ms)
            or header.end_offset - self.segments[-1] > OFFSETS_MAX
        )

    def _is_old(self, header: Header, segment_ms: int) -> bool:
        first = self.headers[bisect_right(self.ends, self.segments[-1])]
        return header.max_timestamp - first.max_timestamp > segment_ms

    def _write(
        self, store: LogDirectory, batch: bytes, header: Header, rolls: bool, epochs: EpochCache
    ) -> None:
        try:
            if rolls:
                store.roll(header.base_offset, self.state_at_end())
            if epochs is not self.epochs:
                store.save_epochs(epochs)
            store.append(batch, header)
        except DiskError:
            store.give_up()
            if self.rules.stops_at_failed_write():
                raise

    def begin_epoch(self, leader_epoch: int) -> None:
        """Takes note that the broker leads in an epoch from the end of the log on."""
        if self.rules.new_leader_notes_epoch():
            epochs = self.epochs.extended(leader_epoch, self.end_offset)
            if self.store is not None:
                self.store.save_epochs(epochs)
            self.epochs = epochs

    def truncate(self, end_offset: int) -> None:
        """Removes the batches that end after `end_offset`, and what was derived from them."""
        wanted = max(end_offset, self.start_offset)
        keep = bisect_right(self.ends, wanted)
        if keep < len(self.headers):
            wanted = max(min(wanted, self.headers[keep].base_offset), self.start_offset)
        # Even where nothing is cut, an epoch that began at the end is not the new leader's.
        self.epochs.truncate_from_end(min(wanted, self.end_offset))
        if wanted < self.end_offset:
            self._cut(keep, wanted)
        if self.store is not None:
            self.store.save_epochs(self.epochs)

    def _cut(self, keep: int, end_offset: int) -> None:
        del self.batches[keep:], self.headers[keep:], self.ends[keep:]
        self.end_offset = end_offset
        self.cleaned_up_to = min(self.cleaned_up_to, end_offset)
        self.last_epoch = self.headers[-1].leader_epoch if self.headers else self._front_epoch
        del self.segments[bisect_left(self.segments, self.end_offset) :]
        self._replay_producers()
        self._measure()
        if self.store is not None:
            self.store.truncate(self.end_offset)

    def restart(self, offset: int, last_epoch: int, producers: ProducerSnapshot) -> None:
        """Empties the log, which then goes on from `offset`."""
        for each in (self.batches, self.headers, self.ends, self.segments):
            each.clear()
        self.epochs.clear()
        self.start_offset = self.end_offset = offset
        self.last_epoch = self._front_epoch = last_epoch
        self._front_producers = dict(producers)
        self._replay_producers()
        self._measure()
        if self.store is not None:
            self.store.restart(offset, self.before)
            self.store.save_epochs(self.epochs)

    def delete_before(self, offset: int) -> None:
        """Moves the log's start forward and drops the batches that lie wholly before it."""
        if offset <= self.start_offset:
            return
        self.start_offset = offset
        drop = bisect_right(self.ends, offset)
        front = ProducerState(self.rules)
        front.replay(self._front_producers, self.headers[:drop])
        self._front_producers = front.producers
        if drop:
            self._front_epoch = self.headers[drop - 1].leader_epoch
        del self.batches[:drop], self.headers[:drop], self.ends[:drop]
        self.epochs.truncate_from_start(offset)
        self._drop_segments()
        self._measure()
        if not self.rules.keeps_producers_of_deleted_records():
            self._front_producers = {}
            self._replay_producers()
        if self.store is not None:
            first_base = self.segments[0] if self.segments else None
            self.store.delete_before(offset, first_base, self.before)
            self.store.save_epochs(self.epochs)

    def _drop_segments(self) -> None:
        if not self.headers:
            self.segments.clear()
        else:
            del self.segments[: bisect_right(self.segments, self.headers[0].base_offset) - 1]

    def _replay_producers(self) -> None:
        self.producers.replay(self._front_producers, self.headers)

    def _measure(self) -> None:
        self.size_bytes = sum(map(len, self.batches))
        first = bisect_right(self.ends, self.segments[-1]) if self.segments else 0
        self.active_bytes = sum(map(len, self.batches[first:])) if self.segments else 0

    def producers_before(self, offset: int) -> ProducerSnapshot:
        """The producer state that the batches ending at or before `offset` make."""
        state = ProducerState(self.rules)
        state.replay(self._front_producers, self.headers[: bisect_right(self.ends, offset)])
        return state.producers

    def epoch_before(self, offset: int) -> int:
        """Leader epoch of the last batch that ends at or before `offset`, or -1."""
        index = bisect_right(self.ends, offset)
        return self.headers[index - 1].leader_epoch if index else self._front_epoch

    def replace_front(self, segments: list[int], batches: list[bytes], up_to: int) -> None:
        """Puts what a compaction has left in the place of all batches that end by an offset.

        `segments` are those that the batches form now.
        """
        old, headers = bisect_right(self.ends, up_to), list(map(read_header, batches))
        self.batches[:old] = batches
        self.headers[:old] = headers
        self.ends[:old] = [header.end_offset for header in headers]
        self.segments[: bisect_left(self.segments, up_to)] = segments
        self.cleaned_up_to = up_to
        self._measure()

    # ---- reading -------------------------------------------------------------------------------

    def slice(self, start: int, limit: int, max_bytes: int, *, at_least_one: bool) -> Slice:
        """The batches from the one that holds `start` which end at or below `limit`."""
        first = stop = self.rules.first_batch(self.ends, start)
        size = 0
        while stop < len(self.ends) and self.ends[stop] <= limit:
            larger = size + len(self.batches[stop])
            if larger > max_bytes and (size or not at_least_one):
                break
            size = larger
            stop += 1
        return Slice(first, stop, size)

    def read(self, part: Slice) -> bytes:
        return b"".join(self.batches[part.first : part.stop])

    def first_at_or_after(self, timestamp_ms: int, limit: int) -> Found | None:
        """The first record below `limit` that is not older than the timestamp."""
        first = bisect_right(self.ends, self.store.offset_before(timestamp_ms)) if self.store else 0
        for index in range(first, len(self.headers)):
            header = self.headers[index]
            if header.base_offset >= limit:
                break
            if header.max_timestamp < timestamp_ms:
                continue
            for offset, found_ms in timestamps(self.batches[index]):
                fits = self.start_offset <= offset < limit
                if fits and self.rules.at_or_after(found_ms, timestamp_ms):
                    return Found(offset, found_ms, header.leader_epoch)
        return None

    def with_maximum_timestamp(self, limit: int) -> Found | None:
        """The first record below `limit` with the largest timestamp (KIP-734)."""
        best: Found | None = None
        for index in sorted(range(len(self.headers)), key=self._newest_first):
            header = self.headers[index]
            if best and header.max_timestamp <= best.timestamp_ms:
                break
            records = [
                each
                for each in timestamps(self.batches[index])
                if self.start_offset <= each[0] < limit
            ]
            newest = max((stamp for _, stamp in records), default=None)
            if newest is not None and (best is None or newest > best.timestamp_ms):
                offset = self.rules.offset_of_maximum(records)
                best = Found(offset, newest, header.leader_epoch)
        return best

    def _newest_first(self, index: int) -> tuple[int, int]:
        return -self.headers[index].max_timestamp, index

    # ---- retention -----------------------------------------------------------------------------

    def retained_from(
        self, now_ms: int, retention_ms: int, retention_bytes: int, limit: int
    ) -> int:
        """The offset before which whole segments are too old or too much, at most `limit`."""
        bounds = [*self.segments[1:], self.end_offset]
        size, kept_from = self.size_bytes, self.start_offset
        index = 0
        for end in bounds:
            if end > limit:
                break
            stop = bisect_right(self.ends, end)
            newest = max((each.max_timestamp for each in self.headers[index:stop]), default=-1)
            segment_bytes = sum(map(len, self.batches[index:stop]))
            too_old = 0 <= retention_ms < now_ms - newest and newest >= 0
            too_much = retention_bytes >= 0 and size - segment_bytes >= retention_bytes
            if not (too_old or too_much):
                break
            size -= segment_bytes
            kept_from, index = end, stop
        return max(kept_from, self.start_offset)
