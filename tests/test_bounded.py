"""Bounded model checking, bounded induction, and what finite instances promise."""

from typing import Any

import pytest

from spec.checkers import bounded
from spec.checkers.bounded import Counterexample, Inductive, NoneFound, OutOfTime, ReplayError
from spec.checkers.bounded.states import replayed
from spec.checkers.bounds import Bounds
from spec.checkers.induction import Obligation, obligations
from spec.checkers.smt import finite
from spec.checkers.smt.finite import Finite
from spec.language import Model, Protocol, trace
from spec.models.replication import Kip101, Kip320, TruncateToHighWatermark
from spec.proofs.replication import PROOFS
from tests.explore_zoo import ZOO
from tests.plain_explorer import PlainExplorer
from tests.smt_toys import (
    ContradictoryProof,
    Lock,
    LockForEveryone,
    LockProof,
    Straying,
    Toll,
    TollProof,
    UncheckedLeave,
)

TOLL = Bounds(Count=4)
LOCK = Bounds(Client=2, Ticket=3)
REPLICATION = Bounds(Broker=2, Epoch=2, Offset=2, RecordId=2)


def is_a_path(model: Model, bounds: Bounds, found: Counterexample) -> bool:
    """Whether the plain interpreter allows each step; it must begin in the initial state."""
    oracle = PlainExplorer(model, bounds.counts)
    held = frozenset(found.initial.items())
    assert held == oracle.initial()
    for step in found.steps:
        after = frozenset(step.state.items())
        params = tuple(step.parameters.values())
        assert (step.action, params, after) in list(oracle.successors(held, step.action))
        held = after
    return True


# ---- from the initial state ---------------------------------------------------------------------


def test_truncating_to_the_high_watermark_loses_a_record_in_eight_steps() -> None:
    model, bounds = trace(TruncateToHighWatermark), Bounds(Broker=3, Epoch=3, Offset=2, RecordId=2)
    found = bounded.search(model, bounds, "strong_isr", depth=9, budget_s=60)
    assert isinstance(found, Counterexample)
    assert found.depth == 8
    assert is_a_path(model, bounds, found)
    last = dict(found.steps[-1].state)
    oracle = PlainExplorer(model, bounds.counts)
    assert not oracle.value(model.invariants["strong_isr"].expr, last, {})


@pytest.mark.parametrize("specimen", ZOO, ids=lambda s: s.protocol.__name__)
def test_shortest_counterexamples_are_those_of_the_plain_explorer(specimen: Any) -> None:
    model, bounds = trace(specimen.protocol), Bounds(**specimen.counts)
    known = PlainExplorer(model, specimen.counts).explore()
    for name in [*model.invariants, *model.witnesses]:
        level = known.witnesses.get(name) or known.violations.get(name, (0, None))[1]
        found = bounded.search(model, bounds, name, depth=5)
        if level is None or level > 6:
            assert isinstance(found, NoneFound), name
        else:
            assert isinstance(found, Counterexample), name
            assert found.depth == level - 1
            assert is_a_path(model, bounds, found)


def test_a_witness_is_reached_and_told() -> None:
    found = bounded.search(trace(Toll), TOLL, "two_on_the_bridge", depth=4)
    assert isinstance(found, Counterexample)
    assert [step.action for step in found.steps] == ["enter", "enter"]


def test_what_is_not_there_is_not_found() -> None:
    found = bounded.search(trace(Kip320), REPLICATION, "strong_isr", depth=5)
    assert isinstance(found, NoneFound)
    assert (found.depth, found.start) == (5, 0)


def test_a_search_may_begin_deeper() -> None:
    model = trace(UncheckedLeave)
    found = bounded.search(model, TOLL, "nobody_leaves_who_did_not_enter", depth=6, start=3)
    assert isinstance(found, Counterexample)
    assert found.depth == 3, "not the shortest, which has one action: depths below were skipped"
    assert is_a_path(model, TOLL, found)


def test_a_search_stops_when_its_time_is_up() -> None:
    found = bounded.search(trace(Kip320), REPLICATION, "strong_isr", depth=30, budget_s=0.3)
    assert isinstance(found, OutOfTime)
    assert found.depth < 30


def test_a_property_that_the_model_lacks_is_an_error() -> None:
    with pytest.raises(KeyError):
        bounded.search(trace(Toll), TOLL, "no_such_thing", depth=1)


def test_a_behaviour_that_the_model_does_not_have_is_noticed() -> None:
    model = trace(Toll)
    world = Finite(model, TOLL)
    with pytest.raises(ReplayError, match="leave is not possible"):
        replayed(world, model.actions["leave"], world.initial_state(), {})


