"""The partition log: offsets are dense, only a prefix is ever deleted, compacted logs have keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, NotRun, Outcome, Unsupported
from conformance.partition import EARLIEST, Appended, Partition
from conformance.records import CONTROL, TRANSACTIONAL, Batch, Codec, NewRecord, batch_of
from conformance.targets.target import Capability
from conformance.workload.epoch_ends import settled_end
from conformance.workload.kept import KEPT
from conformance.workload.leaders import move_leader
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
    with bench.topic(world=world, partitions=PARTITIONS, configs=KEPT) as topic:
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
    with bench.partition(configs={**KEPT, "max.message.bytes": "2000"}) as partition:
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
            assert answer.error is ErrorCode.none, "a right batch is accepted"
            if wrong.value.outcome is Outcome.FAIL:
                bench.premise(f"refused: {why}")
                assert answer.base_offset == end, f"{why}: what is refused takes no offset"
            end = answer.base_offset + 1


@pytest.mark.clause("LOG-01")
def test_offsets_are_dense_without_an_acknowledgement(bench: Bench) -> None:
    """Batches that nobody waits for (acks=0) take their place between those of others."""
    with bench.partition(configs=KEPT) as partition:
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


# ---- LOG-07: only a prefix is deleted ------------------------------------------------------------

DELETED_WITHIN_MS = 30_000


@dataclass(slots=True)
class Model:
    """What a partition must hold: the value of every offset from the log start on."""

    start: int = 0
    values: list[bytes] = field(default_factory=list)

    @property
    def end(self) -> int:
        return len(self.values)

    def append(self, partition: Partition, size: int, codec: Codec) -> None:
        values = [b"%d" % n for n in range(self.end, self.end + size)]
        partition.append(*values, codec=codec)
        self.values += values

    def delete(self, partition: Partition, before_offset: int) -> None:
        """Asks for it and compares the answer; raises `Inconclusive` where it came too late."""
        wanted = self.end if before_offset == -1 else before_offset
        answer = partition.delete_records(before_offset).result(DELETED_WITHIN_MS)
        if not 0 <= wanted <= self.end:
            assert answer.error_code is ErrorCode.offset_out_of_range, "there is no such offset"
            return
        if answer.error_code is ErrorCode.request_timed_out:
            raise Inconclusive("the replicas did not all delete in time")
        assert answer.error_code is ErrorCode.none, "what is committed may be deleted"
        self.start = max(self.start, wanted)
        assert answer.low_watermark == self.start, "all replicas begin at the new log start"

    def compare(self, partition: Partition) -> None:
        """The log begins at `start`, holds what it held from there on, and nothing below."""
        first = partition.list_offsets(EARLIEST)
        below = [partition.fetch(at) for at in sorted({0, self.start - 1}) if 0 <= at < self.start]
        kept = partition.fetch(self.start)
        partition.target.settle(first, kept, *below)
        assert first.value.offset == self.start, "the log start is where it was moved to"
        for pending in below:
            assert pending.value.error is ErrorCode.offset_out_of_range, "what is deleted is gone"
            assert not pending.value.batches, "no records come with an error"
        found = kept.value
        assert found.error is ErrorCode.none, "the log start can be read"
        if "log_start_offset" in type(found.raw).__dataclass_fields__:
            assert found.log_start_offset == self.start, "Fetch names the same log start"
        records = [*found.records, *partition.read(found.next_offset, self.end)]
        survivors = list(enumerate(self.values))[self.start :]
        assert [(r.offset, r.value) for r in records] == survivors, "survivors keep their offsets"


append_steps = st.tuples(st.integers(1, 5), st.sampled_from(Codec))
delete_steps = st.integers(-2, 14)


@pytest.mark.clause("LOG-07")
@given(
    world=worlds(),
    first=append_steps,
    plan=st.lists(st.one_of(append_steps, delete_steps), min_size=1, max_size=5),
)
def test_delete_records_deletes_a_prefix_and_nothing_else(
    bench: Bench, world: World, first: tuple[int, Codec], plan: list[tuple[int, Codec] | int]
) -> None:
    """Whatever is appended and deleted, the log start only rises and survivors stay as they are."""
    with bench.partition(world=world, configs=KEPT) as partition:
        model = Model()
        model.append(partition, *first)
        for step in plan:
            if isinstance(step, int):
                before = model.start
                model.delete(partition, step)
                bench.premise("the log start moved", int(model.start > before))
                bench.premise("the log start stayed", int(model.start == before))
            else:
                model.append(partition, *step)
            model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.parametrize(
    "before_offset",
    [5, 6, 7, 1 << 40, -2, -1],
    ids=["hw", "hw-plus-1", "hw-plus-2", "far", "minus-2", "minus-1"],
)
def test_delete_records_stops_at_the_high_watermark(bench: Bench, before_offset: int) -> None:
    """The high watermark is the farthest that can be asked for, by its number or by -1."""
    with bench.partition(configs=KEPT) as partition:
        model = Model()
        model.append(partition, 5, Codec.NONE)
        model.delete(partition, before_offset)
        bench.premise("records were to be deleted up to the high watermark or beyond")
        model.compare(partition)
        model.append(partition, 2, Codec.NONE)
        model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_what_is_not_committed_cannot_be_deleted(bench: Bench) -> None:
    """Beyond the high watermark nothing is deleted, though the leader's log goes on."""
    with bench.partition(configs=KEPT) as partition:
        model = Model()
        model.append(partition, 3, Codec.NONE)
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            tail = partition.produce(batch_of(b"3", b"4"), acks=1).result()
            mark = partition.fetch(3)
            refused = [partition.delete_records(offset) for offset in (4, 5)]
            partition.target.settle(mark, *refused, within_ms=DELETED_WITHIN_MS)
            if (tail.base_offset, mark.value.high_watermark) != (3, 3):
                raise Inconclusive(f"no tail: {tail} above {mark.value.high_watermark}")
            bench.premise("a tail was to be deleted", len(refused))
            errors = {pending.value.error_code for pending in refused}
            assert errors == {ErrorCode.offset_out_of_range}, "not beyond the high watermark"
            model.compare(partition)


