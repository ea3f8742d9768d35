"""The controller elected through ZooKeeper: what its rules are for, and that they suffice."""

import pytest

from spec.models.controller import MODEL
from spec.proofs.controller import PROOFS
from tests import model_checks

(PROOF,) = PROOFS


def test_the_right_variant_holds_and_everything_in_it_happens() -> None:
    assert model_checks.assert_holds(MODEL.variant("fenced")) == 1_517_100


@pytest.mark.parametrize("name", model_checks.wrong(MODEL))
def test_each_missing_rule_is_refuted_by_a_shortest_trace(name: str) -> None:
    model_checks.assert_refuted(MODEL.variant(name))


@pytest.mark.parametrize("name", ["no-compare-and-set", "unfenced-writes", "failover-from-cache"])
def test_a_solver_finds_no_shorter_trace(name: str) -> None:
    model_checks.assert_solver_agrees(MODEL.variant(name))


def test_a_zombie_elects_after_its_successor_was_elected() -> None:
    found = model_checks.assert_refuted(MODEL.variant("unfenced-writes"))
    moments = found["deposed_controllers_change_nothing"].moments[1:]
    elected = [m.params["candidate"] for m in moments if "becomes_controller" in m.action]
    zombie, successor = elected
    assert moments[-1].action == "controller_elects_leader"
    assert moments[-1].params["controller"] == zombie != successor


def test_without_versions_a_broker_leads_that_its_leader_had_removed() -> None:
    found = model_checks.assert_refuted(MODEL.variant("no-version-check"))
    moments = found["elected_leader_was_in_isr"].moments[1:]
    removed = [m.params["follower"] for m in moments if m.action == "leader_changes_isr"]
    assert moments[-1].params["leader"] in removed


def test_conjuncts_hold_in_every_reachable_state() -> None:
    states = model_checks.assert_conjuncts_hold(
        PROOF,
        {
            "Broker": 2,
            "Partition": 1,
            "ControllerEpoch": 3,
            "LeaderEpoch": 2,
            "StateVersion": 2,
        },
    )
    assert states > 100_000


def test_the_proof_is_inductive_in_a_small_instance() -> None:
    assert model_checks.assert_inductive_when_small(PROOF) == 177


def test_each_wrong_rule_breaks_the_proof() -> None:
    model_checks.assert_mutants_are_killed(PROOF)
