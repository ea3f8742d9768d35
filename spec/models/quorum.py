"""KRaft, and what goes wrong without each of its rules.

The protocol is in `quorum_protocol`. Each variant here leaves out one rule, and its refutations say
how short the way to the damage is.
"""

from spec.language import FALSE, NONE, all_of, any_of, exists, for_all, iff, implies, not_, require
from spec.models.family import Family, Refutation, Variant
from spec.models.quorum_protocol import Epoch, Kraft, LogValue, Quorum, Voter


class VoteNotPersisted(Kraft):
    """A voter forgets in a restart whom it voted for, and votes again in the same epoch."""

    def restart(self, new, voter):
        super().restart(new, voter)
        new.voted_for[voter] = NONE


class StandsInKnownEpoch(Kraft):
    """A candidate stands in the epoch that it is in, although it may have voted there."""

    def may_stand(self, candidate, epoch):
        return epoch >= self.epoch[candidate]


class VotesInPastEpoch(Kraft):
    """A voter goes back to an older epoch to vote there."""

    def may_vote(self, voter, epoch):
        return any_of(epoch < self.epoch[voter], super().may_vote(voter, epoch))


class WinsWithOwnVote(Kraft):
    """A candidate does not wait for a quorum of votes."""

    def has_votes(self, candidate, quorum):
        return all_of()


class FollowsPastLeader(Kraft):
    """A voter goes back to an older epoch to follow its leader."""

    def may_follow(self, follower, epoch):
        return all_of()


class FetchesAcrossEpochs(Kraft):
    """A follower takes the answers of leaders of other epochs."""

    def is_following(self, follower, leader):
        return all_of(follower != leader, not_(self.is_candidate[follower]))

    def is_of_leader(self, part, follower, leader):
        return exists(
            Epoch,
            lambda epoch: all_of(
                self.begin_quorum_epoch.has(epoch=epoch, leader=leader),
                self.has_shown[leader, epoch][part],
            ),
        )


class AnyLogWins(Kraft):
    """Votes do not depend on the candidate's log."""

    def is_up_to_date(self, theirs, mine):
        return all_of()


class TruncateWholeEpoch(Kraft):
    """A follower cuts all records of the diverging epoch, also those before its end offset."""

    def may_keep(self, part, answer):
        return LogValue.last_epoch(part) < LogValue.last_epoch(answer)


class FetchByOffset(Kraft):
    """A leader checks of a Fetch the offset only, not the epoch of the record before it."""

    def is_at(self, position, log):
        return LogValue.length(position) == LogValue.length(log)


class CommitWithoutQuorum(Kraft):
    """A leader commits what it has written, whoever has acknowledged it."""

    def is_acknowledged(self, leader, quorum, end):
        return all_of()


class CountsOtherEpochs(Kraft):
    """A leader takes any Fetch for one of its epoch: it looks at the offset only."""

    def has_fetched_at(self, voter, end):
        return exists(
            Epoch,
            LogValue,
            lambda epoch, log: all_of(
                self.has_shown[voter, epoch][log],
                not_(self.begin_quorum_epoch.has(epoch=epoch, leader=voter)),
                LogValue.length(log) >= LogValue.length(end),
            ),
        )

    def is_acknowledged(self, leader, quorum, end):
        return for_all(
            Voter,
            lambda voter: implies(
                all_of(Quorum.has(quorum, voter), voter != leader), self.has_fetched_at(voter, end)
            ),
        )


class CommitOldEpoch(Kraft):
    """A leader commits whatever a quorum has, also records of older epochs (Raft, figure 8)."""

    def may_commit(self, leader, end):
        return end != LogValue.empty


