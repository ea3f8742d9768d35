"""The record that every checker appends for every case it ran; reports are made of nothing else.

One JSON object per line in `build/.../evidence.ndjson`. A record is complete by itself: a report
needs no access to the run, the tests or the target that made it.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from spec import story_json
from spec.story import Story
from spec.verdict import Verdict

R = TypeVar("R")


class UnreadableEvidence(ValueError):
    """A line of an evidence file is not a record; the message names file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireEntry:
    """One frame, one connection event or one fault, as the harness saw it."""

    at_ms: int
    """Milliseconds since the case (or the Hypothesis example shown) began."""
    connection: int
    """Number of the connection within the case; 0 for faults and remarks."""
    broker: str
    """The other end: `1` where the broker id is known, else `host:port`."""
    direction: str
    """`>` request, `<` response, `!` a connection event, `#` a fault or a remark."""
    name: str
    """`Produce v9`, `connected`, `lost`, `cut 1 from 2`."""
    correlation_id: int | None
    fields: dict[str, Any]
    """The decoded message, long values cut; or `{"text": ...}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """Why a case did not pass, in words that a developer of the broker can act on."""

    expected: str
    observed: str
    falsifying: str = ""
    """The smallest input that Hypothesis found, where one was drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one checker learnt about one clause from one case."""

    clause: str
    checker: str
    """`conformance`, `simulate`, or of the models `prove`, `explore`, `bounded`, `walk`."""
    target: str
    """As given on the command line: `reference`, `kafka:4.1.0`, `127.0.0.1:9092`."""
    verdict: Verdict
    case: str
    """`PROD-06/a-repeated-batch-keeps-its-offset`: a deep link, stable between runs."""
    title: str
    premise_count: int
    premises: dict[str, int] = field(default_factory=dict)
    """Which situations the clause speaks about arose, and how often."""
    mutant: str | None = None
    seed: int | None = None
    note: str = ""
    """Why it is inconclusive, unsupported, not run, known or an error."""
    link: str = ""
    """For a known failure: where it is tracked."""
    counterexample: Counterexample | None = None
    story: Story | None = None
    """The run step by step: of a counterexample, or of a scenario that is told for its own sake."""
    wire: tuple[WireEntry, ...] = ()
    wire_dropped: int = 0
    """How many earlier entries the bounded log let go."""
    reproduce: str = ""
    run: dict[str, Any] = field(default_factory=dict)
    """What the target says of itself and of this run: versions, trace digest, virtual time."""
    duration_s: float = 0.0
    tool_version: str = ""
    commit: str = ""
    at: str = ""
    """UTC, ISO 8601."""

    def line(self) -> str:
        """The record as one line of JSON without the newline."""
        told = None if self.story is None else story_json.to_json(self.story)
        record = asdict(replace(self, story=None)) | {"story": told}
        return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def parse(line: str) -> Evidence:
    """Raises `ValueError`, `KeyError` or `TypeError` where the line is not a record."""
    raw = json.loads(line)
    raw["verdict"] = Verdict(raw["verdict"])
    raw["wire"] = tuple(_typed(WireEntry(**entry)) for entry in raw["wire"])
    if raw["counterexample"] is not None:
        raw["counterexample"] = _typed(Counterexample(**raw["counterexample"]))
    if raw.get("story") is not None:
        raw["story"] = story_json.from_json(raw["story"])
    return _typed(Evidence(**raw))


def _typed(record: R) -> R:
    """The record, if each plain field has the type that it declares: `TypeError` otherwise."""
    for name, hint in get_type_hints(type(record)).items():
        kinds = tuple(get_origin(kind) or kind for kind in get_args(hint) or (hint,))
        if get_origin(hint) in (dict, tuple):
            kinds = (get_origin(hint),)
        value = getattr(record, name)
        whole_for_real = float in kinds and type(value) is int
        if type(value) not in kinds and not whole_for_real:
            raise TypeError(f"{name} is {value!r:.80}, not {hint}")
    return record


def read(path: Path) -> Iterator[Evidence]:
    """The records of a file in order. Raises `OSError` and `UnreadableEvidence`."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield parse(line.decode())
            except (ValueError, KeyError, TypeError) as error:
                message = f"{path}:{number}: not an evidence record: {error!r}"
                raise UnreadableEvidence(message) from error
