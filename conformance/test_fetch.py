"""Fetching: nothing skipped, progress under every limit, waiting that ends (CONS)."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Partition, Topic
from conformance.records import Codec, batch_of, read_batches
from conformance.world import World, worlds

PLENTY_BYTES = 16 << 20
LONG_MS = 20_000
"""Longer than any answer takes that does not wait for its time to be over."""
SHORT_MS = 1_500
EARLY_MS = 100
"""How much before its time a broker's timer may fire without our calling it early."""

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=8)
codecs = st.lists(st.sampled_from(Codec), min_size=8, max_size=8)


def filled(partition: Partition, sizes: Iterable[int], codecs: Iterable[Codec]) -> list[bytes]:
    """Appends batches of these sizes and codecs; the values of their records, in order."""
    values: list[bytes] = []
    sent = []
    for number, (size, codec) in enumerate(zip(sizes, codecs, strict=False)):
        own = [b"%d/%d " % (number, n) * (1 + number % 3 * 40) for n in range(size)]
        sent.append(partition.produce(batch_of(*own, codec=codec)))
        values += own
    for answer in partition.target.wait(*sent):
        if answer.error is not ErrorCode.none:
            raise Inconclusive(f"the premise could not be appended: {answer.error.name}")
    return values


# ---- CONS-01: what is there is returned ---------------------------------------------------------


@pytest.mark.clause("CONS-01")
@given(world=worlds(), sizes=sizes, codecs=codecs, data=st.data())
def test_a_fetch_returns_what_covers_its_offset_and_skips_nothing(
    bench: Bench, world: World, sizes: list[int], codecs: list[Codec], data: st.DataObject
) -> None:
    """From any offset, under any size limit, the records from there on come without a gap."""
    with bench.partition(world=world) as partition:
        values = filled(partition, sizes, codecs)
        starts = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=6))
        limits = data.draw(st.lists(st.integers(1, 2_000), min_size=len(starts), max_size=6))
        asked = [
            partition.fetch(start, partition_max_bytes=limit)
            for start, limit in zip(starts, limits, strict=False)
        ]
        for start, answer in zip(starts, partition.target.wait(*asked), strict=False):
            bench.premise("a fetch began at an offset that holds a record")
            assert answer.error is ErrorCode.none
            assert answer.records, "at least the first batch is returned"
            offsets = [record.offset for record in answer.records]
            assert offsets == list(range(start, start + len(offsets))), "no record is skipped"
            found = [record.value for record in answer.records]
            assert found == values[start : start + len(found)], "each offset keeps its record"


@pytest.mark.clause("CONS-01")
@given(world=worlds(), sizes=sizes, codecs=codecs, limit=st.integers(1, 3_000))
def test_a_walk_under_a_limit_reads_the_same_as_one_fetch(
    bench: Bench, world: World, sizes: list[int], codecs: list[Codec], limit: int
) -> None:
    """Whoever reads in small steps is given the same records in the same order."""
    with bench.partition(world=world) as partition:
        values = filled(partition, sizes, codecs)
        found: list[bytes | None] = []
        offset = 0
        while offset < len(values):
            answer = partition.fetch(offset, partition_max_bytes=limit, max_bytes=limit).result()
            assert answer.records, f"there is a record at {offset}"
            found += [record.value for record in answer.records]
            offset = answer.next_offset
        bench.premise("a log was read in steps", offset)
        assert found == values


@pytest.mark.clause("CONS-01")
def test_reading_changes_nothing_for_other_readers(bench: Bench) -> None:
    """Any number of readers, at any pace, are given the same bytes."""
    with bench.partition() as partition:
        filled(partition, [3, 1, 4], [Codec.NONE, Codec.GZIP, Codec.NONE])
        readers = [partition.connect() for _ in range(3)]
        asked = [partition.fetch(at, over=reader) for at in (0, 5, 0) for reader in readers]
        answers = partition.target.wait(*asked)
        by_offset: dict[int, set[bytes]] = {}
        for answer in answers:
            by_offset.setdefault(answer.offset, set()).add(bytes(answer.raw.records))
        bench.premise("a range was read by several", len(answers))
        assert [len(found) for found in by_offset.values()] == [1, 1], "all read the same bytes"


