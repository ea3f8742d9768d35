"""The leader of the quorum: appends, answers fetches, commits, and counts who follows (KIP-595).

Source: raft/src/main/java/org/apache/kafka/raft/LeaderState.java. Of the model's actions these are
leader_append, leader_advance_high_watermark, and the leader's part in follower_fetch.
"""

from collections.abc import Sequence

from reference.metadata.quorum.messages import (
    START,
    BeginQuorumEpoch,
    Entry,
    LeaderTickDue,
    Position,
    QuorumFetch,
    QuorumFetched,
)
from reference.metadata.quorum.replica import Replica, Role
from reference.metadata.records import LeaderChange, MetadataRecord

FETCH_WAIT_MS = 250
"""How long a fetch waits for news at most, and how often the leader looks around."""
ANSWER_ENTRIES_MAX = 1_000


def begin(replica: Replica) -> None:
    """A majority has voted for it. What is committed in its epoch begins with a LeaderChange."""
    replica.role, replica.leader = Role.LEADER, replica.node
    replica.acknowledged = dict.fromkeys(replica.other_voters, -1)
    replica.silent_ticks = dict.fromkeys(replica.other_voters, 0)
    replica.parked = {}
    replica.epoch_start = replica.log.end.offset
    announcement = BeginQuorumEpoch(epoch=replica.epoch)
    for voter in replica.other_voters:
        replica.send(voter, announcement)
    replica.wake_after(FETCH_WAIT_MS, LeaderTickDue())
    append(replica, [LeaderChange(leader=replica.node)])


def append(replica: Replica, records: Sequence[MetadataRecord]) -> None:
    """The leader's own log is on disk before it counts."""
    epoch = replica.epoch
    replica.log.append([Entry(epoch, record) for record in records])
    _advance_high_watermark(replica)
    _answer_parked(replica)


def on_fetch(replica: Replica, sender: int, fetch: QuorumFetch) -> None:
    """Answers with what follows the asker's position; or lets it wait if there is nothing."""
    rules = replica.rules
    if replica.role is not Role.LEADER or not rules.fetches_in_epoch(fetch.epoch, replica.epoch):
        refuse(replica, sender, fetch)
        return
    if sender in replica.silent_ticks:
        replica.silent_ticks[sender] = 0
    end = _leaders_end_of(replica, fetch.log_end)
    if end is None:
        _answer(replica, sender, fetch, snapshot=True)
    elif not rules.position_matches(fetch.log_end, end):
        _answer(replica, sender, fetch, diverging=end)
    else:
        _acknowledge(replica, sender, fetch.log_end.offset)
        if _has_news(replica, fetch):
            _answer(replica, sender, fetch)
        else:
            replica.parked[sender] = fetch


def refuse(replica: Replica, sender: int, fetch: QuorumFetch) -> None:
    """This node has nothing to say in the asker's epoch, but it may know of a newer one."""
    answer = QuorumFetched(
        epoch=replica.epoch,
        leader=replica.leader,
        attempt=fetch.attempt,
        log_end=fetch.log_end,
        high_watermark=0,
    )
    replica.send(sender, answer)


def _leaders_end_of(replica: Replica, asked: Position) -> Position | None:
    """Where the leader's log ends in the asker's last epoch, or the one before; None if that is in
    no record that the leader still has."""
    log = replica.log
    if asked == START and log.start == START:
        return START
    if asked.offset < log.start.offset or asked.epoch < log.start.epoch:
        return None
    return log.end_of(asked.epoch)


def _acknowledge(replica: Replica, sender: int, offset: int) -> None:
    known = replica.acknowledged.get(sender)
    if known is not None and offset > known:
        replica.acknowledged[sender] = offset
        if _advance_high_watermark(replica):
            _answer_parked(replica)


def _advance_high_watermark(replica: Replica) -> bool:
    """Moves it to where a majority is, if that is a record of the leader's own epoch: one of an
    older epoch may still be cut off by a later leader (Raft, figure 8)."""
    heard = {voter for voter, silent in replica.silent_ticks.items() if silent <= 1}
    counted = replica.rules.counted_voters(replica.voters, heard | {replica.node})
    ends = [
        replica.log.end.offset if voter == replica.node else replica.acknowledged[voter]
        for voter in counted
    ]
    end = replica.rules.majority_offset(ends)
    if end <= max(replica.high_watermark, replica.log.start.offset):
        return False
    if not replica.rules.may_commit(replica.log.position(end).epoch, replica.epoch):
        return False
    replica.high_watermark = end
    replica.is_caught_up = end > replica.epoch_start
    return True


def _has_news(replica: Replica, fetch: QuorumFetch) -> bool:
    return (
        replica.log.end.offset > fetch.log_end.offset
        or replica.announced_high_watermark > fetch.high_watermark
    )


def _answer_parked(replica: Replica) -> None:
    for sender, fetch in tuple(replica.parked.items()):
        if _has_news(replica, fetch):
            del replica.parked[sender]
            _answer(replica, sender, fetch)


def _answer(
    replica: Replica,
    sender: int,
    fetch: QuorumFetch,
    *,
    diverging: Position | None = None,
    snapshot: bool = False,
) -> None:
    log, start = replica.log, fetch.log_end.offset
    goes_on = diverging is None and not snapshot
    end = min(log.end.offset, start + ANSWER_ENTRIES_MAX)
    answer = QuorumFetched(
        epoch=replica.epoch,
        leader=replica.node,
        attempt=fetch.attempt,
        log_end=fetch.log_end,
        high_watermark=replica.announced_high_watermark,
        entries=log.read(start, end) if goes_on else (),
        diverging=diverging,
        snapshot=log.snapshot if snapshot else None,
    )
    replica.send(sender, answer)


def look_around(replica: Replica) -> bool:
    """Answers what has waited, reminds voters that do not fetch, and counts those that do.

    Returns whether enough of them do for the leader to go on.
    """
    for sender, fetch in tuple(replica.parked.items()):
        _answer(replica, sender, fetch)
    replica.parked.clear()
    heard = {replica.node}
    # The leader resigns when a majority has not fetched for the fetch timeout (KAFKA-15489).
    patience_ticks = replica.fetch_timeout_ms // FETCH_WAIT_MS + 1
    announcement = BeginQuorumEpoch(epoch=replica.epoch)
    for voter, silent in replica.silent_ticks.items():
        if silent > 0:
            replica.send(voter, announcement)
        if silent < patience_ticks:
            heard.add(voter)
        replica.silent_ticks[voter] = silent + 1
    counted = replica.rules.counted_voters(replica.voters, heard)
    if not replica.rules.keeps_leading(len(heard), len(counted)):
        return False
    replica.wake_after(FETCH_WAIT_MS, LeaderTickDue())
    return True


def stop(replica: Replica) -> None:
    """Who waits for a leader that is none any more is told so."""
    replica.leader = None
    for sender, fetch in replica.parked.items():
        refuse(replica, sender, fetch)
    replica.parked = {}
    replica.cancel(LeaderTickDue())
