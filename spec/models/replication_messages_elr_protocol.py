"""Replication with messages, where brokers lose what they had not flushed: KIP-966 and KIP-903.

`replication_messages_protocol` with three things more, each what one message or one decision does,
so that a cluster can be checked step by step:

* A broker may come back with less than it acknowledged. Then the controller has taken it out of
  ISR and ELR before it takes part, and it begins with metadata no older than that.
* A decision has an ELR: who left the ISR while it was too small to commit anything, and so has all
  that is committed. How small that is, min.insync.replicas says; here the controller chooses at
  each decision whether the ISR is large enough, and the ELR empty, which covers every setting.
* Requests name the life of the follower that they are about, its broker epoch. A life ends here
  where data are lost; a broker that restarts with all its data has nothing to hide.

Besides, brokers come and go by reassignment (a broker that is no replica is one outside both sets
that lost everything), decisions are made that change neither leader nor ISR, and a follower may
truncate less than it could, as Kafka does where it lacks the epoch that the leader named (KIP-279).

This text is explored in small instances. The proof for any size is of the protocol without losses
(`replication_messages_whole_logs`) and of the idealised `eligible_leaders`.
"""

from spec.language import (
    BOOL,
    EMPTY,
    NOBODY,
    NONE,
    Messages,
    SetOf,
    action,
    all_of,
    any_of,
    const,
    exists,
    for_all,
    implies,
    invariant,
    ite,
    ite_set,
    not_,
    number,
    only,
    per,
    require,
    smaller,
    var,
    when,
    witness,
)
from spec.language.sorts import Per
from spec.models.replication import NO_EPOCH, Broker, Epoch, Offset
from spec.models.replication_messages_core import (
    EndOffset,
    MessageReplication,
    PartitionEpoch,
)

BrokerEpoch = number("BrokerEpoch")
"""Tells the lives of a broker apart, from one loss of data to the next."""


