"""Replication with messages: what is the same whatever requests carry and brokers may lose.

State, brokers and promises of `replication_messages_protocol`, which says what this is about, and
of `replication_messages_elr_protocol`. Each of them has its pools of requests, its controller, and
the actions that look into a request.
"""

from spec.language import (
    BOOL,
    EMPTY,
    NONE,
    Log,
    Optional,
    Protocol,
    SetOf,
    Struct,
    action,
    all_of,
    any_of,
    const,
    end_of_last,
    exists,
    first_where,
    for_all,
    history,
    implies,
    invariant,
    ite,
    not_,
    number,
    per,
    require,
    smaller,
    var,
    when,
    witness,
)
from spec.language.sorts import Per
from spec.models.replication import NO_EPOCH, Broker, Epoch, Offset, Record, RecordId

EndOffset = Offset.end
"""An offset, or the one after the last."""
PartitionEpoch = number("PartitionEpoch")
"""Counts the controller's decisions about the partition, its PartitionChangeRecords."""

Decision = Struct(leader=Optional(Broker), epoch=Epoch, isr=SetOf(Broker))


class MessageReplication(Protocol):
    """What brokers do upon messages. Subclasses add the requests and the controller."""

    # ---- on a broker's disk
    log = per(Broker, Log(Record, Offset), init=EMPTY)
    high_watermark = per(Broker, EndOffset, init=0)
    # The newest decision that it has applied: leader, leader epoch and ISR follow from it.
    partition_epoch = per(Broker, PartitionEpoch, init=0)
    # ---- in a leader's memory
    # It has taken over as the leader of its epoch.
    leading = per(Broker, BOOL, init=False)
    # The offset of each follower's last fetch request.
    remembered = per(Broker, Per(Broker, EndOffset), init=0)
    # Whose ISR membership it has asked the controller to change.
    pending = per(Broker, Optional(Broker), init=NONE)
    # ---- the controller
    decision = per(
        PartitionEpoch,
        Decision,
        init=dict(leader=NONE, epoch=NO_EPOCH, isr=lambda version, broker: version == 0),
    )
    newest = var(PartitionEpoch, init=0)
    # ---- messages: what the leader of an epoch can have answered
    # The epoch's leader has begun to answer.
    opened = per(Epoch, BOOL, init=False)
    served = per(Epoch, Log(Record, Offset), init=EMPTY)
    served_high_watermark = per(Epoch, EndOffset, init=0)
    # ---- nobody's: names for records, and what was ever shown to consumers or acknowledged
    next_record_id = var(RecordId.end, init=0)
    committed = history(var(Log(Record, Offset), init=EMPTY))

    # ---- definitions ----------------------------------------------------------------------------

    def leader_epoch(self, broker):
        return self.decision[self.partition_epoch[broker]].epoch

    def leader_of(self, broker):
        return self.decision[self.partition_epoch[broker]].leader

    def isr_of(self, broker):
        return self.decision[self.partition_epoch[broker]].isr

    def maximal_isr(self, leader):
        """KIP-497: the committed ISR and whoever the controller may already have added to it."""
        return self.isr_of(leader).plus(self.pending[leader])

    def last_epoch(self, log):
        return ite(log.is_empty(), NO_EPOCH, log[log.end_offset - 1].epoch)

    def epoch_start(self, leader):
        """Offset of the first record of the leader's epoch; before it writes, its log's end."""
        log, epoch = self.log[leader], self.leader_epoch(leader)
        return first_where(log.end_offset, lambda offset: log[offset].epoch == epoch)

    def epoch_end(self, log, epoch):
        """Where the records of this epoch and earlier ones end (OffsetForLeaderEpoch)."""
        return end_of_last(log.end_offset, lambda offset: log[offset].epoch <= epoch)

    def diverges(self, log, offset, last_epoch):
        """KIP-595's check of a fetch position: the epoch's records end earlier, or it has none."""
        end = self.epoch_end(log, last_epoch)
        return all_of(offset > 0, any_of(end < offset, log[end - 1].epoch != last_epoch))

    def is_follower(self, broker):
        return all_of(self.leader_of(broker) != NONE, self.leader_of(broker) != broker)

    # ---- the controller -------------------------------------------------------------------------

    def decide(self, new, leader, epoch, isr):
        version = self.newest + 1
        new.decision[version] = dict(leader=leader, epoch=epoch, isr=isr)
        new.newest = version

    def is_newest(self, partition_epoch):
        # Without this a request that another decision has overtaken would still count, that of a
        # deposed leader say: it could bring a broker into an ISR that has moved on.
        return partition_epoch == self.newest

    # ---- every broker ---------------------------------------------------------------------------

    def is_news(self, broker, partition_epoch):
        # Without this an older decision of the same epoch would bring back an older, smaller ISR,
        # and with it a high watermark that ignores a member the controller has added since.
        return partition_epoch > self.partition_epoch[broker]

    def forget_followers(self, new, leader):
        # Without this what a follower fetched in an older epoch would count, though it may have
        # truncated it since.
        new.remembered[leader] = lambda follower: const(0, Offset)

    @action
    def apply_decision(self, new, broker: Broker, partition_epoch: PartitionEpoch):
        """Metadata or an answer to AlterPartition arrives. Decisions may be skipped."""
        now = self.decision[partition_epoch]
        require(partition_epoch <= self.newest, self.is_news(broker, partition_epoch))
        # An older leader epoch is never gone back to, whatever the partition epoch.
        require(now.epoch >= self.leader_epoch(broker))
        new_epoch, leads = now.epoch > self.leader_epoch(broker), now.leader == broker
        new.partition_epoch[broker] = partition_epoch
        # What it had asked for is decided: accepted, or too late.
        new.pending[broker] = NONE
        with when(new_epoch):
            new.leading[broker] = leads
        with when(all_of(new_epoch, leads)):
            self.forget_followers(new, broker)
            new.opened[now.epoch] = True
            new.served[now.epoch] = self.log[broker]
            new.served_high_watermark[now.epoch] = self.high_watermark[broker]
        self.send_fetch(new, broker)

    @action
    def restart(self, new, broker: Broker, checkpoint: EndOffset):
        """It crashed and comes back: memory is lost, the high watermark is that on disk."""
        require(checkpoint <= self.high_watermark[broker])
        new.high_watermark[broker] = checkpoint
        self.resign(new, broker)
        new.pending[broker] = NONE

    def resign(self, new, broker):
        # A leader that led on in the same epoch would have forgotten that it asked for an ISR
        # member, and would commit without it although the controller may have added it.
        new.leading[broker] = False

    # ---- a leader -------------------------------------------------------------------------------

    def take_record_id(self, new):
        new.next_record_id = self.next_record_id + 1
        return self.next_record_id

    @action
    def leader_write(self, new, leader: Broker):
        """A deposed leader writes too: it cannot know. It commits until its ISR has moved on."""
        require(self.leading[leader])
        record = dict(id=self.take_record_id(new), epoch=self.leader_epoch(leader))
        new.log[leader].append(record)
        new.served[self.leader_epoch(leader)].append(record)

    def accepts_epoch(self, leader, epoch):
        # Without this a follower that has moved on, and may have truncated, would still count.
        return self.leader_epoch(leader) == epoch

    def accepts_position(self, leader, offset, last_epoch):
        # Without this a follower with other records, not yet truncated, would be counted.
        return not_(self.diverges(self.log[leader], offset, last_epoch))

    def may_join(self, leader, follower):
        # A new leader's high watermark lags. Without the start of its epoch a follower could join
        # the ISR that lacks records the previous leader committed, and be elected (KAFKA-7128).
        offset = self.remembered[leader, follower]
        return all_of(offset >= self.high_watermark[leader], offset >= self.epoch_start(leader))

    def may_ask(self, leader):
        # One request at a time: else it would not know its maximal ISR.
        return self.pending[leader] == NONE

    @action
    def leader_ask_to_expand_isr(self, new, leader: Broker, follower: Broker):
        """AlterPartition, for a follower that has caught up."""
        require(not_(self.isr_of(leader).has(follower)), self.may_join(leader, follower))
        self.ask(new, leader, follower)

    @action
    def leader_ask_to_shrink_isr(self, new, leader: Broker, follower: Broker):
        """Any follower, at any time: `too slow` is for clocks to say, and safety has none."""
        require(self.isr_of(leader).has(follower))
        self.ask(new, leader, follower)

    @action
    def leader_increment_high_watermark(self, new, leader: Broker):
        """A record is committed once the maximal ISR has acknowledged it in this epoch."""
        hw, log = self.high_watermark[leader], self.log[leader]
        epoch = self.leader_epoch(leader)
        require(self.leading[leader], log.has_offset(hw))

        def has_acknowledged(member):
            return any_of(member == leader, self.remembered[leader, member] > hw)

        # With the minimal ISR instead (already without the member to be removed, not yet with the
        # one to be added) records would commit that a member of the controller's ISR lacks.
        require(for_all(self.maximal_isr(leader), has_acknowledged))
        new.high_watermark[leader] = hw + 1
        with when(self.served_high_watermark[epoch] <= hw):
            new.served_high_watermark[epoch] = hw + 1
        with when(self.committed.end_offset <= hw):
            new.committed.append(log[hw])

    # ---- a follower -----------------------------------------------------------------------------

    def response_diverges(self, follower, epoch):
        log = self.log[follower]
        return self.diverges(self.served[epoch], log.end_offset, self.last_epoch(log))

    @action
    def follower_append(self, new, follower: Broker, epoch: Epoch):
        """A record of a fetch response."""
        end = self.log[follower].end_offset
        require(self.has_response(follower, epoch))
        require(not_(self.response_diverges(follower, epoch)))
        require(self.served[epoch].has_offset(end))
        new.log[follower].append(self.served[epoch][end])
        self.send_fetch(new, follower)

    @action
    def follower_learn_high_watermark(
        self, new, follower: Broker, epoch: Epoch, high_watermark: EndOffset
    ):
        """The high watermark of a fetch response, perhaps an old one."""
        require(self.has_response(follower, epoch))
        require(not_(self.response_diverges(follower, epoch)))
        require(high_watermark <= self.served_high_watermark[epoch])
        new.high_watermark[follower] = smaller(high_watermark, self.log[follower].end_offset)

    # ---- what must never break ------------------------------------------------------------------

    @invariant("LEAD-03", "LEAD-04", "LEAD-08", "ISR-02", "ISR-08")
    def isr_has_committed(self):
        """Whoever the controller may elect has every record that anybody was told of."""

        def rule(member, offset):
            electable, log = self.decision[self.newest].isr.has(member), self.log[member]
            has = all_of(log.has_offset(offset), log[offset] == self.committed[offset])
            return implies(all_of(electable, self.committed.has_offset(offset)), has)

        return for_all(Broker, Offset, rule)

    @invariant("ISR-03", "LOG-02", "LOG-03")
    def consumers_agree(self):
        """Whatever a broker shows as committed is the one committed log."""

        def rule(broker, offset):
            same = self.log[broker][offset] == self.committed[offset]
            is_committed = all_of(self.committed.has_offset(offset), same)
            return implies(offset < self.high_watermark[broker], is_committed)

        return for_all(Broker, Offset, rule)

    @invariant("LOG-03")
    def high_watermark_within_log(self):
        """No high watermark is past the end of its log."""
        return for_all(Broker, lambda b: self.high_watermark[b] <= self.log[b].end_offset)

    @invariant("LOG-03", "LOG-04")
    def log_matching(self):
        """Logs that agree in the epoch at an offset agree in all records up to it."""

        def rule(a, b, offset, before):
            both = all_of(self.log[a].has_offset(offset), self.log[b].has_offset(offset))
            agree = all_of(both, self.log[a][offset].epoch == self.log[b][offset].epoch)
            same = self.log[a][before] == self.log[b][before]
            return implies(all_of(agree, before <= offset), same)

        return for_all(Broker, Broker, Offset, Offset, rule)

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
        return for_all(Broker, lambda b: implies(now.leader == b, now.isr.has(b)))

    # ---- what must be possible ------------------------------------------------------------------

    @witness
    def a_later_leader_has_a_committed_record(self):
        """Otherwise the invariants would say nothing of failover."""
        return exists(
            Broker,
            lambda broker: all_of(
                self.leading[broker],
                self.high_watermark[broker] > 0,
                self.log[broker][0].epoch < self.leader_epoch(broker),
            ),
        )

    @witness
    def a_deposed_leader_commits_on_old_acknowledgements(self):
        """It shows more than its successor: acknowledgements of its epoch were still in flight."""

        def deposed(old, leader):
            older = self.leader_epoch(old) < self.leader_epoch(leader)
            more = self.high_watermark[old] > self.high_watermark[leader]
            return all_of(self.leading[old], self.leading[leader], older, more)

        return exists(Broker, Broker, deposed)
