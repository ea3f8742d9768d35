"""The shape of an adapter between one API key and the core, and what all adapters need."""

import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from operator import attrgetter
from types import ModuleType
from typing import Any, NamedTuple
from uuid import UUID

from kio.index import load_response_schema
from kio.schema.errors import ErrorCode

from reference.errors import Error
from reference.requests import NO_TIMESTAMP, Request, Response

Entity = Any
"""A kio dataclass; there is one class per message and version, so no useful common type."""
Addresses = Mapping[int, tuple[str, int]]
"""Host and port of each broker, as clients are told."""


class Refused(NamedTuple):
    """A request that the broker answers without asking the core, since the core's vocabulary
    cannot say what the client said."""

    response: Response


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one API key is served.

    `from_core` is given kio's module of the response version. `encode`, where there is one, gives
    in pieces the bytes that kio's writer gives for the entity of `from_core`, faster.
    """

    api_key: int
    versions: range
    to_core: Callable[[Entity, int], Request | Refused]
    from_core: Callable[[ModuleType, Any, Addresses], Entity]
    encode: Callable[[int, Any, Addresses], list[bytes]] | None = None


@cache
def response_module(api_key: int, version: int) -> ModuleType:
    """Returns kio's module with the classes of a response."""
    return sys.modules[load_response_schema(api_key, version).__module__]


def fill(schema: type, **fields: object) -> Entity:
    """Returns an entity of a kio class, without the fields that its version lacks.

    kio has one class per version; what it gives no default is given Kafka's: zero, empty, null.
    """
    known = _defaults(schema)
    return schema(**known | {name: value for name, value in fields.items() if name in known})


ZERO: Mapping[str, object] = {
    "string": "",
    "bool": False,
    "bytes": b"",
    "uuid": None,
    "error_code": ErrorCode.none,
    "timedelta_i32": timedelta(0),
}


@cache
def _defaults(schema: Any) -> dict[str, object]:
    return {field.name: _default(field) for field in dataclasses.fields(schema)}


def _default(field: "dataclasses.Field[object]") -> object:
    if field.default is not dataclasses.MISSING:
        return field.default
    if "None" in str(field.type):
        return None
    if "tuple[" in str(field.type):
        return ()
    return ZERO.get(field.metadata.get("kafka_type") or "", 0)


def code(error: Error) -> ErrorCode:
    """Returns kio's member for an error."""
    return _CODES[error]


_CODES = {error: ErrorCode(error) for error in Error}


def milliseconds(duration: timedelta) -> int:
    """Returns a duration in kio's form as milliseconds."""
    return duration // timedelta(milliseconds=1)


def timestamp(at_ms: int) -> datetime | None:
    """Returns a point in time in kio's form, where -1 is None."""
    if at_ms == NO_TIMESTAMP:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


def by_topic(parts: Iterable[Any]) -> Iterator[tuple[Any, Iterator[Any]]]:
    """Yields neighbours of the same `topic` together, so the request's order is kept."""
    return groupby(parts, key=attrgetter("topic"))


def topic_name(topic: str | UUID) -> dict[str, object]:
    """Returns the fields that name a topic in a response, as the request named it (KIP-516)."""
    return {"topic_id": topic} if isinstance(topic, UUID) else {"name": topic}
