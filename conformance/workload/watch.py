"""What all brokers say of a partition while its leader is moved from broker to broker."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial

from kio.schema.errors import ErrorCode

from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive
from conformance.partition import NAMED_TOPICS_UP_TO, Partition
from conformance.records import batch_of
from conformance.workload.epochs import request as request_to_leader
from conformance.workload.leaders import ELECTED, MOVES_WITHIN_MS, ask_to_elect, ask_to_reassign

EPOCH_LISTED_SINCE = 4
"""Of ListOffsets (KIP-320)."""
PARTITIONS_TOLD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one answer of one broker says of the partition."""

    broker: int
    answer: str
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...] | None = None
    """None where such an answer does not tell."""
    isr: tuple[int, ...] | None = None
    elr: tuple[int, ...] = ()

    @property
    def whole(self) -> bool:
        """Led, with all replicas in sync."""
        return self.leader >= 0 and set(self.isr or ()) == set(self.replicas or ())


@dataclass(eq=False)
class Watch:
    """Each look asks all brokers at once. What one broker answers stays in its order."""

    partition: Partition
    sightings: list[Sighting] = field(default_factory=list)
    accepted: dict[bytes, int] = field(default_factory=dict)
    """Unique values, each with the broker that took it as leader, be it in its own eyes only."""
    _values: int = 0

    def look(self) -> list[Sighting]:
        """What each broker's newest Metadata says."""
        brokers = self.partition.client.brokers
        asked = [pending for broker in brokers for pending in self._ask(broker)]
        found = [s for s in self.partition.target.wait(*asked) if s is not None]
        self.sightings += found
        return [sighting for sighting in found if sighting.answer == "Metadata"]

    def move(self, to: int) -> Sighting:
        """Makes a replica the leader, looking all the while; returns what all agree on at last.

        Raises `Inconclusive` where that does not come about, `Unsupported` where it cannot.
        """
        others = (broker for broker in self.partition.view.replicas if broker != to)
        wanted = (to, *others)
        reassigned = ask_to_reassign(self.partition, wanted)
        self._until(lambda s: s.replicas == wanted, reassigned, frozenset({ErrorCode.none}))
        elected = ask_to_elect(self.partition)
        agreed = self._until(lambda s: s.leader == to, elected, ELECTED)
        topic = self.partition.topic
        topic.view = topic.client.view(topic.name)
        return agreed[0]

    def append(self) -> None:
        """Appends one more value with acks=all, which no clean election can take away."""

        def attempt() -> Sighting | None:
            leader = self.partition.view.leader
            return self._produce(leader, self.partition.leader, acks=-1).result()

        taken = len(self.accepted) + 1
        self.partition.target.eventually(
            attempt, lambda _: len(self.accepted) == taken, within_ms=MOVES_WITHIN_MS
        )

    def _until(
        self,
        holds: Callable[[Sighting], bool],
        asked: Pending[ErrorCode],
        wanted: Collection[ErrorCode],
    ) -> list[Sighting]:
        def agreed(found: list[Sighting]) -> bool:
            alike = {(s.leader, s.leader_epoch, s.replicas, s.isr) for s in found}
            return asked.settled and len(alike) == 1 and found[0].whole and holds(found[0])

        def look() -> list[Sighting]:
            found = self.look()
            if asked.settled and asked.value not in wanted:
                raise Inconclusive(f"the leader was not moved: {asked.value.name}")
            return found

        return self.partition.target.eventually(look, agreed, within_ms=MOVES_WITHIN_MS)

    # ---- questions ------------------------------------------------------------------------------

    def _ask(self, broker: int) -> Iterator[Pending[Sighting | None]]:
        over, name = self.partition.client.broker(broker), self.partition.topic.name
        for at_least, at_most, answer in ((7, 8, "Metadata v8"), (9, 99, "Metadata")):
            request = over.build(
                "metadata", at_least=at_least, at_most=at_most, topics=[{"name": name}]
            )
            yield over.send(request, partial(self._described, broker, answer))
        if over.serves("describe_topic_partitions"):
            request = over.build(
                "describe_topic_partitions",
                topics=[{"name": name}],
                response_partition_limit=PARTITIONS_TOLD,
                cursor=None,
            )
            yield over.send(request, partial(self._described, broker, "DescribeTopicPartitions"))
        yield self._produce(broker, over)
        yield over.send(
            request_to_leader(self.partition, over, "list_offsets", EPOCH_LISTED_SINCE),
            partial(self._listed, broker),
        )

    def _produce(self, broker: int, over: Connection, acks: int = 1) -> Pending[Sighting | None]:
        self._values += 1
        value = f"{self._values} to {broker}".encode()
        version = over.version("produce", at_least=3, at_most=NAMED_TOPICS_UP_TO)
        request = self.partition.produce_request(
            batch_of(value), over=over, version=version, acks=acks
        )
        return over.send(request, partial(self._produced, broker, value))

    # ---- answers --------------------------------------------------------------------------------

    def _described(self, broker: int, answer: str, told: Entity) -> Sighting | None:
        """Of Metadata and DescribeTopicPartitions alike; None while it knows no such partition."""
        parts = [p for p in told.topics[0].partitions if p.partition_index == self.partition.number]
        if not parts:
            return None
        return Sighting(
            broker=broker,
            answer=answer,
            leader=parts[0].leader_id,
            leader_epoch=parts[0].leader_epoch,
            replicas=tuple(parts[0].replica_nodes),
            isr=tuple(parts[0].isr_nodes),
            elr=tuple(getattr(parts[0], "eligible_leader_replicas", None) or ()),
        )

    def _produced(self, broker: int, value: bytes, told: Entity) -> Sighting | None:
        part = told.responses[0].partition_responses[0]
        if part.error_code is ErrorCode.none:
            self.accepted[value] = broker
        named = getattr(part, "current_leader", None)
        if named is None or named.leader_id < 0:
            return None
        return Sighting(
            broker=broker,
            answer="CurrentLeader of Produce",
            leader=named.leader_id,
            leader_epoch=named.leader_epoch,
        )

    def _listed(self, broker: int, told: Entity) -> Sighting | None:
        """Its epoch is that of the last record, and so may be older than the leader's own."""
        part = told.topics[0].partitions[0]
        if part.error_code is not ErrorCode.none or part.leader_epoch < 0:
            return None
        return Sighting(
            broker=broker, answer="ListOffsets", leader=-1, leader_epoch=part.leader_epoch
        )
