"""The reference cluster in this process: waiting executes events, and no time really passes."""

from collections.abc import Callable
from typing import Any

from conformance.connection import Receiver
from conformance.nemesis.capability import Capability
from conformance.nemesis.nemesis import Nemesis
from conformance.outcomes import BrokerCrashed, Loss
from conformance.targets.target import Address
from conformance.wirelog import WireLog
from conformance.world import World
from reference.messages import ZOOKEEPER
from reference.rules import Rules
from reference.simulator.cluster import Cluster
from reference.simulator.network import Plane
from reference.wire.frames import FrameReader
from reference.wire.refusals import MalformedRequest

BROKERS = 3


class SimulatedLink:
    def __init__(self, cluster: Cluster, broker: int, receiver: Receiver) -> None:
        self.cluster = cluster
        self.receiver = receiver
        self.frames = FrameReader(cluster.rules.accepts_frame)
        self.number = cluster.connect(broker, self._deliver)

    def write(self, payload: bytes) -> None:
        self.write_raw(len(payload).to_bytes(4, "big") + payload)

    def write_raw(self, data: bytes) -> None:
        """A real broker's socket server splits the stream likewise."""
        self.frames.feed(data)
        try:
            for frame in self.frames.frames():
                self.cluster.receive(self.number, frame)
        except MalformedRequest:
            self.close()
            self._deliver(None)

    def close(self) -> None:
        self.cluster.disconnect(self.number)

    def _deliver(self, payload: bytes | None) -> None:
        if payload is None:
            self.receiver.connection_lost(Loss.CLOSED_BY_BROKER, "end of stream")
        else:
            self.receiver.frame_received(payload)


class ReferenceTransport:
    """A fresh simulated cluster: every event is a function of seed, world and what is sent."""

    def __init__(self, seed: int, rules: Rules, world: World, wire_log: WireLog) -> None:
        addresses = {b: Address(f"broker-{b}", 9092) for b in range(1, BROKERS + 1)}
        self.bootstrap = tuple(addresses.values())
        self.broker_at = {address: broker for broker, address in addresses.items()}
        self.cluster = Cluster(
            addresses,
            seed=seed * 65_537 + world.seed,
            rules=rules,
            latency_ms=world.latency_ms,
        )
        self.nemesis = Nemesis(SimulatedControls(self.cluster), wire_log, self.now_ms)

    def open(self, address: Address, receiver: Receiver) -> SimulatedLink:
        if address not in self.broker_at:
            raise BrokerCrashed(f"a broker named the address {address}, which does not exist")
        return SimulatedLink(self.cluster, self.broker_at[address], receiver)

    def pass_time(self, until: Callable[[], bool], within_ms: int) -> bool:
        held = self.cluster.run(lambda: bool(self.cluster.crashes) or until(), within_ms)
        for crash in self.cluster.crashes:
            raise BrokerCrashed(
                f"member {crash.member} at {crash.at_ms} ms: {crash.error!r}"
            ) from crash.error
        return held

    def now_ms(self) -> int:
        return self.cluster.now_ms

    def clock_ms(self) -> int:
        return self.cluster.clock_ms

    def describe(self) -> dict[str, Any]:
        cluster = self.cluster
        return {
            "trace": cluster.digest,
            "events": cluster.events,
            "virtual_ms": cluster.now_ms,
        }

    def close(self) -> None:
        """Nothing outlives the object."""


class SimulatedControls:
    """A hold on every process, link, disk and clock of a simulated cluster."""

    capabilities = frozenset(Capability)

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @property
    def brokers(self) -> tuple[int, ...]:
        return tuple(sorted(self.cluster.addresses))

    def is_running(self, broker: int) -> bool:
        return broker in self.cluster.members

    def kill(self, broker: int) -> None:
        self.cluster.crash(broker)

    def start(self, broker: int) -> None:
        self.cluster.restart(broker)

    def pause(self, broker: int) -> None:
        self.cluster.pause(broker)

    def resume(self, broker: int) -> None:
        self.cluster.resume(broker)

    def shut_down(self, broker: int) -> None:
        self.cluster.shut_down(broker)

    def lose_power(self, broker: int) -> None:
        self.cluster.crash(broker, power_loss=True)

    def cut(self, broker: int, other: int) -> None:
        self.cluster.cut(broker, other, plane=Plane.REPLICATION)

    def join(self, broker: int, other: int) -> None:
        self.cluster.heal(broker, other, plane=Plane.REPLICATION)

    def cut_controllers(self, broker: int) -> None:
        for other in self._others(broker):
            self.cluster.cut(broker, other, plane=Plane.METADATA)

    def join_controllers(self, broker: int) -> None:
        for other in self._others(broker):
            self.cluster.heal(broker, other, plane=Plane.METADATA)

    def isolate(self, broker: int) -> None:
        for other in self._others(broker):
            self.cluster.cut(broker, other)

    def rejoin(self, broker: int) -> None:
        for other in self._others(broker):
            self.cluster.heal(broker, other)

    def set_clock(self, broker: int, ahead_ms: int) -> None:
        self.cluster.skew(broker, ahead_ms)

    def _others(self, broker: int) -> list[int]:
        """Every other member, ZooKeeper included."""
        return [number for number in (ZOOKEEPER, *self.brokers) if number != broker]