@pytest.mark.clause("LOG-07")
def test_the_log_start_rises_while_several_delete(bench: Bench) -> None:
    """Deletions side by side never move the log start back, and the farthest one wins."""
    with bench.partition(configs=KEPT) as partition:
        model = Model()
        for _ in range(4):
            model.append(partition, 3, Codec.NONE)
        watcher = partition.connect()
        starts, deletions = [], []
        for wanted in (7, 2, 10, 4, 10, 1):
            deletions.append(partition.delete_records(wanted, over=partition.connect()))
            starts += [partition.list_offsets(EARLIEST, over=watcher) for _ in range(3)]
        partition.target.settle(*starts, *deletions, within_ms=DELETED_WITHIN_MS)
        if any(d.value.error_code is ErrorCode.request_timed_out for d in deletions):
            raise Inconclusive("the replicas did not all delete in time")
        bench.premise("records were deleted by several at once", len(deletions))
        assert [d.value.error_code for d in deletions] == [ErrorCode.none] * len(deletions)
        lows = [d.value.low_watermark for d in deletions]
        wanted_lows = zip(lows, (7, 2, 10, 4, 10, 1), strict=True)
        assert all(low >= wanted for low, wanted in wanted_lows), "an answer says that it is done"
        seen = [s.value.offset for s in starts]
        assert seen == sorted(seen), "the log start never moves back"
        model.start = 10
        model.compare(partition)


@pytest.mark.clause("LOG-07")
def test_what_was_deleted_stays_deleted_under_another_leader(bench: Bench) -> None:
    """The next leader has the same log start and the same records behind it."""
    with bench.partition(configs=KEPT) as partition:
        if not partition.followers:
            raise NotRun("leadership moves only between several brokers")
        model = Model()
        for size, before_offset in ((4, 2), (3, 5)):
            # In ZooKeeper mode a new leader of an idle partition does not learn how far its
            # followers have deleted, and lets DeleteRecords time out, until something is appended.
            model.append(partition, size, Codec.NONE)
            model.delete(partition, before_offset)
            move_leader(partition, partition.followers[0])
            bench.premise("the leader changed after a deletion")
            assert settled_end(partition) == model.end
            model.compare(partition)


@pytest.mark.clause("LOG-07")
@pytest.mark.parametrize("limit", ["by time", "by size"])
def test_retention_deletes_a_prefix_and_nothing_else(bench: Bench, limit: str) -> None:
    """Whatever retention deletes, it deletes from the start, and survivors stay as they are."""
    with bench.client() as client:
        interval_ms = retention_interval_ms(bench, client)
        now_ms = client.target.clock_ms()
        by_time, key_bytes = limit == "by time", 0 if limit == "by time" else 600_000
        configs = {
            "segment.bytes": str(1 << 20),
            "segment.ms": "600000",
            "retention.ms": "3600000" if by_time else "-1",
            "retention.bytes": "-1" if by_time else "700000",
        }
        with bench.topic(client=client, configs=configs) as topic:
            partition, model = topic[0], Model()
            for age_ms in (86_400_000, 43_200_000, 0):
                record = NewRecord(key=b"." * key_bytes, value=b"%d" % model.end)
                partition.append_records([record], timestamp_ms=now_ms - age_ms * by_time)
                model.values.append(b"%d" % model.end)
            if bench.virtual:
                client.target.sleep(interval_ms)
            model.start = client.target.eventually(
                lambda: partition.offset_at(EARLIEST), bool, within_ms=2 * interval_ms + 10_000
            )
            bench.premise("retention deleted something and kept the rest", model.start < model.end)
            assert model.start <= model.end, "nothing is deleted beyond the high watermark"
            model.compare(partition)


def retention_interval_ms(bench: Bench, client: Client) -> int:
    """How often the brokers look for what has expired; raises `NotRun` where that is seldom."""
    resource = {
        "resource_type": 4,
        "resource_name": str(client.brokers[0]),
        "configuration_keys": ("log.retention.check.interval.ms",),
    }
    answer = client.broker(client.brokers[0]).call("describe_configs", resources=[resource])
    found = {entry.name: entry.value for entry in answer.results[0].configs}
    interval_ms = int(found.get("log.retention.check.interval.ms") or 0)
    if not interval_ms:
        raise Unsupported("the brokers do not say how often they look for what has expired")
    if not bench.virtual and interval_ms > RETENTION_INTERVAL_MAX_MS:
        raise NotRun(f"what has expired is looked for only every {interval_ms} ms")
    return interval_ms


RETENTION_INTERVAL_MAX_MS = 10_000


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
        configs = {**KEPT, "cleanup.policy": policy}
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
        configs = {**KEPT, "cleanup.policy": "compact"}
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
