"""Requests in pieces, so that a test can lie about one length or slip in one tagged field.

kio writes whole messages and never lies. Here the same bytes come apart at the places where a
reader has to decide something: how much follows, and which tagged fields there are (KIP-482).
"""

import dataclasses
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

from conformance.codec import CLIENT_ID, Entity

NULL = -1
FIXED: Mapping[str, str] = {
    "bool": ">?",
    "int8": ">b",
    "int16": ">h",
    "int32": ">i",
    "int64": ">q",
    "uint16": ">H",
    "uint32": ">I",
    "float64": ">d",
    "timedelta_i32": ">i",
    "timedelta_i64": ">q",
}
SHORT, INT, COMPACT = ">h", ">i", "unsigned varint of the length plus one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Announces how many entries or bytes follow; NULL stands for nothing at all."""

    value: int
    form: str
    nullable: bool
    is_array: bool

    def encode(self) -> bytes:
        """In the short form values beyond an int16 are cut to its greatest."""
        if self.form == COMPACT:
            return unsigned_varint((self.value + 1) & 0xFFFF_FFFF)
        return struct.pack(self.form, min(self.value, 0x7FFF) if self.form == SHORT else self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedFields:
    """The end of a flexible header, message or entry."""

    fields: tuple[tuple[int, bytes], ...] = ()

    def encode(self) -> bytes:
        sized = (unsigned_varint(tag) + unsigned_varint(len(d)) + d for tag, d in self.fields)
        return unsigned_varint(len(self.fields)) + b"".join(sized)


Piece = bytes | Length | TaggedFields


def unsigned_varint(number: int) -> bytes:
    """Seven bits per byte, the lowest first, as all flexible versions write lengths."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def joined(pieces: list[Piece]) -> bytes:
    """The frame without its own length."""
    return b"".join(piece if isinstance(piece, bytes) else piece.encode() for piece in pieces)


def pieces_of(request: Entity, correlation_id: int) -> list[Piece]:
    """Header and body; `joined` makes of them what `codec.encode_request` writes."""
    head = struct.pack(">hhi", request.__api_key__, request.__version__, correlation_id)
    client_id = CLIENT_ID.encode()
    named = Length(value=len(client_id), form=SHORT, nullable=True, is_array=False)
    header: list[Piece] = [head, named, client_id]
    if request.__header_schema__.__flexible__:
        header.append(TaggedFields())
    return [*header, *_entity(request)]


def tampered(pieces: list[Piece], number: int, replacement: Piece) -> bytes:
    """The frame with one of its pieces replaced."""
    return joined([*pieces[:number], replacement, *pieces[number + 1 :]])


def with_tagged_fields(pieces: list[Piece], fields: tuple[tuple[int, bytes], ...]) -> bytes:
    """The frame with these fields added wherever a tagged field may stand."""
    return joined(
        [
            dataclasses.replace(piece, fields=piece.fields + fields)
            if isinstance(piece, TaggedFields)
            else piece
            for piece in pieces
        ]
    )


# ---- a walk over kio's schema -------------------------------------------------------------------


@cache
def _hints(cls: Any) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _entity(entity: Entity) -> Iterator[Piece]:
    cls: Any = type(entity)
    tagged: list[tuple[int, bytes]] = []
    for field in dataclasses.fields(cls):
        value, hint = getattr(entity, field.name), _hints(cls)[field.name]
        pieces = _value(value, hint, field.metadata.get("kafka_type"), cls.__flexible__)
        if "tag" not in field.metadata:
            yield from pieces
        elif value != field.default:
            tagged.append((field.metadata["tag"], joined(list(pieces))))
    if cls.__flexible__:
        yield TaggedFields(fields=tuple(sorted(tagged)))


def _value(value: Any, hint: Any, kind: str | None, flexible: bool) -> Iterator[Piece]:
    options = [option for option in get_args(hint) or (hint,) if option is not NoneType]
    nullable = NoneType in get_args(hint)
    arrays = [option for option in (hint, *options) if get_origin(option) is tuple]
    if arrays:
        yield _length(value, COMPACT if flexible else INT, nullable, is_array=True)
        for entry in value or ():
            yield from _value(entry, get_args(arrays[0])[0], kind, flexible)
    elif kind is None:
        if nullable:
            yield struct.pack(">b", -1 if value is None else 1)
        if value is not None:
            yield from _entity(value)
    elif kind in ("string", "bytes", "records"):
        content = value.encode() if isinstance(value, str) else value
        short = SHORT if kind == "string" else INT
        yield _length(content, COMPACT if flexible else short, nullable, is_array=False)
        yield content or b""
    elif kind == "uuid":
        yield (value or UUID(int=0)).bytes
    else:
        number = value // timedelta(milliseconds=1) if isinstance(value, timedelta) else value
        yield struct.pack(FIXED[kind], number)


def _length(value: Any, form: str, nullable: bool, *, is_array: bool) -> Length:
    count = NULL if value is None else len(value)
    return Length(value=count, form=form, nullable=nullable, is_array=is_array)
