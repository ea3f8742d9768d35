"""Brings the faults of a schedule about in a simulated cluster, and undoes each at its end.

Faults may overlap. What several of them hold (a link that is cut, a node that is down) is undone
when the last of them ends.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from functools import partial

from reference.messages import ZOOKEEPER
from reference.requests import (
    AlterPartitionReassignments,
    ElectionType,
    ElectLeaders,
    Metadata,
    MetadataDescribed,
    Partition,
    Reassignment,
    Response,
)
from reference.simulator.agenda import Agenda
from reference.simulator.assembly import VOTERS_MAX
from reference.simulator.cluster import Mode
from reference.simulator.faults import EVERYBODY, Fault, FaultKind
from reference.simulator.network import Plane
from reference.storage.simulated import Operation, SimulatedDisk

OPERATOR = "operator"
OPERATOR_TIMEOUT_MS = 1_000
DRIFT_STEP_MS = 100
"""How often a drifting clock is moved on."""

Told = Callable[[Fault, bool], None]
"""Called when a fault has begun (True) and when it has ended (False)."""


class FaultInjector:
    def __init__(self, agenda: Agenda) -> None:
        self.agenda, self.cluster = agenda, agenda.cluster
        self.nodes = tuple(sorted(self.cluster.addresses))
        self.told: Told | None = None
        self._base_loss = self.cluster.network.loss
        self._active: dict[int, Fault] = {}
        self._holders: dict[Hashable, set[int]] = {}
        """Which faults hold what; what nobody holds any more is undone."""
        self._offsets_ms: dict[int, int] = {}
        """By how much each active fault has moved its target's clock."""

    def schedule(self, faults: tuple[Fault, ...]) -> None:
        """Lets the faults begin and end, at their times from now on."""
        for number, fault in enumerate(faults):
            self.agenda.after(fault.at_ms, partial(self.begin, number, fault))
            self.agenda.after(fault.ends_ms, partial(self.end, number))

    def begin(self, number: int, fault: Fault) -> None:
        """Starts a fault under a number of its own."""
        self._active[number] = fault
        _WAYS[fault.kind][0](self, number, fault)
        if self.told:
            self.told(fault, True)

    def end(self, number: int) -> None:
        """Undoes a fault, as far as no other wants the same."""
        fault = self._active.pop(number, None)
        if fault is None:
            return
        _WAYS[fault.kind][1](self, number, fault)
        if self.told:
            self.told(fault, False)

    def end_all(self) -> None:
        """Heals everything and starts whoever does not run."""
        for number in tuple(self._active):
            self.end(number)
        for node in self.nodes:
            self.cluster.restart(node)

    # ---- what is held --------------------------------------------------------------------------

    def _take(self, what: Hashable, number: int) -> bool:
        """Returns whether nobody has held it before."""
        holders = self._holders.setdefault(what, set())
        holders.add(number)
        return len(holders) == 1

    def _release(self, what: Hashable, number: int) -> bool:
        """Returns whether nobody holds it any more, and this fault did."""
        holders = self._holders.get(what)
        if holders is None or number not in holders:
            return False
        holders.discard(number)
        return not holders

    # ---- processes -----------------------------------------------------------------------------

    def _go_down(self, number: int, fault: Fault) -> None:
        node = fault.target
        self._take(("down", node), number)
        if fault.kind is FaultKind.SHUT_DOWN:
            self.cluster.shut_down(node)
            return
        self._holders.pop(("paused", node), None)  # it is the process that was paused
        self.cluster.crash(node, power_loss=fault.kind is FaultKind.POWER_LOSS)

    def _come_back(self, number: int, fault: Fault) -> None:
        """A process that has not managed to stop by now is killed: operators are impatient."""
        if self._release(("down", fault.target), number):
            self.cluster.crash(fault.target)
            self._holders.pop(("paused", fault.target), None)
            self.cluster.restart(fault.target)

    def _pause(self, number: int, fault: Fault) -> None:
        if fault.target in self.cluster.nodes:
            self._take(("paused", fault.target), number)
            self.cluster.pause(fault.target)

    def _resume(self, number: int, fault: Fault) -> None:
        if self._release(("paused", fault.target), number):
            self.cluster.resume(fault.target)

    # ---- links ---------------------------------------------------------------------------------

    def _links(self, fault: Fault) -> Iterator[tuple[int, int, Plane]]:
        """The directed links that a fault cuts, each for one kind of traffic."""
        target, others = fault.target, list(self.nodes)
        in_zookeeper = self.cluster.mode is Mode.ZOOKEEPER
        planes: tuple[Plane, ...] = (Plane.REPLICATION, Plane.METADATA)
        if fault.kind is FaultKind.CUT_FROM_METADATA:
            others = [ZOOKEEPER] if in_zookeeper else others[:VOTERS_MAX]
            planes = (Plane.METADATA,)
        elif fault.other != EVERYBODY:
            others = [fault.other]
        elif in_zookeeper:
            others.append(ZOOKEEPER)
        for other in others:
            if other == target:
                continue
            for plane in planes:
                yield target, other, plane
                if fault.kind is not FaultKind.CUT_ONE_WAY:
                    yield other, target, plane

    def _cut(self, number: int, fault: Fault) -> None:
        for sender, receiver, plane in self._links(fault):
            if self._take(("link", sender, receiver, plane), number):
                self.cluster.network.cut(sender, receiver, one_way=True, plane=plane)

    def _heal(self, number: int, fault: Fault) -> None:
        for sender, receiver, plane in self._links(fault):
            if self._release(("link", sender, receiver, plane), number):
                self.cluster.network.heal(sender, receiver, one_way=True, plane=plane)

    def _change_network(self, number: int, fault: Fault) -> None:
        """Slowness adds up; of several rates of loss the greatest counts."""
        slowness_ms: dict[int, int] = {}
        loss = self._base_loss
        for each in self._active.values():
            if each.kind is FaultKind.SLOW:
                slowness_ms[each.target] = slowness_ms.get(each.target, 0) + each.amount
            elif each.kind is FaultKind.LOSS:
                loss = max(loss, each.amount / 100)
        self.cluster.network.slowness_ms = slowness_ms
        self.cluster.network.loss = loss

    # ---- clocks --------------------------------------------------------------------------------

    def _jump(self, number: int, fault: Fault) -> None:
        self._offsets_ms[number] = fault.amount
        self._set_clock(fault.target)

    def _drift(self, number: int, fault: Fault, elapsed_ms: int = 0) -> None:
        if number not in self._active:
            return
        self._offsets_ms[number] = fault.amount * elapsed_ms // 1_000
        self._set_clock(fault.target)
        after = partial(self._drift, number, fault, elapsed_ms + DRIFT_STEP_MS)
        self.agenda.after(DRIFT_STEP_MS, after)

    def _set_right(self, number: int, fault: Fault) -> None:
        self._offsets_ms.pop(number, None)
        self._set_clock(fault.target)

    def _set_clock(self, node: int) -> None:
        active = self._active
        ahead_ms = sum(ms for n, ms in self._offsets_ms.items() if active[n].target == node)
        self.cluster.skew(node, ahead_ms)

    # ---- disks ---------------------------------------------------------------------------------

    def _spoil_disk(self, number: int, fault: Fault) -> None:
        if self._take((fault.kind, fault.target), number):
            self._set_disk(fault, True)

    def _repair_disk(self, number: int, fault: Fault) -> None:
        """A process that stopped because of its disk is started again."""
        if self._release((fault.kind, fault.target), number):
            self._set_disk(fault, False)
        if not self._holders.get(("down", fault.target)):
            self.cluster.restart(fault.target)

    def _set_disk(self, fault: Fault, is_bad: bool) -> None:
        disk = self.cluster.disks[fault.target]
        assert isinstance(disk, SimulatedDisk), "only a simulated disk fails on demand"
        if fault.kind is FaultKind.DISK_FULL:
            disk.capacity_bytes = 0 if is_bad else None
        else:
            disk.failing = frozenset(Operation) if is_bad else frozenset()

    # ---- the operator --------------------------------------------------------------------------

    def _move_leaders(self, number: int, fault: Fault) -> None:
        """Puts the target first among the replicas of each partition, and elects the first."""
        everything = Metadata(topics=None, allow_auto_topic_creation=False)
        told = partial(self._prefer, fault.target)
        self.agenda.ask(OPERATOR, fault.target, everything, OPERATOR_TIMEOUT_MS, told)

    def _prefer(self, target: int, response: Response | None) -> None:
        if not isinstance(response, MetadataDescribed):
            return
        wanted = tuple(
            Reassignment(
                partition=Partition(topic.name, part.number),
                replicas=(target, *(each for each in part.replicas if each != target)),
            )
            for topic in response.topics
            for part in topic.partitions
            if topic.name is not None and target in part.replicas
        )
        request = AlterPartitionReassignments(reassignments=wanted, timeout_ms=OPERATOR_TIMEOUT_MS)
        elect = ElectLeaders(
            election=ElectionType.PREFERRED, partitions=None, timeout_ms=OPERATOR_TIMEOUT_MS
        )

        def then(_: Response | None) -> None:
            self.agenda.ask(OPERATOR, target, elect, OPERATOR_TIMEOUT_MS, lambda _: None)

        self.agenda.ask(OPERATOR, target, request, OPERATOR_TIMEOUT_MS, then)

    def _nothing(self, number: int, fault: Fault) -> None:
        """There is nothing to undo."""


