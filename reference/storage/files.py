"""A disk that is a folder of the machine's file system. The only module that touches it."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reference.storage.disk import DiskError

UNFINISHED = ".unfinished"
"""How a file is called that is to replace another."""
LOCK = ".lock"
OPEN_FILES_MAX = 200


class FileDisk:
    """Implements `reference.storage.disk.Disk`. One process at a time may use a folder."""

    def __init__(self, root: Path) -> None:
        """Raises DiskError if the folder cannot be used, or another process uses it."""
        self.root = root
        self._open: dict[str, int] = {}
        """Descriptors of files that are being appended to, the one longest unused first."""
        self._listed: set[str] = set()
        """Files whose names are known to be on disk."""
        with _refusals(root):
            root.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            self._lock_folder()
            for path in root.rglob(f"*{UNFINISHED}"):
                path.unlink()

    def _lock_folder(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise DiskError(errno.EBUSY, "another process uses it", str(self.root)) from None

    def close(self) -> None:
        """Lets go of the folder."""
        for descriptor in (*self._open.values(), self._lock):
            os.close(descriptor)
        self._open.clear()

    def read(self, path: str, start: int = 0, stop: int | None = None) -> bytes:
        with _refusals(path), open(self.root / path, "rb") as file:
            file.seek(start)
            return file.read() if stop is None else file.read(max(0, stop - start))

    def append(self, path: str, data: bytes) -> None:
        with _refusals(path):
            descriptor = self._appendable(path)
            left = memoryview(data)
            while left:
                left = left[os.write(descriptor, left) :]

    def replace(self, path: str, data: bytes) -> None:
        with _refusals(path):
            self._close(path)
            target = self.root / path
            made = target.with_name(target.name + UNFINISHED)
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(made, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(made, target)
            self._sync_names(target.parent)

    def truncate(self, path: str, size_bytes: int) -> None:
        with _refusals(path), open(self.root / path, "r+b") as file:
            file.truncate(size_bytes)
            os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> None:
        with _refusals(old):
            self._close(old)
            self._close(new)
            source, target = self.root / old, self.root / new
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
            self._sync_names(target.parent)
            if source.parent != target.parent:
                self._sync_names(source.parent)

    def delete(self, path: str) -> None:
        with _refusals(path):
            self._close(path)
            target = self.root / path
            if not target.exists():
                return
            target.unlink()
            folder = target.parent
            while folder != self.root and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent
            self._sync_names(folder)

    def sync(self, path: str) -> None:
        with _refusals(path):
            if path not in self._open and not (self.root / path).exists():
                raise FileNotFoundError(path)
            os.fsync(self._appendable(path))
            if path not in self._listed:
                self._sync_names((self.root / path).parent)
                self._listed.add(path)

    def size_bytes(self, path: str) -> int:
        return (self.root / path).stat().st_size

    def files(self, folder: str = "") -> list[str]:
        with _refusals(folder):
            return sorted(
                path.relative_to(self.root).as_posix()
                for path in (self.root / folder).rglob("*")
                if path.is_file() and path.name != LOCK and not path.name.endswith(UNFINISHED)
            )

    def _appendable(self, path: str) -> int:
        descriptor = self._open.pop(path, None)
        if descriptor is None:
            if len(self._open) >= OPEN_FILES_MAX:
                os.close(self._open.pop(next(iter(self._open))))
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._open[path] = descriptor
        return descriptor

    def _close(self, path: str) -> None:
        descriptor = self._open.pop(path, None)
        if descriptor is not None:
            os.close(descriptor)
        self._listed.discard(path)

    def _sync_names(self, folder: Path) -> None:
        """Makes names last: in a folder and, because it may be new, in those around it."""
        while True:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if folder == self.root:
                return
            folder = folder.parent


@contextmanager
def _refusals(path: str | Path) -> Iterator[None]:
    """Turns the errors of the operating system into DiskError, but for a file that is missing."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DiskError(error.errno, error.strerror or str(error), str(path)) from error
