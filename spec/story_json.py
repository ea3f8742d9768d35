"""Stories as JSON, and their states in the Informal Trace Format.

What is read is checked by the Story itself; here only its shape is: which fields there are, and
which lists are records."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from spec.story import FIELDS, Changes, LogEntry, Story, StoryError, Value

Json = Any
R = TypeVar("R")
BYTES_MAX = 64 << 20
"""Bytes of a file."""


def to_json(story: Story) -> dict[str, Json]:
    """What `from_json` reads. What has its default value is left out."""
    return dict(_encoded(story))


def from_json(raw: Json) -> Story:
    """Raises StoryError where a field is missing, unknown, of another type or out of bounds."""
    return _record(Story, raw, "story")


def read(path: Path) -> Story:
    """The story of a JSON file. Raises OSError and StoryError."""
    with path.open("rb") as file:
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise StoryError(f"{path.name} has more than {BYTES_MAX} bytes")
    try:
        return from_json(json.loads(content))
    except StoryError as error:
        raise StoryError(f"{path.name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise StoryError(f"{path.name} is no JSON: {error}") from None


def write(story: Story, path: Path) -> None:
    """Writes the file that `read` reads. Raises OSError."""
    text = json.dumps(to_json(story), ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def _encoded(value: Any) -> Any:
    if is_dataclass(value):
        held = {part.name: getattr(value, part.name) for part in fields(value)}
        return {
            p.name: _encoded(held[p.name]) for p in fields(value) if held[p.name] != _default(p)
        }
    if isinstance(value, Mapping):
        return {name: _encoded(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_encoded(part) for part in value]
    return value


def _default(part: Field[Any]) -> Any:
    """The default value of a field; MISSING if it has none."""
    return part.default if part.default_factory is MISSING else part.default_factory()


def _record(kind: type[R], raw: Json, where: str) -> R:
    hints = get_type_hints(kind)
    if not isinstance(raw, dict):
        raise StoryError(f"{where} should be an object, not {raw!r:.40}")
    for name in raw:
        if name not in hints:
            raise StoryError(f"{where} has no field {name!r:.40}")
    for part in fields(kind):  # type: ignore[arg-type]
        if part.name not in raw and _default(part) is MISSING:
            raise StoryError(f"{where} lacks {part.name}")
    return kind(
        **{name: _shaped(hints[name], value, f"{where}.{name}") for name, value in raw.items()}
    )


def _shaped(hint: Any, raw: Json, where: str) -> Any:
    """Lists as tuples, objects as records, wherever the type wants them; anything else as it is."""
    if hint == Changes:
        return _changes(raw)
    if get_origin(hint) is tuple and isinstance(raw, list):
        inner = get_args(hint)[0]
        return tuple(_shaped(inner, part, f"{where}[{n}]") for n, part in enumerate(raw))
    return _record(hint, raw, where) if is_dataclass(hint) else raw  # type: ignore[arg-type]


def _changes(raw: Json) -> Any:
    """Only a Story knows which fields its lanes have; lists of lists of four can only be logs."""
    if not isinstance(raw, dict):
        return raw
    return {
        lane: {key: _value(value) for key, value in told.items()}
        if isinstance(told, dict)
        else told
        for lane, told in raw.items()
    }


def _value(raw: Json) -> Any:
    if not isinstance(raw, list):
        return raw
    return tuple(LogEntry(*p) if isinstance(p, list) and len(p) == 4 else p for p in raw)


# ---- the Informal Trace Format ------------------------------------------------------------------


def to_itf(story: Story) -> dict[str, Json]:
    """The states in the Informal Trace Format, for tools that read Apalache's traces.

    A variable per kind of lane and field (`broker_log`, `controller_epoch`), each a map by lane;
    in-sync replicas are sets, a log is a list of records, and what was not observed is missing."""
    kinds = {lane.id: lane.kind for lane in story.lanes}
    names = {f"{kind}_{key}": (kind, key) for kind in FIELDS for key in FIELDS[kind]}
    names = {name: pair for name, pair in names.items() if pair[0] in kinds.values()}
    states = []
    for number, (step, state) in enumerate(zip(story.steps, story.states(), strict=True)):
        meta = {"index": number, "action": step.action, "lane": step.lane, "at_ms": step.at_ms}
        written: dict[str, Json] = {"#meta": meta}
        for name, (kind, key) in names.items():
            held = [(lane, state[lane][key]) for lane in kinds if kinds[lane] == kind]
            entries = [[lane, _itf(value)] for lane, value in held if value is not None]
            written[name] = {"#map": entries}
        states.append(written)
    return {
        "#meta": {"format": "ITF", "description": story.title},
        "vars": list(names),
        "states": states,
    }


def _itf(value: Value) -> Json:
    if not isinstance(value, tuple):
        return value
    if any(isinstance(part, LogEntry) for part in value):
        return [part._asdict() for part in value if isinstance(part, LogEntry)]
    return {"#set": list(value)}
