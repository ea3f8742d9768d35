"""The session of one node with ZooKeeper, as the client library keeps it.

Requests go out one after another and are repeated until they are answered. When a session has
expired the library opens a new one by itself and goes on: what it was asked to send is sent in the
new session, before its owner hears of the change. So a controller that slept through its own end
does reach ZooKeeper with what it decided (KAFKA-6082), and must be stopped there. Only a request
for an ephemeral node dies with the session that it is about.
Source: core/src/main/scala/kafka/zookeeper/ZooKeeperClient.scala.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from reference.messages import ZOOKEEPER, Cancel, Effect, Send, Wake
from reference.metadata.zookeeper.messages import (
    Answered,
    Asked,
    CloseSession,
    Connect,
    Create,
    Notices,
    Notified,
    Operations,
    Outcome,
    Ping,
    PingDue,
    SessionExpired,
    SessionOpened,
    UnansweredDue,
    WatchEvent,
)

NO_SESSION = 0
ATTEMPT_BITS = 63
Then = Callable[[Outcome], None]


class Owner(Protocol):
    """Whom the client works for."""

    effects: list[Effect]

    def on_session(self) -> None:
        """A new session is there; the one before, if any, has expired."""

    def on_watch(self, event: WatchEvent) -> None: ...

    def on_closed(self) -> None:
        """The session has ended as it was asked to."""


class Client:
    __slots__ = (
        "_attempt",
        "_draw",
        "_in_flight",
        "_is_closing",
        "_now_ms",
        "_number",
        "_owner",
        "_ping_ms",
        "_queue",
        "_repeat_ms",
        "_seen",
        "_timeout_ms",
        "session",
    )

    def __init__(self, owner: Owner, timeout_ms: int, draw: Callable[[int], int]) -> None:
        self._owner = owner
        self._draw = draw
        self._timeout_ms = timeout_ms
        # The real client pings three times per timeout, over a connection that repeats what is
        # lost. Here a lost ping is lost.
        self._ping_ms = max(1, timeout_ms // 6)
        self._repeat_ms = max(1, timeout_ms // 20)
        self.session = NO_SESSION
        self._attempt = 0
        self._number = 0
        """Of the last request that was sent in this session."""
        self._in_flight = False
        self._queue: deque[tuple[Operations, Then]] = deque()
        """Requests without an answer; the first one may be in flight."""
        self._seen = 0
        self._is_closing = False
        self._now_ms = 0

    def start(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._connect()

    def ask(self, operations: Operations, then: Then) -> None:
        """Sends a request when those before it are answered; then tells what came of it."""
        self._queue.append((operations, then))
        self._send_next()

    def withdraw(self) -> None:
        """Forgets the requests that have not been sent yet."""
        while len(self._queue) > int(self._in_flight):
            self._queue.pop()

    def close(self) -> None:
        """Ends the session, and with it its ephemeral nodes; nothing is asked any more."""
        self._is_closing = True
        self._queue.clear()
        self._in_flight = False
        if self.session == NO_SESSION:
            self._closed()
        else:
            self._say_again()

    # ---- events --------------------------------------------------------------------------------

    def on_message(
        self, message: SessionOpened | Answered | Notified | SessionExpired, now_ms: int
    ) -> None:
        self._now_ms = now_ms
        if isinstance(message, SessionOpened):
            awaited = self.session == NO_SESSION and not self._is_closing
            if awaited and message.attempt == self._attempt:
                self._opened(message.session)
        elif message.session == self.session:
            if isinstance(message, SessionExpired):
                self._expired()
            elif isinstance(message, Notified):
                # Else the answer is on its way, or comes again, and brings the events with it.
                if message.answered <= self._number - int(self._in_flight):
                    self._take_events(message.notices, len(message.notices.events))
            else:
                self._answered(message)

    def on_timer(self, timer: PingDue | UnansweredDue, now_ms: int) -> None:
        self._now_ms = now_ms
        if isinstance(timer, UnansweredDue):
            self._say_again()
        elif self.session != NO_SESSION and not self._is_closing:
            self._send(Ping(session=self.session, seen=self._seen))
            self._wake(self._ping_ms, PingDue())

    def _answered(self, message: Answered) -> None:
        notices = message.notices
        # What happened before the answer is told before it, and what happened after it, after it.
        self._take_events(notices, message.events_before - notices.first)
        if self._in_flight and message.number == self._number:
            self._in_flight = False
            self._owner.effects.append(Cancel(UnansweredDue()))
            _, then = self._queue.popleft()
            then(message.outcome)
            self._send_next()
        self._take_events(notices, len(notices.events))

    def _take_events(self, notices: Notices, count: int) -> None:
        session = self.session
        for event in notices.events[max(0, self._seen - notices.first) : max(0, count)]:
            if self.session != session:
                return
            self._seen += 1
            self._owner.on_watch(event)

    # ---- sessions ------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._attempt = self._draw(ATTEMPT_BITS)
        self._say_again()

    def _opened(self, session: int) -> None:
        self.session, self._number, self._seen = session, 0, 0
        self._owner.effects.append(Cancel(UnansweredDue()))
        self._wake(self._ping_ms, PingDue())
        self._send_next()
        self._owner.on_session()

    def _expired(self) -> None:
        self.session, self._in_flight = NO_SESSION, False
        if self._is_closing:
            self._closed()
            return
        self._queue = deque(each for each in self._queue if not _is_about_session(each[0]))
        self._connect()

    def _closed(self) -> None:
        self._owner.effects += [Cancel(UnansweredDue()), Cancel(PingDue())]
        self._owner.on_closed()

    # ---- sending -------------------------------------------------------------------------------

    def _send_next(self) -> None:
        if self._queue and not self._in_flight and self.session != NO_SESSION:
            self._in_flight = True
            self._number += 1
            self._say_again()

    def _say_again(self) -> None:
        """Sends, for the first time or once more, what waits for an answer."""
        if self._is_closing:
            if self.session == NO_SESSION:
                return
            self._send(CloseSession(session=self.session))
        elif self.session == NO_SESSION:
            self._send(Connect(attempt=self._attempt, timeout_ms=self._timeout_ms))
        elif self._in_flight:
            self._send(
                Asked(
                    session=self.session,
                    number=self._number,
                    operations=self._queue[0][0],
                    seen=self._seen,
                )
            )
        else:
            return
        self._wake(self._repeat_ms, UnansweredDue())

    def _send(self, message: Connect | Ping | Asked | CloseSession) -> None:
        self._owner.effects.append(Send(ZOOKEEPER, message))

    def _wake(self, in_ms: int, timer: PingDue | UnansweredDue) -> None:
        self._owner.effects.append(Wake(self._now_ms + in_ms, timer))


def _is_about_session(operations: Operations) -> bool:
    return any(isinstance(each, Create) and each.ephemeral for each in operations)
