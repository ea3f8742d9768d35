"""The metadata of the cluster as of some offset of the controller's log."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from reference.metadata.records import (
    BrokerRegistered,
    ConfigRecord,
    MetadataRecord,
    PartitionId,
    PartitionState,
    ProducerIdsReserved,
    TopicRecord,
    TopicRemoved,
)
from reference.requests import Partition, ResourceType, TopicRef


@dataclass(slots=True)
class TopicImage:
    name: str
    topic_id: UUID
    partitions: dict[int, PartitionState] = field(default_factory=dict)

    def copy(self) -> "TopicImage":
        return TopicImage(self.name, self.topic_id, dict(self.partitions))


@dataclass(slots=True)
class MetadataImage:
    applied: int = 0
    """How many records of the log have made this image."""
    topics: dict[UUID, TopicImage] = field(default_factory=dict)
    ids: dict[str, UUID] = field(default_factory=dict)
    configs: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    brokers: dict[int, BrokerRegistered] = field(default_factory=dict)
    """The newest registration of each broker that ever registered, alive or not."""
    next_producer_id: int = 0

    def apply(self, record: MetadataRecord) -> None:
        """Records must come in the order of the log, none left out."""
        self.applied += 1
        match record:
            case TopicRecord(name=name, topic_id=topic_id):
                self.topics[topic_id] = TopicImage(name, topic_id)
                self.ids[name] = topic_id
            case PartitionState(id=partition):
                self.topics[partition.topic_id].partitions[partition.number] = record
            case TopicRemoved(topic_id=topic_id):
                topic = self.topics.pop(topic_id)
                del self.ids[topic.name]
                self.configs.pop((ResourceType.TOPIC, topic.name), None)
            case ConfigRecord(resource_type=kind, resource=resource, name=name, value=value):
                self._configure((kind, resource), name, value)
            case BrokerRegistered(broker=broker):
                self.brokers[broker] = record
            case ProducerIdsReserved(next_producer_id=next_producer_id):
                self.next_producer_id = next_producer_id

    def copy(self) -> "MetadataImage":
        """Returns an image of its own; the two share only values, which never change."""
        return MetadataImage(
            applied=self.applied,
            topics={topic_id: topic.copy() for topic_id, topic in self.topics.items()},
            ids=dict(self.ids),
            configs={resource: dict(names) for resource, names in self.configs.items()},
            brokers=dict(self.brokers),
            next_producer_id=self.next_producer_id,
        )

    def snapshot_records(self) -> list[MetadataRecord]:
        """Returns records that make this image anew, except for `applied`."""
        records: list[MetadataRecord] = [*self.brokers.values()]
        records.append(ProducerIdsReserved(next_producer_id=self.next_producer_id))
        for topic in self.topics.values():
            records.append(TopicRecord(name=topic.name, topic_id=topic.topic_id))
            records += topic.partitions.values()
        for (kind, resource), overrides in self.configs.items():
            records += [
                ConfigRecord(resource_type=kind, resource=resource, name=name, value=value)
                for name, value in overrides.items()
            ]
        return records

    def _configure(self, resource: tuple[int, str], name: str, value: str | None) -> None:
        overrides = self.configs.setdefault(resource, {})
        if value is not None:
            overrides[name] = value
        else:
            overrides.pop(name, None)
            if not overrides:
                del self.configs[resource]

    def topic(self, ref: TopicRef) -> TopicImage | None:
        """The topic of this name or id, if it exists."""
        topic_id = self.ids.get(ref) if isinstance(ref, str) else ref
        return self.topics.get(topic_id) if topic_id is not None else None

    def state(self, partition: PartitionId) -> PartitionState | None:
        topic = self.topics.get(partition.topic_id)
        return topic.partitions.get(partition.number) if topic else None

    def named(self, partition: Partition) -> PartitionState | None:
        topic = self.topic(partition.topic)
        return topic.partitions.get(partition.number) if topic else None

    def partitions(self) -> Iterator[tuple[Partition, PartitionState]]:
        """All partitions, by name and number."""
        for name in sorted(self.ids):
            for number, state in sorted(self.topics[self.ids[name]].partitions.items()):
                yield Partition(name, number), state
