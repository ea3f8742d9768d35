"""Opening a batch, where a broker must: to validate what a client sends, and to find timestamps."""

from typing import NamedTuple

from reference.batch import (
    HEADER_BYTES,
    LOG_APPEND_TIME_BIT,
    Header,
    read_header,
)
from reference.compression import Undecodable, unpacked

VARINT_MAX_BYTES = 5
VARLONG_MAX_BYTES = 10


class MalformedRecords(Exception):
    """The bytes after the header are not the records that the header announces."""


class Record(NamedTuple):
    offset_delta: int
    timestamp_ms: int
    key_start: int
    key_bytes: int
    """Where the key is in the uncompressed payload, and how long; -1 for none."""
    value_bytes: int
    """-1 for none: the record is a tombstone."""
    start: int
    end: int
    """Where the record, with its length in front, lies in the uncompressed payload."""

    @property
    def has_key(self) -> bool:
        return self.key_bytes >= 0

    @property
    def is_tombstone(self) -> bool:
        return self.value_bytes < 0

    def key(self, payload: bytes) -> bytes:
        return payload[self.key_start : self.key_start + self.key_bytes]


def open_batch(batch: bytes) -> tuple[Header, bytes, list[Record]]:
    """Returns the header, the uncompressed payload and its records.

    Raises MalformedRecords unless there are exactly as many whole records as the header counts.
    """
    header = read_header(batch)
    try:
        payload = unpacked(header.codec, batch[HEADER_BYTES:])
    except Undecodable as error:
        raise MalformedRecords(str(error)) from error
    records: list[Record] = []
    at = 0
    try:
        while at < len(payload):
            if len(records) == header.record_count:
                raise MalformedRecords(f"bytes after the {header.record_count} records")
            record = _record(payload, at, header)
            records.append(record)
            at = record.end
    except IndexError:
        raise MalformedRecords("a record is cut off") from None
    if len(records) != header.record_count:
        raise MalformedRecords(f"{len(records)} records instead of {header.record_count}")
    return header, payload, records


def timestamps(batch: bytes) -> list[tuple[int, int]]:
    """Returns (offset, timestamp in ms) of each record of a batch that a log holds."""
    header = read_header(batch)
    is_whole = header.record_count == header.last_offset_delta + 1
    if header.attributes & LOG_APPEND_TIME_BIT and is_whole:
        first, last = header.base_offset, header.end_offset
        return [(offset, header.max_timestamp) for offset in range(first, last)]
    _, _, records = open_batch(batch)
    if header.attributes & LOG_APPEND_TIME_BIT:
        return [(header.base_offset + each.offset_delta, header.max_timestamp) for each in records]
    return [(header.base_offset + each.offset_delta, each.timestamp_ms) for each in records]


def retimed(payload: bytes, record: Record, base_timestamp: int) -> bytes:
    """Returns a record of the payload as it stands in a batch with this base timestamp."""
    _, attributes_at = _varint(payload, record.start, VARINT_MAX_BYTES)
    _, rest_at = _varint(payload, attributes_at + 1, VARLONG_MAX_BYTES)
    attributes = payload[attributes_at : attributes_at + 1]
    delta = _varint_of(record.timestamp_ms - base_timestamp)
    content = attributes + delta + payload[rest_at : record.end]
    return _varint_of(len(content)) + content


def _record(payload: bytes, start: int, header: Header) -> Record:
    length, at = _varint(payload, start, VARINT_MAX_BYTES)
    end = at + length
    if not at < end <= len(payload):
        raise MalformedRecords(f"a record of {length} bytes")
    timestamp_delta, at = _varint(payload, at + 1, VARLONG_MAX_BYTES)
    offset_delta, at = _varint(payload, at, VARINT_MAX_BYTES)
    key_bytes, key_start = _varint(payload, at, VARINT_MAX_BYTES)
    value_bytes, at = _varint(payload, key_start + max(0, key_bytes), VARINT_MAX_BYTES)
    headers, at = _varint(payload, at + max(0, value_bytes), VARINT_MAX_BYTES)
    if min(key_bytes, value_bytes) < -1 or not 0 <= headers <= length:
        raise MalformedRecords("a negative length in a record")
    for _ in range(headers):
        name_bytes, at = _varint(payload, at, VARINT_MAX_BYTES)
        if name_bytes < 0:
            raise MalformedRecords("a record header without a key")
        text_bytes, at = _varint(payload, at + name_bytes, VARINT_MAX_BYTES)
        if text_bytes < -1:
            raise MalformedRecords("a negative length in a record header")
        at += max(0, text_bytes)
    if at != end:
        raise MalformedRecords(f"a record ends {at - end:+} bytes from where its length says")
    timestamp_ms = header.base_timestamp + timestamp_delta
    return Record(offset_delta, timestamp_ms, key_start, key_bytes, value_bytes, start, end)


def _varint(payload: bytes, at: int, max_bytes: int) -> tuple[int, int]:
    """Returns a zigzag number and where it ends. Raises IndexError past the end."""
    byte = payload[at]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at + 1
    value, shift = byte & 0x7F, 7
    for end in range(at + 1, at + max_bytes):
        byte = payload[end]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), end + 1
        shift += 7
    raise MalformedRecords("a number of too many bytes")


def _varint_of(number: int) -> bytes:
    """A number of up to 64 bits, zigzag."""
    left = (number << 1) ^ (number >> 63)
    content = bytearray()
    while left > 0x7F:
        content.append(left & 0x7F | 0x80)
        left >>= 7
    content.append(left)
    return bytes(content)
