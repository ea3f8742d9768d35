"""A raw Kafka client: finds brokers and leaders, keeps topics in order, and retries nothing.

The suite's own housekeeping asks for the oldest version that carries what it needs, so that a
target's slip in a newer version fails the test about it and no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from conformance.codec import Entity
from conformance.connection import Connection, Versions
from conformance.outcomes import Inconclusive
from conformance.targets.target import Address, Target

SETTLES_WITHIN_MS = 20_000
ADMIN_TIMEOUT_MS = 10_000
STILL_MOVING = frozenset({ErrorCode.leader_not_available, ErrorCode.unknown_topic_or_partition})
"""What Metadata answers about a topic that is being created or deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionView:
    """One broker's opinion of a partition."""

    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]

    @property
    def settled(self) -> bool:
        """Led, with every replica in sync."""
        return self.leader >= 0 and set(self.isr) == set(self.replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicView:
    """One broker's opinion of a topic."""

    error: ErrorCode
    name: str | None
    topic_id: UUID | None
    partitions: Mapping[int, PartitionView]

    @property
    def settled(self) -> bool:
        found = self.error is ErrorCode.none and bool(self.partitions)
        return found and all(view.settled for view in self.partitions.values())


@dataclass(eq=False)
class Client:
    """Connections to the brokers of a target, one shared and as many others as a test wants."""

    target: Target
    addresses: dict[int, Address] = field(default_factory=dict, repr=False)
    """Broker id -> address, as the last Metadata answer had them."""
    _shared: dict[Address, Connection] = field(default_factory=dict, repr=False)
    _versions: dict[Address, Versions] = field(default_factory=dict, repr=False)

    # ---- connections ----------------------------------------------------------------------------

    def address_of(self, broker: int | None) -> Address:
        if broker is None:
            return self.target.bootstrap[0]
        if broker not in self.addresses:
            self.metadata()
        if broker not in self.addresses:
            raise Inconclusive(f"no broker {broker} in the metadata, only {sorted(self.addresses)}")
        return self.addresses[broker]

    def connect(self, broker: int | None = None) -> Connection:
        """One more connection, which knows what the broker serves."""
        address = self.address_of(broker)
        connection = self.target.connect(address)
        if address not in self._versions:
            connection.negotiate()
            self._versions[address] = connection.versions
        connection.versions = self._versions[address]
        return connection

    def broker(self, number: int | None = None) -> Connection:
        """The one connection to this broker that housekeeping and simple tests share."""
        address = self.address_of(number)
        if address not in self._shared or self._shared[address].loss:
            self._shared[address] = self.connect(number)
        return self._shared[address]

    def controller(self) -> Connection:
        """Where requests that change metadata go: the controller, or a broker that forwards."""
        answer = self.metadata()
        known = answer.controller_id in self.addresses
        return self.broker(answer.controller_id if known else None)

    def close(self) -> None:
        for connection in self._shared.values():
            connection.close()

    # ---- metadata -------------------------------------------------------------------------------

    def metadata(self, *topics: str, broker: int | None = None, create: bool = False) -> Entity:
        """A Metadata answer about these topics, asked at an old version. Learns the addresses."""
        connection = self.broker(broker)
        answer = connection.call(
            "metadata",
            at_least=min(7, connection.versions.get(3, (0, 0))[1]),
            at_most=8,
            topics=[{"name": name} for name in topics],
            allow_auto_topic_creation=create,
        )
        self.addresses = {b.node_id: Address(b.host, b.port) for b in answer.brokers}
        return answer

    @property
    def brokers(self) -> tuple[int, ...]:
        """The ids of the live brokers, ascending."""
        if not self.addresses:
            self.metadata()
        return tuple(sorted(self.addresses))

    def view(self, topic: str, broker: int | None = None) -> TopicView:
        """What this broker says of the topic, without its id."""
        return topic_view(self.metadata(topic, broker=broker).topics[0])

    def topic_id(self, topic: str, broker: int | None = None) -> UUID | None:
        """Raises `Unsupported` where the broker knows no topic ids (KIP-516)."""
        answer = self.broker(broker).call("metadata", at_least=10, topics=[{"name": topic}])
        return topic_view(answer.topics[0]).topic_id

    # ---- topics ---------------------------------------------------------------------------------

    def create_topic(
        self,
        name: str,
        *,
        partitions: int = 1,
        replication_factor: int = -1,
        assignments: Mapping[int, tuple[int, ...]] | None = None,
        configs: Mapping[str, str] | None = None,
    ) -> "TopicView":
        """Creates it and waits until every broker shows it led and in sync.

        Replicates over up to three brokers unless told otherwise. Raises `Inconclusive` where the
        target will not, because a test about something else cannot begin.
        """
        controller = self.controller()
        if not controller.serves("create_topics"):
            self.metadata(name, create=True)
            return self.settled(name)
        spread = min(3, len(self.brokers)) if replication_factor < 0 else replication_factor
        wanted: dict[str, Any] = {
            "name": name,
            "num_partitions": -1 if assignments else partitions,
            "replication_factor": -1 if assignments else spread,
            "assignments": [
                {"partition_index": p, "broker_ids": tuple(b)}
                for p, b in (assignments or {}).items()
            ],
            "configs": [{"name": n, "value": v} for n, v in (configs or {}).items()],
        }
        answer = controller.call(
            "create_topics", at_least=2, at_most=4, topics=[wanted], timeout=ADMIN_TIMEOUT_MS
        )
        error = answer.topics[0].error_code
        if error is not ErrorCode.none:
            raise Inconclusive(f"the topic {name} was not created: {error.name}")
        return self.settled(name)

    def settled(self, topic: str) -> TopicView:
        """Waits until all brokers show the topic alike, led and in sync; the last one's view."""

        def views() -> list[TopicView]:
            return [self.view(topic, broker) for broker in self.brokers]

        def alike(found: list[TopicView]) -> bool:
            return all(view.settled and view == found[0] for view in found)

        view = self.target.eventually(views, alike, within_ms=SETTLES_WITHIN_MS)[0]
        for number, partition in view.partitions.items():
            self._lead(topic, number, partition.leader)
        return view

    def _lead(self, topic: str, partition: int, leader: int) -> None:
        """Waits until the leader acts as one: its metadata may be ahead of its replicas."""
        part = {"partition_index": partition, "timestamp": -1}

        def ask() -> ErrorCode:
            topics = [{"name": topic, "partitions": [part]}]
            answer = self.broker(leader).call(
                "list_offsets", at_least=1, at_most=3, replica_id=-1, topics=topics
            )
            error: ErrorCode = answer.topics[0].partitions[0].error_code
            return error

        self.target.eventually(ask, ErrorCode.none.__eq__, within_ms=SETTLES_WITHIN_MS)

    def delete_topic(self, name: str) -> None:
        """Asks for it and waits for the answer, whatever that is."""
        connection = self.controller()
        if connection.serves("delete_topics"):
            request = connection.build(
                "delete_topics",
                at_most=3,
                at_least=1,
                topic_names=(name,),
                timeout=ADMIN_TIMEOUT_MS,
            )
            self.target.settle(connection.send(request))

    def alter_topic(self, topic: str, **configs: str) -> None:
        """Sets topic configurations; `max_message_bytes="1"` names `max.message.bytes`."""
        changes = [
            {"name": name.replace("_", "."), "config_operation": 0, "value": value}
            for name, value in configs.items()
        ]
        resource = {"resource_type": 2, "resource_name": topic, "configs": changes}
        answer = self.controller().call("incremental_alter_configs", resources=[resource])
        error = answer.responses[0].error_code
        if error is not ErrorCode.none:
            raise Inconclusive(f"the configuration of {topic} was not changed: {error.name}")

    def init_producer_id(self, broker: int | None = None) -> int:
        """A fresh producer id; its epoch is 0."""

        def ask() -> Any:
            return self.broker(broker).call("init_producer_id", transactional_id=None)

        busy = (ErrorCode.coordinator_load_in_progress, ErrorCode.coordinator_not_available)
        answer = self.target.eventually(
            ask, lambda found: found.error_code not in busy, within_ms=SETTLES_WITHIN_MS
        )
        if answer.error_code is not ErrorCode.none:
            raise Inconclusive(f"no producer id: {answer.error_code.name}")
        return int(answer.producer_id)


def topic_view(topic: Entity) -> TopicView:
    """The view in one entry of a Metadata answer of any version."""
    return TopicView(
        error=topic.error_code,
        name=topic.name,
        topic_id=getattr(topic, "topic_id", None),
        partitions={
            part.partition_index: PartitionView(
                leader=part.leader_id,
                leader_epoch=getattr(part, "leader_epoch", -1),
                replicas=tuple(part.replica_nodes),
                isr=tuple(part.isr_nodes),
            )
            for part in topic.partitions
        },
    )