_Way = Callable[[FaultInjector, int, Fault], None]
_DOWN: tuple[_Way, _Way] = (FaultInjector._go_down, FaultInjector._come_back)
_CUT: tuple[_Way, _Way] = (FaultInjector._cut, FaultInjector._heal)
_NETWORK: tuple[_Way, _Way] = (FaultInjector._change_network, FaultInjector._change_network)
_DISK: tuple[_Way, _Way] = (FaultInjector._spoil_disk, FaultInjector._repair_disk)

_WAYS: Mapping[FaultKind, tuple[_Way, _Way]] = {
    FaultKind.CRASH: _DOWN,
    FaultKind.POWER_LOSS: _DOWN,
    FaultKind.SHUT_DOWN: _DOWN,
    FaultKind.PAUSE: (FaultInjector._pause, FaultInjector._resume),
    FaultKind.CUT: _CUT,
    FaultKind.CUT_ONE_WAY: _CUT,
    FaultKind.CUT_FROM_METADATA: _CUT,
    FaultKind.CUT_PAIR: _CUT,
    FaultKind.SLOW: _NETWORK,
    FaultKind.LOSS: _NETWORK,
    FaultKind.MOVE_LEADER: (FaultInjector._move_leaders, FaultInjector._nothing),
    FaultKind.CLOCK_JUMP: (FaultInjector._jump, FaultInjector._set_right),
    FaultKind.CLOCK_DRIFT: (FaultInjector._drift, FaultInjector._set_right),
    FaultKind.DISK_FULL: _DISK,
    FaultKind.DISK_ERROR: _DISK,
}
"""How each kind begins, and how it ends."""
