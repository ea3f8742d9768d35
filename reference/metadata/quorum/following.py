"""A follower, voter or observer, keeps its log like the leader's by fetching from its end.

Source: raft/src/main/java/org/apache/kafka/raft/KafkaRaftClient.java (handleFetchResponse). Of the
model's actions these are follower_fetch and follower_truncate.
"""

from reference.metadata.quorum.messages import QuorumFetch, QuorumFetchDue, QuorumFetched
from reference.metadata.quorum.replica import Replica, Role


def fetch(replica: Replica) -> None:
    """Asks the leader for what comes next; an observer that knows none asks any voter."""
    leader = replica.leader
    if leader is None:
        others = replica.other_voters
        leader = others[int(replica.chance() * len(others))]
    replica.attempt += 1
    request = QuorumFetch(
        epoch=replica.epoch,
        attempt=replica.attempt,
        log_end=replica.log.end,
        high_watermark=replica.high_watermark,
    )
    replica.send(leader, request)
    replica.wake_after(replica.fetch_timeout_ms // 2, QuorumFetchDue())


def on_fetched(replica: Replica, sender: int, answer: QuorumFetched) -> None:
    """Takes the answer to the latest fetch, if it is about where this log ends now."""
    if replica.role is not Role.FOLLOWER or answer.epoch != replica.epoch:
        return
    if answer.leader is None and sender == replica.leader:
        replica.role, replica.leader = Role.UNATTACHED, None
        return
    is_awaited = answer.attempt == replica.attempt and answer.log_end == replica.log.end
    if not is_awaited or not sender == answer.leader == replica.leader:
        return
    _take(replica, answer)
    replica.await_leader()
    fetch(replica)


def _take(replica: Replica, answer: QuorumFetched) -> None:
    log = replica.log
    if answer.diverging is not None:
        own = log.end_of(answer.diverging.epoch)
        end = replica.rules.diverging_offset(own, answer.diverging)
        log.truncate(max(end, log.start.offset))
    elif answer.snapshot is not None:
        log.begin_after(answer.snapshot)
        replica.high_watermark = max(replica.high_watermark, log.end.offset)
    elif answer.entries:
        log.append(answer.entries)
    if answer.diverging is None:
        high_watermark = min(answer.high_watermark, log.end.offset)
        replica.high_watermark = max(replica.high_watermark, high_watermark)
        is_caught_up = 0 < answer.high_watermark <= log.end.offset
        replica.is_caught_up = replica.is_caught_up or is_caught_up
