"""Replication with messages, proved for any size, and what breaks the proof.

The argument is `replication_messages_induction`; here is one wrong rule after the other, each of
which must break an obligation. They are the wrong variants of `replication_messages`, said of whole
logs.
"""

from spec.language import all_of, not_, when
from spec.models.replication_messages_whole_logs import WholeLogReplication, length
from spec.proofs.proof import Proof
from spec.proofs.replication_messages_induction import WholeLogProof


class NoFetchFencing(WholeLogProof):
    """A leader counts fetch requests of any epoch."""

    def accepts_epoch(self, leader, epoch):
        return True


class AcknowledgementsSurviveEpochs(WholeLogProof):
    """A leader that is elected again goes on with what it remembers of its followers."""

    def forget_followers(self, new, leader):
        pass


class ResponsesMatchedByOffset(WholeLogProof):
    """A follower takes any response to its fetch offset, of whatever last epoch."""

    def is_position(self, follower, position):
        return length(position) == length(self.log[follower])


class ResponsesOfAnyEpoch(WholeLogProof):
    """A follower takes a response of whatever epoch, to a request from its position."""

    def expects_epoch(self, follower, epoch):
        return True


class MinimalIsr(WholeLogProof):
    """A leader counts with the ISR it has asked for before the controller agrees."""

    def is_in_maximal_isr(self, leader, broker):
        return all_of(self.isr_of(leader).has(broker), not_(self.pending[leader].has(broker)))


class CommittedIsrOnly(WholeLogProof):
    """A leader waits with counting a new member until it hears that the controller added it."""

    def is_in_maximal_isr(self, leader, broker):
        return self.isr_of(leader).has(broker)


class JoinAtLaggingHighWatermark(WholeLogProof):
    """A follower joins the ISR at the high watermark, wherever the epoch starts."""

    def is_past_epoch_start(self, leader, offset):
        return True


class OldDecisionsApplied(WholeLogProof):
    """Partition epochs are not compared: an older decision of the same epoch is applied."""

    def is_news(self, broker, partition_epoch):
        return partition_epoch != self.partition_epoch[broker]


class LeaderResumes(WholeLogProof):
    """A restarted leader leads on in the same epoch."""

    def resign(self, new, broker):
        pass


class TruncateToHighWatermark(WholeLogProof):
    """A new follower cuts its log at its own high watermark."""

    def apply_decision(self, new, broker, partition_epoch):
        super().apply_decision(new, broker, partition_epoch)
        now = self.decision[partition_epoch]
        follows = all_of(not_(now.leader.is_empty()), not_(now.leader.has(broker)))
        with when(all_of(now.epoch > self.leader_epoch(broker), follows)):
            new.log[broker] = self.high_watermark[broker]
        self.send_fetch(new, broker)


class OvertakenRequestsAccepted(WholeLogProof):
    """The controller accepts AlterPartition whatever it has decided since."""

    def is_newest(self, partition_epoch):
        return True


class RequestsNotAwaited(WholeLogProof):
    """A leader asks for another ISR change before the last one is answered, and forgets that."""

    def may_ask(self, leader):
        return True


class PositionsNotChecked(WholeLogProof):
    """A leader counts the fetch offset of a follower whose log has diverged."""

    def accepts_position(self, end, position):
        return True


class UncleanElection(WholeLogProof):
    """The controller elects a broker outside the ISR."""

    def is_electable(self, broker):
        return True


PROOFS = (
    Proof(
        name="replication_messages/whole-logs",
        protocol=WholeLogReplication,
        proof=WholeLogProof,
        small={"Broker": 3, "LeaderEpoch": 3, "LogLength": 2, "PartitionEpoch": 4},
        mutants=(
            NoFetchFencing,
            AcknowledgementsSurviveEpochs,
            ResponsesMatchedByOffset,
            ResponsesOfAnyEpoch,
            MinimalIsr,
            CommittedIsrOnly,
            JoinAtLaggingHighWatermark,
            OldDecisionsApplied,
            LeaderResumes,
            TruncateToHighWatermark,
            OvertakenRequestsAccepted,
            RequestsNotAwaited,
            PositionsNotChecked,
            UncleanElection,
        ),
    ),
)
