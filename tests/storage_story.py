"""One log on a disk over the lives of its broker, for tests of storage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from conformance.records import Batch, NewRecord
from reference.batch import read_header, stamped
from reference.log import NEVER, Log
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
    rules: Rules = field(default_factory=Rules)
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
        self.manager = LogManager(self.disk, self.rules)
        self.log, high_watermark = self.manager.open(PARTITION, "orders")
        return high_watermark

    def append(self, count: int, *, flush_messages: int = NEVER) -> None:
        self.write(
            [NewRecord(key=b"k", value=b"%d" % n * 20) for n in range(count)], flush_messages
        )

    def write(self, records: Sequence[NewRecord], flush_messages: int = NEVER) -> None:
        """Appends a batch of the one producer."""
        count = len(records)
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
        assert log.last_epoch == max(
            (read_header(e).leader_epoch for e in self.written), default=-1
        )


def state_of(log: Log) -> dict[str, object]:
    """All that one life must find as the one before has left it."""
    fields = (
        "batches segments epochs start_offset end_offset last_epoch size_bytes active_bytes before"
    )
    return {name: getattr(log, name) for name in fields.split()}


@contextmanager
def file_disk() -> Iterator[tuple[Disk, Callable[[Disk], Disk]]]:
    """A folder of its own; and what a new process does to get at it."""
    with TemporaryDirectory() as folder:
        opened = [FileDisk(Path(folder))]

        def reopen(disk: Disk) -> Disk:
            opened[-1].close()
            opened.append(FileDisk(Path(folder)))
            return opened[-1]

        try:
            yield opened[0], reopen
        finally:
            opened[-1].close()


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
