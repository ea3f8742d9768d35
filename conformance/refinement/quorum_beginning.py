"""Where the comparison of a quorum begins, if its cluster has been running before.

The model's state is never made up: it is reached from the initial one by actions that lead to what
is seen. That is simple at a moment at which all voters follow one leader, and no log has a record
that the leader lacks. Who led before does not matter then: messages of older epochs move nobody.
"""

from collections.abc import Sequence

from conformance.refinement.quorum import QuorumValidator
from reference.metadata.quorum.messages import START
from reference.metadata.quorum.replica import Replica, Role


def begin(validator: QuorumValidator, replicas: Sequence[Replica]) -> bool:
    """Returns whether the voters are now at such a moment; then the validator is there too.

    Raises BrokenRule where the model cannot be where they are, NoRoom where it has no room.
    """
    leaders = [replica for replica in replicas if replica.role is Role.LEADER]
    if len(leaders) != 1 or len(replicas) != len(validator.number):
        return False
    leader = leaders[0]
    others = [replica for replica in replicas if replica is not leader]
    if leader.log.start != START or not all(_follows(each, leader) for each in others):
        return False
    if leader.high_watermark <= leader.epoch_start:
        return False  # what an earlier leader committed, this one may not say yet
    validator.adopt(leader)
    _lead(validator, leader, others)
    for follower in others:
        _follow(validator, follower, leader)
        validator.adopt(follower)
    validator.commit(leader)
    return True


def _follows(replica: Replica, leader: Replica) -> bool:
    end = replica.log.end
    return (
        replica.role is Role.FOLLOWER
        and (replica.leader, replica.epoch) == (leader.node, leader.epoch)
        and end.offset <= leader.log.end.offset
        and leader.log.position(end.offset) == end
    )


def _lead(validator: QuorumValidator, leader: Replica, others: Sequence[Replica]) -> None:
    """The leader wins each epoch that has written into its log, and writes what was written."""
    carried, number = validator.carried, validator.number[leader.node]
    entries = leader.log.read(0, leader.log.end.offset)
    voters = {validator.number[other.node] for other in others}
    for epoch in sorted({entry.epoch for entry in entries} | {leader.epoch}):
        asked = carried.model_epoch(epoch)
        if epoch == leader.epoch:
            voters = _vote(validator, leader, others)
        carried.take("start_election", number, asked)
        for voter in sorted(voters):
            carried.take("grant_vote", voter, number, asked, carried.log(number))
        carried.take("become_leader", number, validator.quorum(voters | {number}))
        for entry in entries:
            if entry.epoch == epoch:
                log = carried.logs.extended(carried.log(number), entry)
                carried.take("leader_append", number, log)


def _vote(validator: QuorumValidator, leader: Replica, others: Sequence[Replica]) -> set[int]:
    """Votes for candidates that have not won are cast; returns who is left for the leader."""
    carried, left = validator.carried, set()
    asked = carried.model_epoch(leader.epoch)
    for other in others:
        voter, candidate = validator.number[other.node], other.vote.candidate
        if candidate == other.node:
            carried.take("start_election", voter, asked)
        elif candidate == leader.node:
            left.add(voter)
    for other in others:
        voter, candidate = validator.number[other.node], other.vote.candidate
        if candidate not in (None, other.node, leader.node):
            chosen = validator.number[candidate or 0]
            carried.take("grant_vote", voter, chosen, asked, carried.log(chosen))
    return left


def _follow(validator: QuorumValidator, follower: Replica, leader: Replica) -> None:
    carried = validator.carried
    voter, number = validator.number[follower.node], validator.number[leader.node]
    carried.take("follow_leader", voter, number, carried.model_epoch(leader.epoch))
    end = carried.logs.cut(carried.log(number), follower.log.end.offset)
    for _ in range(2):
        # The second one says by its position that the follower has what the first one brought.
        carried.take("follower_fetch", voter, number, carried.log(voter), end)
