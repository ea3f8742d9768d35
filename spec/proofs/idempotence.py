"""Why an idempotent producer's batches are stored once, in order and without gaps.

Any number of producers, epochs, batches and failovers. The one history variable says where each
batch was stored last; it turns "there is an earlier offset with ..." into "at that offset".
"""

from spec.language import (
    Per,
    after,
    all_of,
    any_of,
    conjunct,
    for_all,
    history,
    implies,
    not_,
    per,
)
from spec.models.idempotence import (
    AnsweredBeforeCommit,
    AnyFirstSequence,
    DeletedBatchesForgotten,
    DuplicateAnsweredWithLastOffset,
    EpochBeginsAnywhere,
    GapAccepted,
    MemoryNotTruncated,
    OlderEpochAccepted,
    OneBatchRemembered,
    ProducerExpiresEarly,
    ProducersForgotten,
    RetriesWithoutIdempotence,
    SixInFlight,
    UncleanElection,
)
from spec.models.idempotence_protocol import (
    Idempotence,
    Offset,
    ProducerEpoch,
    ProducerId,
    Sequence,
)
from spec.models.producer_ids import ProducerIds
from spec.proofs.producer_ids import ClaimedUnconditionally, KeptByRestart, ProducerIdsProof
from spec.proofs.proof import Proof


class IdempotenceProof(Idempotence):
    """The leader's memory is the end of each producer's own sequence in the log."""

    # The offset at which a batch was stored last; it may have been cut off since.
    stored_at = history(per(ProducerId, Per(ProducerEpoch, Per(Sequence, Offset)), init=0))

    @after("leader_appends")
    def keep_offset(self, new, producer, epoch, sequence):
        new.stored_at[producer][epoch][sequence] = self.log.end_offset

    # ---- definitions
    def has_stored(self, producer, epoch, sequence):
        offset = self.stored_at[producer][epoch][sequence]
        return self.is_batch(offset, producer, epoch, sequence)

    def is_stored_before(self, epoch, sequence, other_epoch, other_sequence):
        return any_of(epoch < other_epoch, all_of(epoch == other_epoch, sequence < other_sequence))

    # ---- the inductive invariant
    @conjunct
    def batches_are_where_they_were_stored(self):
        """Or a batch could be at two offsets: there is only one that `stored_at` names."""
        return all_of(
            self.log.end_offset >= 0,
            for_all(
                Offset.below(self.log.end_offset),
                lambda o: all_of(
                    self.log[o].producer >= 0,
                    self.log[o].epoch >= 0,
                    self.log[o].sequence >= 0,
                    self.stored_at[self.log[o].producer][self.log[o].epoch][self.log[o].sequence]
                    == o,
                ),
            ),
        )

    @conjunct
    def earlier_batches_are_stored(self):
        """No gaps, with the offset of each earlier batch: a cut takes them from the end."""
        return for_all(
            Offset,
            Sequence,
            lambda o, earlier: implies(
                all_of(self.log.has_offset(o), earlier < self.log[o].sequence),
                all_of(
                    self.has_stored(self.log[o].producer, self.log[o].epoch, earlier),
                    self.stored_at[self.log[o].producer][self.log[o].epoch][earlier] < o,
                    self.stored_at[self.log[o].producer][self.log[o].epoch][earlier] >= 0,
                ),
            ),
        )

    @conjunct
    def batches_are_in_order(self):
        """Or the last batch in the log would not tell a new leader what it has to expect."""
        return self.stored_in_order()

    @conjunct
    def memory_is_not_behind(self):
        """Or a batch could be taken for new that is in the log already."""
        return for_all(
            ProducerId,
            Offset,
            lambda p, o: implies(
                all_of(self.is_loaded[p], self.log.has_offset(o), self.log[o].producer == p),
                self.is_stored_before(
                    self.log[o].epoch,
                    self.log[o].sequence,
                    self.epoch_known[p],
                    self.sequence_expected[p],
                ),
            ),
        )

    @conjunct
    def memory_is_not_ahead(self):
        """Or the next batch could be expected before the one that precedes it is stored."""
        return for_all(
            ProducerId,
            lambda p: all_of(
                self.epoch_known[p] >= 0,
                self.sequence_expected[p] >= 0,
                implies(
                    self.is_loaded[p],
                    any_of(
                        not_(self.is_known(p)),
                        all_of(
                            self.sequence_expected[p] > 0,
                            self.has_stored(p, self.epoch_known[p], self.sequence_expected[p] - 1),
                            self.stored_at[p][self.epoch_known[p]][self.sequence_expected[p] - 1]
                            >= 0,
                        ),
                    ),
                ),
            ),
        )

    @conjunct
    def requests_were_sent(self):
        """Or the leader could expect more than the producer has numbered."""
        return for_all(
            ProducerId,
            ProducerEpoch,
            Sequence,
            lambda p, e, s: implies(
                self.requests.has(producer=p, epoch=e, sequence=s),
                all_of(
                    e <= self.producer_epoch[p],
                    implies(e == self.producer_epoch[p], s < self.next_sequence[p]),
                ),
            ),
        )

    @conjunct
    def stored_was_requested(self):
        """The same for what is stored, which a new leader takes its memory from."""
        return for_all(
            Offset.below(self.log.end_offset),
            lambda o: self.requests.has(
                producer=self.log[o].producer,
                epoch=self.log[o].epoch,
                sequence=self.log[o].sequence,
            ),
        )

    @conjunct
    def five_are_in_flight(self):
        """Or a batch that may still be retried could be older than the last five."""
        return for_all(
            ProducerId,
            Sequence,
            lambda p, s: all_of(
                self.next_sequence[p] >= 0,
                self.producer_epoch[p] >= 0,
                implies(
                    s + self.batches_remembered < self.next_sequence[p],
                    self.acknowledged[p][self.producer_epoch[p]][s],
                ),
            ),
        )

    @conjunct
    def answers_name_committed_batches(self):
        """Below the committed end, or a failover could make the answer untrue."""
        return for_all(
            ProducerId,
            ProducerEpoch,
            Sequence,
            Offset,
            lambda p, e, s, o: implies(
                self.answers.has(producer=p, epoch=e, sequence=s, offset=o),
                all_of(o < self.committed_end, self.is_batch(o, p, e, s)),
            ),
        )

    @conjunct
    def acknowledged_is_committed(self):
        """Names the offset: the invariant says only that there is one."""
        return for_all(
            ProducerId,
            ProducerEpoch,
            Sequence,
            lambda p, e, s: implies(
                self.acknowledged[p][e][s],
                all_of(
                    self.stored_at[p][e][s] >= 0,
                    self.stored_at[p][e][s] < self.committed_end,
                    self.has_stored(p, e, s),
                ),
            ),
        )


