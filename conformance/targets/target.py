"""What a test sees of the cluster under test, and the little that an adapter must provide.

A test starts operations and waits for them. Time passes in one place, `Transport.pass_time`: an
adapter either executes the next simulated event or sleeps on its sockets. Nothing else differs
between a reference in virtual time and a cluster at the other end of a cable.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from conformance.connection import Connection, Link, Pending, Receiver
from conformance.nemesis.capability import Capability as Capability
from conformance.nemesis.nemesis import Nemesis as Nemesis
from conformance.outcomes import Inconclusive, NotRun
from conformance.targets.crew import Awaited, Crew, Until
from conformance.targets.crew import Worker as Worker
from conformance.wirelog import WireLog

ANSWER_WITHIN_MS = 15_000
ATTEMPT_EVERY_MS = 20

R = TypeVar("R")
S = TypeVar("S")


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Trait(StrEnum):
    """What a target is like, whatever the harness does."""

    VIRTUAL_TIME = "virtual time"
    FRESH_CLUSTER = "a cluster of its own for every test"


class Transport(Protocol):
    """All that a new kind of target has to write."""

    @property
    def bootstrap(self) -> tuple[Address, ...]: ...
    @property
    def nemesis(self) -> Nemesis | None:
        """None where the harness has no hold on the cluster."""

    def open(self, address: Address, receiver: Receiver) -> Link:
        """Starts to connect and returns at once; what is written waits until it is connected."""

    def pass_time(self, until: Callable[[], bool], within_ms: int) -> bool:
        """Lets things happen until the condition holds or the time is over; says which."""

    def now_ms(self) -> int:
        """Monotonic: only differences mean anything."""

    def clock_ms(self) -> int:
        """What a calendar clock beside the brokers would show, since 1970."""

    def describe(self) -> dict[str, Any]:
        """What evidence should keep of this run: a trace digest, a server's version."""

    def close(self) -> None: ...


@dataclass(eq=False)
class Target:
    """The cluster under test, as a test sees it."""

    name: str
    transport: Transport = field(repr=False)
    wire_log: WireLog = field(repr=False)
    _connections: int = 0
    _crew: Crew = field(default_factory=Crew, repr=False)
    """Clients that work beside the test."""

    @property
    def bootstrap(self) -> tuple[Address, ...]:
        return self.transport.bootstrap

    @property
    def nemesis(self) -> Nemesis:
        """Raises `NotRun` where the harness has no hold on the target."""
        if self.transport.nemesis is None:
            raise NotRun(f"{self.name} offers no control hooks")
        return self.transport.nemesis

    def connect(self, address: Address | None = None) -> Connection:
        """A new connection, by default to the first bootstrap broker."""
        address = address or self.bootstrap[0]
        self._connections += 1
        connection = Connection(self, self._connections, str(address))
        connection.link = self.transport.open(address, connection)
        return connection

    def wait(self, *pending: Pending[R], within_ms: int = ANSWER_WITHIN_MS) -> tuple[R, ...]:
        """The answers, in the order of the questions; inconclusive if one is missing."""
        self.settle(*pending, within_ms=within_ms)
        return tuple(p.value for p in pending)

    def settle(self, *pending: Pending[Any], within_ms: int = ANSWER_WITHIN_MS) -> bool:
        """Waits likewise, and leaves it to the test what a missing answer means."""
        return self.pass_time(lambda: all(p.settled for p in pending), within_ms)

    def run(self, *workers: Worker, within_ms: int) -> bool:
        """Runs workers side by side; each goes on as soon as what it yielded is settled.

        Returns whether all came to their end in time. They run inside `pass_time`, so the times
        of their operations are those at which the answers really came.
        """
        crew = Crew()
        for worker in workers:
            crew.start(worker)

        def all_done() -> bool:
            crew.advance()
            return crew.is_idle

        done = self.pass_time(all_done, within_ms)
        crew.dismiss()
        return done

    # ---- clients beside the test ----------------------------------------------------------------

    def start(self, worker: Worker) -> None:
        """Lets a client work beside the test: it goes on whenever the test waits for something."""
        self._crew.start(worker)

    def dismiss(self) -> None:
        """Ends all clients that were started, wherever they are."""
        self._crew.dismiss()

    def after(self, ms: int, sooner: Awaited | None = None) -> Until:
        """What a worker yields to go on after a time, or sooner if something is settled."""
        return Until(self.now_ms, self.now_ms() + ms, sooner)

    # ---- time -----------------------------------------------------------------------------------

    def pass_time(self, until: Callable[[], bool], within_ms: int) -> bool:
        """As `Transport.pass_time`, and lets the clients beside the test go on meanwhile."""
        if self._crew.is_idle:
            return self.transport.pass_time(until, within_ms)
        deadline = self.now_ms() + within_ms
        held = False

        def look() -> bool:
            nonlocal held
            self._crew.advance()
            held = until()
            return held or self._wakes_by(deadline) < limit

        while True:
            limit = self._wakes_by(deadline)
            self.transport.pass_time(look, limit - self.now_ms())
            if held or self.now_ms() >= deadline:
                return held

    def _wakes_by(self, deadline: int) -> int:
        """When a client beside the test has something to do, or the deadline."""
        alarm = self._crew.alarm_ms
        return deadline if alarm is None else min(deadline, max(alarm, self.now_ms()))

    def sleep(self, ms: int) -> None:
        """Lets time pass. Never sleep and then assert: use `eventually`."""
        self.pass_time(lambda: False, ms)

    def now_ms(self) -> int:
        return self.transport.now_ms()

    def clock_ms(self) -> int:
        return self.transport.clock_ms()

    def eventually(
        self, attempt: Callable[[], S], holds: Callable[[S], object], *, within_ms: int
    ) -> S:
        """Attempts until the result is as hoped; running out of time decides nothing."""
        deadline = self.now_ms() + within_ms
        while not holds(found := attempt()):
            if self.now_ms() >= deadline:
                raise Inconclusive(f"not seen within {within_ms} ms; last seen: {found}")
            self.sleep(ATTEMPT_EVERY_MS)
        return found

    def close(self) -> None:
        self.transport.close()
