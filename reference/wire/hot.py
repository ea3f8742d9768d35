"""Produce and Fetch responses, written by hand: they are what a broker encodes all day.

kio writes each field through several Python calls, more than everything else that the broker does
for a small request. These encoders give the same bytes; tests compare them over all versions.
"""

import struct
from collections.abc import Iterable
from uuid import UUID

from reference.requests import (
    EpochEnd,
    Fetched,
    FetchedPart,
    LeaderHint,
    Produced,
    ProducedPart,
)
from reference.wire.adapter import Addresses, by_topic
from reference.wire.guard import varint_bytes

NO_THROTTLE = bytes(4)
NULL_ARRAY = b"\xff\xff\xff\xff"
SHORT, INT = struct.Struct(">h"), struct.Struct(">i")
PRODUCED = struct.Struct(">ihqq")  # index, error, base offset, log append time
PRODUCED_5 = struct.Struct(">ihqqq")  # and log start offset
FETCHED = struct.Struct(">ihqq")  # index, error, high watermark, last stable offset
FETCHED_5 = struct.Struct(">ihqqq")  # and log start offset
ABORTED = struct.Struct(">qq")
LEADER = struct.Struct(">ii")
DIVERGING = struct.Struct(">iq")


def leaders(parts: Iterable[ProducedPart | FetchedPart], addresses: Addresses) -> list[int]:
    """Returns the brokers that are named as leaders and can be reached, each once (KIP-951)."""
    named = dict.fromkeys(part.current_leader.leader for part in parts if part.current_leader)
    return [leader for leader in named if leader in addresses]


def encode_produced(version: int, response: Produced, addresses: Addresses) -> list[bytes]:
    """Returns the body of a Produce response in pieces."""
    flexible = version >= 9
    count = _compact_count if flexible else INT.pack
    pieces: list[bytes] = []
    topics = 0
    for topic, group in by_topic(response.parts):
        topics += 1
        parts = list(group)
        pieces += [_topic(topic, flexible), count(len(parts))]
        for part in parts:
            _produced_part(pieces, version, part)
        if flexible:
            pieces.append(b"\0")
    pieces = [count(topics), *pieces, NO_THROTTLE]
    if flexible:
        pieces.append(_endpoints(response.parts, addresses) if version >= 10 else b"\0")
    return pieces


def _produced_part(pieces: list[bytes], version: int, part: ProducedPart) -> None:
    fields = (part.number, part.error, part.base_offset, part.log_append_time_ms)
    if version < 5:
        pieces.append(PRODUCED.pack(*fields))
        return
    pieces.append(PRODUCED_5.pack(*fields, part.log_start_offset))
    if version < 8:
        return
    flexible = version >= 9
    text = _compact_text if flexible else _legacy_text
    pieces.append((_compact_count if flexible else INT.pack)(len(part.record_errors)))
    for position, message in part.record_errors:
        pieces += [INT.pack(position), text(message), b"\0" if flexible else b""]
    pieces.append(text(part.message))
    if flexible:
        hint = part.current_leader if version >= 10 else None
        pieces.append(_tagged(_tag(0, LEADER, hint)))


def encode_fetched(version: int, response: Fetched, addresses: Addresses) -> list[bytes]:
    """Returns the body of a Fetch response in pieces, so that records are copied once."""
    flexible = version >= 12
    count = _compact_count if flexible else INT.pack
    part_writer = _compact_fetched_part if flexible else _legacy_fetched_part
    pieces: list[bytes] = []
    topics = 0
    for topic, group in by_topic(response.parts):
        topics += 1
        parts = list(group)
        pieces += [_topic(topic, flexible), count(len(parts))]
        for part in parts:
            part_writer(pieces, version, part)
        if flexible:
            pieces.append(b"\0")
    head = [NO_THROTTLE]
    if version >= 7:
        head += [SHORT.pack(response.error), INT.pack(response.session_id)]
    head.append(count(topics))
    if flexible:
        pieces.append(_endpoints(response.parts, addresses) if version >= 16 else b"\0")
    return head + pieces


def _legacy_fetched_part(pieces: list[bytes], version: int, part: FetchedPart) -> None:
    fields = (part.number, part.error, part.high_watermark, part.last_stable_offset)
    if version < 5:
        pieces.append(FETCHED.pack(*fields))
    else:
        pieces.append(FETCHED_5.pack(*fields, part.log_start_offset))
    if part.aborted is None:
        pieces.append(NULL_ARRAY)
    else:
        pieces.append(INT.pack(len(part.aborted)))
        pieces += [ABORTED.pack(*aborted) for aborted in part.aborted]
    if version >= 11:
        pieces.append(INT.pack(part.preferred_read_replica))
    pieces += [INT.pack(len(part.records)), part.records]


def _compact_fetched_part(pieces: list[bytes], version: int, part: FetchedPart) -> None:
    fields = (part.number, part.error, part.high_watermark, part.last_stable_offset)
    pieces.append(FETCHED_5.pack(*fields, part.log_start_offset))
    if part.aborted is None:
        pieces.append(b"\0")
    else:
        pieces.append(_compact_count(len(part.aborted)))
        pieces += [ABORTED.pack(*aborted) + b"\0" for aborted in part.aborted]
    pieces.append(INT.pack(part.preferred_read_replica))
    pieces += [_compact_count(len(part.records)), part.records]
    hint = part.current_leader if version >= 16 else None
    pieces.append(_tagged(_tag(0, DIVERGING, part.diverging), _tag(1, LEADER, hint)))


def _topic(topic: str | UUID, flexible: bool) -> bytes:
    if isinstance(topic, UUID):
        return topic.bytes
    return _compact_text(topic) if flexible else _legacy_text(topic)


def _compact_count(count: int) -> bytes:
    return varint_bytes(count + 1)


def _compact_text(text: str | None) -> bytes:
    if text is None:
        return b"\0"
    encoded = text.encode()
    return varint_bytes(len(encoded) + 1) + encoded


def _legacy_text(text: str | None) -> bytes:
    if text is None:
        return b"\xff\xff"
    encoded = text.encode()
    return SHORT.pack(len(encoded)) + encoded


def _tagged(*tags: bytes) -> bytes:
    present = [tag for tag in tags if tag]
    return varint_bytes(len(present)) + b"".join(present)


def _tag(number: int, layout: struct.Struct, pair: LeaderHint | EpochEnd | None) -> bytes:
    """A tagged struct of two fields; left out where both have their default."""
    if pair is None or pair == (-1, -1):
        return b""
    content = layout.pack(*pair) + b"\0"
    return varint_bytes(number) + varint_bytes(len(content)) + content


def _endpoints(parts: Iterable[ProducedPart | FetchedPart], addresses: Addresses) -> bytes:
    named = leaders(parts, addresses)
    if not named:
        return b"\0"
    pieces = [_compact_count(len(named))]
    for leader in named:
        host, port = addresses[leader]
        no_rack = b"\0"
        pieces += [INT.pack(leader), _compact_text(host), INT.pack(port), no_rack, b"\0"]
    content = b"".join(pieces)
    return b"\1\0" + varint_bytes(len(content)) + content
