"""Why KIP-890 keeps transactions whole, whatever arrives late or twice: an inductive invariant.

For any number of producers, partitions, transactions and records. The argument: an epoch belongs to
one transaction (`one_transaction_per_epoch`), undecided records belong to the transaction that the
coordinator has in hand (`undecided_records_are_of_what_is_going_on`), and a marker that a partition
would still accept is the decision about it (`acceptable_markers_are_the_decision`). So a marker
says of each record it decides what the coordinator decided of its very transaction.
"""

from spec.language import (
    all_of,
    any_of,
    conjunct,
    cut,
    exists,
    for_all,
    implies,
    not_,
)
from spec.models.transactions import (
    NoFencing,
    NoVerification,
    OneEpochForMany,
    RepeatedMarkerAccepted,
)
from spec.models.transactions_protocol import (
    Client,
    Partition,
    ProducerEpoch,
    Record,
    Transaction,
    Transactions,
    partition_of,
    producer_of,
    transaction_of,
)
from spec.proofs.proof import Proof


class TransactionsProof(Transactions):
    """Atomic visibility, one outcome, no lost write and no hanging transaction, for any number."""

    # ---- definitions

    def is_in_hand(self, producer):
        return any_of(self.ongoing.has(producer), self.is_deciding(producer))

    def is_decided(self, transaction):
        return any_of(self.decided_commit[transaction], self.decided_abort[transaction])

    # ---- producers

    @conjunct
    def epochs_are_granted(self):
        """No epoch from the future: so a new one is nobody's yet."""
        return all_of(
            for_all(
                Client,
                ProducerEpoch,
                lambda p, e: implies(
                    self.granted[p].has(e), all_of(e <= self.producer_epoch[p], e != 0)
                ),
            ),
            for_all(self.begun, lambda t: self.granted[producer_of(t)].has(self.epoch_of[t])),
        )

    @conjunct
    def one_transaction_per_epoch(self):
        """What KIP-890 adds: producer id and epoch name a transaction."""
        return for_all(
            self.begun,
            self.begun,
            lambda t, u: implies(
                all_of(producer_of(t) == producer_of(u), self.epoch_of[t] == self.epoch_of[u]),
                t == u,
            ),
        )

    @conjunct
    def requests_are_of_begun_transactions(self):
        """A producer asks one thing of a transaction, and only of one that it has begun."""
        return for_all(
            Transaction,
            lambda t: all_of(
                not_(all_of(self.commit_requests.has(t), self.abort_requests.has(t))),
                implies(self.is_asked_to_end(t), self.begun.has(t)),
            ),
        )

    @conjunct
    def commit_is_asked_when_all_is_stored(self):
        """So a committed transaction lacks nothing; and nothing is stored that was not sent."""
        return for_all(
            Record,
            lambda r: all_of(
                implies(self.sent.has(r), self.begun.has(transaction_of(r))),
                implies(
                    all_of(self.commit_requests.has(transaction_of(r)), self.sent.has(r)),
                    self.stored.has(r),
                ),
                implies(self.stored.has(r), self.sent.has(r)),
            ),
        )

    # ---- the coordinator

    @conjunct
    def coordinator_states(self):
        """A producer is in one state at most; a decision has a newer epoch than what it ends."""
        return for_all(
            Client,
            lambda p: all_of(
                not_(all_of(self.ongoing.has(p), self.is_deciding(p))),
                not_(all_of(self.committing.has(p), self.aborting.has(p))),
                implies(self.ongoing.has(p), self.transaction_epoch[p] == self.producer_epoch[p]),
                implies(self.is_deciding(p), self.transaction_epoch[p] < self.producer_epoch[p]),
                implies(self.is_in_hand(p), self.transaction_epoch[p] != 0),
            ),
        )

    @conjunct
    def registered_partitions_are_told(self):
        """Partitions are registered only while something is going on."""
        return for_all(
            Client,
            Partition,
            lambda p, q: implies(self.registered[p].has(q), self.is_in_hand(p)),
        )

    @conjunct
    def decisions_are_final(self):
        """Decided once, as asked, and then its epoch is over: a repeated EndTxn is fenced."""
        return for_all(
            Transaction,
            lambda t: all_of(
                not_(all_of(self.decided_commit[t], self.decided_abort[t])),
                implies(self.decided_commit[t], self.commit_requests.has(t)),
                implies(
                    self.is_decided(t),
                    all_of(
                        self.begun.has(t), self.epoch_of[t] < self.producer_epoch[producer_of(t)]
                    ),
                ),
            ),
        )

    @conjunct
    def deciding_is_about_that_transaction(self):
        """PrepareCommit and PrepareAbort are the decision of the transaction with that epoch."""
        return for_all(
            self.begun,
            lambda t: implies(
                self.epoch_of[t] == self.transaction_epoch[producer_of(t)],
                all_of(
                    implies(self.committing.has(producer_of(t)), self.decided_commit[t]),
                    implies(self.aborting.has(producer_of(t)), self.decided_abort[t]),
                ),
            ),
        )

    @conjunct(isolated=True)
    def what_is_going_on_was_begun(self):
        """What the coordinator has in hand somebody began. Existential: for the cut alone."""
        return for_all(
            Client,
            lambda p: implies(
                self.is_in_hand(p), exists(Transaction, lambda t: self.is_ongoing(t, p))
            ),
        )

    @cut("producer_begin")
    def epoch_in_hand_is_taken(self, transaction, epoch):
        """Nobody begins a second transaction with the epoch of what is going on."""
        producer = producer_of(transaction)
        return implies(self.is_in_hand(producer), epoch != self.transaction_epoch[producer])

    # ---- partitions

    @conjunct
    def undecided_records_are_of_what_is_going_on(self):
        """Undecided records are of the transaction in hand, where it will be told."""
        return for_all(
            Record,
            lambda r: implies(self.is_undecided(r), self.is_of_what_is_going_on(r)),
        )

    def is_of_what_is_going_on(self, record):
        transaction, partition = transaction_of(record), partition_of(record)
        producer = producer_of(transaction)
        return all_of(
            self.registered[producer].has(partition),
            self.epoch_of[transaction] == self.transaction_epoch[producer],
            self.partition_epoch[partition, producer] == self.epoch_of[transaction],
        )

    @conjunct
    def partitions_are_not_ahead(self):
        """A partition knows no epoch that the coordinator has not given out."""
        return for_all(
            Partition,
            Client,
            lambda q, p: self.partition_epoch[q, p] <= self.producer_epoch[p],
        )

    @conjunct
    def verifications_are_of_what_is_going_on(self):
        """A marker ends verifications: so what they let in belongs to the transaction in hand."""
        return for_all(
            Partition,
            Client,
            ProducerEpoch,
            lambda q, p, e: implies(
                self.verified[q, p].has(e),
                all_of(
                    self.partition_epoch[q, p] <= e,
                    e == self.transaction_epoch[p],
                    self.registered[p].has(q),
                ),
            ),
        )

    @conjunct
    def markers_say_what_was_decided(self):
        """A marker says what was decided of the transaction that the record was sent in."""
        return for_all(
            Record,
            lambda r: all_of(
                implies(self.committed[r], self.decided_commit[transaction_of(r)]),
                implies(self.aborted[r], self.decided_abort[transaction_of(r)]),
            ),
        )

    @conjunct
    def acceptable_markers_are_the_decision(self):
        """An older marker is refused, by the epoch that its partition has seen since."""
        return for_all(
            Client,
            Partition,
            ProducerEpoch,
            lambda p, q, e: all_of(
                implies(
                    self.commit_markers.has(producer=p, partition=q, epoch=e),
                    self.is_old_or(self.committing, p, q, e),
                ),
                implies(
                    self.abort_markers.has(producer=p, partition=q, epoch=e),
                    self.is_old_or(self.aborting, p, q, e),
                ),
            ),
        )

    def is_old_or(self, deciding, producer, partition, epoch):
        """The partition would refuse it, or it is the decision in hand."""
        in_hand = all_of(
            epoch == self.producer_epoch[producer],
            self.registered[producer].has(partition),
            deciding.has(producer),
        )
        return all_of(
            epoch <= self.producer_epoch[producer],
            any_of(epoch <= self.partition_epoch[partition, producer], in_hand),
        )

    @conjunct
    def stable_records_stay_decided(self):
        """Nothing is stored below the last stable offset, nor does it pass what is undecided."""
        return self.everything_stable_is_decided()


# ---- what must break it --------------------------------------------------------------------------


class EpochShared(TransactionsProof, OneEpochForMany):
    """Breaks that an epoch names one transaction."""


class EpochsIgnored(TransactionsProof, NoFencing):
    """Breaks whose requests and markers count."""


class Unverified(TransactionsProof, NoVerification):
    """Breaks that undecided records will be decided."""


class MarkerRepeated(TransactionsProof, RepeatedMarkerAccepted):
    """Breaks that a marker decides the records of its own transaction."""


PROOFS: tuple[Proof, ...] = (
    Proof(
        name="transactions",
        protocol=Transactions,
        proof=TransactionsProof,
        small={
            "Client": 1,
            "Partition": 1,
            "Transaction": 2,
            "Record": 2,
            "ProducerEpoch": 4,
            "Offset": 3,
        },
        mutants=(EpochShared, EpochsIgnored, Unverified, MarkerRepeated),
    ),
)
