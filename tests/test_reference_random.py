"""Random operations and faults on whole clusters: what must hold at every moment does."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.errors import Error
from reference.mutants import MUTANTS
from reference.requests import (
    AlterPartitionReassignments,
    CreatePartitions,
    CreateTopics,
    DeleteRecords,
    DeleteRecordsPart,
    DeleteTopics,
    ElectLeaders,
    MorePartitions,
    NewTopic,
    Partition,
    Produced,
    Reassignment,
    Request,
)
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Submission
from tests.core_cluster import (
    BROKERS,
    Watch,
    batch,
    cluster,
    create,
    fetch_request,
    produce_request,
    settle,
)

TOPICS = ("first", "second")
ACKS = (-1, -1, -1, 1, 0)


class Hand:
    """Does random things to a cluster, and remembers what it was promised."""

    def __init__(self, seed: int, rules: Rules | None = None) -> None:
        self.chance = random.Random(seed)
        configs = {"replica.lag.time.max.ms": str(self.chance.choice([1_000, 4_000]))}
        self.cluster = cluster(seed=seed, configs=configs, rules=rules)
        self.watch = Watch(self.cluster)
        self.sent: list[tuple[str, bytes, Submission]] = []
        self.sequences: dict[tuple[str, int], int] = {}
        self.recreated: set[str] = set()
        self.deleted_before: dict[str, int] = {}

    def act(self) -> None:
        actions = (
            *[self.produce] * 12,
            *[self.fetch] * 6,
            *[self.cut] * 2,
            *[self.heal] * 2,
            self.pause,
            self.resume,
            self.elect,
            self.reassign,
            self.delete_records,
            self.others,
        )
        self.chance.choice(actions)()

    def broker(self) -> int:
        return self.chance.choice(BROKERS)

    def topic(self) -> str:
        return self.chance.choice(TOPICS)

    def submit(self, broker: int, request: Request) -> Submission:
        return self.cluster.submit(broker, request)

    def produce(self) -> None:
        """One record of an idempotent producer, the next or a retry, or of any other."""
        name, producer, acks = self.topic(), self.chance.randint(-1, 1), self.chance.choice(ACKS)
        header: dict[str, int] = {}
        value = b"%d" % len(self.sent)
        if producer >= 0:
            sequence = self.sequences.get((name, producer), -1) + self.chance.choice([1, 1, 1, 0])
            sequence = max(0, sequence)
            self.sequences[name, producer] = sequence
            value = b"%d of %d" % (sequence, producer)
            header = {"producer_id": producer, "producer_epoch": 0, "base_sequence": sequence}
        request = produce_request(name, batch(value, **header), acks)
        self.sent.append((name, value, self.submit(self.leader(name), request)))

    def leader(self, name: str) -> int:
        """Usually the leader; a client may also be wrong."""
        topic = self.cluster.image.topic(name)
        known = topic and self.chance.random() < 0.8
        return topic.partitions[0].leader if topic and known else self.broker()

    def fetch(self) -> None:
        request = fetch_request(self.topic(), self.chance.randint(0, 9), max_wait_ms=300)
        self.submit(self.broker(), request)

    def cut(self) -> None:
        one_way = self.chance.random() < 0.3
        first, second = self.chance.sample(BROKERS, 2)
        self.cluster.cut(first, second, one_way=one_way)

    def heal(self) -> None:
        self.cluster.network.heal_all()

    def pause(self) -> None:
        self.cluster.pause(self.broker())

    def resume(self) -> None:
        for broker in BROKERS:
            self.cluster.resume(broker)

    def elect(self) -> None:
        self.submit(self.broker(), ElectLeaders(election=0, partitions=None, timeout_ms=500))

    def reassign(self) -> None:
        count = self.chance.randint(1, 3)
        target = tuple(self.chance.sample(BROKERS, count))
        wanted = Reassignment(
            partition=Partition(self.topic(), 0),
            replicas=None if self.chance.random() < 0.2 else target,
        )
        request = AlterPartitionReassignments(reassignments=(wanted,), timeout_ms=500)
        self.submit(self.broker(), request)

    def delete_records(self) -> None:
        part = DeleteRecordsPart(
            topic=self.topic(), number=0, before_offset=self.chance.randint(-1, 6)
        )
        self.submit(self.broker(), DeleteRecords(timeout_ms=500, parts=(part,)))

    def others(self) -> None:
        name = self.topic()
        request: Request = CreatePartitions(
            topics=(MorePartitions(topic=name, count=self.chance.randint(0, 3)),),
            timeout_ms=500,
            validate_only=self.chance.random() < 0.5,
        )
        if self.chance.random() < 0.3:
            self.recreated.add(name)
            request = DeleteTopics(topics=(name,), timeout_ms=500)
            self.submit(self.broker(), request)
            again = NewTopic(name=name, partitions=1, replication_factor=2)
            request = CreateTopics(topics=(again,), timeout_ms=500, validate_only=False)
        self.submit(self.broker(), request)

    def quiet(self) -> None:
        """Heals everything and waits until the cluster has recovered."""
        self.heal()
        self.resume()
        self.cluster.network.loss = 0.0
        settle(self.cluster, 40_000)

    def check_promises(self) -> None:
        """A batch acknowledged by the whole ISR is readable where the answer said, and a retry of
        it was answered with the same place."""
        places: dict[tuple[str, bytes], int] = {}
        for name, value, submission in self.sent:
            response = submission.response
            acks_all = getattr(submission.request, "acks", 0) == -1
            if name in self.recreated or not acks_all or not isinstance(response, Produced):
                continue
            (part,) = response.parts
            if part.error is Error.NONE:
                self.check_readable(name, value, part.base_offset)
                place = places.setdefault((name, value), part.base_offset)
                assert place == part.base_offset, f"{value!r} is at {place} and again"

    def check_readable(self, name: str, value: bytes, offset: int) -> None:
        topic = self.cluster.image.topic(name)
        assert topic is not None
        state = topic.partitions[0]
        log = self.cluster.brokers[state.leader].replicas[state.id].log
        if offset >= log.first_offset:
            found = {h.base_offset: b for h, b in zip(log.headers, log.batches, strict=True)}
            assert value in found.get(offset, b""), f"{value!r} is not at {offset}"


def storm(seed: int, steps: int, rules: Rules | None = None) -> Cluster:
    """Random operations, looked at after each; returns the cluster after it has come to rest."""
    hand = Hand(seed, rules)
    for name in TOPICS:
        create(hand.cluster, name)
    hand.cluster.network.loss = hand.chance.choice([0.0, 0.0, 0.05])
    for _ in range(steps):
        hand.act()
        settle(hand.cluster, hand.chance.choice([1, 5, 50, 700, 1, 5, 50, 700, 12_000]))
        hand.watch.look()
    hand.quiet()
    hand.watch.look_when_quiet()
    hand.check_promises()
    unanswered = [each for _, _, each in hand.sent if not each.is_done]
    assert not unanswered, unanswered[0]
    return hand.cluster


def storms(seeds: Iterable[int], rules: type[Rules]) -> None:
    for seed in seeds:
        storm(seed, 60, rules())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.integers(1, 60))
def test_a_cluster_keeps_its_word_under_random_faults(seed: int, steps: int) -> None:
    storm(seed, steps)


def test_equal_seeds_give_equal_runs() -> None:
    assert storm(7, 40).digest == storm(7, 40).digest
    assert storm(7, 40).digest != storm(8, 40).digest


def test_after_a_storm_nothing_is_left_behind() -> None:
    rested = storm(11, 60)
    for broker in rested.brokers.values():
        assert not broker.purgatory.waiting
        assert not broker.purgatory.by_partition
    timers = 3 + max(len(broker.replicas) for broker in rested.brokers.values())
    assert len(rested.queue) < 3 * (timers + 6)


class CommittedIsrOnly(Rules):
    def maximal_isr(self, committed: Iterable[int], proposed: Iterable[int]) -> frozenset[int]:
        return frozenset(proposed) or frozenset(committed)


class AnyPreferredLeader(Rules):
    def may_be_preferred_leader(self, replica: int, isr: object) -> bool:
        return True


class AnyoneJoins(Rules):
    def may_join_isr(self, end_offset: int, high_watermark: int, epoch_start: int) -> bool:
        return True


@pytest.mark.parametrize(
    "rules",
    [
        CommittedIsrOnly,
        AnyPreferredLeader,
        AnyoneJoins,
        MUTANTS["ack-before-replication"].rules,
    ],
)
def test_the_storm_finds_wrong_rules(rules: type[Rules]) -> None:
    with pytest.raises(AssertionError):
        storms(range(200), rules)
