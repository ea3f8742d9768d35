"""Brokers, controller, clients and network around one queue of timed events.

The simulator takes the next event and calls its time "now"; the server waits until the machine's
clock has reached it. Everything else is the same code.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reference.broker import Broker
from reference.config_definitions import BROKER_CONFIGS
from reference.configs import InvalidConfig, checked
from reference.controller import Controller
from reference.messages import (
    CONTROLLER,
    Cancel,
    ClientGone,
    Effect,
    Event,
    FromClient,
    FromPeer,
    Send,
    Wake,
)
from reference.requests import Request, Response
from reference.rules import Rules
from reference.simulator.digest import Digest
from reference.simulator.events import EventQueue, Kind
from reference.simulator.network import Network
from reference.wire.adapter import Addresses
from reference.wire.frames import FrameReader
from reference.wire.session import Asked, CloseConnection, Session

Deliver = Callable[[bytes | None], None]
"""Hands a frame to the client side; None says that the broker has closed the connection."""

LATENCY_MS = (1, 5)
WALL_CLOCK_MS = 1_767_225_600_000
"""2026-01-01 UTC: the date at which simulated time starts, since records carry dates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCrashed:
    """A member raised an exception: a fault of the reference, never of what it was asked."""

    member: int
    at_ms: int
    error: Exception


@dataclass(slots=True)
class Submission:
    """A request that goes to a broker without frames, and its response once there is one."""

    broker: int
    request: Request
    response: Response | None = None

    @property
    def is_done(self) -> bool:
        return self.response is not None


@dataclass(slots=True)
class _Connection:
    broker: int
    session: Session
    deliver: Deliver
    reader: FrameReader
    """For bytes that need not be frames."""
    tickets: dict[int, int] = field(default_factory=dict)
    """The core's ticket -> the session's, for requests inside the broker."""
    is_closing: bool = False
    """The broker has closed it; the client has yet to notice."""
    is_pumped: bool = False
    """Its requests are being handed to the broker, one after another and never one inside another,
    however many of them are answered at once."""


