"""Replication with messages: counts, what goes wrong without each rule, and the proof.

The counts and lengths with separate decisions are those of a first version of the model, found by
another explorer. That every variant holds or is refuted as it says, `test_models` checks.
"""

import os
from collections.abc import Mapping

import pytest

from spec.checkers.bounded import induction
from spec.checkers.bounds import Bounds
from spec.checkers.explore import Exploration, explore
from spec.checkers.induction import Obligation
from spec.checkers.prove import mutants, run
from spec.language import Protocol, trace
from spec.models.replication_messages import MODEL, SeparateDecisions, bounds
from spec.models.replication_messages_protocol import ReplicationMessages
from spec.proofs.replication_messages import PROOFS
from tests import model_checks

(PROOF,) = PROOFS
NIGHTLY = bool(os.environ.get("HIGHWATER_NIGHTLY"))

COUNTS: dict[str, tuple[type[Protocol], Mapping[str, int], int, int]] = {
    "separate decisions": (SeparateDecisions, bounds(2, 2, 1, 2, 4), 16_484, 25),
    "separate decisions, three brokers": (SeparateDecisions, bounds(3, 2, 1, 1, 3), 332_266, 28),
    "separate decisions, three epochs": (SeparateDecisions, bounds(2, 3, 2, 2, 3), 286_600, 27),
    "one decision": (ReplicationMessages, bounds(2, 2, 1, 2, 4), 44_916, 25),
    "one decision, three brokers": (ReplicationMessages, bounds(3, 2, 1, 1, 3), 1_188_763, 29),
    "one decision, three epochs": (ReplicationMessages, bounds(2, 3, 2, 2, 3), 406_508, 27),
}
"""Distinct states up to a permutation of brokers, and levels."""

SEPARATE: dict[str, tuple[Mapping[str, int], int]] = {
    "minimal-isr": (bounds(2, 2, 1, 1, 4), 5),
    "committed-isr-only": (bounds(2, 2, 1, 1, 4), 7),
    "leader-resumes": (bounds(2, 2, 1, 1, 4), 8),
    "old-decisions-applied": (bounds(2, 2, 1, 1, 4), 9),
    "truncate-to-high-watermark": (bounds(2, 2, 1, 1, 4), 10),
    "join-at-lagging-high-watermark": (bounds(2, 3, 1, 1, 5), 13),
    "responses-matched-by-offset": (bounds(2, 3, 2, 2, 4), 17),
}
SEPARATE_LONG = {
    "no-fetch-fencing": (bounds(3, 3, 1, 1, 4), 16),
    "acknowledgements-survive-epochs": (bounds(3, 3, 1, 1, 4), 16),
}
"""Some 6 million states each: only every night."""


BREAKS = {
    "NoFetchFencing": "leader_handle_fetch remembered_is_acknowledged",
    "AcknowledgementsSurviveEpochs": "apply_decision remembered_is_acknowledged",
    "ResponsesMatchedByOffset": "follower_truncate acknowledged_is_kept",
    "ResponsesOfAnyEpoch": "follower_truncate acknowledged_is_kept",
    "MinimalIsr": "leader_increment_high_watermark shown_is_not_blocked committed_is_not_blocked",
    "CommittedIsrOnly": (
        "leader_increment_high_watermark shown_is_not_blocked committed_is_not_blocked"
    ),
    "JoinAtLaggingHighWatermark": "leader_ask_to_expand_isr later_members_have",
    "OldDecisionsApplied": "apply_decision asked_by_leader pending_is_asked blocked_only_if",
    "LeaderResumes": "restart leader_has_shown pending_is_asked",
    "TruncateToHighWatermark": "apply_decision kept kept_by_leader later_members_have",
    "OvertakenRequestsAccepted": (
        "controller_alter_partition leader_is_in_isr later_members_have sealed_by_members"
    ),
    "RequestsNotAwaited": "leader_ask_to_expand_isr pending_is_asked",
    "PositionsNotChecked": "leader_handle_fetch remembered_is_acknowledged",
    "UncleanElection": "controller_elect_leader leader_is_in_isr",
}
"""Which obligations each wrong rule breaks: an action, and what it does not keep."""


