"""What recovery makes of files that are damaged or missing, and of disks that fail."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reference.batch import CRC_AT, HEADER_BYTES, read_header
from reference.errors import Error
from reference.metadata.records import PartitionId
from reference.mutants import storage as mutants
from reference.rules import Rules
from reference.storage import names
from reference.storage.disk import Disk, DiskError
from reference.storage.manager import LogManager
from reference.storage.simulated import Operation, SimulatedDisk
from tests.storage_story import FOLDER, PARTITION, Story, file_disk, state_of

FIRST_SEGMENT = names.file_at(FOLDER, 0, names.SEGMENT)


def story_of(batches: int, *, rules: Rules | None = None, disk: Disk | None = None) -> Story:
    """A log of batches of two records each, in epochs 0 and 1."""
    story = Story(disk or SimulatedDisk(), rules=rules or Rules())
    for number in range(batches):
        if number == batches // 2:
            story.lead()
        story.append(2)
    return story


def segments(story: Story) -> list[str]:
    return [path for path in story.disk.files(FOLDER) if path.endswith(names.SEGMENT)]


def rewrite(disk: Disk, path: str, content: bytes) -> None:
    disk.replace(path, content)


# ---- bad bytes ----------------------------------------------------------------------------------


def flip_in_tail(story: Story, position: int) -> tuple[int, int]:
    """Changes a byte of the active segment; returns which batch of it has it, and where in it."""
    path = segments(story)[-1]
    data = bytearray(story.disk.read(path))
    at = position % len(data)
    data[at] ^= 1 << position % 8
    rewrite(story.disk, path, bytes(data))
    batches = [each for each in story.written if read_header(each).base_offset >= last_base(path)]
    for number, batch in enumerate(batches):
        if at < len(batch):
            return number, at
        at -= len(batch)
    raise AssertionError("the segment has more than its batches")


def last_base(path: str) -> int:
    found = names.parsed(path)
    assert found is not None
    return found.offset


@given(position=st.integers(0, 1 << 20))
def test_a_flipped_bit_in_the_tail_ends_the_log_before_it(position: int) -> None:
    story = story_of(8)
    rolled = last_base(segments(story)[-1])
    number, at = flip_in_tail(story, position)
    story.start()
    kept = story.log.batches
    if at >= CRC_AT:
        assert len(kept) == rolled // 2 + number, "the first bad batch is the first that is gone"
        assert kept == story.written[: len(kept)]
    bodies = [each[CRC_AT:] for each in story.written]
    assert [each[CRC_AT:] for each in kept] == bodies[: len(kept)], "nothing altered is served"
    for ascending in (story.log.epochs.epochs, story.log.epochs.starts):
        assert ascending == sorted(ascending)
    before = state_of(story.log)
    story.start()
    assert state_of(story.log) == before, "what has been recovered once is recovered again"


@pytest.mark.parametrize("rules", [mutants.RecoveryTrustsBytes(), mutants.RecoveryLeavesGap()])
def test_a_broker_that_recovers_otherwise_is_found_out(rules: Rules) -> None:
    story = story_of(2, rules=rules)
    flip_in_tail(story, HEADER_BYTES + 1)
    story.start()
    assert story.log.batches != []


def test_checksums_are_not_verified_before_the_recovery_point() -> None:
    """That would take long after every crash, and what is wrong there was synced so."""
    story = story_of(6)
    story.manager.checkpoint({})
    data = bytearray(story.disk.read(FIRST_SEGMENT))
    data[HEADER_BYTES + 1] ^= 1
    rewrite(story.disk, FIRST_SEGMENT, bytes(data))
    story.start()
    assert story.log.end_offset == 12


@given(cut=st.integers(0, 1 << 20))
def test_a_segment_that_is_cut_off_ends_the_log(cut: int) -> None:
    """Wherever within a batch, and though segments follow: those would leave a gap."""
    story = story_of(9)
    path = segments(story)[cut % len(segments(story))]
    size = cut % story.disk.size_bytes(path)
    is_last = path == segments(story)[-1]
    assume(is_last or size == 0 or size % len(story.written[0]))
    base = last_base(path)
    story.disk.truncate(path, size)
    story.start()
    expected = story.written[: base // 2]
    for batch in story.written[base // 2 :]:
        if size < len(batch):
            break
        size -= len(batch)
        expected.append(batch)
    assert story.log.batches == expected
    assert all(last_base(each) <= story.log.end_offset for each in segments(story))


# ---- files that are gone or senseless -----------------------------------------------------------

DERIVED = (names.OFFSET_INDEX, names.TIME_INDEX, names.LEADER_EPOCHS, "checkpoint")


@given(
    clean=st.booleans(),
    names_=st.sets(st.sampled_from(DERIVED), min_size=1),
    content=st.one_of(st.none(), st.binary(max_size=40)),
)
def test_what_can_be_made_again_is(clean: bool, names_: set[str], content: bytes | None) -> None:
    """Without checkpoints and indexes, or with senseless ones, the log is found all the same."""
    story = story_of(8)
    story.log.delete_before(4)
    before = state_of(story.log)
    start_known = names.LOG_STARTS in story.disk.files() and "checkpoint" not in names_
    if clean:
        story.close()
    for path in story.disk.files("logs"):
        if any(path.endswith(name) for name in names_):
            if content is None:
                story.disk.delete(path)
            else:
                rewrite(story.disk, path, content)
    high_watermark = story.start()
    assert story.log.start_offset <= high_watermark <= story.log.end_offset
    after = state_of(story.log)
    if not start_known:  # the first segment that is there is the best that is known
        assert story.log.start_offset <= 4
        story.log.delete_before(4)
        after = state_of(story.log)
    assert after == before


def test_epoch_0_is_recovered_without_a_checkpoint() -> None:
    """LOG-06, KAFKA-10432."""
    for rules, epochs in ((Rules(), [0, 1]), (mutants.EpochZeroNotRecovered(), [1])):
        story = story_of(4, rules=rules)
        story.disk.delete(f"{FOLDER}/{names.LEADER_EPOCHS}")
        story.start()
        assert story.log.epochs.epochs == epochs


@pytest.mark.parametrize("clean", [False, True])
def test_producers_are_remembered_over_a_restart(clean: bool) -> None:
    """PROD-08: what was appended last is recognised, and what comes next is accepted."""
    for rules, known in ((Rules(), True), (mutants.TailNotReplayed(), clean)):
        story = story_of(9, rules=rules)
        last = story.log.headers[-1]
        if clean:
            story.close()
        story.start()
        assert (story.log.producers.duplicate_of(last) is not None) == known
        if known:
            follows = last._replace(base_sequence=story.sequence)
            assert story.log.producers.check(follows) is Error.NONE


def test_a_damaged_snapshot_is_not_believed() -> None:
    """The one before it and the log behind that tell the same."""
    story = story_of(9)
    before = dict(story.log.producers.producers)
    paths = [path for path in story.disk.files(FOLDER) if path.endswith(names.SNAPSHOT)]
    assert len(paths) > 2
    for path in paths[1:]:
        data = bytearray(story.disk.read(path))
        data[-1] ^= 1
        rewrite(story.disk, path, bytes(data))
        story.start()
        assert story.log.producers.producers == before


def test_a_snapshot_of_what_was_cut_off_is_not_believed() -> None:
    story = story_of(9)
    story.truncate(4)
    for _ in range(3):
        story.append(3)
    assert story.log.end_offset > 12
    story.check()
    story.start()
    story.check()


# ---- disks that fail ----------------------------------------------------------------------------


def append_until_it_fails(story: Story) -> dict[str, object]:
    """The state of the log before the append that failed."""
    for _ in range(20):
        before = state_of(story.log) | {"batches": list(story.log.batches)}
        before |= {"segments": list(story.log.segments)}
        try:
            story.append(3)
        except DiskError:
            return before
    raise AssertionError("no append has failed")


@given(batches=st.integers(0, 6), room=st.integers(0, 900))
def test_a_full_disk_and_memory_agree(batches: int, room: int) -> None:
    """DUR-04: a write that fails acknowledges nothing, and nothing is written after it."""
    disk = SimulatedDisk()
    story = story_of(batches, disk=disk)
    disk.capacity_bytes = room + sum(disk.size_bytes(path) for path in disk.files())
    before = append_until_it_fails(story)
    assert state_of(story.log) == before
    disk.capacity_bytes = None
    with pytest.raises(DiskError):
        story.append(1)
    story.written = list(story.log.batches)
    story.start()
    assert state_of(story.log)["batches"] == before["batches"], "the disk has no more"
    story.check()


@pytest.mark.parametrize("operation", [Operation.WRITE, Operation.SYNC])
def test_a_failing_disk_and_memory_agree(operation: Operation) -> None:
    disk = SimulatedDisk()
    story = story_of(2, disk=disk)
    disk.failing = frozenset({operation})
    before = append_until_it_fails(story)
    assert state_of(story.log) == before
    disk.failing = frozenset()
    story.start()
    assert state_of(story.log)["batches"] == before["batches"]


def test_who_goes_on_after_a_failed_write_loses_it() -> None:
    disk = SimulatedDisk()
    story = story_of(2, disk=disk, rules=mutants.FailedWriteAcknowledged())
    disk.failing = frozenset({Operation.WRITE})
    story.append(1)
    assert story.log.end_offset == 5
    disk.failing = frozenset()
    story.append(1)
    story.start()
    assert story.log.end_offset == 4


def test_a_disk_that_cannot_be_read_is_no_empty_disk() -> None:
    disk = SimulatedDisk()
    story_of(2, disk=disk)
    disk.failing = frozenset({Operation.READ})
    with pytest.raises(DiskError):
        LogManager(disk, Rules())


# ---- all logs of a broker -----------------------------------------------------------------------


def test_a_clean_shutdown_is_believed_once() -> None:
    """KIP-966: the next process may say so, and the one after it only if it has done so, too."""
    with file_disk() as (disk, reopen):
        story = Story(disk, reopen)
        story.append(2)
        story.close()
        story.start()
        assert (story.manager.was_clean, story.manager.clean_broker_epoch) == (True, 3)
        story.start()
        assert (story.manager.was_clean, story.manager.clean_broker_epoch) == (False, -1)
        story.close()
        rewrite(story.disk, names.CLEAN_SHUTDOWN, b'{"version": 0}')
        story.start()
        assert not story.manager.was_clean


@pytest.mark.parametrize("stored", [0, 2, 4, 9])
def test_a_high_watermark_is_at_most_the_end(stored: int) -> None:
    for rules in (Rules(), mutants.HighWatermarkFromLogEnd()):
        story = story_of(2, rules=rules)
        story.manager.checkpoint({PARTITION: stored})
        expected = min(stored, 4) if type(rules) is Rules else 4
        assert story.start() == expected


def test_what_was_checkpointed_stays_until_it_is_known_better() -> None:
    story = story_of(2)
    story.manager.checkpoint({PARTITION: 3})
    story.start()
    story.manager.checkpoint({})
    assert story.start() == 3


def test_another_topic_of_the_same_name_begins_empty() -> None:
    """META-03: a log is found by the id of its topic."""
    again = PartitionId(PARTITION.topic_id.__class__(int=8), 0)
    for rules, end in ((Rules(), 0), (mutants.LogFoundByName(), 6)):
        story = story_of(3, rules=rules)
        story.manager.checkpoint({PARTITION: 6})
        story.start()
        log, high_watermark = story.manager.open(again, "orders")
        assert (log.end_offset, high_watermark) == (end, end)
    story = story_of(3)
    story.manager.checkpoint({PARTITION: 6})
    log, _ = story.manager.open(again, "orders")
    story.manager.delete(PARTITION)
    manager = LogManager(story.disk, Rules())
    assert manager.partitions() == [again]
    with pytest.raises(DiskError):
        story.append(1)


@given(kept=st.integers(0, 10))
def test_a_deletion_that_was_interrupted_is_finished(kept: int) -> None:
    story = story_of(3)
    story.disk.delete(f"{FOLDER}/{names.PARTITION_METADATA}")
    for path in reversed(story.disk.files(FOLDER)[kept:]):
        story.disk.delete(path)
    manager = LogManager(story.disk, Rules())
    assert manager.partitions() == []
    assert story.disk.files(FOLDER) == []
    log, high_watermark = manager.open(PARTITION, "orders")
    assert (log.end_offset, high_watermark) == (0, 0)


def test_a_deleted_log_leaves_nothing() -> None:
    story = story_of(3)
    story.manager.checkpoint({PARTITION: 6})
    story.manager.delete(PARTITION)
    story.manager.delete(PARTITION)
    assert story.disk.files(FOLDER) == []
    assert not story.manager.has(PARTITION)
    assert story.start() == 0
