"""The three delivery guarantees: which configuration gives which, and which does not."""

import pytest

from spec.language import trace
from spec.models.delivery import MODEL
from spec.proofs.delivery import PROOFS
from tests import model_checks

BY_NAME = {proof.name: proof for proof in PROOFS}
STORED = {
    "once at most": "stored_at_most_once",
    "once at least": "acknowledged_is_stored",
}
PROCESSED = {
    "once at most": "processed_at_most_once",
    "once at least": "committed_is_processed",
}


@pytest.mark.parametrize("name", model_checks.right(MODEL))
def test_each_configuration_keeps_what_it_claims(name: str) -> None:
    assert model_checks.assert_holds(MODEL.variant(name)) > 300


@pytest.mark.parametrize("name", model_checks.wrong(MODEL))
def test_each_claim_too_many_is_refuted_by_a_shortest_trace(name: str) -> None:
    model_checks.assert_refuted(MODEL.variant(name))


@pytest.mark.parametrize(
    "name", ["acks-one-for-no-loss", "retries-for-exactly-once", "commit-first-for-no-loss"]
)
def test_a_solver_finds_no_shorter_trace(name: str) -> None:
    model_checks.assert_solver_agrees(MODEL.variant(name))


@pytest.mark.parametrize(
    ("name", "guarantees"),
    [
        ("acks-zero", ["once at most"]),
        ("acks-one", ["once at most"]),
        ("acks-all", ["once at most", "once at least"]),
        ("retries", ["once at least"]),
        ("idempotent", ["once at most", "once at least"]),
        ("commit-first", ["once at most"]),
        ("process-first", ["once at least"]),
        ("process-first-unfenced", ["once at least"]),
        ("transactional", ["once at most", "once at least"]),
        ("producer-per-partition", ["once at most", "once at least"]),
    ],
)
def test_a_configuration_claims_its_guarantees_and_no_more(
    name: str, guarantees: list[str]
) -> None:
    claimed = set(trace(MODEL.variant(name).protocol).invariants)
    names = PROCESSED if claimed & set(PROCESSED.values()) else STORED
    assert claimed == {names[each] for each in guarantees}


def test_every_right_configuration_has_a_proof() -> None:
    assert {f"delivery/{name}" for name in model_checks.right(MODEL)} == set(BY_NAME)
    for name in model_checks.right(MODEL):
        assert BY_NAME[f"delivery/{name}"].protocol is MODEL.variant(name).protocol


@pytest.mark.parametrize("name", BY_NAME)
def test_conjuncts_hold_in_every_reachable_state(name: str) -> None:
    assert model_checks.assert_conjuncts_hold(BY_NAME[name]) > 40


@pytest.mark.parametrize("name", BY_NAME)
def test_each_proof_is_inductive_in_a_small_instance(name: str) -> None:
    assert model_checks.assert_inductive_when_small(BY_NAME[name]) >= 8


@pytest.mark.parametrize("name", BY_NAME)
def test_each_wrong_rule_breaks_the_proof(name: str) -> None:
    model_checks.assert_mutants_are_killed(BY_NAME[name])
