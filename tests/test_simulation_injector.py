"""Faults in a simulated cluster: each is brought about, and nothing of it is left at its end."""

from collections.abc import Mapping

import pytest

from reference.messages import ZOOKEEPER
from reference.simulator.agenda import Agenda
from reference.simulator.cluster import Cluster, Mode
from reference.simulator.faults import EVERYBODY, Fault, FaultKind
from reference.simulator.schedule import FaultInjector
from reference.storage.simulated import Operation, SimulatedDisk
from tests.core_cluster import cluster, create, leader_of

NODES = (1, 2, 3)


class Case:
    def __init__(self, mode: Mode = Mode.QUORUM) -> None:
        addresses = {number: ("broker", number) for number in NODES}
        configs: Mapping[str, str] = {"broker.session.timeout.ms": "1000"}
        self.cluster = Cluster(addresses, mode=mode, configs=configs)
        self.injector = FaultInjector(Agenda(self.cluster))
        self.network = self.cluster.network

    def begin(
        self, number: int, kind: FaultKind, target: int, other: int = EVERYBODY, amount: int = 0
    ) -> None:
        fault = Fault(at_ms=0, kind=kind, target=target, duration_ms=0, other=other, amount=amount)
        self.injector.begin(number, fault)

    def broken(self, *, replicates: bool) -> set[tuple[int, int]]:
        """Directed links over which nothing passes."""
        members = (ZOOKEEPER, *NODES)
        return {
            (a, b)
            for a in members
            for b in members
            if a != b and not self.network.passes(a, b, replicates=replicates)
        }


def test_faults_begin_and_end_when_their_schedule_says() -> None:
    case = Case()
    told: list[tuple[int, str, bool]] = []
    now_ms = case.cluster.now_ms
    case.injector.told = lambda fault, begins: told.append(
        (case.cluster.now_ms - now_ms, fault.kind.value, begins)
    )
    pause = Fault(at_ms=10, kind=FaultKind.PAUSE, target=1, duration_ms=30)
    cut = Fault(at_ms=20, kind=FaultKind.CUT, target=2, duration_ms=100)
    case.injector.schedule((pause, cut))
    case.injector.agenda.run(200)
    assert told == [
        (10, "pause", True),
        (20, "cut", True),
        (40, "pause", False),
        (120, "cut", False),
    ]


def test_a_node_is_down_until_the_last_fault_that_wants_it_ends() -> None:
    case = Case()
    case.begin(1, FaultKind.CRASH, 2)
    assert 2 not in case.cluster.nodes
    case.begin(2, FaultKind.CRASH, 2)
    case.injector.end(1)
    assert 2 not in case.cluster.nodes
    case.injector.end(2)
    assert 2 in case.cluster.nodes
    case.injector.end(2)
    assert 2 in case.cluster.nodes


def test_only_a_loss_of_power_takes_what_was_not_synced() -> None:
    for kind, survives in ((FaultKind.CRASH, True), (FaultKind.POWER_LOSS, False)):
        case = Case()
        disk = case.cluster.disks[2]
        disk.append("unsynced", b"x" * 10_000)
        case.begin(1, kind, 2)
        case.injector.end(1)
        assert ("unsynced" in disk.files() and disk.size_bytes("unsynced") == 10_000) is survives


def test_a_shutdown_hands_over_and_one_that_is_too_slow_is_ended() -> None:
    case = Case()
    create(case.cluster, "t")
    leader = leader_of(case.cluster, "t")
    case.begin(1, FaultKind.SHUT_DOWN, leader)
    assert leader in case.cluster.nodes
    case.injector.agenda.run(3_000)
    assert leader not in case.cluster.nodes
    assert leader_of(case.cluster, "t") != leader
    case.injector.end(1)
    assert leader in case.cluster.nodes
    former = case.cluster.nodes[leader].incarnation
    case.begin(2, FaultKind.SHUT_DOWN, leader)
    case.injector.end(2)
    assert case.cluster.nodes[leader].incarnation != former


def test_the_end_of_a_pause_does_not_wake_another_process() -> None:
    case = Case()
    case.begin(1, FaultKind.PAUSE, 1)
    case.begin(2, FaultKind.CRASH, 1)
    case.injector.end(2)
    case.begin(3, FaultKind.PAUSE, 1)
    case.injector.end(1)
    heard: list[int] = []
    case.cluster.observers.append(lambda member, *_: heard.append(member))
    case.injector.agenda.run(300)
    assert 1 not in heard
    case.injector.end(3)
    case.injector.agenda.run(300)
    assert 1 in heard