class Cluster:
    """A controller and the brokers at `addresses`; time stands still between two events."""

    def __init__(
        self,
        addresses: Addresses,
        *,
        seed: int = 0,
        rules: Rules | None = None,
        configs: Mapping[str, str] | None = None,
        latency_ms: tuple[int, int] = LATENCY_MS,
        loss: float = 0.0,
        wall_clock_ms: int = WALL_CLOCK_MS,
        traced: bool = True,
    ) -> None:
        """`configs` are what all brokers are started with; raises ValueError for a bad one.

        `wall_clock_ms` is the date at which `now_ms` is 0. Without `traced` there is no digest.
        """
        if not addresses or min(addresses) <= CONTROLLER:
            raise ValueError("brokers must have positive ids")
        self.addresses = addresses
        self.rules = rules or Rules()
        self.now_ms = 0
        self._wall_clock_ms = wall_clock_ms
        self.events = 0
        self.crashes: list[BrokerCrashed] = []
        self.on_event: Callable[[int, Kind, Any, Any, Any], None] | None = None
        """Called with time, kind and content of every event before it happens."""
        self.network = Network(random.Random(f"{seed} network"), latency_ms, loss)
        self.queue = EventQueue()
        self._digest = Digest() if traced else None
        self._connections: dict[int, _Connection] = {}
        self._opened = 0
        self._tickets: dict[int, int | Submission] = {}
        self._issued = 0
        self._paused: dict[int, list[Event]] = {}
        self.controller, self.brokers = self._members(seed, configs or {})
        self.members: dict[int, Broker | Controller] = {CONTROLLER: self.controller}
        self.members |= self.brokers
        for number, member in self.members.items():
            self._perform(number, member.start(self.clock_ms))

    def _members(
        self, seed: int, configs: Mapping[str, str]
    ) -> tuple[Controller, dict[int, Broker]]:
        try:
            static = {name: checked(BROKER_CONFIGS, name, text) for name, text in configs.items()}
        except InvalidConfig as error:
            raise ValueError(str(error)) from error
        numbers = tuple(sorted(self.addresses))
        draw = random.Random(f"{seed} controller").getrandbits
        controller = Controller(numbers, self.rules, static, draw)
        brokers = {
            number: Broker(
                number,
                numbers,
                f"highwater-reference-{seed}",
                self.rules,
                static,
                random.Random(f"{seed} broker {number}").getrandbits,
            )
            for number in numbers
        }
        return controller, brokers

    # ---- time ----------------------------------------------------------------------------------

    @property
    def clock_ms(self) -> int:
        """The date now, as brokers see it."""
        return self._wall_clock_ms + self.now_ms

    @property
    def next_due_ms(self) -> int | None:
        """When the next event happens, or None."""
        return self.queue.next_due_ms

    def step(self) -> None:
        """Lets the next event happen, at its own time. Raises IndexError if there is none."""
        at_ms, _, kind, a, b, c = self.queue.pop()
        self.now_ms = max(self.now_ms, at_ms)
        self.events += 1
        if self._digest:
            self._note(at_ms, kind, a, b, c)
        if self.on_event:
            self.on_event(at_ms, Kind(kind), a, b, c)
        if kind == Kind.MESSAGE:
            if self.network.passes(c, a):
                self._give(a, FromPeer(c, b))
        elif kind == Kind.TIMER:
            self._give(a, b)
        elif kind == Kind.FRAME:
            self._arrive(a, b)
        elif kind in (Kind.ANSWER, Kind.CLOSE):
            self._deliver(a, b)
        elif kind == Kind.REQUEST:
            self._give(a, FromClient(self._ticket(b), b.request))
        else:
            self._arrive_raw(a, b)

    def _note(self, at_ms: int, kind: int, a: Any, b: Any, c: Any) -> None:
        assert self._digest is not None
        if kind in (Kind.MESSAGE, Kind.TIMER):
            self._digest.note(at_ms, kind, a, c, b)
        elif kind == Kind.REQUEST:
            self._digest.note(at_ms, kind, a, None, b.request)
        else:
            self._digest.note_frame(at_ms, kind, a, b or b"")

    def run(self, until: Callable[[], bool], within_ms: int) -> bool:
        """Lets events happen until a condition holds; returns whether it does in time."""
        deadline = self.now_ms + within_ms
        while not until():
            due = self.next_due_ms
            if due is None or due > deadline:
                self.now_ms = deadline
                return until()
            self.step()
        return True

    @property
    def digest(self) -> str:
        """Names the whole run so far; empty where the cluster is not traced."""
        return self._digest.text if self._digest else ""

    # ---- clients -------------------------------------------------------------------------------

    def connect(self, broker: int, deliver: Deliver) -> int:
        """Opens a connection; returns its number. Frames for the client go to `deliver`."""
        self._opened += 1
        session = Session(self.addresses, self.rules)
        reader = FrameReader(self.rules.accepts_frame)
        self._connections[self._opened] = _Connection(broker, session, deliver, reader)
        return self._opened

    def waiting(self, connection: int) -> int:
        """How many requests of a connection have reached its broker and are not answered yet."""
        opened = self._connections.get(connection)
        return opened.session.waiting if opened else 0

    def disconnect(self, connection: int) -> None:
        """The client closes; what it has asked is still done, but nobody is told."""
        gone = self._connections.pop(connection, None)
        if gone is None:
            return
        self.network.forget(("up", connection))
        self.network.forget(("down", connection))
        self._abandon(gone)

    def _abandon(self, gone: _Connection) -> None:
        tickets, gone.tickets = gone.tickets, {}
        for ticket in tickets:
            del self._tickets[ticket]
            self._give(gone.broker, ClientGone(ticket))

    def receive(self, connection: int, frame: bytes) -> None:
        """A frame, without its length, leaves the client for its broker."""
        at_ms = self.network.arrival_ms(("up", connection), self.now_ms)
        self.queue.push(at_ms, Kind.FRAME, connection, frame)

    def receive_raw(self, connection: int, data: bytes) -> None:
        """Bytes leave the client that need not be frames, their lengths included."""
        at_ms = self.network.arrival_ms(("up", connection), self.now_ms)
        self.queue.push(at_ms, Kind.BYTES, connection, data)

    def submit(self, broker: int, request: Request) -> Submission:
        """Puts a request to a broker without frames, over a link of its own."""
        submission = Submission(broker, request)
        at_ms = self.network.arrival_ms(("submit", broker), self.now_ms)
        self.queue.push(at_ms, Kind.REQUEST, broker, submission)
        return submission

    def _ticket(self, asker: "int | Submission") -> int:
        self._issued += 1
        self._tickets[self._issued] = asker
        return self._issued

    def _arrive(self, number: int, frame: bytes) -> None:
        connection = self._connections.get(number)
        if connection and not connection.is_closing:
            connection.session.receive(frame)
            self._pump(number)

    def _arrive_raw(self, number: int, data: bytes) -> None:
        connection = self._connections.get(number)
        if connection is None or connection.is_closing:
            return
        connection.reader.feed(data)
        try:
            for frame in connection.reader.frames():
                connection.session.receive(frame)
        except CloseConnection:
            self._pump(number)
            self._refuse(number)
        else:
            self._pump(number)

    def _pump(self, number: int) -> None:
        """Puts everything that a session lets through to its broker."""
        connection = self._connections.get(number)
        if connection is None or connection.is_pumped:
            return
        connection.is_pumped = True
        while not connection.is_closing and number in self._connections:
            if connection.broker not in self.members:
                self._hang_up(number)
                break
            try:
                todo = connection.session.next_request()
            except CloseConnection:
                self._refuse(number)
                break
            if todo is None:
                break
            if isinstance(todo, Asked):
                ticket = self._ticket(number)
                connection.tickets[ticket] = todo.ticket
                self._give(connection.broker, FromClient(ticket, todo.request))
            else:
                self._send_frame(number, todo)
        connection.is_pumped = False

    def _send_frame(self, number: int, frame: bytes) -> None:
        at_ms = self.network.arrival_ms(("down", number), self.now_ms)
        self.queue.push(at_ms, Kind.ANSWER, number, frame)

    def _deliver(self, number: int, frame: bytes | None) -> None:
        connection = self._connections.get(number)
        if connection is None:
            return
        if frame is None:
            self.disconnect(number)
        connection.deliver(frame)

    def _refuse(self, number: int) -> None:
        """What a connection has sent is malformed."""
        broker = self._connections[number].broker
        others = [each for each, opened in self._connections.items() if opened.broker == broker]
        for connection in self.rules.closed_by_garbage(number, others):
            self._hang_up(connection)

    def _hang_up(self, number: int) -> None:
        """The broker closes a connection; what it has sent arrives before."""
        connection = self._connections.get(number)
        if connection and not connection.is_closing:
            connection.is_closing = True
            self._abandon(connection)
            at_ms = self.network.arrival_ms(("down", number), self.now_ms)
            self.queue.push(at_ms, Kind.CLOSE, number)

    def cut(self, sender: int, receiver: int, *, one_way: bool = False) -> None:
        """From now on nothing passes between two members, not even what is on its way."""
        self.network.cut(sender, receiver, one_way=one_way)

    def heal(self, sender: int, receiver: int) -> None:
        """Both directions pass again; what was lost stays lost."""
        self.network.heal(sender, receiver)

    # ---- members -------------------------------------------------------------------------------

    def pause(self, broker: int) -> None:
        """From now on whatever reaches the broker waits; its process stands still."""
        self._paused.setdefault(broker, [])

    def resume(self, broker: int) -> None:
        """The broker finds all that has waited, in order."""
        for event in self._paused.pop(broker, ()):
            self._give(broker, event)

    def _give(self, number: int, event: Event) -> None:
        if number in self._paused:
            self._paused[number].append(event)
            return
        member = self.members.get(number)
        if member is None:
            return
        try:
            effects = member.handle(event, self.clock_ms)
        except Exception as error:  # a fault of the reference must not pass for one of the target
            self._crash(number, error)
        else:
            self._perform(number, effects)

    def _crash(self, number: int, error: Exception) -> None:
        self.crashes.append(BrokerCrashed(member=number, at_ms=self.now_ms, error=error))
        del self.members[number]
        for connection, opened in tuple(self._connections.items()):
            if opened.broker == number:
                self._hang_up(connection)

    def _perform(self, number: int, effects: list[Effect]) -> None:
        for effect in tuple(effects):
            if isinstance(effect, Send):
                self._send(number, effect.to, effect.message)
            elif isinstance(effect, Wake):
                self.queue.set_timer(effect.at_ms - self._wall_clock_ms, number, effect.timer)
            elif isinstance(effect, Cancel):
                self.queue.cancel_timer(number, effect.timer)
            else:
                self._reply(effect.ticket, effect.response)

    def _send(self, sender: int, to: int, message: object) -> None:
        if self.network.passes(sender, to) and not self.network.loses():
            at_ms = self.network.arrival_ms((sender, to), self.now_ms)
            self.queue.push(at_ms, Kind.MESSAGE, to, message, sender)

    def _reply(self, ticket: int, response: Response) -> None:
        asker = self._tickets.pop(ticket, None)
        if isinstance(asker, Submission):
            asker.response = response
        elif asker is not None:
            connection = self._connections[asker]
            try:
                frame = connection.session.answer(connection.tickets.pop(ticket), response)
            except CloseConnection:
                self._hang_up(asker)
                return
            if frame is not None:
                self._send_frame(asker, frame)
            self._pump(asker)
