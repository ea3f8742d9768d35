"""The ZooKeeper ensemble as one linearizable service: sessions, watches, and the tree.

How its servers agree among themselves is ZooKeeper's business and assumed to work: requests happen
one after another, and what was answered stays. Nothing else is assumed: clients fall silent, and
messages are lost, late or repeated. A session ends once its client has been silent for the
session's timeout, by the ensemble's clock, whether the client is dead or only asleep.
Source: zookeeper-server/.../server/SessionTrackerImpl.java, WatchManager.java.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reference.messages import Effect, Event, FromPeer, Send, Wake
from reference.metadata.records import PartitionState
from reference.metadata.zookeeper.messages import (
    ANY_VERSION,
    Answered,
    Asked,
    CloseSession,
    Connect,
    Create,
    Delete,
    EventType,
    Failure,
    GetChildren,
    Notices,
    Notified,
    Operations,
    Outcome,
    Ping,
    Read,
    SessionDue,
    SessionExpired,
    SessionOpened,
    WatchEvent,
)
from reference.metadata.zookeeper.tree import Tree, is_read
from reference.metadata.zookeeper.znodes import written_states
from reference.rules import Rules


@dataclass(slots=True)
class Session:
    number: int
    client: int
    attempt: int
    timeout_ms: int
    heard_ms: int
    """When its client last said anything."""
    answered: int = 0
    """The number of its last request; its outcome is kept, for the answer may be lost."""
    outcome: Outcome = ()
    events_before: int = 0
    confirmed: int = 0
    """How many watch events the client has had."""
    events: list[WatchEvent] = field(default_factory=list)
    """Those after them."""
    ephemerals: dict[str, None] = field(default_factory=dict)
    watches: dict[tuple[bool, str], None] = field(default_factory=dict)
    """What it watches: whether it is a node's children, and the path."""

    @property
    def notices(self) -> Notices:
        return Notices(self.confirmed, tuple(self.events))


