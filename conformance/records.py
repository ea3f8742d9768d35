"""Record batches, magic 2, by hand: a test decides every field, a reader checks every byte.

Layout: KIP-98 and org.apache.kafka.common.record.DefaultRecordBatch. The codecs are aiokafka's;
everything around them is written out here, because a client library would not let a test lie.
"""

import gzip
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

from aiokafka.codec import (
    gzip_decode,
    lz4_decode,
    lz4_encode,
    snappy_decode,
    snappy_encode,
    zstd_decode,
    zstd_encode,
)
from crc32c import crc32c

from conformance.outcomes import ProtocolViolation

HEADER = struct.Struct(">qiibIhiqqqhii")
CRC_COVERS_FROM = 21
LENGTH_COVERS_FROM = 12
CODEC_MASK, LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
NO_PRODUCER = -1


class MalformedBatch(ProtocolViolation):
    """What a broker served as records is not a record batch."""


class Codec(IntEnum):
    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


_ENCODE: Mapping[Codec, Callable[[bytes], bytes]] = {
    Codec.NONE: bytes,
    Codec.GZIP: partial(gzip.compress, mtime=0),  # the same bytes at any time of day
    Codec.SNAPPY: snappy_encode,
    Codec.LZ4: lz4_encode,
    Codec.ZSTD: zstd_encode,
}
_DECODE: Mapping[Codec, Callable[[bytes], bytes]] = {
    Codec.NONE: bytes,
    Codec.GZIP: gzip_decode,
    Codec.SNAPPY: snappy_decode,
    Codec.LZ4: lz4_decode,
    Codec.ZSTD: zstd_decode,
}


# ---- writing ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecord:
    """A record as a producer writes it."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int | None = None
    """Defaults to the batch's base timestamp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A record batch. `None` means the right value; anything else is sent as it stands."""

    records: Sequence[NewRecord]
    codec: Codec = Codec.NONE
    producer_id: int = NO_PRODUCER
    producer_epoch: int = -1
    base_sequence: int = -1
    timestamp_ms: int = 0
    base_offset: int = 0
    leader_epoch: int = -1
    magic: int = 2
    flags: int = 0
    """Attribute bits beside the codec's: LOG_APPEND_TIME, TRANSACTIONAL, CONTROL."""
    max_timestamp_ms: int | None = None
    count: int | None = None
    last_offset_delta: int | None = None
    length: int | None = None
    crc: int | None = None
    payload: bytes | None = None
    """In place of the records, compressed or not."""

    def encode(self) -> bytes:
        """The batch as it stands in a Produce request."""
        times = [self._time(record) for record in self.records] or [self.timestamp_ms]
        latest = max(times) if self.max_timestamp_ms is None else self.max_timestamp_ms
        count = len(self.records)
        covered = (
            struct.pack(
                ">hiqqqhii",
                self.flags | self.codec,
                count - 1 if self.last_offset_delta is None else self.last_offset_delta,
                self.timestamp_ms,
                latest,
                self.producer_id,
                self.producer_epoch,
                self.base_sequence,
                count if self.count is None else self.count,
            )
            + self._payload()
        )
        front = struct.pack(
            ">qiibI",
            self.base_offset,
            len(covered) + CRC_COVERS_FROM - LENGTH_COVERS_FROM
            if self.length is None
            else self.length,
            self.leader_epoch,
            self.magic,
            crc32c(covered) if self.crc is None else self.crc,
        )
        return front + covered

    def _payload(self) -> bytes:
        if self.payload is not None:
            return self.payload
        encoded = (_encoded(i, r, self._time(r) - self.timestamp_ms) for i, r in self._numbered())
        return _ENCODE[self.codec](b"".join(encoded))

    def _numbered(self) -> Iterator[tuple[int, NewRecord]]:
        return iter(enumerate(self.records))

    def _time(self, record: NewRecord) -> int:
        return self.timestamp_ms if record.timestamp_ms is None else record.timestamp_ms


def batch_of(*values: bytes | None, **header: object) -> Batch:
    """A batch of records with these values; `header` sets any field of `Batch`."""
    records = tuple(NewRecord(value=value) for value in values)
    return Batch(records=records, **header)  # type: ignore[arg-type]


def _encoded(offset_delta: int, record: NewRecord, timestamp_delta: int) -> bytes:
    body = b"\0" + varint(timestamp_delta) + varint(offset_delta)
    body += _sized(record.key) + _sized(record.value) + varint(len(record.headers))
    for name, value in record.headers:
        body += _sized(name.encode()) + _sized(value)
    return varint(len(body)) + body


