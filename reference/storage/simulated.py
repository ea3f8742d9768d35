"""A disk in memory that remembers what was synced, so that a loss of power can be simulated."""

from dataclasses import dataclass


@dataclass(slots=True)
class _File:
    content: bytearray
    synced_bytes: int = 0
    """How much of the front would survive a loss of power."""


class SimulatedDisk:
    """Implements `reference.storage.disk.Disk`."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def read(self, path: str) -> bytes:
        return bytes(self._found(path).content)

    def append(self, path: str, data: bytes) -> None:
        self._files.setdefault(path, _File(bytearray())).content += data

    def replace(self, path: str, data: bytes) -> None:
        self._files[path] = _File(bytearray(data), len(data))

    def truncate(self, path: str, size_bytes: int) -> None:
        file = self._found(path)
        del file.content[size_bytes:]
        file.synced_bytes = min(file.synced_bytes, size_bytes)

    def rename(self, old: str, new: str) -> None:
        self._files[new] = self._found(old)
        del self._files[old]

    def delete(self, path: str) -> None:
        self._files.pop(path, None)

    def sync(self, path: str) -> None:
        file = self._found(path)
        file.synced_bytes = len(file.content)

    def size_bytes(self, path: str) -> int:
        return len(self._found(path).content)

    def files(self, folder: str = "") -> list[str]:
        prefix = f"{folder}/" if folder else ""
        return sorted(path for path in self._files if path.startswith(prefix))

    def _found(self, path: str) -> _File:
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]
