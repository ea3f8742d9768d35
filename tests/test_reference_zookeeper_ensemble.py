"""The ensemble: sessions that end with silence, watches that fire once, requests that are repeated.

The last test puts clients under loss, delay and repetition and compares every answer with a
sequential oracle.
"""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reference.messages import ZOOKEEPER, Cancel, Effect, FromPeer, Internal, Send, Wake
from reference.metadata.zookeeper.client import Client
from reference.metadata.zookeeper.ensemble import Ensemble, Session
from reference.metadata.zookeeper.messages import (
    ANY_VERSION,
    Answered,
    Asked,
    CloseSession,
    Connect,
    Create,
    Delete,
    EventType,
    Exists,
    Failure,
    GetChildren,
    GetData,
    Node,
    Notices,
    Notified,
    Operation,
    Outcome,
    Ping,
    PingDue,
    SessionDue,
    SessionExpired,
    SessionOpened,
    SetData,
    Stat,
    UnansweredDue,
    WatchEvent,
    ZooKeeperError,
    results_of,
)
from reference.metadata.zookeeper.tree import Tree, is_read
from reference.rules import Rules
from reference.simulator.events import EventQueue, Kind

TIMEOUT_MS = 1_000


class Service:
    """An ensemble without a network: says what it is told, and returns what it sends."""

    def __init__(self) -> None:
        self.ensemble = Ensemble(Rules(), {})
        self.now_ms = 0
        self.due: dict[SessionDue, int] = {}

    def say(self, client: int, message: Internal) -> list[Send]:
        return self._sent(self.ensemble.handle(FromPeer(client, message), self.now_ms))

    def pass_time(self, ms: int) -> list[Send]:
        """Lets the ensemble's own timers be due."""
        sent, end_ms = [], self.now_ms + ms
        while self.due and min(self.due.values()) <= end_ms:
            timer = min(self.due, key=lambda t: self.due[t])
            self.now_ms = max(self.now_ms, self.due.pop(timer))
            sent += self._sent(self.ensemble.handle(timer, self.now_ms))
        self.now_ms = end_ms
        return sent

    def _sent(self, effects: list[Effect]) -> list[Send]:
        for effect in effects:
            if isinstance(effect, Wake):
                assert isinstance(effect.timer, SessionDue)
                self.due[effect.timer] = effect.at_ms
        return [effect for effect in effects if isinstance(effect, Send)]

    def connect(self, client: int, attempt: int = 1) -> int:
        (sent,) = self.say(client, Connect(attempt=attempt, timeout_ms=TIMEOUT_MS))
        assert isinstance(sent.message, SessionOpened)
        assert sent.to == client
        return sent.message.session

    def ask(self, client: int, session: int, number: int, *operations: Operation) -> Answered:
        message = Asked(session=session, number=number, operations=operations, seen=0)
        *_, sent = self.say(client, message)
        assert isinstance(sent.message, Answered)
        return sent.message


def test_a_repeated_attempt_to_connect_finds_its_session() -> None:
    service = Service()
    assert service.connect(1, 5) == service.connect(1, 5)
    assert service.connect(1, 6) != service.connect(1, 5)
    assert service.connect(2, 5) != service.connect(1, 5)


def test_a_silent_session_ends_with_its_ephemeral_nodes() -> None:
    service = Service()
    asleep, awake = service.connect(1), service.connect(2)
    service.ask(1, asleep, 1, Create("/a", ephemeral=True), Create("/b"))
    service.pass_time(TIMEOUT_MS - 1)
    service.say(2, Ping(session=awake, seen=0))
    assert service.ensemble.tree.get("/a")
    service.pass_time(1)
    assert not service.ensemble.tree.get("/a")
    assert service.ensemble.tree.get("/b")
    (told,) = service.say(1, Ping(session=asleep, seen=0))
    assert told.message == SessionExpired(session=asleep)
    (alive,) = service.say(2, Ping(session=awake, seen=0))
    assert isinstance(alive.message, Notified)


def test_whatever_a_client_says_keeps_its_session_alive() -> None:
    service = Service()
    session = service.connect(1)
    for number in range(1, 6):
        service.pass_time(TIMEOUT_MS - 1)
        assert service.ask(1, session, number, Exists("/a")).outcome == (None,)
    service.pass_time(TIMEOUT_MS)
    assert not service.ensemble.sessions


def test_a_clock_that_is_set_back_keeps_nobody_alive_for_ever() -> None:
    service = Service()
    service.now_ms = 1_000_000
    session = service.connect(1)
    service.now_ms = 500
    service.ensemble.handle(SessionDue(session), service.now_ms)
    service.due = {SessionDue(session): 500}
    service.pass_time(2 * TIMEOUT_MS)
    assert not service.ensemble.sessions


