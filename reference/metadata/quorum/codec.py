"""How the metadata log looks on disk: one line of JSON each, with its checksum before it.

    3f2a9c01 [4,"ConfigRecord",{"resource_type":2,"resource":"orders","name":...}]

A line that was torn by a loss of power lacks its end, or fails its checksum; it and what follows it
count as never written.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple, get_args, get_type_hints
from uuid import UUID

from crc32c import crc32c

from reference.metadata.quorum.messages import Entry
from reference.metadata.records import MetadataRecord, PartitionId

CHECKSUM_BYTES = 8
"""As hexadecimal digits; a space follows."""


def _partition_id(value: Any) -> PartitionId:
    return PartitionId(UUID(value[0]), value[1])


def _unchanged(value: Any) -> Any:
    return value


_DECODERS: Mapping[object, Callable[[Any], Any]] = {
    UUID: UUID,
    PartitionId: _partition_id,
    tuple[int, ...]: tuple,
    int: _unchanged,
    bool: _unchanged,
    str: _unchanged,
    str | None: _unchanged,
}
"""From JSON, by the type of a field. A type that has none is found out on import."""


class _Shape(NamedTuple):
    record: Callable[..., MetadataRecord]
    fields: Mapping[str, Callable[[Any], Any]]


def _shape(record: type) -> _Shape:
    hints = get_type_hints(record)
    return _Shape(record, {f.name: _DECODERS[hints[f.name]] for f in fields(record)})


_SHAPES: Mapping[str, _Shape] = {
    record.__name__: _shape(record) for record in get_args(MetadataRecord)
}


class Damaged(ValueError):
    """A file that is replaced as a whole holds something else than was written."""


def line(value: object) -> bytes:
    """Returns the line of a JSON value; UUIDs are written as text."""
    text = json.dumps(value, separators=(",", ":"), default=str).encode()
    return b"%08x %s\n" % (crc32c(text), text)


def entry_line(entry: Entry) -> bytes:
    kind = type(entry.record).__name__
    content = {name: getattr(entry.record, name) for name in _SHAPES[kind].fields}
    return line((entry.epoch, kind, content))


def read_entry(value: Any) -> Entry:
    """Returns the entry of a line's value. Raises KeyError for a record of no known kind."""
    epoch, kind, content = value
    shape = _SHAPES[kind]
    decoded = {name: decode(content[name]) for name, decode in shape.fields.items()}
    return Entry(epoch, shape.record(**decoded))


def whole_lines(data: bytes) -> Iterator[tuple[Any, int]]:
    """Yields the value of each line and the size of the file up to its end, in bytes; ends before
    the first line that is torn."""
    end = 0
    for each in data.splitlines(keepends=True):
        text = each[CHECKSUM_BYTES + 1 : -1]
        if each[-1:] != b"\n" or each[:CHECKSUM_BYTES] != b"%08x" % crc32c(text):
            return
        end += len(each)
        yield json.loads(text), end


def all_lines(data: bytes) -> list[Any]:
    """Returns the values of a file that was written at once. Raises Damaged."""
    read = list(whole_lines(data))
    if not read or read[-1][1] != len(data):
        raise Damaged(f"{len(read)} lines are whole in {len(data)} bytes")
    return [value for value, _ in read]
