"""The marks on a log: their order, what ListOffsets makes of them, and where one may read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.codec import KEYS, VERSIONS
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, NotRun
from conformance.partition import (
    EARLIEST,
    LATEST,
    MAX_TIMESTAMP,
    NAMED_TOPICS_UP_TO,
    Fetched,
    ListedOffset,
    Partition,
)
from conformance.records import Codec, NewRecord, batch_of
from conformance.targets.target import Capability, Worker
from conformance.workload.epoch_ends import settled_end
from conformance.workload.kept import KEPT
from conformance.workload.leaders import move_leader
from conformance.world import World, worlds

A = TypeVar("A")
FAR = 1 << 40


def served(partition: Partition, api: str, since: int) -> list[int]:
    """The versions from `since` on that both sides know."""
    newest = partition.leader.version(api, at_least=since)
    low = partition.leader.versions[KEYS[api]][0]
    return [version for version in VERSIONS[api] if max(low, since) <= version <= newest]


def delete(partition: Partition, before_offset: int) -> None:
    """Moves the log start; raises `Inconclusive` where it stays."""
    answer = partition.delete_records(before_offset).result()
    if answer.error_code is not ErrorCode.none:
        raise Inconclusive(f"the log start was not moved: {answer.error_code.name}")


# ---- OFF-01: the order of the marks --------------------------------------------------------------


@dataclass(slots=True)
class Marks:
    """What one connection was told, in order. The answers to one connection come from a leader
    that handled one request after the other, so that no mark may lie below an older one."""

    fetches: list[Fetched] = field(default_factory=list)
    log_ends: list[int] = field(default_factory=list)
    """The log end offset after each fetch; empty where it cannot be asked for."""

    def check(self) -> None:
        """Each mark against the one above it in the next answer: a broker reads the marks of one
        answer one after the other, and an append may come between."""
        starts = [answer.log_start_offset for answer in self.fetches]
        stable = [answer.last_stable_offset for answer in self.fetches]
        high = [answer.high_watermark for answer in self.fetches]
        for name, marks in (
            ("log start", starts),
            ("last stable offset", stable),
            ("high watermark", high),
            ("log end", self.log_ends),
        ):
            assert marks == sorted(marks), f"the {name} of a leader does not fall"
        assert all(below <= above for below, above in zip(starts, stable[1:], strict=False))
        assert all(below <= above for below, above in zip(stable, high[1:], strict=False))
        assert all(below <= above for below, above in zip(high, self.log_ends, strict=False))


@dataclass(slots=True)
class Load:
    """Writers, a deleter and observers of one partition, side by side."""

    partition: Partition
    busy: int = 0

    def writer(self, sizes: Iterable[int], acks: int) -> Worker:
        connection = self.partition.connect()
        self.busy += 1
        for size in sizes:
            batch = batch_of(*[b"x"] * size)
            yield self.partition.produce(batch, acks=acks, over=connection)
        self.busy -= 1

    def deleter(self) -> Worker:
        connection = self.partition.connect()
        self.busy += 1
        yield self.partition.delete_records(-1, over=connection)
        self.busy -= 1

    def observer(self, marks: Marks, read_committed: bool) -> Worker:
        """Looks until nobody is busy any more, and once again."""
        connection, offset, last = self.partition.connect(), 0, False
        epoch = self.partition.view.leader_epoch
        asks_for_end = connection.serves("offset_for_leader_epoch")
        while True:
            yield (fetch := self._fetch(offset, connection, read_committed))
            if fetch.value.error is ErrorCode.offset_out_of_range:
                yield (first := self.partition.list_offsets(EARLIEST, over=connection))
                offset = first.value.offset
                continue
            marks.fetches.append(known(fetch.value, fetch.value.error))
            offset = fetch.value.high_watermark
            if asks_for_end:
                yield (end := self.partition.epoch_end(epoch, over=connection))
                marks.log_ends.append(known(end.value, end.value.error_code).end_offset)
            if last:
                return
            last = not self.busy

    def _fetch(self, offset: int, connection: Connection, read_committed: bool) -> Pending[Fetched]:
        return self.partition.fetch(
            offset,
            max_wait_ms=20,
            over=connection,
            read_committed=read_committed,
            essential=("log_start_offset",),
        )


def known(answer: A, error: ErrorCode) -> A:
    """The answer, unless the leader changed or had no time."""
    if error is not ErrorCode.none:
        raise Inconclusive(f"the marks could not be observed: {error.name}")
    return answer


@pytest.mark.clause("OFF-01")
@given(
    world=worlds(),
    sizes=st.lists(st.integers(1, 5), min_size=4, max_size=12),
    deletes=st.booleans(),
)
def test_the_marks_keep_their_order_under_load(
    bench: Bench, world: World, sizes: list[int], deletes: bool
) -> None:
    """Log start, last stable offset, high watermark and log end come in this order and rise."""
    with bench.partition(world=world, configs=KEPT) as partition:
        load, all_marks = Load(partition), [Marks(), Marks()]
        workers = [load.writer(sizes, acks=-1), load.writer(reversed(sizes), acks=1)]
        if deletes and partition.leader.serves("delete_records"):
            workers.append(load.deleter())
        observers = [load.observer(m, bool(n)) for n, m in enumerate(all_marks)]
        if not partition.target.run(*workers, *observers, within_ms=60_000):
            raise Inconclusive("the writers did not come to an end")
        for marks in all_marks:
            bench.premise("marks were observed under load", len(marks.fetches))
            marks.check()
        partition.target.eventually(
            lambda: partition.end_offset, lambda end: end == 2 * sum(sizes), within_ms=20_000
        )
        check_at_rest(bench, partition, 2 * sum(sizes))


def check_at_rest(bench: Bench, partition: Partition, end: int) -> None:
    """All is replicated and no transaction was ever open: three of the marks are the same."""
    for read_committed in (False, True):
        answer = partition.fetch(end, read_committed=read_committed).result()
        latest = partition.list_offsets(LATEST, read_committed=read_committed).result()
        bench.premise("marks were observed at rest")
        assert answer.error is ErrorCode.none, "the log end can be read from"
        assert (answer.last_stable_offset, answer.high_watermark) == (end, end)
        assert latest.offset == end, "ListOffsets knows the same marks as Fetch"
        assert answer.log_start_offset <= end


# ---- OFF-02: ListOffsets -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The log as it can be read, from which every answer of ListOffsets follows."""

    start: int
    end: int
    records: Sequence[tuple[int, int, int]]
    """Offset, timestamp in milliseconds and leader epoch of each."""

    @classmethod
    def of(cls, partition: Partition) -> "Scan":
        start, end = partition.offset_at(EARLIEST), settled_end(partition)
        records = [
            (record.offset, record.timestamp_ms, batch.leader_epoch)
            for batch in partition.read_batches(start, end)
            for record in batch.records
            if record.offset >= start
        ]
        return cls(start=start, end=end, records=records)

    def expected(self, timestamp: int) -> tuple[int, int, int]:
        """Offset, timestamp and leader epoch of the record to be found, or -1 for each."""
        if timestamp == MAX_TIMESTAMP:
            timestamp = max((at for _, at, _ in self.records), default=0)
        return next((r for r in self.records if r[1] >= timestamp), (-1, -1, -1))

    def questions(self) -> list[int]:
        """Timestamps at, before, between and beyond those of the records."""
        known = {at for _, at, _ in self.records}
        near = {at + by for at in known for by in (-1, 0, 1)}
        middle = max(known, default=0) // 2
        return sorted(at for at in {0, 1, middle, FAR} | near if at >= 0)


