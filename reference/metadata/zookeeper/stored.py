"""What a controller knows of the nodes that it writes, and its decisions as writes to them.

Every write names the version that its node has as far as the controller knows, so it fails where
somebody else has written since. Source: core/src/main/scala/kafka/zk/KafkaZkClient.scala
(setTopicPartitionStatesRaw, createTopicPartitionStatesRaw).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from reference.metadata.records import (
    ConfigRecord,
    MetadataRecord,
    PartitionState,
    ProducerIdsReserved,
    TopicRecord,
    TopicRemoved,
)
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.messages import Create, Delete, SetData, Write
from reference.metadata.zookeeper.znodes import Assignment, Replicas
from reference.requests import ResourceType

NOT_THERE = -1


@dataclass(slots=True)
class StoredTopic:
    name: str
    version: int
    assignment: Assignment
    states: dict[int, int] = field(default_factory=dict)
    """The version of each partition's state."""


@dataclass(slots=True)
class StoredConfig:
    version: int
    """Or NOT_THERE."""
    overrides: dict[str, str]


@dataclass(slots=True)
class Stored:
    """Versions and contents, as they will be once all that was translated is written."""

    topics: dict[UUID, StoredTopic] = field(default_factory=dict)
    configs: dict[str, StoredConfig] = field(default_factory=dict)
    """By path."""
    producer_ids_version: int = 0

    def translate(self, records: Iterable[MetadataRecord], controller_epoch: int) -> list[Write]:
        """Returns the writes that store these records, in order, for one transaction.

        Registrations of brokers need none: the brokers write those themselves.
        """
        writes: list[Write] = []
        topics: dict[UUID, None] = {}
        configs: dict[str, None] = {}
        for record in records:
            match record:
                case TopicRecord():
                    self._create_topic(record, writes)
                case PartitionState():
                    if self._set_partition(record, controller_epoch, writes):
                        topics[record.id.topic_id] = None
                case TopicRemoved(topic_id=topic_id):
                    configs.pop(self._remove_topic(topic_id, writes), None)
                    topics.pop(topic_id, None)
                case ConfigRecord():
                    configs[self._configure(record)] = None
                case ProducerIdsReserved(next_producer_id=next_producer_id):
                    text = znodes.producer_ids_text(next_producer_id)
                    writes.append(SetData(znodes.PRODUCER_IDS, text, self.producer_ids_version))
                    self.producer_ids_version += 1
        for topic_id in topics:
            topic = self.topics[topic_id]
            path = znodes.topic_path(topic.name)
            writes.append(SetData(path, topic.assignment.text(), topic.version))
            topic.version += 1
        for path in configs:
            self._write_config(path, writes)
        return writes

    # ---- topics --------------------------------------------------------------------------------

    def _create_topic(self, record: TopicRecord, writes: list[Write]) -> None:
        topic = StoredTopic(record.name, 0, Assignment(record.topic_id))
        self.topics[record.topic_id] = topic
        path = znodes.topic_path(record.name)
        writes += [Create(path, topic.assignment.text()), Create(f"{path}/partitions")]

    def _set_partition(
        self, state: PartitionState, controller_epoch: int, writes: list[Write]
    ) -> bool:
        """Returns whether the topic's assignment changes with it."""
        topic, number = self.topics[state.id.topic_id], state.id.number
        path, text = (
            znodes.state_path(topic.name, number),
            znodes.state_text(state, controller_epoch),
        )
        version = topic.states.get(number)
        if version is None:
            writes += [Create(znodes.partition_path(topic.name, number)), Create(path, text)]
            topic.states[number] = 0
        else:
            writes.append(SetData(path, text, version))
            topic.states[number] = version + 1
        replicas = Replicas(state.replicas, state.adding, state.removing)
        if topic.assignment.partitions.get(number) == replicas:
            return False
        topic.assignment.partitions[number] = replicas
        return True

    def _remove_topic(self, topic_id: UUID, writes: list[Write]) -> str:
        """Returns the path of the topic's settings, which go too."""
        topic = self.topics.pop(topic_id)
        for number, version in topic.states.items():
            writes.append(Delete(znodes.state_path(topic.name, number), version))
            writes.append(Delete(znodes.partition_path(topic.name, number), 0))
        path = znodes.topic_path(topic.name)
        writes += [Delete(f"{path}/partitions", 0), Delete(path, topic.version)]
        settings = znodes.config_path(ResourceType.TOPIC, topic.name)
        config = self.configs.pop(settings, None)
        if config is not None and config.version != NOT_THERE:
            writes.append(Delete(settings, config.version))
        return settings

    # ---- settings ------------------------------------------------------------------------------

    def _configure(self, record: ConfigRecord) -> str:
        path = znodes.config_path(record.resource_type, record.resource)
        config = self.configs.setdefault(path, StoredConfig(NOT_THERE, {}))
        if record.value is None:
            config.overrides.pop(record.name, None)
        else:
            config.overrides[record.name] = record.value
        return path

    def _write_config(self, path: str, writes: list[Write]) -> None:
        config = self.configs[path]
        if config.overrides:
            text = znodes.config_text(config.overrides)
            if config.version == NOT_THERE:
                writes.append(Create(path, text))
            else:
                writes.append(SetData(path, text, config.version))
            config.version += 1
        else:
            if config.version != NOT_THERE:
                writes.append(Delete(path, config.version))
            del self.configs[path]
