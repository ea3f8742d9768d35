"""What went over the wire in the case at hand, kept as objects and rendered only when asked for."""

from collections import deque
from dataclasses import dataclass, field

from conformance.codec import plain
from spec.evidence import WireEntry

ENTRIES_MAX, REMARKS_MAX = 250, 50
Entry = tuple[int, int, str, str, str, int | None, object]


@dataclass(slots=True)
class WireLog:
    """The last entries of a case. `add` is on the path of every frame, so it only stores."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=ENTRIES_MAX))
    remarks: deque[Entry] = field(default_factory=lambda: deque(maxlen=REMARKS_MAX))
    """What tells of faults outlives the traffic before and after them."""
    added: int = 0

    def clear(self) -> None:
        self.entries.clear()
        self.remarks.clear()
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
        self.remarks.append(self.entries[-1])

    @property
    def dropped(self) -> int:
        return self.added - len(self.entries)

    def render(self) -> tuple[WireEntry, ...]:
        """The entries for an evidence record; times count from the first one kept."""
        first = self.entries[0] if self.entries else None
        kept = [r for r in self.remarks if first is None or (r[0] < first[0] and r is not first)]
        kept += self.entries
        return tuple(_rendered(entry, kept[0][0]) for entry in kept)


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
