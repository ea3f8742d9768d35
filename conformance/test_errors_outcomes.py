"""What an error lets a client assume: after a definite one nothing has happened (ERR-07)."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.connection import Connection, Pending
from conformance.outcomes import Outcome, Unsupported
from conformance.partition import Appended, Partition
from conformance.records import CONTROL, Batch, batch_of
from conformance.targets.target import Capability
from conformance.world import World, worlds

GOOD = "good"
FAULTY = ("corrupt", "miscounted", "control", "old magic", "gap", "fenced")
INDEFINITE = ("to a follower", "unacknowledged", "corrupt and unacknowledged")
SHRINKS_AFTER_MS, SHRINKS_WITHIN_MS = 30_000, 60_000
"""The first is the default of replica.lag.time.max.ms, and only saves questions."""
GAP = 1_000

steps = st.lists(
    st.tuples(
        st.sampled_from((GOOD, *FAULTY, *INDEFINITE)), st.integers(0, 2), st.sampled_from((1, -1))
    ),
    max_size=14,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A batch of one record whose value nobody else writes."""

    value: bytes
    pending: Pending[Appended]

    @property
    def outcome(self) -> Outcome:
        return Outcome.INFO if self.pending.loss else self.pending.value.outcome


def batch(kind: str, value: bytes, producer_id: int) -> Batch | bytes:
    """A batch of this value with the fault that the kind names."""
    good = batch_of(value)
    faulty = {
        "miscounted": replace(good, count=2),
        "control": replace(good, flags=CONTROL),
        "old magic": replace(good, magic=1),
        "gap": replace(good, producer_id=producer_id, producer_epoch=1, base_sequence=GAP),
        "fenced": replace(good, producer_id=producer_id, producer_epoch=0, base_sequence=0),
    }
    if "corrupt" in kind:
        return good.encode()[:-1] + b"\x7f"
    return faulty.get(kind, good)


def judged(partition: Partition, attempts: list[Attempt]) -> list[str]:
    """What the log shows against the outcomes: definite failures that left a record, successes
    that left none or several, and unknown outcomes that left several."""
    partition.append(b"the end")  # with acks=all: what was only acks=1 can be read from now on
    offsets: dict[bytes | None, list[int]] = {}
    for record in partition.read():
        offsets.setdefault(record.value, []).append(record.offset)
    wrong = []
    for attempt in attempts:
        found = offsets.get(attempt.value, [])
        told = "lost" if attempt.pending.loss else attempt.pending.value.error.name
        right = {
            Outcome.OK: not attempt.pending.loss and found == [attempt.pending.value.base_offset],
            Outcome.FAIL: not found,
            Outcome.INFO: len(found) <= 1,
        }[attempt.outcome]
        if not right:
            wrong.append(f"{attempt.value.decode()} was answered {told}, and is at {found}")
    return wrong


@pytest.mark.clause("ERR-07")
@given(world=worlds(), steps=steps, certain=st.sampled_from(FAULTY))
def test_a_definite_error_leaves_no_trace(
    bench: Bench, world: World, steps: list[tuple[str, int, int]], certain: str
) -> None:
    """Of writes that are mixed and concurrent the log has what succeeded and not what failed."""
    with bench.partition(world=world) as partition:
        connections = [partition.connect() for _ in range(3)]
        producer_id = fenced_producer(partition)
        attempts = []
        for number, (kind, over, acks) in enumerate([*steps, (certain, 0, -1)]):
            value = f"{kind} {number}".encode()
            connection = elsewhere(partition) if kind == "to a follower" else connections[over]
            sent = batch(kind, value, producer_id)
            asked = partition.produce(
                sent, over=connection, acks=0 if "unacknowledged" in kind else acks
            )
            attempts.append(Attempt(value=value, pending=asked))
        partition.target.settle(*(attempt.pending for attempt in attempts))
        wrong = judged(partition, attempts)
        failed = sum(attempt.outcome is Outcome.FAIL for attempt in attempts)
        bench.premise("a write failed definitely", failed)
        assert wrong == [], "a definite error means no effect, and a success one"


def fenced_producer(partition: Partition) -> int:
    """A producer id that the partition knows with epoch 1, so that epoch 0 is fenced."""
    producer_id = partition.client.init_producer_id()
    partition.append(b"epoch 1", producer_id=producer_id, producer_epoch=1, base_sequence=0)
    return producer_id


def elsewhere(partition: Partition) -> Connection:
    if not partition.followers:
        return partition.leader
    return partition.client.broker(partition.followers[0])


@pytest.mark.clause("ERR-07")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_not_enough_replicas_leaves_no_trace(bench: Bench) -> None:
    """What NOT_ENOUGH_REPLICAS refused is not there when the replicas are back."""
    with bench.partition(configs={"min.insync.replicas": "2"}) as partition:
        client, target = partition.client, partition.target
        leader, name = partition.view.leader, partition.topic.name
        if len(partition.followers) < 2:
            raise Unsupported("the topic has fewer than three replicas")
        with target.nemesis.cut(leader, *partition.followers):
            # Who has all there is counts as in sync for ever, so there must be something to lack.
            partition.produce(batch_of(b"ahead"), acks=1).result()
            target.sleep(SHRINKS_AFTER_MS)
            target.eventually(
                lambda: client.view(name, leader).partitions[partition.number].isr,
                lambda isr: len(isr) == 1,
                within_ms=SHRINKS_WITHIN_MS,
            )
            values = [b"refused %d" % number for number in range(3)]
            attempts = [
                Attempt(value=value, pending=partition.produce(batch_of(value), timeout_ms=1_000))
                for value in values
            ]
            target.settle(*(attempt.pending for attempt in attempts))
        partition.topic.refresh()
        again = partition.topic[partition.number]
        refused = [
            attempt
            for attempt in attempts
            if attempt.pending.answered
            and attempt.pending.value.error is ErrorCode.not_enough_replicas
        ]
        bench.premise("too few replicas were in sync", len(refused))
        assert judged(again, attempts) == [], "a definite error means no effect"
