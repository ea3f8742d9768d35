"""Transactions before KIP-890, and what goes wrong without each check.

The protocol is in `transactions_protocol`. Refutations say how short the way to the damage is.
"""

from spec.language import (
    NOBODY,
    TRUE,
    SetOf,
    all_of,
    any_of,
    for_all,
    not_,
    per,
    require,
    var,
)
from spec.models.family import Family, Refutation, Variant
from spec.models.transactions_protocol import (
    Client,
    Partition,
    Transaction,
    Transactions,
    partition_of,
    producer_of,
    transaction_of,
)

# ---- before KIP-890 ------------------------------------------------------------------------------


class OneEpochForMany(Transactions):
    """KIP-890 part 1 only: an instance has one epoch, and a repeated EndTxn ends what came next.

    Everything else arrives once and in order, so that nothing but KAFKA-17754 can go wrong.
    """

    ended = var(SetOf(Transaction), init=NOBODY)  # EndTxn was answered
    marker_written = per(Partition, SetOf(Client), init=NOBODY)

    def may_begin(self, transaction, epoch):
        # The next one after the one before is finished; there is no other way to tell them apart.
        producer = producer_of(transaction)
        return for_all(
            self.begun,
            lambda other: any_of(
                producer_of(other) != producer,
                self.epoch_of[other] != epoch,
                all_of(self.ended.has(other), not_(self.is_deciding(producer))),
            ),
        )

    def coordinator_add_partition(self, new, transaction, partition):
        super().coordinator_add_partition(new, transaction, partition)
        require(not_(self.is_asked_to_end(transaction)))

    def is_epoch_after(self, transaction, next_epoch):
        return next_epoch == self.producer_epoch[producer_of(transaction)]

    def end(self, new, transaction, next_epoch):
        super().end(new, transaction, next_epoch)
        new.ended = self.ended.plus(transaction)

    def is_new_marker(self, producer, partition, epoch):
        return all_of(
            self.is_deciding(producer),
            self.registered[producer].has(partition),
            not_(self.marker_written[partition].has(producer)),
            epoch == self.producer_epoch[producer],
        )

    def write_marker(self, new, producer, partition, epoch):
        super().write_marker(new, producer, partition, epoch)
        new.marker_written[partition] = self.marker_written[partition].plus(producer)

    def partition_write_commit_marker(self, new, producer, partition, epoch):
        super().partition_write_commit_marker(new, producer, partition, epoch)
        require(self.committing.has(producer))

    def partition_write_abort_marker(self, new, producer, partition, epoch):
        super().partition_write_abort_marker(new, producer, partition, epoch)
        require(self.aborting.has(producer))

    def is_marker_written(self, producer, partition):
        return self.marker_written[partition].has(producer)

    def coordinator_learn_marker_written(self, new, producer, partition):
        super().coordinator_learn_marker_written(new, producer, partition)
        new.marker_written[partition] = self.marker_written[partition].minus(producer)


class BeforeKip890(OneEpochForMany):
    """Before KIP-890: a delayed produce request is stored after the marker (KAFKA-14402)."""

    def producer_send(self, new, record):
        super().producer_send(new, record)
        producer = producer_of(transaction_of(record))
        require(self.registered[producer].has(partition_of(record)))

    def may_store(self, record):
        return self.is_not_behind(partition_of(record), transaction_of(record))


# ---- each check left out -------------------------------------------------------------------------


class NoVerification(Transactions):
    """Partitions store what they get, without asking the coordinator."""

    def may_store(self, record):
        return self.is_not_behind(partition_of(record), transaction_of(record))


class NoFencing(Transactions):
    """Coordinator and partitions ignore the epochs of requests and markers."""

    def is_current(self, transaction):
        return TRUE

    def is_not_behind(self, partition, transaction):
        return TRUE

    def is_new_marker(self, producer, partition, epoch):
        return TRUE


class RepeatedMarkerAccepted(Transactions):
    """A marker with the epoch that the partition knows already is accepted."""

    def is_new_marker(self, producer, partition, epoch):
        return self.partition_epoch[partition, producer] <= epoch


def _refuted(invariant: str, steps: int, *, partitions: int = 1, epochs: int = 3) -> Refutation:
    """One producer, two transactions: the second writes a record in each partition."""
    bounds = {
        "Client": 1,
        "Partition": partitions,
        "Transaction": 2,
        "Record": partitions + 1,
        "ProducerEpoch": epochs + 1,
        "Offset": 2,
    }
    return Refutation(invariant=invariant, bounds=bounds, steps=steps)


ATOMIC, ONLY_COMMITTED = "visibility_is_atomic", "only_committed_is_visible"
NONE_LOST, NONE_HANGS = "no_committed_record_is_lost", "no_transaction_hangs"

MODEL = Family(
    name="transactions",
    summary="Coordinator, partitions and markers, with zombies and delayed requests, and KIP-890",
    bounds={
        "producers": "Client",
        "partitions": "Partition",
        "transactions": "Transaction",
        "records": "Record",
        "epochs": "ProducerEpoch+1",
        "log_size": "Offset+1",
    },
    variants=(
        Variant(
            name="kip-890",
            protocol=Transactions,
            bounds={
                "Client": 1,
                "Partition": 2,
                "Transaction": 2,
                "Record": 3,
                "ProducerEpoch": 4,
                "Offset": 3,
            },
        ),
        Variant(
            name="one-epoch-for-many",
            protocol=OneEpochForMany,
            refutations=(
                _refuted(ONLY_COMMITTED, 17, epochs=2),
                _refuted(ATOMIC, 18, partitions=2, epochs=2),
                _refuted(NONE_LOST, 21, epochs=2),
            ),
        ),
        Variant(
            name="before-kip-890",
            protocol=BeforeKip890,
            refutations=(_refuted(NONE_HANGS, 10),),
        ),
        Variant(
            name="no-verification",
            protocol=NoVerification,
            refutations=(_refuted(NONE_HANGS, 4),),
        ),
        Variant(
            name="no-fencing",
            protocol=NoFencing,
            refutations=(
                _refuted(ONLY_COMMITTED, 13),
                _refuted(ATOMIC, 14, partitions=2),
            ),
        ),
        Variant(
            name="repeated-marker-accepted",
            protocol=RepeatedMarkerAccepted,
            refutations=(
                _refuted(ONLY_COMMITTED, 16),
                _refuted(ATOMIC, 17, partitions=2),
            ),
        ),
    ),
)
