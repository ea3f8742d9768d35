"""Writing and reading records, and asking about their offsets."""

from dataclasses import dataclass
from typing import NamedTuple

from reference.errors import Error
from reference.requests.common import (
    NO_EPOCH,
    NO_EPOCH_END,
    NO_OFFSET,
    NO_TIMESTAMP,
    EpochEnd,
    LeaderHint,
    TopicRef,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducePart:
    topic: TopicRef
    number: int
    records: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Produce:
    acks: int
    timeout_ms: int
    transactional_id: str | None
    parts: tuple[ProducePart, ...]
    api_version: int


class RecordError(NamedTuple):
    """Which record of the batch was refused, and why (KIP-467)."""

    position: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducedPart:
    topic: TopicRef
    number: int
    error: Error
    base_offset: int = NO_OFFSET
    log_append_time_ms: int = NO_TIMESTAMP
    log_start_offset: int = NO_OFFSET
    record_errors: tuple[RecordError, ...] = ()
    message: str | None = None
    current_leader: LeaderHint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Produced:
    parts: tuple[ProducedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPart:
    topic: TopicRef
    number: int
    offset: int
    max_bytes: int
    current_leader_epoch: int = NO_EPOCH
    last_fetched_epoch: int = NO_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    replica_id: int
    """-1 for consumers. Brokers replicate over their own messages, never through this request."""
    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    read_committed: bool
    session_id: int
    session_epoch: int
    parts: tuple[FetchPart, ...]
    forgotten: tuple[tuple[TopicRef, int], ...]
    api_version: int


class AbortedTransaction(NamedTuple):
    producer_id: int
    first_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPart:
    topic: TopicRef
    number: int
    error: Error
    high_watermark: int = NO_OFFSET
    last_stable_offset: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    diverging: EpochEnd | None = None
    current_leader: LeaderHint | None = None
    aborted: tuple[AbortedTransaction, ...] | None = None
    preferred_read_replica: int = -1
    records: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    error: Error
    """Of the whole request: session errors, a forged replica id."""
    session_id: int
    parts: tuple[FetchedPart, ...]


LATEST_TIMESTAMP = -1
EARLIEST_TIMESTAMP = -2
MAX_TIMESTAMP = -3


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffsetsPart:
    topic: str
    number: int
    timestamp: int
    current_leader_epoch: int = NO_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOffsets:
    replica_id: int
    read_committed: bool
    parts: tuple[ListOffsetsPart, ...]
    api_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetListedPart:
    topic: str
    number: int
    error: Error
    timestamp: int = NO_TIMESTAMP
    offset: int = NO_OFFSET
    leader_epoch: int = NO_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetsListed:
    parts: tuple[OffsetListedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEndPart:
    topic: str
    number: int
    leader_epoch: int
    current_leader_epoch: int = NO_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetForLeaderEpoch:
    replica_id: int
    parts: tuple[EpochEndPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEndedPart:
    topic: str
    number: int
    error: Error
    end: EpochEnd = NO_EPOCH_END


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochsEnded:
    parts: tuple[EpochEndedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecordsPart:
    topic: str
    number: int
    before_offset: int
    """-1 means the high watermark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecords:
    timeout_ms: int
    parts: tuple[DeleteRecordsPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsDeletedPart:
    topic: str
    number: int
    error: Error
    low_watermark: int = NO_OFFSET
    """The smallest log start offset of the live replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsDeleted:
    parts: tuple[RecordsDeletedPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InitProducerId:
    transactional_id: str | None
    transaction_timeout_ms: int
    producer_id: int
    producer_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdGiven:
    error: Error
    producer_id: int = -1
    producer_epoch: int = -1
