"""Walks over a message before kio reads it, because kio 0.6.5 trusts its input in two ways.

* It reserves memory for as many array entries as the message announces. Five bytes that announce
  2^32 entries abort the whole process, and no exception handler can prevent it.
* It refuses a message with a tagged field that it does not know. Tagged fields exist so that newer
  peers may add some and older ones ignore them (KIP-482).

The walk follows kio's schema without building anything: each announced length must fit into the
bytes that remain, a null must be allowed where it stands, and unknown tagged fields are cut out.
"""

import dataclasses
import struct
from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, NamedTuple, get_args, get_origin

ENTRIES_MAX = 1 << 18
"""Array entries and tagged fields of one message together. No client asks about so many things at
once, and a broker of one thread is blocked for half a second by walking over them."""

SHORT, INT = struct.Struct(">h"), struct.Struct(">i")
FIXED_BYTES = {
    "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8,
    "bool": 1, "error_code": 2, "float64": 8, "uuid": 16,
    "timedelta_i32": 4, "timedelta_i64": 8, "datetime_i64": 8,
}  # fmt: skip


class Malformed(ValueError):
    """The bytes are not a message of the schema."""


class _Walk:
    __slots__ = ("entries_left", "patches", "payload")

    def __init__(self, payload: bytes, entries_left: int) -> None:
        self.payload = payload
        self.entries_left = entries_left
        self.patches: list[tuple[int, int, bytes]] = []

    def spend(self, entries: int) -> None:
        self.entries_left -= entries
        if self.entries_left < 0:
            raise Malformed(f"more than {ENTRIES_MAX} entries")

    def patched(self, start: int) -> bytes:
        pieces = []
        for first, end, replacement in self.patches:
            pieces += [self.payload[start:first], replacement]
            start = end
        return b"".join((*pieces, self.payload[start:]))


Step = Callable[[_Walk, int], int]
"""From the position of a value to the position behind it, which may lie behind the end: whoever
reads there fails, and at the latest the caller sees it."""


class _Layout(NamedTuple):
    step: Step
    least_bytes: int
    is_fixed: bool


def guarded(schema: Any, payload: bytes, start: int) -> tuple[bytes, int]:
    """Returns a message of kio class `schema` and its position, safe for kio to read.

    The message must fill `payload` from `start` to the end. Raises Malformed.
    """
    walk = _Walk(payload, ENTRIES_MAX)
    _expect_end(walk, _run(walk, _layout(schema).step, start))
    return (walk.patched(start), 0) if walk.patches else (payload, start)


def end_of(schema: Any, payload: bytes, start: int) -> int:
    """Returns the position behind the message of kio class `schema` at `start`, for headers.

    Raises Malformed.
    """
    end = _run(_Walk(payload, ENTRIES_MAX), _layout(schema).step, start)
    if end > len(payload):
        raise Malformed("ends too early")
    return end


def _run(walk: _Walk, step: Step, start: int) -> int:
    try:
        return step(walk, start)
    except (IndexError, struct.error):
        raise Malformed("ends too early") from None


def _expect_end(walk: _Walk, end: int) -> None:
    if end != len(walk.payload):
        over = len(walk.payload) - end
        raise Malformed(f"{over} bytes too many" if over > 0 else "ends too early")


