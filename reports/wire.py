"""The decoded wire log of a case as rows of a table, bounded in every direction.

Whoever reads of a failure of a target needs the log at once: it is on the page. What passed, what
was not tried and what mutants did has its log in a file beside the page, one for each clause.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.text import visible
from spec.evidence import Evidence, WireEntry

PAGE_CHARACTERS = 700_000
"""For all logs on the page."""
FILES_CHARACTERS = 4_000_000
"""For all logs beside it."""
ENTRIES = (250, 100, 50, 25, 12, 6)
"""How many last entries a case may show; the largest that fits the budget holds for all."""
SUMMARY_CHARACTERS = 180
VALUE_CHARACTERS = 300
FIELDS_CHARACTERS = 4_000
ITEMS = 40
DEPTH = 12
ROW_CHARACTERS = 260
"""The markup around the text of one row."""

_DIRECTIONS = {
    ">": ("→", "request"),
    "<": ("←", "response"),
    "!": ("●", "connection"),
    "#": ("#", "fault"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    at_ms: int
    peer: str
    arrow: str
    kind: str
    """`request`, `response`, `connection` or `fault`: also the style."""
    name: str
    correlation_id: int | None
    errors: tuple[str, ...]
    """The error codes other than 0 that the message carries."""
    summary: str
    """The fields on one line."""
    fields: str
    """The fields in full, as indented JSON; empty where the summary says it all."""

    @property
    def characters(self) -> int:
        """About what the row adds to the page."""
        return ROW_CHARACTERS + len(self.name) + len(self.summary) + len(self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The last entries of a case."""

    rows: tuple[Row, ...]
    earlier: int
    """How many entries came before them: left out here, or let go by the recorder."""
    file: str
    """Where it lies beside the page; empty if it is on the page."""


def logs(shown: Sequence[Evidence], aside: Sequence[Evidence]) -> list[Log]:
    """One log per record, first those of `shown`, which the page has, then those of `aside`, which
    lie beside it; both within their budgets."""
    return [*_fitting(shown, PAGE_CHARACTERS, ""), *_fitting(aside, FILES_CHARACTERS, "wire/")]


def _fitting(records: Sequence[Evidence], budget: int, folder: str) -> Iterator[Log]:
    rows = [[_row(entry) for entry in record.wire[-ENTRIES[0] :]] for record in records]
    for limit in ENTRIES:
        if sum(row.characters for log in rows for row in log[-limit:]) <= budget:
            break
    for record, log in zip(records, rows, strict=True):
        last = tuple(log[-limit:])
        yield Log(
            rows=last,
            earlier=len(record.wire) - len(last) + record.wire_dropped,
            file=f"{folder}{record.clause}.txt" if folder and last else "",
        )


def files(found: Mapping[str, Log]) -> dict[str, str]:
    """The texts of the files beside the page, from the logs of all runs by their ids."""
    texts: dict[str, list[str]] = {}
    for id_, log in found.items():
        if log.file:
            lines = texts.setdefault(log.file, [])
            lines += [id_, f"  ({log.earlier:,} entries before these)"] if log.earlier else [id_]
            lines += [f"  {line}" for row in log.rows for line in _lines(row)] + [""]
    return {name: visible("\n".join(lines)) for name, lines in texts.items()}


def _lines(row: Row) -> Iterator[str]:
    number = "" if row.correlation_id is None else f" #{row.correlation_id}"
    errors = "".join(f" error {error}" for error in row.errors)
    head = (
        f"{row.at_ms:>6} ms  {cut(row.peer, 60)}  {row.arrow} {cut(row.name, 120)}{number}{errors}"
    )
    if row.fields:
        yield head
        yield from (f"             {line}" for line in row.fields.splitlines())
    else:
        yield f"{head}  {row.summary}"


def _row(entry: WireEntry) -> Row:
    arrow, kind = _DIRECTIONS.get(entry.direction, (entry.direction[:1], "fault"))
    fields = bounded(entry.fields)
    said = str(fields["text"]) if set(fields) == {"text"} else one_line(_telling(fields), top=True)
    summary = said if len(said) <= SUMMARY_CHARACTERS else said[:SUMMARY_CHARACTERS] + " …"
    whole = summary == said and (said == fields.get("text") or _telling(fields) == fields)
    return Row(
        at_ms=entry.at_ms,
        peer=_peer(entry),
        arrow=arrow,
        kind=kind,
        name=entry.name,
        correlation_id=entry.correlation_id,
        errors=tuple(dict.fromkeys(_errors(entry.fields)))[:5],
        summary=summary,
        fields="" if whole else cut("\n".join(tree(fields)), FIELDS_CHARACTERS),
    )


def _peer(entry: WireEntry) -> str:
    broker = f"broker {entry.broker}" if entry.broker.isdigit() else entry.broker
    return f"c{entry.connection} · {broker}" if entry.connection else broker


def _telling(value: Any) -> Any:
    """Without the fields that are null or empty, which most are."""
    if isinstance(value, dict):
        kept = {key: _telling(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", [], {})}
    return [_telling(item) for item in value] if isinstance(value, list) else value


def bounded(value: Any, depth: int = DEPTH) -> Any:
    """The value with long strings, long lists and deep nesting cut; what was cut is said."""
    if isinstance(value, str):
        return cut(value, VALUE_CHARACTERS)
    if isinstance(value, dict | list) and not depth:
        return "…"
    if isinstance(value, dict):
        items = list(value.items())
        kept = {cut(str(key), 80): bounded(item, depth - 1) for key, item in items[:ITEMS]}
        return kept | ({"…": f"{len(items) - ITEMS} more"} if len(items) > ITEMS else {})
    if isinstance(value, list | tuple):
        kept_items = [bounded(item, depth - 1) for item in value[:ITEMS]]
        return kept_items + ([f"… {len(value) - ITEMS} more"] if len(value) > ITEMS else [])
    return value


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and how long it was."""
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text):,} characters)"


def one_line(value: Any, *, top: bool = False) -> str:
    """`{acks=-1 topics=[{name=t}]}`: JSON with less noise; `top` leaves the outer braces away."""
    if isinstance(value, dict):
        pairs = " ".join(f"{key}={one_line(item)}" for key, item in value.items())
        return pairs if top else "{" + pairs + "}"
    if isinstance(value, list):
        return "[" + ", ".join(one_line(item) for item in value) + "]"
    if isinstance(value, str) and value and not any(c.isspace() or c in '"=[]{},' for c in value):
        return value
    return json.dumps(value, ensure_ascii=False)


def tree(value: dict[str, Any] | list[Any], indent: str = "") -> Iterator[str]:
    """One line per field, nested ones indented; an item of a list begins with a dash."""
    items = value.items() if isinstance(value, dict) else (("-", item) for item in value)
    for key, item in items:
        label = key if isinstance(value, list) else f"{key}:"
        if not isinstance(item, dict | list) or not item:
            yield f"{indent}{label} {one_line(item)}"
        elif isinstance(value, list):
            first, *rest = tree(item, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}{label}"
            yield from tree(item, indent + "  ")


def _errors(value: Any, depth: int = DEPTH) -> Iterator[str]:
    if not depth:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "error_code" and str(item) not in ("0", "NONE (0)", "None"):
                yield cut(str(item), 60)
            else:
                yield from _errors(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            yield from _errors(item, depth - 1)
