"""Followers pull from leaders, partition by partition, and acknowledge by asking for more."""

from reference.broker_state import BrokerState
from reference.handlers import background
from reference.handlers.completion import answer_follower, progress
from reference.messages import FetchDue, ReplicaFetch, ReplicaFetched
from reference.metadata.records import NO_LEADER, PartitionId


def fetch_from_leader(broker: BrokerState, partition: PartitionId) -> None:
    """Asks the leader for what comes next; asks again if no response comes."""
    replica = broker.replicas.get(partition)
    if replica is None or replica.leadership is not None or replica.state.leader == NO_LEADER:
        return
    broker.send(replica.state.leader, replica.next_fetch(broker.broker_epoch))
    broker.wake(broker.now_ms + broker.config.replica_fetch_wait_ms, FetchDue(partition))


def on_fetch(broker: BrokerState, follower: int, fetch: ReplicaFetch) -> None:
    """Serves a follower. One in another epoch gets no answer: one of the two lacks metadata, and
    the follower asks again in any case."""
    replica = broker.replicas.get(fetch.id)
    leadership = replica.leadership if replica else None
    if replica is None or leadership is None or follower not in leadership.followers:
        return
    if not broker.rules.in_current_epoch(fetch.leader_epoch, replica.state.leader_epoch):
        return
    heard = leadership.followers[follower].broker_epoch
    if not broker.rules.is_latest_life(fetch.broker_epoch, heard):
        return
    leadership.waiting[follower] = fetch
    if replica.hear(follower, fetch, broker.now_ms):
        progress(broker, fetch.id)
    else:
        answer_follower(broker, replica, follower)
    # Only a fetch brings a follower in: one that is dead may well have all that is committed.
    if follower not in replica.state.isr and leadership.may_join(follower, replica.high_watermark):
        background.ask_for_isr(broker, replica, tuple(sorted((*replica.state.isr, follower))))


def on_fetched(broker: BrokerState, leader: int, fetched: ReplicaFetched) -> None:
    """Takes over the leader's response and asks for what comes after it."""
    replica = broker.replicas.get(fetched.id)
    if replica is None or not replica.expects(leader, fetched):
        return
    replica.absorb(fetched)
    progress(broker, fetched.id)
    fetch_from_leader(broker, fetched.id)
