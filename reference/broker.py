"""A broker: `handle(event, now_ms) -> effects`, and nothing else touches the world."""

from collections.abc import Callable, Mapping
from typing import Any

from reference.broker_state import BrokerState
from reference.handlers import (
    background,
    completion,
    configs,
    deletion,
    fetch,
    forwarding,
    metadata,
    metadata_log,
    offsets,
    produce,
    producer_ids,
    replication,
)
from reference.messages import (
    CheckpointDue,
    ClientGone,
    CompactionDue,
    Decided,
    Effect,
    Event,
    FetchDue,
    FromClient,
    FromPeer,
    IsrCheckDue,
    MetadataUpdate,
    NotController,
    ProducerIdsGranted,
    RepeatDue,
    ReplicaFetch,
    ReplicaFetched,
    RequestExpired,
    RetentionCheckDue,
)
from reference.requests import (
    AlterPartitionReassignments,
    CreatePartitions,
    CreateTopics,
    DeleteRecords,
    DeleteTopics,
    DescribeCluster,
    DescribeConfigs,
    ElectLeaders,
    Fetch,
    IncrementalAlterConfigs,
    InitProducerId,
    ListOffsets,
    ListPartitionReassignments,
    Metadata,
    OffsetForLeaderEpoch,
    Produce,
)

REQUESTS: Mapping[type, Callable[[BrokerState, int, Any], None]] = {
    Produce: produce.produce,
    Fetch: fetch.fetch,
    ListOffsets: offsets.list_offsets,
    OffsetForLeaderEpoch: offsets.offset_for_leader_epoch,
    DeleteRecords: deletion.delete_records,
    InitProducerId: producer_ids.init_producer_id,
    Metadata: metadata.metadata,
    DescribeCluster: metadata.describe_cluster,
    DescribeConfigs: configs.describe_configs,
    CreateTopics: forwarding.forward,
    DeleteTopics: forwarding.forward,
    CreatePartitions: forwarding.forward,
    IncrementalAlterConfigs: forwarding.forward,
    ElectLeaders: forwarding.forward,
    AlterPartitionReassignments: forwarding.forward,
    ListPartitionReassignments: forwarding.forward,
}

MESSAGES: Mapping[type, Callable[[BrokerState, int, Any], None]] = {
    ReplicaFetch: replication.on_fetch,
    ReplicaFetched: replication.on_fetched,
    MetadataUpdate: metadata_log.on_update,
    Decided: forwarding.on_decided,
    NotController: forwarding.on_not_controller,
    ProducerIdsGranted: producer_ids.on_granted,
}


EVENTS: Mapping[type, Callable[[BrokerState, Any], None]] = {
    FetchDue: lambda broker, due: replication.fetch_from_leader(broker, due.id),
    RequestExpired: lambda broker, expired: completion.expire(broker, expired.ticket),
    ClientGone: lambda broker, gone: completion.abandon(broker, gone.ticket),
    RepeatDue: lambda broker, _: background.repeat(broker),
    CheckpointDue: lambda broker, _: background.checkpoint(broker),
    IsrCheckDue: lambda broker, _: background.check_isr(broker),
    CompactionDue: lambda broker, _: background.compact(broker),
    RetentionCheckDue: lambda broker, _: background.check_retention(broker),
}


class Broker(BrokerState):
    """The state, and the way of every event to its handler."""

    __slots__ = ()

    def start(self, now_ms: int) -> list[Effect]:
        """Returns the effects of starting: it asks what there is to know."""
        self.now_ms, self.effects = now_ms, []
        background.repeat(self)
        return self.effects

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Returns what the world is to do about an event, in order."""
        self.now_ms, self.effects = now_ms, []
        if type(event) is FromPeer:
            MESSAGES[type(event.message)](self, event.sender, event.message)
        elif type(event) is FromClient:
            REQUESTS[type(event.request)](self, event.ticket, event.request)
        else:
            EVENTS[type(event)](self, event)
        return self.effects
