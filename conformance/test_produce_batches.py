"""Batches: appended whole or not at all, and invisible to consumers (PROD-03, PROD-05)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.connection import Pending
from conformance.outcomes import Inconclusive, Outcome
from conformance.partition import Appended, Fetched, Partition
from conformance.records import Batch, Codec, NewRecord, Record, batch_of
from conformance.targets.target import Worker
from conformance.workload.produce import (
    RECENT_MS,
    as_read,
    log_end,
    needs_topic_configs,
    new_records,
    values_of,
)
from conformance.world import World, worlds

LIMIT_BYTES = 2_000
LIMITED = {"max.message.bytes": str(LIMIT_BYTES)}

# ---- PROD-03: a batch is one thing --------------------------------------------------------------

BATCHES_PER_WORKER = 6
RECORDS_PER_BATCH = 4
RUNS_WITHIN_MS = 30_000


def producing(
    partition: Partition, worker: int, outcomes: dict[int, Outcome], timeouts_ms: Sequence[int]
) -> Worker:
    """Sends batches over a connection of its own, two at a time, and notes what became of them."""
    connection = partition.connect()
    waiting: list[tuple[int, Pending[Appended]]] = []
    for n, timeout_ms in enumerate(timeouts_ms):
        number = worker * len(timeouts_ms) + n
        values = [b"%d/%d" % (number, i) for i in range(RECORDS_PER_BATCH)]
        acks = 1 if n % 3 == 0 else -1
        batch = batch_of(*values, codec=Codec(n % len(Codec)))
        request = partition.produce(batch, acks=acks, timeout_ms=timeout_ms, over=connection)
        waiting.append((number, request))
        if len(waiting) == 2:
            yield waiting[0][1]
            _note(outcomes, *waiting.pop(0))
    for number, pending in waiting:
        yield pending
        _note(outcomes, number, pending)


def _note(outcomes: dict[int, Outcome], number: int, pending: Pending[Appended]) -> None:
    outcomes[number] = pending.value.outcome if pending.answered else Outcome.INFO


def consuming(
    partition: Partition, limit_bytes: int, answers: list[Fetched], done: Callable[[], bool]
) -> Worker:
    """Reads from the start over a connection of its own until there is no more to come."""
    connection, offset = partition.connect(), 0
    last = False
    while not last:
        last = done()
        pending = partition.fetch(
            offset, max_wait_ms=20, partition_max_bytes=limit_bytes, over=connection
        )
        yield pending
        answers.append(pending.value)
        last = last and not answers[-1].batches
        offset = answers[-1].next_offset


def numbers_in(values: Iterable[bytes | None]) -> list[int]:
    """The numbers of the batches that follow one another. Each must be whole and in order."""
    found = [value or b"" for value in values]
    at, numbers = 0, list[int]()
    while at < len(found):
        number = int(found[at].split(b"/")[0])
        whole = [b"%d/%d" % (number, i) for i in range(RECORDS_PER_BATCH)]
        assert found[at : at + RECORDS_PER_BATCH] == whole, "all records of a batch, side by side"
        at, numbers = at + RECORDS_PER_BATCH, [*numbers, number]
    return numbers


@pytest.mark.clause("PROD-03")
@given(
    world=worlds(),
    limit_bytes=st.integers(1, 1_000),
    timeouts_ms=st.lists(
        st.sampled_from([10_000, 0]),
        min_size=BATCHES_PER_WORKER,
        max_size=BATCHES_PER_WORKER,
    ),
)
def test_concurrent_batches_are_seen_whole_and_side_by_side(
    bench: Bench, world: World, limit_bytes: int, timeouts_ms: list[int]
) -> None:
    """While several connections produce, every answer to a consumer has whole batches only."""
    with bench.partition(world=world) as partition:
        outcomes: dict[int, Outcome] = {}
        answers: list[Fetched] = []
        total = 3 * len(timeouts_ms)
        producers = [producing(partition, w, outcomes, timeouts_ms) for w in range(3)]
        consumers = [
            consuming(partition, limit, answers, lambda: len(outcomes) == total)
            for limit in (limit_bytes, 1 << 20)
        ]
        if not partition.target.run(*producers, *consumers, within_ms=RUNS_WITHIN_MS):
            raise Inconclusive(f"the workload did not end within {RUNS_WITHIN_MS} ms")
        for answer in answers:
            numbers_in(record.value for record in answer.records)
            whole = answer.high_watermark % RECORDS_PER_BATCH == 0
            assert whole, "the high watermark is never inside of a batch"
        end = log_end(partition)
        found = partition.read(end=end)[:end]
        numbers = numbers_in(record.value for record in found)
        bench.premise("batches of several connections in one log", times=len(numbers))
        assert len(set(numbers)) == len(numbers), "no batch is there twice"
        must = {number for number, outcome in outcomes.items() if outcome is Outcome.OK}
        must_not = {number for number, outcome in outcomes.items() if outcome is Outcome.FAIL}
        assert must <= set(numbers), "what was acknowledged is there"
        assert not must_not & set(numbers), "what was refused is not"


KEYED = (NewRecord(key=b"k", value=b"0"), NewRecord(key=b"k", value=b"1"))
ONE_WITHOUT_KEY = (*KEYED, NewRecord(value=b"2"))
REFUSED: Mapping[str, Batch] = {
    "a null key under compaction": Batch(records=ONE_WITHOUT_KEY),
    "a null key under compaction, compressed": Batch(records=ONE_WITHOUT_KEY, codec=Codec.GZIP),
    "a wrong checksum": Batch(records=KEYED, crc=1),
    "a count above the records": Batch(records=KEYED, count=3, last_offset_delta=2),
    "a count below the records": Batch(records=KEYED, count=1, last_offset_delta=0),
    "a last offset delta beyond the count": Batch(records=KEYED, last_offset_delta=5),
    "a payload that is not what its codec says": Batch(
        records=KEYED, codec=Codec.ZSTD, payload=b"not zstd"
    ),
    "more bytes than max.message.bytes": Batch(
        records=[*KEYED, NewRecord(key=b"k", value=b"x" * LIMIT_BYTES)]
    ),
    "a sequence below zero": Batch(
        records=KEYED, producer_id=1, producer_epoch=0, base_sequence=-1
    ),
}


@pytest.mark.clause("PROD-03")
@pytest.mark.parametrize("acks", [1, -1])
def test_a_refused_batch_leaves_no_record(bench: Bench, acks: int) -> None:
    """Of a batch that is refused with a definite error no record is there, not even a valid one."""
    configs = LIMITED | {"cleanup.policy": "compact"}
    with bench.partition(configs=configs) as partition:
        good = Batch(records=KEYED)
        producer_id = partition.client.init_producer_id()
        first = replace(good, producer_id=producer_id, producer_epoch=0, base_sequence=0)
        partition.append_batch(first)
        gap = replace(first, base_sequence=7)
        end = len(KEYED)
        for case, batch in (*REFUSED.items(), ("a gap in the sequence", gap)):
            answer = partition.produce(batch, acks=acks).result()
            after = partition.produce(good, acks=acks).result()
            if after.error is not ErrorCode.none:
                raise Inconclusive(f"a good batch was refused: {after.error.name}")
            if answer.outcome is Outcome.FAIL:
                bench.premise("a batch was refused")
                assert after.base_offset == end, f"nothing is appended: {case}"
            end = after.base_offset + len(KEYED)


# ---- PROD-05: batching and compression cannot be seen -------------------------------------------

BATCH_SIZES = {"batch size 0, one record per batch": 1, "batch size 50": 50, "one batch": 10_000}
STREAM = tuple(
    NewRecord(
        key=b"key %d" % (n % 7) if n % 5 else None,
        value=b"value %d " % n * (n % 11),
        headers=(("number", b"%d" % n),) * (n % 3),
        timestamp_ms=RECENT_MS + n,
    )
    for n in range(120)
)
Grouped = Sequence[tuple[Sequence[NewRecord], Codec]]


def appended_as(partition: Partition, groups: Grouped) -> list[Record]:
    """Appends the groups as one batch each; what a consumer reads there, counted from 0."""
    batches = [
        Batch(records=records, codec=codec, timestamp_ms=RECENT_MS) for records, codec in groups
    ]
    answers = partition.target.wait(*(partition.produce(batch) for batch in batches))
    refused = {answer.error.name for answer in answers} - {"none"}
    assert not refused, "every batch is accepted, however it was grouped and compressed"
    start = answers[0].base_offset
    end = answers[-1].base_offset + len(batches[-1].records)
    found = [record for record in partition.read(start) if start <= record.offset < end]
    return [replace(record, offset=record.offset - start) for record in found]


@pytest.mark.clause("PROD-05")
def test_every_batch_size_and_codec_gives_the_same_records(bench: Bench) -> None:
    """One record per batch, 50 per batch or all in one, with each codec: the same sequence."""
    with bench.partition() as partition:
        for name, size in BATCH_SIZES.items():
            for kind in Codec:
                groups = [(STREAM[at : at + size], kind) for at in range(0, len(STREAM), size)]
                bench.premise(name)
                found = appended_as(partition, groups)
                assert found == as_read(STREAM), f"{name}, {kind.name}: the records are unchanged"


cuts_and_codecs = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(Codec)), min_size=12, max_size=12
)


def grouped(records: Sequence[NewRecord], cuts: Sequence[tuple[int, Codec]]) -> Grouped:
    groups, at = list[tuple[Sequence[NewRecord], Codec]](), 0
    for size, kind in cuts:
        groups.append((records[at : at + size], kind))
        at += size
    return [(records, kind) for records, kind in groups if records]


@pytest.mark.clause("PROD-05")
@given(
    world=worlds(),
    records=st.lists(new_records(), min_size=2, max_size=12),
    one=cuts_and_codecs,
    other=cuts_and_codecs,
)
def test_two_groupings_of_the_same_records_read_alike(
    bench: Bench,
    world: World,
    records: list[NewRecord],
    one: list[tuple[int, Codec]],
    other: list[tuple[int, Codec]],
) -> None:
    """Any two ways to cut and compress the same records give the same sequence."""
    with bench.partition(world=world) as partition:
        bench.premise("the same records in two groupings")
        first = appended_as(partition, grouped(records, one))
        second = appended_as(partition, grouped(records, other))
        assert first == second, "the groupings cannot be told apart"
        assert first == as_read(records), "the records are those that were sent"


def batch_of_size(size_bytes: int) -> Batch:
    """A batch of two records that takes exactly this much, its header included."""
    batches = (batch_of(b"first", b"x" * n) for n in range(size_bytes))
    return next(batch for batch in batches if len(batch.encode()) == size_bytes)


SIZES: Mapping[str, tuple[Batch, bool]] = {
    "as large as the limit": (batch_of_size(LIMIT_BYTES), True),
    "one byte larger": (batch_of_size(LIMIT_BYTES + 1), False),
    "of small records, large together": (batch_of(*[b"x" * 100] * 40), False),
    "large only until it is compressed": (batch_of(*[b"x" * 100] * 40, codec=Codec.GZIP), True),
}


@pytest.mark.clause("PROD-05")
def test_a_batch_above_the_limit_is_refused_and_not_split(bench: Bench) -> None:
    """A batch larger than max.message.bytes is refused as a whole; one just as large is not."""
    with bench.partition(configs=LIMITED) as partition:
        needs_topic_configs(partition)
        wanted: list[bytes | None] = []
        for name, (batch, fits) in SIZES.items():
            answer = partition.produce(batch).result()
            bench.premise(f"a batch {name}")
            expected = Outcome.OK if fits else Outcome.FAIL
            assert answer.outcome is expected, f"{name}: accepted if and only if it is not larger"
            wanted += [record.value for record in batch.records] if fits else []
            assert log_end(partition) == len(wanted), f"{name}: whole or not at all"
            wanted.append(b"the end")
        assert values_of(partition) == wanted


@pytest.mark.clause("PROD-05")
@pytest.mark.parametrize("stored", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_compression_by_the_broker_does_not_change_the_records(bench: Bench, stored: str) -> None:
    """Where compression.type has the broker compress again, the records stay what they were."""
    with bench.partition(configs={"compression.type": stored}) as partition:
        needs_topic_configs(partition)
        for kind in Codec:
            groups = [(STREAM[at : at + 20], kind) for at in range(0, len(STREAM), 20)]
            found = appended_as(partition, groups)
            bench.premise("a stream through a topic with a compression of its own")
            assert found == as_read(STREAM), f"sent as {kind.name}: the records are unchanged"
