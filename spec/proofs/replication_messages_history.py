"""What the proof of replication with messages remembers, and the words it needs.

Nothing here changes the protocol: history variables record what happened, and influence nothing.
"""

from spec.language import (
    NOBODY,
    SetExpr,
    SetOf,
    after,
    all_of,
    any_of,
    history,
    implies,
    not_,
    per,
    var,
    when,
)
from spec.language.sorts import Per
from spec.models.replication import Broker
from spec.models.replication_messages_whole_logs import (
    Epoch,
    PartitionEpoch,
    WholeLog,
    WholeLogReplication,
    last_epoch,
    prefixes_of,
)


def union(a, b):
    return SetExpr(WholeLog, lambda log: any_of(a.has(log), b.has(log)))


class WholeLogHistory(WholeLogReplication):
    """Replication with messages, and what became of every log at every decision."""

    # Logs that some broker has had, prefixes included.
    written = history(var(SetOf(WholeLog), init=NOBODY))
    # The broker sent a fetch request, in that epoch, from a log with this prefix.
    acknowledged = history(per(Broker, Per(Epoch, SetOf(WholeLog)), init=NOBODY))
    # The log cannot be committed any more at that decision.
    blocked = history(per(PartitionEpoch, SetOf(WholeLog), init=NOBODY))
    # At that decision it was committed.
    committed_at = history(per(PartitionEpoch, SetOf(WholeLog), init=NOBODY))

    # ---- definitions ----------------------------------------------------------------------------

    def epoch_of(self, version):
        return self.decision[version].epoch

    def is_past(self, version):
        return version <= self.newest

    def leads(self, version, broker):
        return self.decision[version].leader.has(broker)

    def is_leader(self, version, broker):
        """The decision was made, and names the broker as leader."""
        return all_of(self.is_past(version), self.leads(version, broker))

    def is_member(self, version, broker):
        """It is in the maximal ISR of that decision, as decided or as asked for."""
        asked = self.alter_requests.has(partition_epoch=version, broker=broker)
        return any_of(self.decision[version].isr.has(broker), asked)

    def is_follower_in(self, version, broker):
        return all_of(self.is_member(version, broker), not_(self.leads(version, broker)))

    def exists_log(self, log):
        return any_of(log == WholeLog.empty, self.written.has(log))

    def is_committed(self, log):
        return any_of(log == WholeLog.empty, self.committed.has(log))

    def left_without(self, broker, epoch, log):
        """It has left the epoch for good and cannot acknowledge the log in it any more."""
        gone = self.leader_epoch(broker) > epoch
        return all_of(gone, not_(self.acknowledged[broker, epoch].has(log)))

    def can_commit(self, version, log):
        epoch = self.epoch_of(version)
        return all_of(
            self.is_past(version),
            self.written.has(log),
            last_epoch(log) <= epoch,
            implies(self.opened[epoch], self.served[epoch].has(log)),
            not_(self.blocked[version].has(log)),
        )

    # ---- history --------------------------------------------------------------------------------

    @after("leader_write")
    def keep_written(self, new, longer):
        new.written = self.written.plus(longer)

    @after("follower_append", "follower_truncate")
    def keep_acknowledged(self, new, follower):
        epoch, log = new.leader_epoch(follower), new.log[follower]
        with when(new.is_follower(follower)):
            known = self.acknowledged[follower, epoch]
            new.acknowledged[follower, epoch] = union(known, prefixes_of(log))

    @after("apply_decision")
    def keep_request(self, new, broker):
        self.keep_acknowledged(new, broker)

    @after("apply_decision")
    def keep_blocked(self, new, broker, partition_epoch):
        now = self.decision[partition_epoch]

        def goes_on(version, log):
            shown = self.served_high_watermark[self.epoch_of(version)].has(log)
            return all_of(self.leads(version, broker), partition_epoch > version, not_(shown))

        def leaves(version, log):
            epoch = self.epoch_of(version)
            return all_of(
                self.is_follower_in(version, broker),
                self.leader_epoch(broker) <= epoch,
                epoch < now.epoch,
                not_(self.acknowledged[broker, epoch].has(log)),
            )

        def is_blocked(version, log):
            moved = any_of(goes_on(version, log), leaves(version, log))
            return any_of(self.blocked[version].has(log), all_of(self.is_past(version), moved))

        new.blocked = lambda version: SetExpr(WholeLog, lambda log: is_blocked(version, log))

    @after("leader_ask_to_expand_isr")
    def keep_blocked_by_new_member(self, new, leader, follower):
        version, epoch = self.partition_epoch[leader], self.leader_epoch(leader)
        left = SetExpr(WholeLog, lambda log: self.left_without(follower, epoch, log))
        new.blocked[version] = union(self.blocked[version], left)

    @after("leader_increment_high_watermark")
    def keep_committed_at(self, new, leader, shown):
        version = self.partition_epoch[leader]
        new.committed_at[version] = self.committed_at[version].plus(shown)
