"""A broker follows the controller's log: in order, nothing left out, nothing applied twice."""

from reference.broker_state import BrokerState
from reference.handlers import background
from reference.handlers.completion import progress
from reference.handlers.replication import fetch_from_leader
from reference.messages import FetchDue, MetadataUpdate
from reference.metadata.records import (
    ConfigRecord,
    MetadataRecord,
    PartitionId,
    PartitionState,
    TopicRemoved,
)
from reference.replica import Replica


def on_update(broker: BrokerState, sender: int, update: MetadataUpdate) -> None:
    """Applies what is new in an update; asks again for what is missing before it."""
    applied = broker.image.applied
    if update.first > applied:
        background.say_where(broker)
        return
    news = update.records[applied - update.first :]
    for record in news:
        _apply(broker, record)
    if any(isinstance(record, ConfigRecord) for record in news):
        for partition, replica in broker.replicas.items():
            replica.config = broker.topic_config(partition)
            replica.advance_high_watermark()
        for partition in tuple(broker.replicas):
            progress(broker, partition)


def _apply(broker: BrokerState, record: MetadataRecord) -> None:
    gone: list[PartitionId] = []
    if isinstance(record, TopicRemoved):
        topic = broker.image.topics[record.topic_id]
        gone = [state.id for _, state in sorted(topic.partitions.items())]
    broker.image.apply(record)
    if isinstance(record, PartitionState):
        _adopt(broker, record)
    for partition in gone:
        _drop(broker, partition)


def _adopt(broker: BrokerState, state: PartitionState) -> None:
    partition = state.id
    if broker.id not in state.replicas:
        _drop(broker, partition)
        return
    replica = broker.replicas.get(partition)
    first = replica is None
    if replica is None:
        config = broker.topic_config(partition)
        replica = Replica(broker.id, broker.rules, state, config)
        broker.replicas[partition] = replica
    if replica.become(state, broker.now_ms, first=first):
        if replica.leadership is None:
            fetch_from_leader(broker, partition)
        else:
            broker.cancel(FetchDue(partition))
    progress(broker, partition)


def _drop(broker: BrokerState, partition: PartitionId) -> None:
    if broker.replicas.pop(partition, None) is not None:
        broker.cancel(FetchDue(partition))
    progress(broker, partition)
