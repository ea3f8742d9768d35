"""Steps of the metadata quorum against the model of KRaft: allowed, refused, forgotten."""

from collections import Counter
from itertools import product

import pytest

from conformance.refinement import ModelRefused
from conformance.refinement.quorum import QuorumValidator
from conformance.refinement.quorum_logs import LOGS, NoRoom, RunLogs, machine
from conformance.refinement.quorum_observer import QuorumObserver, VotersObserver
from conformance.refinement.quorum_state import NOBODY, CarriedQuorum
from conformance.simulation.run import StepRefused
from reference.messages import Event
from reference.metadata.quorum import member
from reference.metadata.quorum.member import QuorumMember
from reference.metadata.quorum.messages import Entry
from reference.metadata.quorum.replica import Role
from reference.metadata.records import LeaderChange
from reference.mutants.mutant import Mutant
from reference.mutants.quorum import MUTANTS
from reference.rules import Rules
from reference.simulator.cluster import Cluster
from spec.language.sorts import Sort
from spec.models.quorum_protocol import Epoch, LogValue
from tests.quorum_cluster import QuorumCluster, Violated

CANNOT_SAY = {"metadata-lost-on-failover", "quorum-leader-never-resigns"}
"""The model knows neither what the controller makes of the log nor how long anything takes."""


MUTANTS_BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


def watched(
    seed: int, voters: int, rules: Rules | None = None, *, invariants: bool = False
) -> tuple[QuorumCluster, VotersObserver]:
    """A quorum of which every step is compared."""
    observer = VotersObserver(tuple(range(1, voters + 1)), invariants=invariants)

    def observe(one: QuorumMember, event: Event | None, now_ms: int) -> None:
        observer.observe(one.replica, event, now_ms)

    options = {"voters": voters, "observers": seed % 2}
    return QuorumCluster(seed, rules=rules, observer=observe, **options), observer


def test_every_step_is_one_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(member, "SNAPSHOT_RECORDS", 20)
    taken: Counter[str] = Counter()
    for seed in range(40):
        cluster, observer = watched(seed, 1 + seed % 5)
        cluster.run_disturbed()
        observer.compare_whole()
        taken += observer.validator.carried.taken
    assert set(taken) == set(machine(3).model.actions)
    assert min(taken.values()) >= 10


def test_steps_keep_the_invariants() -> None:
    for seed in range(6):
        cluster, observer = watched(seed, 3, invariants=True)
        cluster.run_elections(4_000)
        assert observer.steps > 20
        carried = observer.validator.carried
        carried.logs.use()
        holds = carried.machine.holds
        assert all(holds[name](carried.state) for name in carried.machine.model.invariants)


@pytest.mark.parametrize(
    "mutant", [m for m in MUTANTS if m.name not in CANNOT_SAY], ids=lambda mutant: mutant.name
)
def test_a_wrong_rule_is_refused_for_its_clause(mutant: Mutant) -> None:
    for seed in range(300):
        cluster, _ = watched(seed, 3 if seed % 2 else 5, mutant.rules())
        try:
            cluster.run_elections() if seed % 3 == 0 else cluster.run_disturbed()
        except Violated:
            continue
        except ModelRefused as found:
            refused = found
            break
    else:
        pytest.fail(f"{mutant.name} is not refused in {seed + 1} runs")
    assert refused.clause in mutant.clauses, refused


# ---- forgetting --------------------------------------------------------------------------------


def allowed(carried: CarriedQuorum, action: str, params: tuple[int, ...]) -> bool:
    carried.logs.use()
    return carried.machine.step[action](carried.state, *params) is not None


def test_what_is_forgotten_makes_no_difference() -> None:
    """Every action about what is left is allowed before if and only if it is allowed after."""
    compared = refused = forgotten = 0
    for seed in range(10):
        cluster, observer = watched(seed, 3)
        cluster.loss, cluster.delay_ms = 0.02, (1, 100)
        cluster.disturb(2_500 + 200 * seed)
        cluster.run_until(2_500 + 200 * seed)
        after = observer.validator.carried
        before = CarriedQuorum(3)
        before.state, before.logs = after.state, after.logs
        before.requests, before.committed = dict(after.requests), after.committed
        after.forget()
        forgotten += len(before.logs.parents) - len(after.logs.parents)
        shift = after.logs.base_epoch - before.logs.base_epoch
        logs = counterparts(before.logs, after.logs)
        for action, traced in after.machine.model.actions.items():
            sorts = [param.sort for param in traced.params]
            for params in product(*(choices(sort, logs, before, after) for sort in sorts)):
                old = tuple(
                    logs[p] if s is LogValue else p + shift if s is Epoch else p
                    for s, p in zip(sorts, params, strict=True)
                )
                found = allowed(before, action, old)
                assert found == allowed(after, action, params), (action, old, params)
                compared += 1
                refused += not found
    assert forgotten > 10
    assert refused > 1_000
    assert compared - refused > 50


