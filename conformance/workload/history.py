"""What was asked of a partition under faults and what came of it: plain data, for oracles.

A write of unknown outcome may be there or not (ERR-07). Times are those of the harness, in
milliseconds; only differences mean anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from kio.schema.errors import ErrorCode

from conformance.outcomes import Outcome
from conformance.records import Record
from reference.simulator.faults import Fault

FORGOTTEN = frozenset({ErrorCode.out_of_order_sequence_number, ErrorCode.unknown_producer_id})
"""What a broker answers that does not know what an idempotent producer has written before."""


@dataclass(slots=True, kw_only=True)
class Write:
    """One value, from the first attempt to send it to the last answer about it."""

    value: bytes
    producer: str
    sent_ms: int
    timestamp_ms: int
    """Of the record. Brokers forget an idempotent producer whose records are old (KIP-98)."""
    sequence: int | None = None
    """Of an idempotent producer, which tries again until it knows the outcome."""
    broker: int = -1
    """The one that was asked last."""
    attempts: int = 0
    settled_ms: int | None = None
    """When the answer came, or nobody waited for it any longer."""
    outcome: Outcome = Outcome.INFO
    error: ErrorCode | None = None
    """The last one that a broker answered."""
    offset: int | None = None
    hung_at: int | None = None
    """A broker that neither answered within the time that was asked of it nor closed."""

    @property
    def is_idempotent(self) -> bool:
        return self.sequence is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A record that a consumer was given."""

    reader: str
    broker: int
    at_ms: int
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An answer to ListOffsets about LATEST."""

    broker: int
    asked_ms: int
    at_ms: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one broker's Metadata says of the partition and of the cluster."""

    broker: int
    at_ms: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    controller: int
    brokers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The marks in one Fetch answer without an error."""

    broker: int
    log_start_offset: int
    last_stable_offset: int
    high_watermark: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A record as one replica has it at the end."""

    record: Record
    leader_epoch: int


@dataclass(slots=True)
class History:
    """All of a run, each list in the order in which things became known."""

    writes: list[Write] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    marks: list[Marks] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    logs: dict[int, list[Stored]] = field(default_factory=dict)
    """Broker -> what its replica holds once all is healed; the leader's among them."""
    leader: int = -1
    """At the end."""

    @property
    def acknowledged(self) -> list[Write]:
        return [write for write in self.writes if write.outcome is Outcome.OK]

    @property
    def final(self) -> list[Stored]:
        """The log as consumers read it from the leader at the end."""
        return self.logs[self.leader]

    def looks_of(self, broker: int) -> Iterator[Look]:
        """What one broker said, in order."""
        return (look for look in self.looks if look.broker == broker)
