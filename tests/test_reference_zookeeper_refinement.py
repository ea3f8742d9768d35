"""Every step with ZooKeeper is a step of the model; what is wrong is refused where it happens."""

from collections import Counter
from collections.abc import Callable

import pytest

from conformance.refinement import controller as refinement
from conformance.refinement.controller import Broken, ControllerValidator, Outside
from conformance.refinement.controller_observer import ControllerObserver
from conformance.refinement.refusal import ModelRefused
from conformance.simulation.run import Outgrown
from reference.mutants import controller as wrong_decisions
from reference.mutants import zookeeper as wrong
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Mode
from spec.checkers.bounds import Bounds
from spec.checkers.explore import explore
from spec.language import trace
from spec.language.extension import changes
from spec.models.controller_cluster import ClusterController
from spec.models.controller_protocol import Controller
from tests.test_reference_zookeeper import created, stale_candidate, zombie_story
from tests.zookeeper_runs import run_with_faults, watched

NOT_TAKEN = {"leader_changes_isr"}
"""Of before KIP-497: here the controller writes what a leader asks for."""


# ---- the model ----------------------------------------------------------------------------------


def test_the_protocol_that_is_proved_is_part_of_the_model_and_unchanged() -> None:
    cluster, proved = trace(ClusterController), trace(Controller)
    more = {f"the action {name}" for name in cluster.actions.keys() - proved.actions.keys()}
    assert set(changes(cluster, proved)) == more
    assert len(more) == 6
    assert cluster.invariants.keys() == proved.invariants.keys()


TOO_SHORT = {"controller_takes_leader_away", "controller_adds_to_isr", "leader_changes_isr"}
"""Steps that need more leader epochs or versions than the second instance has."""


@pytest.mark.parametrize(
    ("sizes", "too_short"),
    [
        ({"ControllerEpoch": 2, "LeaderEpoch": 3, "StateVersion": 4}, set()),
        ({"ControllerEpoch": 3, "LeaderEpoch": 2, "StateVersion": 2}, TOO_SHORT),
    ],
)
def test_the_model_keeps_every_invariant_of_it(sizes: dict[str, int], too_short: set[str]) -> None:
    bounds = Bounds(Broker=2, Partition=1, **sizes)
    found = explore(trace(ClusterController), bounds, symmetry="Broker")
    assert found.complete
    assert found.distinct > 100_000
    assert {name: each.first_level for name, each in found.violations.items()} == {}
    assert {name for name, count in found.actions.items() if not count} == too_short


# ---- clusters -----------------------------------------------------------------------------------


def compared(seed: int, rules: Rules | None = None) -> ControllerObserver:
    """A run full of faults, every step compared."""
    observers: list[ControllerObserver] = []

    def observe(cluster: Cluster) -> None:
        observers.append(ControllerObserver(cluster))
        cluster.observers.append(observers[0])

    found = run_with_faults(seed, rules, prepare=observe)
    assert rules is not None or found.wrong == []
    observers[0].compare_whole()
    return observers[0]


def test_runs_full_of_faults_are_runs_of_the_model() -> None:
    taken: Counter[str] = Counter()
    steps = 0
    for seed in range(60):
        observer = compared(seed)
        taken += observer.validator.taken
        steps += observer.steps
        assert not observer.outgrown
    assert steps > 3_000
    actions = set(trace(ClusterController).actions)
    assert actions - set(taken) == NOT_TAKEN
    assert min(taken.values()) > 10


REFUSED: list[tuple[Callable[[], Rules], set[str]]] = [
    (wrong.ControllerEpochUnchecked, {"CTL-02"}),
    (wrong.StaleControllerObeyed, {"CTL-02"}),
    (wrong.ControllerEpochKept, {"CTL-01"}),
    (wrong.FailoverFromCache, {"CTL-04", "LEAD-03", "CTL-05"}),
    (wrong_decisions.NoFailureDetection, {"CTL-05"}),
    (wrong_decisions.TwoLeadersInOneEpoch, {"LEAD-02"}),
    (wrong_decisions.SecondProcessRegistered, {"CTL-06"}),
]


@pytest.mark.parametrize(("rules", "clauses"), REFUSED, ids=lambda v: getattr(v, "__name__", ""))
def test_a_wrong_rule_is_refused_by_its_clause(
    rules: Callable[[], Rules], clauses: set[str]
) -> None:
    assert first_refusal(rules, range(80)) in clauses


def first_refusal(rules: Callable[[], Rules], seeds: range) -> str | None:
    """The clause of the first step that the model does not allow, if any."""
    for seed in seeds:
        try:
            compared(seed, rules())
        except ModelRefused as refused:
            return refused.clause
    return None


def test_a_refusal_names_the_rule_and_its_line() -> None:
    with pytest.raises(ModelRefused) as refused:
        zombie_story(wrong.ControllerEpochUnchecked(), prepare=_observe)
    refusal = refused.value.refusal
    assert refusal.clauses[0] == "CTL-02"
    assert "epoch_known[controller] == controller_epoch" in refusal.reason
    assert "controller_cluster.py:" in refusal.reason or "controller_protocol.py:" in refusal.reason
    assert refusal.action.startswith("controller_")
    assert refusal.event == "Asked"


def test_a_zombie_that_is_stopped_is_no_step() -> None:
    zombie_story(Rules(), prepare=_observe)


def test_an_epoch_that_is_taken_twice_is_refused_where_it_is_taken() -> None:
    stale_candidate(Rules(), prepare=_observe)
    with pytest.raises(ModelRefused) as refused:
        stale_candidate(wrong.EpochWithoutCompareAndSet(), prepare=_observe)
    assert refused.value.refusal.action == "candidate_becomes_controller"
    assert refused.value.clause in ("CTL-01", "CTL-02")


def _observe(cluster: Cluster) -> None:
    cluster.observers.append(ControllerObserver(cluster))


# ---- what the model does not speak of -----------------------------------------------------------


def test_bounds_grow_with_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    large = compared(2).validator
    small = tuple((sort, 2) for sort, _ in refinement.FIRST)
    monkeypatch.setattr(refinement, "FIRST", small)
    grown = compared(2).validator
    assert dict(grown._counts)["StateVersion"] > 2
    assert grown.taken == large.taken
    assert grown.state[refinement.EPOCH] == large.state[refinement.EPOCH]


def test_a_bound_that_cannot_grow_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refinement, "larger", lambda counts, sort: None)
    validator = ControllerValidator([1, 2, 3])
    largest = dict(refinement.FIRST)["ControllerEpoch"] - 1
    for _ in range(largest):
        validator.read_epoch(1)
        validator.elected(1)
        validator.expired(1)
        validator.registered(1)
    validator.read_epoch(1)
    with pytest.raises(Outside, match="ControllerEpoch"):
        validator.elected(1)
    with pytest.raises(Broken):
        validator.registered(2)


def test_who_comes_too_late_says_so() -> None:
    found = watched()
    created(found.cluster, 1, "topic")
    with pytest.raises(Outgrown, match="before the first step"):
        ControllerObserver(found.cluster)


def test_without_zookeeper_there_is_nothing_to_compare() -> None:
    cluster = Cluster({n: ("broker", n) for n in (1, 2, 3)}, mode=Mode.QUORUM)
    observer = ControllerObserver(cluster)
    cluster.observers.append(observer)
    cluster.run(lambda: False, 3_000)
    observer.compare_whole()
    assert observer.steps == 0
