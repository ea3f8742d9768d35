"""KIP-966, eligible leader replicas: who can still be elected when brokers lose what they stored.

A partition acknowledges a record once every in-sync replica has it and there are at least
min.insync.replicas of them. Kafka does not flush each write, so a broker that stops uncleanly may
come back with less than it acknowledged. The ELR remembers who left the ISR while it was below
min.insync.replicas: those brokers have everything too. With the fencing of KIP-320, the requests of
KIP-497 and the broker epochs of KIP-903 no clean election loses a record, and one stays possible
while fewer than min.insync.replicas brokers lost data.

What is idealised: the controller decides each change of the partition in one step and never fails;
a fetch reads the leader's log and is answered in one step, and counts at once (in Kafka it counts
with the next fetch: later, so less can happen); partition epochs matter only by being the newest or
not, so one bit stands for each. A broker that restarts cleanly has lost nothing: that is no step at
all. What a leader remembers of a fetch may be arbitrarily old when it counts.
"""

from spec.language import (
    EVERYONE,
    NOBODY,
    action,
    all_of,
    any_of,
    for_all,
    implies,
    ite,
    not_,
    only,
    require,
    when,
)
from spec.models.eligible_leaders_state import (
    NO_FETCH,
    Broker,
    BrokerEpoch,
    LeaderEpoch,
    LogValue,
    PartitionWithElr,
    ReplicaSet,
)


