"""Finding logs again: after a clean stop, a crash, a loss of power, with files missing or bad."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from conformance.records import Batch, NewRecord
from reference.batch import read_header, stamped
from reference.log import Log
from reference.metadata.records import PartitionId
from reference.producer_state import ProducerState
from reference.rules import Rules
from reference.storage.disk import Disk
from reference.storage.files import FileDisk
from reference.storage.manager import LogManager
from reference.storage.simulated import SimulatedDisk
from tests.core_cluster import NOW_MS

PARTITION = PartitionId(UUID(int=7), 0)
FOLDER = "logs/orders-0"
SEGMENT_BYTES, SEGMENT_MS = 400, 1 << 40


@dataclass(slots=True)
class Story:
    """One log over the lives of its broker, and a plain list of what was written to it."""

    disk: Disk
    reopen: Callable[[Disk], Disk] = lambda disk: disk
    manager: LogManager = field(init=False)
    log: Log = field(init=False)
    written: list[bytes] = field(default_factory=list)
    """Every batch that is part of the log or was deleted from its front."""
    epoch: int = 0
    sequence: int = 0

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> int:
        """Another life; returns the high watermark that it begins with."""
        self.disk = self.reopen(self.disk)
        self.manager = LogManager(self.disk, Rules())
        self.log, high_watermark = self.manager.open(PARTITION, "orders")
        return high_watermark

    def append(self, count: int, *, key: bytes = b"k", flush_messages: int = 1 << 60) -> None:
        records = tuple(NewRecord(key=key, value=b"%d" % n * 20) for n in range(count))
        header = {"producer_id": 1, "producer_epoch": 0, "base_sequence": self.sequence}
        fields = header | {"timestamp_ms": NOW_MS + self.sequence}
        content = Batch(records=records, **fields).encode()  # type: ignore[arg-type]
        placed = stamped(content, base_offset=self.log.end_offset, leader_epoch=self.epoch)
        self.sequence += count
        self.written.append(placed)
        self.log.append(placed, SEGMENT_BYTES, SEGMENT_MS, flush_messages)

    def truncate(self, offset: int) -> None:
        self.log.truncate(offset)
        end = max(offset, self.log.start_offset)
        self.written = [each for each in self.written if read_header(each).end_offset <= end]

    def lead(self) -> None:
        self.epoch += 1
        self.log.begin_epoch(self.epoch)

    def close(self) -> None:
        self.manager.close({PARTITION: self.log.end_offset}, broker_epoch=3)

    def check(self) -> None:
        """The log has what was written, and has made of it what it must."""
        log = self.log
        kept = [each for each in self.written if read_header(each).end_offset > log.start_offset]
        assert log.batches == kept
        assert log.headers == list(map(read_header, kept))
        assert log.ends == [header.end_offset for header in log.headers]
        assert log.size_bytes == sum(map(len, kept))
        everyone = ProducerState(Rules())
        everyone.replay({}, map(read_header, self.written))
        assert log.producers.producers == everyone.producers
        gone = self.written[: len(self.written) - len(kept)]
        everyone.replay({}, map(read_header, gone))
        assert log.before.producers == everyone.producers
        assert log.last_epoch == max((read_header(e).leader_epoch for e in self.written), default=-1)


def state_of(log: Log) -> dict[str, object]:
    """All that one life must find as the one before has left it."""
    fields = (
        "batches segments epochs start_offset end_offset last_epoch size_bytes active_bytes before"
    )
    return {name: getattr(log, name) for name in fields.split()}


@contextmanager
def file_disk() -> Iterator[tuple[Disk, Callable[[Disk], Disk]]]:
    """A folder of its own; and what a new process does to get at it."""

    def reopen(disk: Disk) -> Disk:
        assert isinstance(disk, FileDisk)
        disk.close()
        return FileDisk(disk.root)

    with TemporaryDirectory() as folder:
        yield FileDisk(Path(folder)), reopen


steps = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 3)),
    st.tuples(st.just("append and flush"), st.integers(1, 3)),
    st.tuples(st.just("truncate"), st.integers(0, 30)),
    st.tuples(st.just("delete"), st.integers(0, 30)),
    st.tuples(st.just("lead"), st.just(0)),
    st.tuples(st.just("checkpoint"), st.just(0)),
    st.tuples(st.just("restart from"), st.integers(0, 5)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("close"), st.just(0)),
)
losses = st.tuples(st.just("power"), st.integers(0, 2**32))


def perform(story: Story, action: str, number: int) -> None:
    log = story.log
    if action == "append":
        story.append(number)
    elif action == "append and flush":
        story.append(number, flush_messages=1)
    elif action == "truncate":
        story.truncate(number)
    elif action == "delete":
        log.delete_before(min(number, log.end_offset))
    elif action == "lead":
        story.lead()
    elif action == "checkpoint":
        story.manager.checkpoint({PARTITION: log.end_offset})
    elif action == "restart from":
        log.restart(log.end_offset + number, log.last_epoch, log.producers.producers)
    else:
        before = state_of(log)
        if action == "close":
            story.close()
        story.start()
        assert story.manager.was_clean == (action == "close")
        assert state_of(story.log) == before, "a process that dies loses nothing"


@given(plan=st.lists(steps, max_size=30))
def test_a_crash_loses_nothing(plan: list[tuple[str, int]]) -> None:
    story = Story(SimulatedDisk())
    for action, number in plan:
        perform(story, action, number)
        story.check()


@given(plan=st.lists(steps, max_size=12))
def test_a_file_system_keeps_it_as_well(plan: list[tuple[str, int]]) -> None:
    with file_disk() as (disk, reopen):
        story = Story(disk, reopen)
        for action, number in plan:
            perform(story, action, number)
            story.check()
        simulated = Story(SimulatedDisk())
        for action, number in plan:
            perform(simulated, action, number)
        assert contents(story.disk) == contents(simulated.disk), "the same files on both disks"


def contents(disk: Disk) -> dict[str, bytes]:
    return {path: disk.read(path) for path in disk.files()}


@given(plan=st.lists(st.one_of(steps, losses), max_size=30))
def test_a_loss_of_power_costs_a_suffix_that_was_not_synced(plan: list[tuple[str, int]]) -> None:
    disk = SimulatedDisk()
    story = Story(disk)
    for action, number in plan:
        if action != "power":
            perform(story, action, number)
        else:
            lose_power(story, disk, number)
        story.check()


def lose_power(story: Story, disk: SimulatedDisk, seed: int) -> None:
    old, synced = story.log, story.log.store.marks.recovery_point  # type: ignore[union-attr]
    disk.lose_power(random.Random(seed).random)
    story.start()
    log = story.log
    assert log.start_offset == old.start_offset, "what was deleted stays deleted"
    assert log.end_offset >= min(synced, old.end_offset), "what was synced is there"
    kept = len(log.batches)
    assert log.batches == old.batches[:kept], "what is there is a prefix"
    assert kept == len(old.batches) or log.end_offset == max(
        [log.start_offset, *old.ends[:kept]]
    ), "the log ends with its last batch"
    known = zip(old.epochs.epochs, old.epochs.starts, strict=True)
    expected = [(epoch, start) for epoch, start in known if start <= log.end_offset]
    assert list(zip(log.epochs.epochs, log.epochs.starts, strict=True)) == expected
    lost = old.batches[kept:]
    story.written = [each for each in story.written if each not in lost]


# ---- dying in the middle ------------------------------------------------------------------------


class Killed(Exception):
    """The process has died before a write."""


class MortalDisk(SimulatedDisk):
    """Ends the process at a chosen one of its writes, which is not made any more."""

    writes_left: int | None = None

    def _before_write(self) -> None:
        if self.writes_left is not None:
            if self.writes_left == 0:
                self.writes_left = None
                raise Killed
            self.writes_left -= 1

    def append(self, path: str, data: bytes) -> None:
        self._before_write()
        super().append(path, data)

    def replace(self, path: str, data: bytes) -> None:
        self._before_write()
        super().replace(path, data)

    def truncate(self, path: str, size_bytes: int) -> None:
        self._before_write()
        super().truncate(path, size_bytes)

    def rename(self, old: str, new: str) -> None:
        self._before_write()
        super().rename(old, new)

    def delete(self, path: str) -> None:
        self._before_write()
        super().delete(path)


@given(
    plan=st.lists(steps, max_size=20),
    last=steps,
    writes=st.integers(0, 15),
    power=st.one_of(st.none(), st.integers(0, 2**32)),
)
def test_whatever_is_interrupted_leaves_a_log(
    plan: list[tuple[str, int]], last: tuple[str, int], writes: int, power: int | None
) -> None:
    """A part of what an operation changes is lost or kept, and never anything beside it."""
    disk = MortalDisk()
    story = Story(disk)
    for action, number in plan:
        perform(story, action, number)
    old, synced = story.log, story.log.store.marks.recovery_point  # type: ignore[union-attr]
    known = old.start_offset
    disk.writes_left = writes
    try:
        perform(story, *last)
    except Killed:
        if power is not None:
            disk.lose_power(random.Random(power).random)
    disk.writes_left = None
    story.start()
    log = story.log
    written = story.written
    first = next((n for n, each in enumerate(written) if each in log.batches[:1]), 0)
    assert log.batches == written[first : first + len(log.batches)], "consecutive batches"
    assert known <= log.start_offset <= log.end_offset
    if last[0] not in ("truncate", "restart from"):
        assert log.end_offset >= (old.end_offset if power is None else min(synced, old.end_offset))
    story.sequence = story.epoch = 1000
    for _ in range(4):
        story.append(2)
    after = state_of(story.log)
    story.start()
    assert state_of(story.log) == after, "the log goes on"
