"""A story: one run of a cluster, step by step, in the one format that all tools share.

The simulator, live runs and converters of formal counterexamples write stories; the report draws
them as a space-time diagram and plays them. A story follows one partition: who leads it, what each
replica's log holds, where the high watermarks are, who is controller.

A story is data: lanes (who takes part), steps (what happened, in order, and what it changed),
messages, operations of clients, and the time that faults lasted. Messages, operations and faults
refer to steps by number, so a list of steps, a diagram and a slider cannot disagree. Step 0 is the
initial state. The state after step n is the sum of the changes of the steps 0..n; a field that no
step has set was not observed: None, never an empty value.

A Story that exists is sound: its constructor raises StoryError for anything that does not fit.
`Narrator` writes one without the bookkeeping of changes; `spec.story_json` stores it.
"""

import itertools
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

LaneKind = Literal["client", "controller", "broker", "zookeeper"]
StepKind = Literal["", "fault", "mutant", "violation"]
Outcome = Literal["ok", "fail", "unknown"]

LANES_MAX = 32
STEPS_MAX = 20_000
ARROWS_MAX = 100_000
"""Messages, operations and faults: at most so many of each."""
LOG_ENTRIES_MAX = 1_000
TEXT_MAX = 2_000
"""Characters of a text."""
INTEGER_MAX = 1 << 53
"""Whole numbers beyond it are not exact in JavaScript."""


class StoryError(ValueError):
    """Something is not a story. The message says where in it and what is wrong."""


class LogEntry(NamedTuple):
    """A batch of a replica's log, or a single record; in JSON a list of the four.

    Entries stand in the order of their offsets; gaps are allowed (compaction)."""

    base_offset: int
    epoch: int
    """The leader epoch that wrote it."""
    record_count: int = 1
    """Offsets that it takes up."""
    text: str = ""
    """What to show of its value: `v7`."""


Names = tuple[str, ...]
Value = str | int | bool | None | Names | tuple[LogEntry, ...]
Changes = Mapping[str, Mapping[str, Value]]
"""By lane id, then by field: what it is from now on."""
State = dict[str, dict[str, Value]]

