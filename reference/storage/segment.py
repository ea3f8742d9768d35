"""The content of a segment file: batches one behind the other, as far as they can be trusted.

What of a batch is not covered by its checksum is compared with its neighbours instead.
Source: storage/.../LogSegment.recover, FileRecords.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from reference.batch import HEADER, HEADER_BYTES, LENGTH_ENDS_AT, MAGIC, Header
from reference.storage.index import SegmentIndex


@dataclass(slots=True)
class StoredSegment:
    """A segment file; it is never empty but for the moment before its first batch."""

    path: str
    index: SegmentIndex
    size_bytes: int = 0

    @property
    def base_offset(self) -> int:
        return self.index.base_offset


class Scanned(NamedTuple):
    """The good part of a segment file."""

    batches: list[bytes]
    headers: list[Header]
    size_bytes: int
    flaw: str | None
    """What is wrong behind the good part, or None where there is nothing."""


OFFSETS_MAX = 2**31 - 1
"""How many offsets a segment can span: its indexes have four bytes for them."""


def scanned(
    data: bytes,
    base_offset: int,
    end_offset: int,
    last_epoch: int,
    is_intact: Callable[[Header, bytes], bool],
    *,
    skips: bool = False,
) -> Scanned:
    """Returns the batches of a file up to the first that is bad, or with `skips` all others, too.

    `base_offset` is the segment's; `end_offset` and `last_epoch` are those of the batch before it.
    """
    batches: list[bytes] = []
    headers: list[Header] = []
    at, flaw = 0, None
    end_offset = max(end_offset, base_offset)
    while at < len(data):
        if len(data) - at < HEADER_BYTES:
            flaw = f"{len(data) - at} bytes are no header"
            break
        header = Header._make(HEADER.unpack_from(data, at))
        flaw = _flaw(header, len(data) - at, end_offset, last_epoch)
        if header.end_offset - base_offset > OFFSETS_MAX:
            flaw = f"a batch from {header.base_offset} on in the segment from {base_offset} on"
        if flaw:
            break
        batch = data[at : at + LENGTH_ENDS_AT + header.length]
        if is_intact(header, batch):
            batches.append(batch)
            headers.append(header)
            end_offset, last_epoch = header.end_offset, header.leader_epoch
        elif not skips:
            flaw = "the checksum does not match"
            break
        at += len(batch)
    return Scanned(batches, headers, at, flaw)


def _flaw(header: Header, left: int, end_offset: int, last_epoch: int) -> str | None:
    if not HEADER_BYTES <= LENGTH_ENDS_AT + header.length <= left:
        return f"a batch of {header.length} bytes, {left} are left"
    if header.magic != MAGIC:
        return f"a batch of magic {header.magic}"
    if header.base_offset < end_offset or header.last_offset_delta < 0:
        return f"a batch from {header.base_offset} on, behind the end {end_offset}"
    if header.leader_epoch < last_epoch:
        return f"a batch of epoch {header.leader_epoch} behind one of {last_epoch}"
    if not 0 <= header.record_count <= header.last_offset_delta + 1:
        return f"{header.record_count} records in {header.last_offset_delta + 1} offsets"
    return None
