"""Incremental fetch sessions (KIP-227): a client names its partitions once, then only changes.

A full fetch may open a session; each incremental one must name the session's next epoch and is
answered with what has changed. Source: core/src/main/scala/kafka/server/FetchSession.scala.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reference.errors import Error
from reference.requests import NO_OFFSET, Fetch, Fetched, FetchedPart, FetchPart, TopicRef
from reference.rules import Rules

NO_SESSION = 0
INITIAL_EPOCH, FINAL_EPOCH = 0, -1
EPOCH_MAX = 2**31 - 1
SESSIONS_SINCE_FETCH = 7
TOPIC_IDS_SINCE_FETCH = 13
EVICTABLE_AFTER_MS = 120_000
"""min.incremental.fetch.session.eviction.ms: a session unused for as long makes room."""

Key = tuple[TopicRef, int]


@dataclass(slots=True)
class Cached:
    part: FetchPart
    high_watermark: int = NO_OFFSET
    log_start_offset: int = NO_OFFSET
    """The two as last sent to the client."""


@dataclass(slots=True)
class FetchSession:
    id: int
    by_topic_id: bool
    used_ms: int
    epoch: int = 1
    parts: dict[Key, Cached] = field(default_factory=dict)

    def update(self, request: Fetch, rules: Rules, now_ms: int) -> None:
        """Takes the changes that an incremental fetch names."""
        self.used_ms = now_ms
        self.epoch = 1 if self.epoch == EPOCH_MAX else self.epoch + 1
        for part in request.parts:
            cached = self.parts.setdefault((part.topic, part.number), Cached(part))
            cached.part = part
        for key in request.forgotten:
            if rules.forgets(key in self.parts):
                del self.parts[key]

    def remember(self, answered: FetchedPart) -> None:
        cached = self.parts.get((answered.topic, answered.number))
        if cached:
            cached.high_watermark = NO_OFFSET if answered.error else answered.high_watermark
            cached.log_start_offset = answered.log_start_offset

    def news(self, answers: Sequence[FetchedPart], rules: Rules) -> tuple[FetchedPart, ...]:
        """What has changed since the last response. Partitions with records go to the end of the
        session, so that the others come first next time (KIP-74)."""
        told = []
        for answer in answers:
            cached = self.parts.get((answer.topic, answer.number))
            if cached and rules.is_news(answer, cached.high_watermark, cached.log_start_offset):
                told.append(answer)
                self.remember(answer)
        for answer in told:
            if answer.records:
                key = (answer.topic, answer.number)
                self.parts[key] = self.parts.pop(key)
        return tuple(told)


@dataclass(slots=True)
class FetchContext:
    """What one fetch asks for, and how its response is told."""

    parts: tuple[FetchPart, ...]
    session: FetchSession | None = None
    """The session that an incremental fetch goes on with."""
    opens_session: bool = False


@dataclass(slots=True)
class FetchSessions:
    rules: Rules
    slots: int
    draw: Callable[[int], int]
    """Returns that many random bits."""
    sessions: dict[int, FetchSession] = field(default_factory=dict)
    """The one that was used last at the end."""

    def open(self, request: Fetch, now_ms: int) -> FetchContext | Error:
        """Returns what the fetch asks for, with its session's help, or why it cannot."""
        if request.api_version < SESSIONS_SINCE_FETCH:
            return FetchContext(request.parts)
        if request.session_epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            self.sessions.pop(request.session_id, None)
            opens = request.session_epoch == INITIAL_EPOCH
            return FetchContext(request.parts, opens_session=opens)
        session = self.sessions.get(request.session_id)
        if session is None:
            return Error.FETCH_SESSION_ID_NOT_FOUND
        if session.epoch != request.session_epoch:
            return Error.INVALID_FETCH_SESSION_EPOCH
        if session.by_topic_id != (request.api_version >= TOPIC_IDS_SINCE_FETCH):
            return Error.FETCH_SESSION_TOPIC_ID_ERROR
        session.update(request, self.rules, now_ms)
        self.sessions[session.id] = self.sessions.pop(session.id)
        parts = tuple(cached.part for cached in session.parts.values())
        if not parts:
            del self.sessions[session.id]
            return FetchContext(())
        return FetchContext(parts, session=session)

    def answer(
        self, context: FetchContext, request: Fetch, parts: Sequence[FetchedPart], now_ms: int
    ) -> Fetched:
        """Returns the response: everything, or what is new to the session."""
        if context.session:
            news = context.session.news(parts, self.rules)
            return Fetched(error=Error.NONE, session_id=context.session.id, parts=news)
        session_id = NO_SESSION
        if context.opens_session and self._has_room(now_ms):
            session = self._create(context, request, now_ms)
            session_id = session.id
            for part in parts:
                session.remember(part)
        return Fetched(error=Error.NONE, session_id=session_id, parts=tuple(parts))

    def _has_room(self, now_ms: int) -> bool:
        if len(self.sessions) < self.slots:
            return True
        oldest = next(iter(self.sessions.values()), None)
        if oldest is None or now_ms - oldest.used_ms <= EVICTABLE_AFTER_MS:
            return False
        del self.sessions[oldest.id]
        return True

    def _create(self, context: FetchContext, request: Fetch, now_ms: int) -> FetchSession:
        number = NO_SESSION
        while number == NO_SESSION or number in self.sessions:
            number = self.draw(31)
        by_topic_id = request.api_version >= TOPIC_IDS_SINCE_FETCH
        session = FetchSession(id=number, by_topic_id=by_topic_id, used_ms=now_ms)
        for part in context.parts:
            session.parts[part.topic, part.number] = Cached(part)
        self.sessions[number] = session
        return session
