"""Replication with messages: the family, and what goes wrong without each of its rules.

The protocol is `replication_messages_protocol`. Each wrong variant below leaves out one rule, and
is refuted by a shortest run of a small instance. The same protocol with whole logs as values, which
is proved for any size, is `replication_messages_whole_logs`. `replication_messages_elr` has brokers
that lose data.
"""

from spec.language import NONE, all_of, any_of, exists, ite, ite_set, not_, only, require, when
from spec.models.family import Counts, Family, Refutation, Variant
from spec.models.replication import Epoch
from spec.models.replication_messages_elr import VARIANTS as WITH_LOSSES
from spec.models.replication_messages_protocol import ReplicationMessages
from spec.models.replication_messages_whole_logs import WholeLogReplication


class SeparateDecisions(ReplicationMessages):
    """Fencing a leader and electing the next one are two decisions, with an epoch each.

    Between them nobody leads. Kafka's controller writes one record for both.
    """

    def controller_fence_broker(self, new, broker, leader, epoch):
        now = self.decision[self.newest]
        leads, last = now.leader == broker, now.isr == only(broker)
        require(any_of(leads, all_of(now.isr.has(broker), not_(last))))
        require(leader == broker, epoch == now.epoch + 1)
        isr = ite_set(last, now.isr, now.isr.minus(broker))
        self.decide(new, ite(leads, NONE, now.leader), epoch, isr)


class NoFetchFencing(ReplicationMessages):
    """A leader counts fetch requests of any epoch (KIP-320 fences them)."""

    def accepts_epoch(self, leader, epoch):
        return True


class AcknowledgementsSurviveEpochs(ReplicationMessages):
    """A leader that is elected again goes on with what it remembers of its followers."""

    def forget_followers(self, new, leader):
        pass


class ResponsesMatchedByOffset(ReplicationMessages):
    """A follower takes any response to its fetch offset, of whatever epoch and last epoch."""

    def has_response(self, follower, epoch):
        asked = exists(Epoch, lambda last: self.has_asked(follower, epoch, last))
        return all_of(self.is_follower(follower), self.opened[epoch], asked)

    def has_asked(self, follower, epoch, last_epoch):
        offset = self.log[follower].end_offset
        return self.fetch_requests.has(
            follower=follower, epoch=epoch, offset=offset, last_epoch=last_epoch
        )

    def response_diverges(self, follower, epoch):
        """Some request of that epoch from this offset was answered so."""
        served, offset = self.served[epoch], self.log[follower].end_offset
        return exists(
            Epoch,
            lambda last: all_of(
                self.diverges(served, offset, last), self.has_asked(follower, epoch, last)
            ),
        )


class MinimalIsr(ReplicationMessages):
    """A leader counts with the ISR it has asked for before the controller agrees (no KIP-497)."""

    def maximal_isr(self, leader):
        return self.isr_of(leader).minus(self.pending[leader])


class CommittedIsrOnly(ReplicationMessages):
    """A leader waits with counting a new member until it hears that the controller added it."""

    def maximal_isr(self, leader):
        return self.isr_of(leader)


class JoinAtLaggingHighWatermark(ReplicationMessages):
    """A follower joins the ISR at the high watermark, wherever the epoch starts (KAFKA-7128)."""

    def may_join(self, leader, follower):
        return self.remembered[leader, follower] >= self.high_watermark[leader]


class OldDecisionsApplied(ReplicationMessages):
    """Partition epochs are not compared: an older decision of the same epoch is applied."""

    def is_news(self, broker, partition_epoch):
        return partition_epoch != self.partition_epoch[broker]


class LeaderResumes(ReplicationMessages):
    """A restarted leader leads on in the same epoch."""

    def resign(self, new, broker):
        pass


class TruncateToHighWatermark(ReplicationMessages):
    """Before KIP-101: a new follower cuts its log at its own high watermark, which lags."""

    def apply_decision(self, new, broker, partition_epoch):
        super().apply_decision(new, broker, partition_epoch)
        now = self.decision[partition_epoch]
        follows = all_of(now.leader != NONE, now.leader != broker)
        with when(all_of(now.epoch > self.leader_epoch(broker), follows)):
            new.log[broker].truncate_to(self.high_watermark[broker])
        self.send_fetch(new, broker)