FIELDS: dict[LaneKind, dict[str, Any]] = {
    "client": {},
    "controller": {
        # The broker that is the active controller, and its controller epoch.
        "who": str | None,
        "epoch": int | None,
        # The committed state of the partition.
        "leader": str | None,
        "leader_epoch": int | None,
        "isr": Names | None,
        # Eligible leader replicas (KIP-966).
        "elr": Names | None,
    },
    "broker": {
        "is_up": bool | None,
        # "leader", or words to be shown as they are: "follows b1", "idle".
        "role": str | None,
        "leader_epoch": int | None,
        # The in-sync replicas as this replica believes them to be.
        "isr": Names | None,
        "high_watermark": int | None,
        "log_start_offset": int | None,
        "log": tuple[LogEntry, ...] | None,
    },
    "zookeeper": {
        # Who owns the ephemeral node /controller, and who is registered under /brokers/ids.
        "controller": str | None,
        "brokers": Names | None,
    },
}
"""What can be told of each kind of lane; None is not observed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Someone who takes part: a vertical line of the diagram."""

    id: str
    """Short: `b1`, `c1`, `controller`."""
    kind: LaneKind
    name: str
    """As a headline: `broker 1`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    """One thing that happened, in one lane."""

    at_ms: int
    """Since the story began; it never goes back."""
    action: str
    """In the words of the model where it has some: `leader_append(b1)`."""
    lane: str
    note: str = ""
    """What it means, for someone who reads the story."""
    kind: StepKind = ""
    """`violation` marks the first state in which the clause is broken."""
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryMessage:
    """A message from lane to lane, sent in one step and received in another."""

    sender: str
    receiver: str
    label: str
    sent: int
    received: int | None = None
    """None if it is still on its way at the end of the story, or lost."""
    is_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a client asked for and what it was told."""

    lane: str
    label: str
    started: int
    ended: int | None = None
    """None if it never ended: the outcome is unknown."""
    outcome: Outcome = "unknown"
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultBar:
    """A fault that lasted: a broker that was down or paused, a link that was cut."""

    lane: str
    label: str
    started: int
    ended: int | None = None
    """None if it lasted until the end of the story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A run of a cluster, as told by the module's docstring. Raises StoryError."""

    title: str
    lanes: tuple[Lane, ...]
    steps: tuple[StoryStep, ...]
    messages: tuple[StoryMessage, ...] = ()
    operations: tuple[Operation, ...] = ()
    faults: tuple[FaultBar, ...] = ()
    clause: str = ""
    """The clause that it is about; where a step is a `violation`, the clause that is broken."""
    partition: str = ""
    """`orders-0`: the partition that the state is of."""
    mode: Literal["", "quorum", "zookeeper"] = ""
    """Where metadata was kept, if that matters."""
    is_logical: bool = False
    """Its time is only an order: nobody measured milliseconds."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def brokers(self) -> tuple[str, ...]:
        """The ids of the broker lanes, in order."""
        return tuple(lane.id for lane in self.lanes if lane.kind == "broker")

    @property
    def violation(self) -> int | None:
        """The number of the first step that is marked as a violation."""
        marked = (n for n, step in enumerate(self.steps) if step.kind == "violation")
        return next(marked, None)

    def states(self) -> Iterator[State]:
        """The state after each step. The outer mapping is new each time, the inner ones too."""
        state: State = {lane.id: dict.fromkeys(FIELDS[lane.kind]) for lane in self.lanes}
        for step in self.steps:
            state = {name: {**held, **step.changes.get(name, {})} for name, held in state.items()}
            yield state


def log_of(records: Iterable[tuple[int, str]], start: int = 0) -> tuple[LogEntry, ...]:
    """A log of single records, each an (epoch, value), from the offset `start` on."""
    return tuple(LogEntry(start + n, epoch, 1, text) for n, (epoch, text) in enumerate(records))


def log_end_offset(log: tuple[LogEntry, ...], log_start_offset: int | None = None) -> int:
    """The offset that the next record gets."""
    return log[-1].base_offset + log[-1].record_count if log else log_start_offset or 0


class Narrator:
    """Writes a story as it happens. Steps are told with whole states or parts of them; what is as
    before is left out of the changes."""

    def __init__(self, title: str, lanes: Iterable[Lane], **about: Any) -> None:
        """`about` goes to the Story: clause, partition, mode, is_logical."""
        self.title, self.lanes, self.about = title, tuple(lanes), about
        self.steps: list[StoryStep] = []
        self.messages: list[StoryMessage] = []
        self.operations: list[Operation] = []
        self.faults: list[FaultBar] = []
        self._held: dict[str, dict[str, Value]] = {lane.id: {} for lane in self.lanes}

    def step(
        self,
        action: str,
        lane: str,
        *,
        at_ms: int,
        state: Changes | None = None,
        note: str = "",
        kind: StepKind = "",
    ) -> int:
        """Adds a step and returns its number."""
        changes: dict[str, dict[str, Value]] = {}
        for name, told in (state or {}).items():
            held = self._held.setdefault(name, {})
            new = {key: value for key, value in told.items() if held.get(key) != value}
            if new:
                held.update(new)
                changes[name] = new
        step = StoryStep(
            at_ms=at_ms, action=action, lane=lane, note=note, kind=kind, changes=changes
        )
        self.steps.append(step)
        return len(self.steps) - 1

    def story(self) -> Story:
        """What was told so far. Raises StoryError."""
        return Story(
            title=self.title,
            lanes=self.lanes,
            steps=tuple(self.steps),
            messages=tuple(self.messages),
            operations=tuple(self.operations),
            faults=tuple(self.faults),
            **self.about,
        )


# ---- what makes a story sound -------------------------------------------------------------------


def _check(story: Story) -> None:
    _check_amounts(story)
    _check_type(Story, story, "story")
    kinds = {lane.id: lane.kind for lane in story.lanes}
    if len(kinds) < len(story.lanes):
        raise StoryError("two lanes have the same id")
    for lane in story.lanes:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", lane.id):
            raise StoryError(
                f"{_short(lane.id)} is no id of a lane: a short word of a-z, 0-9, _, -"
            )
    _check_steps(story, kinds)
    _check_spans(story, kinds)


def _check_amounts(story: Story) -> None:
    for name, limit in {
        "lanes": LANES_MAX,
        "steps": STEPS_MAX,
        "messages": ARROWS_MAX,
        "operations": ARROWS_MAX,
        "faults": ARROWS_MAX,
    }.items():
        held = getattr(story, name)
        if not isinstance(held, tuple):
            raise StoryError(f"story.{name} should be a list, not {_short(held)}")
        if len(held) > limit:
            raise StoryError(f"{len(held)} {name}; at most {limit} are told")
    if not story.steps:
        raise StoryError("a story has at least one step, the initial state")


def _check_steps(story: Story, kinds: Mapping[str, LaneKind]) -> None:
    at_ms = story.steps[0].at_ms
    for number, step in enumerate(story.steps):
        where = f"steps[{number}]"
        if step.at_ms < at_ms:
            raise StoryError(f"{where}: its time, {step.at_ms} ms, is before that of the last step")
        at_ms = step.at_ms
        _check_lane(step.lane, kinds, where)
        _check_changes(step.changes, kinds, f"{where}.changes")


def _check_lane(lane: str, kinds: Mapping[str, LaneKind], where: str) -> None:
    if lane not in kinds:
        raise StoryError(f"{where}: there is no lane {_short(lane)}")


def _check_changes(changes: Changes, kinds: Mapping[str, LaneKind], where: str) -> None:
    for name, told in changes.items():
        _check_lane(name, kinds, where)
        allowed = FIELDS[kinds[name]]
        for key, value in told.items():
            if key not in allowed:
                raise StoryError(f"{where}.{name}: a {kinds[name]} has no {_short(key)}")
            _check_type(allowed[key], value, f"{where}.{name}.{key}")


def _check_spans(story: Story, kinds: Mapping[str, LaneKind]) -> None:
    for number, message in enumerate(story.messages):
        where = f"messages[{number}]"
        _check_lane(message.sender, kinds, where)
        _check_lane(message.receiver, kinds, where)
        _check_span(message.sent, message.received, story, where)
        if message.is_lost and message.received is not None:
            raise StoryError(f"{where}: a message that is lost is not received")
    for number, operation in enumerate(story.operations):
        where = f"operations[{number}]"
        _check_lane(operation.lane, kinds, where)
        _check_span(operation.started, operation.ended, story, where)
        if operation.ended is None and operation.outcome != "unknown":
            raise StoryError(f"{where}: it never ended, so its outcome is unknown")
    for number, fault in enumerate(story.faults):
        _check_lane(fault.lane, kinds, f"faults[{number}]")
        _check_span(fault.started, fault.ended, story, f"faults[{number}]")


def _check_span(first: int, last: int | None, story: Story, where: str) -> None:
    if not 0 <= first <= (first if last is None else last) < len(story.steps):
        raise StoryError(f"{where}: from step {first} to {last} of {len(story.steps)} steps")


def _check_type(hint: Any, value: Any, where: str) -> None:
    """Raises StoryError unless the value is of the type, in all its parts."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is not None:
            _check_type(get_args(hint)[0], value, where)
    elif origin is Literal:
        if value not in get_args(hint):
            raise StoryError(f"{where} should be one of {get_args(hint)}, not {_short(value)}")
    elif origin is tuple:
        _check_list(get_args(hint)[0], value, where)
    elif is_dataclass(hint):
        if type(value) is not hint:
            raise StoryError(f"{where} should be a {hint}, not {_short(value)}")
        for name, inner in get_type_hints(hint).items():
            _check_type(inner, getattr(value, name), f"{where}.{name}")
    elif hint is LogEntry:
        _check_log_entry(value, where)
    elif hint == Changes:
        parts = value.values() if isinstance(value, Mapping) else [value]
        if not all(isinstance(part, Mapping) for part in parts):
            raise StoryError(f"{where} should be an object per lane, not {_short(value)}")
    else:
        _check_plain(hint, value, where)