def varint(payload: bytes, at: int) -> tuple[int, int]:
    """Returns the unsigned varint at a position, and the position behind it."""
    byte = payload[at]
    if byte < 0x80:
        return byte, at + 1
    value = byte & 0x7F
    for shift in (7, 14, 21, 28):
        at += 1
        byte = payload[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
    raise Malformed("a varint of more than five bytes")


def varint_bytes(value: int) -> bytes:
    """Returns the encoding of an unsigned varint."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@cache
def _layout(schema: Any) -> _Layout:
    """Neighbouring fields of fixed size become one step."""
    steps: list[Step] = []
    tags: dict[int, Step] = {}
    least_bytes = pending_bytes = 0
    for field in dataclasses.fields(schema):
        layout = _field_layout(schema, field)
        if "tag" in field.metadata:
            tags[field.metadata["tag"]] = layout.step
            continue
        least_bytes += layout.least_bytes
        if layout.is_fixed:
            pending_bytes += layout.least_bytes
            continue
        if pending_bytes:
            steps.append(_fixed(pending_bytes))
            pending_bytes = 0
        steps.append(layout.step)
    is_fixed = not steps and not schema.__flexible__
    if pending_bytes or is_fixed:
        steps.append(_fixed(pending_bytes))
    if schema.__flexible__:
        steps.append(_tagged_fields(tags))
        least_bytes += 1
    step = steps[0] if len(steps) == 1 else _sequence(tuple(steps))
    return _Layout(step, least_bytes, is_fixed)


def _field_layout(schema: Any, field: "dataclasses.Field[object]") -> _Layout:
    kind, is_array, is_nullable = shape_of(field.type)
    if is_array:
        # Nullability belongs to the array; its entries are never null.
        entry = _value_layout(schema, field, kind, is_nullable=False)
        return _array(entry, schema.__flexible__, is_nullable)
    return _value_layout(schema, field, kind, is_nullable)


def shape_of(annotation: Any) -> tuple[Any, bool, bool]:
    """The type without None and tuple; whether it is an array; whether null may stand for it."""
    is_nullable = get_origin(annotation) is UnionType and NoneType in get_args(annotation)
    if is_nullable:
        (annotation,) = (kind for kind in get_args(annotation) if kind is not NoneType)
    if get_origin(annotation) is tuple:
        return get_args(annotation)[0], True, is_nullable
    return annotation, False, is_nullable


def _value_layout(
    schema: Any, field: "dataclasses.Field[object]", kind: Any, is_nullable: bool
) -> _Layout:
    if hasattr(kind, "__flexible__"):
        layout = _layout(kind)
        has_marker = is_nullable and "tag" not in field.metadata
        return _Layout(_nullable(layout.step), 1, False) if has_marker else layout
    kafka_type = field.metadata["kafka_type"]
    if size_bytes := FIXED_BYTES.get(kafka_type):
        return _Layout(_fixed(size_bytes), size_bytes, True)
    # The client id kept its old form in flexible headers (RequestHeader.json).
    is_client_id = schema.__name__ == "RequestHeader" and field.name == "client_id"
    if schema.__flexible__ and not is_client_id:
        return _Layout(_compact_bytes(is_nullable), 1, False)
    length = SHORT if kafka_type == "string" else INT
    return _Layout(_legacy_bytes(length, is_nullable), length.size, False)


def _fixed(size_bytes: int) -> Step:
    return lambda walk, at: at + size_bytes


def _sequence(steps: tuple[Step, ...]) -> Step:
    def step(walk: _Walk, at: int) -> int:
        for each in steps:
            at = each(walk, at)
        return at

    return step


def _nullable(inner: Step) -> Step:
    """A struct behind a byte that says whether there is one (KIP-893)."""
    return lambda walk, at: at + 1 if walk.payload[at] > 0x7F else inner(walk, at + 1)


def _compact_bytes(is_nullable: bool) -> Step:
    def step(walk: _Walk, at: int) -> int:
        length, at = varint(walk.payload, at)
        if length:
            return at + length - 1
        if not is_nullable:
            raise Malformed("null where a value must stand")
        return at

    return step


def _legacy_bytes(length_type: struct.Struct, is_nullable: bool) -> Step:
    def step(walk: _Walk, at: int) -> int:
        (length,) = length_type.unpack_from(walk.payload, at)
        at += length_type.size
        if length >= 0:
            return int(at + length)
        if length < -1 or not is_nullable:
            raise Malformed(f"a length of {length}")
        return at

    return step


def _array(entry: _Layout, is_flexible: bool, is_nullable: bool) -> _Layout:
    def step(walk: _Walk, at: int) -> int:
        if is_flexible:
            count, at = varint(walk.payload, at)
            count -= 1
        else:
            (count,) = INT.unpack_from(walk.payload, at)
            at += INT.size
        if count < 0:
            if count < -1 or not is_nullable:
                raise Malformed(f"an array of {count} entries")
            return at
        if count * entry.least_bytes > len(walk.payload) - at:
            raise Malformed(f"{count} entries announced, {len(walk.payload) - at} bytes left")
        walk.spend(count)
        if entry.is_fixed:
            return at + count * entry.least_bytes
        for _ in range(count):
            at = entry.step(walk, at)
        return at

    return _Layout(step, 1 if is_flexible else INT.size, False)


def _tagged_fields(known: dict[int, Step]) -> Step:
    def step(walk: _Walk, start: int) -> int:
        count, at = varint(walk.payload, start)
        if not count:
            return at
        walk.spend(count)
        kept: list[bytes] = []
        must_patch = False
        for _ in range(count):
            tag, at = varint(walk.payload, at)
            length, at = varint(walk.payload, at)
            if at + length > len(walk.payload):
                raise Malformed("a tagged field ends too early")
            content = walk.payload[at : at + length]
            at += length
            if tag in known:
                inside = _Walk(content, walk.entries_left)
                _expect_end(inside, known[tag](inside, 0))
                walk.entries_left = inside.entries_left
                content = inside.patched(0)
                kept.append(varint_bytes(tag) + varint_bytes(len(content)) + content)
            must_patch |= tag not in known or len(content) != length
        if must_patch:
            walk.patches.append((start, at, varint_bytes(len(kept)) + b"".join(kept)))
        return at

    return step
