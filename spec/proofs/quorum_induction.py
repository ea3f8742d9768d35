"""Why KRaft keeps what it committed, for any number of voters, epochs and records.

The idea: do not speak of what is committed but of what still can be. A record of epoch `a`, named
by the log that ends with it, is *blocked* for a quorum once a member has left epoch `a` without
acknowledging it: that quorum will never commit it. As long as it is not blocked, whoever
acknowledged it keeps it and votes only for those who have it, so every later leader has it. An
acknowledgement may therefore complete a commit however late it arrives.
"""

from spec.language import (
    BOOL,
    EMPTY,
    Messages,
    Per,
    after,
    all_of,
    any_of,
    conjunct,
    cut,
    exists,
    for_all,
    history,
    implies,
    not_,
    per,
    var,
)
from spec.models.quorum_protocol import Epoch, LogValue, Quorum, Voter
from spec.proofs.quorum_election import KraftElection


class KraftProof(KraftElection):
    """Leader completeness with acknowledgements and answers that may be arbitrarily old."""

    # The invariants speak of commits; the quorums behind them are one step away.
    hints = {
        ("IMPLIES", "leader_completeness"): "committed_by_a_quorum committed_is_not_blocked "
        "leaders_own_their_epoch later_leaders_have_it leaders_keep_what_they_show "
        "leaders_are_elected",
        ("IMPLIES", "committed_prefixes_agree"): "committed_by_a_quorum committed_is_not_blocked "
        "one_writer_per_epoch later_records_come_after_it",
        # Where quorums meet, little else matters.
        ("become_leader", "first_of_its_epoch"): "started_epochs_have_a_leader elected_by_a_quorum "
        "each_votes_once candidates_have_not_led",
        ("leader_append", "deposed_leaders_append_in_vain"): "started_epochs_have_a_leader "
        "elected_by_a_quorum votes_pin_epochs shown_logs_existed leaving_blocks",
    }

    # Which quorum had acknowledged a committed log.
    committed_by = history(var(Messages(epoch=Epoch, log=LogValue, quorum=Quorum), init=EMPTY))
    # The quorum can never commit that log in that epoch.
    blocked = history(per(Quorum, Per(Epoch, Per(LogValue, BOOL)), init=False))

    # ---- history --------------------------------------------------------------------------------

    def leave_older_epochs(self, new, voter, epoch):
        """What it has not acknowledged in an epoch by now, it never will."""
        new.blocked = lambda quorum: (
            lambda older: (
                lambda log: any_of(
                    self.blocked[quorum, older, log],
                    all_of(
                        Quorum.has(quorum, voter),
                        older < epoch,
                        not_(self.has_shown[voter, older, log]),
                    ),
                )
            )
        )

    @after("start_election")
    def candidate_leaves_older_epochs(self, new, candidate, epoch):
        self.leave_older_epochs(new, candidate, epoch)

    @after("grant_vote", "refuse_vote")
    def voter_leaves_older_epochs(self, new, voter, epoch):
        self.leave_older_epochs(new, voter, epoch)

    @after("follow_leader")
    def follower_leaves_older_epochs(self, new, follower, epoch):
        self.leave_older_epochs(new, follower, epoch)

    @after("leader_advance_high_watermark")
    def keep_committed_by(self, new, leader, quorum, end):
        new.committed_by.send(epoch=self.epoch[leader], log=end, quorum=quorum)

    # ---- definitions ----------------------------------------------------------------------------

    def can_be_committed(self, epoch, log, quorum):
        """The last record of `log` is of that epoch, and the quorum may still commit it."""
        return all_of(
            self.existed[log],
            LogValue.last_epoch(log) == epoch,
            epoch != 0,
            not_(self.blocked[quorum, epoch, log]),
        )

    def left_without(self, voter, epoch, log):
        return all_of(epoch < self.epoch[voter], not_(self.has_shown[voter, epoch, log]))

    # ---- logs -----------------------------------------------------------------------------------

    @conjunct
    def logs_existed(self):
        """History holds every log and all that they begin with: what is below speaks of it."""
        return all_of(
            self.existed[LogValue.empty],
            for_all(Voter, lambda voter: self.existed[self.log[voter]]),
            for_all(
                LogValue,
                LogValue,
                lambda part, log: implies(
                    all_of(self.existed[log], LogValue.prefix(part, log)), self.existed[part]
                ),
            ),
        )

    @conjunct
    def records_have_a_leader(self):
        """Every record was written in an epoch with an elected leader."""
        return for_all(
            LogValue,
            lambda log: implies(
                all_of(self.existed[log], log != LogValue.empty),
                all_of(LogValue.last_epoch(log) != 0, self.started[LogValue.last_epoch(log)]),
            ),
        )

    @conjunct
    def epochs_grow_along_a_log(self):
        """So that "larger last epoch" and "up to that epoch" mean what the guards use them for."""
        return for_all(
            LogValue,
            LogValue,
            lambda part, log: implies(
                all_of(self.existed[log], LogValue.prefix(part, log)),
                LogValue.last_epoch(part) <= LogValue.last_epoch(log),
            ),
        )

    @conjunct
    def logs_are_not_ahead(self):
        """A leader's next record is not older than its last one."""
        return for_all(
            Voter, lambda voter: LogValue.last_epoch(self.log[voter]) <= self.epoch[voter]
        )

    @conjunct
    def one_writer_per_epoch(self):
        """Logs that end in the same epoch are one log at two times: this is log matching."""
        return for_all(
            LogValue,
            LogValue,
            lambda a, b: implies(
                all_of(
                    self.existed[a],
                    self.existed[b],
                    LogValue.last_epoch(a) == LogValue.last_epoch(b),
                ),
                any_of(LogValue.prefix(a, b), LogValue.prefix(b, a)),
            ),
        )

    @conjunct
    def shown_logs_existed(self):
        """Nobody shows a log that is still to be written, or in an epoch that is not reached."""
        return for_all(
            Voter,
            Epoch,
            LogValue,
            lambda voter, epoch, log: implies(
                self.has_shown[voter, epoch, log],
                all_of(
                    self.existed[log],
                    epoch <= self.epoch[voter],
                    LogValue.last_epoch(log) <= epoch,
                ),
            ),
        )

    @conjunct
    def candidates_have_shown_nothing(self):
        """A new leader has not followed in its epoch: what it shows there begins with this log."""
        return for_all(
            Voter,
            LogValue,
            lambda voter, log: implies(
                self.is_candidate[voter], not_(self.has_shown[voter, self.epoch[voter], log])
            ),
        )

    @conjunct
    def leaders_keep_what_they_show(self):
        """A leader truncates nothing: all its answers are about one growing log."""
        return for_all(
            Voter,
            LogValue,
            lambda leader, log: implies(
                all_of(self.is_leader[leader], self.has_shown[leader, self.epoch[leader], log]),
                LogValue.prefix(log, self.log[leader]),
            ),
        )

    @conjunct
    def leaders_own_their_epoch(self):
        """A leader has every record of its epoch: appending to its log keeps the epoch one log."""
        return for_all(
            Epoch,
            Voter,
            LogValue,
            lambda epoch, leader, log: implies(
                all_of(
                    self.begin_quorum_epoch.has(epoch=epoch, leader=leader),
                    self.existed[log],
                    LogValue.last_epoch(log) == epoch,
                ),
                self.has_shown[leader, epoch, log],
            ),
        )

    # ---- commitment -----------------------------------------------------------------------------

    @conjunct
    def leaving_blocks(self):
        """A record is blocked at least when a member left the epoch without acknowledging it."""
        return for_all(
            Quorum,
            Voter,
            Epoch,
            LogValue,
            lambda quorum, voter, epoch, log: implies(
                all_of(Quorum.has(quorum, voter), self.left_without(voter, epoch, log)),
                self.blocked[quorum, epoch, log],
            ),
        )

    @conjunct(isolated=True)
    def only_leaving_blocks(self):
        """And only then: so what a quorum has acknowledged is not blocked for it."""
        return for_all(
            Quorum,
            Epoch,
            LogValue,
            lambda quorum, epoch, log: implies(
                self.blocked[quorum, epoch, log],
                exists(
                    Voter,
                    lambda voter: all_of(
                        Quorum.has(quorum, voter), self.left_without(voter, epoch, log)
                    ),
                ),
            ),
        )

    @conjunct
    def committed_is_not_blocked(self):
        """What holds of everything that can be committed holds of what was."""
        return for_all(
            Epoch,
            LogValue,
            Quorum,
            lambda epoch, log, quorum: implies(
                self.committed_by.has(epoch=epoch, log=log, quorum=quorum),
                self.can_be_committed(epoch, log, quorum),
            ),
        )

    @conjunct
    def committed_is_acknowledged(self):
        """By the whole quorum: so nobody can block it any more by leaving the epoch."""
        return for_all(
            Epoch,
            LogValue,
            Quorum,
            Voter,
            lambda epoch, log, quorum, voter: implies(
                all_of(
                    self.committed_by.has(epoch=epoch, log=log, quorum=quorum),
                    Quorum.has(quorum, voter),
                ),
                self.has_shown[voter, epoch, log],
            ),
        )

    @conjunct(isolated=True)
    def committed_by_a_quorum(self):
        """Gives the quorum of a commit of which only the epoch and the log are known."""
        return for_all(
            Epoch,
            LogValue,
            lambda epoch, log: implies(
                self.committed.has(epoch=epoch, log=log),
                exists(
                    Quorum,
                    lambda quorum: self.committed_by.has(epoch=epoch, log=log, quorum=quorum),
                ),
            ),
        )

    @conjunct
    def acknowledged_is_kept(self):
        """Whoever acknowledged a record that can be committed still has it."""
        return for_all(
            Epoch,
            LogValue,
            Quorum,
            Voter,
            lambda epoch, log, quorum, voter: implies(
                all_of(
                    self.can_be_committed(epoch, log, quorum),
                    Quorum.has(quorum, voter),
                    self.has_shown[voter, epoch, log],
                ),
                LogValue.prefix(log, self.log[voter]),
            ),
        )

    @conjunct
    def votes_go_to_those_who_have_it(self):
        """And has since voted only for candidates that have it: their logs are as up to date."""
        return for_all(
            Epoch,
            LogValue,
            Quorum,
            Voter,
            Epoch,
            Voter,
            LogValue,
            lambda epoch, log, quorum, voter, later, candidate, theirs: implies(
                all_of(
                    self.can_be_committed(epoch, log, quorum),
                    Quorum.has(quorum, voter),
                    self.has_shown[voter, epoch, log],
                    epoch < later,
                    self.votes.has(epoch=later, voter=voter, candidate=candidate),
                    self.vote_requests.has(epoch=later, candidate=candidate, log=theirs),
                ),
                LogValue.prefix(log, theirs),
            ),
        )

    @conjunct
    def later_leaders_have_it(self):
        """So whoever leads a later epoch has it: the two quorums share such a voter."""
        return for_all(
            Epoch,
            LogValue,
            Quorum,
            Epoch,
            Voter,
            lambda epoch, log, quorum, later, leader: implies(
                all_of(
                    self.can_be_committed(epoch, log, quorum),
                    self.begin_quorum_epoch.has(epoch=later, leader=leader),
                    epoch < later,
                ),
                self.has_shown[leader, later, log],
            ),
        )

    @conjunct
    def later_records_come_after_it(self):
        """And so has every log with a newer record: a newer last epoch wins votes rightly."""
        return for_all(
            Epoch,
            LogValue,
            Quorum,
            LogValue,
            lambda epoch, log, quorum, newer: implies(
                all_of(
                    self.can_be_committed(epoch, log, quorum),
                    self.existed[newer],
                    epoch < LogValue.last_epoch(newer),
                ),
                LogValue.prefix(log, newer),
            ),
        )

    @cut("leader_advance_high_watermark")
    def its_quorum_is_not_blocked(self, leader, quorum, end):
        """Nobody can have left without acknowledging what all have acknowledged."""
        return not_(self.blocked[quorum, self.epoch[leader], end])

    @conjunct
    def nothing_committed_was_cut(self):
        """The invariant itself: a truncation reads what is committed, no one reads this."""
        return self.committed_is_never_cut()

    @cut("follower_truncate")
    def committed_is_kept(self, follower, kept):
        """The leader has what was committed, so it lies before the diverging epoch's end."""
        return for_all(
            Epoch,
            LogValue,
            lambda epoch, log: implies(
                all_of(
                    self.committed.has(epoch=epoch, log=log),
                    LogValue.prefix(log, self.log[follower]),
                ),
                LogValue.prefix(log, kept),
            ),
        )

    @cut("leader_append")
    def deposed_leaders_append_in_vain(self, leader, longer):
        """Once a later epoch has started, no quorum can commit a new record of this one.

        The later leader's quorum meets any other in a voter that left without acknowledging it.
        """
        epoch = self.epoch[leader]
        return for_all(
            Epoch,
            Quorum,
            lambda later, quorum: implies(
                all_of(self.started[later], epoch < later, not_(self.existed[longer])),
                self.blocked[quorum, epoch, longer],
            ),
        )