LEADER_EPOCH_SINCE, ISOLATION_SINCE, MAX_TIMESTAMP_SINCE = 4, 2, 7


def compare_offsets(
    bench: Bench, partition: Partition, versions: Iterable[int], *, largest: bool = True
) -> Scan:
    """Asks in these versions for every kind of offset, and compares with a scan of the log.

    `largest` says whether the largest timestamp (-3) is among them.
    """
    scan = Scan.of(partition)
    asked: list[tuple[int, int, Pending[ListedOffset]]] = []
    for version in versions:
        special = [EARLIEST, LATEST]
        if largest and version >= MAX_TIMESTAMP_SINCE:
            special.append(MAX_TIMESTAMP)
        asked += [
            (version, timestamp, partition.list_offsets(timestamp, version=version))
            for timestamp in (*special, *scan.questions())
        ]
        if version >= ISOLATION_SINCE:
            stable = partition.list_offsets(LATEST, version=version, read_committed=True)
            asked.append((version, LATEST, stable))
    partition.target.settle(*(pending for _, _, pending in asked))
    for version, timestamp, pending in asked:
        bench.premise("an offset was asked for")
        case, answer = f"ListOffsets v{version} for {timestamp}", pending.value
        assert answer.error is ErrorCode.none, case
        if timestamp in (EARLIEST, LATEST):
            right = scan.start if timestamp == EARLIEST else scan.end
            assert answer.offset == right, f"{case}: the log start or the high watermark"
            continue
        found = (answer.offset, answer.timestamp_ms, answer.leader_epoch)
        compared = 3 if version >= LEADER_EPOCH_SINCE else 2
        right_record = scan.expected(timestamp)[:compared]
        assert found[:compared] == right_record, f"{case}: what a scan of the log finds"
    return scan


