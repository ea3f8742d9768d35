"""Transactions as other areas need them: opened, written in and ended, request by request."""

from collections.abc import Callable
from dataclasses import dataclass

from kio.schema.errors import ErrorCode

from conformance.client import Client
from conformance.codec import Entity
from conformance.connection import Connection
from conformance.outcomes import Inconclusive
from conformance.partition import Partition, appended
from conformance.records import TRANSACTIONAL, batch_of
from conformance.targets.target import Target

READY_WITHIN_MS = 20_000
TIMEOUT_MS = 60_000
TRANSACTION = 1
"""The key type of FindCoordinator."""
NOT_YET = frozenset(
    {
        ErrorCode.coordinator_not_available,
        ErrorCode.coordinator_load_in_progress,
        ErrorCode.concurrent_transactions,
        ErrorCode.not_coordinator,
    }
)
"""Answers after which the same request is sent again: the broker that FindCoordinator names on a
fresh cluster may not know of it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """An open transaction with one batch in it."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    coordinator: Connection
    first_offset: int

    def end(self, *, commit: bool) -> None:
        """Ends it; its markers follow. Raises `Inconclusive` where it is not accepted."""

        def ask() -> Entity:
            return self.coordinator.call(
                "end_txn",
                at_most=4,
                transactional_id=self.transactional_id,
                producer_id=self.producer_id,
                producer_epoch=self.producer_epoch,
                committed=commit,
            )

        _ready(self.coordinator.target, ask, _error)


def open_transaction(partition: Partition, name: str, *values: bytes) -> Transaction:
    """Writes a first batch in a new transaction.

    Raises `Unsupported` where the target has no transactions, and `Inconclusive` where the
    transaction cannot be opened.
    """
    client = partition.client
    for api in ("find_coordinator", "add_partitions_to_txn", "end_txn"):
        client.broker().version(api)
    coordinator = _coordinator(client, name)

    def begin() -> Entity:
        return coordinator.call(
            "init_producer_id",
            at_most=4,
            transactional_id=name,
            transaction_timeout=TIMEOUT_MS,
            producer_id=-1,
            producer_epoch=-1,
        )

    given = _ready(client.target, begin, _error)

    def add() -> Entity:
        return coordinator.call(
            "add_partitions_to_txn",
            at_most=3,
            v3_and_below_transactional_id=name,
            v3_and_below_producer_id=given.producer_id,
            v3_and_below_producer_epoch=given.producer_epoch,
            v3_and_below_topics=[{"name": partition.topic.name, "partitions": (partition.number,)}],
        )

    _ready(client.target, add, _added)
    batch = batch_of(
        *values,
        producer_id=given.producer_id,
        producer_epoch=given.producer_epoch,
        base_sequence=0,
        flags=TRANSACTIONAL,
    )
    request = partition.produce_request(batch, transactional_id=name, version=7)
    answer = partition.leader.send(request, appended).result()
    if answer.error is not ErrorCode.none:
        raise Inconclusive(f"the transaction could not be written in: {answer.error.name}")
    return Transaction(
        transactional_id=name,
        producer_id=given.producer_id,
        producer_epoch=given.producer_epoch,
        coordinator=coordinator,
        first_offset=answer.base_offset,
    )


def _coordinator(client: Client, name: str) -> Connection:
    def ask() -> Entity:
        return client.broker().call(
            "find_coordinator", at_least=1, at_most=3, key=name, key_type=TRANSACTION
        )

    found = _ready(client.target, ask, _error)
    return client.broker(found.node_id)


def _error(answer: Entity) -> ErrorCode:
    error: ErrorCode = answer.error_code
    return error


def _added(answer: Entity) -> ErrorCode:
    topic = answer.results_by_topic_v3_and_below[0]
    error: ErrorCode = topic.results_by_partition[0].partition_error_code
    return error


def _ready(
    target: Target, ask: Callable[[], Entity], error_of: Callable[[Entity], ErrorCode]
) -> Entity:
    answer = target.eventually(
        ask, lambda found: error_of(found) not in NOT_YET, within_ms=READY_WITHIN_MS
    )
    if error_of(answer) is not ErrorCode.none:
        raise Inconclusive(f"no transaction: {error_of(answer).name}")
    return answer
