"""Elections: who stands, who votes for whom, who leads (KIP-595).

Source: raft/src/main/java/org/apache/kafka/raft/KafkaRaftClient.java. Of the model's actions
(`spec/models/quorum_protocol.py`) these are start_election, grant_vote, refuse_vote, become_leader
and follow_leader.
"""

from reference.metadata.quorum import following, leading
from reference.metadata.quorum.messages import (
    BeginQuorumEpoch,
    BeginQuorumEpochAnswer,
    ElectionDue,
    EndQuorumEpoch,
    QuorumFetchDue,
    VoteRequest,
    VoteResponse,
)
from reference.metadata.quorum.replica import Replica, Role
from reference.metadata.quorum.vote import Vote

SUCCESSION_MS = 150
"""How long each successor of a leader that resigns leaves to the one before it."""


def start(replica: Replica) -> None:
    """A new life: roles are forgotten. An observer looks for the leader, a voter waits for it."""
    if replica.is_voter and len(replica.voters) > 1:
        replica.await_election()
    elif replica.is_voter:
        stand(replica)
    else:
        following.fetch(replica)


def leader_is_silent(replica: Replica) -> None:
    """The election timeout is over: a voter stands, an observer asks the others."""
    if replica.is_voter:
        stand(replica)
    else:
        replica.role, replica.leader = Role.UNATTACHED, None
        following.fetch(replica)


def stand(replica: Replica) -> None:
    """Votes for itself in a new epoch, and asks the others for their votes."""
    epoch = replica.rules.election_epoch(replica.epoch)
    replica.cancel(QuorumFetchDue())
    replica.role, replica.leader = Role.CANDIDATE, None
    replica.remember(Vote(epoch=epoch, candidate=replica.node))
    replica.granted = {replica.node}
    request = VoteRequest(epoch=epoch, log_end=replica.log.end)
    for voter in replica.other_voters:
        replica.send(voter, request)
    replica.await_election()
    _count_votes(replica)


def on_vote_request(replica: Replica, candidate: int, request: VoteRequest) -> None:
    """Grants the vote or not; either way the voter has left the leader of an older epoch."""
    granted = request.epoch == replica.epoch and _votes_for(replica, candidate, request)
    if granted and replica.vote.candidate != candidate:
        replica.remember(Vote(epoch=replica.epoch, candidate=candidate))
        replica.await_election()
    response = VoteResponse(epoch=replica.epoch, granted=granted, leader=replica.leader)
    replica.send(candidate, response)


def _votes_for(replica: Replica, candidate: int, request: VoteRequest) -> bool:
    rules = replica.rules
    return (
        replica.leader is None
        and rules.may_vote(replica.vote.candidate, candidate)
        and rules.is_up_to_date(request.log_end, replica.log.end)
    )


def on_vote_response(replica: Replica, voter: int, response: VoteResponse) -> None:
    is_awaited = replica.role is Role.CANDIDATE and response.epoch == replica.epoch
    if is_awaited and response.granted:
        replica.granted.add(voter)
        _count_votes(replica)


def _count_votes(replica: Replica) -> None:
    if replica.rules.has_majority(len(replica.granted), len(replica.voters)):
        replica.granted = set()
        replica.cancel(ElectionDue())
        leading.begin(replica)


def on_begin_quorum_epoch(replica: Replica, leader: int, begin: BeginQuorumEpoch) -> None:
    """The fetch that follows is the answer; only a leader of the past is told otherwise."""
    if begin.epoch < replica.epoch:
        answer = BeginQuorumEpochAnswer(epoch=replica.epoch, leader=replica.leader)
        replica.send(leader, answer)


def on_end_quorum_epoch(replica: Replica, leader: int, end: EndQuorumEpoch) -> None:
    """The leader has resigned. Its successors stand one after the other."""
    if end.epoch < replica.epoch or replica.leader not in (None, leader) or not replica.is_voter:
        return
    if replica.role is Role.FOLLOWER:
        replica.role, replica.leader = Role.UNATTACHED, None
        replica.cancel(QuorumFetchDue())
    if replica.role is Role.UNATTACHED and replica.node in end.successors:
        turn = end.successors.index(replica.node)
        replica.wake_after(turn * SUCCESSION_MS, ElectionDue())


def learn(replica: Replica, epoch: int, leader: int | None) -> None:
    """Somebody has named an epoch, and perhaps its leader."""
    if epoch > replica.epoch:
        enter_epoch(replica, epoch)
    if epoch == replica.epoch and leader not in (None, replica.node) and replica.leader is None:
        _follow(replica, leader)


def enter_epoch(replica: Replica, epoch: int) -> None:
    """Whoever enters a newer epoch has no role in it and has not voted.

    A voter that was waiting waits no longer than before: else a candidate that cannot win could
    keep those that can from standing, by a new epoch each time.
    """
    if replica.role is Role.LEADER:
        leading.stop(replica)
        replica.await_election()
    replica.role, replica.leader = Role.UNATTACHED, None
    replica.remember(Vote(epoch=epoch))
    if replica.is_voter:
        replica.cancel(QuorumFetchDue())


def _follow(replica: Replica, leader: int | None) -> None:
    replica.role, replica.leader = Role.FOLLOWER, leader
    replica.await_leader()
    following.fetch(replica)


def lead_or_resign(replica: Replica) -> None:
    """A leader that no majority follows could go on for ever, and commit nothing."""
    if not leading.look_around(replica):
        resign(replica)


def resign(replica: Replica) -> None:
    """The leader steps back, and leaves the epoch to those that have most of its log."""
    acknowledged = replica.acknowledged
    successors = sorted(replica.other_voters, key=lambda voter: -acknowledged[voter])
    leading.stop(replica)
    replica.role, replica.leader = Role.RESIGNED, None
    end = EndQuorumEpoch(epoch=replica.epoch, successors=tuple(successors))
    for voter in successors:
        replica.send(voter, end)
    replica.await_leader()
