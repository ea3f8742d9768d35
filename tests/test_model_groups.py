"""Consumer groups, classic and KIP-848: right variants hold, each missing rule breaks."""

import pytest

from spec.checkers.explore import Trace
from spec.language import trace
from spec.models import groups_classic, groups_consumer
from spec.models.family import Family
from spec.proofs import groups_classic as classic_proofs
from spec.proofs import groups_consumer as consumer_proofs
from spec.proofs.proof import Proof
from tests import guards, model_checks

CLASSIC, CONSUMER = groups_classic.MODEL, groups_consumer.MODEL
WRONG = [(family, name) for family in (CLASSIC, CONSUMER) for name in model_checks.wrong(family)]


def actions(found: Trace) -> list[str]:
    return [moment.action for moment in found.moments[1:]]


@pytest.mark.parametrize(
    ("family", "states"), [(CLASSIC, 14_256), (CONSUMER, 71_100)], ids=["classic", "consumer"]
)
def test_the_right_variant_holds_and_everything_in_it_happens(family: Family, states: int) -> None:
    assert model_checks.assert_holds(family.variants[0]) == states


@pytest.mark.parametrize(("family", "name"), WRONG, ids=[name for _, name in WRONG])
def test_each_missing_rule_is_refuted_by_a_shortest_trace(family: Family, name: str) -> None:
    model_checks.assert_refuted(family.variant(name))


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (CLASSIC, "late-leader"),
        (CLASSIC, "duplicate-assignment"),
        (CONSUMER, "no-fencing"),
        (CONSUMER, "no-confirmation"),
    ],
    ids=["late-leader", "duplicate-assignment", "no-fencing", "no-confirmation"],
)
def test_a_solver_finds_no_shorter_trace(family: Family, name: str) -> None:
    model_checks.assert_solver_agrees(family.variant(name))


@pytest.mark.parametrize(
    ("proof", "counts"),
    [
        (classic_proofs.PROOFS[0], {"Member": 2, "Partition": 2, "Generation": 3}),
        (classic_proofs.PROOFS[0], {"Member": 3, "Partition": 1, "Generation": 3}),
        (
            consumer_proofs.PROOFS[0],
            {"Member": 2, "Partition": 1, "MemberEpoch": 3, "Version": 3},
        ),
    ],
    ids=["classic-two-partitions", "classic-three-members", "consumer"],
)
def test_conjuncts_hold_in_every_explored_state(proof: Proof, counts: dict[str, int]) -> None:
    assert model_checks.assert_conjuncts_hold(proof, counts) > 50_000


@pytest.mark.parametrize(
    ("family", "action", "guard", "invariant"),
    [
        (CLASSIC, "leader_assign", "members[", "members_own_what_was_assigned"),
        (CLASSIC, "accept_assignment", "is_sent[", "members_own_what_was_assigned"),
        (CLASSIC, "receive_assignment", "answered[", "members_own_what_was_assigned"),
        (CLASSIC, "send_commit", "owned[", "commits_are_of_owners"),
        (CONSUMER, "revoke", "(version[member] < version)", "one_worker"),
        (CONSUMER, "finish_revocation", "confirmations[", "one_worker"),
        (CONSUMER, "answer_heartbeat", "(version[member] < version)", "one_worker"),
        (CONSUMER, "start_work", "answer.partitions[", "one_worker"),
        (CONSUMER, "send_commit", "working_on[", "commits_are_of_holders"),
    ],
)
def test_without_a_guard_that_no_variant_leaves_out(
    family: Family, action: str, guard: str, invariant: str
) -> None:
    right = family.variants[0]
    model = guards.without(trace(right.protocol), action, guard)
    assert invariant in guards.broken(model, right.bounds, symmetry="Member")


# ---- what the traces tell -----------------------------------------------------------------------


def test_a_member_that_missed_a_rebalance_commits() -> None:
    (found,) = model_checks.assert_refuted(CLASSIC.variant("no-generation-check")).values()
    assert actions(found).count("start_generation") == 2
    assert actions(found)[-1] == "accept_commit"
    assert found.moments[-1].params["generation"] == 1


def test_two_members_work_where_nobody_waited_for_the_confirmation() -> None:
    (found,) = model_checks.assert_refuted(CONSUMER.variant("no-confirmation")).values()
    assert "revoke" in actions(found)
    assert "finish_revocation" not in actions(found)
    assert actions(found).count("start_work") == 2


def test_the_epoch_moves_so_that_commits_on_their_way_are_refused() -> None:
    (found,) = model_checks.assert_refuted(CONSUMER.variant("epoch-stays")).values()
    told = actions(found)
    assert told.index("send_commit") < told.index("finish_revocation")
    assert told[-1] == "accept_commit"
