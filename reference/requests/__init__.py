"""What clients ask of a broker and what it answers, free of versions, bytes and sockets.

The wire layer turns frames into these and back; the core sees nothing else of a client. Entries
keep the order and the repetitions of the request: a client may name a partition twice, and must be
answered twice. A topic is named as the request named it, by name or by id (KIP-516).
"""

from reference.requests.common import (
    NO_EPOCH,
    NO_EPOCH_END,
    NO_OFFSET,
    NO_TIMESTAMP,
    NO_TOPIC_ID,
    EpochEnd,
    LeaderHint,
    Partition,
    TopicRef,
)
from reference.requests.configs import (
    AlterOperation,
    ConfigChange,
    ConfigEntry,
    ConfigsAltered,
    ConfigsDescribed,
    ConfigSource,
    ConfigSynonym,
    ConfigType,
    DescribeConfigs,
    IncrementalAlterConfigs,
    ResourceAltered,
    ResourceDescribed,
    ResourceToAlter,
    ResourceToDescribe,
    ResourceType,
)
from reference.requests.elections import (
    AlterPartitionReassignments,
    ElectionType,
    ElectLeaders,
    LeaderElected,
    LeadersElected,
    ListPartitionReassignments,
    OngoingReassignment,
    Reassignment,
    ReassignmentAltered,
    ReassignmentsAltered,
    ReassignmentsListed,
)
from reference.requests.records import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    MAX_TIMESTAMP,
    AbortedTransaction,
    DeleteRecords,
    DeleteRecordsPart,
    EpochEndedPart,
    EpochEndPart,
    EpochsEnded,
    Fetch,
    Fetched,
    FetchedPart,
    FetchPart,
    InitProducerId,
    ListOffsets,
    ListOffsetsPart,
    OffsetForLeaderEpoch,
    OffsetListedPart,
    OffsetsListed,
    Produce,
    Produced,
    ProducedPart,
    ProducePart,
    ProducerIdGiven,
    RecordError,
    RecordsDeleted,
    RecordsDeletedPart,
)
from reference.requests.topics import (
    ClusterDescribed,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    DescribeCluster,
    Metadata,
    MetadataDescribed,
    MorePartitions,
    NewTopic,
    PartitionDescription,
    PartitionsCreated,
    PartitionsCreatedPart,
    TopicCreated,
    TopicDeleted,
    TopicDescription,
    TopicsCreated,
    TopicsDeleted,
)

__all__ = [
    "EARLIEST_TIMESTAMP",
    "LATEST_TIMESTAMP",
    "MAX_TIMESTAMP",
    "NO_EPOCH",
    "NO_EPOCH_END",
    "NO_OFFSET",
    "NO_TIMESTAMP",
    "NO_TOPIC_ID",
    "AbortedTransaction",
    "AlterOperation",
    "AlterPartitionReassignments",
    "ClusterDescribed",
    "ConfigChange",
    "ConfigEntry",
    "ConfigSource",
    "ConfigSynonym",
    "ConfigType",
    "ConfigsAltered",
    "ConfigsDescribed",
    "CreatePartitions",
    "CreateTopics",
    "DeleteRecords",
    "DeleteRecordsPart",
    "DeleteTopics",
    "DescribeCluster",
    "DescribeConfigs",
    "ElectLeaders",
    "ElectionType",
    "EpochEnd",
    "EpochEndPart",
    "EpochEndedPart",
    "EpochsEnded",
    "Fetch",
    "FetchPart",
    "Fetched",
    "FetchedPart",
    "IncrementalAlterConfigs",
    "InitProducerId",
    "LeaderElected",
    "LeaderHint",
    "LeadersElected",
    "ListOffsets",
    "ListOffsetsPart",
    "ListPartitionReassignments",
    "Metadata",
    "MetadataDescribed",
    "MorePartitions",
    "NewTopic",
    "OffsetForLeaderEpoch",
    "OffsetListedPart",
    "OffsetsListed",
    "OngoingReassignment",
    "Partition",
    "PartitionDescription",
    "PartitionsCreated",
    "PartitionsCreatedPart",
    "Produce",
    "ProducePart",
    "Produced",
    "ProducedPart",
    "ProducerIdGiven",
    "Reassignment",
    "ReassignmentAltered",
    "ReassignmentsAltered",
    "ReassignmentsListed",
    "RecordError",
    "RecordsDeleted",
    "RecordsDeletedPart",
    "Request",
    "ResourceAltered",
    "ResourceDescribed",
    "ResourceToAlter",
    "ResourceToDescribe",
    "ResourceType",
    "Response",
    "TopicCreated",
    "TopicDeleted",
    "TopicDescription",
    "TopicRef",
    "TopicsCreated",
    "TopicsDeleted",
]

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