def explored(
    protocol: type[Protocol], instance: Mapping[str, int], *, stop: bool = False
) -> Exploration:
    return explore(trace(protocol), Bounds(**instance), symmetry="Broker", stop_at_violation=stop)


def with_separate_decisions(name: str) -> type[Protocol]:
    """A wrong variant whose controller needs two decisions for a fenced leader."""
    wrong = MODEL.variant(name).protocol
    return type(wrong.__name__, (wrong, SeparateDecisions), {})


def assert_first_violation(found: Exploration, steps: int) -> None:
    assert set(found.violations) == {"isr_has_committed"}
    assert found.violations["isr_has_committed"].first_level - 1 == steps


@pytest.mark.parametrize("name", COUNTS)
def test_as_many_states_and_levels_as_ever(name: str) -> None:
    protocol, instance, distinct, depth = COUNTS[name]
    found = explored(protocol, instance)
    assert found.complete
    assert not found.violations
    assert (found.distinct, found.depth) == (distinct, depth)


@pytest.mark.skipif(not NIGHTLY, reason="4.7 million states")
def test_four_epochs_with_separate_decisions() -> None:
    found = explored(SeparateDecisions, bounds(2, 4, 2, 2, 4))
    assert found.complete
    assert not found.violations
    assert (found.distinct, found.depth) == (4_723_791, 33)


@pytest.mark.parametrize("name", SEPARATE)
def test_with_separate_decisions_it_takes_as_many_actions_as_ever(name: str) -> None:
    instance, steps = SEPARATE[name]
    found = explored(with_separate_decisions(name), instance, stop=True)
    assert_first_violation(found, steps)


@pytest.mark.skipif(not NIGHTLY, reason="6 million states each")
@pytest.mark.parametrize("name", SEPARATE_LONG)
def test_with_separate_decisions_and_three_brokers(name: str) -> None:
    instance, steps = SEPARATE_LONG[name]
    found = explored(with_separate_decisions(name), instance, stop=True)
    assert_first_violation(found, steps)


def test_a_fenced_leader_has_a_successor_in_the_same_decision() -> None:
    """With one decision it takes two actions less to join the ISR too early."""
    found = model_checks.assert_refuted(MODEL.variant("join-at-lagging-high-watermark"))
    moments = found["isr_has_committed"].moments[1:]
    fenced = [m.params for m in moments if m.action == "controller_fence_broker"]
    assert any(params["broker"] != params["leader"] for params in fenced)
    assert SEPARATE["join-at-lagging-high-watermark"][1] - len(moments) == 2


def test_conjuncts_hold_in_every_reachable_state() -> None:
    small = {"Broker": 2, "LeaderEpoch": 3, "LogLength": 2, "PartitionEpoch": 4}
    assert model_checks.assert_conjuncts_hold(PROOF, small) == 38_485


def test_the_proof_is_inductive_for_three_brokers() -> None:
    assert PROOF.small["Broker"] == 3
    assert model_checks.assert_inductive_when_small(PROOF) == 498


@pytest.mark.parametrize("name", BREAKS)
def test_each_wrong_rule_breaks_the_proof_where_it_matters(name: str) -> None:
    (mutant,) = (each for each in PROOF.mutants if each.__name__ == name)
    action, *names = BREAKS[name].split()
    decisions = induction(
        trace(mutant),
        Bounds(**PROOF.small),
        [Obligation(action=action, property=each) for each in names],
    )
    assert all(each.breach is not None for each in decisions)


def test_every_mutant_of_the_proof_is_looked_at() -> None:
    assert set(BREAKS) == {mutant.__name__ for mutant in PROOF.mutants}


@pytest.mark.skipif(not NIGHTLY, reason="every obligation of 14 mutants")
def test_wrong_rules_break_nothing_else() -> None:
    for result in mutants(PROOF):
        action, *names = BREAKS[result.name].split()
        assert not result.undecided
        broken = {(each.obligation.action, each.obligation.property) for each in result.broken}
        assert {(action, name) for name in names} <= broken
        assert len(broken) <= 4


def test_it_is_proved_for_any_number_of_everything() -> None:
    result = run(PROOF)
    assert not result.failures
    assert result.proved == result.obligations == 498
    assert set(result.properties) == set(trace(PROOF.protocol).invariants)
    assert all(result.properties.values())