# ---- one wrong rule each ------------------------------------------------------------------------


class NoSequenceCheck(RetriesWithoutIdempotence, IdempotenceProof):
    """Every request that arrives is stored."""


class GapAcceptedProof(GapAccepted, IdempotenceProof):
    """Any larger sequence is accepted."""


class OlderEpochAcceptedProof(OlderEpochAccepted, IdempotenceProof):
    """A batch 0 of an older epoch is accepted."""


class EpochBeginsAnywhereProof(EpochBeginsAnywhere, IdempotenceProof):
    """A newer epoch begins with any sequence."""


class AnyFirstSequenceProof(AnyFirstSequence, IdempotenceProof):
    """An unknown producer may begin with any sequence."""


class OneBatchRememberedProof(OneBatchRemembered, IdempotenceProof):
    """Only the last batch is recognised, with five in flight."""


class SixInFlightProof(SixInFlight, IdempotenceProof):
    """Six batches in flight."""


class LastOffsetAnswered(DuplicateAnsweredWithLastOffset, IdempotenceProof):
    """The answer names the last offset of the log."""


class AnsweredBeforeCommitProof(AnsweredBeforeCommit, IdempotenceProof):
    """acks=1."""


class UncleanElectionProof(UncleanElection, IdempotenceProof):
    """The next leader may lack committed batches."""


class ProducersForgottenProof(ProducersForgotten, IdempotenceProof):
    """A new leader reads nothing from its log."""


class MemoryNotTruncatedProof(MemoryNotTruncated, IdempotenceProof):
    """The leader's memory survives the cut of its log."""


class DeletedBatchesForgottenProof(DeletedBatchesForgotten, IdempotenceProof):
    """A new leader reads only what is not deleted."""


class ProducerExpiresEarlyProof(ProducerExpiresEarly, IdempotenceProof):
    """What is known of a producer expires too early."""


PROOFS = (
    Proof(
        name="idempotence",
        protocol=Idempotence,
        proof=IdempotenceProof,
        small={"ProducerId": 1, "ProducerEpoch": 2, "Sequence": 6, "Offset": 3},
        mutants=(
            NoSequenceCheck,
            GapAcceptedProof,
            OlderEpochAcceptedProof,
            EpochBeginsAnywhereProof,
            AnyFirstSequenceProof,
            OneBatchRememberedProof,
            SixInFlightProof,
            LastOffsetAnswered,
            AnsweredBeforeCommitProof,
            UncleanElectionProof,
            ProducersForgottenProof,
            MemoryNotTruncatedProof,
            DeletedBatchesForgottenProof,
            ProducerExpiresEarlyProof,
        ),
    ),
    Proof(
        name="idempotence/producer-ids",
        protocol=ProducerIds,
        proof=ProducerIdsProof,
        small={"Broker": 2, "Block": 3, "Index": 2},
        mutants=(ClaimedUnconditionally, KeptByRestart),
    ),
)