def test_a_closed_session_is_gone_at_once() -> None:
    service = Service()
    session = service.connect(1)
    service.ask(1, session, 1, Create("/a", ephemeral=True))
    for _ in range(2):
        (told,) = service.say(1, CloseSession(session=session))
        assert told.message == SessionExpired(session=session)
    assert not service.ensemble.tree.get("/a")


def test_a_repeated_request_is_not_done_twice() -> None:
    service = Service()
    session = service.connect(1)
    first = service.ask(1, session, 1, Create("/a"))
    assert service.ask(1, session, 1, Create("/a")) == first
    assert service.ask(1, session, 2, Create("/a")).outcome == Failure(
        ZooKeeperError.NODE_EXISTS, 0
    )
    late = Asked(session=session, number=1, operations=(Delete("/a", 0),), seen=0)
    assert service.say(1, late) == []
    assert service.ensemble.tree.get("/a")


def test_a_session_of_before_its_end_is_unknown_after_it() -> None:
    service = Service()
    session = service.connect(1, 1)
    service.pass_time(TIMEOUT_MS)
    assert service.connect(1, 1) != session
    ask = Asked(session=session, number=1, operations=(Create("/a"),), seen=0)
    (told,) = service.say(1, ask)
    assert told.message == SessionExpired(session=session)
    assert not service.ensemble.tree.get("/a")


def test_a_watch_fires_once_for_everybody_who_left_one() -> None:
    service = Service()
    one, two, writer = (service.connect(client) for client in (1, 2, 3))
    service.ask(1, one, 1, Exists("/a", watch=True), GetChildren("/", watch=True))
    service.ask(2, two, 1, GetData("/a", watch=True))
    sent = service.say(
        3, Asked(session=writer, number=1, operations=(Create("/a"), Create("/b")), seen=0)
    )
    created = WatchEvent(EventType.CREATED, "/a")
    children = WatchEvent(EventType.CHILDREN_CHANGED, "/")
    notices = Notices(0, (created, children))
    expected = Notified(session=one, answered=1, notices=notices)
    assert [s.message for s in sent if s.to == 1] == [expected]
    assert [s for s in sent if s.to == 2] == [], "a read of nothing leaves no watch"
    assert service.ensemble.sessions[one].events == [created, children]


def test_a_deleted_node_tells_those_who_watch_it_or_its_children() -> None:
    service = Service()
    one, writer = service.connect(1), service.connect(2)
    service.ask(2, writer, 1, Create("/a"), Create("/a/b"))
    service.ask(1, one, 1, GetData("/a/b", watch=True), GetChildren("/a", watch=True))
    service.ask(2, writer, 2, Delete("/a/b", 0), Delete("/a", 0))
    events = service.ensemble.sessions[one].events
    assert [e for e in events if e.path == "/a/b"] == [WatchEvent(EventType.DELETED, "/a/b")]
    assert WatchEvent(EventType.CHILDREN_CHANGED, "/a") in events
    assert len(events) == 2


def test_events_come_again_until_they_are_confirmed() -> None:
    service = Service()
    one, writer = service.connect(1), service.connect(2)
    service.ask(1, one, 1, Exists("/a", watch=True))
    service.ask(2, writer, 1, Create("/a"))
    event = WatchEvent(EventType.CREATED, "/a")
    (again,) = service.say(1, Ping(session=one, seen=0))
    assert again.message == Notified(session=one, answered=1, notices=Notices(0, (event,)))
    (silent,) = service.say(1, Ping(session=one, seen=1))
    assert silent.message == Notified(session=one, answered=1, notices=Notices(1, ()))


def test_an_ended_session_leaves_no_watch_behind() -> None:
    service = Service()
    one, writer = service.connect(1), service.connect(2)
    service.ask(1, one, 1, Exists("/a", watch=True))
    service.say(1, CloseSession(session=one))
    assert len(service.say(2, Asked(session=writer, number=1, operations=(Create("/a"),), seen=0)))
    assert not service.ensemble._watchers