time_lists = st.lists(st.integers(0, 30), min_size=1, max_size=5)
timed_batches = st.lists(st.tuples(time_lists, st.sampled_from(Codec)), min_size=1, max_size=6)


def append_timed(partition: Partition, batches: Iterable[tuple[Sequence[int], Codec]]) -> None:
    """Batches whose records have these timestamps, in this order."""
    for times, codec in batches:
        records = [NewRecord(value=b"x", timestamp_ms=time) for time in times]
        partition.append_records(records, codec=codec, timestamp_ms=times[0])


@pytest.mark.clause("OFF-02")
@given(
    world=worlds(),
    batches=timed_batches,
    time_type=st.sampled_from(["CreateTime", "LogAppendTime"]),
    data=st.data(),
)
def test_list_offsets_finds_what_a_scan_finds(
    bench: Bench,
    world: World,
    batches: list[tuple[list[int], Codec]],
    time_type: str,
    data: st.DataObject,
) -> None:
    """Timestamps in any order, in batches of any codec: each answer is what the log says."""
    configs = {**KEPT, "message.timestamp.type": time_type}
    with bench.partition(world=world, configs=configs) as partition:
        append_timed(partition, batches)
        version = data.draw(st.sampled_from(served(partition, "list_offsets", 1)))
        compare_offsets(bench, partition, [version])


TIMES = [([5, 1, 9, 3, 9], Codec.NONE), ([9, 2], Codec.GZIP), ([0, 7, 8, 7], Codec.LZ4)]
"""The largest timestamp stands in the middle of a batch, twice, and again in the next one."""


@pytest.mark.clause("OFF-02")
def test_every_version_of_list_offsets_finds_the_same(bench: Bench) -> None:
    """On one log all versions agree, and each record comes with its leader epoch."""
    with bench.partition(configs=KEPT) as partition:
        append_timed(partition, TIMES)
        compare_offsets(bench, partition, served(partition, "list_offsets", 1))


@pytest.mark.clause("OFF-02")
def test_an_empty_log_has_its_ends_and_no_record(bench: Bench) -> None:
    """Without a record the log starts and ends at 0, and no timestamp is found."""
    with bench.partition(configs=KEPT) as partition:
        scan = compare_offsets(bench, partition, served(partition, "list_offsets", 1))
        assert (scan.start, scan.end) == (0, 0)


@pytest.mark.clause("OFF-02")
def test_what_is_deleted_is_not_found_by_its_time(bench: Bench) -> None:
    """Only kept records count, also where the log start lies within a batch."""
    with bench.partition(configs=KEPT) as partition:
        append_timed(partition, TIMES)
        for before_offset in (1, 3, 6, 11):
            delete(partition, before_offset)
            versions = served(partition, "list_offsets", 1)
            scan = compare_offsets(bench, partition, versions, largest=False)
            assert scan.start == before_offset


