"""ListOffsets: whatever is asked for, the answer follows from the log that can be read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.outcomes import NotRun
from conformance.partition import EARLIEST, LATEST, MAX_TIMESTAMP, ListedOffset, Partition
from conformance.records import Codec
from conformance.targets.target import Capability
from conformance.workload.epoch_ends import settled_end, steady
from conformance.workload.leaders import move_leader
from conformance.workload.marks import (
    COMMITTED,
    FAR,
    TAIL_MS,
    append_timed,
    delete,
    served,
    with_tail,
)
from conformance.world import World, worlds


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
    for version in versions:
        special = [EARLIEST, LATEST]
        if largest and version >= MAX_TIMESTAMP_SINCE:
            special.append(MAX_TIMESTAMP)
        asked = [
            (timestamp, partition.list_offsets(timestamp, version=version))
            for timestamp in (*special, *scan.questions())
        ]
        if version >= ISOLATION_SINCE:
            stable = partition.list_offsets(LATEST, version=version, read_committed=True)
            asked.append((LATEST, stable))
        partition.target.settle(*(pending for _, pending in asked))
        bench.premise("an offset was asked for", len(asked))
        for timestamp, pending in asked:
            check_offset(scan, version, timestamp, pending.value)
    return scan


def check_offset(scan: Scan, version: int, timestamp: int, answer: ListedOffset) -> None:
    """One answer; versions before 4 name no leader epoch."""
    case = f"ListOffsets v{version} for {timestamp}"
    assert steady(answer.error) is ErrorCode.none, f"{case}: a leader answers"
    if timestamp in (EARLIEST, LATEST):
        right = scan.start if timestamp == EARLIEST else scan.end
        assert answer.offset == right, f"{case}: the log start or the high watermark"
        return
    found = (answer.offset, answer.timestamp_ms, answer.leader_epoch)
    compared = 3 if version >= LEADER_EPOCH_SINCE else 2
    expected = scan.expected(timestamp)
    assert found[:compared] == expected[:compared], f"{case}: what a scan of the log finds"


time_lists = st.lists(st.integers(0, 30), min_size=1, max_size=5)
timed_batches = st.lists(st.tuples(time_lists, st.sampled_from(Codec)), min_size=1, max_size=6)


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
    configs = {"message.timestamp.type": time_type}
    with bench.partition(world=world, configs=configs) as partition:
        append_timed(partition, batches)
        version = data.draw(st.sampled_from(served(partition, "list_offsets", 1)))
        compare_offsets(bench, partition, [version])


TIMES = [([5, 1, 9, 3, 9], Codec.NONE), ([9, 2], Codec.GZIP), ([0, 7, 8, 7], Codec.LZ4)]
"""The largest timestamp stands in the middle of a batch, twice, and again in the next one."""


@pytest.mark.clause("OFF-02")
def test_every_version_of_list_offsets_finds_the_same(bench: Bench) -> None:
    """On one log all versions agree, and each record comes with its leader epoch."""
    with bench.partition() as partition:
        append_timed(partition, TIMES)
        compare_offsets(bench, partition, served(partition, "list_offsets", 1))


@pytest.mark.clause("OFF-02")
def test_an_empty_log_has_its_ends_and_no_record(bench: Bench) -> None:
    """Without a record the log starts and ends at 0, and no timestamp is found."""
    with bench.partition() as partition:
        scan = compare_offsets(bench, partition, served(partition, "list_offsets", 1))
        assert (scan.start, scan.end) == (0, 0)


@pytest.mark.clause("OFF-02")
def test_what_is_deleted_is_not_found_by_its_time(bench: Bench) -> None:
    """Only kept records count, also where the log start lies within a batch."""
    with bench.partition() as partition:
        append_timed(partition, TIMES)
        for before_offset in (1, 3, 6, 11):
            delete(partition, before_offset)
            versions = served(partition, "list_offsets", 1)
            scan = compare_offsets(bench, partition, versions, largest=False)
            assert scan.start == before_offset, "the log start is where it was moved to"


@pytest.mark.clause("OFF-02")
def test_the_largest_timestamp_is_sought_among_kept_records(bench: Bench) -> None:
    """Once the record with the largest timestamp is deleted, another one has it, or none."""
    with bench.partition() as partition:
        append_timed(partition, TIMES)
        for before_offset in (3, 6, 11):
            delete(partition, before_offset)
            scan = Scan.of(partition)
            for version in served(partition, "list_offsets", MAX_TIMESTAMP_SINCE):
                answer = partition.list_offsets(MAX_TIMESTAMP, version=version).result()
                bench.premise("the record with the largest timestamp was deleted")
                found = (answer.offset, answer.timestamp_ms, answer.leader_epoch)
                assert steady(answer.error) is ErrorCode.none, "a leader answers"
                assert found == scan.expected(MAX_TIMESTAMP), "the log holds no other such record"


@pytest.mark.clause("OFF-02")
def test_a_deleted_record_does_not_hide_a_later_segment(bench: Bench) -> None:
    """A time is sought through all of the log, also where a segment has lost its latest record."""
    hour_ms = 3_600_000
    with bench.partition(configs={"segment.ms": str(hour_ms)}) as partition:
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
    with bench.partition() as partition:
        if not partition.followers:
            raise NotRun("leadership moves only between several brokers")
        for number, batch in enumerate(TIMES):
            if number:
                move_leader(partition, partition.followers[0])
                settled_end(partition)
            append_timed(partition, [batch])
        scan = compare_offsets(bench, partition, served(partition, "list_offsets", 1))
        bench.premise("leader epochs had records", len({epoch for *_, epoch in scan.records}))
        move_leader(partition, partition.followers[0])
        compare_offsets(bench, partition, served(partition, "list_offsets", 1))


@pytest.mark.clause("OFF-02")
@pytest.mark.needs(Capability.CUT_BROKERS)
@given(world=worlds())
def test_list_offsets_does_not_look_beyond_the_high_watermark(bench: Bench, world: World) -> None:
    """Neither the latest offset nor a timestamp leads into what is not committed."""
    with with_tail(bench, world) as partition:
        latest = [partition.list_offsets(LATEST, read_committed=c) for c in (False, True)]
        late = [partition.list_offsets(time) for time in (2, TAIL_MS)]
        largest, early = partition.list_offsets(MAX_TIMESTAMP), partition.list_offsets(1)
        partition.target.settle(*latest, *late, largest, early)
        bench.premise("ListOffsets met an uncommitted tail", 6)
        assert [p.value.offset for p in latest] == [COMMITTED] * 2, "the latest is committed"
        assert [p.value.offset for p in late] == [-1, -1], "nothing committed is so late"
        assert early.value.offset == 0, "what is committed is found"
        assert largest.value.offset < COMMITTED, "-3 does not lead beyond the bound either"
