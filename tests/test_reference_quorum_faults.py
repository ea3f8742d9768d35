"""The metadata quorum as a whole: what it promises under faults, and how each wrong rule shows."""

from collections.abc import Callable

import pytest

from reference.metadata.quorum import member
from reference.metadata.quorum.replica import Role
from reference.mutants.mutant import Mutant
from reference.mutants.quorum import MUTANTS
from tests.quorum_cluster import QuorumCluster, Violated


def booted(observers: int = 0) -> QuorumCluster:
    cluster = QuorumCluster(7, observers=observers)
    cluster.run_until(3_000)
    return cluster


def test_brokers_register_and_are_let_in() -> None:
    cluster = booted(observers=2)
    for life in cluster.lives.values():
        known = life.broker.image.brokers
        assert sorted(known) == [1, 2, 3, 4, 5]
        assert not any(broker.fenced for broker in known.values())
        assert known[life.number].broker_epoch == life.member.registration.broker_epoch
        assert known[life.number].incarnation == life.member.registration.incarnation
    assert len(cluster.leaders) == 1


def test_an_idle_node_has_little_to_do() -> None:
    cluster = booted()
    before = cluster.events
    cluster.run_until(13_000)
    assert cluster.events - before <= 13 * 10 * len(cluster.numbers)


def test_duplicates_do_not_multiply() -> None:
    cluster = booted()
    cluster.duplication = 1.0
    before = cluster.events
    cluster.run_until(13_000)
    assert cluster.events - before <= 30 * 10 * len(cluster.numbers)
    assert len(cluster.leaders) == 1


def test_what_a_cut_off_leader_decides_is_neither_committed_nor_answered() -> None:
    cluster = booted()
    old = cluster.controller
    assert old is not None
    cluster.cut_off(old)
    cluster.ask(old)
    assert cluster.lives[old].member.replica.log.end.offset > len(cluster.committed)
    cluster.run_until(5_000)
    assert cluster.answered == []
    assert cluster.refused == [1]
    assert cluster.lives[old].member.replica.role is not Role.LEADER
    assert cluster.controller not in (None, old)
    cluster.heal()
    cluster.run_until(8_000)
    assert "1001" not in cluster.committed_values()
    cluster.check_logs()


def test_a_leader_that_leaves_hands_over_at_once() -> None:
    cluster = booted()
    old = cluster.controller
    assert old is not None
    life = cluster.lives[old]
    life.member.shut_down(cluster.now_ms)
    cluster.settle(life, None)
    while not life.member.may_stop:
        cluster.run_until(cluster.now_ms + 1)
        assert cluster.now_ms < 4_500
    assert life.member.replica.role is Role.RESIGNED
    cluster.crash(old)
    cluster.run_until(cluster.now_ms + 100)
    assert cluster.controller not in (None, old)


def test_a_new_life_has_a_larger_broker_epoch() -> None:
    cluster = booted()
    before = cluster.lives[2].member.registration.broker_epoch
    cluster.crash(2, power_loss=True)
    cluster.run_until(15_000)
    cluster.start(2)
    cluster.run_until(18_000)
    assert cluster.lives[2].member.registration.broker_epoch > before
    assert not cluster.lives[2].member.registration.is_fenced


def test_who_is_far_behind_gets_a_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "SNAPSHOT_RECORDS", 20)
    cluster = booted(observers=1)
    controller = cluster.controller
    assert controller is not None
    behind = [number for number in cluster.numbers if number != controller][-2:]
    for number in behind[1:]:
        cluster.crash(number)
    for _ in range(60):
        cluster.ask(controller)
        cluster.run_until(cluster.now_ms + 20)
    assert len(cluster.answered) == 60
    for number in behind[1:]:
        cluster.start(number)
    cluster.run_until(cluster.now_ms + 2_000)
    image = cluster.lives[controller].broker.image
    for number in behind:
        replica = cluster.lives[number].member.replica
        assert replica.log.start.offset > 0
        assert cluster.lives[number].broker.image == image
    cluster.crash(controller)
    cluster.run_until(cluster.now_ms + 3_000)
    assert cluster.controller not in (None, controller)
    successor = cluster.lives[cluster.controller or 0].member.active
    assert successor is not None
    assert successor.image.configs == image.configs


# ---- under faults ------------------------------------------------------------------------------


@pytest.mark.parametrize("voters", [3, 5])
def test_the_quorum_keeps_its_promises(voters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "SNAPSHOT_RECORDS", 20)
    answered = epochs = 0
    for seed in range(60):
        cluster = QuorumCluster(seed, voters=voters, observers=seed % 2)
        cluster.run_disturbed()
        answered += len(cluster.answered)
        epochs += len(cluster.leaders)
    assert answered > 500
    assert epochs > 150


@pytest.mark.parametrize("voters", [3, 5])
def test_no_election_has_two_winners(voters: int) -> None:
    epochs = 0
    for seed in range(60):
        cluster = QuorumCluster(seed, voters=voters)
        cluster.run_elections()
        epochs += len(cluster.leaders)
    assert epochs > 150


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_wrong_rule_breaks_a_promise(mutant: Mutant) -> None:
    """A promise of a clause that the mutant names, or an agreement that follows from it."""
    run: Callable[[QuorumCluster], None] = QuorumCluster.run_disturbed
    if mutant.name == "vote-not-persisted":
        run = QuorumCluster.run_elections
    for seed in range(500):
        try:
            run(QuorumCluster(seed, voters=3 if seed % 2 else 5, rules=mutant.rules()))
        except Violated:
            return
    pytest.fail(f"{mutant.name} survives {seed + 1} runs")