@pytest.mark.clause("OFF-02")
def test_the_largest_timestamp_is_sought_among_kept_records(bench: Bench) -> None:
    """Once the record with the largest timestamp is deleted, another one has it, or none."""
    with bench.partition(configs=KEPT) as partition:
        append_timed(partition, TIMES)
        for before_offset in (3, 6, 11):
            delete(partition, before_offset)
            scan = Scan.of(partition)
            for version in served(partition, "list_offsets", MAX_TIMESTAMP_SINCE):
                answer = partition.list_offsets(MAX_TIMESTAMP, version=version).result()
                bench.premise("the record with the largest timestamp was deleted")
                found = (answer.offset, answer.timestamp_ms, answer.leader_epoch)
                assert answer.error is ErrorCode.none
                assert found == scan.expected(MAX_TIMESTAMP), "the log holds no other such record"


@pytest.mark.clause("OFF-02")
def test_a_deleted_record_does_not_hide_a_later_segment(bench: Bench) -> None:
    """A time is sought through all of the log, also where a segment has lost its latest record."""
    hour_ms = 3_600_000
    with bench.partition(configs={**KEPT, "segment.ms": str(hour_ms)}) as partition:
        append_timed(partition, [([9 * hour_ms, 5], Codec.NONE), ([20 * hour_ms], Codec.NONE)])
        delete(partition, 1)
        bench.premise("the latest record of a segment was deleted")
        scan = compare_offsets(
            bench, partition, served(partition, "list_offsets", 1), largest=False
        )
        assert scan.expected(9 * hour_ms)[0] == 2, "only the last record is so late"


@pytest.mark.clause("OFF-02")
def test_each_record_is_found_with_its_leader_epoch(bench: Bench) -> None:
    """The epoch is that of the record and not of whoever leads now."""
    with bench.partition(configs=KEPT) as partition:
        if not partition.followers:
            raise NotRun("leadership moves only between several brokers")
        for number, batch in enumerate(TIMES):
            if number:
                move_leader(partition, partition.followers[0])
            append_timed(partition, [batch])
        scan = compare_offsets(bench, partition, served(partition, "list_offsets", 1))
        bench.premise("leader epochs had records", len({epoch for *_, epoch in scan.records}))
        move_leader(partition, partition.followers[0])
        compare_offsets(bench, partition, served(partition, "list_offsets", 1))


# ---- OFF-08: where one may read ------------------------------------------------------------------


def compare_range(bench: Bench, partition: Partition, start: int, end: int, version: int) -> None:
    """Fetches at every offset around the log and far from it."""
    offsets = [-FAR, *range(-2, end + 4), FAR]
    asked = [
        partition.fetch(offset, version=version, read_committed=bool(offset % 2))
        for offset in offsets
    ]
    for answer in partition.target.wait(*asked):
        case = f"Fetch v{version} at {answer.offset} of {start} to {end}"
        if not start <= answer.offset <= end:
            bench.premise("an offset was out of range")
            assert answer.error is ErrorCode.offset_out_of_range, f"{case}: out of range"
            assert not answer.batches, f"{case}: no records come with an error"
            continue
        bench.premise("an offset was in range")
        assert answer.error is ErrorCode.none, f"{case}: in range"
        check_records(answer, end)


def check_records(answer: Fetched, end: int) -> None:
    """Some of the records from the offset to `end`, and at least one where there is one."""
    found = [record.offset for record in answer.records]
    assert found == list(range(answer.offset, end))[: len(found)], "from there on, without a gap"
    assert bool(found) == (answer.offset < end), "no fetch below the end comes back empty"


@pytest.mark.clause("OFF-08")
@given(
    world=worlds(),
    sizes=st.lists(st.integers(1, 4), max_size=4),
    deleted=st.integers(0, 16),
    data=st.data(),
)
def test_a_fetch_is_in_range_from_log_start_to_log_end(
    bench: Bench, world: World, sizes: list[int], deleted: int, data: st.DataObject
) -> None:
    """From log start to log end a fetch is accepted, and anywhere else it is out of range."""
    with bench.partition(world=world, configs=KEPT) as partition:
        for size in sizes:
            partition.append(*[b"x"] * size)
        start, end = 0, sum(sizes)
        if deleted and partition.leader.serves("delete_records"):
            delete(partition, start := min(deleted, end))
        versions = [v for v in served(partition, "fetch", 4) if v <= NAMED_TOPICS_UP_TO]
        compare_range(bench, partition, start, end, data.draw(st.sampled_from(versions)))


