"""Why no clean election loses an acknowledged record, whatever the brokers lose.

For any number of brokers, any min.insync.replicas, any epochs and logs of any length. The argument
speaks of what a leader can still acknowledge, not of what it did: a log is *open* at a leader as
long as nobody whom the leader counts has gone on to a later epoch without it. What is open is on
everybody who may be elected after that leader, or they are still in its epoch and it waits for them
(`candidates_have_what_is_open`): the leader's view of the ISR, with the member it has asked for,
covers all candidates, because the ELR is empty whenever the ISR is large. So an acknowledgement may
be given at any time, however late the fetches behind it are counted. And what was acknowledged
stays on the candidates, because a broker that may have lost it is none before it runs again.
"""

from spec.language import (
    all_of,
    any_of,
    conjunct,
    cut,
    exists,
    for_all,
    implies,
    not_,
)
from spec.models.eligible_leaders_state import Broker, LeaderEpoch, LogValue, ReplicaSet
from spec.proofs.eligible_leaders_logs import EligibleLeadersLogs, length, prefix


class EligibleLeadersProof(EligibleLeadersLogs):
    """A clean leader has everything acknowledged; somebody with everything survives few losses."""

    # ---- definitions

    def is_elected_after(self, broker, epoch):
        return exists(
            LeaderEpoch, lambda later: all_of(self.is_elected(broker, later), epoch < later)
        )

    def will_lead_after(self, broker, epoch):
        """Elected in a later epoch that it does not know of."""

        def is_ahead(later):
            return all_of(epoch < later, self.known_epoch[broker] < later)

        return exists(
            LeaderEpoch, lambda later: all_of(self.is_elected(broker, later), is_ahead(later))
        )

    def is_open(self, leader, log):
        """The leader may still acknowledge it."""
        large = ReplicaSet.large(self.isr_view[leader])
        return all_of(self.presumes_leadership[leader], large, not_(self.blocked[leader, log]))

    # ---- ISR and ELR

    @conjunct
    def elr_stays_empty(self):
        """While the ISR is large nobody outside it is a candidate, so its word is enough."""
        return self.elr_is_empty_beside_large_isr()

    @conjunct
    def elr_stays_apart(self):
        """A broker that leaves the one set is not in the other."""
        return self.isr_and_elr_are_disjoint()

    @conjunct
    def current_views_are_true(self):
        """The compare-and-set: with the newest partition epoch the newest leader sees the ISR."""

        def is_true(b):
            same = self.isr_view[b] == self.isr
            return implies(self.view_is_current[b], all_of(self.is_newest_leader(b), same))

        return for_all(Broker, is_true)

    # ---- fetches and requests

    @conjunct
    def fetches_are_true(self):
        """What a leader remembers of a follower is so, as long as that has not restarted."""

        def is_true(b, f):
            fetch = self.last_fetch[b, f]
            same_life = all_of(
                self.is_in_epoch_of(f, b), self.broker_epoch[f] == fetch.broker_epoch
            )
            kept = all_of(self.validated.has(f), fetch.offset <= length(self.log[f]))
            seen = all_of(self.known_epoch[b] <= self.known_epoch[f], implies(same_life, kept))
            return implies(
                self.presumes_leadership[b],
                all_of(
                    fetch.offset <= length(self.log[b]),
                    fetch.broker_epoch <= self.broker_epoch[f],
                    implies(all_of(fetch.seen, f != b), seen),
                ),
            )

        return for_all(Broker, Broker, is_true)

    @conjunct
    def candidates_fetched_in_this_life(self):
        """A candidate that has fetched did so in its present life, so it has what it fetched."""

        def is_same_life(b, f):
            fetch = self.last_fetch[b, f]
            candidate = any_of(self.is_eligible(f), self.is_elected_after(f, self.known_epoch[b]))
            return implies(
                all_of(fetch.seen, self.is_in_epoch_of(f, b), candidate),
                self.broker_epoch[f] == fetch.broker_epoch,
            )

        return for_all(Broker, Broker, is_same_life)

    @conjunct
    def requests_name_a_fetch(self):
        """The follower that a leader asks for has fetched, in the life that the request names."""

        def names_a_fetch(b, f):
            fetch = self.last_fetch[b, f]
            in_that_life = self.named_broker_epoch[b] <= fetch.broker_epoch
            return implies(
                all_of(self.adding[b].has(f), self.presumes_leadership[b]),
                all_of(fetch.seen, f != b, in_that_life),
            )

        return for_all(Broker, Broker, names_a_fetch)

    def is_current_request(self, leader, follower):
        return all_of(self.adding[leader].has(follower), self.request_is_current[leader])

    def would_be_accepted(self, leader, follower):
        same_life = self.broker_epoch[follower] == self.named_broker_epoch[leader]
        running = self.running[follower]
        return all_of(self.is_current_request(leader, follower), running, same_life)

    @conjunct
    def requests_are_the_newest_leaders(self):
        """A request that may still be accepted is that of the newest leader, acting or not."""

        def is_of_newest_leader(b, f):
            newest = all_of(
                self.started.has(self.leader_epoch),
                self.known_epoch[b] == self.leader_epoch,
                self.is_elected(b, self.leader_epoch),
            )
            known_life = self.named_broker_epoch[b] <= self.broker_epoch[f]
            return all_of(
                implies(self.is_current_request(b, f), all_of(newest, f != b)),
                implies(self.adding[b].has(f), known_life),
            )

        return for_all(Broker, Broker, is_of_newest_leader)

    @conjunct
    def requested_followers_follow(self):
        """Whom an acceptable request names is still that follower, with a validated log."""

        def follows(b, f):
            current = all_of(self.known_epoch[f] == self.leader_epoch, self.validated.has(f))
            return implies(self.would_be_accepted(b, f), current)

        return for_all(Broker, Broker, follows)

    # ---- what can still be acknowledged

    @conjunct
    def newest_leader_is_not_blocked(self):
        """Nobody can have gone on from the newest epoch: so its leader may change its view."""

        def is_free(b, log):
            return implies(self.is_newest_leader(b), not_(self.blocked[b, log]))

        return for_all(Broker, LogValue, is_free)

    @conjunct(isolated=True)
    def blocked_logs_have_a_blocker(self):
        """What is blocked lacks somebody whose fetches the leader will wait for in vain."""

        def has_blocker(b, log):
            def is_blocker(m):
                gone = all_of(m != b, self.known_epoch[b] < self.known_epoch[m])
                return all_of(self.counts(b, m), gone, not_(self.fetched_from(b, m, log)))

            blocked = all_of(self.presumes_leadership[b], self.blocked[b, log])
            return implies(blocked, exists(Broker, is_blocker))

        return for_all(Broker, LogValue, has_blocker)

    @cut("leader_advance_high_watermark")
    def acknowledged_log_is_open(self, leader, log):
        """All whom the leader counts have fetched it, so nobody blocks it."""
        return not_(self.blocked[leader, log])

    @conjunct
    def updates_cover_candidates(self):
        """What a late leader may read covers all candidates, or a member has gone on.

        Of large ISRs; where a member has gone on, that leader will acknowledge nothing.
        """

        def covers(epoch, isr, c):
            shown = all_of(self.isr_updates.has(epoch=epoch, isr=isr), ReplicaSet.large(isr))
            candidate = any_of(self.is_eligible(c), self.is_elected_after(c, epoch))
            unread = all_of(shown, not_(self.started.has(epoch)))

            def has_gone_on(m):
                return all_of(ReplicaSet.has(isr, m), epoch < self.known_epoch[m])

            return implies(
                all_of(unread, candidate),
                any_of(ReplicaSet.has(isr, c), exists(Broker, has_gone_on)),
            )

        return for_all(LeaderEpoch, ReplicaSet, Broker, covers)

    @conjunct
    def candidates_have_what_is_open(self):
        """Candidates have what an earlier leader may still acknowledge, or it waits for them.

        It waits for whom it counts and who is still in its epoch. The heart of the matter.
        """

        def has_it(b, c, log):
            candidate = any_of(self.is_eligible(c), self.will_lead_after(c, self.known_epoch[b]))
            waits = all_of(self.counts(b, c), self.known_epoch[c] <= self.known_epoch[b])
            gone_with_it = all_of(self.known_epoch[b] < self.known_epoch[c], self.has(c, log))
            return implies(
                all_of(self.is_open(b, log), candidate, self.running[c]),
                any_of(waits, gone_with_it),
            )

        return for_all(Broker, Broker, LogValue, has_it)

    @conjunct
    def later_leaders_have_what_is_open(self):
        """Whoever took over later has what an earlier leader may still acknowledge."""

        def has_it(b, later, log):
            leads = self.presumes_leadership[later]
            after = all_of(leads, self.known_epoch[b] < self.known_epoch[later])
            return implies(all_of(self.is_open(b, log), after), self.has(later, log))

        return for_all(Broker, Broker, LogValue, has_it)

    @conjunct
    def later_epochs_start_with_what_is_open(self):
        """Later epochs start with what an earlier leader may still acknowledge."""

        def starts_with_it(b, epoch, later, start, log):
            after = all_of(self.is_start(epoch, later, start), self.known_epoch[b] < epoch)
            return implies(all_of(self.is_open(b, log), after), prefix(log, start))

        return for_all(Broker, LeaderEpoch, Broker, LogValue, LogValue, starts_with_it)

    @conjunct
    def requested_followers_have_what_is_open(self):
        """Whom a later leader asks to add has it too, so it may become a candidate."""

        def has_it(b, leader, f, log):
            acceptable = self.would_be_accepted(leader, f)
            earlier = all_of(self.is_open(b, log), self.known_epoch[b] < self.leader_epoch)
            return implies(all_of(acceptable, earlier), self.has(f, log))

        return for_all(Broker, Broker, Broker, LogValue, has_it)

    # ---- what was acknowledged

    @conjunct
    def acknowledgements_are_real(self):
        """What is acknowledged was written, and by a leader that had started."""

        def is_real(epoch, log):
            by_leader = all_of(self.started.has(epoch), LogValue.last_epoch(log) <= epoch)
            real = all_of(self.is_written(log), by_leader)
            return implies(self.is_acknowledged(epoch, log), real)

        return for_all(LeaderEpoch, LogValue, is_real)

    @conjunct(isolated=True)
    def acknowledgements_have_a_start(self):
        """Only epochs that have started acknowledge. Existential, so used for the cut alone."""

        def has_start(epoch, log):
            start = exists(Broker, LogValue, lambda b, start: self.is_start(epoch, b, start))
            return implies(self.is_acknowledged(epoch, log), start)

        return for_all(LeaderEpoch, LogValue, has_start)

    @conjunct
    def acknowledgements_fit_their_start(self):
        """An epoch acknowledges one log, that of its leader."""

        def fits(epoch, log, leader, start):
            both = all_of(self.is_acknowledged(epoch, log), self.is_start(epoch, leader, start))
            return implies(both, any_of(prefix(log, start), prefix(start, log)))

        return for_all(LeaderEpoch, LogValue, Broker, LogValue, fits)

    @cut("leader_advance_high_watermark")
    def acknowledged_log_fits_later_ones(self, leader, log):
        """A late acknowledgement is of something that later epochs started with."""

        def fits(epoch, other):
            later = all_of(self.is_acknowledged(epoch, other), self.known_epoch[leader] < epoch)
            return implies(later, any_of(prefix(log, other), prefix(other, log)))

        return for_all(LeaderEpoch, LogValue, fits)

    @conjunct
    def acknowledgements_agree(self):
        """Two acknowledgements are of one log; needed for itself only."""
        return self.acknowledged_logs_agree()

    @conjunct
    def own_acknowledgements(self):
        """What the leader itself acknowledged is below its high watermark."""

        def is_own(b, epoch, log):
            below = all_of(self.has(b, log), length(log) <= self.high_watermark[b])
            return implies(all_of(self.is_acknowledged(epoch, log), self.leads_in(b, epoch)), below)

        return for_all(Broker, LeaderEpoch, LogValue, is_own)

    @conjunct
    def later_leaders_are_complete(self):
        """What earlier leaders acknowledged is in the log of every acting leader."""

        def is_complete(b, epoch, log):
            later = all_of(self.presumes_leadership[b], epoch < self.known_epoch[b])
            return implies(all_of(self.is_acknowledged(epoch, log), later), self.has(b, log))

        return for_all(Broker, LeaderEpoch, LogValue, is_complete)

    @conjunct
    def later_epochs_start_complete(self):
        """Later epochs start with all that was acknowledged: so whoever has the start has it."""

        def is_complete(epoch, log, later, b, start):
            after = all_of(self.is_start(later, b, start), epoch < later)
            return implies(all_of(self.is_acknowledged(epoch, log), after), prefix(log, start))

        return for_all(LeaderEpoch, LogValue, LeaderEpoch, Broker, LogValue, is_complete)

    @conjunct
    def running_candidates_are_complete(self):
        """Who runs and may be elected has all that was acknowledged, and knows its epoch."""

        def is_complete(b, epoch, log):
            candidate = any_of(self.is_eligible(b), self.will_lead_after(b, epoch))
            promised = all_of(self.is_acknowledged(epoch, log), self.running[b])
            complete = all_of(epoch <= self.known_epoch[b], self.has(b, log))
            return implies(all_of(promised, candidate), complete)

        return for_all(Broker, LeaderEpoch, LogValue, is_complete)

    @conjunct
    def requested_followers_are_complete(self):
        """Whom an acceptable request names has it all, so it may become a candidate."""

        def is_complete(b, f, epoch, log):
            promised = self.is_acknowledged(epoch, log)
            return implies(all_of(self.would_be_accepted(b, f), promised), self.has(f, log))

        return for_all(Broker, Broker, LeaderEpoch, LogValue, is_complete)

    @conjunct
    def last_large_isr_stays_eligible(self):
        """Of the last large ISR only brokers that lost data stop being candidates: the survivor."""

        def stays(b):
            unhurt = not_(self.lost_data.has(b))
            member = ReplicaSet.has(self.last_large_isr, b)
            return implies(all_of(member, unhurt), self.is_eligible(b))

        return all_of(ReplicaSet.large(self.last_large_isr), for_all(Broker, stays))
