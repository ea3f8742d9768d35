"""Nodes, clients and network around one queue of timed events.

The simulator takes the next event and calls its time "now"; the server waits until the machine's
clock has reached it. Everything else is the same code.
"""

import contextlib
import random
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from reference.broker import Broker
from reference.config_definitions import BROKER_CONFIGS
from reference.configs import InvalidConfig, checked
from reference.image import MetadataImage
from reference.messages import (
    ZOOKEEPER,
    Cancel,
    Effect,
    Event,
    FromPeer,
    Message,
    ReplicaFetch,
    ReplicaFetched,
    Reply,
    Send,
    Wake,
)
from reference.metadata.quorum.codec import Damaged
from reference.metadata.records import PartitionId, PartitionState
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.node import Node
from reference.requests import Request
from reference.rules import Rules
from reference.simulator.assembly import Assembly, Mode
from reference.simulator.clients import Clients, Submission
from reference.simulator.decided import Decided
from reference.simulator.digest import Digest
from reference.simulator.events import EventQueue, Kind, QueuedEvent
from reference.simulator.network import Network, Plane
from reference.storage.disk import Disk, DiskError
from reference.storage.simulated import SimulatedDisk
from reference.wire.adapter import Addresses

__all__ = ["BrokerCrashed", "Cluster", "Mode", "Submission"]

LATENCY_MS = (1, 5)
WALL_CLOCK_MS = 1_767_225_600_000
"""2026-01-01 UTC: the date at which simulated time starts, since records carry dates."""
BOOT_MS = 3_000
"""How long a new cluster has been up before anybody looks at it."""
SHUT_DOWN_WITHIN_MS = 10_000
"""How long a node that is to stop waits for the controller to move leadership away."""
BOOT_LIMIT_MS = 60_000
"""Within which all its brokers must let clients in."""

REPLICATION = frozenset({ReplicaFetch, ReplicaFetched})
"""What brokers say to each other; all other messages are about metadata."""

