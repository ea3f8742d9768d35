"""KRaft: how the voters of the metadata quorum elect a leader and commit records (KIP-595).

Raft in Kafka's terms. Candidates ask for votes, the winner announces itself (BeginQuorumEpoch), and
followers pull: a Fetch names the offset and the epoch of the follower's last record, so it is at
once the consistency check of Raft's AppendEntries and the acknowledgement of everything before it.

What the model leaves open, so that a proof covers it:

* All requests and answers may be delayed, repeated, overtaken or lost. A leader may count an
  acknowledgement whose sender has long since moved to another epoch, or voted there; a follower may
  apply the answer of a leader that has been deposed meanwhile.
* Time does not exist: anyone may stand for election at any moment, in any newer epoch.
* Any family of voter sets of which any two share a voter may serve as the quorums.

A log is one value: `LogValue.prefix(a, b)` says that `b` begins with `a`. Messages carry whole logs
here where Kafka sends an offset and an epoch; voters and leaders compare no more than those two,
and `fetch_soundness` says that this is enough.

Not modelled: pre-vote (KIP-996), change of the voters (KIP-853), snapshots, and the flush of a
log, which happens at once. A disk is never lost: with its vote or its log gone, a voter is another
one, and Raft promises nothing. What goes wrong without a rule is in `quorum`.
"""

from spec.language import (
    BOOL,
    EMPTY,
    NONE,
    Messages,
    Optional,
    Per,
    Protocol,
    Quorums,
    Sequences,
    action,
    all_of,
    any_of,
    entity,
    exists,
    for_all,
    implies,
    invariant,
    ite,
    not_,
    order,
    per,
    require,
    var,
    witness,
)

Voter = entity("Voter")
Epoch = order("Epoch")  # 0 is the epoch before the first election
Offset = order("Offset")
LogValue = Sequences("LogValue", epoch=Epoch, offset=Offset)
Quorum = Quorums("Quorum", of=Voter)