@pytest.mark.parametrize("mode", list(Mode))
def test_a_cut_is_of_everything_and_cuts_may_overlap(mode: Mode) -> None:
    case = Case(mode)
    others = [2, 3] + ([ZOOKEEPER] if mode is Mode.ZOOKEEPER else [])
    around = {(1, other) for other in others} | {(other, 1) for other in others}
    case.begin(1, FaultKind.CUT, 1)
    assert case.broken(replicates=True) == case.broken(replicates=False) == around
    case.begin(2, FaultKind.CUT_PAIR, 2, other=1)
    case.injector.end(1)
    assert case.broken(replicates=True) == {(1, 2), (2, 1)}
    case.injector.end(2)
    assert case.broken(replicates=True) == case.broken(replicates=False) == set()


def test_one_way_is_what_the_target_sends() -> None:
    case = Case()
    case.begin(1, FaultKind.CUT_ONE_WAY, 3)
    assert case.broken(replicates=True) == {(3, 1), (3, 2)}
    case.begin(2, FaultKind.CUT_ONE_WAY, 2, other=1)
    assert case.broken(replicates=False) == {(3, 1), (3, 2), (2, 1)}


@pytest.mark.parametrize(
    ("mode", "links"),
    [
        (Mode.QUORUM, {(2, 1), (1, 2), (2, 3), (3, 2)}),
        (Mode.ZOOKEEPER, {(2, ZOOKEEPER), (ZOOKEEPER, 2)}),
    ],
)
def test_a_node_can_be_cut_from_the_metadata_alone(mode: Mode, links: set[tuple[int, int]]) -> None:
    case = Case(mode)
    case.begin(1, FaultKind.CUT_FROM_METADATA, 2)
    assert case.broken(replicates=False) == links
    assert case.broken(replicates=True) == set()


def test_slowness_adds_up_and_the_greatest_loss_counts() -> None:
    case = Case()
    case.begin(1, FaultKind.SLOW, 1, amount=30)
    case.begin(2, FaultKind.SLOW, 1, amount=12)
    case.begin(3, FaultKind.LOSS, 1, amount=20)
    case.begin(4, FaultKind.LOSS, 2, amount=50)
    assert case.network.slowness_ms == {1: 42}
    assert case.network.loss == 0.5
    case.injector.end(4)
    case.injector.end(1)
    assert (case.network.loss, case.network.slowness_ms) == (0.2, {1: 12})
    case.injector.end_all()
    assert (case.network.loss, case.network.slowness_ms) == (0.0, {})


def test_clocks_jump_and_drift_and_are_set_right() -> None:
    case = Case()
    case.begin(1, FaultKind.CLOCK_JUMP, 1, amount=-700)
    case.begin(2, FaultKind.CLOCK_DRIFT, 1, amount=100)
    case.injector.agenda.run(1_000)
    ahead_ms = case.cluster.clock_of(1) - case.cluster.clock_ms
    assert -700 + 80 <= ahead_ms <= -700 + 100
    assert case.cluster.clock_of(2) == case.cluster.clock_ms
    case.injector.end(1)
    assert case.cluster.clock_of(1) > case.cluster.clock_ms
    case.injector.end(2)
    case.injector.agenda.run(1_000)
    assert case.cluster.clock_of(1) == case.cluster.clock_ms


@pytest.mark.parametrize("kind", [FaultKind.DISK_FULL, FaultKind.DISK_ERROR])
def test_a_process_stops_with_its_disk_and_is_started_when_that_is_repaired(
    kind: FaultKind,
) -> None:
    case = Case()
    disk = case.cluster.disks[2]
    assert isinstance(disk, SimulatedDisk)
    case.begin(1, kind, 2)
    assert disk.capacity_bytes == 0 or disk.failing == frozenset(Operation)
    create(case.cluster, "t", partitions=3)
    assert 2 not in case.cluster.nodes
    case.injector.end(1)
    assert (disk.capacity_bytes, disk.failing) == (None, frozenset())
    assert 2 in case.cluster.nodes


def test_an_operator_moves_leaders_to_the_target() -> None:
    running = cluster()
    injector = FaultInjector(Agenda(running))
    create(running, "t")
    target = leader_of(running, "t") % 3 + 1
    fault = Fault(at_ms=0, kind=FaultKind.MOVE_LEADER, target=target, duration_ms=0)
    injector.begin(1, fault)
    injector.agenda.run(1_000)
    assert leader_of(running, "t") == target


def test_everything_is_well_after_everything_has_ended() -> None:
    case = Case()
    for number, kind in enumerate(FaultKind):
        other = 2 if kind is FaultKind.CUT_PAIR else EVERYBODY
        case.begin(number, kind, 1, other=other, amount=20)
    case.injector.agenda.run(500)
    case.injector.end_all()
    assert case.broken(replicates=True) == case.broken(replicates=False) == set()
    assert tuple(sorted(case.cluster.nodes)) == NODES
    assert case.cluster.clock_of(1) == case.cluster.clock_ms
    assert (case.network.loss, case.network.slowness_ms) == (0.0, {})
    case.injector.agenda.run(5_000)
    assert all(map(case.cluster.lets_in, NODES))
