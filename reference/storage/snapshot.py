"""Producer snapshots: what the batches before an offset have made of the producers (KIP-98).

Kafka's has one entry per producer with its last batch; this one has all that are remembered, so
that a restart does not weaken deduplication, and the leader epoch of the record before the offset,
which an empty log could not know otherwise. A checksum covers all that follows it.
"""

import struct
from typing import NamedTuple

from crc32c import crc32c

from reference.producer_state import Producer, ProducerSnapshot, Remembered
from reference.storage.checkpoints import Damaged

VERSION = 1
_FRONT = struct.Struct(">hI")
_HEAD = struct.Struct(">ii")
_PRODUCER = struct.Struct(">qhb")
_BATCH = struct.Struct(">iiqqq")


class Snapshot(NamedTuple):
    """What is known of all that was before an offset."""

    last_epoch: int
    """Leader epoch of the record before the offset, or -1."""
    producers: ProducerSnapshot


def encoded(snapshot: Snapshot) -> bytes:
    parts = [_HEAD.pack(snapshot.last_epoch, len(snapshot.producers))]
    for producer_id, producer in snapshot.producers.items():
        parts.append(_PRODUCER.pack(producer_id, producer.epoch, len(producer.recent)))
        parts += (_BATCH.pack(*batch) for batch in producer.recent)
    content = b"".join(parts)
    return _FRONT.pack(VERSION, crc32c(content)) + content


def decoded(data: bytes) -> Snapshot:
    """Raises Damaged."""
    if len(data) < _FRONT.size + _HEAD.size:
        raise Damaged(f"a snapshot of {len(data)} bytes")
    version, checksum = _FRONT.unpack_from(data)
    if version != VERSION:
        raise Damaged(f"a snapshot of version {version}")
    if crc32c(memoryview(data)[_FRONT.size :]) != checksum:
        raise Damaged("the checksum of a snapshot does not match")
    try:
        return _content(data)
    except struct.error as error:
        raise Damaged(f"a snapshot ends too early: {error}") from error


def _content(data: bytes) -> Snapshot:
    last_epoch, count = _HEAD.unpack_from(data, _FRONT.size)
    at = _FRONT.size + _HEAD.size
    if not 0 <= count <= (len(data) - at) // _PRODUCER.size:
        raise Damaged(f"a snapshot of {count} producers in {len(data)} bytes")
    producers: dict[int, Producer] = {}
    for _ in range(count):
        producer_id, epoch, batches = _PRODUCER.unpack_from(data, at)
        at += _PRODUCER.size
        if producer_id in producers or batches < 1:
            raise Damaged(f"producer {producer_id} has {batches} batches, or comes twice")
        recent = []
        for _ in range(batches):
            recent.append(Remembered._make(_BATCH.unpack_from(data, at)))
            at += _BATCH.size
        producers[producer_id] = Producer(epoch, tuple(recent))
    if at != len(data):
        raise Damaged(f"{len(data) - at} bytes after the end of a snapshot")
    return Snapshot(last_epoch, producers)
