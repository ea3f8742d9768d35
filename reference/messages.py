"""What goes into a broker or the controller, and what comes out: messages, timers, effects.

No message names a socket, a file or a clock; whoever drives a node owns those. Every message may
be lost, late or repeated: each sender repeats what it still needs, each receiver knows what is old.
"""

from dataclasses import dataclass
from typing import NamedTuple

from reference.metadata.records import MetadataRecord, PartitionId
from reference.producer_state import ProducerSnapshot
from reference.requests import EpochEnd, Request, Response

ZOOKEEPER = 0
"""The address of the ZooKeeper ensemble; nodes have positive numbers."""
CONTROLLER = 0
"""Whoever is the controller, where settings are asked for that belong to no single broker."""


# ---- messages between brokers and the controller -----------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataUpdate:
    """Consecutive records of the metadata. A broker that lacks the ones before drops it.

    In quorum mode `first` is an offset of the metadata log, and records come from the replica of
    it on the broker's own node. In ZooKeeper mode the controller numbers what it says from 0 on,
    anew in each controller epoch, and begins with a snapshot.
    """

    controller_epoch: int
    first: int
    records: tuple[MetadataRecord, ...]
    snapshot: bool = False
    """Whether the records are all there is, and replace what was known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataWanted:
    """A broker has applied so much of what the controller of this epoch said."""

    controller_epoch: int
    applied: int


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
    isr_epochs: tuple[int, ...] = ()
    """Broker epochs of the members, as their fetches named them (KIP-903); -1 where unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdsWanted:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class NotController:
    """The forwarded request has reached a node that is not, or is no more, the controller."""

    ticket: int


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
    broker_epoch: int = -1
    """Of the follower's present life (KIP-903)."""


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
    offset: int
    """Where the request began that it answers."""
    records: bytes
    high_watermark: int
    log_start_offset: int
    diverging: EpochEnd | None = None
    restart: LogStart | None = None


class Internal:
    """A message that a metadata member sends to another one, or to ZooKeeper."""

    __slots__ = ()


ControllerMessage = Forwarded | AlterPartition | ProducerIdsWanted | MetadataWanted
"""What a broker says to the controller, whichever node that is."""
FromController = MetadataUpdate | Decided | NotController | ProducerIdsGranted
"""What the controller says to a broker."""
Message = ControllerMessage | FromController | ReplicaFetch | ReplicaFetched | Internal


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
class RepeatDue:
    """What the controller has not answered may be lost: ask again."""


@dataclass(frozen=True, slots=True)
class CheckpointDue:
    """The high watermarks go to the disk."""


@dataclass(frozen=True, slots=True)
class IsrCheckDue:
    pass


@dataclass(frozen=True, slots=True)
class CompactionDue:
    """Look for logs with enough to compact."""


@dataclass(frozen=True, slots=True)
class RetentionCheckDue:
    pass


class InternalTimer:
    """A timer of a metadata member."""

    __slots__ = ()


Timer = (
    RequestExpired
    | FetchDue
    | RepeatDue
    | CheckpointDue
    | IsrCheckDue
    | CompactionDue
    | RetentionCheckDue
    | InternalTimer
)
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
