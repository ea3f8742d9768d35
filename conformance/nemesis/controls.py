"""What an adapter does to a cluster: one small step at a time, without a memory of what it did.

`Nemesis` calls these, remembers how to undo them, and undoes them whatever happens.
"""

from collections.abc import Sequence
from typing import Protocol

from conformance.nemesis.capability import Capability


class Controls(Protocol):
    """A hold on the brokers of one cluster.

    Only what `capabilities` names is ever called. Undoing is idempotent: `start` of a broker that
    runs, `resume` of one that is not paused and `join` of links that are whole do nothing. All of
    them return at once; what comes of it shows in the cluster's answers.
    """

    @property
    def capabilities(self) -> frozenset[Capability]: ...
    @property
    def brokers(self) -> Sequence[int]:
        """The ids of all brokers, running or not, ascending."""

    def is_running(self, broker: int) -> bool:
        """Whether its process exists; a paused one does."""

    # KILL; `start` also ends SHUT_DOWN and LOSE_POWER
    def kill(self, broker: int) -> None:
        """It dies at once, as of kill -9; what it has written to its disk is kept."""

    def start(self, broker: int) -> None:
        """Starts it again over the same data and at the same addresses."""

    # PAUSE
    def pause(self, broker: int) -> None:
        """It stands still, as of SIGSTOP; its connections stay open."""

    def resume(self, broker: int) -> None: ...

    # SHUT_DOWN
    def shut_down(self, broker: int) -> None:
        """Asks it to hand over its leaderships and end, as SIGTERM does. It ends some time later,
        so that `is_running` is false then."""

    # LOSE_POWER
    def lose_power(self, broker: int) -> None:
        """It dies at once, and its disk loses what was not synced."""

    # CUT_BROKERS
    def cut(self, broker: int, other: int) -> None:
        """No record is replicated between the two, in either direction. Both still reach the
        controllers (and ZooKeeper), wherever these run."""

    def join(self, broker: int, other: int) -> None:
        """The end of `cut`."""

    # CUT_CONTROLLERS
    def cut_controllers(self, broker: int) -> None:
        """Nothing passes between it and the controllers or ZooKeeper on other machines, in either
        direction, so that its session expires. Records are replicated all the same."""

    def join_controllers(self, broker: int) -> None:
        """The end of `cut_controllers`."""

    # ISOLATE
    def isolate(self, broker: int) -> None:
        """Nothing passes between it and the rest of the cluster, controllers and ZooKeeper
        included, in either direction. Clients reach it."""

    def rejoin(self, broker: int) -> None:
        """The end of `isolate`."""

    # SET_CLOCKS
    def set_clock(self, broker: int, ahead_ms: int) -> None:
        """From now on its clock shows so much more than the right time; 0 puts it right."""
