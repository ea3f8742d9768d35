"""Replication among brokers that lose data, and what goes wrong without each of its rules.

The protocol is `replication_messages_elr_protocol`: the message-level reading of KIP-966, against
which running clusters are checked. What breaks without the rules that it shares with
`replication_messages_protocol` is shown there.
"""

from spec.language import not_, require
from spec.models.family import Counts, Refutation, Variant
from spec.models.replication_messages_elr_protocol import ReplicationWithElr


class UncleanRestartUndetected(ReplicationWithElr):
    """A broker that lost data keeps its places in ISR and ELR."""

    def is_out_since(self, broker, partition_epoch):
        return True


class OldMetadataAtStart(ReplicationWithElr):
    """A broker that lost data takes part before it has heard that it left ISR and ELR."""

    def is_out_since(self, broker, partition_epoch):
        return not_(self.is_eligible(self.newest, broker))


class CommitsBesideElr(ReplicationWithElr):
    """The high watermark moves although the ISR is smaller than min.insync.replicas."""

    def may_commit(self, leader):
        return True


class BrokerEpochNotChecked(ReplicationWithElr):
    """Before KIP-903: AlterPartition names a broker, but not which life of it caught up."""

    def names_living_broker(self, broker, broker_epoch):
        return True


class FormerLifeCounts(ReplicationWithElr):
    """A fetch request of before the loss overtakes those of after it, and counts again."""

    def is_latest_life(self, leader, follower, broker_epoch):
        return True


class BackToTheStart(ReplicationWithElr):
    """A follower whose log diverges throws all of it away (KAFKA-2143)."""

    def follower_truncate(self, new, follower, epoch, kept):
        require(self.has_response(follower, epoch), self.response_diverges(follower, epoch))
        require(kept == 0)
        new.log[follower].truncate_to(kept)
        new.high_watermark[follower] = kept
        self.send_fetch(new, follower)


# ---- the variants -----------------------------------------------------------------------------


def bounds(
    epochs: int, decisions: int, *, log_size: int = 1, records: int = 1, lives: int = 2
) -> Counts:
    """An instance of two brokers; the first decision is not counted."""
    return {
        "Broker": 2,
        "Epoch": epochs,
        "Offset": log_size,
        "RecordId": records,
        "PartitionEpoch": decisions + 1,
        "BrokerEpoch": lives,
    }


def wrong(name: str, protocol: type[ReplicationWithElr], instance: Counts, steps: int) -> Variant:
    """A variant whose electable brokers lack committed records after so many actions at least."""
    refutation = Refutation(
        invariant="isr_has_committed", bounds=instance, steps=steps, symmetry="Broker"
    )
    return Variant(
        name=name,
        protocol=protocol,
        bounds=instance,
        symmetry="Broker",
        refutations=(refutation,),
    )


VARIANTS = (
    Variant(name="kip-966", protocol=ReplicationWithElr, bounds=bounds(3, 3), symmetry="Broker"),
    wrong("unclean-restart-undetected", UncleanRestartUndetected, bounds(2, 2), 6),
    wrong("old-metadata-at-start", OldMetadataAtStart, bounds(3, 3), 13),
    wrong("commits-beside-elr", CommitsBesideElr, bounds(2, 3), 5),
    wrong("broker-epoch-not-checked", BrokerEpochNotChecked, bounds(1, 4), 11),
    wrong("former-life-counts", FormerLifeCounts, bounds(2, 4), 12),
    wrong("back-to-the-start", BackToTheStart, bounds(3, 2, log_size=2, records=2, lives=1), 12),
)
"""Part of the family `replication_messages`."""