Member = Node | Ensemble
Observer = Callable[[int, Event | None, list[Effect]], None]
"""Called with a member's number, what it has handled, and what came of it; no event stands for a
start, or for the beginning of a shutdown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerCrashed:
    """A member raised an exception: a fault of the reference, never of what it was asked."""

    member: int
    at_ms: int
    error: Exception


class Cluster:
    """The nodes at `addresses`; time stands still between two events."""

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
        mode: Mode = Mode.QUORUM,
        disks: MutableMapping[int, Disk] | None = None,
    ) -> None:
        """Starts all nodes, and lets time pass until their brokers let clients in.

        `configs` are what all brokers are started with; raises ValueError for a bad one.
        `wall_clock_ms` is the date when they do. Without `traced` there is no digest.
        `disks` are those to start from; by default each is new, and simulated.
        """
        if not addresses or min(addresses) <= ZOOKEEPER:
            raise ValueError("brokers must have positive ids")
        self.addresses = addresses
        self.rules = rules or Rules()
        self.mode = mode
        self.now_ms = 0
        self._wall_clock_ms = wall_clock_ms - BOOT_MS
        self.skew_ms: dict[int, int] = {}
        """By how much the clock of a node is ahead."""
        self.events = 0
        self.crashes: list[BrokerCrashed] = []
        self.on_event: Callable[[int, Kind, Any, Any, Any], None] | None = None
        """Called with time, kind and content of every event before it happens."""
        self.observers: list[Observer] = []
        """Called after each event that a member has handled."""
        self.network = Network(random.Random(f"{seed} network"), latency_ms, loss)
        self.queue = EventQueue()
        self._digest = Digest() if traced else None
        self.clients = Clients(self, addresses, self.rules, self.network, self.queue)
        self.connect = self.clients.connect
        self.disconnect = self.clients.disconnect
        self.waiting = self.clients.waiting
        self.receive = self.clients.receive
        self.receive_raw = self.clients.receive_raw
        self._paused: dict[int, list[Event]] = {}
        self.disks = disks if disks is not None else {}
        for number in addresses:
            if number not in self.disks:
                self.disks[number] = SimulatedDisk()
        self._assembly = Assembly(
            seed, tuple(sorted(addresses)), self.rules, _checked(configs, mode)
        )
        self.members: dict[int, Member] = {}
        self.nodes: dict[int, Node] = {}
        """The nodes whose process runs: all members but ZooKeeper."""
        self._stopping: dict[int, bool] = {}
        """Nodes that are to stop, and whether they are to start again then."""
        self._decided = Decided()
        if mode is Mode.ZOOKEEPER:
            self.members[ZOOKEEPER] = self._assembly.ensemble()
        for number in sorted(addresses):
            self.restart(number)
        self._boot()

    def _boot(self) -> None:
        def is_up() -> bool:
            return bool(self.crashes) or all(map(self.lets_in, self.addresses))

        self.run(lambda: False, BOOT_MS)
        if not self.run(is_up, BOOT_LIMIT_MS):
            raise RuntimeError(f"the brokers have not come up within {BOOT_LIMIT_MS} ms")

    # ---- time ----------------------------------------------------------------------------------

    @property
    def clock_ms(self) -> int:
        """The date now, as members see it whose clock is right."""
        return self._wall_clock_ms + self.now_ms

    @property
    def next_due_ms(self) -> int | None:
        """When the next event happens, or None."""
        return self.queue.next_due_ms

    def step(self) -> None:
        """Lets the next event happen, at its own time. Raises IndexError if there is none."""
        self._happen(self.queue.pop())

    def _happen(self, event: QueuedEvent) -> None:
        at_ms, _, kind, a, b, c = event
        if at_ms > self.now_ms:
            self.now_ms = at_ms
        self.events += 1
        if self._digest:
            self._note(at_ms, kind, a, b, c)
        if self.on_event:
            self.on_event(at_ms, Kind(kind), a, b, c)
        if kind == Kind.MESSAGE:
            if self.network.passes(c, a, replicates=type(b) in REPLICATION):
                self.give(a, FromPeer(c, b))
        elif kind == Kind.TIMER:
            self.give(a, b)
        elif kind == Kind.CALL:
            b()
        else:
            self.clients.on_event(kind, a, b)

    def _note(self, at_ms: int, kind: int, a: Any, b: Any, c: Any) -> None:
        assert self._digest is not None
        if kind in (Kind.MESSAGE, Kind.TIMER):
            self._digest.note(at_ms, kind, a, c, b)
        elif kind == Kind.REQUEST:
            self._digest.note(at_ms, kind, a, None, b.request)
        elif kind != Kind.CALL:
            self._digest.note_frame(at_ms, kind, a, b or b"")

    def run(self, until: Callable[[], bool], within_ms: int) -> bool:
        """Lets events happen until a condition holds; returns whether it does in time."""
        deadline = self.now_ms + within_ms
        while not until():
            event = self.queue.pop_due(deadline)
            if event is None:
                self.now_ms = deadline
                return until()
            self._happen(event)
        return True

    def at(self, at_ms: int, call: Callable[[], None]) -> None:
        """Has something done at a time: a fault, or what a client does next."""
        self.queue.push(at_ms, Kind.CALL, 0, call)

    @property
    def digest(self) -> str:
        """Names the whole run so far; empty where the cluster is not traced."""
        return self._digest.text if self._digest else ""

    def submit(self, broker: int, request: Request) -> Submission:
        """Puts a request to a broker without frames."""
        return self.clients.submit(broker, request)

    # ---- what there is ---------------------------------------------------------------------

    @property
    def brokers(self) -> dict[int, Broker]:
        """The brokers whose process runs."""
        return {number: node.broker for number, node in self.nodes.items()}

    @property
    def controller(self) -> int | None:
        """The node that is the controller, in the newest epoch if several believe to be it."""
        active = [(node.member.epoch, n) for n, node in self.nodes.items() if node.member.is_active]
        return max(active)[1] if active else None

    @property
    def image(self) -> MetadataImage:
        """The newest metadata that any running broker knows."""
        newest = max(self.brokers.values(), key=lambda b: (b.metadata_epoch, b.image.applied))
        return newest.image

    @property
    def committed(self) -> dict[PartitionId, list[PartitionState]]:
        """Everything that was ever decided on each partition, in order."""
        return self._decided.states

    def lets_in(self, broker: int) -> bool:
        """Whether a broker accepts connections."""
        node = self.members.get(broker)
        return isinstance(node, Node) and node.broker.serves

    # ---- faults ----------------------------------------------------------------------------

    def crash(self, number: int, *, power_loss: bool = False) -> None:
        """Ends the process of a node, with all that it had in memory.

        With a loss of power its disk also loses what was not synced, in whole or in part.
        """
        if power_loss:
            disk = self.disks[number]
            assert isinstance(disk, SimulatedDisk), "only a simulated disk can lose its power"
            disk.lose_power(self.network.chance.random)
        self._end(number)

    def _end(self, number: int) -> None:
        if self.members.pop(number, None) is None:
            return
        self.nodes.pop(number, None)
        self._paused.pop(number, None)
        self._stopping.pop(number, None)
        self.queue.forget(number)
        self.clients.lose_broker(number)

    def restart(self, number: int) -> None:
        """Starts a node from its disk. Nothing happens if it runs; one that is about to stop is
        started again when it has."""
        if number in self.members:
            if number in self._stopping:
                self._stopping[number] = True
            return
        try:
            node = self._assembly.node(self.mode, number, self.disks[number])
            self.members[number] = self.nodes[number] = node
            effects = node.start(self.clock_of(number))
        except (DiskError, Damaged):
            self._end(number)
        else:
            self._after(number, node, None, effects)

    def shut_down(self, number: int) -> None:
        """Asks a node to stop in good order: once the controller lets it go, or if that takes too
        long, with what it leads."""
        node = self.members.get(number)
        if not isinstance(node, Node) or number in self._paused or number in self._stopping:
            return
        self._stopping[number] = False
        self.at(self.now_ms + SHUT_DOWN_WITHIN_MS, lambda: self._stop_node(number, node))
        try:
            effects = node.shut_down(self.clock_of(number))
        except DiskError:
            self._end(number)
        else:
            self._after(number, node, None, effects)

    def _stop_node(self, number: int, node: Node) -> None:
        if self.members.get(number) is not node:
            return
        # Without the mark of a clean stop it is as if it had crashed.
        with contextlib.suppress(DiskError):
            node.close()
        starts_again = self._stopping.get(number, False)
        self._end(number)
        if starts_again:
            self.restart(number)

    def stop(self) -> None:
        """Ends all processes, their disks in good order: nothing is left that could lead away."""
        for number, node in tuple(self.nodes.items()):
            with contextlib.suppress(DiskError):
                node.close()
            self._end(number)

    def pause(self, number: int) -> None:
        """From now on whatever reaches the node waits; its process stands still."""
        if number in self.members:
            self._paused.setdefault(number, [])

    def resume(self, number: int) -> None:
        """The node finds all that has waited, in order."""
        for event in self._paused.pop(number, ()):
            self.give(number, event)

    def cut(
        self, sender: int, receiver: int, *, one_way: bool = False, plane: Plane = Plane.ALL
    ) -> None:
        """From now on nothing passes between two members, not even what is on its way."""
        self.network.cut(sender, receiver, one_way=one_way, plane=plane)

    def heal(
        self, sender: int, receiver: int, *, one_way: bool = False, plane: Plane = Plane.ALL
    ) -> None:
        """Passes again; what was lost stays lost."""
        self.network.heal(sender, receiver, one_way=one_way, plane=plane)

    def skew(self, number: int, ms: int) -> None:
        """Sets a node's clock ahead, or back."""
        self.skew_ms[number] = ms

    def clock_of(self, number: int) -> int:
        """The date that a node's own clock shows."""
        return self._wall_clock_ms + self.now_ms + self.skew_ms.get(number, 0)

    # ---- members -------------------------------------------------------------------------------

    def give(self, number: int, event: Event) -> None:
        """Hands an event to a member, if it runs."""
        if number in self._paused:
            self._paused[number].append(event)
            return
        member = self.members.get(number)
        if member is None:
            return
        try:
            clock_ms = self._wall_clock_ms + self.now_ms
            if self.skew_ms:
                clock_ms = self.clock_of(number)
            effects = member.handle(event, clock_ms)
        except DiskError:  # a broker that cannot write stops: it must not go on from memory
            self._end(number)
        except Exception as error:  # a fault of the reference must not pass for one of the target
            self.crashes.append(BrokerCrashed(member=number, at_ms=self.now_ms, error=error))
            self._end(number)
        else:
            self._after(number, member, event, effects)

    def _after(
        self, number: int, member: Member, event: Event | None, effects: list[Effect]
    ) -> None:
        if isinstance(member, Ensemble):
            self._decided.note_written(member)
        elif member.told and self.mode is Mode.QUORUM:
            self._decided.note_committed(member)
        for observer in self.observers:
            observer(number, event, effects)
        self._perform(number, effects)
        if number in self._stopping and isinstance(member, Node) and member.may_stop:
            self._stop_node(number, member)

    def _perform(self, number: int, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                self._send(number, effect.to, effect.message)
            elif type(effect) is Wake:
                skew_ms = self.skew_ms.get(number, 0)
                at_ms = effect.at_ms - self._wall_clock_ms - skew_ms
                self.queue.set_timer(at_ms, number, effect.timer)
            elif type(effect) is Cancel:
                self.queue.cancel_timer(number, effect.timer)
            elif type(effect) is Reply:
                self.clients.reply(effect.ticket, effect.response)

    def _send(self, sender: int, to: int, message: Message) -> None:
        replicates = type(message) in REPLICATION
        for at_ms in self.network.arrivals_ms(sender, to, self.now_ms, replicates=replicates):
            self.queue.push(at_ms, Kind.MESSAGE, to, message, sender)


def _checked(configs: Mapping[str, str] | None, mode: Mode) -> dict[str, str]:
    wanted = dict(configs or {})
    if mode is Mode.ZOOKEEPER:
        wanted["eligible.leader.replicas.enable"] = "false"
    try:
        return {n: checked(BROKER_CONFIGS, n, text) for n, text in wanted.items()}
    except InvalidConfig as error:
        raise ValueError(str(error)) from error
