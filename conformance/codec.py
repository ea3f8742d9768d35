"""Requests of any version from plain data, and responses decoded to their last byte.

kio knows every message of Kafka, one class per version. Here that becomes "this API at this
version with these values"; what its readers raise on bad bytes becomes `MalformedAnswer`.
"""

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, get_args, get_type_hints
from uuid import UUID

from kio.index import load_request_schema, load_response_schema
from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_reader, entity_writer

from conformance.outcomes import MalformedAnswer
from reference.wire import guard

Entity = Any
"""A kio dataclass; there is one class per message and version, so no useful common type."""

KEYS: Mapping[str, int] = {name: key for key, name in api_key_map.items()}
NAMES: Mapping[int, str] = dict(api_key_map)
VERSIONS: Mapping[str, tuple[int, ...]] = {
    name: tuple(sorted(schema_name_map[name])) for name in KEYS
}
CLIENT_ID = "highwater"
_ZERO: Mapping[str, object] = {"string": "", "bool": False, "bytes": b"", "uuid": None}


# ---- building requests --------------------------------------------------------------------------


def request(api: str, version: int, **values: object) -> Entity:
    """A request of exactly this version; nested messages are dicts, durations milliseconds.

    A field that this version lacks is left out, as Kafka's own clients do. A field that no
    version has is a slip of the test and raises `TypeError`.
    """
    return _build(load_request_schema(KEYS[api], version), values)


def versions_with(api: str, names: Iterable[str]) -> tuple[int, ...]:
    """The versions of a request that have all these fields, at any depth."""
    wanted = frozenset(names)
    return tuple(v for v in VERSIONS[api] if wanted <= _all_names(api, v))


@cache
def _all_names(api: str, version: int) -> frozenset[str]:
    module = sys.modules[load_request_schema(KEYS[api], version).__module__]
    classes = (c for c in vars(module).values() if isinstance(c, type) and is_dataclass(c))
    return frozenset(field.name for cls in classes for field in fields(cls))


@cache
def _names_in_any_version(api_key: int, class_name: str) -> frozenset[str]:
    found: set[str] = set()
    for version in VERSIONS[api_key_map[api_key]]:
        module = sys.modules[load_request_schema(api_key, version).__module__]
        cls = getattr(module, class_name, None)
        if cls is not None:
            found.update(field.name for field in fields(cls))
    return frozenset(found)


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _build(cls: Any, values: Mapping[str, object]) -> Entity:
    unknown = values.keys() - _names_in_any_version(cls.__api_key__, cls.__name__)
    if unknown:
        raise TypeError(f"no version of {cls.__name__} has {', '.join(sorted(unknown))}")
    return cls(**{field.name: _field(cls, field, values) for field in fields(cls)})


def _field(cls: type, field: Any, values: Mapping[str, object]) -> object:
    kind = field.metadata.get("kafka_type") or ""
    if field.name not in values:
        if field.default is not MISSING:
            return field.default
        if "tuple[" in str(field.type):
            return ()
        return timedelta(0) if "timedelta" in kind else _ZERO.get(kind, 0)
    value = values[field.name]
    if isinstance(value, int) and "timedelta" in kind:
        return timedelta(milliseconds=value)
    if isinstance(value, list | tuple):
        element = _element(_hints(cls)[field.name])
        return tuple(_build(element, v) if isinstance(v, dict) else v for v in value)
    if isinstance(value, dict):
        hint = _hints(cls)[field.name]
        return _build(next((kind for kind in get_args(hint) if is_dataclass(kind)), hint), value)
    return value


def _element(hint: Any) -> Any:
    """The element of `tuple[X, ...]` and of `tuple[X, ...] | None` alike."""
    args = get_args(hint)
    return next((get_args(a)[0] for a in args if get_args(a)), args[0])


# ---- bytes --------------------------------------------------------------------------------------


@cache
def _reader(cls: Any) -> Callable[[bytes, int], tuple[Entity, int]]:
    return entity_reader(cls)


@cache
def _writer(cls: Any) -> Callable[[io.BytesIO, Entity], None]:
    return entity_writer(cls)


def encode_request(entity: Entity, correlation_id: int) -> bytes:
    """Header and body, without the length that frames them."""
    schema: Any = type(entity)
    header: Any = schema.__header_schema__
    head = {
        "request_api_key": schema.__api_key__,
        "request_api_version": schema.__version__,
        "correlation_id": correlation_id,
        "client_id": CLIENT_ID,
    }
    names = {field.name for field in fields(header)}
    buffer = io.BytesIO()
    _writer(header)(buffer, header(**{k: v for k, v in head.items() if k in names}))
    _writer(schema)(buffer, entity)
    return buffer.getvalue()


def decode_response(asked: Entity, correlation_id: int, payload: bytes) -> Entity:
    """Raises `MalformedAnswer` for another correlation id, bad bytes, or bytes left over."""
    schema: Any = load_response_schema(asked.__api_key__, asked.__version__)
    name = f"{schema.__name__} v{schema.__version__}"
    answered = int.from_bytes(payload[:4], "big", signed=True)
    if answered != correlation_id:
        raise MalformedAnswer(f"{name}: correlation id {answered}, expected {correlation_id}")
    try:
        # kio reserves memory for any length that is announced; the guard walks the bytes first.
        head = guard.end_of(schema.__header_schema__, payload, 0)
        body, start = guard.guarded(schema, payload, head)
        entity, _ = _reader(schema)(body, start)
    except Exception as error:  # kio raises several unrelated types on bad bytes
        raise MalformedAnswer(f"{name} cannot be decoded: {error!r}") from error
    return entity


# ---- for people ---------------------------------------------------------------------------------

TEXT_MAX = 160
ENTRIES_MAX = 12


def plain(value: object) -> Any:
    """A message as JSON-ready data for a wire log; long values are cut and say by how much."""
    if isinstance(value, ErrorCode):
        return f"{value.name.upper()} ({value.value})"
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, bytes | bytearray | memoryview):
        return _plain_bytes(bytes(value))
    if isinstance(value, str):
        return value if len(value) <= TEXT_MAX else f"{value[:TEXT_MAX]}… {len(value)} characters"
    if isinstance(value, tuple | list):
        shown = [plain(v) for v in value[:ENTRIES_MAX]]
        return shown if len(value) <= ENTRIES_MAX else [*shown, f"… {len(value)} entries"]
    if isinstance(value, timedelta):
        return round(value.total_seconds() * 1000)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, UUID) else value


def _plain_bytes(data: bytes) -> str:
    shown = data[:80].hex(" ", 4)
    return shown if len(data) <= 80 else f"{shown} … {len(data)} bytes"
