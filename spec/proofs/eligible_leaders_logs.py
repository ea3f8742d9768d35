"""Elections and logs of a partition with ELR: what is remembered, and why logs match.

The first half of the inductive invariant. Nothing here depends on who may be elected: epochs name
their leaders, records come from leaders, and a follower that has fetched is a prefix of its leader.
"""

from spec.language import (
    BOOL,
    EMPTY,
    EVERYONE,
    NOBODY,
    Messages,
    Per,
    SetOf,
    after,
    all_of,
    any_of,
    conjunct,
    exists,
    for_all,
    history,
    implies,
    ite,
    not_,
    per,
    var,
)
from spec.models.eligible_leaders_protocol import EligibleLeaders
from spec.models.eligible_leaders_state import Broker, LeaderEpoch, LogValue, ReplicaSet

prefix, length, last_epoch = LogValue.prefix, LogValue.length, LogValue.last_epoch


class EligibleLeadersLogs(EligibleLeaders):
    """What history is kept, and what is always true of epochs and logs."""

    # Epochs whose leader has taken over, and what its log was then.
    started = history(var(SetOf(LeaderEpoch), init=NOBODY))
    starts = history(var(Messages(epoch=LeaderEpoch, leader=Broker, log=LogValue), init=EMPTY))
    start_log = history(per(Broker, LogValue, init=EMPTY))
    # Every log that was ever some leader's.
    written = history(var(SetOf(LogValue), init=NOBODY))
    # Brokers that have fetched since they entered their epoch.
    validated = history(var(SetOf(Broker), init=NOBODY))
    last_large_isr = history(var(ReplicaSet, init=EVERYONE))
    # What a leader will never acknowledge: somebody whom it counts went on without having it.
    blocked = history(per(Broker, Per(LogValue, BOOL), init=False))

    # ---- history

    @after("become_leader")
    def keep_start(self, new, leader, epoch, isr):
        new.started = self.started.plus(epoch)
        new.starts.send(epoch=epoch, leader=leader, log=self.log[leader])
        new.start_log[leader] = self.log[leader]
        new.validated = self.validated.minus(leader)
        self.goes_on(new, leader)
        late = exists(Broker, lambda m: all_of(ReplicaSet.has(isr, m), epoch < self.known_epoch[m]))
        new.blocked[leader] = lambda _: late

    @after("leader_append")
    def keep_written(self, new, longer):
        new.written = self.written.plus(longer)

    @after("follower_fetch")
    def keep_validated(self, new, follower):
        new.validated = self.validated.plus(follower)

    @after("become_follower")
    def keep_follower(self, new, follower):
        new.validated = self.validated.minus(follower)
        self.goes_on(new, follower)

    @after("broker_stop_uncleanly")
    def keep_stopped(self, new, broker):
        new.validated = self.validated.minus(broker)

    @after("broker_register", "broker_register_outside")
    def keep_registered(self, new, broker):
        self.goes_on(new, broker)

    @after(
        "controller_fence_broker",
        "controller_elect_leader",
        "controller_expand_isr",
        "broker_register",
        "leader_shrink_isr",
    )
    def keep_last_large_isr(self, new):
        new.last_large_isr = ite(ReplicaSet.large(new.isr), new.isr, self.last_large_isr)

    def goes_on(self, new, member):
        """To a later epoch: leaders of earlier ones get no more fetches from it."""

        def stays_without(leader, log):
            left_behind = self.known_epoch[leader] < new.known_epoch[member]
            without = not_(self.fetched_from(leader, member, log))
            return all_of(self.counts(leader, member), left_behind, without)

        new.blocked = lambda leader: (
            lambda log: any_of(self.blocked[leader, log], stays_without(leader, log))
        )

    # ---- definitions

    def counts(self, leader, broker):
        """In the leader's maximal ISR."""
        in_view = ReplicaSet.has(self.isr_view[leader], broker)
        return any_of(in_view, self.adding[leader].has(broker))

    def fetched_from(self, leader, follower, log):
        return all_of(self.has_fetched(leader, follower, log), self.has(leader, log))

    def is_start(self, epoch, leader, log):
        return self.starts.has(epoch=epoch, leader=leader, log=log)

    def is_written(self, log):
        return any_of(log == LogValue.empty, self.written.has(log))

    def leads_in(self, leader, epoch):
        return all_of(self.presumes_leadership[leader], self.known_epoch[leader] == epoch)

    def is_in_epoch_of(self, follower, leader):
        """A running broker that knows the leader's epoch, and the leader acts."""
        same = self.known_epoch[follower] == self.known_epoch[leader]
        running = all_of(self.running[follower], self.presumes_leadership[leader])
        return all_of(follower != leader, running, same)

    # ---- epochs and elections

    @conjunct
    def one_election_per_epoch(self):
        """What makes an epoch name its leader, and so fencing by epochs work."""
        return self.each_epoch_has_one_election()

    @conjunct
    def elections_are_past(self):
        """A new epoch has no leader yet, nor an ISR; and epoch 0 never has a leader."""

        def is_past(epoch, broker):
            known = all_of(epoch <= self.leader_epoch, epoch != 0)
            return implies(self.is_elected(broker, epoch), known)

        def is_past_isr(epoch, isr):
            shown = self.isr_updates.has(epoch=epoch, isr=isr)
            return implies(shown, epoch <= self.leader_epoch)

        return all_of(
            for_all(LeaderEpoch, Broker, is_past), for_all(LeaderEpoch, ReplicaSet, is_past_isr)
        )

    @conjunct
    def leader_stays_in_isr(self):
        """A leader that is fenced or restarts ends its epoch: it cannot be out and still lead."""
        return self.leader_is_in_isr()

    @conjunct
    def brokers(self):
        """What brokers believe was once so; who is down may have lost data."""

        def is_sound(b):
            known = self.known_epoch[b]
            leads = all_of(self.running[b], self.is_elected(b, known))
            follows = all_of(self.running[b], self.started.has(known))
            return all_of(
                known <= self.leader_epoch,
                last_epoch(self.log[b]) <= known,
                implies(self.presumes_leadership[b], leads),
                implies(not_(self.running[b]), self.lost_data.has(b)),
                implies(self.validated.has(b), follows),
            )

        return for_all(Broker, is_sound)

    @conjunct
    def started_epochs(self):
        """A leader that has started its epoch knows it; one that acts has started."""

        def is_known(epoch, broker):
            begun = all_of(self.started.has(epoch), self.is_elected(broker, epoch))
            return implies(begun, epoch <= self.known_epoch[broker])

        def has_started(broker):
            leads = self.presumes_leadership[broker]
            return implies(leads, self.started.has(self.known_epoch[broker]))

        return all_of(
            for_all(LeaderEpoch, Broker, is_known),
            for_all(Broker, has_started),
            for_all(self.started, lambda e: all_of(e <= self.leader_epoch, e != 0)),
        )

    @conjunct
    def starts_are_real(self):
        """A start is that of the epoch's leader, with a log of earlier epochs."""

        def is_real(epoch, broker, log):
            taken_over = all_of(self.is_elected(broker, epoch), self.started.has(epoch))
            earlier = all_of(epoch <= self.known_epoch[broker], last_epoch(log) < epoch)
            real = all_of(taken_over, earlier, self.is_written(log))
            return implies(self.is_start(epoch, broker, log), real)

        return for_all(LeaderEpoch, Broker, LogValue, is_real)

    @conjunct
    def one_start_per_epoch(self):
        """A leader takes over once, so an epoch begins at one place."""

        def same(epoch, broker, x, y):
            both = all_of(self.is_start(epoch, broker, x), self.is_start(epoch, broker, y))
            return implies(both, x == y)

        return for_all(LeaderEpoch, Broker, LogValue, LogValue, same)

    @conjunct
    def leaders_know_their_start(self):
        """The offset where a leader says that its epoch starts is the end of its log then."""

        def is_known(b):
            start = self.start_log[b]
            same = length(start) == self.epoch_start_offset[b]
            return implies(
                self.presumes_leadership[b],
                all_of(self.is_start(self.known_epoch[b], b, start), same),
            )

        return for_all(Broker, is_known)

    # ---- logs

    @conjunct
    def logs_are_written(self):
        """Nothing is stored that no leader wrote; what was written stays, with its prefixes."""

        def is_closed(x, y):
            return implies(all_of(self.is_written(y), prefix(x, y)), self.is_written(x))

        return all_of(
            for_all(Broker, lambda b: self.is_written(self.log[b])),
            for_all(LogValue, LogValue, is_closed),
        )

    @conjunct
    def records_have_epochs(self):
        """A record is written by a leader that has started."""
        return for_all(
            self.written,
            lambda x: all_of(last_epoch(x) != 0, self.started.has(last_epoch(x))),
        )

    @conjunct
    def epochs_grow(self):
        """Epochs grow along a log: so a log of an old epoch is no extension of a newer one."""

        def grow(x, y):
            part = all_of(self.is_written(y), prefix(x, y))
            return implies(part, last_epoch(x) <= last_epoch(y))

        return for_all(LogValue, LogValue, grow)

    @conjunct
    def one_writer_per_epoch(self):
        """Log matching: of two logs that end in the same epoch one is a prefix of the other."""

        def form_a_chain(x, y):
            both = all_of(self.is_written(x), self.is_written(y), last_epoch(x) == last_epoch(y))
            return implies(both, any_of(prefix(x, y), prefix(y, x)))

        return for_all(LogValue, LogValue, form_a_chain)

    @conjunct
    def leaders_have_their_epoch(self):
        """Whatever was written in its epoch, the leader wrote and has."""

        def is_own(b, x):
            written = all_of(self.is_written(x), last_epoch(x) == self.known_epoch[b])
            return implies(all_of(self.presumes_leadership[b], written), self.has(b, x))

        return for_all(Broker, LogValue, is_own)

    @conjunct
    def epochs_extend_their_start(self):
        """Records of an epoch come after the log that its leader began with."""

        def is_extended(epoch, broker, start, x):
            written = all_of(self.is_written(x), last_epoch(x) == epoch)
            return implies(all_of(self.is_start(epoch, broker, start), written), prefix(start, x))

        def is_kept(broker, start):
            begun = self.is_start(self.known_epoch[broker], broker, start)
            return implies(all_of(self.presumes_leadership[broker], begun), self.has(broker, start))

        return all_of(
            for_all(LeaderEpoch, Broker, LogValue, LogValue, is_extended),
            for_all(Broker, LogValue, is_kept),
        )

    @conjunct
    def validated_logs_are_prefixes(self):
        """Once a follower has fetched in the leader's epoch its log is a prefix of the leader's."""

        def is_prefix(follower, leader):
            fetched = all_of(self.validated.has(follower), self.is_in_epoch_of(follower, leader))
            return implies(fetched, prefix(self.log[follower], self.log[leader]))

        return for_all(Broker, Broker, is_prefix)

    @conjunct
    def high_watermark_stays_within_log(self):
        """What a leader shows it has; needed for itself only."""
        return self.high_watermark_is_within_log()
