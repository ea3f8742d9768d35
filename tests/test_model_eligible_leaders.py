"""KIP-966: its rules suffice, each of them is needed, and what they cost is seen in the traces."""

import pytest

from spec.checkers.explore import Trace
from spec.language import trace
from spec.models.eligible_leaders import MODEL
from spec.models.eligible_leaders_protocol import EligibleLeaders
from spec.models.family import Variant
from spec.proofs.eligible_leaders import PROOFS
from tests import guards, model_checks

(PROOF,) = PROOFS
COMPLETE = "clean_leader_is_complete"


def actions(found: Trace) -> list[str]:
    return [moment.action for moment in found.moments[1:]]


def brokers(found: Trace, action: str, name: str = "broker") -> list[int]:
    """Who took part in the action, in the order of the trace."""
    return [moment.params[name] for moment in found.moments if moment.action == action]


def test_kip_966_holds_and_everything_in_it_happens() -> None:
    assert model_checks.assert_holds(MODEL.variant("kip-966")) == 725_003


def test_it_holds_with_every_replica_needed_and_two_restarts() -> None:
    bounds = {"Broker": 2, "LeaderEpoch": 3, "BrokerEpoch": 3, "Offset": 2, "min_insync": 2}
    right = MODEL.variant("kip-966")
    assert model_checks.assert_holds(right, bounds) == 133_790


# The refutation of old-fetches-count takes longest; test_models.py has it.
QUICK = [name for name in model_checks.wrong(MODEL) if name != "old-fetches-count"]


@pytest.mark.parametrize("name", QUICK)
def test_each_missing_rule_is_refuted_by_a_shortest_trace(name: str) -> None:
    model_checks.assert_refuted(MODEL.variant(name))


@pytest.mark.parametrize("name", ["elr-kept", "survivor-whatever-is-lost"])
def test_a_solver_finds_no_shorter_trace(name: str) -> None:
    model_checks.assert_solver_agrees(MODEL.variant(name))


# ---- what the traces tell -----------------------------------------------------------------------


def test_the_last_replica_standing_costs_the_survivor_with_one_loss() -> None:
    """One broker lost data, min.insync.replicas are two, and yet nobody complete may lead."""
    found = model_checks.assert_refuted(MODEL.variant("last-replica-standing"))
    story = found["survivor_if_losses_are_few"]
    (lost,) = brokers(story, "broker_stop_uncleanly")
    (fenced,) = brokers(story, "controller_fence_broker")
    assert lost != fenced, "the broker that has everything was sent away, the other one stays"


def test_before_kip_903_an_earlier_life_of_the_follower_is_added() -> None:
    found = model_checks.assert_refuted(MODEL.variant("broker-epoch-not-checked"))[COMPLETE]
    order = actions(found)
    (restarted,) = brokers(found, "broker_stop_uncleanly")
    assert brokers(found, "controller_expand_isr", "follower") == [restarted]
    assert brokers(found, "follower_fetch", "follower") == [restarted]
    assert order.index("follower_fetch") < order.index("broker_stop_uncleanly")
    assert brokers(found, "controller_elect_leader", "candidate")[-1] == restarted


def test_without_the_maximal_isr_records_pass_the_requested_follower() -> None:
    found = model_checks.assert_refuted(MODEL.variant("pending-member-ignored"))[COMPLETE]
    order = actions(found)
    asked, accepted = map(order.index, ("leader_ask_to_expand_isr", "controller_expand_isr"))
    assert asked < order.index("leader_advance_high_watermark") < accepted


def test_the_last_known_leader_may_have_lost_what_it_led() -> None:
    found = model_checks.assert_refuted(MODEL.variant("last-leader-counted-as-clean"))[COMPLETE]
    first, last = brokers(found, "controller_elect_leader", "candidate")
    assert first == last
    assert brokers(found, "broker_register")[-1] == last


# ---- guards -------------------------------------------------------------------------------------

SIZES = {"Broker": 2, "LeaderEpoch": 3, "BrokerEpoch": 2, "Offset": 2}
NEEDED = [
    ("controller_fence_broker", "ReplicaSet.has(isr, broker)", "candidates_are_complete"),
    ("controller_fence_broker", "elections", "leader_is_in_isr"),
    ("controller_elect_leader", "elr[candidate]", "leader_is_in_isr"),
    ("controller_elect_leader", "< next_epoch", "each_epoch_has_one_election"),
    ("controller_expand_isr", "request_is_current", "candidates_are_complete"),
    ("controller_expand_isr", "named_broker_epoch", "candidates_are_complete"),
    ("broker_register", "not(running[broker])", "one_leader_per_epoch"),
    ("broker_register", "elections", "leader_is_in_isr"),
    ("broker_register", "< broker_epoch", "candidates_are_complete"),
    ("broker_register_outside", "not((ReplicaSet", "candidates_are_complete"),
    ("become_leader", "running", "one_leader_per_epoch"),
    ("become_leader", "elections", "one_leader_per_epoch"),
    ("become_leader", "isr_updates", "candidates_are_complete"),
    ("become_leader", "known_epoch", "clean_leader_is_complete"),
    ("leader_learn_isr", "known_epoch", "leader_is_in_isr"),
    ("leader_ask_to_expand_isr", "epoch_start_offset", "candidates_are_complete"),
    ("leader_shrink_isr", "not((follower == leader))", "leader_is_in_isr"),
    ("leader_advance_high_watermark", "prefix", "candidates_are_complete"),
    ("leader_advance_high_watermark", "forall", "candidates_are_complete"),
    ("become_follower", "known_epoch", "candidates_are_complete"),
    ("follower_truncate", "presumes_leadership[leader]", "candidates_are_complete"),
    ("follower_fetch", "prefix(longer", "candidates_are_complete"),
]


@pytest.mark.parametrize(("action", "text", "invariant"), NEEDED)
def test_each_guard_is_needed_for_a_promise(action: str, text: str, invariant: str) -> None:
    weaker = guards.without(trace(EligibleLeaders), action, text)
    found = guards.broken(weaker, {**SIZES, "min_insync": 1}, "Broker")
    assert invariant in found


def test_below_the_minimum_nothing_may_be_acknowledged() -> None:
    weaker = guards.without(trace(EligibleLeaders), "leader_advance_high_watermark", "large")
    assert guards.broken(weaker, {**SIZES, "min_insync": 2}, "Broker")


# ---- the proof ----------------------------------------------------------------------------------


def test_conjuncts_hold_in_every_reachable_state() -> None:
    for minimum in (1, 2):
        bounds = {**SIZES, "min_insync": minimum}
        assert model_checks.assert_conjuncts_hold(PROOF, bounds) > 100_000


def test_the_proof_is_inductive_in_a_small_instance() -> None:
    assert model_checks.assert_inductive_when_small(PROOF) == 669


def test_each_wrong_rule_breaks_the_proof() -> None:
    model_checks.assert_mutants_are_killed(PROOF)


def test_a_wrong_rule_is_not_found_if_the_variant_is_right() -> None:
    """The check of refutations can fail."""
    wrong = MODEL.variant("elr-kept")
    harmless = Variant(
        name="harmless",
        protocol=MODEL.variant("kip-966").protocol,
        refutations=wrong.refutations,
    )
    with pytest.raises(KeyError):
        model_checks.assert_refuted(harmless)
