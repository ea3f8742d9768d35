"""The marks on a log: the order they keep, and between which of them one may read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive
from conformance.partition import EARLIEST, LATEST, NAMED_TOPICS_UP_TO, Fetched, Partition
from conformance.records import batch_of
from conformance.targets.target import Capability, Worker
from conformance.workload.epoch_ends import steady
from conformance.workload.marks import COMMITTED, FAR, TAIL, delete, served, with_tail
from conformance.workload.transactions import open_transaction
from conformance.world import World, worlds

A = TypeVar("A")


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
        for name, lower, higher in (
            ("log start <= last stable offset", starts, stable[1:]),
            ("last stable offset <= high watermark", stable, high[1:]),
            ("high watermark <= log end", high, self.log_ends),
        ):
            broken = [pair for pair in zip(lower, higher, strict=False) if pair[0] > pair[1]]
            assert not broken, name


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
    with bench.partition(world=world) as partition:
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
        assert answer.high_watermark == end, "all of it is committed"
        assert answer.last_stable_offset == end, "no transaction is open"
        assert latest.offset == end, "ListOffsets knows the same marks as Fetch"


@pytest.mark.clause("OFF-01")
@pytest.mark.parametrize("commits", [(True, False), (False, True)], ids=["commit", "abort"])
def test_the_last_stable_offset_waits_for_the_earliest_open_transaction(
    bench: Bench, commits: tuple[bool, bool]
) -> None:
    """It stands at the first offset of the earliest open transaction until its marker is there."""
    with bench.partition() as partition:
        partition.append(b"0", b"1")
        first = open_transaction(partition, bench.name("-first"), b"2", b"3")
        partition.append(b"4")
        second = open_transaction(partition, bench.name("-second"), b"5")
        partition.append(b"6")
        check_stable(bench, partition, first.first_offset, end=7)
        first.end(commit=commits[0])
        check_stable(bench, partition, second.first_offset, end=8)
        second.end(commit=commits[1])
        check_stable(bench, partition, 9, end=9)


def check_stable(bench: Bench, partition: Partition, stable: int, *, end: int) -> None:
    """Once the high watermark is at `end`, and at no time before, the last stable offset is at
    `stable`, in Fetch and in ListOffsets."""

    def ask() -> Fetched:
        answer = partition.fetch(0, read_committed=True).result()
        assert answer.last_stable_offset <= stable, "a transaction is open from there on"
        return answer

    partition.target.eventually(
        ask, lambda found: found.last_stable_offset == stable, within_ms=20_000
    )
    latest = [partition.list_offsets(LATEST, read_committed=c).result() for c in (True, False)]
    bench.premise("a transaction was open or had just ended")
    assert [answer.offset for answer in latest] == [stable, end], "ListOffsets says the same"


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
        steady(answer.error)
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
    deleted=st.sampled_from([0, 0, 1, 2, 5, 16]),
    data=st.data(),
)
def test_a_fetch_is_in_range_from_log_start_to_log_end(
    bench: Bench, world: World, sizes: list[int], deleted: int, data: st.DataObject
) -> None:
    """From log start to log end a fetch is accepted, and anywhere else it is out of range."""
    with bench.partition(world=world) as partition:
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
    with bench.partition() as partition:
        partition.append(b"x", b"y", b"z")
        start = 0
        if partition.leader.serves("delete_records"):
            delete(partition, start := 1)
        for version in served(partition, "fetch", 4):
            compare_range(bench, partition, start, 3, version)


# ---- an uncommitted tail -------------------------------------------------------------------------


@pytest.mark.clause("OFF-08")
@pytest.mark.needs(Capability.CUT_BROKERS)
@given(world=worlds(), read_committed=st.booleans())
def test_between_high_watermark_and_log_end_there_is_nothing_and_no_error(
    bench: Bench, world: World, read_committed: bool
) -> None:
    """Records that followers have not got can be waited at, and neither read nor stepped over."""
    with with_tail(bench, world) as partition:
        end = COMMITTED + TAIL
        asked = [
            partition.fetch(offset, read_committed=read_committed) for offset in range(-1, end + 3)
        ]
        for answer in partition.target.wait(*asked):
            if not 0 <= answer.offset <= end:
                assert answer.error is ErrorCode.offset_out_of_range, "beyond the log end"
                continue
            bench.premise("a fetch met an uncommitted tail", int(answer.offset >= COMMITTED))
            assert answer.error is ErrorCode.none, "within the log"
            check_records(answer, COMMITTED)


@pytest.mark.clause("OFF-01")
@pytest.mark.needs(Capability.CUT_BROKERS)
@given(world=worlds())
def test_the_marks_stay_below_an_uncommitted_tail(bench: Bench, world: World) -> None:
    """While followers lag, high watermark and last stable offset stay and the log end goes on."""
    with with_tail(bench, world) as partition:
        answers = partition.target.wait(
            *(partition.fetch(COMMITTED, read_committed=c) for c in (False, True))
        )
        end = partition.epoch_end(partition.view.leader_epoch).result()
        bench.premise("marks were observed below an uncommitted tail", len(answers))
        for answer in answers:
            assert answer.high_watermark == COMMITTED, "what followers lack is not committed"
            assert answer.last_stable_offset == COMMITTED, "no higher than the high watermark"
        assert end.end_offset == COMMITTED + TAIL, "the log end counts what is not committed"