# ---- CONS-02: limits, and progress all the same -------------------------------------------------


@pytest.mark.clause("CONS-02")
@pytest.mark.parametrize(("max_bytes", "partition_max_bytes"), [(1, 1), (1, 1 << 20), (1 << 20, 1)])
def test_a_batch_larger_than_every_limit_is_returned(
    bench: Bench, max_bytes: int, partition_max_bytes: int
) -> None:
    """The first batch of the first partition with data comes whole, whatever its size."""
    with bench.partition() as partition:
        partition.append(b"x" * 100_000)
        partition.append(b"y")
        asked = partition.fetch(0, max_bytes=max_bytes, partition_max_bytes=partition_max_bytes)
        answer = asked.result()
        bench.premise("a batch was larger than the limit")
        assert answer.error is ErrorCode.none
        assert [len(record.value or b"") for record in answer.records][:1] == [100_000]


@pytest.mark.clause("CONS-02")
def test_a_consumer_with_tiny_limits_reads_everything(bench: Bench) -> None:
    """With limits of one byte a consumer still reaches the end, one batch at a time."""
    with bench.partition() as partition:
        values = filled(partition, [2, 1, 3, 1], [Codec.NONE] * 4)
        found: list[bytes | None] = []
        offset = 0
        for _ in values:
            answer = partition.fetch(offset, max_bytes=1, partition_max_bytes=1).result()
            assert answer.records, f"the batch at {offset} is returned although larger than 1 byte"
            found += [record.value for record in answer.records]
            offset = answer.next_offset
            bench.premise("a fetch had a limit below every batch")
            if offset >= len(values):
                break
        assert found == values


@pytest.mark.clause("CONS-02", level="SHOULD")
def test_a_limit_is_honoured_beyond_the_first_batch(bench: Bench) -> None:
    """No second batch is returned where it does not fit into the partition's limit."""
    with bench.partition() as partition:
        for _ in range(8):
            partition.append(b"x" * 1_000)
        limit = 2_500
        answer = partition.fetch(0, partition_max_bytes=limit).result()
        bench.premise("there was more data than the limit")
        assert len(answer.raw.records) <= limit


@pytest.mark.clause("CONS-02")
def test_every_partition_gets_its_turn(bench: Bench) -> None:
    """A consumer that asks for what it has not read yet first reaches every partition's end."""
    with bench.topic(partitions=4) as topic:
        leader = one_leader(topic)
        mine = [topic[n] for n in range(len(topic)) if topic[n].view.leader == leader]
        for partition in mine:
            for _ in range(3 if partition is mine[0] else 1):
                partition.append(b"x" * 20_000)
        position = {partition.number: 0 for partition in mine}
        turn = list(position)
        for _ in range(2 * (len(mine) + 3)):
            for part in fetch_several(topic, {n: position[n] for n in turn}, max_bytes=1):
                batches = read_batches(bytes(part.records or b""))
                if batches:
                    position[part.partition_index] = batches[-1].end_offset
                    # As consumers do since KIP-74: who was served goes to the end of the queue.
                    turn.remove(part.partition_index)
                    turn.append(part.partition_index)
            bench.premise("several partitions had data and the limit was smaller than one batch")
        assert position == {p.number: 3 if p is mine[0] else 1 for p in mine}, "all were served"


def one_leader(topic: Topic) -> int:
    """The broker that leads most of the topic's partitions."""
    leaders = [topic[n].view.leader for n in range(len(topic))]
    return max(leaders, key=leaders.count)


def fetch_several(
    topic: Topic, positions: dict[int, int], *, max_bytes: int = PLENTY_BYTES, wait_ms: int = 0
) -> list[Any]:
    """The partition entries of the answer to one Fetch about several partitions of a leader."""
    connection = topic[next(iter(positions))].leader
    return list(several(connection, topic, positions, max_bytes, wait_ms).result())