class EligibleLeaders(PartitionWithElr):
    """KIP-966, with the fencing and the AlterPartition requests that it builds on."""

    # ---- definitions

    def elr_beside(self, isr, elr):
        # A large ISR acknowledges records that the ELR does not get: it must be empty then.
        return elr.where(lambda _: not_(ReplicaSet.large(isr)))

    def isr_without(self, broker, rest):
        """The ISR that is left when a broker leaves it. With the ELR it may become empty."""
        return ReplicaSet.minus(rest, self.isr, broker)

    def ends_epoch_of(self, broker, next_epoch):
        """A leader that is fenced ends its epoch; nobody leads the next one."""
        leads = self.is_elected(broker, self.leader_epoch)
        return ite(leads, self.leader_epoch < next_epoch, next_epoch == self.leader_epoch)

    def change_partition(self, new, *, isr, elr, epoch):
        """Each change has a new partition epoch: views and requests of before are outdated."""
        new.leader_epoch = epoch
        new.isr = isr
        new.isr_updates.send(epoch=epoch, isr=isr)
        new.elr = self.elr_beside(isr, elr)
        new.view_is_current = lambda _: False
        new.request_is_current = lambda _: False

    def maximal_isr(self, leader, broker):
        # KIP-497: who was asked for counts already. The controller may have accepted the request,
        # and the leader would acknowledge records that a member of the ISR lacks.
        return any_of(
            ReplicaSet.has(self.isr_view[leader], broker), self.adding[leader].has(broker)
        )

    # ---- the controller

    @action
    def controller_fence_broker(
        self, new, broker: Broker, rest: ReplicaSet, next_epoch: LeaderEpoch
    ):
        """A broker missed its heartbeats: it leaves the ISR, but it still has what it had."""
        require(ReplicaSet.has(self.isr, broker), self.isr_without(broker, rest))
        # Without a new epoch the fenced leader could go on leading what others now lead.
        require(self.ends_epoch_of(broker, next_epoch))
        self.change_partition(new, isr=rest, elr=self.elr.plus(broker), epoch=next_epoch)

    def may_be_elected(self, candidate, isr):
        """A clean election: from the ISR, or from the ELR where the ISR is empty."""
        from_isr = all_of(ReplicaSet.has(self.isr, candidate), isr == self.isr)
        return any_of(from_isr, self.may_be_elected_from_elr(candidate, isr))

    def may_be_elected_from_elr(self, candidate, isr):
        # Kafka asks the ELR only when nobody is left in the ISR; it would be as safe before that,
        # since an ISR that acknowledges anything is large, and then the ELR is empty.
        return all_of(
            ReplicaSet.is_empty(self.isr),
            self.elr.has(candidate),
            ReplicaSet.plus(isr, self.isr, candidate),
        )

    @action
    def controller_elect_leader(
        self, new, candidate: Broker, isr: ReplicaSet, next_epoch: LeaderEpoch
    ):
        # Anybody else may lack acknowledged records, and would make the others delete them.
        require(self.may_be_elected(candidate, isr))
        # Two leaders of one epoch give one offset to two records, and no epoch tells them apart.
        require(self.leader_epoch < next_epoch)
        self.change_partition(new, isr=isr, elr=self.elr.minus(candidate), epoch=next_epoch)
        new.elections.send(epoch=next_epoch, leader=candidate)
        with when(self.elr.has(candidate)):
            new.elected_from_elr = self.elected_from_elr.plus(candidate)

    def names_living_broker(self, leader, follower):
        # KIP-903: the follower that caught up may have restarted since, with less than it had then.
        return self.broker_epoch[follower] == self.named_broker_epoch[leader]

    @action
    def controller_expand_isr(self, new, leader: Broker, follower: Broker, isr: ReplicaSet):
        """The request is accepted, perhaps late, perhaps when the leader is already dead."""
        require(self.adding[leader].has(follower), ReplicaSet.plus(isr, self.isr, follower))
        # The compare-and-set: without it a request of an earlier epoch adds to a later ISR.
        require(self.request_is_current[leader])
        require(self.names_living_broker(leader, follower))
        self.change_partition(new, isr=isr, elr=self.elr.minus(follower), epoch=self.leader_epoch)

    # ---- a broker's life

    @action
    def broker_stop_uncleanly(self, new, broker: Broker, rest: LogValue):
        """What was not flushed is gone: any suffix of the log, perhaps all of it."""
        require(self.running[broker], LogValue.prefix(rest, self.log[broker]))
        new.running[broker] = False
        self.forget_leadership(new, broker)
        new.log[broker] = rest
        new.lost_data = self.lost_data.plus(broker)

    @action
    def broker_register(
        self,
        new,
        broker: Broker,
        rest: ReplicaSet,
        next_epoch: LeaderEpoch,
        broker_epoch: BrokerEpoch,
    ):
        """Restart without proof of a clean shutdown (a file with its broker epoch).

        The broker leaves ISR and ELR, even if nobody is left. If it stayed it could be elected
        with what it lost; if it stayed leader, it would make everybody else delete it too.
        """
        require(not_(self.running[broker]), self.is_eligible(broker))
        require(self.isr_without(broker, rest), self.ends_epoch_of(broker, next_epoch))
        self.change_partition(new, isr=rest, elr=self.elr.minus(broker), epoch=next_epoch)
        self.start(new, broker, next_epoch, broker_epoch)

    @action
    def broker_register_outside(self, new, broker: Broker, broker_epoch: BrokerEpoch):
        """The same for a broker that is in neither set: the partition does not change."""
        require(not_(self.running[broker]), not_(self.is_eligible(broker)))
        self.start(new, broker, self.leader_epoch, broker_epoch)

    def start(self, new, broker, epoch, broker_epoch):
        # With its old broker epoch, a request for its life before would add it to the ISR.
        require(self.broker_epoch[broker] < broker_epoch)
        new.broker_epoch[broker] = broker_epoch
        new.running[broker] = True
        # It starts from the newest metadata. With older ones it could take up an epoch that it was
        # elected for before it lost its data.
        new.known_epoch[broker] = epoch

    # ---- the leader

    def forget_leadership(self, new, broker):
        """But not its request: that is on its way to the controller."""
        new.presumes_leadership[broker] = False
        new.isr_view[broker] = EVERYONE
        new.view_is_current[broker] = False
        new.high_watermark[broker] = 0
        new.epoch_start_offset[broker] = 0
        self.forget_fetches(new, broker)

    def forget_fetches(self, new, leader):
        # What followers fetched in an earlier epoch they may have truncated since.
        new.last_fetch[leader] = lambda _: NO_FETCH

    def forget_request(self, new, leader):
        new.adding[leader] = NOBODY
        new.named_broker_epoch[leader] = 0
        new.request_is_current[leader] = False

    @action
    def become_leader(self, new, leader: Broker, epoch: LeaderEpoch, isr: ReplicaSet):
        """It learns of its election, perhaps late, with any ISR of that epoch."""
        require(self.running[leader], self.is_elected(leader, epoch))
        require(self.isr_updates.has(epoch=epoch, isr=isr))
        # An old election must not bring back an old epoch.
        require(self.known_epoch[leader] < epoch)
        new.known_epoch[leader] = epoch
        new.presumes_leadership[leader] = True
        new.isr_view[leader] = isr
        new.view_is_current[leader] = False
        new.high_watermark[leader] = 0
        new.epoch_start_offset[leader] = LogValue.length(self.log[leader])
        self.forget_fetches(new, leader)
        self.forget_request(new, leader)

    def is_newest_leader(self, leader):
        return all_of(
            self.presumes_leadership[leader], self.known_epoch[leader] == self.leader_epoch
        )

    @action
    def leader_learn_isr(self, new, leader: Broker):
        require(self.is_newest_leader(leader), not_(self.view_is_current[leader]))
        new.isr_view[leader] = self.isr
        new.view_is_current[leader] = True
        self.forget_request(new, leader)

    @action
    def leader_append(self, new, leader: Broker, longer: LogValue):
        """A deposed leader appends too: it cannot know. Who has gone on will not fetch it."""
        require(self.presumes_leadership[leader], LogValue.is_extension(longer, self.log[leader]))
        # The epoch of a record tells whose log it is from: truncation and fetches rely on it.
        require(LogValue.last_epoch(longer) == self.known_epoch[leader])
        new.log[leader] = longer

    def is_caught_up(self, leader, follower):
        offset = self.last_fetch[leader, follower].offset
        return all_of(
            self.high_watermark[leader] <= offset,
            # A new leader's high watermark lags. Without the start of its epoch a follower joins
            # that lacks records which earlier leaders acknowledged (KAFKA-7128).
            self.epoch_start_offset[leader] <= offset,
        )

    @action
    def leader_ask_to_expand_isr(self, new, leader: Broker, follower: Broker):
        # Its partition epoch is the newest: otherwise the controller will refuse.
        require(self.view_is_current[leader])
        require(follower != leader, not_(ReplicaSet.has(self.isr_view[leader], follower)))
        # One request is in flight at a time, as in Kafka.
        require(self.adding[leader].is_empty())
        # Before its first fetch in this epoch there is no broker epoch to name.
        require(self.last_fetch[leader, follower].seen, self.is_caught_up(leader, follower))
        new.adding[leader] = only(follower)
        new.request_is_current[leader] = True
        new.named_broker_epoch[leader] = self.last_fetch[leader, follower].broker_epoch

    @action
    def leader_shrink_isr(self, new, leader: Broker, follower: Broker, rest: ReplicaSet):
        """A follower is slow. It has everything up to now, so it may count as eligible."""
        require(self.view_is_current[leader], self.adding[leader].is_empty())
        # A leader outside the ISR could not be trusted with what the others acknowledge.
        require(follower != leader)
        require(ReplicaSet.has(self.isr, follower), ReplicaSet.minus(rest, self.isr, follower))
        self.change_partition(new, isr=rest, elr=self.elr.plus(follower), epoch=self.leader_epoch)
        new.isr_view[leader] = rest
        new.view_is_current[leader] = True

    def enough_to_acknowledge(self, isr):
        # Below min.insync.replicas nothing is acknowledged. Otherwise a member of the ELR would
        # lack records, although it may be elected.
        return ReplicaSet.large(isr)

    def has_fetched(self, leader, follower, log):
        """It has fetched the log in the leader's epoch, as the leader remembers.

        It may have lost it since, or gone on to another epoch: the leader cannot know.
        """
        fetch = self.last_fetch[leader, follower]
        return all_of(fetch.seen, LogValue.length(log) <= fetch.offset)

    @action
    def leader_advance_high_watermark(self, new, leader: Broker, log: LogValue):
        """Everything in `log` is acknowledged to producers and shown to consumers."""
        require(self.presumes_leadership[leader], LogValue.prefix(log, self.log[leader]))
        require(log != LogValue.empty, self.high_watermark[leader] <= LogValue.length(log))
        require(self.enough_to_acknowledge(self.isr_view[leader]))
        # Whoever may be elected next must have the record.
        require(
            for_all(
                Broker,
                lambda member: implies(
                    all_of(self.maximal_isr(leader, member), member != leader),
                    self.has_fetched(leader, member, log),
                ),
            )
        )
        new.high_watermark[leader] = LogValue.length(log)
        new.acknowledged.send(epoch=self.known_epoch[leader], log=log)

    # ---- the follower

    @action
    def become_follower(self, new, follower: Broker, leader: Broker, epoch: LeaderEpoch):
        require(self.running[follower], follower != leader, self.is_elected(leader, epoch))
        # Back in an old epoch it would follow a deposed leader, and truncate for it.
        require(self.known_epoch[follower] < epoch)
        new.known_epoch[follower] = epoch
        self.forget_leadership(new, follower)

    def is_following(self, follower, leader):
        # KIP-320: in another epoch than the leader's, the follower would acknowledge records of a
        # deposed leader, which it is going to truncate.
        return all_of(
            follower != leader,
            self.running[follower],
            self.presumes_leadership[leader],
            not_(self.presumes_leadership[follower]),
            self.known_epoch[follower] == self.known_epoch[leader],
        )

    def is_longest_prefix(self, prefix, log, condition):
        """The longest prefix of a log with the condition."""
        longest = for_all(
            LogValue,
            lambda other: implies(
                all_of(LogValue.prefix(other, log), condition(other)),
                LogValue.prefix(other, prefix),
            ),
        )
        return all_of(LogValue.prefix(prefix, log), condition(prefix), longest)

    @action
    def follower_truncate(
        self, new, follower: Broker, leader: Broker, diverging: LogValue, rest: LogValue
    ):
        """The leader answers with the end of its log up to the epoch of the follower's last record.

        The follower keeps of its own log what is neither newer nor longer than that, and asks again
        if that does not match either (KIP-279).
        """
        require(self.is_following(follower, leader))
        epoch, length = LogValue.last_epoch, LogValue.length

        def not_newer(log):
            return epoch(log) <= epoch(self.log[follower])

        def not_beyond(log):
            return all_of(length(log) <= length(diverging), epoch(log) <= epoch(diverging))

        require(self.is_longest_prefix(diverging, self.log[leader], not_newer))
        require(self.is_longest_prefix(rest, self.log[follower], not_beyond))
        new.log[follower] = rest

    @action
    def follower_fetch(
        self, new, follower: Broker, leader: Broker, matching: LogValue, longer: LogValue
    ):
        """Any number of records after `matching`, where the follower's log ends."""
        require(self.is_following(follower, leader))
        own = self.log[follower]
        # Offset and epoch of the last record: then it is the follower's own log (`logs_match`).
        require(LogValue.prefix(matching, self.log[leader]))
        require(LogValue.length(matching) == LogValue.length(own))
        require(LogValue.last_epoch(matching) == LogValue.last_epoch(own))
        require(LogValue.prefix(matching, longer), LogValue.prefix(longer, self.log[leader]))
        new.log[follower] = longer
        new.last_fetch[leader, follower] = {
            "seen": True,
            "offset": LogValue.length(longer),
            "broker_epoch": self.broker_epoch[follower],
        }
