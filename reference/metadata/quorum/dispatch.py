"""The way of every message and timer to its handler.

Each message names an epoch, and some the leader of it: a replica learns that first, from whatever
message, and then looks at what the message is about.
"""

from collections.abc import Callable, Mapping
from typing import Any

from reference.messages import InternalTimer
from reference.metadata.quorum import election, following, leading
from reference.metadata.quorum.messages import (
    BeginQuorumEpoch,
    BeginQuorumEpochAnswer,
    ElectionDue,
    EndQuorumEpoch,
    LeaderTickDue,
    QuorumFetch,
    QuorumFetchDue,
    QuorumFetched,
    QuorumMessage,
    VoteRequest,
    VoteResponse,
)
from reference.metadata.quorum.replica import Replica, Role


def _nothing_more(replica: Replica, sender: int, message: BeginQuorumEpochAnswer) -> None:
    """The epoch was the news."""


_HANDLERS: Mapping[type, Callable[[Replica, int, Any], None]] = {
    VoteRequest: election.on_vote_request,
    VoteResponse: election.on_vote_response,
    BeginQuorumEpoch: election.on_begin_quorum_epoch,
    BeginQuorumEpochAnswer: _nothing_more,
    EndQuorumEpoch: election.on_end_quorum_epoch,
    QuorumFetch: leading.on_fetch,
    QuorumFetched: following.on_fetched,
}


def on_message(replica: Replica, sender: int, message: QuorumMessage) -> None:
    election.learn(replica, message.epoch, _leader_named_by(sender, message))
    _HANDLERS[type(message)](replica, sender, message)


def _leader_named_by(sender: int, message: QuorumMessage) -> int | None:
    if isinstance(message, BeginQuorumEpoch):
        return sender
    if isinstance(message, QuorumFetched | VoteResponse | BeginQuorumEpochAnswer):
        return message.leader
    return None


def on_timer(replica: Replica, timer: InternalTimer) -> None:
    """Timers that were set in another role may still come: then they mean nothing."""
    role = replica.role
    if isinstance(timer, ElectionDue) and role is not Role.LEADER:
        election.leader_is_silent(replica)
    elif isinstance(timer, QuorumFetchDue) and (role is Role.FOLLOWER or not replica.is_voter):
        following.fetch(replica)
    elif isinstance(timer, LeaderTickDue) and role is Role.LEADER:
        election.lead_or_resign(replica)
