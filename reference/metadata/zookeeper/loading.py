"""Reads from ZooKeeper what a controller must know, in a few large requests.

Each function is a conversation: it yields what it asks and is sent what came of it. The reads of
one request see one moment. Those of different requests do not; what the controller alone writes
cannot change meanwhile, since nobody but the newest controller can write it, and who reads here has
just become that. Source: KafkaController.scala (initializeControllerContext).
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from reference.image import MetadataImage
from reference.metadata.records import (
    ConfigRecord,
    MetadataRecord,
    PartitionId,
    ProducerIdsReserved,
    TopicRecord,
)
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.messages import (
    Children,
    GetChildren,
    GetData,
    Node,
    Operations,
    Outcome,
    Result,
    results_of,
)
from reference.metadata.zookeeper.stored import Stored, StoredConfig, StoredTopic
from reference.metadata.zookeeper.znodes import Assignment
from reference.requests import ResourceType


class Registration(NamedTuple):
    broker_epoch: int
    """The transaction that created the broker's node: each is greater than all before."""
    incarnation: UUID


Registrations = Mapping[int, Registration]
"""The brokers whose session is alive, in ascending order."""


@dataclass(frozen=True, slots=True)
class Loaded:
    image: MetadataImage
    """Everything but the brokers."""
    stored: Stored
    written_at: Mapping[PartitionId, int]
    """The transaction that wrote each partition's state."""
    registrations: Registrations


def load() -> Generator[Operations, Outcome, Loaded]:
    """Reads everything; the brokers last, with a watch on them."""
    while True:
        listed = yield (
            GetChildren(znodes.TOPICS),
            GetChildren(znodes.TOPIC_CONFIGS),
            GetChildren(znodes.BROKER_CONFIGS),
        )
        topics, topic_configs, broker_configs = map(_names, results_of(listed))
        configs = [(ResourceType.TOPIC, name) for name in topic_configs]
        configs += [
            (ResourceType.BROKER, "" if name == znodes.ALL_BROKERS else name)
            for name in broker_configs
        ]
        outcome = yield (
            GetData(znodes.PRODUCER_IDS),
            *(GetData(znodes.topic_path(name)) for name in topics),
            *(GetData(znodes.config_path(*resource)) for resource in configs),
        )
        found = results_of(outcome)
        assignments = [
            Assignment.of(each.data) if isinstance(each, Node) else None
            for each in found[1 : len(topics) + 1]
        ]
        partitions = [
            (name, number)
            for name, assignment in zip(topics, assignments, strict=True)
            for number in sorted(assignment.partitions if assignment else ())
        ]
        states = results_of((yield tuple(GetData(znodes.state_path(*each)) for each in partitions)))
        nodes = [each for each in (*found, *states) if isinstance(each, Node)]
        if len(nodes) == len(found) + len(states):
            break
    producer_ids, of_topics = nodes[0], nodes[1 : len(topics) + 1]
    of_configs = nodes[len(topics) + 1 : len(found)]
    loading = _Loading(producer_ids)
    for name, node in zip(topics, of_topics, strict=True):
        loading.topic(name, node)
    for (name, number), node in zip(partitions, nodes[len(found) :], strict=True):
        loading.partition(name, number, node)
    for (kind, resource), node in zip(configs, of_configs, strict=True):
        loading.config(kind, resource, node)
    registrations = yield from read_brokers()
    return Loaded(loading.image, loading.stored, loading.written_at, registrations)


class _Loading:
    """Makes the image and the knowledge of versions, node by node."""

    def __init__(self, producer_ids: Node) -> None:
        self.image = MetadataImage()
        self.written_at: dict[PartitionId, int] = {}
        self.stored = Stored(producer_ids_version=producer_ids.stat.version)
        next_producer_id = znodes.next_producer_id_of(producer_ids.data)
        self._apply(ProducerIdsReserved(next_producer_id=next_producer_id))

    def topic(self, name: str, node: Node) -> None:
        assignment = Assignment.of(node.data)
        topic_id = assignment.topic_id
        self.stored.topics[topic_id] = StoredTopic(name, node.stat.version, assignment)
        self._apply(TopicRecord(name=name, topic_id=topic_id))

    def partition(self, name: str, number: int, node: Node) -> None:
        topic_id = self.image.ids[name]
        topic = self.stored.topics[topic_id]
        topic.states[number] = node.stat.version
        replicas = topic.assignment.partitions[number]
        partition = PartitionId(topic_id, number)
        self.written_at[partition] = node.stat.mzxid
        self._apply(znodes.state_of(partition, node.data, node.stat.version, replicas))

    def config(self, kind: int, resource: str, node: Node) -> None:
        overrides = znodes.overrides_of(node.data)
        path = znodes.config_path(kind, resource)
        self.stored.configs[path] = StoredConfig(node.stat.version, overrides)
        for key, value in overrides.items():
            self._apply(ConfigRecord(resource_type=kind, resource=resource, name=key, value=value))

    def _apply(self, record: MetadataRecord) -> None:
        self.image.apply(record)


def read_brokers() -> Generator[Operations, Outcome, Registrations]:
    """Reads who is registered at one moment, and leaves a watch on it."""
    names: tuple[str, ...] = ()
    while True:
        outcome = yield (
            GetChildren(znodes.BROKER_IDS, watch=True),
            *(GetData(znodes.broker_path(int(name))) for name in names),
        )
        listed, *found = results_of(outcome)
        if _names(listed) == names:
            return {
                int(name): Registration(node.stat.czxid, znodes.incarnation_of(node.data))
                for name, node in sorted(zip(names, found, strict=True), key=_broker)
                if isinstance(node, Node)
            }
        names = _names(listed)


def _broker(pair: tuple[str, Result]) -> int:
    return int(pair[0])


def _names(result: Result) -> tuple[str, ...]:
    assert isinstance(result, Children), f"a node that always exists is missing: {result}"
    return result.names
