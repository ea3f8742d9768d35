"""Schedules of faults: what is drawn, what is written, and what is refused."""

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.simulation.strategies import schedules
from reference.simulator.faults import (
    AMOUNTS,
    FAULTS_MAX,
    GROUPS,
    MODES,
    UNCLEAN,
    BadSchedule,
    Fault,
    FaultKind,
    Schedule,
    from_json,
    limited,
    random_options,
    random_schedule,
    to_json,
)


def fault(kind: FaultKind, target: int, at_ms: int = 0, duration_ms: int = 100) -> Fault:
    return Fault(at_ms=at_ms, kind=kind, target=target, duration_ms=duration_ms)


@given(schedule=schedules(), seed=st.integers(0, 999))
@settings(deadline=None)
def test_a_schedule_survives_json(schedule: Schedule, seed: int) -> None:
    assert from_json(json.loads(json.dumps(to_json(schedule)))) == schedule
    drawn = random_schedule(seed, schedule.mode)
    assert from_json(json.loads(json.dumps(to_json(drawn)))) == drawn


def test_what_has_its_default_is_left_out_of_faults() -> None:
    schedule = Schedule(seed=1, faults=(fault(FaultKind.CRASH, 2),))
    (written,) = to_json(schedule)["faults"]
    assert written == {"at_ms": 0, "kind": "crash", "target": 2, "duration_ms": 100}


CRASH = {"at_ms": 0, "kind": "crash", "target": 1, "duration_ms": 5}


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        ([], "the schedule: .* is not an object"),
        ({}, "seed: None is not a whole number"),
        ({"seed": 1, "color": 2}, "'color' is none of"),
        ({"seed": True}, "seed: True"),
        ({"seed": -1}, "seed: -1 is below 0"),
        ({"seed": 1, "mode": "raft"}, "mode: 'raft' is none of quorum, zookeeper"),
        ({"seed": 1, "faults": {}}, "faults: .* is not a list"),
        ({"seed": 1, "faults": [CRASH | {"kind": "flood"}]}, r"faults\[0\].kind: 'flood'"),
        ({"seed": 1, "faults": [CRASH | {"target": 4}]}, "there is no node 4"),
        ({"seed": 1, "faults": [CRASH | {"target": 0}]}, "there is no node 0"),
        ({"seed": 1, "faults": [CRASH | {"at_ms": -1}]}, r"faults\[0\].at_ms: -1 is below 0"),
        ({"seed": 1, "faults": [CRASH | {"at_ms": 0.5}]}, "0.5 is not a whole number"),
        ({"seed": 1, "options": {"loss": 2}}, "options.loss: 2 is not a probability"),
        ({"seed": 1, "options": {"latency_ms": [5, 1]}}, "options.latency_ms: 5 is above 1"),
        ({"seed": 1, "options": {"think_ms": [5]}}, "options.think_ms: .* is not"),
        ({"seed": 1, "options": {"partitions": 0}}, "options.partitions: 0 is below 1"),
        ({"seed": 1, "options": {"configs": [["a"]]}}, "options.configs"),
        ({"seed": 1, "options": {"configs": 3}}, "options.configs: 3 is not a list"),
    ],
)
def test_what_is_no_schedule_is_refused_by_name(raw: Any, complaint: str) -> None:
    with pytest.raises(BadSchedule, match=complaint):
        from_json(raw)


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_decides_a_schedule_and_stays_within_bounds(mode: str) -> None:
    kinds: set[FaultKind] = set()
    for seed in range(300):
        schedule = random_schedule(seed, mode)
        assert schedule == random_schedule(seed, mode)
        assert 1 <= len(schedule.faults) <= FAULTS_MAX
        assert list(schedule.faults) == sorted(schedule.faults, key=lambda each: each.at_ms)
        assert limited(schedule.faults, mode, 2, 3) == schedule.faults or (
            schedule.options.min_insync_replicas == 1
        )
        for each in schedule.faults:
            kinds.add(each.kind)
            assert 0 <= each.at_ms <= schedule.options.until_ms
            assert 1 <= each.target <= 3
            assert each.other not in (each.target, 4)
            if each.kind in AMOUNTS:
                assert AMOUNTS[each.kind][0] <= each.amount <= AMOUNTS[each.kind][1]
    expected = set(FaultKind) - ({FaultKind.POWER_LOSS} if mode == "zookeeper" else set())
    assert kinds == expected


def test_a_swarm_leaves_kinds_out() -> None:
    sets = {frozenset(f.kind for f in random_schedule(seed, "quorum").faults) for seed in range(99)}
    assert len(sets) > 50
    assert max(map(len, sets)) <= 6  # four kinds, an operator, and pauses in place of crashes


def test_one_node_may_lose_its_power_and_then_no_other_stops_uncleanly() -> None:
    faults = [
        fault(FaultKind.CRASH, 1, at_ms=5),
        fault(FaultKind.POWER_LOSS, 3, at_ms=30),
        fault(FaultKind.POWER_LOSS, 2, at_ms=20),
        fault(FaultKind.CRASH, 2, at_ms=40),
        fault(FaultKind.CUT, 3, at_ms=50),
    ]
    kept = limited(faults, "quorum", min_insync_replicas=2, replication_factor=3)
    assert [(each.kind.value, each.target) for each in kept] == [
        ("pause", 1),
        ("power_loss", 2),
        ("pause", 3),
        ("crash", 2),
        ("cut", 3),
    ]
    for mode, min_insync_replicas in (("zookeeper", 2), ("quorum", 1)):
        kept = limited(faults, mode, min_insync_replicas, 3)
        assert FaultKind.POWER_LOSS not in {each.kind for each in kept}
        assert [each.kind for each in kept[:3]] == [FaultKind.CRASH] * 3


def test_every_kind_belongs_to_one_group() -> None:
    listed = [kind for kinds in GROUPS.values() for kind in kinds]
    assert sorted(listed) == sorted(FaultKind)
    assert set(UNCLEAN) <= {*GROUPS["process"], *GROUPS["disk"]}


def test_a_fault_reads_like_a_sentence() -> None:
    cut = Fault(at_ms=7, kind=FaultKind.CUT_PAIR, target=1, duration_ms=20, other=3)
    assert str(cut) == "at 7 ms: cut pair 1 from 3 for 20 ms"
    slow = Fault(at_ms=7, kind=FaultKind.SLOW, target=1, duration_ms=0, amount=30)
    assert str(slow) == "at 7 ms: slow 1 by 30"
    told = str(Schedule(seed=3, mode="zookeeper", faults=(cut,)))
    assert told.splitlines()[0] == "seed 3, zookeeper mode"
    assert "cut pair" in told.splitlines()[1]


def test_options_vary() -> None:
    drawn = {random_options(random.Random(seed)) for seed in range(100)}
    assert len(drawn) > 50
    assert {options.min_insync_replicas for options in drawn} == {1, 2}