class ReplicationWithElr(MessageReplication):
    """Replication with messages among brokers that lose what they had not flushed (KIP-966)."""

    # Who is as good as a member of the ISR, at each decision.
    elr = per(PartitionEpoch, SetOf(Broker), init=NOBODY)
    # The life of each broker that the controller has registered.
    broker_epoch = per(Broker, BrokerEpoch, init=0)
    # In a leader's memory: the life that each follower's last fetch request came from.
    remembered_life = per(Broker, Per(Broker, BrokerEpoch), init=0)
    fetch_requests = var(
        Messages(
            follower=Broker,
            broker_epoch=BrokerEpoch,
            epoch=Epoch,
            offset=EndOffset,
            last_epoch=Epoch,
        ),
        init=EMPTY,
    )
    alter_requests = var(
        Messages(partition_epoch=PartitionEpoch, broker=Broker, broker_epoch=BrokerEpoch),
        init=EMPTY,
    )

    # ---- definitions ----------------------------------------------------------------------------

    def is_eligible(self, version, broker):
        return any_of(self.decision[version].isr.has(broker), self.elr[version].has(broker))

    def decide_elr(self, new, elr, is_small):
        """The ELR of a decision; beside an ISR that is large enough to commit it is empty."""
        new.elr[self.newest + 1] = elr.where(lambda _: is_small)

    # ---- the controller -------------------------------------------------------------------------

    def is_electable(self, broker):
        # Kafka asks the ELR only when nobody is left in the ISR.
        now = self.decision[self.newest]
        from_elr = all_of(now.isr.is_empty(), self.elr[self.newest].has(broker))
        return any_of(now.isr.has(broker), from_elr)

    @action
    def controller_elect_leader(self, new, leader: Broker, is_small: BOOL):
        """An election from the ISR, or from the ELR where the ISR is empty."""
        now = self.decision[self.newest]
        require(self.is_electable(leader))
        require(now.leader != leader)
        self.decide(new, leader, now.epoch + 1, now.isr.plus(leader))
        self.decide_elr(new, self.elr[self.newest].minus(leader), is_small)

    def names_successor(self, broker, leader, rest):
        """Where the broker led, `leader` follows it, or nobody: then it repeats the broker."""
        leads = self.decision[self.newest].leader == broker
        return any_of(leader == broker, all_of(leads, rest.has(leader)))

    def leader_without(self, broker, leader):
        """Who leads when a broker is taken out of the ISR; its successor may be nobody."""
        now = self.decision[self.newest]
        return ite(now.leader == broker, ite(leader == broker, NONE, leader), now.leader)

    def ends_epoch(self, broker, epoch):
        """A new leader, or none, has a new epoch; otherwise there may be one or not."""
        now = self.decision[self.newest]
        stays = all_of(now.leader != broker, epoch == now.epoch)
        return any_of(epoch == now.epoch + 1, stays)

    @action
    def controller_fence_broker(
        self, new, broker: Broker, leader: Broker, epoch: Epoch, is_small: BOOL
    ):
        """A broker failed or shuts down: it leaves the ISR, but it still has what it had."""
        now = self.decision[self.newest]
        rest = now.isr.minus(broker)
        require(now.isr.has(broker), self.names_successor(broker, leader, rest))
        require(self.ends_epoch(broker, epoch))
        self.decide(new, self.leader_without(broker, leader), epoch, rest)
        self.decide_elr(new, self.elr[self.newest].plus(broker), is_small)

    @action
    def controller_depose_leader(self, new, is_small: BOOL):
        """Nobody who may lead is alive. Without an ELR the last member stays in the ISR."""
        now = self.decision[self.newest]
        require(now.leader != NONE)
        self.decide(new, NONE, now.epoch + 1, now.isr)
        self.decide_elr(new, self.elr[self.newest], is_small)

    @action
    def controller_remove_broker(
        self, new, broker: Broker, leader: Broker, epoch: Epoch, is_small: BOOL
    ):
        """A broker registers without proof of a clean shutdown, or is to be no replica any more.

        It leaves both sets, even if nobody is left.
        """
        now = self.decision[self.newest]
        rest = now.isr.minus(broker)
        require(self.is_eligible(self.newest, broker))
        require(self.names_successor(broker, leader, rest), self.ends_epoch(broker, epoch))
        self.decide(new, self.leader_without(broker, leader), epoch, rest)
        self.decide_elr(new, self.elr[self.newest].minus(broker), is_small)

    @action
    def controller_decide_anew(self, new, epoch: Epoch, is_small: BOOL):
        """A decision about something else, or the same leader in a new epoch."""
        now = self.decision[self.newest]
        require(any_of(epoch == now.epoch, epoch == now.epoch + 1))
        self.decide(new, now.leader, epoch, now.isr)
        self.decide_elr(new, self.elr[self.newest], is_small)

    def names_living_broker(self, broker, broker_epoch):
        # KIP-903: the follower that caught up may have lost what it had then.
        return self.broker_epoch[broker] == broker_epoch

    @action
    def controller_alter_partition(
        self,
        new,
        partition_epoch: PartitionEpoch,
        broker: Broker,
        broker_epoch: BrokerEpoch,
        is_small: BOOL,
    ):
        """AlterPartition arrives, and is accepted."""
        request = dict(partition_epoch=partition_epoch, broker=broker, broker_epoch=broker_epoch)
        require(self.alter_requests.has(**request), self.is_newest(partition_epoch))
        now, elr = self.decision[self.newest], self.elr[self.newest]
        leaves = now.isr.has(broker)
        require(any_of(leaves, self.names_living_broker(broker, broker_epoch)))
        isr = ite_set(leaves, now.isr.minus(broker), now.isr.plus(broker))
        self.decide(new, now.leader, now.epoch, isr)
        self.decide_elr(new, ite_set(leaves, elr.plus(broker), elr.minus(broker)), is_small)

    # ---- every broker ---------------------------------------------------------------------------

    def forget_followers(self, new, leader):
        super().forget_followers(new, leader)
        new.remembered_life[leader] = lambda follower: const(0, BrokerEpoch)

    def is_out_since(self, broker, partition_epoch):
        # Otherwise it could be elected, or take up an epoch that it was elected for, with less than
        # it acknowledged.
        def is_out(version):
            later = all_of(partition_epoch <= version, version <= self.newest)
            return implies(later, not_(self.is_eligible(version, broker)))

        return for_all(PartitionEpoch, is_out)

    @action
    def restart_without_tail(
        self,
        new,
        broker: Broker,
        kept: EndOffset,
        checkpoint: EndOffset,
        partition_epoch: PartitionEpoch,
    ):
        """It comes back with a part of its log, and takes part from this decision on.

        When it lost the rest does not matter: in between it is silent.
        """
        require(kept <= self.log[broker].end_offset)
        require(checkpoint <= kept, checkpoint <= self.high_watermark[broker])
        require(self.partition_epoch[broker] <= partition_epoch, partition_epoch <= self.newest)
        require(self.is_out_since(broker, partition_epoch))
        new.broker_epoch[broker] = self.broker_epoch[broker] + 1
        new.log[broker].truncate_to(kept)
        new.high_watermark[broker] = checkpoint
        new.partition_epoch[broker] = partition_epoch
        self.resign(new, broker)
        new.pending[broker] = NONE
        self.send_fetch(new, broker)

    # ---- a leader -------------------------------------------------------------------------------

    def is_latest_life(self, leader, follower, broker_epoch):
        # A request of before the loss says nothing of what the follower has now.
        return self.remembered_life[leader, follower] <= broker_epoch

    @action
    def leader_handle_fetch(
        self,
        new,
        leader: Broker,
        follower: Broker,
        broker_epoch: BrokerEpoch,
        epoch: Epoch,
        offset: EndOffset,
        last_epoch: Epoch,
    ):
        """A fetch request arrives. Its offset acknowledges all before it, if the logs agree."""
        request = dict(epoch=epoch, offset=offset, last_epoch=last_epoch)
        sender = dict(follower=follower, broker_epoch=broker_epoch)
        require(self.leading[leader], leader != follower)
        require(self.fetch_requests.has(**sender, **request))
        require(self.accepts_epoch(leader, epoch))
        require(self.accepts_position(leader, offset, last_epoch))
        require(self.is_latest_life(leader, follower, broker_epoch))
        new.remembered[leader, follower] = offset
        new.remembered_life[leader, follower] = broker_epoch

    def ask(self, new, leader, broker):
        require(self.leading[leader], leader != broker)
        require(self.may_ask(leader))
        new.pending[leader] = broker
        new.alter_requests.send(
            partition_epoch=self.partition_epoch[leader],
            broker=broker,
            broker_epoch=self.remembered_life[leader, broker],
        )

    def may_commit(self, leader):
        # Below min.insync.replicas nothing is committed. Otherwise a member of the ELR would lack
        # records, although it may be elected.
        return self.elr[self.partition_epoch[leader]].is_empty()

    @action
    def leader_increment_high_watermark(self, new, leader: Broker):
        """A record is committed once the maximal ISR has acknowledged it in this epoch."""
        require(self.may_commit(leader))
        super().leader_increment_high_watermark(new, leader)

    # ---- a follower -----------------------------------------------------------------------------

    def request_of(self, follower, epoch):
        """What a follower asks in an epoch at its present position."""
        log = self.log[follower]
        return dict(
            follower=follower,
            broker_epoch=self.broker_epoch[follower],
            epoch=epoch,
            offset=log.end_offset,
            last_epoch=self.last_epoch(log),
        )

    def send_fetch(self, new, follower):
        with when(new.is_follower(follower)):
            request = new.request_of(follower, new.leader_epoch(follower))
            new.fetch_requests.send(**request)

    def has_response(self, follower, epoch):
        """The epoch's leader may have answered a request from the follower's present position."""
        return all_of(
            self.is_follower(follower),
            self.leader_epoch(follower) == epoch,
            self.opened[epoch],
            self.fetch_requests.has(**self.request_of(follower, epoch)),
        )

    @action
    def follower_truncate(self, new, follower: Broker, epoch: Epoch, kept: EndOffset):
        """A diverging epoch: cut to where the leader's records of it, and one's own, end.

        Or to less than that: the next answer says whether what is kept diverges too.
        """
        require(self.has_response(follower, epoch), self.response_diverges(follower, epoch))
        served, log = self.served[epoch], self.log[follower]
        end = self.epoch_end(served, self.last_epoch(log))
        mine = self.epoch_end(log, ite(end == 0, NO_EPOCH, served[end - 1].epoch))
        require(smaller(end, mine) <= kept, kept < log.end_offset)
        new.log[follower].truncate_to(kept)
        new.high_watermark[follower] = smaller(self.high_watermark[follower], kept)
        self.send_fetch(new, follower)

    # ---- what must never break ------------------------------------------------------------------

    @invariant("LEAD-03", "LEAD-04", "LEAD-08", "ISR-02", "ISR-08", "ISR-09", "DUR-02")
    def isr_has_committed(self):
        """Whoever the controller may elect has every record that anybody was told of."""

        def rule(member, offset):
            electable, log = self.is_eligible(self.newest, member), self.log[member]
            has = all_of(log.has_offset(offset), log[offset] == self.committed[offset])
            return implies(all_of(electable, self.committed.has_offset(offset)), has)

        return for_all(Broker, Offset, rule)

    @invariant("ISR-01")
    def isr_and_elr_are_disjoint(self):
        """A broker is in one of the two sets at most."""
        isr, elr = self.decision[self.newest].isr, self.elr[self.newest]
        return for_all(Broker, lambda broker: not_(all_of(isr.has(broker), elr.has(broker))))

    @witness
    def committed_record_outlives_the_isr(self):
        """A record is committed, and a leader has it while everybody else is outside the ISR."""

        def outlives(leader):
            alone = self.isr_of(leader) == only(leader)
            others = not_(self.elr[self.partition_epoch[leader]].is_empty())
            has = all_of(self.leading[leader], self.committed.has_offset(0))
            return all_of(has, alone, others)

        return exists(Broker, outlives)

    @witness
    def broker_that_lost_data_rejoins(self):
        """It has caught up, and is in the ISR again."""

        def is_back(broker):
            complete = all_of(self.log[broker].has_offset(0), self.committed.has_offset(0))
            member = self.decision[self.newest].isr.has(broker)
            return all_of(self.broker_epoch[broker] > 0, complete, member)

        return exists(Broker, is_back)
