"""A broker that dies and comes back, for tests that go on with it afterwards."""

from contextlib import suppress

from conformance.outcomes import Undecided, Unreachable
from conformance.partition import Topic

RESTARTS_WITHIN_MS = 90_000


def kill_and_restart(topic: Topic, broker: int) -> None:
    """kill -9 and a new process; returns when all brokers show the topic led and in sync.

    Raises `NotRun` where brokers cannot be killed, `Inconclusive` where it does not come back.
    """
    with topic.target.nemesis.kill(broker):
        pass
    topic.target.eventually(lambda: _is_back(topic), bool, within_ms=RESTARTS_WITHIN_MS)


def _is_back(topic: Topic) -> bool:
    with suppress(Undecided, Unreachable):
        topic.refresh()
        return True
    return False