def _sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def varint(number: int) -> bytes:
    """Zig-zag, as protocol buffers write signed numbers."""
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes((*out, rest))


# ---- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as a consumer is given it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch as a broker serves it, its checksum verified."""

    base_offset: int
    leader_epoch: int
    attributes: int
    last_offset_delta: int
    base_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    count: int
    records: tuple[Record, ...]

    @property
    def end_offset(self) -> int:
        """The offset after its last record, compacted away or not."""
        return self.base_offset + self.last_offset_delta + 1

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)

    @property
    def codec(self) -> Codec:
        return Codec(self.attributes & CODEC_MASK)


def read_batches(data: bytes) -> tuple[StoredBatch, ...]:
    """All whole batches; one that the end of the fetch cuts off is left out (KIP-74).

    Raises `MalformedBatch` for anything that is not a batch with a right checksum.
    """
    found, at = list[StoredBatch](), 0
    while at + HEADER.size <= len(data):
        length = struct.unpack_from(">i", data, at + 8)[0]
        end = at + LENGTH_COVERS_FROM + length
        if end > len(data):
            break
        found.append(_read_batch(data[at:end]))
        at = end
    return tuple(found)


def _read_batch(data: bytes) -> StoredBatch:
    if len(data) < HEADER.size:
        raise MalformedBatch(f"a batch of {len(data)} bytes has no room for its header")
    base, _, epoch, magic, crc, attributes, last, first_ms, max_ms, pid, pepoch, sequence, count = (
        HEADER.unpack_from(data)
    )
    if magic != 2:
        raise MalformedBatch(f"the batch at {base} has magic {magic}")
    if crc32c(memoryview(data)[CRC_COVERS_FROM:]) != crc:
        raise MalformedBatch(f"the batch at {base} has a wrong checksum")
    time_ms = max_ms if attributes & LOG_APPEND_TIME else None
    payload = _decompressed(Codec(attributes & CODEC_MASK), data[HEADER.size :], base)
    return StoredBatch(
        base_offset=base,
        leader_epoch=epoch,
        attributes=attributes,
        last_offset_delta=last,
        base_timestamp_ms=first_ms,
        max_timestamp_ms=max_ms,
        producer_id=pid,
        producer_epoch=pepoch,
        base_sequence=sequence,
        count=count,
        records=tuple(_read_records(payload, count, base, first_ms, time_ms)),
    )


def _decompressed(codec: Codec, payload: bytes, base: int) -> bytes:
    try:
        return _DECODE[codec](payload)
    except Exception as error:  # every codec library raises its own
        raise MalformedBatch(f"the batch at {base} is not {codec.name}: {error!r}") from error


def _read_records(
    payload: bytes, count: int, base: int, first_ms: int, append_ms: int | None
) -> Iterator[Record]:
    at = 0
    for _ in range(count):
        try:
            size, at = read_varint(payload, at)
            record = _read_record(payload[at : at + size], base, first_ms, append_ms)
        except (IndexError, UnicodeDecodeError) as error:
            raise MalformedBatch(f"a record of the batch at {base} ends too early") from error
        yield record
        at += size
    if at != len(payload):
        raise MalformedBatch(f"{len(payload) - at} bytes after the batch at {base}'s last record")


def _read_record(data: bytes, base: int, first_ms: int, append_ms: int | None) -> Record:
    time_delta, at = read_varint(data, 1)
    offset_delta, at = read_varint(data, at)
    key, at = _read_sized(data, at)
    value, at = _read_sized(data, at)
    count, at = read_varint(data, at)
    headers = []
    for _ in range(count):
        name, at = _read_sized(data, at)
        content, at = _read_sized(data, at)
        headers.append(((name or b"").decode(), content))
    if at != len(data):
        raise IndexError("a record's length and its content differ")
    return Record(
        offset=base + offset_delta,
        timestamp_ms=first_ms + time_delta if append_ms is None else append_ms,
        key=key,
        value=value,
        headers=tuple(headers),
    )


def _read_sized(data: bytes, at: int) -> tuple[bytes | None, int]:
    size, at = read_varint(data, at)
    if size < 0:
        return None, at
    if at + size > len(data):
        raise IndexError("a length runs past the end")
    return data[at : at + size], at + size


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number, and where the next begins. Raises `IndexError` at the end of the data."""
    number = shift = 0
    while shift < 64:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return (number >> 1) ^ -(number & 1), at
    raise IndexError("a varint of more than nine bytes")
