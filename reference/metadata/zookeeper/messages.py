"""What a node and the ZooKeeper ensemble say to each other, and the timers of both.

A request is a run of operations: either writes, of which all happen or none (multi), or reads that
see one moment (MultiRead, ZOOKEEPER-1410). Watch events ride along with every message of the
ensemble until the client has confirmed them, so that a lost message delays an event and loses none.
Source: ZooKeeper Programmer's Guide; zookeeper.jute of ZooKeeper 3.8.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from reference.messages import Internal, InternalTimer

ANY_VERSION = -1
"""For a write that is to happen whatever the version of the node is."""


class ZooKeeperError(StrEnum):
    """Why an operation is refused (KeeperException.Code)."""

    NO_NODE = "NoNode"
    NODE_EXISTS = "NodeExists"
    BAD_VERSION = "BadVersion"
    NOT_EMPTY = "NotEmpty"
    NO_CHILDREN_FOR_EPHEMERALS = "NoChildrenForEphemerals"
    BAD_ARGUMENTS = "BadArguments"


# ---- operations --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Create:
    path: str
    data: str = ""
    ephemeral: bool = False
    """Whether the node goes when the session of its creator ends."""


@dataclass(frozen=True, slots=True)
class SetData:
    path: str
    data: str
    version: int


@dataclass(frozen=True, slots=True)
class Delete:
    path: str
    version: int


@dataclass(frozen=True, slots=True)
class Check:
    """Refuses the whole request unless the node has this version."""

    path: str
    version: int


@dataclass(frozen=True, slots=True)
class GetData:
    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class GetChildren:
    path: str
    watch: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """The one read that can watch a node which does not exist yet."""

    path: str
    watch: bool = False


Write = Create | SetData | Delete | Check
Read = GetData | GetChildren | Exists
Operation = Write | Read
Operations = tuple[Operation, ...]


# ---- what comes of them ------------------------------------------------------------------------


class Stat(NamedTuple):
    version: int
    """How often the data were set; 0 for a new node."""
    czxid: int
    """The transaction that created the node."""
    mzxid: int
    """The one that set its data last."""
    owner: int
    """The session that an ephemeral node belongs to, else 0."""


class Node(NamedTuple):
    data: str
    stat: Stat


class Children(NamedTuple):
    names: tuple[str, ...]
    """In ascending order."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An operation was refused. A write that is refused undoes those before it."""

    error: ZooKeeperError
    index: int
    """Which of the request's operations it was."""


Result = Stat | Node | Children | Failure | None
"""What one operation returns: Stat of what was written, or exists; None where nothing does."""
Outcome = tuple[Result, ...] | Failure
"""One result for each operation. Failure: the request was of writes, and none has happened."""


def results_of(outcome: Outcome) -> tuple[Result, ...]:
    """The results of a request of reads: each may have failed, never all of it."""
    assert not isinstance(outcome, Failure), f"reads are refused one by one: {outcome}"
    return outcome


class EventType(StrEnum):
    CREATED = "NodeCreated"
    DELETED = "NodeDeleted"
    DATA_CHANGED = "NodeDataChanged"
    CHILDREN_CHANGED = "NodeChildrenChanged"


class WatchEvent(NamedTuple):
    type: EventType
    path: str


class Notices(NamedTuple):
    """Watch events of a session that its client has not confirmed."""

    first: int
    """How many came before them."""
    events: tuple[WatchEvent, ...]


# ---- messages of the client --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect(Internal):
    """Asks for a new session; a repeated question has the same attempt."""

    attempt: int
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Internal):
    session: int
    seen: int
    """How many watch events the client has had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Internal):
    session: int
    number: int
    """From 1 on; the next request is sent once this one is answered."""
    operations: Operations
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSession(Internal):
    session: int


# ---- messages of the ensemble ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(Internal):
    attempt: int
    session: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Internal):
    session: int
    number: int
    outcome: Outcome
    events_before: int
    """How many events had come when this was decided: the client hears of those first."""
    notices: Notices


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Internal):
    """Answers a ping, or comes unasked when a watch fires."""

    session: int
    answered: int
    """How many requests were answered before: a client that lacks an answer waits for that."""
    notices: Notices


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionExpired(Internal):
    """There is no such session, or no more: it expired, or the client closed it."""

    session: int


# ---- between nodes -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlledShutdown(Internal):
    """A broker wants to stop: the controller is to move its leaderships away first."""

    broker_epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownGranted(Internal):
    """Other brokers lead in the place of the one that asked, as far as there are any."""

    broker_epoch: int


# ---- timers ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionDue(InternalTimer):
    """The ensemble looks whether a session has been silent for too long."""

    session: int


@dataclass(frozen=True, slots=True)
class PingDue(InternalTimer):
    pass


@dataclass(frozen=True, slots=True)
class UnansweredDue(InternalTimer):
    """The ensemble has not answered: say it again."""


@dataclass(frozen=True, slots=True)
class ReignDue(InternalTimer):
    """The controller does its periodic work."""


@dataclass(frozen=True, slots=True)
class ShutdownDue(InternalTimer):
    """The controller has not let the broker stop: ask again."""