class CommitOldEpochOnly(CommitOldEpoch):
    """Figure 8, in as much of the protocol as it needs: what is left can be searched to the end.

    Every behaviour of this is one of `CommitOldEpoch`. Elections use one epoch after the other,
    nobody restarts, refuses or truncates, and who follows is who voted; so the counterexample is
    the shortest of these, of 17 actions.
    """

    def may_commit(self, leader, end):
        old = LogValue.last_epoch(end) < self.epoch[leader]
        return all_of(super().may_commit(leader, end), old)

    def was_asked_for(self, epoch):
        return exists(
            Voter,
            LogValue,
            lambda candidate, log: self.vote_requests.has(
                epoch=epoch, candidate=candidate, log=log
            ),
        )

    def start_election(self, new, candidate, epoch):
        super().start_election(new, candidate, epoch)
        require(
            for_all(
                Epoch,
                lambda other: implies(other != 0, iff(self.was_asked_for(other), other < epoch)),
            )
        )

    def refuse_vote(self, new, voter, candidate, epoch, log):
        require(FALSE)

    def follow_leader(self, new, follower, leader, epoch):
        require(FALSE)

    def follower_truncate(self, new, follower, leader, answer, kept):
        require(FALSE)

    def restart(self, new, voter):
        require(FALSE)


def _refuted(invariant: str, steps: int, *, epochs: int, offsets: int = 2) -> Refutation:
    """Three voters break it in so many steps."""
    bounds = {"Voter": 3, "Epoch": epochs, "Offset": offsets}
    return Refutation(invariant=invariant, bounds=bounds, steps=steps, symmetry="Voter")


def _wrong(name: str, protocol: type[Kraft], *refutations: Refutation) -> Variant:
    return Variant(
        name=name,
        protocol=protocol,
        bounds=refutations[0].bounds,
        symmetry="Voter",
        refutations=refutations,
    )


MODEL = Family(
    name="quorum",
    summary="KRaft: election of the metadata quorum's leader, replication and commitment",
    bounds={"voters": "Voter", "epochs": "Epoch+1", "log_size": "Offset+1"},
    variants=(
        Variant(
            name="kraft",
            protocol=Kraft,
            bounds={"Voter": 3, "Epoch": 3, "Offset": 2},
            symmetry="Voter",
        ),
        _wrong(
            "vote-not-persisted",
            VoteNotPersisted,
            _refuted("one_vote_per_epoch", 4, epochs=2, offsets=1),
            _refuted("one_leader_per_epoch", 7, epochs=2, offsets=1),
        ),
        _wrong(
            "stands-in-known-epoch",
            StandsInKnownEpoch,
            _refuted("one_vote_per_epoch", 3, epochs=2, offsets=1),
            _refuted("one_leader_per_epoch", 6, epochs=2, offsets=1),
        ),
        _wrong(
            "votes-in-past-epoch",
            VotesInPastEpoch,
            _refuted("one_vote_per_epoch", 4, epochs=3, offsets=1),
        ),
        _wrong(
            "wins-with-own-vote",
            WinsWithOwnVote,
            _refuted("one_leader_per_epoch", 4, epochs=2, offsets=1),
            _refuted("log_matching", 10, epochs=3, offsets=3),
        ),
        _wrong(
            "follows-past-leader",
            FollowsPastLeader,
            _refuted("one_vote_per_epoch", 7, epochs=3, offsets=1),
        ),
        _wrong(
            "any-log-wins",
            AnyLogWins,
            _refuted("leader_completeness", 10, epochs=3),
            _refuted("committed_prefixes_agree", 15, epochs=3),
        ),
        _wrong(
            "fetches-across-epochs",
            FetchesAcrossEpochs,
            _refuted("leader_completeness", 11, epochs=3),
        ),
        _wrong(
            "fetch-by-offset",
            FetchByOffset,
            _refuted("fetch_soundness", 9, epochs=3),
        ),
        _wrong(
            "truncate-whole-epoch",
            TruncateWholeEpoch,
            _refuted("committed_is_never_cut", 8, epochs=2),
            _refuted("leader_completeness", 11, epochs=3),
        ),
        _wrong(
            "commit-without-quorum",
            CommitWithoutQuorum,
            _refuted("leader_completeness", 8, epochs=3),
        ),
        _wrong(
            "counts-other-epochs",
            CountsOtherEpochs,
            _refuted("leader_completeness", 11, epochs=3),
        ),
        _wrong(
            "commit-old-epoch",
            CommitOldEpochOnly,
            _refuted("leader_completeness", 17, epochs=5),
        ),
    ),
)