@pytest.mark.clause("OFF-08")
def test_every_version_of_fetch_has_the_same_range(bench: Bench) -> None:
    """All versions accept and refuse the same offsets."""
    with bench.partition(configs=KEPT) as partition:
        partition.append(b"x", b"y", b"z")
        start = 0
        if partition.leader.serves("delete_records"):
            delete(partition, start := 1)
        for version in served(partition, "fetch", 4):
            compare_range(bench, partition, start, 3, version)


# ---- an uncommitted tail -------------------------------------------------------------------------

COMMITTED, TAIL = 3, 2
TAIL_MS = 1_000


@pytest.mark.clause("OFF-08", "OFF-01")
@pytest.mark.needs(Capability.CUT_BROKERS)
@given(world=worlds(), read_committed=st.booleans())
def test_between_high_watermark_and_log_end_there_is_nothing_and_no_error(
    bench: Bench, world: World, read_committed: bool
) -> None:
    """Records that followers have not got can be waited at, and neither read nor stepped over."""
    with bench.partition(world=world, configs=KEPT) as partition:
        end = COMMITTED + TAIL
        append_timed(partition, [([1], Codec.NONE)] * COMMITTED)
        settled_end(partition)
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            append_tail(partition)
            asked = [
                partition.fetch(offset, read_committed=read_committed)
                for offset in range(-1, end + 3)
            ]
            for answer in partition.target.wait(*asked):
                if not 0 <= answer.offset <= end:
                    assert answer.error is ErrorCode.offset_out_of_range, "beyond the log end"
                    continue
                assert answer.error is ErrorCode.none, "within the log"
                if answer.high_watermark != COMMITTED:
                    raise Inconclusive(f"the high watermark is at {answer.high_watermark}")
                bench.premise("a fetch met an uncommitted tail", int(answer.offset >= COMMITTED))
                assert answer.last_stable_offset == COMMITTED, "no higher than the high watermark"
                check_records(answer, COMMITTED)


@pytest.mark.clause("OFF-02")
@pytest.mark.needs(Capability.CUT_BROKERS)
@given(world=worlds())
def test_list_offsets_does_not_look_beyond_the_high_watermark(bench: Bench, world: World) -> None:
    """Neither the latest offset nor a timestamp leads into what is not committed."""
    with bench.partition(world=world, configs=KEPT) as partition:
        append_timed(partition, [([1], Codec.NONE)] * COMMITTED)
        settled_end(partition)
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            append_tail(partition)
            latest = [partition.list_offsets(LATEST, read_committed=c) for c in (False, True)]
            late = [partition.list_offsets(time) for time in (2, TAIL_MS, MAX_TIMESTAMP)]
            early = partition.list_offsets(1)
            mark = partition.fetch(COMMITTED)
            partition.target.settle(*latest, *late, early, mark)
            if mark.value.high_watermark != COMMITTED:
                raise Inconclusive(f"the high watermark is at {mark.value.high_watermark}")
            bench.premise("ListOffsets met an uncommitted tail", len(latest) + len(late))
            assert [pending.value.offset for pending in latest] == [COMMITTED, COMMITTED]
            assert early.value.offset == 0, "what is committed is found"
            assert [pending.value.offset for pending in late[:2]] == [-1, -1], "nothing so late"
            assert late[2].value.offset < COMMITTED, "-3 does not lead beyond the bound either"


def append_tail(partition: Partition) -> None:
    """Records that the leader acknowledges alone; raises `Inconclusive` where it does not."""
    answer = partition.produce(batch_of(*[b"x"] * TAIL, timestamp_ms=TAIL_MS), acks=1).result()
    if answer.error is not ErrorCode.none or answer.base_offset != COMMITTED:
        raise Inconclusive(f"no tail: {answer.error.name} at {answer.base_offset}")
