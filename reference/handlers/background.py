"""What a broker does unasked: heartbeats, watching its ISRs, deleting what is too old."""

from reference.broker_state import BrokerState
from reference.handlers import forwarding, producer_ids
from reference.handlers.completion import progress
from reference.messages import (
    AlterPartition,
    CheckpointDue,
    CompactionDue,
    IsrCheckDue,
    MetadataWanted,
    RepeatDue,
    RetentionCheckDue,
)
from reference.replica import Replica

REPEAT_MS = 500


def start(broker: BrokerState) -> None:
    """Sets the periodic timers going, once the broker takes part."""
    _wake_for_isr_check(broker)
    _wake_for_retention_check(broker)
    broker.wake(broker.now_ms + broker.config.cleaner_backoff_ms, CompactionDue())
    broker.wake(broker.now_ms + broker.config.checkpoint_ms, CheckpointDue())


def repeat(broker: BrokerState) -> None:
    """Repeats what the controller has not answered: question and answer may both be lost."""
    broker.send_controller(
        MetadataWanted(controller_epoch=broker.metadata_epoch, applied=broker.image.applied)
    )
    forwarding.forward_again(broker)
    producer_ids.ask_again(broker)
    for replica in broker.replicas.values():
        if replica.leadership and replica.leadership.proposed_isr:
            _propose(broker, replica)
    broker.wake(broker.now_ms + REPEAT_MS, RepeatDue())


def checkpoint(broker: BrokerState) -> None:
    """Writes down how far each partition is committed, for the next start of this broker."""
    broker.logs.checkpoint(broker.high_watermarks())
    broker.wake(broker.now_ms + broker.config.checkpoint_ms, CheckpointDue())


def check_isr(broker: BrokerState) -> None:
    """Asks that followers which lag leave the ISR."""
    for replica in broker.replicas.values():
        shrink_isr(broker, replica)
    _wake_for_isr_check(broker)


def shrink_isr(broker: BrokerState, replica: Replica) -> None:
    """Asks that one follower which lags leaves the ISR; the next one, once that is decided."""
    leadership, isr = replica.leadership, replica.state.isr
    if leadership is None or leadership.proposed_isr:
        return
    keeps_up = leadership.isr_that_keeps_up(
        replica.state,
        replica.high_watermark,
        replica.log.end_offset,
        broker.now_ms,
        broker.config.replica_lag_ms,
    )
    if keeps_up != isr:
        slow = next(member for member in isr if member not in keeps_up)
        ask_for_isr(broker, replica, tuple(member for member in isr if member != slow))


def ask_for_isr(broker: BrokerState, replica: Replica, wanted: tuple[int, ...]) -> None:
    """Asks the controller for another ISR, one request at a time: with two in flight the maximal
    ISR would not be known."""
    leadership = replica.leadership
    if leadership and not leadership.proposed_isr and wanted != replica.state.isr:
        leadership.proposed_isr = wanted
        leadership.proposed_epochs = leadership.broker_epochs(wanted, broker.broker_epoch)
        _propose(broker, replica)


def _propose(broker: BrokerState, replica: Replica) -> None:
    state, leadership = replica.state, replica.leadership
    assert leadership is not None, "only a leader proposes"
    ask = AlterPartition(
        id=state.id,
        leader_epoch=state.leader_epoch,
        partition_epoch=state.partition_epoch,
        isr=leadership.proposed_isr,
        isr_epochs=leadership.proposed_epochs,
    )
    broker.send_controller(ask)


def check_retention(broker: BrokerState) -> None:
    """Leaders delete; followers hear of it with the next response."""
    for partition, replica in broker.replicas.items():
        if replica.leadership and replica.delete_by_retention(broker.now_ms):
            progress(broker, partition)
    _wake_for_retention_check(broker)


def compact(broker: BrokerState) -> None:
    """Leaders and followers alike: each replica cleans its own log."""
    for replica in broker.replicas.values():
        replica.compact(broker.now_ms)
    broker.wake(broker.now_ms + broker.config.cleaner_backoff_ms, CompactionDue())


def _wake_for_isr_check(broker: BrokerState) -> None:
    # Kafka checks twice per lag time, so a follower leaves after 1 to 1.5 times it.
    period_ms = max(1, broker.config.replica_lag_ms // 2)
    broker.wake(broker.now_ms + period_ms, IsrCheckDue())


def _wake_for_retention_check(broker: BrokerState) -> None:
    broker.wake(broker.now_ms + broker.config.retention_check_ms, RetentionCheckDue())
