"""The three delivery guarantees, and which configuration gives which.

A producer writes values to a partition (`delivery_producers`), a group of consumers processes its
records (`delivery_consumers`), and anybody may stop at any point. Each rule that a user can
configure is one definition, and each guarantee is a class: a configuration claims the guarantees
that it inherits from. Those that claim one too many, or lack a rule, are refuted.

The parts below this level are proved elsewhere and are one rule each here: committed records
survive a failover (`replication`), a leader recognises what it has stored (`idempotence`), one
owner per generation (`groups`), a transaction is visible as a whole or not at all (`transactions`).

Sources: docs/design.html (Message Delivery Semantics), KIP-98, KIP-447.
"""

from spec.language import Protocol, all_of, exists, for_all, implies, invariant, witness
from spec.models.delivery_consumers import (
    CommitFirst,
    CommitFirstClaimsNoLoss,
    CommitFirstUnfenced,
    CommitsWhatIsPolled,
    OffsetsOutsideTransaction,
    OutputsReadUncommitted,
    PartitionProducerUnfenced,
    ProcessesAfterRefusedCommit,
    ProcessFirst,
    ProcessFirstClaimsNoDuplicates,
    ProcessFirstUnfenced,
    ProducerPerPartition,
    StartsAtTheEnd,
    Transactional,
    TransactionsUnfenced,
    UnstableOffsetsFetched,
)
from spec.models.delivery_producers import (
    AcksAll,
    AcksOne,
    AcksOneClaimsNoLoss,
    AcksZero,
    AcksZeroClaimsNoLoss,
    Idempotent,
    IdempotentWithAcksOne,
    Offset,
    RetriesAcksAll,
    RetriesClaimNoDuplicates,
    UncleanElection,
)
from spec.models.family import Family, Refutation, Variant


class EndToEnd(Idempotent, Transactional):
    """An idempotent producer before a transactional group: each value takes effect exactly once."""

    @invariant("EOS-01", "EOS-04")
    def values_take_effect_at_most_once(self):
        """A value takes effect at one offset only (and there only once)."""
        return for_all(
            Offset,
            Offset,
            lambda a, b: implies(
                all_of(a < b, self.processed[a], self.processed[b]),
                self.log[a].value != self.log[b].value,
            ),
        )

    @invariant("EOS-01", "EOS-04")
    def acknowledged_values_take_effect(self):
        """Once the group has left the end of the log behind, every acknowledged value has."""
        return for_all(
            self.acknowledged,
            lambda value: implies(
                self.committed == self.log.end_offset,
                exists(
                    Offset,
                    lambda offset: all_of(self.is_at(offset, value), self.processed[offset]),
                ),
            ),
        )

    @witness
    def retried_value_has_taken_effect(self):
        return exists(
            self.retried,
            lambda value: exists(
                Offset, lambda offset: all_of(self.is_at(offset, value), self.processed[offset])
            ),
        )


class EndToEndUnfenced(EndToEnd, TransactionsUnfenced):
    """An idempotent producer before a group whose zombies may commit transactions."""


WRITES = {"Value": 3, "Offset": 4}
READS = {"Member": 3, "Generation": 5, "Offset": 3}
BOTH = {"Value": 2, "Offset": 2, "Member": 2, "Generation": 4}
ONE_WRITE = {"Value": 1, "Offset": 2}
ONE_READ = {"Member": 2, "Generation": 3, "Offset": 1}
ONE_OF_BOTH = {"Value": 1, "Offset": 1, "Member": 2, "Generation": 3}


def right(name: str, protocol: type[Protocol], bounds: dict[str, int]) -> Variant:
    symmetry = "Member" if "Member" in bounds else ""
    return Variant(name=name, protocol=protocol, bounds=bounds, symmetry=symmetry)


def wrong(
    name: str, protocol: type[Protocol], broken: str, steps: int, bounds: dict[str, int]
) -> Variant:
    refutation = Refutation(invariant=broken, bounds=bounds, steps=steps)
    return Variant(name=name, protocol=protocol, bounds=bounds, refutations=(refutation,))


PRODUCERS = (
    right("acks-all", AcksAll, WRITES),
    right("acks-one", AcksOne, WRITES),
    right("acks-zero", AcksZero, WRITES),
    right("retries", RetriesAcksAll, WRITES),
    right("idempotent", Idempotent, WRITES),
    wrong("acks-zero-for-no-loss", AcksZeroClaimsNoLoss, "acknowledged_is_stored", 2, ONE_WRITE),
    wrong("acks-one-for-no-loss", AcksOneClaimsNoLoss, "acknowledged_is_stored", 4, ONE_WRITE),
    wrong(
        "retries-for-exactly-once", RetriesClaimNoDuplicates, "stored_at_most_once", 4, ONE_WRITE
    ),
    wrong("idempotent-acks-one", IdempotentWithAcksOne, "acknowledged_is_stored", 4, ONE_WRITE),
    wrong("unclean-election", UncleanElection, "acknowledged_is_stored", 5, ONE_WRITE),
)

CONSUMERS = (
    right("commit-first", CommitFirst, READS),
    right("process-first", ProcessFirst, READS),
    right("process-first-unfenced", ProcessFirstUnfenced, READS),
    right("transactional", Transactional, READS),
    right("producer-per-partition", ProducerPerPartition, READS),
    wrong(
        "commit-first-for-no-loss", CommitFirstClaimsNoLoss, "committed_is_processed", 5, ONE_READ
    ),
    wrong("starts-at-the-end", StartsAtTheEnd, "committed_is_processed", 4, ONE_READ),
    wrong("commits-what-is-polled", CommitsWhatIsPolled, "committed_is_processed", 5, ONE_READ),
    wrong(
        "process-first-for-no-duplicates",
        ProcessFirstClaimsNoDuplicates,
        "processed_at_most_once",
        9,
        ONE_READ,
    ),
    wrong(
        "processes-after-refused-commit",
        ProcessesAfterRefusedCommit,
        "processed_at_most_once",
        9,
        ONE_READ,
    ),
    wrong("commit-first-unfenced", CommitFirstUnfenced, "processed_at_most_once", 11, ONE_READ),
    wrong("transactions-unfenced", TransactionsUnfenced, "processed_at_most_once", 13, ONE_READ),
    wrong("unstable-offsets", UnstableOffsetsFetched, "processed_at_most_once", 13, ONE_READ),
    wrong(
        "offsets-outside-transaction",
        OffsetsOutsideTransaction,
        "processed_at_most_once",
        13,
        ONE_READ,
    ),
    wrong("read-uncommitted", OutputsReadUncommitted, "processed_at_most_once", 9, ONE_READ),
    wrong(
        "partition-producer-unfenced",
        PartitionProducerUnfenced,
        "processed_at_most_once",
        13,
        ONE_READ,
    ),
)

MODEL = Family(
    name="delivery",
    summary="at most once, at least once, exactly once: what each configuration promises",
    bounds={
        "values": "Value",
        "log_size": "Offset",
        "members": "Member",
        "generations": "Generation",
    },
    variants=(
        right("end-to-end", EndToEnd, BOTH),
        wrong("end-to-end-unfenced", EndToEndUnfenced, "processed_at_most_once", 15, ONE_OF_BOTH),
        *PRODUCERS,
        *CONSUMERS,
    ),
)
