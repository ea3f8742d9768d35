"""Clusters that keep their metadata in ZooKeeper, watched at every step, with or without faults."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reference.messages import ZOOKEEPER, Effect, Event, FromPeer
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.metadata.zookeeper.messages import Answered, Asked, Failure, Node
from reference.requests import CreateTopics, NewTopic, TopicsCreated
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Mode, Submission

Prepare = Callable[[Cluster], None]
TIMEOUT_MS = 1_500
CONFIGS = {
    "zookeeper.session.timeout.ms": str(TIMEOUT_MS),
    "replica.lag.time.max.ms": "2000",
}


@dataclass
class Watched:
    """A cluster, and everything wrong that was seen in it."""

    cluster: Cluster
    wrong: list[str] = field(default_factory=list)
    refused_writes: int = 0
    """Of controllers, for their epoch: how often a zombie was stopped."""
    reigns: dict[int, tuple[int, object]] = field(default_factory=dict)
    """Which life of which node had a controller epoch."""
    _states: dict[str, Node] = field(default_factory=dict)
    _obeyed: dict[tuple[int, object], int] = field(default_factory=dict)

    @property
    def ensemble(self) -> Ensemble:
        ensemble = self.cluster.members[ZOOKEEPER]
        assert isinstance(ensemble, Ensemble)
        return ensemble

    def note(self, number: int, event: Event | None, effects: list[Effect]) -> None:
        if number == ZOOKEEPER:
            self._note_request(event, effects)
            return
        node = self.cluster.nodes.get(number)
        if node is None:
            return
        life = (number, node.incarnation)
        obeyed = node.broker.metadata_epoch
        if obeyed < self._obeyed.get(life, -1):
            self.wrong.append(f"CTL-02: broker {number} obeys controller epoch {obeyed} again")
        self._obeyed[life] = obeyed
        if node.member.is_active and self.reigns.setdefault(node.member.epoch, life) != life:
            self.wrong.append(f"CTL-01: two controllers of epoch {node.member.epoch}")

    def _note_request(self, event: Event | None, effects: list[Effect]) -> None:
        epoch = controller_epoch(self.ensemble)
        if not isinstance(event, FromPeer) or not isinstance(event.message, Asked):
            return
        for effect in effects:
            answer = getattr(effect, "message", None)
            if isinstance(answer, Answered) and isinstance(answer.outcome, Failure):
                refused = event.message.operations[answer.outcome.index]
                self.refused_writes += refused.path == znodes.CONTROLLER_EPOCH
        for operation in event.message.operations:
            node = self.ensemble.tree.get(operation.path)
            if node is None or znodes.named_by(operation.path) is None:
                continue
            if node != self._states.get(operation.path):
                self._states[operation.path] = node
                by = znodes.controller_epoch_of(node.data)
                if by != epoch:
                    self.wrong.append(f"CTL-02: {by} has written {operation.path} in epoch {epoch}")

    def let_pass(self, ms: int) -> None:
        self.cluster.run(lambda: False, ms)

    def judge(self) -> None:
        """What must hold once everything has been well for long enough."""
        cluster = self.cluster
        self.wrong += [f"crashed: {crash!r}" for crash in cluster.crashes]
        active = [n for n, node in cluster.nodes.items() if node.member.is_active]
        if len(active) != 1:
            self.wrong.append(f"CTL-03: the controllers are {active}")
            return
        for number in cluster.addresses:
            if not cluster.lets_in(number):
                self.wrong.append(f"CTL-05: broker {number} has not come back")
                return
        image = cluster.image
        for number, broker in cluster.brokers.items():
            if _content(broker.image) != _content(image):
                self.wrong.append(f"CTL-04: broker {number} has other metadata")
        for partition, state in image.partitions():
            if state.leader < 0 or len(state.isr) < len(state.replicas):
                self.wrong.append(f"CTL-03: {partition} has {state.leader} and {state.isr}")
            self._judge_stored(znodes.state_path(partition.topic, partition.number))

    def _judge_stored(self, path: str) -> None:
        node = self.ensemble.tree.get(path)
        if node is None:
            self.wrong.append(f"CTL-04: {path} is not stored")
            return
        for broker in znodes.isr_of(node.data):
            registered = self.ensemble.tree.get(znodes.broker_path(broker))
            if registered and registered.stat.czxid > node.stat.mzxid:
                self.wrong.append(f"ISR-08: {broker} is in the ISR by a former life")


def _content(image: Any) -> tuple[object, ...]:
    return image.topics, image.configs, image.brokers, image.next_producer_id


def controller_epoch(ensemble: Ensemble) -> int:
    node = ensemble.tree.get(znodes.CONTROLLER_EPOCH)
    return int(node.data) if node else 0


def watched(
    seed: int = 0, rules: Rules | None = None, *, prepare: Prepare | None = None
) -> Watched:
    """A new cluster of three nodes; `prepare` is called with it."""
    addresses = {number: ("broker", number) for number in (1, 2, 3)}
    cluster = Cluster(
        addresses, seed=seed, mode=Mode.ZOOKEEPER, rules=rules, configs=CONFIGS, traced=False
    )
    found = Watched(cluster)
    cluster.observers.append(found.note)
    if prepare:
        prepare(cluster)
    return found


def submit_topic(cluster: Cluster, broker: int, name: str) -> Submission:
    topic = NewTopic(name=name, partitions=2, replication_factor=3)
    return cluster.submit(
        broker, CreateTopics(topics=(topic,), timeout_ms=5_000, validate_only=False)
    )


def run_with_faults(
    seed: int,
    rules: Rules | None = None,
    until_ms: int = 15_000,
    *,
    prepare: Prepare | None = None,
) -> Watched:
    """Crashes, pauses, cuts, loss, repetition, reordering; then peace, and judgement."""
    found = watched(seed, rules, prepare=prepare)
    cluster, chance = found.cluster, random.Random(f"{seed} faults")
    asked: dict[str, Submission] = {}
    while cluster.now_ms < until_ms:
        found.let_pass(chance.randint(50, 600))
        _do_something(cluster, chance, asked)
    network = cluster.network
    network.loss = network.duplicate = network.reorder = 0.0
    for number in cluster.addresses:
        cluster.heal(number, ZOOKEEPER)
        cluster.resume(number)
    found.let_pass(3 * TIMEOUT_MS)  # shutdowns that have begun come to their end
    for number in cluster.addresses:
        cluster.restart(number)
    found.let_pass(6 * TIMEOUT_MS)
    found.judge()
    for name, submission in asked.items():
        answer = submission.response
        created = isinstance(answer, TopicsCreated) and not answer.topics[0].error
        if created and cluster.controller and name not in cluster.image.ids:
            found.wrong.append(f"CTL-04: topic {name} was acknowledged and is gone")
    return found


def _do_something(cluster: Cluster, chance: random.Random, asked: dict[str, Submission]) -> None:
    number, what = chance.choice((1, 2, 3)), chance.random()
    if what < 0.10:
        cluster.crash(number, power_loss=chance.random() < 0.5)
    elif what < 0.35:
        cluster.restart(number)
    elif what < 0.45:
        cluster.pause(number)
    elif what < 0.60:
        cluster.resume(number)
    elif what < 0.65:
        cluster.cut(number, ZOOKEEPER)
    elif what < 0.80:
        cluster.heal(number, ZOOKEEPER)
    elif what < 0.85:
        cluster.network.loss = chance.choice((0.0, 0.1, 0.3))
        cluster.network.duplicate = chance.choice((0.0, 0.2))
        cluster.network.reorder = chance.choice((0.0, 0.2))
    elif what < 0.90:
        cluster.shut_down(number)
    elif cluster.lets_in(number):
        name = f"topic-{len(asked)}"
        asked[name] = submit_topic(cluster, number, name)
