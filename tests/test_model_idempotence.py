"""The idempotent producer: what its rules are for, and that they suffice."""

import pytest

from spec.models.idempotence import MODEL
from spec.proofs.idempotence import PROOFS
from tests import model_checks

PROOF, IDS_PROOF = PROOFS


def test_the_right_variant_holds_and_everything_in_it_happens() -> None:
    variant = MODEL.variant("five-in-flight")
    bounds = {**variant.bounds, "Offset": 5}  # a third of the states that are explored by default
    assert model_checks.assert_holds(variant, bounds) == 474_576


def test_no_producer_id_is_issued_twice_and_ids_of_several_blocks_are_issued() -> None:
    assert model_checks.assert_holds(MODEL.variant("ids-in-blocks")) > 200_000


def test_it_holds_for_two_producers_whose_batches_are_interleaved() -> None:
    bounds = {"ProducerId": 2, "ProducerEpoch": 2, "Sequence": 2, "Offset": 2}
    assert model_checks.assert_holds(MODEL.variant("five-in-flight"), bounds) > 50_000


@pytest.mark.parametrize("name", model_checks.wrong(MODEL))
def test_each_missing_rule_is_refuted_by_a_shortest_trace(name: str) -> None:
    model_checks.assert_refuted(MODEL.variant(name))


@pytest.mark.parametrize("name", ["no-sequence-check", "older-epoch-accepted", "one-remembered"])
def test_a_solver_finds_no_shorter_trace(name: str) -> None:
    model_checks.assert_solver_agrees(MODEL.variant(name))


def test_six_in_flight_take_six_batches_without_an_answer() -> None:
    found = model_checks.assert_refuted(MODEL.variant("six-in-flight"))
    actions = [m.action for m in found["duplicates_are_recognised"].moments[1:]]
    assert actions.count("producer_sends") == actions.count("leader_appends") == 6


@pytest.mark.parametrize(
    "name", ["producers-forgotten", "memory-not-truncated", "deleted-batches-forgotten"]
)
def test_memory_that_differs_from_the_log_takes_a_failover(name: str) -> None:
    for found in model_checks.assert_refuted(MODEL.variant(name)).values():
        assert "leader_fails_over" in [m.action for m in found.moments[1:]]


def test_conjuncts_hold_in_every_reachable_state() -> None:
    bounds = {"ProducerId": 1, "ProducerEpoch": 2, "Sequence": 3, "Offset": 4}
    assert model_checks.assert_conjuncts_hold(PROOF, bounds) > 10_000


def test_conjuncts_hold_with_two_producers() -> None:
    bounds = {"ProducerId": 2, "ProducerEpoch": 1, "Sequence": 2, "Offset": 3}
    assert model_checks.assert_conjuncts_hold(PROOF, bounds) > 1_000


def test_the_proof_is_inductive_in_a_small_instance() -> None:
    assert model_checks.assert_inductive_when_small(PROOF) == 107


def test_each_wrong_rule_breaks_the_proof() -> None:
    model_checks.assert_mutants_are_killed(PROOF)


def test_the_proof_about_producer_ids_is_inductive_and_its_conjuncts_hold() -> None:
    assert model_checks.assert_conjuncts_hold(IDS_PROOF) > 3_000
    assert model_checks.assert_inductive_when_small(IDS_PROOF) == 31
    model_checks.assert_mutants_are_killed(IDS_PROOF)
