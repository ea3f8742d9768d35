"""Why replication with messages is safe for any number of brokers, epochs, decisions and records.

The idea is to speak not of what is committed but of what still can be. A log is `blocked` at a
decision (a partition epoch) once a member of that decision's maximal ISR has left the decision's
leader epoch without having acknowledged it, or once the leader has gone on to a later decision
without having committed it. An acknowledgement is a fetch request that was sent, whether or not it
was heard. Whoever acknowledged what is not blocked keeps it; so every later leader has it; so an
acknowledgement that was in flight for any length of time may still commit it.

Sources: Padon, Losa, Sagiv and Shoham, "Paxos made EPR" (OOPSLA 2017), for derived relations and
for quantifiers that a solver decides; KIP-101, KIP-279, KIP-320 and KIP-497 for the protocol.
"""

from spec.language import (
    all_of,
    any_of,
    conjunct,
    cut,
    exists,
    for_all,
    iff,
    implies,
    not_,
)
from spec.models.replication import Broker
from spec.models.replication_messages_whole_logs import (
    Epoch,
    PartitionEpoch,
    WholeLog,
    is_prefix,
    last_epoch,
    length,
)
from spec.proofs.replication_messages_history import WholeLogHistory


class WholeLogProof(WholeLogHistory):
    """What can still be committed is never lost."""

    # ---- decisions ------------------------------------------------------------------------------

    @conjunct
    def epochs_grow(self):
        """Decisions are made in the order of their epochs, and an epoch has one leader."""

        def rule(v, w, x):
            grow = self.epoch_of(v) <= self.epoch_of(w)
            same_epoch = self.epoch_of(v) == self.epoch_of(w)
            same_leader = iff(self.leads(v, x), self.leads(w, x))
            ordered = all_of(v <= w, self.is_past(w))
            return implies(ordered, all_of(grow, implies(same_epoch, same_leader)))

        return for_all(PartitionEpoch, PartitionEpoch, Broker, rule)

    @conjunct
    def leader_is_in_isr(self):
        """A decision names a leader out of its ISR; what came before the first epoch names none."""

        def rule(v, x):
            in_isr = self.decision[v].isr.has(x)
            return implies(self.is_leader(v, x), all_of(in_isr, self.epoch_of(v) != 0))

        return for_all(PartitionEpoch, Broker, rule)

    @conjunct
    def one_leader(self):
        """A decision names one leader at most."""

        def rule(v, x, y):
            return implies(all_of(self.is_leader(v, x), self.leads(v, y)), x == y)

        return for_all(PartitionEpoch, Broker, Broker, rule)

    @conjunct
    def only_first_is_before_epochs(self):
        """The first real decision begins an epoch: so its leader takes over."""

        def rule(v):
            return implies(self.is_past(v), iff(self.epoch_of(v) == 0, v == 0))

        return for_all(PartitionEpoch, rule)

    @conjunct
    def applied_was_decided(self):
        """Nobody knows of a decision before it is made."""
        return for_all(Broker, lambda b: self.is_past(self.partition_epoch[b]))

    @conjunct
    def opened_was_decided(self):
        """An epoch is opened after it has begun."""

        def rule(e):
            begun = all_of(e != 0, e <= self.epoch_of(self.newest))
            return implies(self.opened[e], begun)

        return for_all(Epoch, rule)

    @conjunct
    def opened_by_leader(self):
        """An epoch is opened once, by its leader, who never goes back to before."""

        def rule(v, x):
            opened = all_of(self.is_leader(v, x), self.opened[self.epoch_of(v)])
            return implies(opened, self.leader_epoch(x) >= self.epoch_of(v))

        return for_all(PartitionEpoch, Broker, rule)

    @conjunct
    def leader_has_served(self):
        """A leader's log is its epoch's; a restarted one leads no more, but keeps its log."""

        def rule(b, log):
            epoch = self.leader_epoch(b)
            same = iff(self.served[epoch].has(log), is_prefix(log, self.log[b]))
            return implies(self.leads(self.partition_epoch[b], b), all_of(self.opened[epoch], same))

        return for_all(Broker, WholeLog, rule)

    @conjunct
    def leader_has_shown(self):
        """What a leader has shown as committed is its high watermark."""

        def rule(b, log):
            named = self.leads(self.partition_epoch[b], b)
            shown = self.served_high_watermark[self.leader_epoch(b)].has(log)
            same = iff(shown, is_prefix(log, self.high_watermark[b]))
            return implies(self.leading[b], all_of(named, same))

        return for_all(Broker, WholeLog, rule)

    @conjunct
    def asked_by_leader(self):
        """Only the leader of a decision asks, once it has applied it, and not to remove itself."""

        def rule(v, x, y):
            right = all_of(
                self.is_past(v),
                self.opened[self.epoch_of(v)],
                not_(self.leads(v, x)),
                implies(self.leads(v, y), self.partition_epoch[y] >= v),
            )
            return implies(self.alter_requests.has(partition_epoch=v, broker=x), right)

        return for_all(PartitionEpoch, Broker, Broker, rule)

    @conjunct
    def pending_is_asked(self):
        """A leader knows what it has asked for: else its maximal ISR were too small."""

        def rule(b, x):
            version = self.partition_epoch[b]
            asked = self.alter_requests.has(partition_epoch=version, broker=x)
            return implies(self.leading[b], iff(self.pending[b].has(x), asked))

        return for_all(Broker, Broker, rule)

    # ---- logs -----------------------------------------------------------------------------------

    @conjunct
    def written_by_leaders(self):
        """A log is in the log of the leader that wrote its last record."""

        def rule(log):
            epoch = last_epoch(log)
            by_leader = all_of(epoch != 0, self.opened[epoch], self.served[epoch].has(log))
            return implies(self.written.has(log), all_of(log != WholeLog.empty, by_leader))

        return for_all(WholeLog, rule)

    @conjunct
    def prefixes_are_written(self):
        """Prefixes of what was written were written, in no later epoch."""

        def rule(prefix, log):
            earlier = all_of(self.exists_log(prefix), last_epoch(prefix) <= last_epoch(log))
            return implies(all_of(self.written.has(log), is_prefix(prefix, log)), earlier)

        return for_all(WholeLog, WholeLog, rule)

    @conjunct
    def logs_are_written(self):
        """What a broker has was written, by leaders of its epoch and earlier ones."""

        def rule(b):
            log = self.log[b]
            return all_of(self.exists_log(log), last_epoch(log) <= self.leader_epoch(b))

        return for_all(Broker, rule)

    @conjunct
    def served_is_written(self):
        """What the leader of an epoch had was written, in this epoch and earlier ones."""

        def rule(e, log):
            right = all_of(self.opened[e], self.exists_log(log), last_epoch(log) <= e)
            return implies(self.served[e].has(log), right)

        return for_all(Epoch, WholeLog, rule)

    @conjunct
    def served_is_one_log(self):
        """What the leader of an epoch had are the prefixes of one log."""

        def chain(e, one, other):
            both = all_of(self.served[e].has(one), self.served[e].has(other))
            return implies(both, any_of(is_prefix(one, other), is_prefix(other, one)))

        def closed(e, prefix, log):
            part = all_of(self.served[e].has(log), is_prefix(prefix, log))
            return implies(part, self.served[e].has(prefix))

        return all_of(
            for_all(Epoch, WholeLog, WholeLog, chain), for_all(Epoch, WholeLog, WholeLog, closed)
        )

    # ---- fetch requests and acknowledgements ----------------------------------------------------

    @conjunct
    def requests_acknowledge(self):
        """A request was sent from a log that exists, and acknowledges its prefixes."""

        def rule(f, e, position, prefix):
            sent = self.fetch_requests.has(follower=f, epoch=e, position=position)
            known = self.acknowledged[f, e].has(prefix)
            return implies(
                sent,
                all_of(self.exists_log(position), implies(is_prefix(prefix, position), known)),
            )

        return for_all(Broker, Epoch, WholeLog, WholeLog, rule)

    @conjunct
    def acknowledged_is_written(self):
        """Nobody acknowledges in a future epoch, or what nobody wrote."""

        def rule(f, e, log):
            real = all_of(e <= self.leader_epoch(f), self.exists_log(log))
            return implies(self.acknowledged[f, e].has(log), real)

        return for_all(Broker, Epoch, WholeLog, rule)

    @conjunct
    def acknowledged_is_kept(self):
        """An acknowledgement, however old, is true as long as the follower is in its epoch, as far
        as the epoch's leader has the same; the rest will be truncated."""

        def rule(f, e, log):
            still_there = all_of(self.acknowledged[f, e].has(log), self.leader_epoch(f) == e)
            agreed = implies(self.opened[e], self.served[e].has(log))
            return implies(all_of(still_there, agreed), is_prefix(log, self.log[f]))

        return for_all(Broker, Epoch, WholeLog, rule)

    @conjunct
    def remembered_is_acknowledged(self):
        """What a leader remembers of a follower are acknowledgements in its epoch."""

        def rule(b, f, log):
            offset = self.remembered[b, f]
            counted = all_of(is_prefix(log, self.log[b]), length(log) <= offset)
            acknowledged = self.acknowledged[f, self.leader_epoch(b)].has(log)
            right = all_of(
                offset <= length(self.log[b]),
                implies(counted, any_of(log == WholeLog.empty, acknowledged)),
            )
            return implies(all_of(self.leading[b], b != f), right)

        return for_all(Broker, Broker, WholeLog, rule)

    # ---- what can still be committed ------------------------------------------------------------

    @conjunct
    def blocked_if_member_left(self):
        """Blocked at least when a member has left the epoch without acknowledging."""

        def rule(v, x, log):
            left = self.left_without(x, self.epoch_of(v), log)
            moved = all_of(self.is_past(v), self.is_follower_in(v, x), left)
            return implies(moved, self.blocked[v].has(log))

        return for_all(PartitionEpoch, Broker, WholeLog, rule)

    @conjunct
    def blocked_if_leader_went_on(self):
        """A log is blocked once its leader has gone on to a later decision uncommitted."""

        def rule(v, x, log):
            shown = self.served_high_watermark[self.epoch_of(v)].has(log)
            went_on = all_of(self.is_leader(v, x), self.partition_epoch[x] > v, not_(shown))
            return implies(went_on, self.blocked[v].has(log))

        return for_all(PartitionEpoch, Broker, WholeLog, rule)

    @conjunct(isolated=True)
    def blocked_only_if(self):
        """A log is blocked for these reasons only: so a leader that commits is not blocked."""

        def moved(v, x, log):
            left = self.left_without(x, self.epoch_of(v), log)
            went_on = all_of(self.leads(v, x), self.partition_epoch[x] > v)
            return any_of(all_of(self.is_follower_in(v, x), left), went_on)

        def rule(v, log):
            somebody = exists(Broker, lambda x: moved(v, x, log))
            return implies(self.blocked[v].has(log), all_of(self.is_past(v), somebody))

        return for_all(PartitionEpoch, WholeLog, rule)

    @cut("leader_increment_high_watermark")
    def shown_is_not_blocked(self, leader, shown):
        """Whoever acknowledged to a leader in its newest decision has not left without it."""
        return not_(self.blocked[self.partition_epoch[leader]].has(shown))

    @conjunct
    def kept(self):
        """Who acknowledged what can be committed, in that epoch or later, keeps it for good."""

        def rule(v, log, x, e):
            epoch = self.epoch_of(v)
            acknowledged = all_of(e >= epoch, self.acknowledged[x, e].has(log))
            later = self.leader_epoch(x) > epoch
            return implies(
                all_of(self.can_commit(v, log), acknowledged, later), is_prefix(log, self.log[x])
            )

        return for_all(PartitionEpoch, WholeLog, Broker, Epoch, rule)

    @conjunct
    def kept_by_leader(self):
        """Whoever led keeps, in its epoch and later, what could be committed under it."""

        def rule(v, log, x):
            since = all_of(self.leads(v, x), self.leader_epoch(x) >= self.epoch_of(v))
            return implies(all_of(self.can_commit(v, log), since), is_prefix(log, self.log[x]))

        return for_all(PartitionEpoch, WholeLog, Broker, rule)

    @conjunct
    def later_leaders_have(self):
        """Whoever takes over later starts with it."""

        def rule(v, log, e):
            later = all_of(self.opened[e], e > self.epoch_of(v))
            return implies(all_of(self.can_commit(v, log), later), self.served[e].has(log))

        return for_all(PartitionEpoch, WholeLog, Epoch, rule)

    @conjunct
    def later_members_have(self):
        """A later ISR member was one before, or has it in an epoch in which it cannot lose it."""

        def rule(v, log, w, x):
            epoch, later = self.epoch_of(v), all_of(v < w, self.is_past(w), self.is_member(w, x))
            acknowledged = self.acknowledged[x, epoch].has(log)
            right = any_of(
                self.is_member(v, x),
                all_of(self.leader_epoch(x) == epoch, acknowledged),
                all_of(self.leader_epoch(x) > epoch, is_prefix(log, self.log[x])),
            )
            return implies(all_of(self.can_commit(v, log), later), right)

        return for_all(PartitionEpoch, WholeLog, PartitionEpoch, Broker, rule)

    @conjunct
    def sealed_by_epochs(self):
        """Once a later epoch is opened, nothing new can be committed at the decision."""

        def rule(v, log, e):
            later = all_of(self.is_past(v), self.opened[e], e > self.epoch_of(v))
            return implies(all_of(later, not_(self.exists_log(log))), self.blocked[v].has(log))

        return for_all(PartitionEpoch, WholeLog, Epoch, rule)

    @conjunct
    def sealed_by_members(self):
        """Nor once somebody has joined later."""

        def rule(v, log, w, x):
            joined = all_of(self.is_member(w, x), not_(self.is_member(v, x)))
            later = all_of(v < w, self.is_past(w), joined)
            return implies(all_of(later, not_(self.exists_log(log))), self.blocked[v].has(log))

        return for_all(PartitionEpoch, WholeLog, PartitionEpoch, Broker, rule)

    # ---- what is committed ----------------------------------------------------------------------

    @conjunct
    def committed_by_leader(self):
        """It was written, and is shown by the leader of its decision."""

        def rule(v, log):
            epoch = self.epoch_of(v)
            shown = all_of(self.opened[epoch], self.served_high_watermark[epoch].has(log))
            real = all_of(self.is_past(v), self.written.has(log), last_epoch(log) <= epoch)
            return implies(self.committed_at[v].has(log), all_of(shown, real))

        return for_all(PartitionEpoch, WholeLog, rule)

    @conjunct
    def committed_is_not_blocked(self):
        """All members had acknowledged it, so it never will be."""

        def rule(v, log, x):
            acknowledged = self.acknowledged[x, self.epoch_of(v)].has(log)
            by_all = implies(self.is_follower_in(v, x), acknowledged)
            return implies(
                self.committed_at[v].has(log), all_of(not_(self.blocked[v].has(log)), by_all)
            )

        return for_all(PartitionEpoch, WholeLog, Broker, rule)

    @conjunct
    def committed_at_some_decision(self):
        """What is committed was committed by a leader, at a decision."""

        def rule(log):
            somewhen = exists(PartitionEpoch, lambda v: self.committed_at[v].has(log))
            return implies(self.committed.has(log), somewhen)

        return for_all(WholeLog, rule)

    @conjunct
    def prefixes_are_committed(self):
        """Records are committed in order."""

        def rule(prefix, log):
            part = all_of(self.committed.has(log), is_prefix(prefix, log))
            return implies(part, self.is_committed(prefix))

        return for_all(WholeLog, WholeLog, rule)

    @conjunct
    def shown_is_committed(self):
        """What leaders past and present show is committed, and theirs."""

        def rule(e, log):
            shown = self.served_high_watermark[e].has(log)
            return implies(shown, all_of(self.served[e].has(log), self.is_committed(log)))

        return for_all(Epoch, WholeLog, rule)

    @conjunct
    def high_watermarks_are_committed(self):
        """What any broker takes for committed is committed, and it has it."""

        def rule(b):
            known = self.high_watermark[b]
            return all_of(is_prefix(known, self.log[b]), self.is_committed(known))

        return for_all(Broker, rule)
