"""The reference cluster in this process: waiting executes events, and no time really passes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from conformance.connection import Receiver
from conformance.outcomes import BrokerCrashed, Loss
from conformance.targets.target import Address
from conformance.wirelog import WireLog
from conformance.world import World
from reference.rules import Rules
from reference.simulator.cluster import WALL_CLOCK_MS, Cluster
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
        self.nemesis = SimulatedNemesis(self.cluster, wire_log)

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
        return WALL_CLOCK_MS + self.cluster.now_ms

    def describe(self) -> dict[str, Any]:
        cluster = self.cluster
        return {
            "trace": cluster.digest,
            "events": cluster.events,
            "virtual_ms": cluster.now_ms,
        }

    def close(self) -> None:
        """Nothing outlives the object."""


class SimulatedNemesis:
    def __init__(self, cluster: Cluster, wire_log: WireLog) -> None:
        self.cluster, self.wire_log = cluster, wire_log

    @contextmanager
    def cut(self, broker: int, *others: int) -> Iterator[None]:
        names = ", ".join(map(str, others))
        self.wire_log.remark(self.cluster.now_ms, f"cut {broker} off from {names}")
        for other in others:
            self.cluster.network.cut(broker, other)
        try:
            yield
        finally:
            for other in others:
                self.cluster.network.heal(broker, other)
            self.wire_log.remark(self.cluster.now_ms, f"heal {broker} and {names}")
