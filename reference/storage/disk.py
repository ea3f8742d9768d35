"""A disk as a broker sees it: named files that are appended to, replaced, truncated and synced.

What is written is visible at once, and stays after a crash of the process: the operating system
has it. What is synced stays after a loss of power, too; the rest may be gone, in whole or in part.
Only appended bytes wait for a sync: all that changes names or shortens files is durable at once.
"""

from typing import Protocol


class DiskError(OSError):
    """The disk has refused a write or a read. Whoever meets this acknowledges nothing."""


class Disk(Protocol):
    """Paths are relative, with '/' between folders; folders come and go with their files."""

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        """Returns the bytes from `start` up to `stop`, by default the whole file.

        Raises FileNotFoundError, DiskError.
        """

    def append(self, path: str, data: bytes) -> None:
        """Adds to the end of a file, which is made if there is none.

        Raises DiskError; then any part of the data may be at the end of the file.
        """

    def replace(self, path: str, data: bytes) -> None:
        """Puts a new file in the place of an old one, synced, or leaves the old one whole.

        Raises DiskError.
        """

    def truncate(self, path: str, size_bytes: int) -> None:
        """Cuts a file. Raises FileNotFoundError, DiskError."""

    def rename(self, old: str, new: str) -> None:
        """Moves a file to another name, in the place of what may be there. Raises DiskError."""

    def delete(self, path: str) -> None:
        """Removes a file; one that does not exist is no error. Raises DiskError."""

    def sync(self, path: str) -> None:
        """Returns once the whole file would survive a loss of power. Raises DiskError."""

    def size_bytes(self, path: str) -> int:
        """Raises FileNotFoundError."""

    def files(self, folder: str = "") -> list[str]:
        """The paths of all files below a folder, in ascending order. Raises DiskError."""
