"""A reference cluster without frames, and what must hold of it at every moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from conformance.records import Batch, NewRecord, batch_of
from reference.batch import Header
from reference.metadata.records import NO_LEADER, PartitionId
from reference.replica import Replica
from reference.requests import (
    CreateTopics,
    Fetch,
    Fetched,
    FetchedPart,
    FetchPart,
    Metadata,
    MetadataDescribed,
    NewTopic,
    PartitionDescription,
    Produce,
    Produced,
    ProducedPart,
    ProducePart,
    Request,
    TopicRef,
    TopicsCreated,
)
from reference.rules import Rules
from reference.simulator.cluster import Cluster

BROKERS = (1, 2, 3)
NOW_MS = 1_767_225_600_000
"""The date at which a simulation starts."""

R = TypeVar("R")


def cluster(
    *,
    seed: int = 0,
    brokers: int = 3,
    rules: Rules | None = None,
    configs: Mapping[str, str] | None = None,
    latency_ms: tuple[int, int] = (1, 5),
    loss: float = 0.0,
) -> Cluster:
    """A cluster of brokers 1 to `brokers`."""
    addresses = {number: ("broker", number) for number in range(1, brokers + 1)}
    return Cluster(
        addresses, seed=seed, rules=rules, configs=configs, latency_ms=latency_ms, loss=loss
    )


def ask(cluster: Cluster, broker: int, request: Request, within_ms: int = 60_000) -> object:
    """The broker's response; fails where there is none in time, or anything has crashed."""
    submission = cluster.submit(broker, request)
    answered = cluster.run(lambda: submission.is_done, within_ms)
    assert not cluster.crashes, cluster.crashes[0]
    assert answered, f"no answer to {request} within {within_ms} ms"
    return submission.response


def create(cluster: Cluster, name: str, **fields: object) -> UUID:
    """Creates a topic of one partition and three replicas unless told otherwise; its id."""
    chosen: dict[str, object] = {"partitions": 1, "replication_factor": 3} | fields
    topic = NewTopic(name=name, **chosen)  # type: ignore[arg-type]
    request = CreateTopics(topics=(topic,), timeout_ms=5_000, validate_only=False)
    created = ask(cluster, 1, request)
    assert isinstance(created, TopicsCreated)
    assert not created.topics[0].error, created
    settle(cluster)
    return created.topics[0].topic_id


def settle(cluster: Cluster, ms: int = 1_000) -> None:
    """Lets time pass."""
    cluster.run(lambda: False, ms)
    assert not cluster.crashes, cluster.crashes[0]


def described(cluster: Cluster, broker: int, topic: TopicRef) -> PartitionDescription:
    """Partition 0 as a broker reports it."""
    request = Metadata(topics=(topic,), allow_auto_topic_creation=False)
    answer = ask(cluster, broker, request)
    assert isinstance(answer, MetadataDescribed)
    return answer.topics[0].partitions[0]


def leader_of(cluster: Cluster, topic: TopicRef) -> int:
    """The leader of partition 0, as the controller knows it."""
    found = cluster.image.topic(topic)
    assert found is not None
    return found.partitions[0].leader


def replica(cluster: Cluster, broker: int, topic: TopicRef) -> Replica:
    """A broker's copy of partition 0."""
    found = cluster.image.topic(topic)
    assert found is not None
    return cluster.brokers[broker].replicas[PartitionId(found.topic_id, 0)]


def batch(*values: bytes, **header: object) -> bytes:
    """A batch of keyed records, dated to the start of the simulation."""
    records = tuple(NewRecord(value=value, key=b"key") for value in values)
    fields = {"timestamp_ms": NOW_MS} | header
    return Batch(records=records, **fields).encode()  # type: ignore[arg-type]


def keyless(*values: bytes) -> bytes:
    return batch_of(*values, timestamp_ms=NOW_MS).encode()


def produce_request(topic: TopicRef, records: bytes | None, acks: int = -1) -> Produce:
    return Produce(
        acks=acks,
        timeout_ms=5_000,
        transactional_id=None,
        parts=(ProducePart(topic=topic, number=0, records=records),),
        api_version=9,
    )


def produce(
    cluster: Cluster, topic: TopicRef, records: bytes | None, acks: int = -1
) -> ProducedPart:
    """The leader's answer for one batch to partition 0."""
    request = produce_request(topic, records, acks)
    answer = ask(cluster, leader_of(cluster, topic), request)
    assert isinstance(answer, Produced)
    return answer.parts[0]


