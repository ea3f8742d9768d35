"""A partition under load: all clients that work on it while its brokers have faults.

They work beside the test (`Target.start`) and note in a history what they are told.
"""

from dataclasses import dataclass, field

from conformance.partition import Partition
from conformance.targets.target import Target, Worker
from conformance.workload.history import History, Look
from conformance.workload.lines import Brokers

DRAINS_WITHIN_MS = 60_000


@dataclass(eq=False)
class Load:
    """What the clients share. `partition.view` need not be right while they work."""

    partition: Partition
    brokers: Brokers
    history: History = field(default_factory=History)
    is_open: bool = True
    """Whether producers begin new writes."""
    leader: int = -1
    """The leader of the newest epoch that any broker told of, by which clients go."""
    leader_epoch: int = -1
    _latest: dict[int, Look] = field(default_factory=dict)
    _writing: int = 0

    def __post_init__(self) -> None:
        self.leader = self.partition.view.leader
        self.leader_epoch = self.partition.view.leader_epoch

    @property
    def target(self) -> Target:
        return self.partition.target

    def write(self, *producers: Worker) -> None:
        """Lets producers work until `finish`, or until they come to their end."""
        self._writing += len(producers)
        for producer in producers:
            self.target.start(self._counted(producer))

    def observe(self, *observers: Worker) -> None:
        """Lets consumers and onlookers work until `finish`."""
        for observer in observers:
            self.target.start(observer)

    def _counted(self, worker: Worker) -> Worker:
        yield from worker
        self._writing -= 1

    def finish(self, within_ms: int = DRAINS_WITHIN_MS) -> None:
        """Lets producers hear what becomes of their last writes, and sends everybody home."""
        self.is_open = False
        self.target.pass_time(lambda: self._writing == 0, within_ms)
        self.target.dismiss()

    # ---- what is known --------------------------------------------------------------------------

    def note(self, look: Look) -> None:
        """A broker has said something about the partition."""
        self.history.looks.append(look)
        self._latest[look.broker] = look
        if look.leader >= 0 and look.leader_epoch >= self.leader_epoch:
            self.leader, self.leader_epoch = look.leader, look.leader_epoch

    def latest(self, *brokers: int) -> list[Look]:
        """The newest that each of these brokers said, as far as they have said anything."""
        return [self._latest[broker] for broker in brokers if broker in self._latest]

    @property
    def acknowledged(self) -> int:
        """How many writes have been."""
        return len(self.history.acknowledged)
