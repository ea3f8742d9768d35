"""Names a whole run: equal digests, equal events with equal content in equal order and time."""

import dataclasses
import hashlib
from collections.abc import Callable
from operator import attrgetter
from typing import Any

_contents: dict[type, Callable[[Any], Any]] = {}


def content_of(value: Any) -> Any:
    """Returns the fields of a message or timer, which print faster than the dataclass does."""
    getter = _contents.get(type(value))
    if getter is None:
        names = [each.name for each in dataclasses.fields(value)]
        getter = attrgetter(*names) if names else lambda _: ()
        _contents[type(value)] = getter
    return getter(value)


class Digest:
    """A running hash over events."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=8)

    def note_frame(self, at_ms: int, kind: int, connection: int, frame: bytes) -> None:
        self._hash.update(b"%d %d %d %d " % (at_ms, kind, connection, len(frame)))
        self._hash.update(frame)

    def note(self, at_ms: int, kind: int, member: int, sender: Any, value: Any) -> None:
        line = (at_ms, kind, member, sender, type(value).__name__, content_of(value))
        self._hash.update(repr(line).encode())

    @property
    def text(self) -> str:
        """16 hexadecimal digits."""
        return self._hash.hexdigest()