class Ensemble:
    def __init__(self, rules: Rules, static_configs: Mapping[str, str]) -> None:
        self.rules = rules
        self.tree = Tree()
        self.sessions: dict[int, Session] = {}
        self.effects: list[Effect] = []
        """Of the event in hand."""
        self._watchers: dict[tuple[bool, str], dict[int, None]] = {}
        """Sessions by what they watch."""
        self._attempts: dict[tuple[int, int], int] = {}
        """Live sessions by client and attempt to open them."""
        self._states: list[PartitionState] = []

    def start(self, now_ms: int) -> list[Effect]:
        return []

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Returns what the world is to do about an event, in order."""
        self.effects = []
        if isinstance(event, SessionDue):
            self._look_at(event.session, now_ms)
        elif isinstance(event, FromPeer):
            sender, message = event.sender, event.message
            if isinstance(message, Connect):
                self._open(sender, message, now_ms)
            elif isinstance(message, Ping | Asked | CloseSession):
                session = self.sessions.get(message.session)
                if session is None:
                    self._send(sender, SessionExpired(session=message.session))
                else:
                    session.heard_ms = now_ms
                    self._serve(session, message)
        return self.effects

    def take_written_states(self) -> list[PartitionState]:
        """Returns the partition states written since the last call, in order."""
        states, self._states = self._states, []
        return states

    # ---- sessions ------------------------------------------------------------------------------

    def _open(self, client: int, message: Connect, now_ms: int) -> None:
        key = (client, message.attempt)
        if key not in self._attempts:
            self.tree.zxid += 1
            number = self.tree.zxid
            self._attempts[key] = number
            self.sessions[number] = Session(
                number, client, message.attempt, message.timeout_ms, now_ms
            )
            self.effects.append(Wake(now_ms + message.timeout_ms, SessionDue(number)))
        self._send(client, SessionOpened(attempt=message.attempt, session=self._attempts[key]))

    def _look_at(self, number: int, now_ms: int) -> None:
        session = self.sessions.get(number)
        if session is None:
            return
        # A clock that was set back makes nobody silent for longer than since now.
        session.heard_ms = min(session.heard_ms, now_ms)
        if self.rules.session_is_over(now_ms - session.heard_ms, session.timeout_ms):
            self._end(session)
        else:
            due_ms = max(session.heard_ms + session.timeout_ms, now_ms + 1)
            self.effects.append(Wake(due_ms, SessionDue(number)))

    def _end(self, session: Session) -> None:
        """Its ephemeral nodes go with it, in one transaction."""
        for watched in session.watches:
            self._forget(watched, session)
        del self.sessions[session.number], self._attempts[session.client, session.attempt]
        gone = tuple(Delete(path, ANY_VERSION) for path in session.ephemerals)
        self._commit(session, gone)

    def _serve(self, session: Session, message: Ping | Asked | CloseSession) -> None:
        if isinstance(message, CloseSession):
            self._end(session)
            self._send(session.client, SessionExpired(session=session.number))
            return
        self._confirm(session, message.seen)
        if isinstance(message, Ping):
            self._notify(session)
            return
        if message.number == session.answered + 1:
            session.outcome = self._perform(session, message.operations)
            session.events_before = session.confirmed + len(session.events)
            session.answered = message.number
        if message.number == session.answered:
            self._send(
                session.client,
                Answered(
                    session=session.number,
                    number=session.answered,
                    outcome=session.outcome,
                    events_before=session.events_before,
                    notices=session.notices,
                ),
            )

    def _confirm(self, session: Session, seen: int) -> None:
        if seen > session.confirmed:
            del session.events[: seen - session.confirmed]
            session.confirmed = seen

    def _send(self, to: int, message: SessionOpened | Answered | Notified | SessionExpired) -> None:
        self.effects.append(Send(to, message))

    # ---- requests ------------------------------------------------------------------------------

    def _perform(self, session: Session, operations: Operations) -> Outcome:
        reads = tuple(operation for operation in operations if is_read(operation))
        if len(reads) == len(operations):
            return self._read(session, reads)  # type: ignore[arg-type]
        return self._commit(session, operations)

    def _read(self, session: Session, operations: tuple[Read, ...]) -> Outcome:
        results = self.tree.read(operations)
        for operation, result in zip(operations, results, strict=True):
            # Where there is no node, only `exists` leaves a watch.
            if operation.watch and not isinstance(result, Failure):
                watched = (isinstance(operation, GetChildren), operation.path)
                session.watches[watched] = None
                self._watchers.setdefault(watched, {})[session.number] = None
        return results

    def _commit(self, session: Session, operations: Operations) -> Outcome:
        done = self.tree.write(operations, session.number)
        if isinstance(done, Failure):
            return done
        self._note_ephemerals(session, operations)
        self._states += written_states(self.tree, operations)
        self._fire(done.changes)
        return done.results

    def _note_ephemerals(self, session: Session, operations: Operations) -> None:
        for operation in operations:
            if isinstance(operation, Delete):
                for owner in self.sessions.values():
                    owner.ephemerals.pop(operation.path, None)
            elif isinstance(operation, Create) and operation.ephemeral:
                session.ephemerals[operation.path] = None

    # ---- watches -------------------------------------------------------------------------------

    def _fire(self, changes: Iterable[WatchEvent]) -> None:
        """Tells whoever watches, once; a watch is gone when it has fired."""
        told: dict[int, None] = {}
        for change in changes:
            path = change.path
            of_children = change.type is EventType.CHILDREN_CHANGED
            keys = [(of_children, path)]
            if change.type is EventType.DELETED:
                keys.append((True, path))
            watchers: dict[int, None] = {}
            for key in keys:
                watchers |= self._watchers.pop(key, {})
                for number in watchers:
                    self.sessions[number].watches.pop(key, None)
            for number in watchers:
                self.sessions[number].events.append(change)
            told |= watchers
        for number in told:
            self._notify(self.sessions[number])

    def _notify(self, session: Session) -> None:
        message = Notified(
            session=session.number, answered=session.answered, notices=session.notices
        )
        self._send(session.client, message)

    def _forget(self, watched: tuple[bool, str], session: Session) -> None:
        watchers = self._watchers[watched]
        del watchers[session.number]
        if not watchers:
            del self._watchers[watched]
