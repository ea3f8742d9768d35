"""The partition log: its offsets are dense, and where it is compacted its records have keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, Outcome
from conformance.partition import Appended, Partition
from conformance.records import CONTROL, TRANSACTIONAL, Batch, Codec, NewRecord, batch_of
from conformance.workload.produce import log_end
from conformance.world import World, worlds

# ---- LOG-01: offsets are dense -------------------------------------------------------------------

WRITERS = 2
PARTITIONS = 2


class Kind(StrEnum):
    """What a writer sends: a batch without numbers, the next of an idempotent producer, the last
    one of that producer again, or one that leaves a gap in its sequence and must be refused."""

    PLAIN = "plain"
    NUMBERED = "numbered"
    AGAIN = "again"
    GAP = "gap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    writer: int
    partition: int
    kind: Kind
    size: int
    codec: Codec
    acks: int


steps = st.builds(
    Step,
    writer=st.integers(0, WRITERS - 1),
    partition=st.integers(0, PARTITIONS - 1),
    kind=st.sampled_from(Kind),
    size=st.integers(1, 4),
    codec=st.sampled_from(Codec),
    acks=st.sampled_from([-1, 1]),
)


@dataclass(slots=True)
class Writer:
    """An idempotent producer on one partition, with a connection of its own."""

    connection: Connection
    producer_id: int
    next_sequence: int = 0
    last: Batch | None = None
    sent: list[tuple[Batch, Pending[Appended]]] = field(default_factory=list)

    def send(self, partition: Partition, step: Step, label: str) -> None:
        batch = self._batch(step, [b"%b/%d" % (label.encode(), n) for n in range(step.size)])
        pending = partition.produce(batch, acks=step.acks, over=self.connection)
        self.sent.append((batch, pending))

    def _batch(self, step: Step, values: list[bytes]) -> Batch:
        if step.kind is Kind.AGAIN and self.last:
            return self.last
        if step.kind is Kind.PLAIN or (step.kind is Kind.GAP and self.last is None):
            return batch_of(*values, codec=step.codec)
        gap = 7 if step.kind is Kind.GAP else 0
        batch = batch_of(
            *values,
            codec=step.codec,
            producer_id=self.producer_id,
            producer_epoch=0,
            base_sequence=self.next_sequence + gap,
        )
        if not gap:
            self.last, self.next_sequence = batch, self.next_sequence + step.size
        return batch


def spans(sent: list[tuple[Batch, Pending[Appended]]]) -> dict[int, list[bytes | None]]:
    """Base offset -> values, of what was acknowledged. A duplicate is answered with the offset of
    the first, so that both stand for one entry."""
    found: dict[int, list[bytes | None]] = {}
    for batch, pending in sent:
        answer = pending.value
        if answer.outcome is Outcome.INFO:
            raise Inconclusive(f"a write ended in {answer.error.name}")
        if answer.outcome is Outcome.OK:
            values = [record.value for record in batch.records]
            known = found.setdefault(answer.base_offset, values)
            assert known == values, f"offset {answer.base_offset} is given to one batch only"
    return found


@pytest.mark.clause("LOG-01")
@given(world=worlds(), plan=st.lists(steps, min_size=2, max_size=14))
def test_offsets_are_dense_whoever_appends(bench: Bench, world: World, plan: list[Step]) -> None:
    """Writers side by side, repeating batches and being refused, leave neither gap nor overlap."""
    with bench.topic(world=world, partitions=PARTITIONS) as topic:
        ids = [topic.client.init_producer_id() for _ in range(WRITERS)]
        writers = {
            (number, at): Writer(topic[at].connect(), producer_id)
            for number, producer_id in enumerate(ids)
            for at in range(PARTITIONS)
        }
        for label, step in enumerate(plan):
            writers[step.writer, step.partition].send(topic[step.partition], step, str(label))
        topic.target.settle(*(p for writer in writers.values() for _, p in writer.sent))
        for at in range(PARTITIONS):
            sent = [pair for n in range(WRITERS) for pair in writers[n, at].sent]
            check_dense(bench, topic[at], sent)


def check_dense(
    bench: Bench, partition: Partition, sent: list[tuple[Batch, Pending[Appended]]]
) -> None:
    """The acknowledged batches fill the log from 0 to its end, each where it was said to be."""
    end, expected = 0, list[bytes | None]()
    for base_offset, values in sorted(spans(sent).items()):
        assert base_offset == end, "each batch begins where the one before it ends"
        end += len(values)
        expected += values
    assert log_end(partition) == end, "what was refused or repeated takes no offset"
    bench.premise("a batch was acknowledged", len(spans(sent)))
    bench.premise("a batch was refused or repeated", len(sent) - len(spans(sent)))
    found = partition.read(0)
    assert [record.offset for record in found] == list(range(end + 1)), "offsets count records"
    assert [record.value for record in found[:-1]] == expected, "record i has base offset plus i"


Refusal = Callable[[int], Batch | bytes]
REFUSALS: Mapping[str, Refusal] = {
    "a wrong checksum": lambda _: batch_of(b"refused", crc=1),
    "an old magic": lambda _: batch_of(b"refused", magic=1),
    "an unknown codec": lambda _: batch_of(b"refused", flags=5),
    "a control batch": lambda _: batch_of(b"refused", flags=CONTROL),
    "more records announced": lambda _: batch_of(b"refused", count=2, last_offset_delta=1),
    "fewer records announced": lambda _: batch_of(b"re", b"fused", count=1, last_offset_delta=0),
    "an offset delta too far": lambda _: batch_of(b"refused", last_offset_delta=5),
    "too large": lambda _: batch_of(b"refused" * 1_000),
    "a cut batch": lambda _: batch_of(b"refused").encode()[:-1],
    "a batch without records": lambda _: Batch(records=()),
    "a gap in the sequence": lambda pid: numbered(pid, epoch=1, sequence=9),
    "an old producer epoch": lambda pid: numbered(pid, epoch=0, sequence=1),
    "an open transaction that is none": lambda pid: numbered(pid, epoch=1, flags=TRANSACTIONAL),
}


def numbered(producer_id: int, *, epoch: int, sequence: int = 1, flags: int = 0) -> Batch:
    return batch_of(
        b"refused",
        producer_id=producer_id,
        producer_epoch=epoch,
        base_sequence=sequence,
        flags=flags,
    )


@pytest.mark.clause("LOG-01")
@pytest.mark.parametrize("acks", [-1, 1])
def test_a_refused_batch_takes_no_offset(bench: Bench, acks: int) -> None:
    """After every kind of refusal the next batch begins where the last accepted one ended."""
    with bench.partition(configs={"max.message.bytes": "2000"}) as partition:
        producer_id = partition.client.init_producer_id()
        end = 1 + partition.append_batch(numbered(producer_id, epoch=1, sequence=0)).base_offset
        sent = {
            why: (
                partition.produce(refusal(producer_id), acks=acks),
                partition.produce(batch_of(b"kept"), acks=acks),
            )
            for why, refusal in REFUSALS.items()
        }
        partition.target.settle(*(pending for pair in sent.values() for pending in pair))
        for why, (wrong, right) in sent.items():
            answer = right.value
            if answer.outcome is Outcome.INFO:
                raise Inconclusive(f"a write ended in {answer.error.name}")
            assert answer.error is ErrorCode.none, "a right batch is accepted"
            if wrong.value.outcome is Outcome.FAIL:
                bench.premise(f"refused: {why}")
                assert answer.base_offset == end, f"{why}: what is refused takes no offset"
            end = answer.base_offset + 1


@pytest.mark.clause("LOG-01")
def test_offsets_are_dense_without_an_acknowledgement(bench: Bench) -> None:
    """Batches that nobody waits for (acks=0) take their place between those of others."""
    with bench.partition() as partition:
        silent, waiting = partition.connect(), partition.connect()
        answers = []
        for n in range(8):
            partition.produce(batch_of(b"0/%d" % n, b"0"), acks=0, over=silent)
            answers.append(partition.produce(batch_of(b"1/%d" % n), acks=1, over=waiting))
        last = partition.produce(batch_of(b"last"), over=silent)
        partition.target.settle(last, *answers)
        taken = {a.value.base_offset: b"1/%d" % n for n, a in enumerate(answers)}
        found = partition.read(0, max(last.value.base_offset, *taken) + 1)
        bench.premise("acks=0 among others", sum(r.value == b"0" for r in found))
        assert [r.offset for r in found] == list(range(len(found))), "offsets count records"
        assert len(taken) == len(answers), "each offset is given once"
        values = {r.offset: r.value for r in found}
        assert {at: values.get(at) for at in taken} == taken, "what was acknowledged stands there"


# ---- LOG-08: a compacted log has keys ------------------------------------------------------------

WITHOUT_KEY = frozenset({ErrorCode.invalid_record, ErrorCode.corrupt_message})
KEYED = NewRecord(key=b"k", value=b"v")
TOMBSTONE = NewRecord(key=b"k", value=None)
EMPTY_KEY = NewRecord(key=b"", value=b"v")
KEYLESS = NewRecord(value=b"v")


@pytest.mark.clause("LOG-08")
@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_a_compacted_topic_refuses_records_without_a_key(bench: Bench, policy: str) -> None:
    """One record without a key has its whole batch refused; keys may be empty, values missing."""
    with bench.client() as client:
        client.controller().version("create_topics")
        configs = {"cleanup.policy": policy}
        with bench.topic(client=client, configs=configs) as topic:
            partition = topic[0]
            refused = [
                partition.produce(Batch(records=records, codec=codec), version=version)
                for version in produce_versions(partition)
                for codec in (Codec.NONE, Codec.LZ4)
                for records in ([KEYLESS], [KEYED, KEYLESS], [KEYLESS, TOMBSTONE])
            ]
            kept = [KEYED, TOMBSTONE, EMPTY_KEY]
            accepted = [
                partition.produce(Batch(records=kept, codec=codec), version=version)
                for version in produce_versions(partition)
                for codec in (Codec.NONE, Codec.LZ4)
            ]
            partition.target.settle(*refused, *accepted)
            bench.premise("a record without a key came to a compacted topic", len(refused))
            errors = {pending.value.error for pending in refused}
            assert errors <= WITHOUT_KEY, "a record without a key is refused"
            assert {p.value.error for p in accepted} == {ErrorCode.none}, "keyed ones are accepted"
            ends = [pending.value.base_offset for pending in accepted]
            assert ends == list(range(0, 3 * len(ends), 3)), "nothing of the refused is appended"


@pytest.mark.clause("LOG-08")
def test_a_refused_record_without_a_key_leaves_its_sequence_free(bench: Bench) -> None:
    """A producer that repeats the refused batch with keys goes on under the same sequence."""
    with bench.client() as client:
        client.controller().version("create_topics")
        configs = {"cleanup.policy": "compact"}
        with bench.topic(client=client, configs=configs) as topic:
            partition, producer_id = topic[0], client.init_producer_id()
            first = Batch(
                records=[KEYED, KEYLESS],
                producer_id=producer_id,
                producer_epoch=0,
                base_sequence=0,
            )
            wrong = partition.produce(first)
            right = partition.produce(replace(first, records=[KEYED, TOMBSTONE]))
            partition.target.settle(wrong, right)
            bench.premise("a record without a key came to a compacted topic")
            assert wrong.value.error in WITHOUT_KEY, "a record without a key is refused"
            assert right.value.error is ErrorCode.none, "its sequence is still free"
            assert right.value.base_offset == 0, "nothing of the refused is appended"


def produce_versions(partition: Partition) -> tuple[int, ...]:
    """All versions of Produce for record batches that both sides know."""
    newest = partition.leader.version("produce", at_least=3)
    low = partition.leader.versions[0][0]
    return tuple(range(max(3, low), newest + 1))
