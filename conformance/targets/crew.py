"""Clients that work side by side, each written as a generator that yields what it waits for."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Protocol


class Awaited(Protocol):
    """What a worker may wait for: an answer, a time, or whichever is first."""

    @property
    def settled(self) -> bool: ...


Worker = Generator[Awaited, None, None]
"""A client of a workload: it yields what it waits for, and goes on when that is settled."""


@dataclass(frozen=True, slots=True)
class Until:
    """A time, or something that may be settled before it."""

    now_ms: Callable[[], int] = field(repr=False)
    at_ms: int
    sooner: Awaited | None = None

    @property
    def settled(self) -> bool:
        return (self.sooner is not None and self.sooner.settled) or self.now_ms() >= self.at_ms


class Crew:
    """Workers that take turns. None of them may wait in any other way than by yielding."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Worker, Awaited]] = []
        self.alarm_ms: int | None = None
        """The earliest time that a worker waits for."""

    @property
    def is_idle(self) -> bool:
        """Whether all have come to their end."""
        return not self._waiting

    def start(self, worker: Worker) -> None:
        """Lets it work up to what it must wait for."""
        self._go_on(worker)
        self._set_alarm()

    def advance(self) -> None:
        """Lets those go on whose waiting is over."""
        ready, still = list[Worker](), list[tuple[Worker, Awaited]]()
        for worker, awaited in self._waiting:  # asked once: time may pass between two questions
            if awaited.settled:
                ready.append(worker)
            else:
                still.append((worker, awaited))
        if not ready:
            return
        self._waiting = still
        for worker in ready:
            self._go_on(worker)
        self._set_alarm()

    def dismiss(self) -> None:
        """Ends them wherever they are."""
        for worker, _ in self._waiting:
            worker.close()
        self._waiting.clear()
        self.alarm_ms = None

    def _go_on(self, worker: Worker) -> None:
        awaited = next(worker, None)
        while awaited is not None and awaited.settled:
            awaited = next(worker, None)
        if awaited is not None:
            self._waiting.append((worker, awaited))

    def _set_alarm(self) -> None:
        times = [awaited.at_ms for _, awaited in self._waiting if isinstance(awaited, Until)]
        self.alarm_ms = min(times, default=None)
