"""Clients of a simulated cluster: connections that carry frames, and requests without any."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from reference.messages import ClientGone, Event, FromClient
from reference.requests import Request, Response
from reference.rules import Rules
from reference.simulator.events import EventQueue, Kind
from reference.simulator.network import Network
from reference.wire.adapter import Addresses
from reference.wire.frames import FrameReader
from reference.wire.session import Asked, CloseConnection, Session

Deliver = Callable[[bytes | None], None]
"""Hands a frame to the client side; None says that the broker has closed the connection."""


class Brokers(Protocol):
    """What clients see of a cluster."""

    now_ms: int

    def lets_in(self, broker: int) -> bool:
        """Whether the broker accepts connections."""

    def give(self, member: int, event: Event) -> None:
        """Hands an event to a node."""


@dataclass(slots=True)
class Submission:
    """A request that goes to a broker without frames, and its response once there is one."""

    broker: int
    request: Request
    response: Response | None = None
    is_lost: bool = False
    """The broker has gone, and will never answer."""

    @property
    def is_done(self) -> bool:
        return self.response is not None or self.is_lost


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


class Clients:
    def __init__(
        self,
        brokers: Brokers,
        addresses: Addresses,
        rules: Rules,
        network: Network,
        queue: EventQueue,
    ) -> None:
        self._brokers = brokers
        self._addresses = addresses
        self._rules = rules
        self._network = network
        self._queue = queue
        self._connections: dict[int, _Connection] = {}
        self._opened = 0
        self._tickets: dict[int, int | Submission] = {}
        self._issued = 0

    # ---- the client's side -----------------------------------------------------------------

    def connect(self, broker: int, deliver: Deliver) -> int:
        """Opens a connection; returns its number. Frames for the client go to `deliver`."""
        self._opened += 1
        session = Session(self._addresses, self._rules)
        reader = FrameReader(self._rules.accepts_frame)
        self._connections[self._opened] = _Connection(broker, session, deliver, reader)
        if not self._brokers.lets_in(broker):
            self._hang_up(self._opened)
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
        self._network.forget(("up", connection))
        self._network.forget(("down", connection))
        self._abandon(gone)

    def receive(self, connection: int, frame: bytes) -> None:
        """A frame, without its length, leaves the client for its broker."""
        at_ms = self._network.arrival_ms(("up", connection), self._brokers.now_ms)
        self._queue.push(at_ms, Kind.FRAME, connection, frame)

    def receive_raw(self, connection: int, data: bytes) -> None:
        """Bytes leave the client that need not be frames, their lengths included."""
        at_ms = self._network.arrival_ms(("up", connection), self._brokers.now_ms)
        self._queue.push(at_ms, Kind.BYTES, connection, data)

    def submit(self, broker: int, request: Request) -> Submission:
        """Puts a request to a broker without frames, over a link of its own."""
        submission = Submission(broker, request)
        at_ms = self._network.arrival_ms(("submit", broker), self._brokers.now_ms)
        self._queue.push(at_ms, Kind.REQUEST, broker, submission)
        return submission

    # ---- the broker's side -----------------------------------------------------------------

    def on_event(self, kind: int, a: int, b: object) -> None:
        """An event of one of the clients' kinds happens."""
        if kind == Kind.REQUEST:
            assert isinstance(b, Submission)
            self._ask(a, b)
        elif kind == Kind.FRAME:
            assert isinstance(b, bytes)
            self._arrive(a, b)
        elif kind == Kind.BYTES:
            assert isinstance(b, bytes)
            self._arrive_raw(a, b)
        else:
            self._deliver(a, b if isinstance(b, bytes) else None)

    def reply(self, ticket: int, response: Response) -> None:
        """A broker answers. Nobody may wait for it any more."""
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

    def lose_broker(self, broker: int) -> None:
        """The process of a broker has ended, and with it everything that it had open."""
        for number, connection in tuple(self._connections.items()):
            if connection.broker == broker:
                self._hang_up(number)
        for ticket, asker in tuple(self._tickets.items()):
            if isinstance(asker, Submission) and asker.broker == broker:
                asker.is_lost = True
                del self._tickets[ticket]

    def _ticket(self, asker: "int | Submission") -> int:
        self._issued += 1
        self._tickets[self._issued] = asker
        return self._issued

    def _ask(self, broker: int, submission: Submission) -> None:
        if self._brokers.lets_in(broker):
            ticket = self._ticket(submission)
            self._brokers.give(broker, FromClient(ticket, submission.request))
        else:
            submission.is_lost = True

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
            if not self._brokers.lets_in(connection.broker):
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
                self._brokers.give(connection.broker, FromClient(ticket, todo.request))
            else:
                self._send_frame(number, todo)
        connection.is_pumped = False

    def _send_frame(self, number: int, frame: bytes) -> None:
        at_ms = self._network.arrival_ms(("down", number), self._brokers.now_ms)
        self._queue.push(at_ms, Kind.ANSWER, number, frame)

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
        for connection in self._rules.closed_by_garbage(number, others):
            self._hang_up(connection)

    def _hang_up(self, number: int) -> None:
        """The broker closes a connection; what it has sent arrives before."""
        connection = self._connections.get(number)
        if connection and not connection.is_closing:
            connection.is_closing = True
            self._abandon(connection)
            at_ms = self._network.arrival_ms(("down", number), self._brokers.now_ms)
            self._queue.push(at_ms, Kind.CLOSE, number)

    def _abandon(self, gone: _Connection) -> None:
        tickets, gone.tickets = gone.tickets, {}
        for ticket in tickets:
            del self._tickets[ticket]
            self._brokers.give(gone.broker, ClientGone(ticket))
