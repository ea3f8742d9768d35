"""Topics and the cluster."""

from dataclasses import dataclass
from uuid import UUID

from reference.errors import Error
from reference.requests.common import NO_TOPIC_ID, TopicRef
from reference.requests.configs import ConfigEntry


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
    configs: tuple[ConfigEntry, ...] | None = None


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
