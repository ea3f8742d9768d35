"""Replication with messages, once more, with a whole log as one value: the text that is proved.

It says what `replication_messages_protocol` says, action by action and under the same names. There
a log is an array of records, as in a broker, and an implementation can be checked step by step.
A proof for logs of any length wants the opposite: a log is one value, known by its prefixes, the
epoch of its last record and its length, and nobody counts. What differs:

* What an action computes there (the longer log, the end of an epoch, the next partition epoch) is
  a parameter here, and the guard says which one it is.
* A fetch request holds the log that it was sent from. Guards look at no more of it than a real
  request says, its length and last epoch; `log_matching` says that this is enough.
* `served` is the set of logs that an epoch's leader has had since it took over, their prefixes
  included, and a high watermark is the committed part of the log, not its length.

Why each rule is there, the other text says at the same place. The tests explore both texts and
find the same states, one for one, once records have no ids there: as many at each level, with as
many steps of each action; and what is wrong in both breaks both after equally many.
"""

from spec.language import (
    BOOL,
    EMPTY,
    NOBODY,
    Messages,
    Protocol,
    Sequences,
    SetExpr,
    SetOf,
    Struct,
    action,
    all_of,
    any_of,
    const,
    exists,
    for_all,
    history,
    implies,
    invariant,
    ite,
    ite_set,
    not_,
    only,
    order,
    per,
    require,
    var,
    when,
    witness,
)
from spec.language.sorts import Per
from spec.models.replication import Broker

Epoch = order("LeaderEpoch")
"""Leader epochs; 0 comes before the first."""
Length = order("LogLength")
PartitionEpoch = order("PartitionEpoch")
WholeLog = Sequences("WholeLog", epoch=Epoch, offset=Length)

Decision = Struct(leader=SetOf(Broker), epoch=Epoch, isr=SetOf(Broker))

is_prefix, length, last_epoch = WholeLog.prefix, WholeLog.length, WholeLog.last_epoch


def is_next(sort, now, later):
    """`later` comes right after `now`."""
    return all_of(now < later, for_all(sort, lambda x: any_of(x <= now, later <= x)))


def prefixes_of(log):
    return SetExpr(WholeLog, lambda prefix: is_prefix(prefix, log))


