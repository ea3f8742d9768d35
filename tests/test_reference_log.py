"""The log of one replica, and what is derived from it: epochs, producers, segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import Batch, NewRecord
from reference.batch import Header, read_header, split, stamped
from reference.epochs import EpochCache
from reference.errors import Error
from reference.log import Log, OutOfOrder
from reference.producer_state import ProducerState
from reference.requests import EpochEnd
from reference.rules import Rules
from tests.core_cluster import NOW_MS, batch

ROOMY = (1 << 30, 1 << 40)


def log_of(*batches: bytes, epoch: int = 0) -> Log:
    log = Log(Rules())
    for each in batches:
        extend(log, each, epoch=epoch)
    return log


def extend(log: Log, content: bytes, *, epoch: int = 0, segment_bytes: int = 1 << 30) -> None:
    placed = stamped(content, base_offset=log.end_offset, leader_epoch=epoch)
    log.append(placed, segment_bytes, ROOMY[1])


def offsets(content: bytes) -> list[int]:
    return [read_header(each).base_offset for each in split(content)]


# ---- the epoch cache ----------------------------------------------------------------------------


@given(
    entries=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4)), min_size=1, max_size=8),
    asked=st.integers(0, 30),
)
def test_an_epoch_ends_where_the_next_one_begins(
    entries: list[tuple[int, int]], asked: int
) -> None:
    cache, epoch, start, plain = EpochCache(), 0, 0, dict[int, int]()
    for more_epochs, more_offsets in entries:
        epoch, start = epoch + more_epochs, start + more_offsets
        cache.assign(epoch, start)
        plain[epoch] = start
    end = start + 5
    later = [plain[each] for each in sorted(plain) if each > asked]
    known = [each for each in sorted(plain) if each <= asked]
    if asked > epoch:
        assert cache.end_of(asked, end) == EpochEnd(-1, -1)
    elif not known:
        assert cache.end_of(asked, end) == EpochEnd(asked, later[0])
    else:
        assert cache.end_of(asked, end) == EpochEnd(known[-1], later[0] if later else end)


def test_an_epoch_that_wrote_nothing_is_known() -> None:
    cache = EpochCache()
    for epoch in (0, 1, 2):
        cache.assign(epoch, 7)
    assert [cache.end_of(epoch, 7) for epoch in (0, 1, 2, 3)] == [
        EpochEnd(0, 7),
        EpochEnd(1, 7),
        EpochEnd(2, 7),
        EpochEnd(-1, -1),
    ]


def test_the_cache_is_truncated_at_both_ends() -> None:
    cache = EpochCache()
    for epoch, start in ((0, 0), (2, 10), (3, 20)):
        cache.assign(epoch, start)
    cache.truncate_from_end(20)
    assert (cache.epochs, cache.starts) == ([0, 2], [0, 10])
    cache.truncate_from_start(15)
    assert (cache.epochs, cache.starts) == ([2], [15])
    assert cache.end_of(0, 18) == EpochEnd(0, 15)
    assert cache.epoch_of(14) == -1
    assert cache.epoch_of(15) == 2


def test_an_older_epoch_changes_nothing() -> None:
    cache = EpochCache()
    cache.assign(3, 5)
    cache.assign(2, 9)
    cache.assign(3, 9)
    assert (cache.epochs, cache.starts) == ([3], [5])


# ---- producers ----------------------------------------------------------------------------------


def header_of(sequence: int, count: int = 1, epoch: int = 0, producer: int = 9) -> Header:
    values = [b"v"] * count
    return read_header(
        batch(*values, producer_id=producer, producer_epoch=epoch, base_sequence=sequence)
    )


def state_after(*sequences: int, epoch: int = 0) -> ProducerState:
    state = ProducerState(Rules())
    for sequence in sequences:
        state.remember(header_of(sequence, epoch=epoch))
    return state


def test_the_last_five_batches_are_recognised() -> None:
    state = state_after(0, 1, 2, 3, 4, 5)
    assert state.duplicate_of(header_of(0)) is None
    assert state.check(header_of(0)) is Error.OUT_OF_ORDER_SEQUENCE_NUMBER
    for sequence in range(1, 6):
        assert state.duplicate_of(header_of(sequence)) is not None
    assert state.duplicate_of(header_of(5, count=2)) is None, "another batch at the same place"
    assert state.duplicate_of(header_of(5, epoch=1)) is None


@pytest.mark.parametrize(
    ("sequence", "epoch", "error"),
    [
        (3, 4, Error.NONE),
        (4, 4, Error.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (1, 4, Error.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (0, 5, Error.NONE),
        (3, 5, Error.OUT_OF_ORDER_SEQUENCE_NUMBER),
        (3, 3, Error.INVALID_PRODUCER_EPOCH),
    ],
)
def test_what_may_come_next(sequence: int, epoch: int, error: Error) -> None:
    state = state_after(0, 1, 2, epoch=4)
    assert state.check(header_of(sequence, epoch=epoch)) is error


def test_sequences_wrap_to_zero() -> None:
    state = state_after(2**31 - 2)
    assert state.check(header_of(2**31 - 1)) is Error.NONE
    state.remember(header_of(2**31 - 1, count=3))
    assert state.check(header_of(2)) is Error.NONE
    assert state.check(header_of(3)) is Error.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_an_unknown_producer_may_start_anywhere() -> None:
    assert state_after(0).check(header_of(77, producer=10)) is Error.NONE


# ---- the log ------------------------------------------------------------------------------------


def test_reading_starts_with_the_batch_that_holds_the_offset() -> None:
    log = log_of(batch(b"a", b"b"), batch(b"c"), batch(b"d", b"e", b"f"))
    for start, first in ((0, 0), (1, 0), (2, 2), (3, 3), (5, 3)):
        found = log.slice(start, 6, 1 << 20, at_least_one=True)
        assert offsets(log.read(found))[0] == first
    assert log.slice(6, 6, 1 << 20, at_least_one=True).size_bytes == 0


def test_reading_keeps_the_limits() -> None:
    sizes = [len(batch(b"x" * n)) for n in (10, 20, 30)]
    log = log_of(*(batch(b"x" * n) for n in (10, 20, 30)))

    def read(max_bytes: int, *, at_least_one: bool, limit: int = 3) -> int:
        return log.slice(0, limit, max_bytes, at_least_one=at_least_one).size_bytes

    assert read(1, at_least_one=True) == sizes[0]
    assert read(1, at_least_one=False) == 0
    assert read(sizes[0] + sizes[1], at_least_one=False) == sizes[0] + sizes[1]
    assert read(sizes[0] + sizes[1] - 1, at_least_one=False) == sizes[0]
    assert read(1 << 20, at_least_one=True, limit=2) == sizes[0] + sizes[1]


def test_a_batch_below_the_end_is_refused() -> None:
    log = log_of(batch(b"a"), batch(b"b"))
    with pytest.raises(OutOfOrder):
        log.append(stamped(batch(b"c"), base_offset=1, leader_epoch=0), *ROOMY)
    assert log.end_offset == 2


Step = tuple[str, int]


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(1, 3)),
            st.tuples(st.just("truncate"), st.integers(0, 12)),
            st.tuples(st.just("delete"), st.integers(0, 12)),
            st.tuples(st.just("epoch"), st.just(1)),
        ),
        max_size=25,
    )
)
def test_a_log_is_what_its_batches_make(steps: list[Step]) -> None:
    """Whatever happens to a log, all that is derived equals what a plain list would give."""
    log, kept, epoch, sequence = Log(Rules()), list[tuple[int, int, bytes]](), 0, 0
    start, deleted = 0, list[bytes]()
    for action, number in steps:
        if action == "epoch":
            epoch += 1
        elif action == "append":
            header = {"producer_id": 1, "producer_epoch": 0, "base_sequence": sequence}
            content = stamped(
                batch(*[b"v"] * number, **header), base_offset=log.end_offset, leader_epoch=epoch
            )
            sequence += number
            kept.append((log.end_offset, log.end_offset + number, content))
            log.append(content, 300, ROOMY[1])
        elif action == "truncate":
            log.truncate(number)
            kept = [each for each in kept if each[1] <= max(number, start)]
        else:
            number = min(number, log.end_offset)
            log.delete_before(number)
            start = max(start, number)
            deleted += [each[2] for each in kept if each[1] <= start]
            kept = [each for each in kept if each[1] > start]
        assert log.batches == [each[2] for each in kept]
        assert log.ends == [each[1] for each in kept]
        assert log.start_offset == start
        assert log.end_offset == (kept[-1][1] if kept else start)
        assert log.size_bytes == sum(len(each[2]) for each in kept)
        assert log.segments == sorted(set(log.segments))
        assert bool(log.segments) == bool(kept)
        last = [read_header(each).leader_epoch for each in (*deleted, *log.batches)]
        assert log.last_epoch == (last[-1] if last else -1)
        expected = ProducerState(Rules())
        expected.replay({}, map(read_header, (*deleted, *log.batches)))
        assert log.producers.producers == expected.producers
        for _, end, content in kept:
            ends = log.epochs.end_of(read_header(content).leader_epoch, log.end_offset)
            assert ends.end_offset >= end, "an epoch does not end before its records do"


def test_records_are_found_by_time() -> None:
    def at(*stamps: int) -> bytes:
        records = tuple(NewRecord(value=b"v", timestamp_ms=each) for each in stamps)
        return Batch(records=records, timestamp_ms=stamps[0]).encode()

    log = log_of(at(1, 9, 3), at(5, 9), at(7))
    for asked, offset, stamp in ((0, 0, 1), (2, 1, 9), (9, 1, 9), (1, 0, 1)):
        found = log.first_at_or_after(asked, 6)
        assert found is not None
        assert (found.offset, found.timestamp_ms) == (offset, stamp)
    assert log.first_at_or_after(10, 6) is None
    assert log.first_at_or_after(2, 1) is None, "offset 1 is not below the limit"
    newest = log.with_maximum_timestamp(6)
    assert newest is not None
    assert (newest.offset, newest.timestamp_ms) == (1, 9)
    log.delete_before(2)
    newest = log.with_maximum_timestamp(6)
    assert newest is not None
    assert (newest.offset, newest.timestamp_ms) == (4, 9)
    newest = log.with_maximum_timestamp(4)
    assert newest is not None
    assert (newest.offset, newest.timestamp_ms) == (3, 5)


def test_old_and_surplus_segments_may_go() -> None:
    log = Log(Rules())
    for number in range(5):
        extend(log, batch(b"x" * 100, timestamp_ms=NOW_MS + 1000 * number), segment_bytes=200)
    assert log.segments == [0, 1, 2, 3, 4]
    size = log.size_bytes
    young, limit = NOW_MS + 4000, 5
    assert log.retained_from(young, -1, -1, limit) == 0
    assert log.retained_from(young, 2500, -1, limit) == 2
    assert log.retained_from(young, 2500, -1, 1) == 1, "never past the limit"
    assert log.retained_from(young, -1, size // 5 * 2, limit) == 3
    assert log.retained_from(young + 10_000, 1, -1, limit) == 5, "the active segment too"