def several(
    connection: Connection, topic: Topic, positions: dict[int, int], max_bytes: int, wait_ms: int
) -> Pending[list[Any]]:
    parts = [
        {"partition": number, "fetch_offset": offset, "partition_max_bytes": PLENTY_BYTES}
        | {"current_leader_epoch": -1, "last_fetched_epoch": -1, "log_start_offset": -1}
        for number, offset in positions.items()
    ]
    request = connection.build(
        "fetch",
        at_least=4,
        at_most=12,
        replica_id=-1,
        max_wait=wait_ms,
        min_bytes=1,
        max_bytes=max_bytes,
        session_epoch=-1,
        topics=[{"topic": topic.name, "partitions": parts}],
    )
    return connection.send(request, lambda a: [p for t in a.responses for p in t.partitions])


# ---- CONS-03: long polls ------------------------------------------------------------------------


@pytest.mark.clause("CONS-03")
@given(world=worlds(), acks=st.sampled_from([1, -1]), batches=st.integers(1, 3))
def test_a_waiting_fetch_is_woken_by_data(
    bench: Bench, world: World, acks: int, batches: int
) -> None:
    """A fetch that waits at the end of the log is answered when records arrive."""
    with bench.partition(world=world) as partition:
        reader = partition.connect()
        asked = partition.fetch(0, max_wait_ms=LONG_MS, over=reader)
        partition.target.wait(
            *(partition.produce(batch_of(b"x"), acks=acks) for _ in "x" * batches)
        )
        answer = asked.result(within_ms=2 * LONG_MS)
        waited_ms = (asked.answered_ms or 0) - asked.sent_ms
        bench.premise("records arrived while a fetch waited")
        assert answer.records, "the answer has the record that it waited for"
        assert waited_ms < LONG_MS, "the fetch is woken, not timed out"


@pytest.mark.clause("CONS-03")
def test_a_fetch_without_data_is_held_until_its_time_is_over(bench: Bench) -> None:
    """With nothing to return the broker waits for max_wait_ms, and then answers empty."""
    with bench.partition() as partition:
        asked = partition.fetch(0, max_wait_ms=SHORT_MS)
        answer = asked.result()
        waited_ms = (asked.answered_ms or 0) - asked.sent_ms
        bench.premise("a fetch had nothing to return")
        assert (answer.error, answer.records) == (ErrorCode.none, ())
        assert waited_ms >= SHORT_MS - EARLY_MS, "the broker holds it for max_wait_ms"


@pytest.mark.clause("CONS-03")
def test_a_fetch_is_held_until_min_bytes_are_there(bench: Bench) -> None:
    """Less than min_bytes does not end the wait; enough does."""
    with bench.partition() as partition:
        partition.append(b"x" * 100)
        reader = partition.connect()
        asked = partition.fetch(0, max_wait_ms=LONG_MS, min_bytes=1_000, over=reader)
        partition.append(b"y" * 100)
        early = asked.settled
        partition.append(b"z" * 2_000)
        answer = asked.result(within_ms=2 * LONG_MS)
        waited_ms = (asked.answered_ms or 0) - asked.sent_ms
        bench.premise("a fetch waited for more bytes than there were")
        assert not early, "400 bytes are fewer than min_bytes"
        assert len(answer.raw.records) >= 1_000, "the answer has at least min_bytes"
        assert waited_ms < LONG_MS, "the fetch is woken, not timed out"


@pytest.mark.clause("CONS-03")
@pytest.mark.parametrize("max_wait_ms", [0, -1])
def test_a_fetch_that_may_not_wait_is_answered_at_once(bench: Bench, max_wait_ms: int) -> None:
    """max_wait_ms of zero or less ends a fetch at once, whatever min_bytes asks for."""
    with bench.partition() as partition:
        partition.append(b"x")
        probe = partition.connect()
        asked = partition.fetch(0, max_wait_ms=max_wait_ms, min_bytes=1 << 20, over=probe)
        answer = asked.result()
        bench.premise("a fetch asked for more bytes than there are, without waiting")
        assert answer.error is ErrorCode.none
        assert [record.value for record in answer.records] == [b"x"]


