"""A queue of timed events. It knows no clock: whoever takes an event decides when that is.

An event is a plain tuple (at_ms, order, kind, a, b, c), so that nothing is allocated or formatted
for it. Equal times keep the order of insertion. Timers can be replaced and cancelled; what is
cancelled stays in the heap until it comes up, or until there is too much of it.
"""

from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import Any


class Kind(IntEnum):
    """What an event is; decides which handler gets its three fields."""

    FRAME = 0
    """A client's frame reaches a broker: connection, frame."""
    ANSWER = 1
    """A broker's frame reaches a client: connection, frame."""
    MESSAGE = 2
    """A message reaches a member: receiver, sender, message."""
    TIMER = 3
    """A member's timer is due: member, timer."""
    REQUEST = 4
    """A request that never was a frame reaches a broker: broker, submission."""
    BYTES = 5
    """Bytes that need not be frames reach a broker: connection, bytes."""
    CLOSE = 6
    """The end of a connection reaches its client: connection."""
    CALL = 7
    """Something that no member does: 0, a function."""


QueuedEvent = tuple[int, int, int, Any, Any, Any]
STALE_MAX = 1_000


class EventQueue:
    def __init__(self) -> None:
        self._heap: list[QueuedEvent] = []
        self._order = 0
        self._timers: dict[Any, int] = {}
        """The order of the one event that a timer stands for."""
        self._stale: set[int] = set()
        """The orders of timers in the heap that were replaced or cancelled. Never iterated.

        Every event asks whether the next one is stale: a number is hashed much faster than a timer,
        which may name a partition and so a UUID.
        """

    def __len__(self) -> int:
        return len(self._heap) - len(self._stale)

    def push(self, at_ms: int, kind: int, a: Any, b: Any = None, c: Any = None) -> None:
        self._order = order = self._order + 1
        heappush(self._heap, (at_ms, order, kind, a, b, c))

    def set_timer(self, at_ms: int, member: int, timer: Any) -> None:
        """Lets a timer be due; it replaces an equal one of the same member."""
        key = (member, timer)
        replaced = self._timers.get(key)
        if replaced is not None:
            self._stale.add(replaced)
        self._order = order = self._order + 1
        self._timers[key] = order
        heappush(self._heap, (at_ms, order, Kind.TIMER, member, timer, None))
        if len(self._stale) > max(STALE_MAX, len(self._heap) // 2):
            self._sweep()

    def cancel_timer(self, member: int, timer: Any) -> None:
        cancelled = self._timers.pop((member, timer), None)
        if cancelled is not None:
            self._stale.add(cancelled)

    def forget(self, member: int) -> None:
        """A process has ended: its timers with it, and the connections of what was on its way."""
        for key in [key for key in self._timers if key[0] == member]:
            self._stale.add(self._timers.pop(key))
        self._heap = [e for e in self._heap if e[2] != Kind.MESSAGE or e[3] != member]
        heapify(self._heap)

    @property
    def next_due_ms(self) -> int | None:
        """The time of the next event, or None where nothing will ever happen again."""
        if self._stale:
            self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, at_ms: int) -> QueuedEvent | None:
        """Returns the next event if it is due by then."""
        if self._stale:
            self._drop_stale()
        return self._pop() if self._heap and self._heap[0][0] <= at_ms else None

    def pop(self) -> QueuedEvent:
        """Returns the next event. Raises IndexError if there is none."""
        if self._stale:
            self._drop_stale()
        return self._pop()

    def _pop(self) -> QueuedEvent:
        event = heappop(self._heap)
        if event[2] == Kind.TIMER:
            del self._timers[event[3], event[4]]
        return event

    def _drop_stale(self) -> None:
        heap, stale = self._heap, self._stale
        while heap and heap[0][1] in stale:
            stale.remove(heappop(heap)[1])

    def _sweep(self) -> None:
        stale = self._stale
        self._heap = [event for event in self._heap if event[1] not in stale]
        heapify(self._heap)
        stale.clear()
