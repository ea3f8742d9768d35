"""Compaction: what remains of a log, in memory and on the disk, whatever interrupts it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import CONTROL, TRANSACTIONAL, Batch, Codec, NewRecord, read_batches
from reference.batch import Header, read_header, stamped
from reference.configs import Configs, TopicConfig
from reference.log import Log
from reference.mutants import storage as mutants
from reference.producer_state import ProducerState
from reference.rules import Rules
from reference.storage.cleaner import compact
from reference.storage.compaction import Compaction
from reference.storage.simulated import SimulatedDisk
from tests.core_cluster import NOW_MS
from tests.storage_story import SEGMENT_BYTES, Killed, MortalDisk, Story, state_of

RETENTION_MS = 1000
CONFIG: TopicConfig = replace(
    Configs(1, {}, {}).topic("any"),
    segment_bytes=SEGMENT_BYTES,
    min_cleanable_dirty_ratio=0.0,
    delete_retention_ms=RETENTION_MS,
)

Content = tuple[int, bytes | None, bytes | None, int]
"""Offset, key, value, timestamp."""


def content(batches: Sequence[bytes]) -> list[Content]:
    """The data records of some batches; whoever reads them verifies the checksums."""
    return [
        (record.offset, record.key, record.value, record.timestamp_ms)
        for batch in read_batches(b"".join(batches))
        if not batch.is_control
        for record in batch.records
    ]


def values(records: Sequence[Content]) -> dict[bytes | None, bytes]:
    """What somebody has who has read all records: the last value of each key."""
    state: dict[bytes | None, bytes] = {}
    for _, key, value, _ in records:
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    return state


records = st.builds(
    NewRecord,
    key=st.sampled_from([b"a", b"b", b"c", b"d"]),
    value=st.one_of(st.none(), st.binary(min_size=1, max_size=60)),
    timestamp_ms=st.integers(NOW_MS, NOW_MS + 10_000),
)
batches_of_records = st.lists(records, min_size=1, max_size=4)
steps = st.one_of(
    st.tuples(st.just("append"), batches_of_records),
    st.tuples(st.just("append"), batches_of_records),
    st.tuples(st.just("compact"), st.integers(0, 40)),
    st.tuples(st.just("wait"), st.sampled_from([RETENTION_MS - 1, 1])),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("close"), st.none()),
)


@given(plan=st.lists(steps, max_size=40))
def test_compaction_keeps_the_latest_of_each_key(plan: list[tuple[str, object]]) -> None:
    """Whatever is cleaned and when, a reader from the start ends with the same values."""
    story, now_ms = Story(SimulatedDisk()), NOW_MS
    everything: list[Content] = []
    cleaned_ms: dict[int, int] = {}
    for action, argument in plan:
        log = story.log
        if action == "append":
            story.write(argument)  # type: ignore[arg-type]
            everything += content(log.batches[-1:])
        elif action == "wait":
            now_ms += argument  # type: ignore[operator]
        elif action == "compact":
            before = content(log.batches)
            committed = min(argument, log.end_offset)  # type: ignore[call-overload]
            if compact(log, CONFIG, now_ms, committed):
                assert log.cleaned_up_to <= committed
                check_one_per_key(content(log.batches), log.cleaned_up_to)
                check_tombstones(before, content(log.batches), cleaned_ms, now_ms)
            end = [each for each in before if each[0] >= committed]
            assert content(log.batches)[-len(end) or len(before) :] == end, "beyond is untouched"
        elif action in ("crash", "close"):
            known = state_of(log) | {"cleaned": log.cleaned_up_to}
            last = log.producers.producers.get(1)
            if action == "close":
                story.close()
            story.start()
            assert state_of(story.log) | {"cleaned": story.log.cleaned_up_to} == known
            now = story.log.producers.producers.get(1)
            if last:
                assert now is not None
                assert now.recent[-1] == last.recent[-1], "the last sequence is known"
        found = content(story.log.batches)
        assert values(found) == values(everything)
        left = iter(everything)
        assert all(record in left for record in found), "in order, at their offsets, unchanged"


def check_one_per_key(records: list[Content], end: int) -> None:
    keys = [key for offset, key, _, _ in records if offset < end]
    assert len(keys) == len(set(keys)), "of each key one record is left below the cleaned end"


def check_tombstones(
    before: list[Content], after: list[Content], cleaned_ms: dict[int, int], now_ms: int
) -> None:
    """A tombstone that is the last of its key is there as long as it must."""
    last = {key: offset for offset, key, _, _ in before}
    left = {offset for offset, _, _, _ in after}
    for offset, key, value, _ in before:
        if value is None and last[key] == offset:
            first_ms = cleaned_ms.setdefault(offset, now_ms)
            assert offset in left or now_ms - first_ms >= RETENTION_MS, "the tombstone is readable"


@given(
    plan=st.lists(batches_of_records, min_size=3, max_size=20),
    passes=st.lists(st.tuples(st.integers(0, 25), st.booleans()), min_size=1, max_size=3),
)
def test_a_compaction_that_is_interrupted_loses_nothing(
    plan: list[list[NewRecord]], passes: list[tuple[int, bool]]
) -> None:
    """Least of all a tombstone whose key still has an older value."""
    disk = MortalDisk()
    story, everything = Story(disk), list[Content]()
    for batch in plan:
        story.write(batch)
        everything += content(story.log.batches[-1:])
    now_ms = NOW_MS
    for writes, wait in passes:
        now_ms += RETENTION_MS * wait
        story.log.cleaned_up_to = 0
        disk.writes_left = writes
        try:
            compact(story.log, CONFIG, now_ms, story.log.end_offset)
            disk.writes_left = writes // 2
            story.start()  # what was interrupted is finished, and that is interrupted as well
        except Killed:
            disk.writes_left = None
            story.start()
        disk.writes_left = None
        found = content(story.log.batches)
        assert values(found) == values(everything)
        left = iter(everything)
        assert all(record in left for record in found)


def test_the_oldest_segments_are_cleaned_first() -> None:
    """Or a tombstone could go before the value that it deletes, and the process die between."""
    for writes in range(60):
        disk = MortalDisk()
        story = Story(disk)
        for key, value in ((b"k", b"v"), (b"k", None), (b"z", b"v"), (b"z", b"w")):
            story.write(
                [NewRecord(key=key, value=value), NewRecord(key=key + b"x", value=b"." * 350)]
            )
        for now_ms in (NOW_MS, NOW_MS + RETENTION_MS):
            disk.writes_left = writes
            try:
                compact(story.log, CONFIG, now_ms, story.log.end_offset)
            except Killed:
                story.start()
            disk.writes_left = None
            assert b"k" not in values(content(story.log.batches)), "what is deleted stays deleted"


@pytest.mark.parametrize("codec", Codec)
def test_batches_keep_what_names_them(codec: Codec) -> None:
    """Offsets, epoch, producer and sequence stay; records that are left are as they were."""
    kept, gone = NewRecord(key=b"k", value=b"kept"), NewRecord(key=b"x", value=b"gone")
    whole = Batch(
        records=(
            gone,
            replace(kept, timestamp_ms=NOW_MS + 7),
            gone,
            NewRecord(key=b"t", value=None),
        ),
        codec=codec,
        timestamp_ms=NOW_MS,
        producer_id=5,
        producer_epoch=2,
        base_sequence=10,
    )
    old = stamped(whole.encode(), base_offset=100, leader_epoch=3)
    later = stamped(Batch(records=(gone,)).encode(), base_offset=104, leader_epoch=3)
    new, last = cleaned([old, later], now_ms=NOW_MS)
    assert (last, new is not None) == (later, True)
    assert new is not None
    before, after = read_header(old), read_header(new)
    same = "base_offset leader_epoch last_offset_delta producer_id producer_epoch base_sequence"
    for name in same.split():
        assert getattr(after, name) == getattr(before, name)
    assert content([new]) == [
        (101, b"k", b"kept", NOW_MS + 7),
        (103, b"t", None, NOW_MS),
    ]
    assert (after.record_count, after.delete_horizon_ms) == (2, NOW_MS + RETENTION_MS)
    assert (after.max_timestamp, after.codec) == (NOW_MS + 7, codec)
    (again, _) = cleaned([new, later], now_ms=NOW_MS + RETENTION_MS - 1)
    assert again is new, "nothing is left to do"
    (again, _) = cleaned([new, later], now_ms=NOW_MS + RETENTION_MS)
    assert again is not None
    assert content([again]) == [(101, b"k", b"kept", NOW_MS + 7)]


def cleaned(
    batches: Sequence[bytes],
    *,
    now_ms: int = NOW_MS,
    count: int | None = None,
    rules: Rules | None = None,
) -> list[bytes | None]:
    headers = list(map(read_header, batches))
    producers = ProducerState(Rules())
    producers.replay({}, (header for header in headers if not header.is_control))
    return Compaction(
        batches=batches,
        headers=headers,
        count=len(batches) if count is None else count,
        producers=producers.producers,
        now_ms=now_ms,
        delete_retention_ms=RETENTION_MS,
        rules=rules or Rules(),
    ).outcome()


# ---- producers ----------------------------------------------------------------------------------


def test_the_last_batch_of_a_producer_stays_without_its_records() -> None:
    """LOG-09: a retry is recognised by a replica that has seen nothing but the cleaned log."""
    for rules, known in ((Rules(), True), (mutants.ProducerCompactedAway(), False)):
        story = Story(SimulatedDisk(), rules=rules)
        story.append(2)
        retry = story.log.headers[-1]
        overwrite(story.log, 12)
        assert compact(story.log, CONFIG, NOW_MS, story.log.end_offset)
        assert story.log.producers.duplicate_of(retry) is not None
        other = Log(rules)
        for batch in story.log.batches:
            other.append(batch, SEGMENT_BYTES, 1 << 40)
        assert (other.producers.duplicate_of(retry) is not None) == known
        assert other.end_offset == story.log.end_offset
        empty = [header for header in story.log.headers if header.record_count == 0]
        assert len(empty) == known
        if known:
            assert sequence_of(empty[0]) == sequence_of(retry)


def sequence_of(header: Header) -> tuple[int, int, int, int]:
    return header.producer_id, header.producer_epoch, header.base_sequence, header.last_sequence


def overwrite(log: Log, times: int) -> None:
    """Appends later records of the same key, of no producer."""
    for number in range(times):
        batch = Batch(records=(NewRecord(key=b"k", value=b"%d" % number * 20),))
        placed = stamped(batch.encode(), base_offset=log.end_offset, leader_epoch=0)
        log.append(placed, SEGMENT_BYTES, 1 << 40)


# ---- transactions -------------------------------------------------------------------------------


def transactional(offset: int, producer: int, *keys: bytes) -> bytes:
    batch = Batch(
        records=tuple(NewRecord(key=key, value=b"of %d" % producer) for key in keys),
        producer_id=producer,
        producer_epoch=0,
        base_sequence=offset,
        flags=TRANSACTIONAL,
    )
    return stamped(batch.encode(), base_offset=offset, leader_epoch=0)


def marker(offset: int, producer: int, *, commit: bool) -> bytes:
    key = (0).to_bytes(2, "big") + int(commit).to_bytes(2, "big")
    batch = Batch(
        records=(NewRecord(key=key, value=bytes(6)),),
        producer_id=producer,
        producer_epoch=0,
        flags=TRANSACTIONAL | CONTROL,
    )
    return stamped(batch.encode(), base_offset=offset, leader_epoch=0)


def plain(offset: int, *keys: bytes) -> bytes:
    records = tuple(NewRecord(key=key, value=b"plain") for key in keys)
    return stamped(Batch(records=records).encode(), base_offset=offset, leader_epoch=0)


def offsets(batches: Sequence[bytes | None]) -> list[int]:
    return [record[0] for record in content([each for each in batches if each])]


def test_an_aborted_record_replaces_nothing() -> None:
    """LOG-09: the older value is the latest that counts; and of two transactions side by side each
    marker ends its own."""
    log = [
        plain(0, b"a", b"b"),
        transactional(2, 7, b"a"),
        transactional(3, 8, b"b"),
        marker(4, 8, commit=True),
        marker(5, 7, commit=False),
        plain(6, b"z"),
    ]
    outcome = cleaned(log)
    assert offsets(outcome) == [0, 3, 6]
    assert outcome[3] is log[3], "the marker stays while its record is there"
    assert outcome[4] is not None, "the marker of records that are gone stays for a while"


def test_an_aborted_record_below_counts_for_nothing_though_its_marker_is_not_cleaned() -> None:
    log = [plain(0, b"a"), transactional(1, 7, b"a"), marker(2, 7, commit=False)]
    assert offsets(cleaned(log, count=2)) == [0]


def test_a_marker_outlives_its_records() -> None:
    """LOG-09, KAFKA-8351: by delete.retention.ms, counted from when they were found gone."""
    log = [transactional(0, 7, b"a"), marker(1, 7, commit=True), plain(2, b"a")]
    first = [each for each in cleaned(log) if each]
    waiting = first[-2]
    assert read_header(waiting).is_control
    assert read_header(waiting).delete_horizon_ms == NOW_MS + RETENTION_MS
    again = [each for each in cleaned(first, now_ms=NOW_MS + RETENTION_MS - 1) if each]
    assert again[-2] is waiting
    at_last = [each for each in cleaned(again, now_ms=NOW_MS + RETENTION_MS) if each]
    assert not any(read_header(each).is_control for each in at_last)
    assert offsets(at_last) == [2]


# ---- when ---------------------------------------------------------------------------------------


def dirty_log() -> Log:
    story = Story(SimulatedDisk())
    for number in range(12):
        story.write([NewRecord(key=b"k", value=b"x" * 100, timestamp_ms=NOW_MS + 100 * number)])
    assert len(story.log.segments) == 6
    return story.log


def test_young_segments_wait() -> None:
    log = dirty_log()
    config = replace(CONFIG, min_compaction_lag_ms=5_000)
    assert not compact(log, config, NOW_MS + 5_000, log.end_offset)
    assert compact(log, config, NOW_MS + 5_350, log.end_offset)
    assert log.cleaned_up_to == 4
    assert offsets(log.batches) == [3, *range(4, 12)]


def test_a_log_waits_until_enough_of_it_is_dirty() -> None:
    log = dirty_log()
    half = replace(CONFIG, min_cleanable_dirty_ratio=0.5)
    assert compact(log, half, NOW_MS, 10)
    assert not compact(log, half, NOW_MS, 10), "nothing new"
    assert log.cleaned_up_to == 10
    story_like = log.end_offset
    for _ in range(2):
        placed = stamped(
            Batch(records=(NewRecord(key=b"k", value=b"y" * 100),)).encode(),
            base_offset=log.end_offset,
            leader_epoch=0,
        )
        log.append(placed, SEGMENT_BYTES, 1 << 40)
    assert log.end_offset == story_like + 2
    assert not compact(log, replace(CONFIG, min_cleanable_dirty_ratio=1.0), NOW_MS, log.end_offset)
    assert compact(log, half, NOW_MS, log.end_offset)


def test_a_mutant_cleans_what_is_not_committed() -> None:
    for rules, end in ((Rules(), 4), (mutants.UncommittedCompacted(), 10)):
        log = dirty_log()
        log.rules = rules
        compact(log, CONFIG, NOW_MS, 5)
        assert log.cleaned_up_to == end
        assert (3 in offsets(log.batches)) == (type(rules) is Rules)


def test_a_mutant_keeps_the_oldest() -> None:
    assert offsets(cleaned([plain(0, b"a"), plain(1, b"a")])) == [1]
    oldest = cleaned([plain(0, b"a"), plain(1, b"a")], rules=mutants.OldestSurvives())
    assert offsets(oldest) == [0]


def test_a_mutant_forgets_tombstones_at_once() -> None:
    tombstone = stamped(
        Batch(records=(NewRecord(key=b"a", value=None),)).encode(), base_offset=1, leader_epoch=0
    )
    log = [plain(0, b"a"), tombstone]
    assert offsets(cleaned(log)) == [1]
    assert offsets(cleaned(log, rules=mutants.TombstoneGoesAtOnce())) == []


# ---- reading ------------------------------------------------------------------------------------


@given(plan=st.lists(batches_of_records, min_size=3, max_size=20), data=st.data())
def test_a_compacted_log_is_read_at_any_offset(
    plan: list[list[NewRecord]], data: st.DataObject
) -> None:
    """A fetch at an offset without a record goes on with the next one there is; so do a search by
    time, a follower's first fetch, and a truncation into the gap."""
    story = Story(SimulatedDisk())
    for batch in plan:
        story.write(batch)
    log = story.log
    compact(log, CONFIG, NOW_MS, log.end_offset)
    found = content(log.batches)
    for offset in range(log.end_offset):
        part = log.slice(offset, log.end_offset, 1 << 20, at_least_one=True)
        read = [each for each in content([log.read(part)]) if each[0] >= offset]
        assert read == [each for each in found if each[0] >= offset]
    assert log.first_offset == 0, "a follower need not be told where to begin"
    asked_ms = data.draw(st.integers(NOW_MS, NOW_MS + 10_001))
    first = log.first_at_or_after(asked_ms, log.end_offset)
    young = [each for each in found if each[3] >= asked_ms]
    assert (first and first.offset) == (young[0][0] if young else None)
    cut = data.draw(st.integers(0, log.end_offset))
    log.truncate(cut)
    assert content(log.batches) == [each for each in found if each[0] < log.end_offset]
    assert log.end_offset <= cut
    story.write([NewRecord(key=b"a", value=b"next")])
    assert content(log.batches)[-1][0] == log.end_offset - 1
