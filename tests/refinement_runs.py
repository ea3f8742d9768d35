"""Runs of a cluster under chance faults, each step compared with the model of replication.

Beside the swarm's faults brokers are moved in and out of a partition, and messages come twice and
out of order, so that what is rare in a schedule happens in a few dozen short runs.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from conformance.refinement import ModelRefused, RefinementObserver, Refusal
from conformance.simulation.run import Outgrown
from reference.requests import (
    AlterPartitionReassignments,
    CreateTopics,
    ElectionType,
    ElectLeaders,
    NewTopic,
    Partition,
    Produce,
    ProducePart,
    Reassignment,
)
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Mode
from tests.core_cluster import batch

TOPIC = "orders"
CONFIGS = {
    "broker.session.timeout.ms": "1500",
    "replica.high.watermark.checkpoint.interval.ms": "500",
    "replica.lag.time.max.ms": "800",
}
RUN_MS = 6_000
FAULT_EVERY = 0.08
"""How likely a fault is after each pause of some 30 ms."""


def observed_cluster(
    mode: Mode = Mode.QUORUM, *, seed: int = 0, rules: Rules | None = None, brokers: int = 3
) -> tuple[Cluster, RefinementObserver]:
    """A cluster with one partition of three replicas, and who watches it."""
    addresses = {number: ("broker", number) for number in range(1, brokers + 1)}
    cluster = Cluster(addresses, seed=seed, rules=rules, configs=CONFIGS, mode=mode, traced=False)
    observer = RefinementObserver(cluster, invariants=True)
    cluster.observers.append(observer)
    topic = NewTopic(
        name=TOPIC,
        partitions=1,
        replication_factor=3,
        configs=(("min.insync.replicas", "2"),),
    )
    request = CreateTopics(topics=(topic,), timeout_ms=1_000, validate_only=False)
    created = cluster.submit(1, request)
    cluster.run(lambda: created.is_done, 10_000)
    cluster.run(lambda: False, 300)
    return cluster, observer


def write(cluster: Cluster, broker: int, *values: bytes, acks: int = -1) -> None:
    """Sends one batch, and waits for nothing."""
    part = ProducePart(topic=TOPIC, number=0, records=batch(*values))
    request = Produce(
        acks=acks, timeout_ms=500, transactional_id=None, parts=(part,), api_version=9
    )
    cluster.submit(broker, request)


class Chaos:
    """Clients that write to anybody, and faults, all of them by chance."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.chance = random.Random(seed)
        self.nodes: Sequence[int] = sorted(cluster.addresses)
        self.down: dict[int, int] = {}
        """When each node that was stopped comes back."""
        network, chance = cluster.network, self.chance
        network.loss = chance.choice((0, 0, 0.02))
        network.reorder = chance.choice((0, 0, 0.05))
        network.duplicate = chance.choice((0, 0, 0.02))

    def run(self, ms: int) -> None:
        cluster, chance = self.cluster, self.chance
        until_ms, written = cluster.now_ms + ms, 0
        while cluster.now_ms < until_ms:
            for _ in range(chance.randrange(1, 6)):
                written += 1
                values = [b"%d" % written] * chance.choice((1, 1, 2, 5))
                write(cluster, chance.choice(self.nodes), *values, acks=chance.choice((-1, 1)))
            cluster.run(lambda: False, chance.randrange(1, 60))
            assert not cluster.crashes, cluster.crashes[0]
            if chance.random() < FAULT_EVERY:
                self._fault()(chance.choice(self.nodes))
            for node, at_ms in tuple(self.down.items()):
                if cluster.now_ms >= at_ms:
                    cluster.restart(node)
                    del self.down[node]

    def _fault(self) -> Callable[[int], None]:
        kinds = (
            (0.15, partial(self._stop, power_loss=True)),
            (0.15, partial(self._stop, power_loss=False)),
            (0.20, self._cut),
            (0.15, self._pause),
            (0.04, self._elect),
            (0.06, self._reassign),
            (0.03, self._shut_down),
            (0.22, self._heal),
        )
        return self.chance.choices([kind for _, kind in kinds], [share for share, _ in kinds])[0]

    def _stop(self, node: int, *, power_loss: bool) -> None:
        if node not in self.down:
            self.cluster.crash(node, power_loss=power_loss)
            self.down[node] = self.cluster.now_ms + self.chance.randrange(50, 2_500)

    def _shut_down(self, node: int) -> None:
        self.cluster.shut_down(node)
        self.down[node] = self.cluster.now_ms + self.chance.randrange(500, 2_500)

    def _cut(self, node: int) -> None:
        other = self.chance.choice(self.nodes)
        if node != other:
            self.cluster.cut(node, other, one_way=self.chance.random() < 0.5)

    def _heal(self, node: int) -> None:
        self.cluster.network.heal_all()

    def _pause(self, node: int) -> None:
        self.cluster.pause(node)
        at_ms = self.cluster.now_ms + self.chance.randrange(10, 2_500)
        self.cluster.at(at_ms, partial(self.cluster.resume, node))

    def _elect(self, node: int) -> None:
        request = ElectLeaders(election=ElectionType.PREFERRED, partitions=None, timeout_ms=1_000)
        self.cluster.submit(node, request)

    def _reassign(self, node: int) -> None:
        moved = Reassignment(
            partition=Partition(TOPIC, 0), replicas=tuple(self.chance.sample(self.nodes, 3))
        )
        request = AlterPartitionReassignments(reassignments=(moved,), timeout_ms=1_000)
        self.cluster.submit(node, request)


def chaotic_run(
    seed: int, mode: Mode, rules: Rules | None = None
) -> tuple[Refusal | None, Counter[str]]:
    """What the model has refused in a run, if anything, and the actions that it took."""
    cluster, observer = observed_cluster(
        mode, seed=seed, rules=rules, brokers=4 if seed % 3 == 0 else 3
    )
    try:
        Chaos(cluster, seed).run(RUN_MS)
        observer.compare_whole()
    except ModelRefused as refused:
        return refused.refusal, observer.taken
    except Outgrown:
        return None, Counter()
    return None, observer.taken
