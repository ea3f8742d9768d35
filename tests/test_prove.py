"""Proofs for any size: what is right is proved, what is wrong is not, and nothing is pretended."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spec.checkers import hypotheses, prove
from spec.checkers.induction import (
    Induction,
    Obligation,
    is_unchanged,
    obligations,
    usual_hypotheses,
)
from spec.checkers.prove import NotAboutTheProtocol, ProofResult
from spec.checkers.smt.solver import ask
from spec.language import Protocol, trace
from spec.proofs.controller import PROOFS as CONTROLLER_PROOFS
from spec.proofs.proof import Proof
from spec.proofs.replication import PROOFS
from tests.smt_toys import (
    AbsurdProof,
    ChangedProtocol,
    ContradictoryProof,
    EmptyBridgeProof,
    Lock,
    LockForEveryone,
    LockProof,
    Marking,
    OpenProof,
    Toll,
    TollProof,
    UncheckedLeave,
    WrongCut,
)

SAFE = "nobody_leaves_who_did_not_enter"


def toll(proof: type[Protocol] = TollProof, protocol: type[Protocol] = Toll) -> Proof:
    return Proof(
        name="toll", protocol=protocol, proof=proof, small={"Count": 4}, mutants=(UncheckedLeave,)
    )


def lock(proof: type[Protocol] = LockProof, protocol: type[Protocol] = Lock) -> Proof:
    return Proof(
        name="lock",
        protocol=protocol,
        proof=proof,
        small={"Client": 2, "Ticket": 3},
        mutants=(LockForEveryone,),
    )


def ran(proof: Proof, folder: Path, **options: Any) -> ProofResult:
    return prove.run(proof, folder=folder, workers=1, **options)


def verdicts(result: ProofResult) -> dict[str, str]:
    return {str(outcome.obligation): outcome.verdict for outcome in result.outcomes}


def test_a_counter_is_proved(tmp_path: Path) -> None:
    result = ran(toll(), tmp_path)
    assert result.is_complete
    assert (result.proved, result.obligations) == (4, 4)
    assert result.properties == {SAFE: True}
    assert result.failures == ()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_lock_is_proved_for_any_number_of_clients(tmp_path: Path, seed: int) -> None:
    result = ran(lock(), tmp_path, seed=seed)
    assert result.is_complete, result.failures
    assert result.properties == {
        "mutual_exclusion": True,
        "holder_has_the_newest_ticket": True,
    }
    assert (result.name, result.seed) == ("lock", seed)


def test_a_wrong_rule_is_refuted(tmp_path: Path) -> None:
    result = ran(toll(UncheckedLeave, UncheckedLeave), tmp_path)
    assert verdicts(result)["leave/left_is_no_more"] == "refuted"
    assert result.refuted == 1
    assert result.properties == {SAFE: False}, "though it does follow from the conjunct"
    assert verdicts(result)[f"IMPLIES/{SAFE}"] == "proved"


def test_what_contradicts_itself_proves_nothing(tmp_path: Path) -> None:
    result = ran(toll(ContradictoryProof), tmp_path)
    found = verdicts(result)
    assert found["INIT/somebody_entered"] == "refuted"
    others = {name: verdict for name, verdict in found.items() if not name.startswith("INIT")}
    assert set(others.values()) == {"vacuous"}
    assert result.properties == {SAFE: False}


def test_contradictory_axioms_prove_nothing(tmp_path: Path) -> None:
    found = ran(toll(AbsurdProof), tmp_path)
    steps = {o.verdict for o in found.outcomes if o.obligation.action != "INIT"}
    assert steps == {"vacuous"}
    assert found.properties == {SAFE: False, "at_most_one_enters": False}


def test_what_is_written_at_every_index_is_not_confused_with_a_quantifier(tmp_path: Path) -> None:
    marking = Proof(
        name="marking", protocol=Marking, proof=Marking, small={"Client": 2, "Count": 2}
    )
    result = ran(marking, tmp_path)
    assert verdicts(result)["mark/no_mark"] == "refuted"
    assert result.properties == {"nothing_is_marked": False}


def test_an_action_that_never_happens_proves_nothing(tmp_path: Path) -> None:
    found = verdicts(ran(toll(EmptyBridgeProof), tmp_path))
    assert found["leave/left_is_no_more"] == found["leave/bridge_is_empty"] == "vacuous"
    assert found["enter/left_is_no_more"] == "proved"
    assert found["enter/bridge_is_empty"] == "refuted"


@pytest.mark.parametrize("seed", [0, 1])
def test_what_runs_out_of_steps_is_not_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for limit in ("SHORT", "LONG"):
        monkeypatch.setattr(prove, limit, 1)
    result = ran(lock(), tmp_path, seed=seed)
    assert result.unknown > 5
    assert not result.is_complete
    assert not any(result.properties.values())
    assert {outcome.how for outcome in result.failures} == {"no attempt"}


def test_a_proof_gives_up_when_its_steps_are_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "STEPS_IN_ALL", 0)
    result = ran(toll(), tmp_path)
    assert result.unknown > 0
    assert not any(result.properties.values())


def test_an_open_invariant_is_no_obligation_and_not_proved(tmp_path: Path) -> None:
    result = ran(toll(OpenProof), tmp_path)
    assert result.is_complete
    assert result.properties == {SAFE: False}


def test_a_proof_must_be_about_its_protocol(tmp_path: Path) -> None:
    with pytest.raises(NotAboutTheProtocol, match="ChangedProtocol changes Toll: the action enter"):
        ran(toll(ChangedProtocol), tmp_path)


def test_a_cut_is_proved_before_it_is_used(tmp_path: Path) -> None:
    model = trace(LockProof)
    the_cut = Obligation("release", "the_lock_was_held")
    assert the_cut in obligations(model)
    assert "somebody_held" in usual_hypotheses(model, the_cut), "isolated ones serve cuts"
    assert the_cut.property not in usual_hypotheses(model, the_cut)
    other = Obligation("release", "holder_holds")
    assert "the_lock_was_held" in usual_hypotheses(model, other)
    assert "somebody_held" not in usual_hypotheses(model, other)
    result = ran(lock(WrongCut), tmp_path)
    assert verdicts(result)[str(the_cut)] == "refuted"
    assert not any(result.properties.values())


def test_a_conjunct_of_which_nothing_is_written_is_kept() -> None:
    model = trace(TollProof)
    assert not is_unchanged(model, Obligation("enter", "left_is_no_more"))
    model = trace(LockProof)
    assert is_unchanged(model, Obligation("release", "tickets_are_not_newer"))
    assert not is_unchanged(model, Obligation("INIT", "tickets_are_not_newer"))
    assert not is_unchanged(model, Obligation("release", "the_lock_was_held"))


def test_why_an_obligation_fails_is_told_as_a_step() -> None:
    wrong = lock(LockForEveryone, LockForEveryone)
    text = prove.explanation(wrong, Obligation("acquire", "holder_holds"))
    assert text is not None
    lines = text.splitlines()
    assert lines[0] == "acquire/holder_holds does not hold:"
    assert lines[1] == "  1. some state in which all conjuncts hold"
    assert "*" not in lines[2], "nothing has changed yet"
    (step,) = [line for line in lines if line.startswith("  2. ")]
    assert step.startswith("  2. acquire(client=c")
    assert "*holder=" in text
    assert prove.explanation(lock(), Obligation("acquire", "holder_holds")) is None


# ---- remembered hypotheses ----------------------------------------------------------------------


def test_what_worked_is_remembered_and_tried_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prove, "EASY", 0)
    assert ran(lock(), tmp_path, learn=True).is_complete
    sets = hypotheses.load("lock", tmp_path)
    target = Obligation("acquire", "holder_holds")
    assert sets[target] == ("holder_holds",), "nothing else is needed"
    again = ran(lock(), tmp_path, learn=True)
    assert again.is_complete
    assert {o.how for o in again.outcomes if o.obligation in sets} == {"remembered"}
    assert hypotheses.load("lock", tmp_path) == sets
    text = (tmp_path / "lock.json").read_text(encoding="utf-8")
    assert text.splitlines()[1:-1] == sorted(text.splitlines()[1:-1])


def test_easy_obligations_are_not_remembered(tmp_path: Path) -> None:
    ran(toll(), tmp_path, learn=True)
    assert hypotheses.load("toll", tmp_path) == {}


@pytest.mark.parametrize("stale", [(), ("no_longer_there",), ("tickets_are_not_newer",)])
def test_a_stale_set_is_passed_over_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stale: tuple[str, ...]
) -> None:
    monkeypatch.setattr(prove, "EASY", 0)
    target = Obligation("release", "holder_has_the_ticket")
    gone = Obligation("no_longer_there", "holder_holds")
    hypotheses.save("lock", {target: stale, gone: ()}, tmp_path)
    result = ran(lock(), tmp_path, learn=True)
    (outcome,) = [o for o in result.outcomes if o.obligation == target]
    assert (outcome.verdict, outcome.how) == ("proved", "all"), "too few hypotheses refute nothing"
    assert outcome.attempts == 2
    sets = hypotheses.load("lock", tmp_path)
    assert sets[target] == ("holder_has_the_ticket",)
    assert gone not in sets


def test_remembered_sets_do_not_prove_what_is_wrong(tmp_path: Path) -> None:
    target = Obligation("leave", "left_is_no_more")
    hypotheses.save("toll", {target: ("left_is_no_more",)}, tmp_path)
    result = ran(toll(UncheckedLeave, UncheckedLeave), tmp_path)
    assert verdicts(result)[str(target)] == "refuted"


# ---- mutants ------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", [toll(), lock()], ids=["toll", "lock"])
def test_each_mutant_breaks_something_and_not_everything(proof: Proof) -> None:
    (mutant,) = prove.mutants(proof)
    assert mutant.is_killed
    assert 0 < len(mutant.broken) < mutant.obligations
    assert mutant.undecided == ()
    assert mutant.summary.endswith(".")


def test_a_mutant_that_breaks_nothing_survives() -> None:
    harmless = Proof(
        name="toll", protocol=Toll, proof=TollProof, small={"Count": 4}, mutants=(TollProof,)
    )
    (mutant,) = prove.mutants(harmless)
    assert not mutant.is_killed


@pytest.mark.parametrize("proof", [lock(), *CONTROLLER_PROOFS], ids=lambda p: p.name)
def test_what_fails_in_a_small_instance_is_not_proved_for_any_size(proof: Proof) -> None:
    """A counterexample to induction is decisive: an encoding that proves it away is unsound."""
    few = replace(proof, mutants=proof.mutants[:3])
    asked = 0
    for wrong, result in zip(few.mutants, prove.mutants(few), strict=True):
        induction = Induction(trace(wrong))
        for decision in result.broken:
            question = induction.question(decision.obligation)
            # Cuts are hypotheses too, and of a mutant they may be false.
            names = [name for name in question.facts if name in induction.model.conjuncts]
            answer = ask(question.query(names, seed=0, steps=100_000))
            assert answer.verdict != "unsat", (wrong.__name__, decision.obligation)
            asked += 1
    assert asked >= 2


# ---- the models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kip_320_is_proved_for_any_number_of_brokers(seed: int) -> None:
    lines: list[str] = []
    result = prove.run(PROOFS[0], seed=seed, progress=lines.append)
    assert result.is_complete, result.failures
    assert result.obligations == 237
    assert result.properties["strong_isr"]
    assert result.properties["weak_isr"]
    assert any(line.startswith("become_follower: ") for line in lines)