def _check_list(inner: Any, value: Any, where: str) -> None:
    if not isinstance(value, tuple):
        raise StoryError(f"{where} should be a list, not {_short(value)}")
    if inner is LogEntry and len(value) > LOG_ENTRIES_MAX:
        raise StoryError(f"{where} has {len(value)} entries; at most {LOG_ENTRIES_MAX} are told")
    for number, part in enumerate(value):
        _check_type(inner, part, f"{where}[{number}]")
    if inner is LogEntry:
        for before, after in itertools.pairwise(value):
            if before.base_offset + before.record_count > after.base_offset:
                raise StoryError(f"{where}: {_short(list(after))} overlaps the entry before it")


def _check_log_entry(value: Any, where: str) -> None:
    if not isinstance(value, LogEntry):
        wanted = "[base_offset, epoch, record_count, text]"
        raise StoryError(f"{where} should be {wanted}, not {_short(value)}")
    for hint, part in zip((int, int, int, str), value, strict=True):
        _check_plain(hint, part, where)
    if value.base_offset < 0 or value.record_count < 1:
        raise StoryError(f"{where}: {value.record_count} offsets from {value.base_offset} on")


def _check_plain(hint: type, value: Any, where: str) -> None:
    wanted = {str: "a text", int: "a whole number", bool: "true or false"}[hint]
    if type(value) is not hint:
        raise StoryError(f"{where} should be {wanted}, not {_short(value)}")
    if isinstance(value, str) and len(value) > TEXT_MAX:
        raise StoryError(f"{where} has {len(value)} characters; at most {TEXT_MAX} are told")
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        raise StoryError(f"{where}: {value} is beyond {INTEGER_MAX}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
