"""What the clients of a run have done and seen, in order; whoever judges a run reads nothing else
of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from reference.errors import Error
from reference.requests import EpochEnd


class Outcome(StrEnum):
    """Jepsen's words: what is acknowledged must be there, what failed must not."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class Write:
    """One record that a producer wants written, over all its attempts."""

    producer: int
    number: int
    """Of the producer's writes, in order."""
    partition: int
    value: bytes
    acks: int
    is_idempotent: bool
    began_ms: int
    session: int = 0
    """Counts the producer ids that a producer has had: sequences start again with each."""
    attempts: int = 0
    outcome: Outcome = Outcome.UNKNOWN
    error: Error = Error.NONE
    """Of the last attempt that was answered."""
    offset: int = -1
    """Where it is, as the acknowledgement says."""
    broker: int = -1
    """Who acknowledged it."""
    ended_ms: int = -1
    """When the producer was done with it; -1 as long as it is not."""


class ReadRecord(NamedTuple):
    """A batch of one record, as a consumer is given it."""

    offset: int
    leader_epoch: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The answer to one fetch of one partition."""

    consumer: int
    broker: int
    partition: int
    asked_ms: int
    answered_ms: int
    offset: int
    """From where on."""
    leader_epoch: int
    """In which the consumer believed the broker to lead."""
    error: Error
    log_start_offset: int
    last_stable_offset: int
    high_watermark: int
    diverging: EpochEnd | None
    records: tuple[ReadRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestOffset:
    """The answer to one ListOffsets for the latest offset."""

    consumer: int
    broker: int
    partition: int
    asked_ms: int
    answered_ms: int
    leader_epoch: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one broker said of one partition in a Metadata response."""

    client: str
    broker: int
    at_ms: int
    partition: int
    leader: int
    leader_epoch: int
    isr: tuple[int, ...]


@dataclass(slots=True)
class History:
    writes: list[Write] = field(default_factory=list)
    reads: list[Read] = field(default_factory=list)
    latest_offsets: list[LatestOffset] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
