"""Transactions under KIP-890: the checks suffice, and what went wrong before them is reached."""

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Trace, explore
from spec.language import trace
from spec.models.transactions import MODEL
from spec.models.transactions_protocol import Transactions
from spec.proofs.transactions import PROOFS
from tests import guards, model_checks

(PROOF,) = PROOFS


def actions(found: Trace) -> list[str]:
    return [moment.action for moment in found.moments[1:]]


def which(found: Trace, action: str, name: str) -> list[int]:
    """A parameter of each occurrence of the action, in the order of the trace."""
    return [moment.params[name] for moment in found.moments if moment.action == action]


def test_kip_890_holds_and_everything_in_it_happens() -> None:
    assert model_checks.assert_holds(MODEL.variant("kip-890")) == 2_640_696


def test_it_holds_for_two_producers() -> None:
    bounds = {
        "Client": 2,
        "Partition": 1,
        "Transaction": 2,
        "Record": 2,
        "ProducerEpoch": 3,
        "Offset": 3,
    }
    found = explore(trace(Transactions), Bounds(**bounds))
    assert found.complete
    assert not found.violations
    assert found.distinct == 77_768


@pytest.mark.parametrize("name", model_checks.wrong(MODEL))
def test_each_missing_check_is_refuted_by_a_shortest_trace(name: str) -> None:
    model_checks.assert_refuted(MODEL.variant(name))


@pytest.mark.parametrize("name", ["no-verification", "before-kip-890"])
def test_a_solver_finds_no_shorter_trace(name: str) -> None:
    model_checks.assert_solver_agrees(MODEL.variant(name))


# ---- what the traces tell -----------------------------------------------------------------------


def test_kafka_17754_a_repeated_end_commits_the_next_transaction() -> None:
    found = model_checks.assert_refuted(MODEL.variant("one-epoch-for-many"))
    half_visible = found["visibility_is_atomic"]
    first, second = which(half_visible, "producer_begin", "transaction")
    assert which(half_visible, "producer_ask_commit", "transaction") == [first]
    assert which(half_visible, "coordinator_commit", "transaction") == [first, first]
    assert second not in which(half_visible, "producer_ask_commit", "transaction")


def test_before_kip_890_a_late_record_follows_its_marker() -> None:
    found = model_checks.assert_refuted(MODEL.variant("before-kip-890"))["no_transaction_hangs"]
    order = actions(found)
    assert order.index("partition_write_abort_marker") < order.index("partition_append")
    assert "partition_verify" not in order


def test_an_unfenced_zombie_commits_what_its_successor_began() -> None:
    found = model_checks.assert_refuted(MODEL.variant("no-fencing"))["only_committed_is_visible"]
    (ended,) = which(found, "coordinator_commit", "transaction")
    epochs = dict(
        zip(
            which(found, "producer_begin", "transaction"),
            which(found, "producer_begin", "epoch"),
            strict=True,
        )
    )
    (other,) = set(epochs) - {ended}
    assert epochs[ended] < epochs[other]


def test_a_repeated_marker_decides_the_next_transaction() -> None:
    found = model_checks.assert_refuted(MODEL.variant("repeated-marker-accepted"))
    story = found["only_committed_is_visible"]
    first, again = which(story, "partition_write_commit_marker", "epoch")
    assert first == again == which(story, "producer_begin", "epoch")[-1]


# ---- guards -------------------------------------------------------------------------------------

SMALL = {
    "Client": 1,
    "Partition": 1,
    "Transaction": 2,
    "Record": 2,
    "ProducerEpoch": 4,
    "Offset": 3,
}


NEEDED = [
    ("producer_begin", "epoch_of[other]", "only_committed_is_visible"),
    ("producer_begin", "not(begun[transaction])", "one_outcome"),
    ("producer_send", "commit_requests", "no_committed_record_is_lost"),
    ("producer_ask_commit", "sent[record]", "no_committed_record_is_lost"),
    ("coordinator_init_producer", "producer_epoch", "newest_epoch_is_the_largest"),
    ("coordinator_add_partition", "committing", "no_transaction_hangs"),
    ("coordinator_commit", "commit_requests", "no_committed_record_is_lost"),
    ("coordinator_commit", "ongoing", "only_committed_is_visible"),
    ("coordinator_commit", "epoch_of", "one_outcome"),
    ("coordinator_commit", "< next_epoch", "newest_epoch_is_the_largest"),
    ("coordinator_abort", "ongoing", "no_committed_record_is_lost"),
    ("coordinator_abort", "< next_epoch", "newest_epoch_is_the_largest"),
    ("coordinator_learn_marker_written", "aborting", "no_transaction_hangs"),
    ("coordinator_learn_marker_written", "partition_epoch", "no_transaction_hangs"),
    ("coordinator_complete", "registered", "no_transaction_hangs"),
    ("partition_verify", "epoch_of", "only_committed_is_visible"),
    ("partition_verify", "ongoing", "no_transaction_hangs"),
    ("partition_append", "verified", "no_transaction_hangs"),
    ("partition_append", "last_stable_offset", "everything_stable_is_decided"),
    ("partition_write_commit_marker", "commit_markers", "only_committed_is_visible"),
    ("partition_write_commit_marker", "partition_epoch", "only_committed_is_visible"),
    ("partition_write_abort_marker", "abort_markers", "no_committed_record_is_lost"),
    ("partition_write_abort_marker", "partition_epoch", "no_committed_record_is_lost"),
    ("partition_advance_last_stable_offset", "forall", "everything_stable_is_decided"),
]


@pytest.mark.parametrize(("action", "text", "invariant"), NEEDED)
def test_each_guard_is_needed_for_a_promise(action: str, text: str, invariant: str) -> None:
    weaker = guards.without(trace(Transactions), action, text)
    found = guards.broken(weaker, SMALL)
    assert invariant in found


# ---- the proof ----------------------------------------------------------------------------------


def test_conjuncts_hold_in_every_reachable_state() -> None:
    assert model_checks.assert_conjuncts_hold(PROOF) == 37_124


def test_conjuncts_hold_with_two_partitions() -> None:
    bounds = {**SMALL, "Partition": 2, "Record": 3, "ProducerEpoch": 3}
    assert model_checks.assert_conjuncts_hold(PROOF, bounds) > 100_000


def test_the_proof_is_inductive_in_a_small_instance() -> None:
    assert model_checks.assert_inductive_when_small(PROOF) == 263


def test_each_wrong_check_breaks_the_proof() -> None:
    model_checks.assert_mutants_are_killed(PROOF)
