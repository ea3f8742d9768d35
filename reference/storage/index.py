"""Where in a segment an offset or a time is: sparse, one entry for every few kilobytes.

An index is made from its segment again wherever it is missing or wrong. Formats and rules are those
of storage/.../OffsetIndex.java, TimeIndex.java and LogSegment.append.
"""

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from reference.batch import Header
from reference.storage.checkpoints import Damaged

INTERVAL_BYTES = 4096
"""Kafka's index.interval.bytes."""
NO_TIME = -1
_OFFSET_ENTRY = struct.Struct(">ii")
_TIME_ENTRY = struct.Struct(">qi")


@dataclass(slots=True)
class SegmentIndex:
    """Of every two lists that belong together both ascend."""

    base_offset: int
    offsets: list[int] = field(default_factory=list)
    """The last offset of a batch ..."""
    positions: list[int] = field(default_factory=list)
    """... and where that batch begins."""
    times: list[int] = field(default_factory=list)
    """The newest timestamp up to some batch ..."""
    time_offsets: list[int] = field(default_factory=list)
    """... and the last offset of the first batch that has it."""
    newest_ms: int = NO_TIME
    newest_offset: int = 0
    unindexed_bytes: int = 0

    def add(self, header: Header, position: int, size_bytes: int) -> None:
        """Takes note of the next batch of the segment."""
        if header.max_timestamp > self.newest_ms:
            self.newest_ms = header.max_timestamp
            self.newest_offset = header.base_offset + header.last_offset_delta
        if self.unindexed_bytes > INTERVAL_BYTES:
            self.offsets.append(header.base_offset + header.last_offset_delta)
            self.positions.append(position)
            self.note_newest()
            self.unindexed_bytes = 0
        self.unindexed_bytes += size_bytes

    def note_newest(self) -> None:
        """Makes the newest timestamp an entry, as at the end of a segment."""
        if self.newest_ms > (self.times[-1] if self.times else NO_TIME):
            self.times.append(self.newest_ms)
            self.time_offsets.append(self.newest_offset)

    def position_before(self, offset: int) -> int:
        """Where to look for an offset: the batch that has it begins here or later."""
        index = bisect_right(self.offsets, offset)
        return self.positions[index - 1] if index else 0

    def offset_before(self, timestamp_ms: int) -> int:
        """Where to look for a time: what is before the batch with this offset is older."""
        index = bisect_right(self.times, timestamp_ms)
        return self.time_offsets[index - 1] if index else self.base_offset

    def cut(self, end_offset: int) -> int:
        """Forgets all that is not sure to be before the new end.

        Returns the position of a batch; the caller adds those after it that are left.
        """
        keep = bisect_left(self.offsets, end_offset)
        del self.offsets[keep:], self.positions[keep:]
        keep = bisect_left(self.time_offsets, end_offset)
        del self.times[keep:], self.time_offsets[keep:]
        self.newest_ms = self.times[-1] if self.times else NO_TIME
        self.newest_offset = self.time_offsets[-1] if self.times else self.base_offset
        self.unindexed_bytes = 0
        return self.positions[-1] if self.positions else 0

    # ---- files ---------------------------------------------------------------------------------

    def encoded(self) -> tuple[bytes, bytes]:
        """The content of the two files, of offsets and of times."""
        base = self.base_offset
        offsets = (
            _OFFSET_ENTRY.pack(offset - base, position)
            for offset, position in zip(self.offsets, self.positions, strict=True)
        )
        times = (
            _TIME_ENTRY.pack(time, offset - base)
            for time, offset in zip(self.times, self.time_offsets, strict=True)
        )
        return b"".join(offsets), b"".join(times)


def decoded(base_offset: int, offsets: bytes, times: bytes, size_bytes: int) -> SegmentIndex:
    """Returns the index of a whole segment of so many bytes.

    Raises Damaged where it cannot be that.
    """
    if len(offsets) % _OFFSET_ENTRY.size or len(times) % _TIME_ENTRY.size:
        raise Damaged(f"index files of {len(offsets)} and {len(times)} bytes")
    index = SegmentIndex(base_offset)
    for relative, position in _OFFSET_ENTRY.iter_unpack(offsets):
        index.offsets.append(base_offset + relative)
        index.positions.append(position)
    for time, relative in _TIME_ENTRY.iter_unpack(times):
        index.times.append(time)
        index.time_offsets.append(base_offset + relative)
    if not (_ascend(index.offsets, base_offset) and _ascend(index.positions, 0)):
        raise Damaged("the entries of an offset index do not ascend")
    if not (_ascend(index.times, 0) and _ascend(index.time_offsets, base_offset)):
        raise Damaged("the entries of a time index do not ascend")
    if index.positions and index.positions[-1] >= size_bytes:
        raise Damaged("an offset index names a position behind its segment")
    if index.times:
        index.newest_ms, index.newest_offset = index.times[-1], index.time_offsets[-1]
    return index


def _ascend(numbers: Sequence[int], at_least: int) -> bool:
    """Whether each is greater than the one before it."""
    return all(a < b for a, b in zip((at_least - 1, *numbers), numbers, strict=False))