def test_an_old_request_of_a_short_log_is_still_refused() -> None:
    """All have the record by now; but the candidate of epoch 2 had not when it asked."""
    carried = CarriedQuorum(3)
    take = carried.take
    take("start_election", 0, 1)
    take("grant_vote", 1, 0, 1, 0)
    take("become_leader", 0, 0)
    log = carried.logs.extended(0, Entry(1, LeaderChange(leader=1)))
    take("leader_append", 0, log)
    take("follow_leader", 1, 0, 1)
    take("follower_fetch", 1, 0, 0, log)
    take("follower_fetch", 1, 0, log, log)
    take("leader_advance_high_watermark", 0, 0, log)
    carried.committed = log
    take("start_election", 2, 2)
    carried.requests[2, 2] = 0
    take("refuse_vote", 1, 2, 2, 0)
    take("start_election", 0, 3)
    take("grant_vote", 2, 0, 3, log)
    take("become_leader", 0, 1)
    take("follow_leader", 2, 0, 3)
    take("follower_fetch", 2, 0, 0, log)
    for _ in range(2):
        request = (1, 2, carried.model_epoch(2), carried.requests[2, 2])
        assert carried.of("voted_for", 1) == NOBODY
        assert not allowed(carried, "grant_vote", request)
        carried.forget()


def counterparts(before: RunLogs, after: RunLogs) -> dict[int, int]:
    """For each log that is left, the one that it was before."""
    found = {}
    for log in range(len(after.parents)):
        for old in range(len(before.parents)):
            same = before.end(old) == after.end(log) and before.epoch(old) == after.epoch(log)
            if same and before.records[old] == (after.records[log] or before.records[old]):
                found[log] = old
    assert len(found) == len(after.parents)
    return found


def choices(
    sort: Sort, logs: dict[int, int], before: CarriedQuorum, after: CarriedQuorum
) -> list[int]:
    if sort is LogValue:
        return [0, *sorted(logs)[1:][-4:]]
    if sort is Epoch:
        known = [before.epoch(voter) for voter in range(3)]
        return sorted(
            {epoch - after.logs.base_epoch for each in known for epoch in (each, each + 1)}
        )
    return [0, 1, 2]


def test_a_long_run_forgets_and_is_still_compared() -> None:
    cluster, observer = watched(0, 5)
    cluster.run_disturbed(90_000)
    observer.compare_whole()
    carried = observer.validator.carried
    assert carried.logs.base_offset > 0
    assert carried.logs.base_epoch > 0
    follower = next(r for r in observer.validator.lives.values() if r.role is Role.FOLLOWER)
    follower.log.append([Entry(follower.epoch, LeaderChange(leader=9))])
    with pytest.raises(ModelRefused, match="log is"):
        observer.observe(follower, None, 0)


def test_logs_that_are_too_far_apart_have_no_room() -> None:
    validator = QuorumValidator((1, 2, 3))
    logs = validator.carried.logs
    log = 0
    for at in range(LOGS - 1):
        log = logs.extended(log, Entry(1, LeaderChange(leader=at)))
    with pytest.raises(NoRoom):
        logs.extended(log, Entry(1, LeaderChange(leader=LOGS)))


def test_runs_that_take_turns_do_not_disturb_each_other() -> None:
    one, other = watched(1, 3), watched(2, 3)
    for at_ms in range(0, 4_000, 100):
        for cluster, _ in (one, other):
            cluster.run_until(at_ms)
    for _, observer in (one, other):
        assert observer.steps > 10
        observer.compare_whole()


# ---- a whole cluster ---------------------------------------------------------------------------


def booted(rules: Rules | None = None) -> tuple[Cluster, QuorumObserver]:
    addresses = {number: ("broker", number) for number in range(1, 5)}
    cluster = Cluster(addresses, seed=3, rules=rules)
    observer = QuorumObserver(cluster)
    cluster.observers.append(observer)
    return cluster, observer


def test_a_cluster_is_watched_from_where_it_is() -> None:
    cluster, observer = booted()
    for number in (1, 2, 3, 1, 2, 3):
        cluster.crash(number, power_loss=True)
        cluster.run(lambda: False, 900)
        cluster.restart(number)
        cluster.run(lambda: False, 900)
    observer.compare_whole()
    assert observer.steps > 20
    assert not observer.outgrown


def test_a_record_that_nobody_has_decided_is_refused() -> None:
    cluster, _ = booted()
    cluster.run(lambda: False, 1_000)
    controller = cluster.controller
    assert controller is not None
    one = next(n.member for n in cluster.nodes.values() if n.number in {1, 2, 3} - {controller})
    assert isinstance(one, QuorumMember)
    one.replica.log.append([Entry(one.epoch, LeaderChange(leader=9))])
    with pytest.raises(ModelRefused) as refused:
        cluster.run(lambda: False, 1_000)
    assert refused.value.clause in ("CTL-04", "CTL-08")


def test_a_controller_begins_with_the_whole_log() -> None:
    cluster, _ = booted(MUTANTS_BY_NAME["metadata-lost-on-failover"].rules())
    controller = cluster.controller
    assert controller is not None
    cluster.crash(controller)
    with pytest.raises(StepRefused, match="whole log") as refused:
        cluster.run(lambda: False, 3_000)
    assert refused.value.clause == "CTL-04"


@pytest.mark.parametrize("name", ["quorum-leader-never-resigns", ""])
def test_a_leader_that_nobody_follows_resigns(name: str) -> None:
    cluster, observer = booted(MUTANTS_BY_NAME[name].rules() if name else Rules())
    controller = cluster.controller
    assert controller is not None
    for other in cluster.nodes:
        if other != controller:
            cluster.cut(controller, other)
    if not name:
        cluster.run(lambda: False, 5_000)
        assert observer.steps > 0
        return
    with pytest.raises(StepRefused, match="no majority") as refused:
        cluster.run(lambda: False, 5_000)
    assert refused.value.clause == "CTL-08"
