"""Frames <-> kio's entities: the only place where kio meets bytes from outside."""

import io
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from reference.wire import guard
from reference.wire.adapter import Entity
from reference.wire.frames import HEAD_BYTES
from reference.wire.refusals import MalformedRequest

HEAD = struct.Struct(">hhi")


class Head(NamedTuple):
    """What the first bytes of every request say, whatever its version."""

    api_key: int
    version: int
    correlation_id: int


def head_of(frame: bytes) -> Head:
    """Returns the head of a request. Raises MalformedRequest where the frame is too short."""
    if len(frame) < HEAD_BYTES:
        raise MalformedRequest(f"a frame of {len(frame)} bytes")
    return Head._make(HEAD.unpack_from(frame))


def decode(head: Head, frame: bytes) -> Entity:
    """Returns the request of a frame. Raises MalformedRequest, and nothing else, on any bytes."""
    try:
        schema = _request_schema(head.api_key, head.version)
        start = guard.end_of(schema.__header_schema__, frame, 0)
        body, start = guard.guarded(schema, frame, start)
        entity, size_bytes = _reader(schema)(body, start)
    except Exception as error:  # kio raises several unrelated types on bad input
        raise MalformedRequest(f"{type(error).__name__}: {error}") from error
    if start + size_bytes != len(body):
        raise MalformedRequest("kio and the guard disagree about the end")
    return entity


def encode(head: Head, entity: Entity) -> bytes:
    """Returns the frame of a response, without its length."""
    buffer = io.BytesIO()
    buffer.write(response_header(head))
    schema: Any = type(entity)
    _writer(schema)(buffer, entity)
    return buffer.getvalue()


def response_header(head: Head) -> bytes:
    """Returns the header of the response to a request of this head."""
    correlation_id = head.correlation_id.to_bytes(4, "big", signed=True)
    return correlation_id + _tags_of_header(head.api_key, head.version)


@cache
def _tags_of_header(api_key: int, version: int) -> bytes:
    schema: Any = load_response_schema(api_key, version)
    return b"\0" if schema.__header_schema__.__flexible__ else b""


@cache
def _request_schema(api_key: int, version: int) -> Any:
    return load_request_schema(api_key, version)


@cache
def _reader(schema: Any) -> Callable[[bytes, int], tuple[Entity, int]]:
    return entity_reader(schema)


@cache
def _writer(schema: Any) -> Callable[[io.BytesIO, Entity], None]:
    return entity_writer(schema)
