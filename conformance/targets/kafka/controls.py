"""A hold on the brokers of a launched cluster: signals to their processes, and links to be cut."""

import time
from collections.abc import Sequence

from conformance.nemesis.capability import Capability
from conformance.targets.kafka.layout import Layout
from conformance.targets.kafka.power import lose_unflushed
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.wiring import ZOOKEEPER, Traffic

_PROCESSES = frozenset(
    {Capability.KILL, Capability.PAUSE, Capability.SHUT_DOWN, Capability.LOSE_POWER}
)
_LINKS = frozenset({Capability.CUT_BROKERS, Capability.CUT_CONTROLLERS, Capability.ISOLATE})


class KafkaControls:
    """See `conformance.nemesis.controls.Controls`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._killed_s: dict[int, float] = {}
        self.brokers: Sequence[int] = range(1, len(layout.brokers) + 1)
        self.capabilities = _PROCESSES | _LINKS if layout.links else _PROCESSES

    def is_running(self, broker: int) -> bool:
        return self._process(broker).is_alive

    # ---- processes ------------------------------------------------------------------------------

    def kill(self, broker: int) -> None:
        self._process(broker).kill()
        self._killed_s[broker] = time.monotonic()

    def start(self, broker: int) -> None:
        """In ZooKeeper mode a killed broker waits until its id is free again."""
        process = self._process(broker)
        killed_s = self._killed_s.pop(broker, None)
        if killed_s is None:
            process.stop()  # one that is still shutting down has to end first
        if not process.is_alive:
            free_s = 0.0 if killed_s is None else killed_s + self._layout.restarts_after_s
            process.start(after_s=max(0.0, free_s - time.monotonic()))

    def shut_down(self, broker: int) -> None:
        self._process(broker).terminate()

    def pause(self, broker: int) -> None:
        self._process(broker).pause()

    def resume(self, broker: int) -> None:
        self._process(broker).resume()

    def lose_power(self, broker: int) -> None:
        self.kill(broker)
        lose_unflushed(self._process(broker).folder / "data")

    # ---- links ----------------------------------------------------------------------------------

    def cut(self, broker: int, other: int) -> None:
        self._hold(broker, (other,), Traffic.REPLICATION)

    def join(self, broker: int, other: int) -> None:
        self._join(broker, (other,), Traffic.REPLICATION)

    def cut_controllers(self, broker: int) -> None:
        self._hold(broker, self._others(broker), Traffic.CONTROL)

    def join_controllers(self, broker: int) -> None:
        self._join(broker, self._others(broker), Traffic.CONTROL)

    def isolate(self, broker: int) -> None:
        self._hold(broker, self._others(broker), *Traffic)

    def rejoin(self, broker: int) -> None:
        self._join(broker, self._others(broker), *Traffic)

    # ---- clocks ---------------------------------------------------------------------------------

    def set_clock(self, broker: int, ahead_ms: int) -> None:
        raise NotImplementedError("all brokers have the clock of this machine")

    # ---- parts ----------------------------------------------------------------------------------

    def _process(self, broker: int) -> ServerProcess:
        return self._layout.brokers[broker - 1]

    def _others(self, broker: int) -> tuple[int, ...]:
        return (*(other for other in self.brokers if other != broker), ZOOKEEPER)

    def _hold(self, broker: int, others: Sequence[int], *traffic: Traffic) -> None:
        assert self._layout.links
        self._layout.links.hold(broker, others, *traffic)

    def _join(self, broker: int, others: Sequence[int], *traffic: Traffic) -> None:
        assert self._layout.links
        self._layout.links.join(broker, others, *traffic)
