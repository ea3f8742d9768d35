"""What the members of the metadata quorum tell each other, and the timers that drive them.

Names follow KIP-595 (the quorum), KIP-630 (snapshots) and KIP-631 (brokers and the controller). The
sender of a message is known to whoever receives it, and stands in no field of it.
"""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from reference.errors import Error
from reference.messages import Internal, InternalTimer
from reference.metadata.records import MetadataRecord

NO_BROKER_EPOCH = -1


class Position(NamedTuple):
    """The end of a log, or of a part of it: the epoch of the last record, and how many there are.

    Positions compare as logs do in an election: the last epoch first, then the length.
    """

    epoch: int
    offset: int


START = Position(0, 0)
"""The end of the empty log: 0 is the epoch before the first election."""


class Entry(NamedTuple):
    """A record of the metadata log, and the epoch of the leader that has written it."""

    epoch: int
    record: MetadataRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Records that make the same metadata as the whole log up to `end` (KIP-630)."""

    end: Position
    records: tuple[MetadataRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumMessage(Internal):
    """What one replica of the log says to another: first of all, in which epoch it is."""

    epoch: int


# ---- elections ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteRequest(QuorumMessage):
    """The sender stands for election in this epoch, with a log that ends there."""

    log_end: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteResponse(QuorumMessage):
    """The voter, by now, is in this epoch or has been in a newer one before."""

    granted: bool
    leader: int | None = None
    """Who leads the epoch, if the voter knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginQuorumEpoch(QuorumMessage):
    """The sender leads this epoch. It says so until the voter fetches from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginQuorumEpochAnswer(QuorumMessage):
    """The leader is one of the past: there is a newer epoch, and perhaps its leader is known."""

    leader: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndQuorumEpoch(QuorumMessage):
    """The sender leads no more; the first of its successors stands for election at once."""

    successors: tuple[int, ...]


# ---- replication -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumFetch(QuorumMessage):
    """A voter or an observer asks for what comes after its log; so it acknowledges what it has."""

    attempt: int
    """Numbers the requests of one life; only the answer to the latest is taken."""
    log_end: Position
    high_watermark: int
    """What the sender knows: an answer that teaches it nothing can wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumFetched(QuorumMessage):
    leader: int | None
    """Who leads the epoch, as far as the sender knows: only that one's answers carry records."""
    attempt: int
    log_end: Position
    """Where the asker stood: records, divergence and snapshot are about this position only."""
    high_watermark: int
    entries: tuple[Entry, ...] = ()
    diverging: Position | None = None
    """The leader's last epoch not above the asker's, and where it ends there: the asker cuts."""
    snapshot: Snapshot | None = None
    """In the place of records that the leader has no more."""


# ---- brokers and the active controller ---------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBroker(Internal):
    """A broker has started, and asks the controller for the epoch of this life of it."""

    broker: int
    incarnation: UUID
    previous_broker_epoch: int = NO_BROKER_EPOCH
    """Of the life before, if it ended in a clean shutdown: then its logs are whole (KIP-966)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRegistration(Internal):
    """The controller's answer, once the registration is committed."""

    incarnation: UUID
    broker_epoch: int = NO_BROKER_EPOCH
    error: Error = Error.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHeartbeat(Internal):
    """The broker is alive, and has applied so many records of the metadata log."""

    broker: int
    broker_epoch: int
    applied: int
    wants_shut_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerHeartbeatAnswer(Internal):
    broker_epoch: int
    """Of the heartbeat."""
    error: Error = Error.NONE
    """STALE_BROKER_EPOCH or BROKER_ID_NOT_REGISTERED: the broker has to register again."""
    fenced: bool = True
    may_stop: bool = False
    """Nothing is led by a broker that wants to shut down: it may."""


# ---- timers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ElectionDue(InternalTimer):
    """Nothing was heard of a leader for too long."""


@dataclass(frozen=True, slots=True)
class QuorumFetchDue(InternalTimer):
    """No answer to the latest fetch: ask again."""


@dataclass(frozen=True, slots=True)
class LeaderTickDue(InternalTimer):
    """The leader answers the fetches that wait, and counts who still follows it."""


@dataclass(frozen=True, slots=True)
class BrokerHeartbeatDue(InternalTimer):
    """The broker of this node registers, or says that it is alive."""


@dataclass(frozen=True, slots=True)
class ControllerTickDue(InternalTimer):
    """The active controller looks after sessions and elections."""


MESSAGES: tuple[type, ...] = (
    VoteRequest,
    VoteResponse,
    BeginQuorumEpoch,
    BeginQuorumEpochAnswer,
    EndQuorumEpoch,
    QuorumFetch,
    QuorumFetched,
    RegisterBroker,
    BrokerRegistration,
    BrokerHeartbeat,
    BrokerHeartbeatAnswer,
)
TIMERS: tuple[type, ...] = (
    ElectionDue,
    QuorumFetchDue,
    LeaderTickDue,
    BrokerHeartbeatDue,
    ControllerTickDue,
)
