"""A broker follows the cluster's metadata: in order, nothing left out, nothing applied twice.

After a start it only reads, until it finds its own registration: what it led or followed before is
in the hands of the controller, which decides on it when it registers the broker anew.
"""

from reference.broker_state import BrokerState
from reference.handlers import background
from reference.handlers.completion import progress
from reference.handlers.replication import fetch_from_leader
from reference.image import MetadataImage
from reference.messages import FetchDue, MetadataUpdate, MetadataWanted
from reference.metadata.records import (
    ConfigRecord,
    MetadataRecord,
    PartitionId,
    PartitionState,
    TopicRemoved,
)
from reference.replica import Replica

FROM_THE_BEGINNING = -1


def on_update(broker: BrokerState, sender: int, update: MetadataUpdate) -> None:
    """Applies what is new in an update; asks again for what is missing before it."""
    epoch = update.controller_epoch
    if not broker.rules.controller_epoch_is_current(epoch, broker.metadata_epoch):
        return
    goes_on = epoch == broker.metadata_epoch
    applied = broker.image.applied
    if update.snapshot:
        if not goes_on or update.first > applied:
            _replace_image(broker, update)
    elif not goes_on:
        broker.send_controller(MetadataWanted(controller_epoch=epoch, applied=FROM_THE_BEGINNING))
    elif update.first > applied:
        ask_for_more(broker)
    else:
        _apply_records(broker, update.records[applied - update.first :])


def ask_for_more(broker: BrokerState) -> None:
    """Tells the controller how far the metadata has come; it answers with what is missing."""
    broker.send_controller(
        MetadataWanted(controller_epoch=broker.metadata_epoch, applied=broker.image.applied)
    )


def _apply_records(broker: BrokerState, records: tuple[MetadataRecord, ...]) -> None:
    takes_part = broker.takes_part
    for record in records:
        gone = _partitions_of(broker, record)
        broker.image.apply(record)
        if takes_part and isinstance(record, PartitionState):
            _adopt(broker, record)
        for partition in gone:
            _drop(broker, partition)
    _find_registration(broker)
    if takes_part and any(isinstance(record, ConfigRecord) for record in records):
        _reconfigure(broker)


def _partitions_of(broker: BrokerState, record: MetadataRecord) -> list[PartitionId]:
    if not isinstance(record, TopicRemoved):
        return []
    topic = broker.image.topics[record.topic_id]
    return [state.id for _, state in sorted(topic.partitions.items())]


def _replace_image(broker: BrokerState, update: MetadataUpdate) -> None:
    image = MetadataImage()
    for record in update.records:
        image.apply(record)
    image.applied = update.first
    broker.metadata_epoch = update.controller_epoch
    broker.adopt_image(image)
    if broker.takes_part:
        _follow_image(broker)
        _reconfigure(broker)
    _find_registration(broker)


def _find_registration(broker: BrokerState) -> None:
    """Notes under which broker epoch the controller knows this life of the broker, if it does."""
    found, rules = broker.image.brokers.get(broker.id), broker.rules
    registered = found is not None and rules.is_own_registration(
        found.incarnation, broker.incarnation
    )
    fenced = found is None or found.fenced
    broker.serves = broker.serves or rules.may_serve(registered=registered, fenced=fenced)
    if found is None or not registered:
        return
    begins = not broker.takes_part
    broker.broker_epoch = found.broker_epoch
    if begins:
        _follow_image(broker)
        background.start(broker)


def _follow_image(broker: BrokerState) -> None:
    """Takes up every partition of the image; what it does not know is gone (KIP-516)."""
    for partition in broker.hosted():
        if broker.image.state(partition) is None:
            _drop(broker, partition)
    for _, state in broker.image.partitions():
        _adopt(broker, state)


def _reconfigure(broker: BrokerState) -> None:
    for partition, replica in broker.replicas.items():
        replica.config = broker.topic_config(partition)
        replica.advance_high_watermark()
    for partition in tuple(broker.replicas):
        progress(broker, partition)


def _adopt(broker: BrokerState, state: PartitionState) -> None:
    partition = state.id
    if broker.id not in state.replicas:
        if partition in broker.replicas or broker.logs.has(partition):
            _drop(broker, partition)
        return
    replica = broker.replicas.get(partition)
    first = replica is None
    if replica is None:
        replica = _host(broker, state)
    elif not broker.rules.is_newer_decision(state.partition_epoch, replica.state.partition_epoch):
        return
    if replica.become(state, broker.now_ms, first=first):
        if replica.leadership is None:
            fetch_from_leader(broker, partition)
        else:
            broker.cancel(FetchDue(partition))
    elif replica.leadership:
        background.shrink_isr(broker, replica)
    progress(broker, partition)


def _host(broker: BrokerState, state: PartitionState) -> Replica:
    log, high_watermark = broker.logs.open(state.id, broker.image.topics[state.id.topic_id].name)
    config = broker.topic_config(state.id)
    replica = Replica(broker.id, broker.rules, state, config, log, high_watermark)
    broker.replicas[state.id] = replica
    return replica


def _drop(broker: BrokerState, partition: PartitionId) -> None:
    if broker.replicas.pop(partition, None) is not None:
        broker.cancel(FetchDue(partition))
    broker.logs.delete(partition)
    progress(broker, partition)
