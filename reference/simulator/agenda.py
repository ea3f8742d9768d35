"""What happens to a cluster from outside, in order of time: faults, and what clients do."""

from collections.abc import Callable
from typing import Protocol

from reference.requests import Request, Response
from reference.simulator.cluster import BrokerCrashed, Cluster, Submission

Then = Callable[[Response | None], None]
"""Told the response; or None, once the time for it is over or the connection is lost."""


class ReferenceCrashed(Exception):
    """A member raised an exception: the reference is wrong, whatever it was asked."""

    def __init__(self, crash: BrokerCrashed) -> None:
        super().__init__(f"member {crash.member} at {crash.at_ms} ms: {crash.error!r}")
        self.crash = crash


class Watcher(Protocol):
    """Told of everything that is asked and answered, in the moment in which it is."""

    def asked(self, number: int, who: str, node: int, request: Request) -> None: ...

    def answered(self, number: int, response: Response | None) -> None: ...


class Agenda:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.watchers: list[Watcher] = []
        self._asked = 0
        self._waiting: dict[int, tuple[Submission, Then]] = {}

    @property
    def now_ms(self) -> int:
        return self.cluster.now_ms

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self._waiting

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Lets something happen; of equal times what was said first comes first."""
        self.cluster.at(self.cluster.now_ms + delay_ms, action)

    def ask(self, who: str, node: int, request: Request, timeout_ms: int, then: Then) -> None:
        """Puts a client's request to a node. An answer that comes too late is dropped."""
        self._asked += 1
        number = self._asked
        for watcher in self.watchers:
            watcher.asked(number, who, node, request)
        self._waiting[number] = (self.cluster.submit(node, request), then)
        self.after(timeout_ms, lambda: self._expire(number))

    def _expire(self, number: int) -> None:
        if number in self._waiting:
            self._finish(number)

    def _finish(self, number: int) -> None:
        submission, then = self._waiting.pop(number)
        for watcher in self.watchers:
            watcher.answered(number, submission.response)
        then(submission.response)

    def run(self, within_ms: int, until: Callable[[], bool] | None = None) -> bool:
        """Lets time pass; returns whether a condition, looked at whenever somebody is answered,
        holds before it is over. Raises ReferenceCrashed."""
        cluster = self.cluster
        deadline_ms = cluster.now_ms + within_ms
        while until is None or not until():
            answered = cluster.run(self._is_anyone_answered, deadline_ms - cluster.now_ms)
            for crash in cluster.crashes:
                raise ReferenceCrashed(crash) from crash.error
            if not answered:
                return until is not None and until()
            self._hand_out()
        return True

    def _is_anyone_answered(self) -> bool:
        # Asked after every event, so there is no generator here.
        for submission, _ in self._waiting.values():
            if submission.response is not None or submission.is_lost:
                return True
        return bool(self.cluster.crashes)

    def _hand_out(self) -> None:
        for number, (submission, _) in tuple(self._waiting.items()):
            if submission.is_done:
                self._finish(number)