@pytest.mark.clause("CONS-03")
def test_an_error_ends_a_wait_at_once(bench: Bench) -> None:
    """A fetch that cannot succeed is not held, even if it asks for data that never comes."""
    with bench.partition() as partition:
        epoch = partition.view.leader_epoch
        wrong: dict[str, dict[str, Any]] = {
            "an offset beyond the end": {"offset": 7},
            "a negative offset": {"offset": -5},
            "a newer leader epoch": {"offset": 0, "current_leader_epoch": epoch + 9},
        }
        waits = {"max_wait_ms": LONG_MS, "min_bytes": 1 << 20}
        for what, position in wrong.items():
            asked = partition.fetch(over=partition.connect(), **waits, **position)
            answer = asked.result(within_ms=2 * LONG_MS)
            waited_ms = (asked.answered_ms or 0) - asked.sent_ms
            bench.premise(what)
            assert answer.error is not ErrorCode.none, what
            assert waited_ms < LONG_MS, f"{what} is answered at once"


@pytest.mark.clause("CONS-03")
def test_a_partition_with_an_error_ends_the_wait_of_the_others(bench: Bench) -> None:
    """One partition that cannot be read is enough to answer a fetch about several."""
    with bench.topic(partitions=6) as topic:
        leader = one_leader(topic)
        mine = [n for n in range(len(topic)) if topic[n].view.leader == leader]
        if len(mine) < 2:
            raise Unsupported("no broker leads two partitions of a topic of six")
        good, bad, *_ = mine
        over = topic[good].connect()
        asked = several(over, topic, {good: 0, bad: 77}, PLENTY_BYTES, LONG_MS)
        parts = {part.partition_index: part for part in asked.result(within_ms=2 * LONG_MS)}
        waited_ms = (asked.answered_ms or 0) - asked.sent_ms
        bench.premise("a fetch named a partition at an offset that it does not have")
        assert set(parts) == {good, bad}, "every partition that was asked for is answered"
        assert parts[bad].error_code is ErrorCode.offset_out_of_range
        assert parts[good].error_code is ErrorCode.none
        assert waited_ms < LONG_MS, "the error is answered at once"


@pytest.mark.clause("CONS-03")
def test_a_fetch_that_waits_on_a_follower_is_woken_too(bench: Bench) -> None:
    """Where followers serve consumers (KIP-392), a long poll there ends when records arrive."""
    with bench.partition() as partition:
        if not partition.followers:
            raise Unsupported("the topic has no follower")
        follower = partition.client.connect(partition.followers[0])
        probe = partition.fetch(0, over=follower, version=11).result()
        if probe.error is ErrorCode.not_leader_or_follower:
            raise Unsupported("followers do not serve consumers here")
        asked = partition.fetch(0, max_wait_ms=LONG_MS, over=follower, version=11)
        partition.append(b"x")
        answer = asked.result(within_ms=2 * LONG_MS)
        waited_ms = (asked.answered_ms or 0) - asked.sent_ms
        bench.premise("records arrived while a fetch waited on a follower")
        assert answer.records, "the answer has the record that it waited for"
        assert waited_ms < LONG_MS, "the fetch is woken, not timed out"


@pytest.mark.clause("CONS-03")
def test_a_fetch_that_waits_holds_back_nobody_else(bench: Bench) -> None:
    """While a fetch waits, other connections are served."""
    with bench.partition() as partition:
        waiting = [partition.fetch(0, max_wait_ms=LONG_MS, over=partition.connect()) for _ in "abc"]
        other = partition.connect()
        listed = partition.list_offsets(-1, over=other).result(within_ms=LONG_MS)
        still = [asked for asked in waiting if not asked.settled]
        bench.premise("a request was answered while fetches waited", len(still))
        assert listed.error is ErrorCode.none
        partition.append(b"x")
        for asked in waiting:
            assert asked.result(within_ms=2 * LONG_MS).records
