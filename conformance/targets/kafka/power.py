"""What a power failure may cost a broker: all that its logs hold beyond their last flush.

Kafka leaves it to the operating system when data reaches the disk, and flushes a log itself only
when a segment is full. How far that went stands in a checkpoint. The most that a power failure can
take away is everything after it, and that is what is taken away here. The metadata log of KRaft is
left alone, because Kafka flushes it before it confirms anything.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

METADATA_LOG = "__cluster_metadata-0"
RECOVERY_POINTS = "recovery-point-offset-checkpoint"
HEADER = struct.Struct(">qi")
"""Of a batch: its base offset, and how many bytes follow these two."""


def lose_unflushed(folder: Path) -> None:
    """Cuts every log in a broker's data folder at its recovery point. The broker must be dead."""
    flushed = recovery_points(folder / RECOVERY_POINTS)
    for log in sorted(path for path in folder.iterdir() if path.is_dir()):
        if log.name != METADATA_LOG and any(log.glob("*.log")):
            cut_log(log, flushed.get(log.name, 0))


def recovery_points(checkpoint: Path) -> dict[str, int]:
    """`topic-partition` -> the offset below which its log is on disk, as the checkpoint has it.

    Its lines: version, number of entries, then `topic partition offset`.
    """
    if not checkpoint.exists():
        return {}
    found = {}
    for line in checkpoint.read_text(encoding="utf-8").splitlines()[2:]:
        topic, partition, offset = line.rsplit(" ", 2)
        found[f"{topic}-{partition}"] = int(offset)
    return found


def cut_log(log: Path, offset: int) -> None:
    """Removes every batch that begins at or above the offset."""
    segments = sorted(log.glob("*.log"))
    for segment in segments:
        kept = sum(size for base, size in batches(segment) if base < offset)
        if kept or segment is segments[0]:
            with segment.open("r+b") as file:
                file.truncate(kept)
        else:  # a whole segment is gone, with its indexes
            for part in log.glob(f"{segment.stem}.*"):
                part.unlink()


def batches(segment: Path) -> Iterator[tuple[int, int]]:
    """Base offset and size in bytes of each whole batch."""
    data = segment.read_bytes()
    at = 0
    while at + HEADER.size <= len(data):
        base, following = HEADER.unpack_from(data, at)
        size = HEADER.size + following
        if following <= 0 or at + size > len(data):
            return
        yield base, size
        at += size
