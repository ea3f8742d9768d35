"""Why KRaft elects one leader per epoch, for any number of voters, whatever the quorums are.

A quorum shares a voter with any other. That is the only thing known of quorums, and it is used at
three places: here, where two candidates of one epoch would share a voter; and twice in
`quorum_induction`, where a newer leader's voters meet those who acknowledged a record, or did not.
"""

from spec.language import (
    BOOL,
    EMPTY,
    Messages,
    after,
    all_of,
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
from spec.models.quorum_protocol import Epoch, Kraft, LogValue, Quorum, Voter


class KraftElection(Kraft):
    """One vote per voter and epoch, one leader per epoch, and what its election says of logs."""

    # Who was elected in an epoch, and by which quorum; an epoch in which someone was.
    elected = history(var(Messages(epoch=Epoch, leader=Voter, quorum=Quorum), init=EMPTY))
    started = history(per(Epoch, BOOL, init=False))
    # Logs that some voter once had.
    existed = history(per(LogValue, BOOL, init=lambda log: log == LogValue.empty))

    @after("become_leader")
    def keep_elected(self, new, leader, quorum):
        new.elected.send(epoch=self.epoch[leader], leader=leader, quorum=quorum)
        new.started[self.epoch[leader]] = True

    @after("leader_append")
    def keep_existed(self, new, longer):
        new.existed[longer] = True

    # ---- votes and elections --------------------------------------------------------------------

    @conjunct
    def votes_pin_epochs(self):
        """Neither side of a vote goes back: so epochs only grow, and 0 has no leader."""
        return for_all(
            Epoch,
            Voter,
            Voter,
            lambda epoch, voter, candidate: implies(
                self.votes.has(epoch=epoch, voter=voter, candidate=candidate),
                all_of(epoch <= self.epoch[voter], epoch <= self.epoch[candidate], epoch != 0),
            ),
        )

    @conjunct
    def votes_are_remembered(self):
        """The disk knows the vote of the current epoch: this makes it the only one."""
        return for_all(
            Voter,
            Voter,
            lambda voter, candidate: implies(
                self.votes.has(epoch=self.epoch[voter], voter=voter, candidate=candidate),
                self.voted_for[voter] == candidate,
            ),
        )

    @conjunct
    def requests_are_real(self):
        """A request for votes is backed by the candidate's own vote and by a log that existed."""
        return for_all(
            Epoch,
            Voter,
            LogValue,
            lambda epoch, candidate, log: implies(
                self.vote_requests.has(epoch=epoch, candidate=candidate, log=log),
                all_of(
                    epoch <= self.epoch[candidate],
                    epoch != 0,
                    self.existed[log],
                    self.votes.has(epoch=epoch, voter=candidate, candidate=candidate),
                ),
            ),
        )

    @conjunct
    def one_request_per_epoch(self):
        """All who vote for a candidate in an epoch vote for the same log."""
        return for_all(
            Epoch,
            Voter,
            LogValue,
            LogValue,
            lambda epoch, candidate, a, b: implies(
                all_of(
                    self.vote_requests.has(epoch=epoch, candidate=candidate, log=a),
                    self.vote_requests.has(epoch=epoch, candidate=candidate, log=b),
                ),
                a == b,
            ),
        )

    @conjunct
    def candidates_stand_still(self):
        """A candidate's log stays as it asked with: with that log it will lead."""
        return for_all(
            Voter,
            lambda candidate: implies(
                self.is_candidate[candidate],
                self.vote_requests.has(
                    epoch=self.epoch[candidate], candidate=candidate, log=self.log[candidate]
                ),
            ),
        )

    @conjunct
    def candidates_have_not_led(self):
        """Nobody wins an epoch twice, with another log the second time."""
        return for_all(
            Voter,
            lambda voter: implies(
                self.is_candidate[voter],
                not_(self.begin_quorum_epoch.has(epoch=self.epoch[voter], leader=voter)),
            ),
        )

    @conjunct
    def leaders_are_elected(self):
        """Only who has announced itself acts as leader, so one_leader_per_epoch is about acts."""
        return all_of(
            for_all(
                Voter,
                lambda voter: implies(
                    self.is_leader[voter],
                    self.begin_quorum_epoch.has(epoch=self.epoch[voter], leader=voter),
                ),
            ),
            for_all(
                Epoch,
                Voter,
                lambda epoch, leader: implies(
                    self.begin_quorum_epoch.has(epoch=epoch, leader=leader),
                    all_of(epoch <= self.epoch[leader], epoch != 0, self.started[epoch]),
                ),
            ),
        )

    @conjunct
    def elected_by_a_quorum(self):
        """Every member voted for the winner: where two quorums meet, somebody voted in both."""
        return for_all(
            Epoch,
            Voter,
            Quorum,
            Voter,
            lambda epoch, leader, quorum, voter: implies(
                self.elected.has(epoch=epoch, leader=leader, quorum=quorum),
                all_of(
                    self.begin_quorum_epoch.has(epoch=epoch, leader=leader),
                    implies(
                        Quorum.has(quorum, voter),
                        self.votes.has(epoch=epoch, voter=voter, candidate=leader),
                    ),
                ),
            ),
        )

    @conjunct(isolated=True)
    def started_epochs_have_a_leader(self):
        """Gives the quorum of an epoch of which only a record or an announcement is known."""
        return for_all(
            Epoch,
            lambda epoch: implies(
                self.started[epoch],
                exists(
                    Voter,
                    Quorum,
                    lambda leader, quorum: self.elected.has(
                        epoch=epoch, leader=leader, quorum=quorum
                    ),
                ),
            ),
        )

    @cut("become_leader")
    def first_of_its_epoch(self, leader):
        """Another leader of the epoch would share a voter with this one."""
        return not_(self.started[self.epoch[leader]])

    @conjunct
    def each_votes_once(self):
        """Without it the voter that two quorums share could have voted for two candidates."""
        return self.one_vote_per_epoch()

    @conjunct
    def each_epoch_has_one_leader(self):
        """Without it two logs could grow in one epoch."""
        return self.one_leader_per_epoch()