class Sleeper:
    """Owns a client whose session expires while it has asked for several things."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.heard: list[object] = []
        self.client = Client(self, TIMEOUT_MS, lambda bits: 7)

    def on_session(self) -> None:
        self.heard.append(("session", self.client.session))

    def on_watch(self, event: WatchEvent) -> None:
        self.heard.append(event)

    def on_closed(self) -> None:
        self.heard.append("closed")

    def exchange(self, service: Service) -> None:
        """Lets client and ensemble talk until neither has anything to say."""
        while sends := [e.message for e in self.effects if isinstance(e, Send)]:
            self.effects.clear()
            for message in sends:
                assert isinstance(message, Internal)
                for answer in service.say(1, message):
                    self.client.on_message(answer.message, service.now_ms)  # type: ignore[arg-type]


def test_what_was_asked_goes_on_in_a_new_session_unless_it_is_about_the_old_one() -> None:
    service, sleeper = Service(), Sleeper()
    client = sleeper.client
    client.start(0)
    sleeper.exchange(service)
    service.pass_time(TIMEOUT_MS)
    client.ask((Create("/a"),), sleeper.heard.append)
    client.ask((Create("/mine", ephemeral=True),), sleeper.heard.append)
    client.ask((Exists("/a"),), sleeper.heard.append)
    sleeper.exchange(service)
    old, new, written, read = sleeper.heard
    assert (type(old), type(new)) == (tuple, tuple)
    assert old != new
    assert [type(outcome) for outcome in (written, read)] == [tuple, tuple]
    assert service.ensemble.tree.get("/a"), "it is written before the owner hears of the change"
    assert not service.ensemble.tree.get("/mine")


def test_what_is_withdrawn_is_never_asked() -> None:
    service, sleeper = Service(), Sleeper()
    sleeper.client.start(0)
    sleeper.exchange(service)
    sleeper.client.ask((Exists("/a"),), lambda _: sleeper.client.withdraw())
    sleeper.client.ask((Exists("/b"),), sleeper.heard.append)
    sleeper.exchange(service)
    sleeper.client.close()
    sleeper.exchange(service)
    assert sleeper.heard[1:] == ["closed"]


# ---- clients under loss, delay and repetition ---------------------------------------------------


class User:
    """Owns a client and asks for what it draws; remembers what it was told."""

    def __init__(self, number: int, world: "World") -> None:
        self.number, self.world = number, world
        self.effects: list[Effect] = []
        self.told: list[tuple[int, WatchEvent | Outcome]] = []
        self.sessions = 0
        self.is_closed = False
        self.client = Client(self, TIMEOUT_MS, world.chance.getrandbits)

    def on_session(self) -> None:
        self.sessions += 1
        self.client.withdraw()
        self.ask()

    def on_watch(self, event: WatchEvent) -> None:
        self.told.append((self.client.session, event))

    def on_closed(self) -> None:
        self.is_closed = True

    def ask(self) -> None:
        operations = self.world.draw_operations()
        session = self.client.session

        def then(outcome: Outcome) -> None:
            self.told.append((self.client.session, outcome))
            if self.client.session == session:
                self.ask()

        self.client.ask(operations, then)


class World:
    def __init__(self, seed: int, loss: float) -> None:
        self.chance, self.loss = random.Random(seed), loss
        self.queue = EventQueue()
        self.now_ms = 0
        self.ensemble = Ensemble(Rules(), {})
        self.users = {number: User(number, self) for number in (1, 2, 3)}
        self.asleep: dict[int, int] = {}
        self.executed: list[tuple[int, tuple[Operation, ...], Outcome] | int] = []
        """Requests in their order, and the sessions that ended between them."""
        perform, end = self.ensemble._perform, self.ensemble._end

        def note_request(session: Session, operations: tuple[Operation, ...]) -> Outcome:
            outcome = perform(session, operations)
            self.executed.append((session.number, operations, outcome))
            return outcome

        def note_end(session: Session) -> None:
            self.executed.append(session.number)
            end(session)

        self.ensemble._perform = note_request  # type: ignore[method-assign]
        self.ensemble._end = note_end  # type: ignore[method-assign]
        for user in self.users.values():
            user.client.start(0)
            self.perform(user.number, user.effects)

    def draw_operations(self) -> tuple[Operation, ...]:
        draw = self.chance
        paths = ("/a", "/a/b", "/e")
        if draw.random() < 0.4:
            watch = draw.random() < 0.5
            kinds = (GetData, GetChildren, Exists)
            return tuple(draw.choice(kinds)(draw.choice(paths), watch) for _ in range(2))
        path = draw.choice(paths)
        return draw.choice(
            (
                (Create(path, str(self.now_ms), draw.random() < 0.3 and path != "/a"),),
                (SetData(path, str(self.now_ms), -1),),
                (Delete(path, -1),),
                (Create("/a"), Create("/a/b")),
            )
        )

    def perform(self, number: int, effects: list[Effect]) -> None:
        for effect in tuple(effects):
            if isinstance(effect, Wake):
                self.queue.set_timer(effect.at_ms, number, effect.timer)
            elif isinstance(effect, Cancel):
                self.queue.cancel_timer(number, effect.timer)
            elif isinstance(effect, Send):
                copies = (self.chance.random() >= self.loss) + (self.chance.random() < self.loss)
                for _ in range(copies):
                    at_ms = self.now_ms + self.chance.randint(1, 30)
                    self.queue.push(at_ms, Kind.MESSAGE, effect.to, effect.message, number)
        effects.clear()

    def run(self, until_ms: int) -> None:
        while (due := self.queue.next_due_ms) is not None and due <= until_ms:
            at_ms, _, kind, to, content, sender = self.queue.pop()
            self.now_ms = max(self.now_ms, at_ms)
            if self.chance.random() < 0.002 and to != ZOOKEEPER:
                self.asleep[to] = self.now_ms + self.chance.randint(0, 2 * TIMEOUT_MS)
            if self.asleep.get(to, 0) > self.now_ms:
                later = self.asleep[to]
                if kind == Kind.TIMER:
                    self.queue.set_timer(later, to, content)
                else:
                    self.queue.push(later, kind, to, content, sender)
            elif to == ZOOKEEPER:
                event = content if kind == Kind.TIMER else FromPeer(sender, content)
                self.perform(ZOOKEEPER, self.ensemble.handle(event, self.now_ms))
            else:
                user = self.users[to]
                if isinstance(content, PingDue | UnansweredDue):
                    user.client.on_timer(content, self.now_ms)
                else:
                    user.client.on_message(content, self.now_ms)
                self.perform(to, user.effects)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.4]))
def test_clients_see_what_a_sequential_oracle_did_in_its_order(seed: int, loss: float) -> None:
    world = World(seed, loss)
    world.run(10_000)
    _assert_sequential(world)
    for user in world.users.values():
        told = [o for s, o in user.told if not isinstance(o, WatchEvent)]
        assert len(told) > 20 or loss > 0.3, "too little happened to say anything"
    for user in world.users.values():
        user.client.close()
        world.perform(user.number, user.effects)
    world.loss = 0.0
    world.run(world.now_ms + 10 * TIMEOUT_MS)
    assert all(user.is_closed for user in world.users.values())
    assert not world.ensemble.sessions, "sessions that nobody uses expire"


class Oracle:
    """Does one thing after another, and knows what each session is told, in which order."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.told: dict[int, list[WatchEvent | Outcome]] = {}
        self.watches: dict[tuple[bool, str], set[int]] = {}

    def perform(self, session: int, operations: tuple[Operation, ...]) -> Outcome:
        told = self.told.setdefault(session, [])
        if is_read(operations[0]):
            outcome: Outcome = self.tree.read(operations)  # type: ignore[arg-type]
            for operation, result in zip(operations, results_of(outcome), strict=True):
                if operation.watch and not isinstance(result, Failure):  # type: ignore[union-attr]
                    key = (isinstance(operation, GetChildren), operation.path)
                    self.watches.setdefault(key, set()).add(session)
        else:
            outcome = self.write(session, operations)
        told.append(outcome)
        return outcome

    def write(self, session: int, operations: tuple[Operation, ...]) -> Outcome:
        done = self.tree.write(operations, session)
        if isinstance(done, Failure):
            return done
        for change in done.changes:
            kinds = [change.type is EventType.CHILDREN_CHANGED]
            kinds += [True] if change.type is EventType.DELETED else []
            watchers = [self.watches.pop((kind, change.path), set()) for kind in kinds]
            for each in set().union(*watchers):
                self.told[each].append(change)
        return done.results

    def end(self, session: int) -> None:
        for watchers in self.watches.values():
            watchers.discard(session)
        nodes = {path: self.tree.get(path) for path in ("/a/b", "/e")}
        own = [path for path, node in nodes.items() if node and node.stat.owner == session]
        self.write(session, tuple(Delete(path, ANY_VERSION) for path in own))


def _assert_sequential(world: World) -> None:
    """A session may end before its client has heard the last of it; nothing else is missing."""
    oracle = Oracle()
    for done in world.executed:
        if isinstance(done, int):
            oracle.end(done)
        else:
            session, operations, outcome = done
            assert _shape(oracle.perform(session, operations)) == _shape(outcome)
    for user in world.users.values():
        for session in {s for s, _ in user.told}:
            seen = [_shape(each) for s, each in user.told if s == session]
            assert seen == [_shape(each) for each in oracle.told[session][: len(seen)]]


def _shape(told: Any) -> object:
    """Transactions of the oracle have other numbers: in the ensemble sessions count, too."""
    if isinstance(told, Node):
        return told.data, told.stat.version
    if isinstance(told, Stat):
        return told.version
    return tuple(map(_shape, told)) if type(told) is tuple else told
