"""What a broker does unasked: heartbeats, watching its ISRs, deleting what is too old."""

from reference.broker_state import BrokerState
from reference.handlers.completion import progress
from reference.messages import (
    AlterPartition,
    Heartbeat,
    HeartbeatDue,
    IsrCheckDue,
    RetentionCheckDue,
)
from reference.replica import Replica

HEARTBEAT_MS = 500


def start(broker: BrokerState) -> None:
    """Sets the periodic timers going."""
    heartbeat(broker)
    _wake_for_isr_check(broker)
    _wake_for_retention_check(broker)


def say_where(broker: BrokerState) -> None:
    """Tells the controller how far the metadata has come; it answers with what is missing."""
    broker.send_controller(Heartbeat(applied=broker.image.applied))


def heartbeat(broker: BrokerState) -> None:
    """Besides, repeats the ISR changes that the controller has not decided: they may be lost."""
    say_where(broker)
    for replica in broker.replicas.values():
        if replica.leadership and replica.leadership.proposed_isr:
            _propose(broker, replica)
    broker.wake(broker.now_ms + HEARTBEAT_MS, HeartbeatDue())


def check_isr(broker: BrokerState) -> None:
    """Asks that followers which lag leave the ISR."""
    lag_ms = broker.config.replica_lag_ms
    for replica in broker.replicas.values():
        if replica.leadership:
            wanted = replica.leadership.isr_that_keeps_up(
                replica.state, replica.high_watermark, replica.log.end_offset, broker.now_ms, lag_ms
            )
            ask_for_isr(broker, replica, wanted)
    _wake_for_isr_check(broker)


def ask_for_isr(broker: BrokerState, replica: Replica, wanted: tuple[int, ...]) -> None:
    """Asks the controller for another ISR, one request at a time: with two in flight the maximal
    ISR would not be known."""
    leadership = replica.leadership
    if leadership and not leadership.proposed_isr and wanted != replica.state.isr:
        leadership.proposed_isr = wanted
        _propose(broker, replica)


def _propose(broker: BrokerState, replica: Replica) -> None:
    state, leadership = replica.state, replica.leadership
    assert leadership is not None, "only a leader proposes"
    ask = AlterPartition(
        id=state.id,
        leader_epoch=state.leader_epoch,
        partition_epoch=state.partition_epoch,
        isr=leadership.proposed_isr,
    )
    broker.send_controller(ask)


def check_retention(broker: BrokerState) -> None:
    """Leaders delete; followers hear of it with the next response."""
    for partition, replica in broker.replicas.items():
        if replica.leadership and replica.delete_by_retention(broker.now_ms):
            progress(broker, partition)
    _wake_for_retention_check(broker)


def _wake_for_isr_check(broker: BrokerState) -> None:
    # Kafka checks twice per lag time, so a follower leaves after 1 to 1.5 times it.
    period_ms = max(1, broker.config.replica_lag_ms // 2)
    broker.wake(broker.now_ms + period_ms, IsrCheckDue())


def _wake_for_retention_check(broker: BrokerState) -> None:
    broker.wake(broker.now_ms + broker.config.retention_check_ms, RetentionCheckDue())
