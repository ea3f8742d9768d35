"""What the active controller decides. One logic, whoever keeps the metadata.

A `Controller` exists only while its node is the active controller, and begins with a copy of the
committed metadata. What it decides goes to the metadata member as records; what it has to say about
a decision waits until that is committed. A controller that is deposed is thrown away, with all that
was not committed. Source: metadata/.../controller/QuorumController.java.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from reference.decisions import (
    brokers,
    configs,
    elections,
    isr,
    partitions,
    producer_ids,
    reassignments,
    topics,
)
from reference.decisions.availability import leave_partitions, look_after_partitions
from reference.decisions.state import ControllerState
from reference.messages import AlterPartition, Decided, Forwarded, Message, ProducerIdsWanted
from reference.metadata.quorum.messages import BrokerHeartbeat, RegisterBroker
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

    def handle(self, sender: int, message: Message, now_ms: int) -> None:
        """Decides about a broker's message: adds to `records` and `answers`."""
        self.advance(now_ms)
        match message:
            case Forwarded(ticket=ticket, request=request):
                response = DECISIONS[type(request)](self, request)
                self.answer(sender, Decided(ticket=ticket, response=response))
            case AlterPartition() as ask:
                isr.alter_partition(self, sender, ask)
            case ProducerIdsWanted():
                producer_ids.grant(self, sender)
            case RegisterBroker() as registration:
                brokers.register(self, sender, registration)
            case BrokerHeartbeat() as beat:
                brokers.heartbeat(self, sender, beat)

    def tick(self, now_ms: int) -> None:
        """Periodic work: broker sessions that have expired, elections that became possible."""
        self.advance(now_ms)
        if self.next_offset is not None:
            brokers.fence_the_silent(self)
        look_after_partitions(self)

    def broker_registered(
        self, broker: int, *, broker_epoch: int, incarnation: UUID, clean: bool, now_ms: int
    ) -> None:
        """ZooKeeper has a broker's ephemeral node: it is alive, and has all metadata soon."""
        self.advance(now_ms)
        known = self.image.brokers.get(broker)
        if known is None or known.fenced or known.broker_epoch != broker_epoch:
            leave_partitions(self, broker, keeps_log=clean)
            brokers.registered(
                self, broker, broker_epoch=broker_epoch, incarnation=incarnation, fenced=False
            )

    def broker_vanished(self, broker: int, now_ms: int) -> None:
        """A broker's ephemeral node is gone: its session has expired, or it has closed it."""
        self.advance(now_ms)
        if self.rules.must_be_fenced(session_lost=True):
            brokers.fence(self, broker)

    def begin_shutdown(self, broker: int, now_ms: int) -> None:
        """Hands over what a broker leads that is about to stop.

        For ZooKeeper (ControlledShutdown): in the quorum heartbeats say so.
        """
        self.advance(now_ms)
        brokers.begin_shutdown(self, broker)
