"""A disk in memory that remembers what was synced, so that a loss of power can be simulated.

It also fails on demand: it is full, refuses to write, to sync or to read, or changes a bit.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reference.storage.disk import DiskError


class Operation(StrEnum):
    """What can be made to fail."""

    READ = "read"
    WRITE = "write"
    SYNC = "sync"


@dataclass(slots=True)
class _File:
    content: bytearray
    synced_bytes: int = 0
    """How much of the front would survive a loss of power."""
    is_listed: bool = False
    """Whether its name would survive: a new file has none on disk before its first sync."""


class SimulatedDisk:
    """Implements `reference.storage.disk.Disk`."""

    def __init__(self, capacity_bytes: int | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        """What all files together may take, or None for any size."""
        self.failing: frozenset[Operation] = frozenset()
        self._files: dict[str, _File] = {}

    # ---- as a disk -----------------------------------------------------------------------------

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        self._check(Operation.READ)
        return bytes(self._found(path).content[start:stop])

    def append(self, path: str, data: bytes) -> None:
        if self.failing:
            self._check(Operation.WRITE)
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = _File(bytearray())
        if self.capacity_bytes is not None:
            room = self._room(self.capacity_bytes)
            if len(data) > room:
                file.content += data[: max(0, room)]
                raise DiskError(errno.ENOSPC, "no space left on the disk", path)
        file.content += data

    def replace(self, path: str, data: bytes) -> None:
        self._check(Operation.WRITE)
        self._check(Operation.SYNC)
        if self.capacity_bytes is not None and len(data) > self._room(self.capacity_bytes):
            raise DiskError(errno.ENOSPC, "no space left on the disk", path)
        self._files[path] = _File(bytearray(data), len(data), is_listed=True)

    def truncate(self, path: str, size_bytes: int) -> None:
        self._check(Operation.WRITE)
        file = self._found(path)
        del file.content[size_bytes:]
        file.synced_bytes = min(file.synced_bytes, size_bytes)

    def rename(self, old: str, new: str) -> None:
        self._check(Operation.WRITE)
        file = self._found(old)
        file.is_listed = True
        self._files[new] = file
        if new != old:
            del self._files[old]

    def delete(self, path: str) -> None:
        self._check(Operation.WRITE)
        self._files.pop(path, None)

    def sync(self, path: str) -> None:
        self._check(Operation.SYNC)
        file = self._found(path)
        file.synced_bytes = len(file.content)
        file.is_listed = True

    def size_bytes(self, path: str) -> int:
        return len(self._found(path).content)

    def files(self, folder: str = "") -> list[str]:
        self._check(Operation.READ)
        prefix = f"{folder}/" if folder else ""
        return sorted(path for path in self._files if path.startswith(prefix))

    def _found(self, path: str) -> _File:
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]

    # ---- faults --------------------------------------------------------------------------------

    def lose_power(self, chance: Callable[[], float]) -> None:
        """Takes back a part of what was not synced; `chance` is from 0 up to, not including, 1.

        Of each file any number of the unsynced bytes is lost. They may be missing, or there and
        zero, as where a file system wrote the size of a file before its content; a new file may
        be missing altogether.
        """
        for path in sorted(self._files):
            file = self._files[path]
            size = len(file.content)
            if not file.is_listed and chance() < 0.25:
                del self._files[path]
                continue
            if size > file.synced_bytes:
                kept = file.synced_bytes + int(chance() * (size - file.synced_bytes + 1))
                zeroed = int(chance() * (size - kept + 1)) if chance() < 0.25 else 0
                file.content[kept:] = bytes(zeroed)
            file.synced_bytes = len(file.content)
            file.is_listed = True

    def flip(self, path: str, position: int, mask: int) -> None:
        """Changes bits of one byte, as an ageing medium does. Raises FileNotFoundError."""
        self._found(path).content[position] ^= mask

    def _room(self, capacity_bytes: int) -> int:
        return capacity_bytes - sum(len(file.content) for file in self._files.values())

    def _check(self, operation: Operation) -> None:
        if operation in self.failing:
            raise DiskError(errno.EIO, f"the disk fails to {operation}")
