"""Why each delivery guarantee holds: any number of values, members, generations and offsets.

The arguments are in `delivery_producers` and `delivery_consumers`. The proof of the whole pipeline
sets them side by side, and needs nothing more than that they speak of the same log.
"""

from spec.language import all_of, conjunct, for_all, implies
from spec.models.delivery import EndToEnd
from spec.models.delivery_consumers import (
    CommitFirst,
    Member,
    ProcessFirst,
    ProcessFirstUnfenced,
    ProducerPerPartition,
    Transactional,
    TransactionsUnfenced,
)
from spec.models.delivery_producers import (
    AcksAll,
    AcksOne,
    AcksZero,
    Idempotent,
    RetriesAcksAll,
)
from spec.proofs.delivery_consumers import (
    CommitFirstProof,
    CommitFirstUnfencedProof,
    CommitsWhatIsPolledProof,
    OffsetsOutsideTransactionProof,
    OutputsReadUncommittedProof,
    PartitionProducerUnfencedProof,
    ProcessesAfterRefusedCommitProof,
    ProcessFirstProof,
    ProcessFirstUnfencedProof,
    ProducerPerPartitionProof,
    StartsAtTheEndProof,
    TransactionalProof,
    TransactionsUnfencedProof,
    UnstableOffsetsProof,
    ZombieCommitsWhatIsPolledProof,
)
from spec.proofs.delivery_producers import (
    AcksAllProof,
    AcksOneProof,
    AcksZeroProof,
    AnsweredBeforeCommit,
    IdempotentProof,
    RetriesNotRecognised,
    RetriesOfAcksOne,
    RetriesOfAcksZero,
    RetriesOfSentOnce,
    RetriesProof,
    RetriesUncleanElection,
    UncleanElectionProof,
)
from spec.proofs.proof import Proof


class EndToEndProof(EndToEnd, IdempotentProof, TransactionalProof):
    """The whole pipeline: the arguments of its two halves, side by side."""

    @conjunct
    def committed_is_within_log(self):
        """Or a record could take effect that the producer's side knows nothing of."""
        return all_of(
            self.committed <= self.high_watermark,
            self.high_watermark <= self.log.end_offset,
            for_all(
                Member,
                lambda m: implies(
                    self.has_position[m],
                    all_of(
                        self.position[m] <= self.polled[m], self.polled[m] <= self.high_watermark
                    ),
                ),
            ),
        )


# ---- one wrong rule each ------------------------------------------------------------------------


class EndToEndUnfencedProof(TransactionsUnfenced, EndToEndProof):
    """Offsets of a zombie join its transaction."""


class EndToEndNotRecognised(EndToEndProof):
    """The leader does not recognise what it has stored."""

    def is_accepted(self, value):
        return True


class EndToEndAnsweredBeforeCommit(EndToEndProof):
    """acks=1."""

    def is_acknowledged(self, offset, value):
        return self.is_at(offset, value)


WRITES = {"Value": 2, "Offset": 2}
READS = {"Member": 2, "Generation": 3, "Offset": 2}


PROOFS = (
    Proof(
        name="delivery/acks-all",
        protocol=AcksAll,
        proof=AcksAllProof,
        small=WRITES,
        mutants=(RetriesOfSentOnce,),
    ),
    Proof(
        name="delivery/acks-one",
        protocol=AcksOne,
        proof=AcksOneProof,
        small=WRITES,
        mutants=(RetriesOfAcksOne,),
    ),
    Proof(
        name="delivery/acks-zero",
        protocol=AcksZero,
        proof=AcksZeroProof,
        small=WRITES,
        mutants=(RetriesOfAcksZero,),
    ),
    Proof(
        name="delivery/retries",
        protocol=RetriesAcksAll,
        proof=RetriesProof,
        small=WRITES,
        mutants=(RetriesUncleanElection,),
    ),
    Proof(
        name="delivery/idempotent",
        protocol=Idempotent,
        proof=IdempotentProof,
        small=WRITES,
        mutants=(RetriesNotRecognised, AnsweredBeforeCommit, UncleanElectionProof),
    ),
    Proof(
        name="delivery/commit-first",
        protocol=CommitFirst,
        proof=CommitFirstProof,
        small=READS,
        mutants=(CommitFirstUnfencedProof, ProcessesAfterRefusedCommitProof),
    ),
    Proof(
        name="delivery/process-first",
        protocol=ProcessFirst,
        proof=ProcessFirstProof,
        small=READS,
        mutants=(CommitsWhatIsPolledProof, StartsAtTheEndProof),
    ),
    Proof(
        name="delivery/process-first-unfenced",
        protocol=ProcessFirstUnfenced,
        proof=ProcessFirstUnfencedProof,
        small=READS,
        mutants=(ZombieCommitsWhatIsPolledProof,),
    ),
    Proof(
        name="delivery/transactional",
        protocol=Transactional,
        proof=TransactionalProof,
        small=READS,
        mutants=(
            TransactionsUnfencedProof,
            UnstableOffsetsProof,
            OffsetsOutsideTransactionProof,
            OutputsReadUncommittedProof,
        ),
    ),
    Proof(
        name="delivery/producer-per-partition",
        protocol=ProducerPerPartition,
        proof=ProducerPerPartitionProof,
        small=READS,
        mutants=(PartitionProducerUnfencedProof,),
    ),
    Proof(
        name="delivery/end-to-end",
        protocol=EndToEnd,
        proof=EndToEndProof,
        small={**WRITES, **READS},
        mutants=(
            EndToEndUnfencedProof,
            EndToEndNotRecognised,
            EndToEndAnsweredBeforeCommit,
        ),
    ),
)
