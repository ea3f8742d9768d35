"""Stories as the page shows them: which steps, what state each leaves, what the player gets.

The page has two readers of a story. People without scripts, and printers, get the diagram, the
steps in words and a table of the state that matters most. The player gets the same states as
changes, in short keys, beside the page's other data.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reports.text import visible
from reports.wire import cut
from spec import story_json
from spec.story import LogEntry, State, Story, log_end_offset

STEPS_WHOLE = 500
"""A story of more steps is written beside the page, and a part of it is on the page."""
STEPS_PART = 200
STEPS_ON_PAGE = 2_500
"""Steps of all stories that are drawn on the page; a step takes a good half kilobyte."""
STEPS_AFTER_VIOLATION = 20
"""How many steps after the first violation such a part shows at least, if there are so many."""
TABLE_ENTRIES = 6

KEYS = {
    "who": "w",
    "epoch": "c",
    "leader": "a",
    "leader_epoch": "e",
    "isr": "i",
    "elr": "j",
    "is_up": "u",
    "role": "r",
    "high_watermark": "h",
    "log_start_offset": "b",
    "log": "l",
    "controller": "o",
    "brokers": "n",
}
"""The player's names of fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A story, or the part of it that is on the page."""

    id: str
    """Of the element; a step's id is `{id}@{number}`."""
    clause: str
    story: Story
    first: int
    """The number of its first step in the whole story."""
    whole: Story
    is_drawn: bool
    """Whether the page has room for its diagram and its player."""
    states: tuple[State, ...]

    @property
    def last(self) -> int:
        """The number of its last step."""
        return self.first + len(self.story.steps) - 1

    @property
    def is_part(self) -> bool:
        return self.story is not self.whole

    @property
    def file(self) -> str:
        """Where the whole story lies beside the page, if it is not all on it."""
        is_aside = self.is_part or not self.is_drawn
        return f"stories/{self.id.replace('/', '.')}.json" if is_aside else ""

    @property
    def telling(self) -> int:
        """The index of the step to open at: the first violation, or the end."""
        violation = self.story.violation
        return len(self.states) - 1 if violation is None else violation

    @property
    def committed(self) -> tuple[LogEntry, ...]:
        """What was committed when the clause was first violated; empty where it was not."""
        violation = self.story.violation
        return () if violation is None else committed(self.states[: violation + 1], self.story)


def shown(id: str, clause: str, story: Story) -> Shown:
    """The whole story, or of a long one the steps that lead to its violation or to its end."""
    first, part = 0, story
    if len(story.steps) > STEPS_WHOLE:
        end = len(story.steps)
        if story.violation is not None:
            end = min(end, max(STEPS_PART, story.violation + 1 + STEPS_AFTER_VIOLATION))
        first, part = end - STEPS_PART, _part(story, end - STEPS_PART, end)
    return Shown(
        id=id,
        clause=clause,
        story=part,
        first=first,
        whole=story,
        is_drawn=True,
        states=tuple(part.states()),
    )


def within_room(found: Sequence[Shown], steps: int = STEPS_ON_PAGE) -> Iterator[Shown]:
    """The stories, most important first; those beyond the room on the page are not drawn."""
    for told in found:
        steps -= len(told.story.steps)
        yield told if steps >= 0 else replace(told, is_drawn=False)


def _part(story: Story, first: int, end: int) -> Story:
    """The steps from `first` to before `end`, as a story; its first step tells the whole state."""
    state = next(found for number, found in enumerate(story.states()) if number == first)
    opening = replace(story.steps[first], changes=state)

    def within(started: int, ended: int | None) -> bool:
        return started < end and (ended is None or ended >= first)

    def clipped(ended: int | None) -> int | None:
        return None if ended is None or ended >= end else ended - first

    return replace(
        story,
        steps=(opening, *story.steps[first + 1 : end]),
        messages=tuple(
            replace(m, sent=max(m.sent - first, 0), received=clipped(m.received))
            for m in story.messages
            if m.sent < end and (m.sent >= first if m.received is None else m.received >= first)
        ),
        operations=tuple(
            replace(
                op,
                started=max(op.started - first, 0),
                ended=None if op.ended is None else min(op.ended, end - 1) - first,
            )
            for op in story.operations
            if within(op.started, op.ended)
        ),
        faults=tuple(
            replace(bar, started=max(bar.started - first, 0), ended=clipped(bar.ended))
            for bar in story.faults
            if within(bar.started, bar.ended)
        ),
    )


def committed(states: Sequence[State], story: Story) -> tuple[LogEntry, ...]:
    """The records below the highest high watermark that a replica had whose log reached so far."""
    highest, found = 0, tuple[LogEntry, ...]()
    for state in states:
        for broker in story.brokers:
            log, mark = _log(state, broker), state[broker]["high_watermark"]
            if log is None or not isinstance(mark, int) or mark <= highest:
                continue
            below = tuple(e for e in log if e.base_offset + e.record_count <= mark)
            if log_end_offset(below) == mark:
                highest, found = mark, below
    return found


def missing(entries: Sequence[LogEntry], log: Sequence[LogEntry]) -> list[LogEntry]:
    """The entries that a log does not hold, at their offsets and of their epochs.

    What lies before the log's first entry may have been deleted: it is not missed."""
    start = log[0].base_offset if log else 0
    held = {(entry.base_offset, entry.epoch) for entry in log}
    return [e for e in entries if e.base_offset >= start and (e.base_offset, e.epoch) not in held]


