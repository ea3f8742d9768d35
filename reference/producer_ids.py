"""Producer ids in blocks: a broker asks the controller for many at once (KIP-730)."""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class ProducerIds:
    next_id: int = 0
    left: int = 0
    tickets: deque[int] = field(default_factory=deque)
    """Requests that wait for the next block."""

    def take(self) -> int | None:
        """Returns an id of the current block, or None if none is left."""
        if not self.left:
            return None
        self.left -= 1
        self.next_id += 1
        return self.next_id - 1

    def grant(self, first: int, count: int) -> None:
        self.next_id, self.left = first, count