# ---- counterexamples to induction ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "bounds"), [(TollProof, TOLL), (LockProof, LOCK)], ids=["toll", "lock"]
)
def test_right_proofs_are_inductive_in_small_instances(
    protocol: type[Protocol], bounds: Bounds
) -> None:
    model = trace(protocol)
    decisions = bounded.induction(model, bounds)
    assert [d.obligation for d in decisions] == list(obligations(model))
    assert all(d.holds and d.breach is None for d in decisions)


def test_a_breach_is_a_step_out_of_the_invariant() -> None:
    model = trace(LockForEveryone)
    oracle = PlainExplorer(model, LOCK.counts)
    broken = [d.breach for d in bounded.induction(model, LOCK) if d.breach is not None]
    assert {str(breach.obligation) for breach in broken} == {
        "acquire/holder_holds",
        "acquire/holder_has_the_ticket",
    }
    for breach in broken:
        before, after = dict(breach.before), dict(breach.after)
        assert all(oracle.value(c.expr, before, {}) for c in model.conjuncts.values())
        name, params = breach.obligation.action, tuple(breach.parameters.values())
        step = (name, params, frozenset(after.items()))
        assert step in list(oracle.successors(frozenset(before.items()), name))
        assert not oracle.value(model.conjuncts[breach.obligation.property].expr, after, {})


def test_a_breach_at_the_beginning_is_the_initial_state() -> None:
    decisions = bounded.induction(trace(ContradictoryProof), TOLL)
    (first,) = [d for d in decisions if d.obligation == Obligation("INIT", "somebody_entered")]
    assert first.breach is not None
    assert set(first.breach.before.values()) == {0}


def test_without_time_nothing_is_decided() -> None:
    model = trace(PROOFS[0].proof)
    bounds = Bounds(**PROOFS[0].small)
    target = Obligation("become_follower", "log_is_prefix")
    (decision,) = bounded.induction(model, bounds, [target], budget_s=0.0)
    assert not decision.holds
    assert decision.breach is None


def test_cores_suffice_and_nothing_can_be_left_out() -> None:
    model = trace(LockProof)
    small = Inductive(model, LOCK, loose=True)
    target = Obligation("release", "holder_holds")
    cores = list(small.cores(target))
    assert cores
    for core in cores:
        assert "holder_holds" in core
        assert "somebody_held" not in core, "it has nothing to do with it"
    assert list(small.cores(Obligation("INIT", "holder_holds"))) == []


def test_an_action_that_the_conjuncts_forbid_is_told_apart() -> None:
    small = Inductive(trace(ContradictoryProof), TOLL)
    assert not small.is_possible("enter")
    assert Inductive(trace(TollProof), TOLL).is_possible("enter")


# ---- what finite instances promise --------------------------------------------------------------

MODELS = [
    *[(specimen.protocol, Bounds(**specimen.counts)) for specimen in ZOO],
    (Lock, LOCK),
    (Kip101, REPLICATION),
    (Kip320, REPLICATION),
]


@pytest.mark.parametrize(("protocol", "bounds"), MODELS, ids=lambda x: getattr(x, "__name__", ""))
def test_values_stay_in_their_types(
    protocol: type[Protocol], bounds: Bounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trace(protocol)
    assert bounded.overflows(model, bounds) == []
    unbounded_growth = any(w.value.op == "add" for a in model.actions.values() for w in a.writes)
    if unbounded_growth:
        monkeypatch.setattr(finite, "bound_guards", lambda *_: [])
        assert bounded.overflows(model, bounds), "without the guards of the bounds they must not"


def test_stray_reads_that_matter_are_found() -> None:
    bounds = Bounds(Client=2, Count=2)
    faults = bounded.stray_reads(trace(Straying), bounds)
    assert {(fault.action, fault.what.split(" ")[-1]) for fault in faults} == {
        ("careless", "careless"),
        ("careless_write", "flag"),
    }
    (read,) = [fault for fault in faults if fault.action == "careless"]
    assert read.state["position", ()] == 2, "past the end"


@pytest.mark.parametrize("protocol", [Kip101, Kip320, Lock], ids=lambda p: p.__name__)
def test_stray_reads_do_not_matter_in_the_models(protocol: type[Protocol]) -> None:
    bounds = LOCK if protocol is Lock else REPLICATION
    assert bounded.stray_reads(trace(protocol), bounds) == []