class WholeLogReplication(Protocol):
    """Replication with messages, fenced by epochs, each log one value."""

    # ---- on a broker's disk
    log = per(Broker, WholeLog, init=EMPTY)
    # The part of the log that it knows to be committed.
    high_watermark = per(Broker, WholeLog, init=EMPTY)
    partition_epoch = per(Broker, PartitionEpoch, init=0)
    # ---- in a leader's memory
    leading = per(Broker, BOOL, init=False)
    remembered = per(Broker, Per(Broker, Length), init=0)
    # Nobody or one broker, as a set: a solver then need not know a broker that is none.
    pending = per(Broker, SetOf(Broker), init=NOBODY)
    # ---- the controller
    decision = per(
        PartitionEpoch,
        Decision,
        init={"leader": NOBODY, "epoch": 0, "isr": lambda version, broker: version == 0},
    )
    newest = var(PartitionEpoch, init=0)
    # ---- messages
    fetch_requests = var(Messages(follower=Broker, epoch=Epoch, position=WholeLog), init=EMPTY)
    alter_requests = var(Messages(partition_epoch=PartitionEpoch, broker=Broker), init=EMPTY)
    opened = per(Epoch, BOOL, init=False)
    # All logs that the epoch's leader has had, and all that it has shown as committed.
    served = per(Epoch, SetOf(WholeLog), init=NOBODY)
    served_high_watermark = per(Epoch, SetOf(WholeLog), init=NOBODY)
    # ---- nobody's: what was ever committed
    committed = history(var(SetOf(WholeLog), init=NOBODY))

    # ---- definitions ----------------------------------------------------------------------------

    def decision_of(self, broker):
        return self.decision[self.partition_epoch[broker]]

    def leader_epoch(self, broker):
        return self.decision_of(broker).epoch

    def isr_of(self, broker):
        return self.decision_of(broker).isr

    def is_in_maximal_isr(self, leader, broker):
        """KIP-497: the committed ISR and whoever the controller may already have added to it."""
        return any_of(self.isr_of(leader).has(broker), self.pending[leader].has(broker))

    def is_epoch_end(self, logs, epoch, end):
        """`end` is the longest of these prefixes of one log without a record after `epoch`."""

        def is_beyond(log):
            return all_of(last_epoch(log) <= epoch, not_(is_prefix(log, end)))

        return all_of(
            logs.has(end),
            last_epoch(end) <= epoch,
            for_all(WholeLog, lambda log: not_(all_of(logs.has(log), is_beyond(log)))),
        )

    def diverges(self, end, position):
        """KIP-595's check, where the leader's records up to the position's last epoch end."""
        behind = any_of(length(end) < length(position), last_epoch(end) != last_epoch(position))
        return all_of(position != WholeLog.empty, behind)

    def is_follower(self, broker):
        leader = self.decision_of(broker).leader
        return all_of(not_(leader.is_empty()), not_(leader.has(broker)))

    # ---- controller -----------------------------------------------------------------------------

    def decide(self, new, version, leader, epoch, isr):
        require(is_next(PartitionEpoch, self.newest, version))
        new.decision[version] = {"leader": leader, "epoch": epoch, "isr": isr}
        new.newest = version

    def is_electable(self, broker):
        return self.decision[self.newest].isr.has(broker)

    @action
    def controller_elect_leader(self, new, leader: Broker, version: PartitionEpoch, epoch: Epoch):
        now = self.decision[self.newest]
        require(self.is_electable(leader))
        require(not_(now.leader.has(leader)))
        require(is_next(Epoch, now.epoch, epoch))
        self.decide(new, version, only(leader), epoch, now.isr)

    @action
    def controller_fence_broker(
        self, new, broker: Broker, leader: Broker, version: PartitionEpoch, epoch: Epoch
    ):
        now = self.decision[self.newest]
        leads, last = now.leader.has(broker), now.isr == only(broker)
        rest = now.isr.minus(broker)
        require(now.isr.has(broker))
        # As the last one the broker stays, nobody leads, and the parameter repeats it.
        require(ite(leads, ite(last, leader == broker, rest.has(leader)), now.leader.has(leader)))
        # KAFKA-15021: no epoch need begin where the leader stays.
        bumps = is_next(Epoch, now.epoch, epoch)
        require(any_of(bumps, all_of(not_(leads), epoch == now.epoch)))
        successor = only(leader).minus(broker)
        self.decide(new, version, successor, epoch, ite_set(last, now.isr, rest))

    @action
    def controller_alter_partition(
        self, new, partition_epoch: PartitionEpoch, broker: Broker, version: PartitionEpoch
    ):
        require(self.alter_requests.has(partition_epoch=partition_epoch, broker=broker))
        require(self.is_newest(partition_epoch))
        now = self.decision[self.newest]
        changed = ite_set(now.isr.has(broker), now.isr.minus(broker), now.isr.plus(broker))
        self.decide(new, version, now.leader, now.epoch, changed)

    def is_newest(self, partition_epoch):
        return partition_epoch == self.newest

    # ---- every broker ---------------------------------------------------------------------------

    def is_news(self, broker, partition_epoch):
        return partition_epoch > self.partition_epoch[broker]

    def forget_followers(self, new, leader):
        new.remembered[leader] = lambda follower: const(0, Length)

    @action
    def apply_decision(self, new, broker: Broker, partition_epoch: PartitionEpoch):
        now = self.decision[partition_epoch]
        # Decisions may be skipped, never taken back.
        require(partition_epoch <= self.newest, self.is_news(broker, partition_epoch))
        require(now.epoch >= self.leader_epoch(broker))
        new_epoch, leads = now.epoch > self.leader_epoch(broker), now.leader.has(broker)
        new.partition_epoch[broker] = partition_epoch
        new.pending[broker] = NOBODY
        with when(new_epoch):
            new.leading[broker] = leads
        with when(all_of(new_epoch, leads)):
            self.forget_followers(new, broker)
            new.opened[now.epoch] = True
            new.served[now.epoch] = prefixes_of(self.log[broker])
            new.served_high_watermark[now.epoch] = prefixes_of(self.high_watermark[broker])
        self.send_fetch(new, broker)

    @action
    def restart(self, new, broker: Broker, checkpoint: WholeLog):
        # The checkpoint on disk lags.
        require(is_prefix(checkpoint, self.high_watermark[broker]))
        new.high_watermark[broker] = checkpoint
        self.resign(new, broker)
        new.pending[broker] = NOBODY

    def resign(self, new, broker):
        new.leading[broker] = False

    # ---- leader ---------------------------------------------------------------------------------

    @action
    def leader_write(self, new, leader: Broker, longer: WholeLog):
        require(self.leading[leader])
        epoch = self.leader_epoch(leader)
        # One record more, with the leader's epoch.
        require(WholeLog.is_extension(longer, self.log[leader]), last_epoch(longer) == epoch)
        new.log[leader] = longer
        new.served[epoch] = self.served[epoch].plus(longer)

    def accepts_epoch(self, leader, epoch):
        return self.leader_epoch(leader) == epoch

    def accepts_position(self, end, position):
        return not_(self.diverges(end, position))

    @action
    def leader_handle_fetch(
        self,
        new,
        leader: Broker,
        follower: Broker,
        epoch: Epoch,
        position: WholeLog,
        end: WholeLog,
    ):
        require(self.leading[leader], leader != follower)
        require(self.fetch_requests.has(follower=follower, epoch=epoch, position=position))
        require(self.accepts_epoch(leader, epoch))
        logs = prefixes_of(self.log[leader])
        require(self.is_epoch_end(logs, last_epoch(position), end))
        require(self.accepts_position(end, position))
        new.remembered[leader, follower] = length(position)

    def is_past_epoch_start(self, leader, offset):
        """It is not below the first record of the leader's epoch."""
        epoch = self.leader_epoch(leader)

        def is_older(log):
            return all_of(is_prefix(log, self.log[leader]), last_epoch(log) < epoch)

        return for_all(WholeLog, lambda log: implies(is_older(log), length(log) <= offset))

    def may_join(self, leader, follower):
        offset = self.remembered[leader, follower]
        high_watermark = length(self.high_watermark[leader])
        return all_of(high_watermark <= offset, self.is_past_epoch_start(leader, offset))

    def may_ask(self, leader):
        return self.pending[leader].is_empty()

    def ask(self, new, leader, broker):
        require(self.leading[leader], leader != broker)
        require(self.may_ask(leader))
        new.pending[leader] = only(broker)
        new.alter_requests.send(partition_epoch=self.partition_epoch[leader], broker=broker)

    @action
    def leader_ask_to_expand_isr(self, new, leader: Broker, follower: Broker):
        require(not_(self.isr_of(leader).has(follower)), self.may_join(leader, follower))
        self.ask(new, leader, follower)

    @action
    def leader_ask_to_shrink_isr(self, new, leader: Broker, follower: Broker):
        require(self.isr_of(leader).has(follower))
        self.ask(new, leader, follower)

    @action
    def leader_increment_high_watermark(self, new, leader: Broker, shown: WholeLog):
        epoch = self.leader_epoch(leader)
        require(self.leading[leader], is_prefix(shown, self.log[leader]))
        # One record more is shown, once the maximal ISR has acknowledged it.
        require(WholeLog.is_extension(shown, self.high_watermark[leader]))

        def acknowledged(member):
            has = any_of(member == leader, self.remembered[leader, member] >= length(shown))
            return implies(self.is_in_maximal_isr(leader, member), has)

        require(for_all(Broker, acknowledged))
        new.high_watermark[leader] = shown
        new.served_high_watermark[epoch] = self.served_high_watermark[epoch].plus(shown)
        new.committed = self.committed.plus(shown)

    # ---- follower -------------------------------------------------------------------------------

    def send_fetch(self, new, follower):
        with when(new.is_follower(follower)):
            new.fetch_requests.send(
                follower=follower, epoch=new.leader_epoch(follower), position=new.log[follower]
            )

    def expects_epoch(self, follower, epoch):
        return self.leader_epoch(follower) == epoch

    def is_position(self, follower, position):
        """A request from this position says what one from the follower's own would say."""
        log = self.log[follower]
        return all_of(length(position) == length(log), last_epoch(position) == last_epoch(log))

    def receive(self, follower, epoch, position, end):
        """The leader of `epoch` may have answered a request from the follower's present position;
        its records up to the follower's last epoch end at `end`."""
        # The leader of the follower's own epoch, once it has taken over.
        require(self.is_follower(follower), self.opened[epoch])
        require(self.expects_epoch(follower, epoch))
        require(self.fetch_requests.has(follower=follower, epoch=epoch, position=position))
        require(self.is_position(follower, position))
        require(self.is_epoch_end(self.served[epoch], last_epoch(position), end))

    @action
    def follower_append(
        self,
        new,
        follower: Broker,
        epoch: Epoch,
        position: WholeLog,
        end: WholeLog,
        before: WholeLog,
        longer: WholeLog,
    ):
        """A record of a response, the one after the leader's log `before` of the same length.

        The follower's log becomes `longer`, as if it had been `before`; `fetched_after_own_log`
        says that it was.
        """
        self.receive(follower, epoch, position, end)
        require(not_(self.diverges(end, position)))
        # All that is known of `before` is its length: the follower fetches by offset.
        require(self.served[epoch].has(before), length(before) == length(position))
        require(self.served[epoch].has(longer), WholeLog.is_extension(longer, before))
        new.log[follower] = longer
        self.send_fetch(new, follower)

    @action
    def follower_learn_high_watermark(
        self,
        new,
        follower: Broker,
        epoch: Epoch,
        position: WholeLog,
        end: WholeLog,
        shown: WholeLog,
        known: WholeLog,
    ):
        """The high watermark of a response, perhaps an old one, as far as the own log goes."""
        log = self.log[follower]
        self.receive(follower, epoch, position, end)
        require(not_(self.diverges(end, position)))
        require(self.served_high_watermark[epoch].has(shown))
        # The shorter of the two: what is shown may be more than the follower has.
        require(is_prefix(known, log), length(known) <= length(shown))
        require(any_of(known == log, length(known) == length(shown)))
        new.high_watermark[follower] = known

    @action
    def follower_truncate(
        self,
        new,
        follower: Broker,
        epoch: Epoch,
        position: WholeLog,
        end: WholeLog,
        kept: WholeLog,
    ):
        """`kept` is the longest prefix of the own log that ends neither after `end` nor later."""
        self.receive(follower, epoch, position, end)
        require(self.diverges(end, position))
        short = prefixes_of(self.log[follower]).where(lambda log: length(log) <= length(end))
        require(self.is_epoch_end(short, last_epoch(end), kept))
        known = self.high_watermark[follower]
        new.log[follower] = kept
        new.high_watermark[follower] = ite(length(known) <= length(kept), known, kept)
        self.send_fetch(new, follower)

    # ---- what must never break ------------------------------------------------------------------

    @invariant("LEAD-03", "LEAD-04", "LEAD-08", "ISR-02", "ISR-08")
    def isr_has_committed(self):
        """Whoever the controller may elect has every record that anybody was told of."""

        def rule(member, log):
            electable = self.decision[self.newest].isr.has(member)
            must_have = all_of(electable, self.committed.has(log))
            return implies(must_have, is_prefix(log, self.log[member]))

        return for_all(Broker, WholeLog, rule)

    @invariant("ISR-03", "LOG-02", "LOG-03")
    def consumers_agree(self):
        """What a broker shows is committed, and what is committed is one log."""

        def is_committed(broker):
            shown = self.high_watermark[broker]
            return any_of(shown == WholeLog.empty, self.committed.has(shown))

        def agree(a, b):
            both = all_of(self.committed.has(a), self.committed.has(b))
            return implies(both, any_of(is_prefix(a, b), is_prefix(b, a)))

        return all_of(for_all(Broker, is_committed), for_all(WholeLog, WholeLog, agree))

    @invariant("LOG-03")
    def high_watermark_within_log(self):
        """It is part of the log."""
        return for_all(Broker, lambda b: is_prefix(self.high_watermark[b], self.log[b]))

    @invariant("LOG-03", "LOG-04")
    def log_matching(self):
        """Logs that agree in the epoch at an offset are the same up to it."""

        def rule(a, b, one, other):
            parts = all_of(is_prefix(one, self.log[a]), is_prefix(other, self.log[b]))
            same_epoch = last_epoch(one) == last_epoch(other)
            match = all_of(parts, same_epoch, length(one) == length(other))
            return implies(match, one == other)

        return for_all(Broker, Broker, WholeLog, WholeLog, rule)

    @invariant("LOG-04")
    def fetched_after_own_log(self):
        """What the leader has at a follower's offset follows the follower's own log."""

        def rule(f, e, end, before):
            log, logs = self.log[f], self.served[e]
            answered = all_of(self.opened[e], self.is_epoch_end(logs, last_epoch(log), end))
            agreed = all_of(answered, not_(self.diverges(end, log)))
            at_offset = all_of(logs.has(before), length(before) == length(log))
            return implies(all_of(agreed, at_offset), before == log)

        return for_all(Broker, Epoch, WholeLog, WholeLog, rule)

    @invariant("LEAD-01")
    def one_leader_per_epoch(self):
        """Two brokers that lead do so in different epochs."""

        def rule(a, b):
            same = self.leader_epoch(a) == self.leader_epoch(b)
            return implies(all_of(self.leading[a], self.leading[b], same), a == b)

        return for_all(Broker, Broker, rule)

    @invariant("ISR-01")
    def leader_in_isr(self):
        """The leader, if there is one, is in the ISR."""
        now = self.decision[self.newest]
        return for_all(now.leader, lambda leader: now.isr.has(leader))

    # ---- what must be possible ------------------------------------------------------------------

    @witness
    def a_later_leader_has_a_committed_record(self):
        """Otherwise the invariants would say nothing of failover."""

        def is_old(broker, log):
            shown = is_prefix(log, self.high_watermark[broker])
            older = last_epoch(log) < self.leader_epoch(broker)
            return all_of(self.leading[broker], shown, log != WholeLog.empty, older)

        return exists(Broker, WholeLog, is_old)

    @witness
    def a_deposed_leader_commits_on_old_acknowledgements(self):
        """It shows more than its successor: acknowledgements of its epoch were still in flight."""

        def deposed(old, leader):
            older = self.leader_epoch(old) < self.leader_epoch(leader)
            more = length(self.high_watermark[old]) > length(self.high_watermark[leader])
            return all_of(self.leading[old], self.leading[leader], older, more)

        return exists(Broker, Broker, deposed)