class Kraft(Protocol):
    """Elects one leader per epoch, and every later leader has what was committed."""

    # On disk: the quorum state file and the log. A restart keeps them.
    epoch = per(Voter, Epoch, init=0)
    voted_for = per(Voter, Optional(Voter), init=NONE)  # in that epoch
    log = per(Voter, LogValue, init=EMPTY)
    # In memory.
    is_candidate = per(Voter, BOOL, init=False)
    is_leader = per(Voter, BOOL, init=False)
    # Messages ever sent.
    vote_requests = var(Messages(epoch=Epoch, candidate=Voter, log=LogValue), init=EMPTY)
    votes = var(Messages(epoch=Epoch, voter=Voter, candidate=Voter), init=EMPTY)
    begin_quorum_epoch = var(Messages(epoch=Epoch, leader=Voter), init=EMPTY)
    # What others may have heard of a voter's log in an epoch: a follower tells the leader by the
    # positions of its Fetch requests, the leader tells the followers by its answers.
    has_shown = per(Voter, Per(Epoch, Per(LogValue, BOOL)), init=False)
    # What the leader of an epoch has committed, that is, said to be below its high watermark.
    committed = var(Messages(epoch=Epoch, log=LogValue), init=EMPTY)
    # For the invariant: somebody has cut off a committed record.
    has_cut_committed = var(BOOL, init=False)

    # ---- definitions ----------------------------------------------------------------------------

    def may_stand(self, candidate, epoch):
        # In an epoch that it knows it may have voted for someone else already.
        return epoch > self.epoch[candidate]

    def may_vote(self, voter, epoch):
        # Two votes in one epoch can elect two leaders of it. Of a past epoch the voter has
        # forgotten its vote, and going back there it would forget the one it has given since.
        not_yet = all_of(epoch == self.epoch[voter], self.voted_for[voter] == NONE)
        return any_of(epoch > self.epoch[voter], not_yet)

    def is_up_to_date(self, theirs, mine):
        """A candidate's log against a voter's: last epoch first, then length."""
        # Otherwise a candidate wins that lacks what this voter helped to commit.
        newer = LogValue.last_epoch(theirs) > LogValue.last_epoch(mine)
        same_epoch = LogValue.last_epoch(theirs) == LogValue.last_epoch(mine)
        longer = LogValue.length(theirs) >= LogValue.length(mine)
        return any_of(newer, all_of(same_epoch, longer))

    def has_votes(self, candidate, quorum):
        # With fewer votes two candidates could both win: two quorums share a voter.
        epoch = self.epoch[candidate]
        return for_all(
            Voter,
            lambda voter: implies(
                Quorum.has(quorum, voter),
                self.votes.has(epoch=epoch, voter=voter, candidate=candidate),
            ),
        )

    def may_follow(self, follower, epoch):
        # Who goes back to an older epoch forgets its vote in the newer one, and votes there again.
        return epoch >= self.epoch[follower]

    def is_following(self, follower, leader):
        # Across epochs a deposed leader would overwrite what the new one wrote. (KRaft's candidates
        # do not fetch: they learn first that somebody else has won.)
        return all_of(
            follower != leader,
            self.begin_quorum_epoch.has(epoch=self.epoch[follower], leader=leader),
            not_(self.is_candidate[follower]),
        )

    def is_of_leader(self, part, follower, leader):
        """The leader's answers to the follower may speak of this part of the leader's log."""
        return self.has_shown[leader, self.epoch[follower]][part]

    def is_at(self, position, log):
        """What a leader checks of a Fetch at the end of `log`, against a prefix of its own log."""
        return all_of(
            LogValue.length(position) == LogValue.length(log),
            LogValue.last_epoch(position) == LogValue.last_epoch(log),
        )

    def may_keep(self, part, answer):
        """The follower's own records up to the end of `part` survive that diverging epoch."""
        older = LogValue.last_epoch(part) < LogValue.last_epoch(answer)
        same_epoch = LogValue.last_epoch(part) == LogValue.last_epoch(answer)
        return any_of(older, all_of(same_epoch, LogValue.length(part) <= LogValue.length(answer)))

    def may_commit(self, leader, end):
        # Raft, section 5.4.2; LeaderState, high watermark. A record of an older epoch may be on
        # a majority and still be cut off by a leader whose last record is newer; below a record of
        # its own epoch it is safe, since no one without that record can win any more.
        return LogValue.last_epoch(end) == self.epoch[leader]

    def is_acknowledged(self, leader, quorum, end):
        # With fewer, the next leader may be elected by voters of whom none has the records. A Fetch
        # of another epoch is about another leader's log.
        epoch = self.epoch[leader]
        return for_all(
            Voter,
            lambda voter: implies(Quorum.has(quorum, voter), self.has_shown[voter, epoch][end]),
        )

    # ---- steps that several actions share -------------------------------------------------------

    def enter_epoch(self, new, voter, epoch):
        """Whoever enters a newer epoch has no role in it and has not voted."""
        newer = epoch > self.epoch[voter]
        new.epoch[voter] = epoch
        new.voted_for[voter] = ite(newer, NONE, self.voted_for[voter])
        new.is_candidate[voter] = False
        new.is_leader[voter] = all_of(self.is_leader[voter], not_(newer))

    def show(self, new, voter, log):
        """Whoever has a log has all that it begins with."""
        known = self.has_shown[voter, self.epoch[voter]]
        new.has_shown[voter, self.epoch[voter]] = lambda part: any_of(
            known[part], LogValue.prefix(part, log)
        )

    # ---- election -------------------------------------------------------------------------------

    @action
    def start_election(self, new, candidate: Voter, epoch: Epoch):
        """The election timeout is over; the candidate votes for itself and asks the others."""
        require(self.may_stand(candidate, epoch))
        self.enter_epoch(new, candidate, epoch)
        new.is_candidate[candidate] = True
        new.voted_for[candidate] = candidate
        new.votes.send(epoch=epoch, voter=candidate, candidate=candidate)
        new.vote_requests.send(epoch=epoch, candidate=candidate, log=self.log[candidate])

    @action
    def grant_vote(self, new, voter: Voter, candidate: Voter, epoch: Epoch, log: LogValue):
        """The vote is on disk before it is sent."""
        require(self.vote_requests.has(epoch=epoch, candidate=candidate, log=log))
        require(self.may_vote(voter, epoch), self.is_up_to_date(log, self.log[voter]))
        self.enter_epoch(new, voter, epoch)
        new.voted_for[voter] = candidate
        new.votes.send(epoch=epoch, voter=voter, candidate=candidate)

    @action
    def refuse_vote(self, new, voter: Voter, candidate: Voter, epoch: Epoch, log: LogValue):
        """Even a voter that refuses moves to the newer epoch, and so leaves its leader."""
        require(self.vote_requests.has(epoch=epoch, candidate=candidate, log=log))
        # Going back it would forget its vote in the newer epoch.
        require(epoch > self.epoch[voter])
        self.enter_epoch(new, voter, epoch)

    @action
    def become_leader(self, new, leader: Voter, quorum: Quorum):
        """A quorum has voted for it in its epoch. Its own log counts towards commits."""
        # A candidate that restarts has lost count of its votes. (It does no harm if it has not.)
        require(self.is_candidate[leader], self.has_votes(leader, quorum))
        new.is_candidate[leader] = False
        new.is_leader[leader] = True
        new.begin_quorum_epoch.send(epoch=self.epoch[leader], leader=leader)
        self.show(new, leader, self.log[leader])

    @action
    def follow_leader(self, new, follower: Voter, leader: Voter, epoch: Epoch):
        """BeginQuorumEpoch, or any other way to learn who leads."""
        require(follower != leader)
        require(self.begin_quorum_epoch.has(epoch=epoch, leader=leader))
        require(self.may_follow(follower, epoch))
        self.enter_epoch(new, follower, epoch)

    # ---- replication ----------------------------------------------------------------------------

    @action
    def leader_append(self, new, leader: Voter, longer: LogValue):
        """A deposed leader appends too: it cannot know. Such records never commit."""
        # Two writers in one epoch give one offset and epoch to two records.
        require(self.is_leader[leader])
        require(LogValue.is_extension(longer, self.log[leader]))
        # Logs are compared by the epoch of their last record: it must say who wrote it.
        require(LogValue.last_epoch(longer) == self.epoch[leader])
        new.log[leader] = longer
        self.show(new, leader, longer)

    @action
    def follower_fetch(
        self, new, follower: Voter, leader: Voter, position: LogValue, end: LogValue
    ):
        """The leader has the follower's last record, and answers with records up to `end`.

        The request acknowledges what the follower had when it sent it, not what it gets. If the
        answer is lost, `end` is where the follower stands.
        """
        require(self.is_following(follower, leader))
        require(self.is_of_leader(end, follower, leader), LogValue.prefix(position, end))
        # Records after a position that is not the leader's would be appended to another log.
        require(self.is_at(position, self.log[follower]))
        self.show(new, follower, self.log[follower])
        new.log[follower] = end

    @action
    def follower_truncate(
        self, new, follower: Voter, leader: Voter, answer: LogValue, kept: LogValue
    ):
        """The leader answers with a diverging epoch and its end offset; the follower cuts.

        `answer` is the part of the leader's log up to the follower's last epoch, `kept` what the
        follower keeps. The answer is to a request from where the follower stands: KRaft has one
        Fetch in flight and ignores the answers to earlier ones. What the leader appends meanwhile
        does not change it, and against the same leader a second cut changes nothing.
        """
        mine = self.log[follower]
        last_epoch = LogValue.last_epoch(mine)
        require(self.is_following(follower, leader))
        require(self.is_of_leader(answer, follower, leader))
        require(LogValue.last_epoch(answer) <= last_epoch)
        # The leader names the largest such epoch and its whole extent. With less the follower would
        # cut records that both of them have, and that it has acknowledged.
        require(
            for_all(
                LogValue,
                lambda part: implies(
                    all_of(
                        self.is_of_leader(part, follower, leader),
                        LogValue.last_epoch(part) <= last_epoch,
                    ),
                    LogValue.prefix(part, answer),
                ),
            )
        )
        require(LogValue.prefix(kept, mine), self.may_keep(kept, answer))
        # Cutting deeper loses records that the follower has acknowledged: they may be committed.
        require(
            for_all(
                LogValue,
                lambda part: implies(
                    all_of(LogValue.prefix(part, mine), self.may_keep(part, answer)),
                    LogValue.prefix(part, kept),
                ),
            )
        )
        new.log[follower] = kept
        new.has_cut_committed = any_of(
            self.has_cut_committed,
            exists(
                Epoch,
                LogValue,
                lambda epoch, log: all_of(
                    self.committed.has(epoch=epoch, log=log),
                    LogValue.prefix(log, mine),
                    not_(LogValue.prefix(log, kept)),
                ),
            ),
        )

    @action
    def leader_advance_high_watermark(self, new, leader: Voter, quorum: Quorum, end: LogValue):
        """Everything up to `end` is committed: a quorum has acknowledged it in this epoch."""
        require(self.is_leader[leader], LogValue.prefix(end, self.log[leader]))
        require(self.may_commit(leader, end), self.is_acknowledged(leader, quorum, end))
        new.committed.send(epoch=self.epoch[leader], log=end)

    @action
    def restart(self, new, voter: Voter):
        """A crash forgets the roles. Epoch, vote and log are on disk."""
        new.is_candidate[voter] = False
        new.is_leader[voter] = False

    # ---- what must never break ------------------------------------------------------------------

    @invariant("CTL-01")
    def one_leader_per_epoch(self):
        """Over all of history: at most one voter ever announced itself as leader of an epoch."""
        return for_all(
            Epoch,
            Voter,
            Voter,
            lambda epoch, a, b: implies(
                all_of(
                    self.begin_quorum_epoch.has(epoch=epoch, leader=a),
                    self.begin_quorum_epoch.has(epoch=epoch, leader=b),
                ),
                a == b,
            ),
        )

    @invariant("CTL-07")
    def one_vote_per_epoch(self):
        return for_all(
            Epoch,
            Voter,
            Voter,
            Voter,
            lambda epoch, voter, a, b: implies(
                all_of(
                    self.votes.has(epoch=epoch, voter=voter, candidate=a),
                    self.votes.has(epoch=epoch, voter=voter, candidate=b),
                ),
                a == b,
            ),
        )

    @invariant("CTL-04", "CTL-08")
    def leader_completeness(self):
        """Whoever leads has everything that was committed in its epoch and before."""
        return for_all(
            Epoch,
            LogValue,
            Voter,
            lambda epoch, log, leader: implies(
                all_of(
                    self.committed.has(epoch=epoch, log=log),
                    self.is_leader[leader],
                    epoch <= self.epoch[leader],
                ),
                LogValue.prefix(log, self.log[leader]),
            ),
        )

    @invariant("CTL-02", "CTL-04")
    def committed_prefixes_agree(self):
        """Of any two committed logs one begins with the other: committed is committed for ever."""
        return for_all(
            Epoch,
            Epoch,
            LogValue,
            LogValue,
            lambda e, f, a, b: implies(
                all_of(self.committed.has(epoch=e, log=a), self.committed.has(epoch=f, log=b)),
                any_of(LogValue.prefix(a, b), LogValue.prefix(b, a)),
            ),
        )

    @invariant("CTL-02")
    def log_matching(self):
        """Logs with the same epoch at the same offset are the same up to there."""
        return for_all(
            Voter,
            Voter,
            LogValue,
            LogValue,
            lambda a, b, x, y: implies(
                all_of(
                    LogValue.prefix(x, self.log[a]),
                    LogValue.prefix(y, self.log[b]),
                    self.is_at(x, y),
                    LogValue.last_epoch(x) == LogValue.last_epoch(y),
                ),
                x == y,
            ),
        )

    @invariant("CTL-08")
    def fetch_soundness(self):
        """A fetch position that the leader accepts is the end of the follower's own log."""
        return for_all(
            Voter,
            Voter,
            LogValue,
            lambda follower, leader, position: implies(
                all_of(
                    self.is_following(follower, leader),
                    self.is_of_leader(position, follower, leader),
                    self.is_at(position, self.log[follower]),
                ),
                position == self.log[follower],
            ),
        )

    @invariant("CTL-08")
    def committed_is_never_cut(self):
        """No voter truncates below what was committed, whomever it follows."""
        return not_(self.has_cut_committed)

    # ---- what must be possible ------------------------------------------------------------------

    @witness
    def later_leader_after_commit(self):
        """Leader completeness is about something."""
        return exists(
            Epoch,
            LogValue,
            Voter,
            lambda epoch, log, leader: all_of(
                self.committed.has(epoch=epoch, log=log),
                self.is_leader[leader],
                epoch < self.epoch[leader],
            ),
        )

    @witness
    def two_presume_leadership(self):
        """A deposed leader beside the new one."""
        return exists(
            Voter,
            Voter,
            lambda a, b: all_of(a != b, self.is_leader[a], self.is_leader[b]),
        )

    @witness
    def diverging_follower(self):
        """A follower has to cut records that its leader does not have."""
        return exists(
            Voter,
            Voter,
            lambda follower, leader: all_of(
                self.is_following(follower, leader),
                not_(LogValue.prefix(self.log[follower], self.log[leader])),
            ),
        )
