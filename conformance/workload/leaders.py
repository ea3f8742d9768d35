"""Leadership moved without faults: the replicas are put into another order, then the first leads.

Kafka does both by request in either mode: AlterPartitionReassignments (KIP-455), then a preferred
ElectLeaders (KIP-183, KIP-460).
"""

from collections.abc import Callable, Sequence

from kio.schema.errors import ErrorCode

from conformance.client import PartitionView, TopicView
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive
from conformance.partition import Partition
from conformance.records import batch_of

ADMIN_TIMEOUT_MS = 10_000
MOVES_WITHIN_MS = 20_000
PREFERRED = 0
ELECTED = frozenset({ErrorCode.none, ErrorCode.election_not_needed})


def controller(partition: Partition) -> Connection:
    """Where leadership can be moved. Raises `Unsupported` where it cannot."""
    connection = partition.client.controller()
    for api in ("alter_partition_reassignments", "elect_leaders"):
        connection.version(api)
    return connection


def ask_to_reassign(
    partition: Partition, replicas: Sequence[int] | None, over: Connection | None = None
) -> Pending[ErrorCode]:
    """AlterPartitionReassignments: the error about the partition. None for `replicas` cancels."""
    connection = over or controller(partition)
    part = {
        "partition_index": partition.number,
        "replicas": None if replicas is None else tuple(replicas),
    }
    request = connection.build(
        "alter_partition_reassignments",
        timeout=ADMIN_TIMEOUT_MS,
        topics=[{"name": partition.topic.name, "partitions": [part]}],
    )
    return connection.send(request, _reassignment_error)


def _reassignment_error(answer: Entity) -> ErrorCode:
    whole: ErrorCode = answer.error_code
    if whole is not ErrorCode.none or not answer.responses:
        return whole
    part: ErrorCode = answer.responses[0].partitions[0].error_code
    return part


def ask_to_elect(
    partition: Partition, over: Connection | None = None, version: int | None = None
) -> Pending[ErrorCode]:
    """A preferred ElectLeaders: the error about the partition."""
    connection = over or controller(partition)
    request = connection.build(
        "elect_leaders",
        at_least=version or 0,
        at_most=99 if version is None else version,
        election_type=PREFERRED,
        topic_partitions=[{"topic": partition.topic.name, "partitions": (partition.number,)}],
        timeout=ADMIN_TIMEOUT_MS,
    )
    return connection.send(request, _election_error)


def _election_error(answer: Entity) -> ErrorCode:
    whole: ErrorCode = getattr(answer, "error_code", ErrorCode.none)  # since version 1
    if whole is not ErrorCode.none or not answer.replica_election_results:
        return whole
    part: ErrorCode = answer.replica_election_results[0].partition_result[0].error_code
    return part


def reassign(partition: Partition, replicas: Sequence[int]) -> None:
    """Waits until the partition has these replicas in this order and all of them are in sync.

    Raises `Inconclusive` where that does not come about.
    """
    error = ask_to_reassign(partition, replicas).result()
    if error is not ErrorCode.none:
        raise Inconclusive(f"not reassigned to {list(replicas)}: {error.name}")
    wanted = tuple(replicas)
    settle(partition, lambda view: view.replicas == wanted)


def move_leader(partition: Partition, to: int) -> None:
    """Makes a replica the leader and waits until all brokers say so; the topic's view follows.

    Raises `Inconclusive` where that does not come about.
    """
    if partition.view.replicas[0] != to:
        others = (broker for broker in partition.view.replicas if broker != to)
        reassign(partition, (to, *others))
    error = ask_to_elect(partition).result()
    if error not in ELECTED:
        raise Inconclusive(f"broker {to} was not elected: {error.name}")
    settle(partition, lambda view: view.leader == to)


def settle(partition: Partition, holds: Callable[[PartitionView], bool]) -> None:
    """Waits until all brokers say the same of the topic, and this of the partition.

    Raises `Inconclusive` where that does not come about.
    """
    client, name = partition.client, partition.topic.name

    def views() -> list[TopicView]:
        return [client.view(name, broker) for broker in client.brokers]

    def settled(found: list[TopicView]) -> bool:
        alike = all(view.settled and view == found[0] for view in found)
        return alike and holds(found[0].partitions[partition.number])

    found = partition.target.eventually(views, settled, within_ms=MOVES_WITHIN_MS)
    partition.topic.view = found[0]


def acting_epoch(partition: Partition) -> int:
    """The leader epoch in which the leader appends now, read from what it stamps on a batch.

    What a broker says in Metadata may run ahead of what it does; this is what it does. The batch
    was appended with acks=all, so the in-sync replicas follow in this epoch too.
    """
    answer = partition.target.eventually(
        lambda: partition.produce(batch_of(b"which epoch")).result(),
        lambda found: found.error is ErrorCode.none,
        within_ms=MOVES_WITHIN_MS,
    )
    fetched = partition.target.eventually(
        lambda: partition.fetch(answer.base_offset).result(),
        lambda found: bool(found.batches),
        within_ms=MOVES_WITHIN_MS,
    )
    return fetched.batches[0].leader_epoch


def ongoing(
    partition: Partition, over: Connection | None = None
) -> Pending[tuple[tuple[int, ...], ...]]:
    """ListPartitionReassignments: the replicas that it adds and removes; empty for none."""
    connection = over or partition.client.controller()
    topic = {"name": partition.topic.name, "partition_indexes": (partition.number,)}
    request = connection.build(
        "list_partition_reassignments", topics=[topic], timeout=ADMIN_TIMEOUT_MS
    )
    return connection.send(request, _adding_and_removing)


def _adding_and_removing(answer: Entity) -> tuple[tuple[int, ...], ...]:
    if not answer.topics:
        return ()
    part = answer.topics[0].partitions[0]
    return tuple(part.adding_replicas), tuple(part.removing_replicas)
