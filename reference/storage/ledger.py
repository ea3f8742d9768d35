"""What a broker keeps about all its partitions in a few common files.

They are replaced as a whole. One that is missing or damaged only costs time: recovery then looks
at more of a log, and the cluster tells the high watermark again (DUR-02).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reference.metadata.records import PartitionId
from reference.storage import names
from reference.storage.checkpoints import Damaged, decoded_offsets, encoded_offsets
from reference.storage.disk import Disk

UNKNOWN = -1


@dataclass(slots=True)
class Marks:
    """Offsets of one log."""

    recovery_point: int = 0
    """Everything before is sure to be on the disk."""
    log_start: int = UNKNOWN
    """Where the log begins; unknown where the file was lost."""
    cleaned_up_to: int = 0
    """Where the part begins that no compaction has seen."""


class Ledger:
    """The marks of all logs. Raises DiskError."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._written: dict[str, bytes] = {}
        self.high_watermarks = self._read(names.HIGH_WATERMARKS)
        """As they were written down last."""
        self.marks: dict[PartitionId, Marks] = {}
        for partition, offset in self._read(names.RECOVERY_POINTS).items():
            self.of(partition).recovery_point = offset
        for partition, offset in self._read(names.LOG_STARTS).items():
            self.of(partition).log_start = offset
        for partition, offset in self._read(names.CLEANED_UP_TO).items():
            self.of(partition).cleaned_up_to = offset

    def of(self, partition: PartitionId) -> Marks:
        """The marks of a log, which are kept from now on."""
        return self.marks.setdefault(partition, Marks())

    def forget(self, partition: PartitionId) -> None:
        self.marks.pop(partition, None)
        self.high_watermarks.pop(partition, None)

    def save_high_watermarks(self, high_watermarks: Mapping[PartitionId, int]) -> None:
        """Keeps what is known of logs that are not in use yet."""
        self.high_watermarks.update(high_watermarks)
        self._write(names.HIGH_WATERMARKS, self.high_watermarks)

    def save_recovery_points(self) -> None:
        self._save(names.RECOVERY_POINTS, lambda marks: marks.recovery_point)

    def save_log_starts(self) -> None:
        self._save(names.LOG_STARTS, lambda marks: marks.log_start)

    def save_cleaned(self) -> None:
        self._save(names.CLEANED_UP_TO, lambda marks: marks.cleaned_up_to)

    def _save(self, path: str, offset_of: Callable[[Marks], int]) -> None:
        offsets = {partition: offset_of(marks) for partition, marks in self.marks.items()}
        self._write(path, {partition: each for partition, each in offsets.items() if each >= 0})

    def _write(self, path: str, offsets: Mapping[PartitionId, int]) -> None:
        data = encoded_offsets(offsets)
        if self._written.get(path) != data:
            self._disk.replace(path, data)
            self._written[path] = data

    def _read(self, path: str) -> dict[PartitionId, int]:
        try:
            return decoded_offsets(self._disk.read(path))
        except (FileNotFoundError, Damaged):
            return {}
