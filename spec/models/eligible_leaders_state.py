"""A partition with ISR and ELR: what its state is, and what is promised of it.

The rules that keep the promises are in `eligible_leaders_protocol`.
"""

from spec.language import (
    BOOL,
    EMPTY,
    EVERYONE,
    NOBODY,
    Messages,
    Per,
    Protocol,
    Sequences,
    SetOf,
    Struct,
    Subsets,
    all_of,
    any_of,
    entity,
    exists,
    for_all,
    history,
    implies,
    invariant,
    not_,
    order,
    per,
    var,
    witness,
)

Broker = entity("Broker")
LeaderEpoch = order("LeaderEpoch")  # 0: before the first leader
BrokerEpoch = order("BrokerEpoch")  # tells the lives of a broker apart
Offset = order("Offset")
ReplicaSet = Subsets("ReplicaSet", of=Broker)  # large: at least min.insync.replicas members
LogValue = Sequences("LogValue", epoch=LeaderEpoch, offset=Offset)

LastFetch = Struct(seen=BOOL, offset=Offset, broker_epoch=BrokerEpoch)
NO_FETCH = {"seen": False, "offset": 0, "broker_epoch": 0}


class PartitionWithElr(Protocol):
    """A partition that acknowledges records, and brokers that may lose them."""

    # What the controller has decided. Brokers may learn of it late or never.
    leader_epoch = var(LeaderEpoch, init=0)
    elections = var(Messages(epoch=LeaderEpoch, leader=Broker), init=EMPTY)
    isr = var(ReplicaSet, init=EVERYONE)
    isr_updates = var(Messages(epoch=LeaderEpoch, isr=ReplicaSet), init=EMPTY)
    elr = var(SetOf(Broker), init=NOBODY)
    broker_epoch = per(Broker, BrokerEpoch, init=0)  # of its newest registration
    # What each broker knows and stores.
    running = per(Broker, BOOL, init=True)
    known_epoch = per(Broker, LeaderEpoch, init=0)
    log = per(Broker, LogValue, init=EMPTY)
    # What it knows as a leader.
    presumes_leadership = per(Broker, BOOL, init=False)
    isr_view = per(Broker, ReplicaSet, init=EVERYONE)
    view_is_current = per(Broker, BOOL, init=False)  # its partition epoch is the newest
    high_watermark = per(Broker, Offset, init=0)
    epoch_start_offset = per(Broker, Offset, init=0)
    last_fetch = per(Broker, Per(Broker, LastFetch), init=NO_FETCH)  # of each follower
    # Its AlterPartition request in flight: whom it adds, and the broker epoch it names.
    adding = per(Broker, SetOf(Broker), init=NOBODY)
    named_broker_epoch = per(Broker, BrokerEpoch, init=0)
    request_is_current = per(Broker, BOOL, init=False)  # the partition epoch it names is the newest
    # What was promised, what was lost.
    acknowledged = history(var(Messages(epoch=LeaderEpoch, log=LogValue), init=EMPTY))
    lost_data = history(var(SetOf(Broker), init=NOBODY))
    elected_from_elr = history(var(SetOf(Broker), init=NOBODY))

    # ---- definitions

    def is_elected(self, broker, epoch):
        return self.elections.has(epoch=epoch, leader=broker)

    def is_eligible(self, broker):
        return any_of(ReplicaSet.has(self.isr, broker), self.elr.has(broker))

    # ---- what must never break

    def is_acknowledged(self, epoch, log):
        """By the leader of that epoch."""
        return self.acknowledged.has(epoch=epoch, log=log)

    def has(self, broker, log):
        return LogValue.prefix(log, self.log[broker])

    @invariant("LEAD-04", "DUR-02", "ISR-05")
    def clean_leader_is_complete(self):
        """Whoever leads has everything acknowledged in its epoch and before."""

        def is_complete(leader, epoch, log):
            promised = all_of(self.is_acknowledged(epoch, log), epoch <= self.known_epoch[leader])
            leads = self.presumes_leadership[leader]
            return implies(all_of(leads, promised), self.has(leader, log))

        return for_all(Broker, LeaderEpoch, LogValue, is_complete)

    @invariant("ISR-09", "LEAD-03", "LEAD-08")
    def candidates_are_complete(self):
        """Every running member of ISR and ELR has everything that was ever acknowledged."""

        def is_complete(broker, epoch, log):
            candidate = all_of(self.is_eligible(broker), self.running[broker])
            promised = self.is_acknowledged(epoch, log)
            return implies(all_of(candidate, promised), self.has(broker, log))

        return for_all(Broker, LeaderEpoch, LogValue, is_complete)

    def losses_are_few(self):
        """Fewer than min.insync.replicas: in each set that large is somebody who lost nothing."""

        def has_unhurt_member(members):
            return exists(
                Broker,
                lambda b: all_of(ReplicaSet.has(members, b), not_(self.lost_data.has(b))),
            )

        return for_all(ReplicaSet, lambda s: implies(ReplicaSet.large(s), has_unhurt_member(s)))

    @invariant("ISR-09", "DUR-02")
    def survivor_if_losses_are_few(self):
        """Then somebody with everything that was acknowledged runs and may be elected."""

        def survives(log):
            return exists(
                Broker, lambda b: all_of(self.is_eligible(b), self.running[b], self.has(b, log))
            )

        promises_survive = for_all(
            LeaderEpoch,
            LogValue,
            lambda epoch, log: implies(self.is_acknowledged(epoch, log), survives(log)),
        )
        return implies(self.losses_are_few(), promises_survive)

    @invariant("LOG-02")
    def acknowledged_logs_agree(self):
        """No offset is ever acknowledged with two records."""

        def agree(epoch, one, later, other):
            both = all_of(self.is_acknowledged(epoch, one), self.is_acknowledged(later, other))
            return implies(both, any_of(LogValue.prefix(one, other), LogValue.prefix(other, one)))

        return for_all(LeaderEpoch, LogValue, LeaderEpoch, LogValue, agree)

    @invariant("LOG-03")
    def logs_match(self):
        """Where epoch and offset of a record agree, the logs agree up to it.

        It is why `follower_fetch` may compare no more than that: `matching` is the follower's log.
        """

        def match(a, b, x, y):
            stored = all_of(self.has(a, x), self.has(b, y))
            same_epoch = LogValue.last_epoch(x) == LogValue.last_epoch(y)
            same_offset = LogValue.length(x) == LogValue.length(y)
            return implies(all_of(stored, same_epoch, same_offset), x == y)

        return for_all(Broker, Broker, LogValue, LogValue, match)

    @invariant("OFF-01")
    def high_watermark_is_within_log(self):
        """No leader shows more than it has."""
        return for_all(
            Broker,
            lambda b: implies(
                self.presumes_leadership[b],
                self.high_watermark[b] <= LogValue.length(self.log[b]),
            ),
        )

    @invariant("LEAD-02")
    def each_epoch_has_one_election(self):
        """Every change of the leader has a new epoch."""

        def same(epoch, a, b):
            return implies(all_of(self.is_elected(a, epoch), self.is_elected(b, epoch)), a == b)

        return for_all(LeaderEpoch, Broker, Broker, same)

    @invariant("LEAD-01")
    def one_leader_per_epoch(self):
        """Brokers that act as leaders do so in different epochs."""

        def same(a, b):
            lead = all_of(self.presumes_leadership[a], self.presumes_leadership[b])
            return implies(all_of(lead, self.known_epoch[a] == self.known_epoch[b]), a == b)

        return for_all(Broker, Broker, same)

    @invariant("ISR-01")
    def leader_is_in_isr(self):
        """Whoever was elected in the newest epoch is in the ISR."""

        def is_member(broker):
            return implies(
                self.is_elected(broker, self.leader_epoch), ReplicaSet.has(self.isr, broker)
            )

        return for_all(Broker, is_member)

    @invariant("ISR-01")
    def elr_is_empty_beside_large_isr(self):
        """With min.insync.replicas members in the ISR nobody else is eligible."""
        return for_all(self.elr, lambda _: not_(ReplicaSet.large(self.isr)))

    @invariant("ISR-01")
    def isr_and_elr_are_disjoint(self):
        """A broker is in one of the two sets at most."""
        return for_all(self.elr, lambda b: not_(ReplicaSet.has(self.isr, b)))

    @witness
    def acknowledged_record_outlives_the_isr(self):
        """A record is acknowledged, and later a leader from the ELR has it."""

        def outlives(epoch, log, leader):
            promised = all_of(self.is_acknowledged(epoch, log), self.has(leader, log))
            leads = all_of(self.presumes_leadership[leader], epoch < self.known_epoch[leader])
            return all_of(promised, leads, self.elected_from_elr.has(leader))

        return exists(LeaderEpoch, LogValue, Broker, outlives)

    @witness
    def broker_that_lost_data_rejoins(self):
        """It has caught up, and is in the ISR again."""

        def is_back(broker):
            follows = all_of(self.running[broker], not_(self.presumes_leadership[broker]))
            complete = all_of(ReplicaSet.has(self.isr, broker), self.log[broker] != LogValue.empty)
            return all_of(self.lost_data.has(broker), follows, complete)

        return exists(Broker, is_back)
