"""What tests of a model ask: right variants hold and do everything, wrong ones are refuted."""

from collections.abc import Mapping

from spec.checkers.bounded import Counterexample, induction, search
from spec.checkers.bounds import Bounds
from spec.checkers.explore import Trace, explore
from spec.checkers.prove import mutants
from spec.checkers.step import Machine
from spec.language import only_extends, trace
from spec.models.family import Family, Refutation, Variant
from spec.proofs.proof import Proof


def right(family: Family) -> list[str]:
    return [variant.name for variant in family.variants if not variant.is_wrong]


def wrong(family: Family) -> list[str]:
    return [variant.name for variant in family.variants if variant.is_wrong]


def assert_holds(variant: Variant, bounds: Mapping[str, int] | None = None) -> int:
    """Explores it completely; returns the number of states.

    All its invariants must hold, all its actions be possible, and all its witnesses be reached.
    """
    model = trace(variant.protocol)
    found = explore(model, Bounds(**(bounds or variant.bounds)), symmetry=variant.symmetry)
    assert found.complete, found.reason
    assert not found.violations
    assert [name for name, count in found.actions.items() if not count] == []
    assert [name for name, level in found.witnesses.items() if level is None] == []
    return found.distinct


def assert_refuted(variant: Variant) -> dict[str, Trace]:
    """Every refutation is found, as short as it says; returns the traces by invariant."""
    assert variant.refutations
    traces = {}
    for refutation in variant.refutations:
        model = trace(variant.protocol)
        found = explore(
            model,
            Bounds(**refutation.bounds),
            invariants=[refutation.invariant],
            symmetry=refutation.symmetry,
            stop_at_violation=True,
        )
        violation = found.violations[refutation.invariant]
        assert len(violation.trace.moments) - 1 == refutation.steps
        _assert_is_a_behaviour(violation.trace, refutation)
        traces[refutation.invariant] = violation.trace
    return traces


def _assert_is_a_behaviour(found: Trace, refutation: Refutation) -> None:
    """The trace, step by step in the other engine: only its last state breaks the invariant."""
    machine = Machine(found.model, Bounds(**refutation.bounds))
    state, holds = machine.initial, machine.holds[refutation.invariant]
    for moment in found.moments[1:]:
        assert holds(state)
        following = machine.step[moment.action](state, *moment.params.values())
        assert following is not None, f"{moment.action} is refused"
        state = following
    assert not holds(state)


def assert_solver_agrees(variant: Variant) -> None:
    """A solver finds counterexamples of the same length, and none that is shorter."""
    for refutation in variant.refutations:
        found = search(
            trace(variant.protocol),
            Bounds(**refutation.bounds),
            refutation.invariant,
            depth=refutation.steps,
            budget_s=30,
        )
        assert isinstance(found, Counterexample), found
        assert found.depth == refutation.steps


def assert_conjuncts_hold(proof: Proof, bounds: Mapping[str, int] | None = None) -> int:
    """A conjunct that is false in a reachable state proves nothing. Returns the states seen."""
    model = trace(proof.proof)
    assert only_extends(model, trace(proof.protocol))
    assert model.conjuncts
    names = [*model.invariants, *model.conjuncts]
    found = explore(model, Bounds(**(bounds or proof.small)), invariants=names)
    assert found.complete, found.reason
    assert {name: each.first_level for name, each in found.violations.items()} == {}
    return found.distinct


def assert_inductive_when_small(proof: Proof) -> int:
    """Every obligation holds in the proof's small instance. Returns how many there are."""
    decisions = induction(trace(proof.proof), Bounds(**proof.small))
    assert [str(each.obligation) for each in decisions if not each.holds] == []
    return len(decisions)


def assert_mutants_are_killed(proof: Proof) -> None:
    """Each wrong rule breaks some obligation of the proof, and not all."""
    assert proof.mutants
    for result in mutants(proof):
        assert result.is_killed, result.name
        assert not result.undecided, result.name
