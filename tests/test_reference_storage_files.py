"""Disks keep their contract, and every file format its promises, whatever bytes there are."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.records import Batch, NewRecord
from reference.batch import stamped
from reference.epochs import EpochCache
from reference.log import Log
from reference.metadata.records import PartitionId
from reference.producer_state import Producer, Remembered
from reference.rules import Rules
from reference.storage import checkpoints, index, snapshot
from reference.storage.checkpoints import Damaged
from reference.storage.disk import Disk, DiskError
from reference.storage.files import FileDisk
from reference.storage.index import INTERVAL_BYTES
from reference.storage.simulated import SimulatedDisk
from reference.storage.snapshot import Snapshot
from tests.storage_story import Story, file_disk

# ---- disks --------------------------------------------------------------------------------------


@contextmanager
def some_disk(kind: str) -> Iterator[Disk]:
    if kind == "simulated":
        yield SimulatedDisk()
    else:
        with file_disk() as (disk, _):
            yield disk


@pytest.mark.parametrize("kind", ["simulated", "files"])
def test_a_disk_keeps_its_contract(kind: str) -> None:
    with some_disk(kind) as disk:
        disk.append("a/b/c", b"first")
        disk.append("a/b/c", b", second")
        assert (disk.read("a/b/c"), disk.size_bytes("a/b/c")) == (b"first, second", 13)
        assert (disk.read("a/b/c", 7), disk.read("a/b/c", 1, 3)) == (b"second", b"ir")
        assert (disk.read("a/b/c", 99), disk.read("a/b/c", 5, 2)) == (b"", b"")
        disk.truncate("a/b/c", 5)
        disk.append("a/b/c", b"!")
        disk.sync("a/b/c")
        assert disk.read("a/b/c") == b"first!"
        disk.replace("a/d", b"whole")
        disk.replace("a/d", b"new")
        disk.append("a/d", b"er")
        disk.append("empty", b"")
        assert disk.files() == ["a/b/c", "a/d", "empty"]
        assert disk.files("a") == ["a/b/c", "a/d"]
        assert disk.files("a/b") == ["a/b/c"]
        assert disk.files("none") == []
        disk.rename("a/d", "x/y")
        disk.append("x/y", b"!")
        assert (disk.read("x/y"), disk.files("x")) == (b"newer!", ["x/y"])
        disk.rename("x/y", "a/b/c")
        assert disk.read("a/b/c") == b"newer!"
        disk.delete("a/b/c")
        disk.delete("a/b/c")
        assert disk.files() == ["empty"]
        for missing in (disk.read, disk.sync, disk.size_bytes, lambda path: disk.truncate(path, 0)):
            with pytest.raises(FileNotFoundError):
                missing("a/b/c")


def test_files_are_used_by_one_process() -> None:
    with file_disk() as (disk, _):
        assert isinstance(disk, FileDisk)
        with pytest.raises(DiskError):
            FileDisk(disk.root)
        disk.append("file", b"")
        with pytest.raises(DiskError):
            disk.append("file/below", b"")


def test_more_files_than_are_kept_open() -> None:
    with file_disk() as (disk, _):
        for _ in range(2):
            for number in range(300):
                disk.append(f"f/{number}", b"%d " % number)
        assert [disk.read(f"f/{number}") for number in (0, 299)] == [b"0 0 ", b"299 299 "]


@given(synced=st.binary(max_size=20), more=st.binary(max_size=20), seed=st.integers(0, 2**32))
def test_a_loss_of_power_takes_what_was_not_synced(synced: bytes, more: bytes, seed: int) -> None:
    disk = SimulatedDisk()
    disk.append("f", synced)
    disk.sync("f")
    disk.append("f", more)
    disk.replace("r", more)
    disk.lose_power(random.Random(seed).random)
    left = disk.read("f")
    assert left.startswith(synced)
    assert len(left) <= len(synced + more)
    tail = left[len(synced) :]
    kept = next(n for n in range(len(tail), -1, -1) if tail[:n] == more[:n])
    assert tail[kept:] == bytes(len(tail) - kept), "torn at any byte, or zeros"
    assert disk.read("r") == more


def test_a_loss_of_power_takes_anything_from_nothing_to_all() -> None:
    outcomes = set()
    for seed in range(400):
        disk = SimulatedDisk()
        disk.append("f", b"abcd")
        disk.lose_power(random.Random(seed).random)
        outcomes.add(disk.read("f") if disk.files() else None)
    assert outcomes >= {None, b"", b"a", b"ab", b"abc", b"abcd", b"ab\0", b"a\0\0\0"}


# ---- formats ------------------------------------------------------------------------------------

offsets = st.integers(0, 2**63 - 1)
partitions = st.builds(PartitionId, st.uuids(), st.integers(0, 99))
remembered = st.builds(
    Remembered, st.integers(0, 2**31 - 1), st.integers(1, 99), offsets, offsets, st.integers(-1, 9)
)
producers = st.builds(
    Producer, st.integers(0, 9), st.lists(remembered, min_size=1, max_size=5).map(tuple)
)


@given(found=st.dictionaries(partitions, offsets, max_size=5))
def test_offsets_are_read_as_they_were_written(found: dict[PartitionId, int]) -> None:
    assert checkpoints.decoded_offsets(checkpoints.encoded_offsets(found)) == found


@given(starts=st.lists(offsets, max_size=6).map(sorted), epochs=st.sets(st.integers(0, 99)))
def test_epochs_are_read_as_they_were_written(starts: list[int], epochs: set[int]) -> None:
    length = min(len(starts), len(epochs))
    cache = EpochCache(sorted(epochs)[:length], starts[:length])
    assert checkpoints.decoded_epochs(checkpoints.encoded_epochs(cache)) == cache


@given(
    last_epoch=st.integers(-1, 9),
    found=st.dictionaries(st.integers(0, 99), producers, max_size=3),
    at=st.integers(0, 1 << 20),
    mask=st.integers(1, 255),
)
def test_a_snapshot_is_read_as_it_was_written_or_refused(
    last_epoch: int, found: dict[int, Producer], at: int, mask: int
) -> None:
    data = snapshot.encoded(Snapshot(last_epoch, found))
    assert snapshot.decoded(data) == Snapshot(last_epoch, found)
    changed = bytearray(data)
    changed[at % len(data)] ^= mask
    for wrong in (bytes(changed), data[: at % len(data)], data + b"\0"):
        with pytest.raises(Damaged):
            snapshot.decoded(wrong)


DECODERS: tuple[Callable[[bytes], object], ...] = (
    checkpoints.decoded_offsets,
    checkpoints.decoded_epochs,
    checkpoints.decoded_topic_id,
    snapshot.decoded,
    lambda data: index.decoded(0, data, data, 1 << 20),
)


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode)))
def test_garbage_is_refused_by_name(decode: Callable[[bytes], object], data: bytes) -> None:
    """Either it has a meaning or it is said to be damaged; nothing else is ever raised."""
    with suppress(Damaged):
        decode(data)


@pytest.mark.parametrize(
    ("decode", "text"),
    [
        (checkpoints.decoded_offsets, "1\n0\n"),
        (checkpoints.decoded_offsets, "0\n2\nAAAAAAAAAAAAAAAAAAAABw 0 1\n"),
        (checkpoints.decoded_offsets, "0\n1\nAAAAAAAAAAAAAAAAAAAABw 0 1"),
        (checkpoints.decoded_offsets, "0\n1\nAAAAAAAAAAAAAAAAAAAABw 0 -1\n"),
        (checkpoints.decoded_offsets, "0\n1\nAAAAAAAAAAAAAAAAAAAABw 0 9223372036854775808\n"),
        (checkpoints.decoded_offsets, "0\n1\nshort 0 1\n"),
        (checkpoints.decoded_offsets, "0\n2\n" + 2 * "AAAAAAAAAAAAAAAAAAAABw 0 1\n"),
        (checkpoints.decoded_epochs, "0\n2\n1 5\n1 6\n"),
        (checkpoints.decoded_epochs, "0\n2\n1 5\n2 4\n"),
        (checkpoints.decoded_epochs, "0\n1\n1 5 6\n"),
        (checkpoints.decoded_topic_id, "version: 1\ntopic_id: AAAAAAAAAAAAAAAAAAAABw\n"),
        (checkpoints.decoded_topic_id, "version: 0\ntopic: AAAAAAAAAAAAAAAAAAAABw\n"),
    ],
)
def test_what_nobody_has_written_is_refused(decode: Callable[[bytes], object], text: str) -> None:
    with pytest.raises(Damaged):
        decode(text.encode())


def test_a_topic_id_is_read_as_it_was_written() -> None:
    for number in (0, 7, 2**128 - 1):
        data = checkpoints.encoded_topic_id(UUID(int=number))
        assert checkpoints.decoded_topic_id(data) == UUID(int=number)


# ---- indexes ------------------------------------------------------------------------------------

sizes = st.sampled_from([10, 800, INTERVAL_BYTES])
LARGEST_BYTES = 2 * INTERVAL_BYTES + 100


@given(
    plan=st.lists(st.tuples(sizes, st.integers(0, 50), st.integers(1, 2)), max_size=25),
    cut=st.integers(0, 80),
    asked=st.lists(st.integers(0, 80), min_size=1, max_size=6),
)
def test_looking_up_finds_what_reading_all_finds(
    plan: list[tuple[int, int, int]], cut: int, asked: list[int]
) -> None:
    """By offset and by time, when written, truncated, appended to again, and found on the disk."""
    story, plain = Story(SimulatedDisk()), Log(Rules())

    def append(size: int, time_ms: int, count: int) -> None:
        records = (NewRecord(value=b"x" * size),) * count
        batch = Batch(records=records, timestamp_ms=time_ms).encode()
        for log in (story.log, plain):
            placed = stamped(batch, base_offset=log.end_offset, leader_epoch=0)
            log.append(placed, 10 * INTERVAL_BYTES, 1 << 40)

    def compare() -> None:
        log = story.log
        assert log.batches == plain.batches
        for each in asked:
            assert log.first_at_or_after(each, 1 << 30) == plain.first_at_or_after(each, 1 << 30)
        assert log.store is not None
        bounds = [*log.segments[1:], log.end_offset]
        for segment, end in zip(log.store.segments, bounds, strict=False):
            position = 0
            for batch, header in zip(log.batches, log.headers, strict=True):
                if segment.base_offset <= header.base_offset < end:
                    found = segment.index.position_before(header.base_offset)
                    assert found <= position <= found + INTERVAL_BYTES + 2 * LARGEST_BYTES
                    position += len(batch)
            assert position == segment.size_bytes == story.disk.size_bytes(segment.path)

    for step in plan:
        append(*step)
    compare()
    for log in (story.log, plain):
        log.truncate(cut)
    compare()
    append(10, 60, 2)
    compare()
    for _ in range(2):
        story.start()
        compare()
        story.close()
