"""Record batches stay opaque: read the 61-byte header, stamp two fields, open records rarely.

Base offset and leader epoch precede the bytes that the CRC covers, so stamping keeps it valid.
Layout: docs/implementation.html of Apache Kafka, "Record Batch".
"""

import struct
from typing import NamedTuple

from crc32c import crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES = HEADER.size
LENGTH_ENDS_AT = 12
"""The length field counts the bytes after itself."""
MAGIC_AT = 16
MAGIC = 2
CRC_AT = 17
CRC_COVERS_FROM = 21
MAX_TIMESTAMP_AT = 35

CODEC_MASK = 0x07
LOG_APPEND_TIME_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
DELETE_HORIZON_BIT = 0x40
"""The base timestamp is the time from which tombstones may go (KIP-534)."""

SEQUENCE_MASK = 0x7FFFFFFF
NO_PRODUCER = -1


class Header(NamedTuple):
    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def end_offset(self) -> int:
        """The offset after the last record."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """Sequence numbers wrap from 2^31-1 to 0 (KIP-98)."""
        return (self.base_sequence + self.last_offset_delta) & SEQUENCE_MASK

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL_BIT)

    @property
    def delete_horizon_ms(self) -> int | None:
        """From when on the batch's tombstones may go; None before it was cleaned (KIP-534)."""
        return self.base_timestamp if self.attributes & DELETE_HORIZON_BIT else None

    @property
    def codec(self) -> int:
        return self.attributes & CODEC_MASK

    @property
    def is_idempotent(self) -> bool:
        return self.producer_id != NO_PRODUCER


def read_header(batch: bytes) -> Header:
    """Returns the header of a batch of at least `HEADER_BYTES` bytes."""
    return Header._make(HEADER.unpack_from(batch))


def crc_matches(batch: bytes) -> bool:
    """Whether the CRC-32C in the header is that of the bytes after it."""
    (expected,) = struct.unpack_from(">I", batch, CRC_AT)
    return bool(crc32c(memoryview(batch)[CRC_COVERS_FROM:]) == expected)


def stamped(batch: bytes, *, base_offset: int, leader_epoch: int) -> bytes:
    """Returns the batch with the two fields that only a leader knows."""
    copy = bytearray(batch)
    struct.pack_into(">q", copy, 0, base_offset)
    struct.pack_into(">i", copy, LENGTH_ENDS_AT, leader_epoch)
    return bytes(copy)


def rewritten(batch: bytes, *, attributes: int, max_timestamp: int) -> bytes:
    """Returns the batch with another timestamp type or maximum, and the CRC that fits it."""
    copy = bytearray(batch)
    struct.pack_into(">h", copy, CRC_COVERS_FROM, attributes)
    struct.pack_into(">q", copy, MAX_TIMESTAMP_AT, max_timestamp)
    struct.pack_into(">I", copy, CRC_AT, crc32c(memoryview(copy)[CRC_COVERS_FROM:]))
    return bytes(copy)


def assembled(header: Header, payload: bytes) -> bytes:
    """Returns a batch of this header and payload, with the length and CRC that fit them."""
    length = HEADER_BYTES - LENGTH_ENDS_AT + len(payload)
    copy = bytearray(HEADER.pack(*header._replace(length=length))) + payload
    struct.pack_into(">I", copy, CRC_AT, crc32c(memoryview(copy)[CRC_COVERS_FROM:]))
    return bytes(copy)


def split(chunk: bytes) -> list[bytes]:
    """Returns the batches of a chunk that consists of whole batches."""
    batches, at = [], 0
    while at < len(chunk):
        end = at + LENGTH_ENDS_AT + int.from_bytes(chunk[at + 8 : at + LENGTH_ENDS_AT], "big")
        batches.append(chunk[at:end])
        at = end
    return batches