def _log(state: State, broker: str) -> tuple[LogEntry, ...] | None:
    log = state[broker]["log"]
    if not isinstance(log, tuple):
        return None
    return tuple(entry for entry in log if isinstance(entry, LogEntry))


# ---- the table that says it without scripts -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRow:
    """What a replica looks like in one state; `?` is what was not observed."""

    name: str
    role: str
    leader_epoch: str
    isr: str
    high_watermark: str
    log_end: str
    log: str
    """Its last entries, as `v1@2`."""
    missing: str
    """Committed entries that it does not hold, though it is in sync; empty where it is not."""


def replica_rows(shown: Shown) -> Iterator[ReplicaRow]:
    """A row for each broker, of the state that the page opens at."""
    state = shown.states[shown.telling]
    in_sync = in_sync_replicas(state, shown.story)
    for broker in shown.story.brokers:
        held, log = state[broker], _log(state, broker)
        gone = missing(shown.committed, log) if log is not None and broker in in_sync else []
        start = held["log_start_offset"]
        yield ReplicaRow(
            name=broker,
            role="down" if held["is_up"] is False else _said(held["role"]),
            leader_epoch=_said(held["leader_epoch"]),
            isr=_said(held["isr"]),
            high_watermark=_said(held["high_watermark"]),
            log_end="?"
            if log is None
            else str(log_end_offset(log, start if isinstance(start, int) else None)),
            log="not observed" if log is None else _entries(log[-TABLE_ENTRIES:], len(log)),
            missing=_entries(gone[-TABLE_ENTRIES:], len(gone)) if gone else "",
        )


def in_sync_replicas(state: State, story: Story) -> tuple[str, ...]:
    """The committed ISR, as the controller lane says."""
    for lane in story.lanes:
        isr = state[lane.id].get("isr") if lane.kind == "controller" else None
        if isinstance(isr, tuple):
            return tuple(name for name in isr if isinstance(name, str))
    return ()


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "nobody"
    return "?" if value is None else str(value)


def _entries(entries: Sequence[LogEntry], of: int) -> str:
    said = " ".join(entry_text(entry) for entry in entries)
    return f"… {said}" if len(entries) < of else said or "empty"


def entry_text(entry: LogEntry) -> str:
    """`v7@3`, or `12-15@3` for a batch without a text: what it is, and of which epoch."""
    last = entry.base_offset + entry.record_count - 1
    offsets = str(last) if last == entry.base_offset else f"{entry.base_offset}-{last}"
    return f"{cut(entry.text, 24) or offsets}@{entry.epoch}"


# ---- what the player gets -----------------------------------------------------------------------


def player_data(found: Sequence[Shown]) -> str:
    """JSON for a script element: by id, the states as changes."""
    told = {shown.id: _player(shown) for shown in found if shown.is_drawn}
    text = json.dumps(told, ensure_ascii=True, separators=(",", ":"))
    # Inside a script element, HTML sees only the end of the element and of comments.
    return text.replace("<", "\\u003c")


def _player(shown: Shown) -> dict[str, Any]:
    story, violation = shown.story, shown.story.violation
    told: dict[str, Any] = {
        "b": list(story.brokers),
        "q": [lane.id for lane in story.lanes if lane.kind == "controller"],
        "z": [lane.id for lane in story.lanes if lane.kind == "zookeeper"],
        "f": shown.first,
        "s": list(_changes(story)),
        "c": shown.clause,
    }
    if violation is not None:
        told["v"] = violation
        told["m"] = [[*entry] for entry in shown.committed]
    return told


def _changes(story: Story) -> Iterator[dict[str, dict[str, Any]]]:
    """The changes of each step. A log is `[dropped, kept, entry, ...]`: how many entries its head
    lost, how many stay after them, and what follows; told in full at each step, logs would grow
    with the square of the run."""
    logs: dict[str, tuple[LogEntry, ...]] = {}
    for step in story.steps:
        yield {
            lane: {KEYS[key]: _short(lane, key, value, logs) for key, value in told.items()}
            for lane, told in step.changes.items()
        }


def _short(lane: str, key: str, value: Any, logs: dict[str, tuple[LogEntry, ...]]) -> Any:
    if key == "log" and value is not None:
        dropped, kept = _overlap(logs.get(lane, ()), value)
        logs[lane] = value
        return [dropped, kept, *([*e[:3], visible(cut(e.text, 24))] for e in value[kept:])]
    if isinstance(value, tuple):
        return [visible(part) for part in value]
    return visible(value)


def _overlap(before: Sequence[LogEntry], after: Sequence[LogEntry]) -> tuple[int, int]:
    """How many entries of `before` to drop at its head so that `after` begins with as many of the
    rest as it can, and how many those are."""
    if not after or after[0] not in before:
        return 0, 0
    dropped = kept = before.index(after[0])
    while kept < len(before) and kept - dropped < len(after):
        if before[kept] != after[kept - dropped]:
            break
        kept += 1
    return dropped, kept - dropped


def whole_file(story: Story) -> str:
    """The whole story as the file that `spec.story_json` reads."""
    return json.dumps(story_json.to_json(story), ensure_ascii=True, separators=(",", ":")) + "\n"
