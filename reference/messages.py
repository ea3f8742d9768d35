"""What goes into a broker or the controller, and what comes out: messages, timers, effects.

No message names a socket, a file or a clock; whoever drives a member owns those. Every message may
be lost, and none is sent twice by the network: each sender repeats what it still needs.
"""

from dataclasses import dataclass
from typing import NamedTuple

from reference.metadata.records import MetadataRecord, PartitionId
from reference.producer_state import ProducerSnapshot
from reference.requests import EpochEnd, Request, Response

CONTROLLER = 0
"""The controller's address among the members; brokers have positive ids."""


# ---- messages between brokers and the controller -----------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """A broker is there and has applied the metadata log up to here."""

    applied: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataUpdate:
    """Consecutive records of the metadata log. A broker that lacks the ones before drops it."""

    first: int
    records: tuple[MetadataRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """A request that only the controller can decide (KIP-590)."""

    ticket: int
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    ticket: int
    response: Response


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartition:
    """A leader asks for another ISR (KIP-497). The next partition state it sees is the answer: of
    two requests against one partition epoch the controller accepts at most one."""

    id: PartitionId
    leader_epoch: int
    partition_epoch: int
    isr: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdsWanted:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdsGranted:
    """A block of ids that no other broker ever gets (KIP-730)."""

    first: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFetch:
    """A follower asks for what comes after its log; in asking it acknowledges what it has."""

    id: PartitionId
    leader_epoch: int
    offset: int
    last_epoch: int
    """Epoch of the record before `offset`, for the leader to find divergence (KIP-595)."""
    high_watermark: int
    """What the follower knows (KIP-1166): a response that teaches nothing can wait."""
    log_start_offset: int
    attempt: int
    """Numbers the follower's requests; it takes only the response to its latest."""


class LogStart(NamedTuple):
    """Where a follower begins that ends before the leader's log starts."""

    offset: int
    last_epoch: int
    producers: ProducerSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFetched:
    id: PartitionId
    leader_epoch: int
    attempt: int
    records: bytes
    high_watermark: int
    log_start_offset: int
    diverging: EpochEnd | None = None
    restart: LogStart | None = None


Message = (
    Heartbeat
    | MetadataUpdate
    | Forwarded
    | Decided
    | AlterPartition
    | ProducerIdsWanted
    | ProducerIdsGranted
    | ReplicaFetch
    | ReplicaFetched
)


# ---- events and effects ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FromClient:
    ticket: int
    request: Request


@dataclass(frozen=True, slots=True)
class ClientGone:
    """The client that waits for this ticket has closed its connection."""

    ticket: int


@dataclass(frozen=True, slots=True)
class FromPeer:
    sender: int
    message: Message


@dataclass(frozen=True, slots=True)
class RequestExpired:
    ticket: int


@dataclass(frozen=True, slots=True)
class FetchDue:
    """No response to the latest fetch from the leader: ask again."""

    id: PartitionId


@dataclass(frozen=True, slots=True)
class HeartbeatDue:
    pass


@dataclass(frozen=True, slots=True)
class IsrCheckDue:
    pass


@dataclass(frozen=True, slots=True)
class RetentionCheckDue:
    pass


Timer = RequestExpired | FetchDue | HeartbeatDue | IsrCheckDue | RetentionCheckDue
"""A timer is a value: waking for an equal one replaces it, so there is one per purpose."""

Event = FromClient | ClientGone | FromPeer | Timer


@dataclass(frozen=True, slots=True)
class Reply:
    """Answers the request of a ticket, also where the client wants no answer (acks=0): the wire
    layer then keeps silent, or hangs up on an error."""

    ticket: int
    response: Response


@dataclass(frozen=True, slots=True)
class Send:
    to: int
    message: Message


@dataclass(frozen=True, slots=True)
class Wake:
    at_ms: int
    timer: Timer


@dataclass(frozen=True, slots=True)
class Cancel:
    timer: Timer


Effect = Reply | Send | Wake | Cancel
