"""What clients ask of a broker and what it answers, free of versions, bytes and sockets.

The wire layer turns frames into these and back; the core sees nothing else of a client. Entries
keep the order and the repetitions of the request: a client may name a partition twice, and must be
answered twice. A topic is named as the request named it, by name or by id (KIP-516).
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from reference.errors import Error

TopicRef = str | UUID
NO_TOPIC_ID = UUID(int=0)
NO_OFFSET = -1
NO_EPOCH = -1
NO_TIMESTAMP = -1


class Partition(NamedTuple):
    """A partition by the name of its topic. The core keys its state by `topic_id` where a
    predecessor of the same name must not be mistaken for it."""

    topic: str
    number: int


class LeaderHint(NamedTuple):
    """Who leads instead, for a client that asked the wrong broker (KIP-951)."""

    leader: int
    leader_epoch: int


class EpochEnd(NamedTuple):
    """The largest epoch known up to the asked one, and the offset where it ends (KIP-279)."""

    leader_epoch: int
    end_offset: int


NO_EPOCH_END = EpochEnd(NO_EPOCH, NO_OFFSET)


# ---- Produce -----------------------------------------------------------------------------------


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


# ---- Fetch -------------------------------------------------------------------------------------


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


# ---- ListOffsets, OffsetForLeaderEpoch -----------------------------------------------------------

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


# ---- DeleteRecords, InitProducerId ---------------------------------------------------------------


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


# ---- Metadata, DescribeCluster -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    topics: tuple[TopicRef, ...] | None
    """None asks for all topics."""
    allow_auto_topic_creation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionDescription:
    error: Error
    number: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    offline: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDescription:
    error: Error
    name: str | None
    topic_id: UUID = NO_TOPIC_ID
    is_internal: bool = False
    partitions: tuple[PartitionDescription, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataDescribed:
    cluster_id: str
    controller: int
    """A live broker that forwards to the controller, as KRaft brokers do."""
    brokers: tuple[int, ...]
    topics: tuple[TopicDescription, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCluster:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDescribed:
    cluster_id: str
    controller: int
    brokers: tuple[int, ...]
    error: Error = Error.NONE


# ---- CreateTopics, DeleteTopics, CreatePartitions ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTopic:
    name: str
    partitions: int
    """-1 means the broker's default."""
    replication_factor: int
    """-1 means the broker's default."""
    assignments: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Partition number and its replicas, where the client assigns them itself."""
    configs: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateTopics:
    topics: tuple[NewTopic, ...]
    timeout_ms: int
    validate_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicCreated:
    name: str
    error: Error
    message: str | None = None
    topic_id: UUID = NO_TOPIC_ID
    partitions: int = -1
    replication_factor: int = -1
    configs: "tuple[ConfigEntry, ...] | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsCreated:
    topics: tuple[TopicCreated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteTopics:
    topics: tuple[TopicRef, ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicDeleted:
    name: str | None
    topic_id: UUID
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicsDeleted:
    topics: tuple[TopicDeleted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MorePartitions:
    topic: str
    count: int
    """The new total, not the increase."""
    assignments: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePartitions:
    topics: tuple[MorePartitions, ...]
    timeout_ms: int
    validate_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsCreatedPart:
    topic: str
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionsCreated:
    topics: tuple[PartitionsCreatedPart, ...]


# ---- DescribeConfigs, IncrementalAlterConfigs ----------------------------------------------------


class ResourceType(IntEnum):
    """Kafka's numbers (org.apache.kafka.common.config.ConfigResource.Type)."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8


class ConfigSource(IntEnum):
    """Kafka's numbers (DescribeConfigsResponse.ConfigSource)."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5


class ConfigType(IntEnum):
    """Kafka's numbers (DescribeConfigsResponse.ConfigType)."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7


class ConfigSynonym(NamedTuple):
    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEntry:
    name: str
    value: str | None
    source: ConfigSource
    type: ConfigType
    read_only: bool = False
    synonyms: tuple[ConfigSynonym, ...] = ()
    documentation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceToDescribe:
    type: int
    """Raw: a client may send a number that no `ResourceType` has."""
    name: str
    keys: tuple[str, ...] | None
    """None asks for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeConfigs:
    resources: tuple[ResourceToDescribe, ...]
    include_synonyms: bool
    include_documentation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDescribed:
    type: int
    name: str
    error: Error
    message: str | None = None
    configs: tuple[ConfigEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigsDescribed:
    resources: tuple[ResourceDescribed, ...]


class AlterOperation(IntEnum):
    """Kafka's numbers (org.apache.kafka.clients.admin.AlterConfigOp.OpType)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigChange(NamedTuple):
    name: str
    operation: int
    """Raw, like a resource type."""
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceToAlter:
    type: int
    name: str
    changes: tuple[ConfigChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncrementalAlterConfigs:
    resources: tuple[ResourceToAlter, ...]
    validate_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceAltered:
    type: int
    name: str
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigsAltered:
    resources: tuple[ResourceAltered, ...]


# ---- ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments -----------------------


class ElectionType(IntEnum):
    """Kafka's numbers (org.apache.kafka.common.ElectionType)."""

    PREFERRED = 0
    UNCLEAN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectLeaders:
    election: int
    partitions: tuple[Partition, ...] | None
    """None asks for all partitions."""
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElected:
    partition: Partition
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadersElected:
    error: Error
    partitions: tuple[LeaderElected, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassignment:
    partition: Partition
    replicas: tuple[int, ...] | None
    """None cancels the reassignment in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartitionReassignments:
    reassignments: tuple[Reassignment, ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignmentAltered:
    partition: Partition
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignmentsAltered:
    error: Error
    message: str | None
    reassignments: tuple[ReassignmentAltered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPartitionReassignments:
    partitions: tuple[Partition, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OngoingReassignment:
    partition: Partition
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignmentsListed:
    error: Error
    ongoing: tuple[OngoingReassignment, ...]


Request = (
    Produce
    | Fetch
    | ListOffsets
    | OffsetForLeaderEpoch
    | DeleteRecords
    | InitProducerId
    | Metadata
    | DescribeCluster
    | CreateTopics
    | DeleteTopics
    | CreatePartitions
    | DescribeConfigs
    | IncrementalAlterConfigs
    | ElectLeaders
    | AlterPartitionReassignments
    | ListPartitionReassignments
)
Response = (
    Produced
    | Fetched
    | OffsetsListed
    | EpochsEnded
    | RecordsDeleted
    | ProducerIdGiven
    | MetadataDescribed
    | ClusterDescribed
    | TopicsCreated
    | TopicsDeleted
    | PartitionsCreated
    | ConfigsDescribed
    | ConfigsAltered
    | LeadersElected
    | ReassignmentsAltered
    | ReassignmentsListed
)
