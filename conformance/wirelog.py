"""What went over the wire in the case at hand, kept as objects and rendered only when asked for."""

from collections import deque
from dataclasses import dataclass, field

from conformance.codec import plain
from spec.evidence import WireEntry

ENTRIES_MAX = 250
Entry = tuple[int, int, str, str, str, int | None, object]


@dataclass(slots=True)
class WireLog:
    """The last entries of a case. `add` is on the path of every frame, so it only stores."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=ENTRIES_MAX))
    added: int = 0

    def clear(self) -> None:
        self.entries.clear()
        self.added = 0

    def add(
        self,
        at_ms: int,
        connection: int,
        peer: str,
        direction: str,
        name: str,
        correlation_id: int | None,
        content: object,
    ) -> None:
        self.added += 1
        self.entries.append((at_ms, connection, peer, direction, name, correlation_id, content))

    def remark(self, at_ms: int, text: str) -> None:
        """A fault, or a step that the test wants seen in the log."""
        self.add(at_ms, 0, "", "#", text, None, "")

    @property
    def dropped(self) -> int:
        return self.added - len(self.entries)

    def render(self) -> tuple[WireEntry, ...]:
        """The entries for an evidence record; times count from the first one kept."""
        start_ms = self.entries[0][0] if self.entries else 0
        return tuple(_rendered(entry, start_ms) for entry in self.entries)


def _rendered(entry: Entry, start_ms: int) -> WireEntry:
    at_ms, connection, peer, direction, name, correlation_id, content = entry
    shown = plain(content)
    return WireEntry(
        at_ms=at_ms - start_ms,
        connection=connection,
        broker=peer,
        direction=direction,
        name=name,
        correlation_id=correlation_id,
        fields=shown if isinstance(shown, dict) else {"text": shown} if shown else {},
    )