def fetch_request(topic: TopicRef, offset: int, **fields: object) -> Fetch:
    """A fetch of partition 0 that does not wait; fields of the part go to it."""
    part: dict[str, object] = {"topic": topic, "number": 0, "offset": offset, "max_bytes": 1 << 20}
    own = {"max_bytes", "current_leader_epoch", "last_fetched_epoch"}
    part |= {name: value for name, value in fields.items() if name in own}
    whole: dict[str, object] = {
        "replica_id": -1,
        "max_wait_ms": 0,
        "min_bytes": 1,
        "max_bytes": 50 << 20,
        "read_committed": False,
        "session_id": 0,
        "session_epoch": -1,
        "parts": (FetchPart(**part),),  # type: ignore[arg-type]
        "forgotten": (),
        "api_version": 12,
    }
    whole |= {name: value for name, value in fields.items() if name not in own}
    return Fetch(**whole)  # type: ignore[arg-type]


def fetch(cluster: Cluster, topic: TopicRef, offset: int, **fields: object) -> FetchedPart:
    """What the leader answers for partition 0."""
    answer = ask(cluster, leader_of(cluster, topic), fetch_request(topic, offset, **fields))
    assert isinstance(answer, Fetched)
    assert not answer.error
    return answer.parts[0]


@dataclass(slots=True)
class Watch:
    """Looks at a whole cluster again and again, and remembers what must never change."""

    cluster: Cluster
    leaders: dict[tuple[PartitionId, int], int] = field(default_factory=dict)
    committed: dict[tuple[PartitionId, int], bytes] = field(default_factory=dict)
    """Every batch below any high watermark, by its base offset."""
    starts: dict[tuple[int, PartitionId], tuple[Replica, int]] = field(default_factory=dict)
    """A replica that is removed and added again starts anew, so the start is the object's."""

    def look(self) -> None:
        """Fails where an invariant is broken."""
        for number, broker in self.cluster.brokers.items():
            assert set(broker.purgatory.partitions) == set(broker.purgatory.waiting)
            for partition, copy in broker.replicas.items():
                self._look_at(number, partition, copy)
        for partition, states in self.cluster.committed.items():
            state = states[-1]
            assert set(state.isr) <= set(state.replicas), "the ISR is among the replicas"
            assert state.leader in (NO_LEADER, *state.isr), "the leader is in sync"
            self._members_have_what_is_committed(partition, state.isr)

    def _look_at(self, broker: int, partition: PartitionId, copy: Replica) -> None:
        log = copy.log
        assert log.start_offset <= copy.high_watermark <= log.end_offset
        key = (broker, partition)
        known, start = self.starts.get(key, (copy, 0))
        assert known is not copy or log.start_offset >= start, "the log's start never moves back"
        self.starts[key] = (copy, log.start_offset)
        for cache in (log.epochs.epochs, log.epochs.starts):
            assert cache == sorted(cache)
        if copy.leadership:
            epoch = (partition, copy.state.leader_epoch)
            assert self.leaders.setdefault(epoch, broker) == broker, "one leader per epoch"
        for header, content in zip(log.headers, log.batches, strict=True):
            if header.end_offset <= copy.high_watermark:
                first = self.committed.setdefault((partition, header.base_offset), content)
                assert first == content, "what is committed never changes"

    def _members_have_what_is_committed(self, partition: PartitionId, isr: tuple[int, ...]) -> None:
        for member in isr:
            broker = self.cluster.brokers.get(member)
            copy = broker.replicas.get(partition) if broker else None
            if copy is None:
                continue  # it has not heard of the partition, or it does not run
            held = {h.base_offset for h in copy.log.headers}
            for (where, offset), content in self.committed.items():
                if where == partition and offset >= copy.log.first_offset:
                    assert offset in held, f"{member} is in sync and lacks {offset}"
                    index = copy.log.headers.index(_header(copy, offset))
                    assert copy.log.batches[index] == content

    def look_when_quiet(self) -> None:
        """Besides: all replicas hold one log, and nothing depends on how it came about."""
        self.look()
        for topic in self.cluster.image.topics.values():
            for state in topic.partitions.values():
                copies = [self.cluster.brokers[b].replicas[state.id] for b in state.replicas]
                leaders = [copy for copy in copies if copy.leadership]
                assert [copy.broker for copy in leaders] == [state.leader]
                (leader,) = leaders
                assert set(state.isr) == set(state.replicas)
                for copy in copies:
                    assert copy.high_watermark == leader.log.end_offset == copy.log.end_offset
                    # A former leader may have deleted more, if it was cut off while it did.
                    assert copy.log.start_offset >= leader.log.start_offset
                    assert copy.log.batches[-1:] == leader.log.batches[-1:]
                    shared = min(len(copy.log.batches), len(leader.log.batches))
                    assert copy.log.batches[-shared or 1 :] == leader.log.batches[-shared or 1 :]
                    assert copy.log.producers.producers == leader.log.producers.producers


def _header(copy: Replica, offset: int) -> Header:
    return next(header for header in copy.log.headers if header.base_offset == offset)
