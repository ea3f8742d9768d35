"""Which brokers hold the replicas of a partition: by the cluster, or by the client's own list."""

from collections.abc import Sequence

from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.metadata.records import PartitionId, PartitionState
from reference.requests import NewTopic

DEFAULT = -1
PARTITIONS_MAX = 10_000
"""In one request (ReplicationControlManager.MAX_PARTITIONS_PER_BATCH)."""

Assignment = list[tuple[int, ...]]
"""The replicas of each partition, by its number."""


class Refused(Exception):
    """One entry of an administrative request fails, and why."""

    def __init__(self, error: Error, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


def automatic_assignment(controller: ControllerState, topic: NewTopic, at_most: int) -> Assignment:
    """Returns replicas for as many partitions as asked. Raises Refused."""
    factor, count = topic.replication_factor, topic.partitions
    if factor < DEFAULT or factor == 0:
        text = "Replication factor must be larger than 0, or -1 to use the default value."
        raise Refused(Error.INVALID_REPLICATION_FACTOR, text)
    if count < DEFAULT or count == 0:
        text = "Number of partitions was set to an invalid non-positive value."
        raise Refused(Error.INVALID_PARTITIONS, text)
    if factor == DEFAULT:
        factor = controller.configs.number("default.replication.factor")
    if count == DEFAULT:
        count = controller.configs.number("num.partitions")
    brokers = len(controller.image.brokers)
    if factor > brokers:
        text = f"{factor} replicas cannot be placed on {brokers} registered brokers."
        raise Refused(Error.INVALID_REPLICATION_FACTOR, text)
    if count > at_most:
        text = f"More than {PARTITIONS_MAX} partitions in one request."
        raise Refused(Error.POLICY_VIOLATION, text)
    return placed(controller, count, factor)


def placed(controller: ControllerState, count: int, factor: int) -> Assignment:
    """Returns replicas that the cluster chose, for so many partitions. Raises Refused."""
    if not any(map(controller.is_active, controller.image.brokers)):
        text = "All brokers are currently fenced or in controlled shutdown."
        raise Refused(Error.INVALID_REPLICATION_FACTOR, text)
    return [controller.place(factor) for _ in range(count)]


def manual_assignment(controller: ControllerState, topic: NewTopic) -> Assignment:
    """Returns the client's own assignment. Raises Refused."""
    for what, value in (
        ("replication factor", topic.replication_factor),
        ("number of partitions", topic.partitions),
    ):
        if value != DEFAULT:
            text = f"A manual assignment was given, but the {what} is not -1."
            raise Refused(Error.INVALID_REQUEST, text)
    chosen: dict[int, tuple[int, ...]] = {}
    factor = len(topic.assignments[0][1])
    for number, replicas in topic.assignments:
        if number in chosen:
            text = f"Found multiple manual partition assignments for partition {number}"
            raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)
        check_replicas(controller, replicas, factor)
        chosen[number] = replicas
    if sorted(chosen) != list(range(len(chosen))):
        text = "Partitions should be a consecutive 0-based integer sequence"
        raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)
    return [chosen[number] for number in range(len(chosen))]


def check_replicas(
    controller: ControllerState, replicas: Sequence[int], factor: int | None = None
) -> None:
    """Raises Refused unless they are distinct registered brokers, as many as expected."""
    text = ""
    unknown = [broker for broker in replicas if broker not in controller.image.brokers]
    if not replicas:
        text = "The manual partition assignment includes an empty replica list."
    elif len(set(replicas)) < len(replicas):
        text = "The manual partition assignment names a broker more than once."
    elif unknown:
        text = f"The manual partition assignment includes broker {unknown[0]}, not registered."
    elif factor is not None and len(replicas) != factor:
        text = f"The partitions have {factor} and {len(replicas)} replicas."
    if text:
        raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)


def first_state(
    controller: ControllerState, partition: PartitionId, replicas: tuple[int, ...]
) -> PartitionState:
    """Returns a new partition: its active replicas are in sync at offset 0, the first one leads.

    Raises Refused where none is active.
    """
    active = [broker for broker in replicas if controller.is_active(broker)]
    if not active:
        text = f"All replicas of partition {partition.number} are fenced or shutting down."
        raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)
    return PartitionState(
        id=partition,
        replicas=replicas,
        leader=active[0],
        leader_epoch=0,
        isr=tuple(sorted(active)),
        partition_epoch=0,
    )
