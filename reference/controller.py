"""The one writer of the metadata log. It is reliable; brokers may be cut off from it.

A decision is a run of records that is appended, applied and sent to every broker. A broker that
missed one says so in its next heartbeat. Source: metadata/.../controller/QuorumController.java.
"""

from collections.abc import Callable, Mapping
from typing import Any

from reference.decisions import configs, elections, isr, partitions, reassignments, topics
from reference.decisions.state import ControllerState
from reference.messages import (
    AlterPartition,
    Decided,
    Effect,
    Event,
    Forwarded,
    FromPeer,
    Heartbeat,
    MetadataUpdate,
    ProducerIdsGranted,
    ProducerIdsWanted,
    Send,
)
from reference.requests import (
    AlterPartitionReassignments,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    ElectLeaders,
    IncrementalAlterConfigs,
    ListPartitionReassignments,
    Response,
)

PRODUCER_ID_BLOCK = 1_000

DECISIONS: Mapping[type, Callable[[ControllerState, Any], Response]] = {
    CreateTopics: topics.create_topics,
    DeleteTopics: topics.delete_topics,
    CreatePartitions: partitions.create_partitions,
    IncrementalAlterConfigs: configs.alter_configs,
    ElectLeaders: elections.elect_leaders,
    AlterPartitionReassignments: reassignments.alter_reassignments,
    ListPartitionReassignments: reassignments.list_reassignments,
}


class Controller(ControllerState):
    __slots__ = ()

    def start(self, now_ms: int) -> list[Effect]:
        """The controller acts only when asked."""
        return []

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Returns what the world is to do about a message, in order."""
        self.effects = []
        if isinstance(event, FromPeer):
            sender = event.sender
            match event.message:
                case Heartbeat(applied=applied):
                    self._bring_up_to_date(sender, applied)
                case Forwarded(ticket=ticket, request=request):
                    response = DECISIONS[type(request)](self, request)
                    self.effects.append(Send(sender, Decided(ticket=ticket, response=response)))
                case AlterPartition() as ask:
                    isr.alter_partition(self, sender, ask)
                case ProducerIdsWanted():
                    self._grant_producer_ids(sender)
        return self.effects

    def _bring_up_to_date(self, broker: int, applied: int) -> None:
        missing = self.records[applied:]
        if missing:
            update = MetadataUpdate(first=applied, records=tuple(missing))
            self.effects.append(Send(broker, update))

    def _grant_producer_ids(self, broker: int) -> None:
        first = self.next_producer_id
        self.next_producer_id = self.rules.next_producer_id(first, PRODUCER_ID_BLOCK)
        granted = ProducerIdsGranted(first=first, count=PRODUCER_ID_BLOCK)
        self.effects.append(Send(broker, granted))
