"""KRaft: the right variant keeps everything, and each missing rule breaks in so many steps."""

from collections.abc import Iterator

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Trace, explore
from spec.language import FALSE, Action, trace
from spec.models.quorum import MODEL, CommitOldEpoch, CommitOldEpochOnly
from spec.models.quorum_protocol import Kraft, LogValue
from spec.proofs.quorum import PROOFS
from tests import guards, model_checks

(PROOF,) = PROOFS
SMALL = {"Voter": 3, "Epoch": 3, "Offset": 2}
FIGURE_8 = "commit-old-epoch"


def actions(found: Trace) -> list[str]:
    return [moment.action for moment in found.moments[1:]]


def parameters(found: Trace, action: str) -> list[dict[str, int]]:
    """Those of each occurrence of the action, in the order of the trace."""
    return [dict(moment.params) for moment in found.moments if moment.action == action]


def test_kraft_holds_and_everything_in_it_happens() -> None:
    assert model_checks.assert_holds(MODEL.variant("kraft")) == 38_234


def test_one_epoch_is_right_too() -> None:
    """Here a table of truth values and one of lengths have equal entries."""
    bounds = Bounds(Voter=3, Epoch=2, Offset=2)
    found = explore(trace(Kraft), bounds, symmetry="Voter")
    assert list(found.violations) == []
    assert (found.complete, found.distinct) == (True, 197)


def test_conjuncts_hold_in_every_explored_state_with_its_history() -> None:
    assert model_checks.assert_conjuncts_hold(PROOF, SMALL) == 444_967


@pytest.mark.parametrize("name", [n for n in model_checks.wrong(MODEL) if n != FIGURE_8])
def test_each_missing_rule_is_refuted_by_a_shortest_trace(name: str) -> None:
    model_checks.assert_refuted(MODEL.variant(name))


@pytest.mark.parametrize("name", ["stands-in-known-epoch", "votes-in-past-epoch"])
def test_a_solver_finds_no_shorter_trace(name: str) -> None:
    model_checks.assert_solver_agrees(MODEL.variant(name))


@pytest.mark.parametrize(
    ("action", "guard", "invariant"),
    [
        ("refuse_vote", "(epoch[voter] < epoch)", "one_vote_per_epoch"),
        ("leader_append", "is_leader[leader]", "leader_completeness"),
        ("leader_append", "forall p", "leader_completeness"),
        ("follower_fetch", "has_shown[", "leader_completeness"),
        ("follower_fetch", "LogValue.prefix(position, end)", "leader_completeness"),
        ("follower_truncate", "begin_quorum_epoch[", "committed_is_never_cut"),
        ("follower_truncate", "LogValue.prefix(part, answer)", "committed_is_never_cut"),
        ("follower_truncate", "LogValue.prefix(part, kept)", "committed_is_never_cut"),
    ],
)
def test_without_a_guard_that_no_variant_leaves_out(
    action: str, guard: str, invariant: str
) -> None:
    model = guards.without(trace(Kraft), action, guard)
    assert invariant in guards.broken(model, SMALL, symmetry="Voter")


# ---- what the traces tell -----------------------------------------------------------------------


def test_a_restarted_voter_elects_two_leaders_of_one_epoch() -> None:
    found = model_checks.assert_refuted(MODEL.variant("vote-not-persisted"))
    two_leaders = found["one_leader_per_epoch"]
    votes = {(vote["voter"], vote["candidate"]) for vote in parameters(two_leaders, "grant_vote")}
    votes |= {(c, c) for c in (e["candidate"] for e in parameters(two_leaders, "start_election"))}
    (forgetful,) = (each["voter"] for each in parameters(two_leaders, "restart"))
    assert len({candidate for voter, candidate in votes if voter == forgetful}) == 2


def test_a_deposed_leader_counts_fetches_that_were_sent_to_the_next() -> None:
    found = model_checks.assert_refuted(MODEL.variant("counts-other-epochs"))
    (lost,) = found.values()
    (commit,) = parameters(lost, "leader_advance_high_watermark")
    assert {fetch["leader"] for fetch in parameters(lost, "follower_fetch")} != {commit["leader"]}


def test_figure_8_a_newer_record_wins_over_a_committed_older_one() -> None:
    (lost,) = model_checks.assert_refuted(MODEL.variant(FIGURE_8)).values()
    elections = parameters(lost, "start_election")
    assert [election["epoch"] for election in elections] == [1, 2, 3, 4]
    first, second, first_again, second_again = (each["candidate"] for each in elections)
    assert (first, second) == (first_again, second_again)
    (commit,) = parameters(lost, "leader_advance_high_watermark")
    records = LogValue.values(lost.bounds.counts)[commit["end"]]
    assert commit["leader"] == first
    assert records == (1,), "written in epoch 1, committed in epoch 3"
    assert actions(lost).count("leader_append") == 2


def test_the_searched_part_of_figure_8_is_a_part_of_the_whole() -> None:
    """What refutes a protocol with more guards and the same effects refutes the one with fewer."""
    whole, part = trace(CommitOldEpoch).actions, trace(CommitOldEpochOnly).actions
    assert set(whole) == set(part)
    possible = [name for name, action in part.items() if action.guard is not FALSE]
    assert len(possible) == 6
    for name in possible:
        assert set(conditions(whole[name])) <= set(conditions(part[name])), name
        assert effects(whole[name]) == effects(part[name]), name


def conditions(action: Action) -> Iterator[str]:
    for condition, _ in action.requires:
        yield from map(repr, condition.args if condition.op == "and" else (condition,))


def effects(action: Action) -> list[tuple[str, str, str]]:
    return [(write.leaf, repr(write.idx), repr(write.value)) for write in action.writes]