class OvertakenRequestsAccepted(ReplicationMessages):
    """The controller accepts AlterPartition whatever it has decided since."""

    def is_newest(self, partition_epoch):
        return partition_epoch <= self.newest


class RequestsNotAwaited(ReplicationMessages):
    """A leader asks for another ISR change before the last one is answered, and forgets that."""

    def may_ask(self, leader):
        return True


class PositionsNotChecked(ReplicationMessages):
    """A leader counts the fetch offset of a follower whose log has diverged."""

    def accepts_position(self, leader, offset, last_epoch):
        return True


class UncleanElection(ReplicationMessages):
    """The controller elects a broker outside the ISR."""

    def is_electable(self, broker):
        return True


# ---- the family ---------------------------------------------------------------------------------


def bounds(brokers: int, epochs: int, log_size: int, records: int, decisions: int) -> Counts:
    """An instance, named as on the command line; the first decision is none, and not counted."""
    return {
        "Broker": brokers,
        "Epoch": epochs,
        "Offset": log_size,
        "RecordId": records,
        "PartitionEpoch": decisions + 1,
    }


def wrong(
    name: str,
    protocol: type[ReplicationMessages],
    instance: Counts,
    steps: int,
    invariant: str = "isr_has_committed",
) -> Variant:
    """A variant that breaks an invariant after so many actions at least."""
    refutation = Refutation(invariant=invariant, bounds=instance, steps=steps, symmetry="Broker")
    return Variant(
        name=name,
        protocol=protocol,
        bounds=instance,
        symmetry="Broker",
        refutations=(refutation,),
    )


ONE_RECORD = bounds(2, 2, 1, 1, 3)
TWO_RECORDS = bounds(2, 2, 1, 2, 4)
THREE_BROKERS = bounds(3, 2, 1, 1, 3)
THREE_EPOCHS = bounds(3, 3, 1, 1, 3)

MODEL = Family(
    name="replication_messages",
    summary="Replication of one partition with every message late, lost or repeated",
    bounds={
        "replicas": "Broker",
        "epochs": "Epoch",
        "log_size": "Offset",
        "records": "RecordId",
        "decisions": "PartitionEpoch+1",
        "leader_epochs": "LeaderEpoch+1",
        "log_length": "LogLength+1",
        "broker_epochs": "BrokerEpoch",
    },
    variants=(
        Variant(
            name="fenced",
            protocol=ReplicationMessages,
            bounds=bounds(2, 3, 2, 2, 3),
            symmetry="Broker",
        ),
        Variant(
            name="separate-decisions",
            protocol=SeparateDecisions,
            bounds=bounds(2, 3, 2, 2, 3),
            symmetry="Broker",
        ),
        Variant(
            name="whole-logs",
            protocol=WholeLogReplication,
            bounds={"Broker": 2, "LeaderEpoch": 3, "LogLength": 2, "PartitionEpoch": 5},
            symmetry="Broker",
        ),
        wrong("minimal-isr", MinimalIsr, ONE_RECORD, 5),
        wrong("committed-isr-only", CommittedIsrOnly, ONE_RECORD, 7),
        wrong("leader-resumes", LeaderResumes, ONE_RECORD, 8),
        wrong("old-decisions-applied", OldDecisionsApplied, ONE_RECORD, 9),
        wrong("truncate-to-high-watermark", TruncateToHighWatermark, ONE_RECORD, 10),
        wrong(
            "join-at-lagging-high-watermark", JoinAtLaggingHighWatermark, bounds(2, 3, 1, 1, 5), 11
        ),
        wrong("no-fetch-fencing", NoFetchFencing, THREE_EPOCHS, 13),
        wrong("acknowledgements-survive-epochs", AcknowledgementsSurviveEpochs, THREE_EPOCHS, 13),
        wrong("responses-matched-by-offset", ResponsesMatchedByOffset, bounds(2, 3, 1, 2, 4), 17),
        wrong("positions-not-checked", PositionsNotChecked, TWO_RECORDS, 9),
        wrong("requests-not-awaited", RequestsNotAwaited, THREE_BROKERS, 11),
        wrong(
            "overtaken-requests-accepted",
            OvertakenRequestsAccepted,
            ONE_RECORD,
            5,
            invariant="leader_in_isr",
        ),
        wrong("unclean-election", UncleanElection, ONE_RECORD, 3, invariant="leader_in_isr"),
        *WITH_LOSSES,
    ),
)
