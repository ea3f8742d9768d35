"""All models and proofs: each right variant keeps its word, each wrong one is caught, none is idle.

What is particular to a model is in its own file; here is what every model must do.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from spec.checkers import prove
from spec.checkers.bounds import Bounds
from spec.checkers.explore import Exploration, explore
from spec.clauses import CLAUSES
from spec.command.replay import replayed
from spec.language import Model, only_extends, trace
from spec.models.family import Family, Refutation, Variant
from spec.proofs.proof import Proof
from spec.registry import FAMILIES, PROOFS

VARIANTS = [(family, variant) for family in FAMILIES.values() for variant in family.variants]
RIGHT = [(family, variant) for family, variant in VARIANTS if not variant.is_wrong]
REFUTATIONS = [
    (family, variant, refutation)
    for family, variant in VARIANTS
    for refutation in variant.refutations
]


def named(parts: tuple[object, ...]) -> str:
    family, variant, *rest = parts
    assert isinstance(family, Family)
    assert isinstance(variant, Variant)
    more = f"-{rest[0].invariant}" if rest and isinstance(rest[0], Refutation) else ""
    return f"{family.name}-{variant.name}{more}"


@cache
def explored(family: str, name: str) -> Exploration:
    variant = FAMILIES[family].variant(name)
    return explore(trace(variant.protocol), Bounds(**variant.bounds), symmetry=variant.symmetry)


# ---- what every text must have ------------------------------------------------------------------


def test_models_cover_what_was_asked_for() -> None:
    assert {
        "replication",
        "replication_messages",
        "eligible_leaders",
        "controller",
        "quorum",
        "idempotence",
        "transactions",
        "groups_classic",
        "groups_consumer",
        "delivery",
    } <= set(FAMILIES)
    assert {name.split("/")[0] for name in PROOFS} == set(FAMILIES)


@pytest.mark.parametrize("parts", VARIANTS, ids=named)
def test_every_variant_says_what_it_is(parts: tuple[Family, Variant]) -> None:
    family, variant = parts
    model = trace(variant.protocol)
    assert variant.summary, "the first line of the docstring says what it is, or gets wrong"
    assert family.summary
    assert model.invariants
    for invariant in model.invariants.values():
        unknown = set(invariant.clauses) - set(CLAUSES)
        assert not unknown, f"{invariant.name} stands for {unknown}, which are no clauses"
    counts = [variant.bounds, *(refutation.bounds for refutation in variant.refutations)]
    sorts = {key.partition("+")[0] for key in family.bounds.values()}
    for bounds in counts:
        assert set(bounds) <= sorts, "every bound can be given on the command line"
    for refutation in variant.refutations:
        assert refutation.invariant in model.invariants


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_an_invariant_for_a_clause(name: str) -> None:
    models = [trace(variant.protocol) for variant in FAMILIES[name].variants]
    assert any(i.clauses for model in models for i in model.invariants.values())


# ---- right variants -----------------------------------------------------------------------------


@pytest.mark.parametrize("parts", RIGHT, ids=named)
def test_a_right_variant_keeps_its_invariants_everywhere(parts: tuple[Family, Variant]) -> None:
    family, variant = parts
    found = explored(family.name, variant.name)
    assert found.complete, found.reason
    assert not found.violations
    assert found.distinct > 10


@pytest.mark.parametrize("name", FAMILIES)
def test_every_action_happens_and_every_witness_is_reached(name: str) -> None:
    """In some right variant of the family: else its invariants would say nothing."""
    happened, reached = set[str](), set[str]()
    actions, witnesses = set[str](), set[str]()
    for variant in FAMILIES[name].variants:
        if variant.is_wrong:
            continue
        found = explored(name, variant.name)
        actions |= set(found.actions)
        witnesses |= set(found.witnesses)
        happened |= {action for action, count in found.actions.items() if count}
        reached |= {witness for witness, level in found.witnesses.items() if level}
    assert actions == happened
    assert witnesses == reached
    assert witnesses, "a model says what must be possible"


# ---- wrong variants -----------------------------------------------------------------------------


@pytest.mark.parametrize("parts", REFUTATIONS, ids=named)
def test_a_wrong_variant_is_refuted_in_so_many_steps(
    parts: tuple[Family, Variant, Refutation],
) -> None:
    _, variant, refutation = parts
    model, bounds = trace(variant.protocol), Bounds(**refutation.bounds)
    moves = list(counterexample(model, bounds, refutation))
    assert len(moves) == refutation.steps
    # Another engine, which shares nothing with the explorer but the text, agrees that it is one.
    path = replayed(model, bounds, moves)
    assert path.length == refutation.steps + 1


def counterexample(
    model: Model, bounds: Bounds, refutation: Refutation
) -> Iterator[tuple[str, tuple[int, ...]]]:
    name, symmetry = refutation.invariant, refutation.symmetry
    found = explore(model, bounds, invariants=(name,), symmetry=symmetry, stop_at_violation=True)
    assert name in found.violations, found.reason
    for moment in found.violations[name].trace.moments[1:]:
        yield moment.action, tuple(moment.params.values())


# ---- proofs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", PROOFS.values(), ids=lambda proof: proof.name)
def test_a_proof_is_about_a_variant_that_claims_its_invariants(proof: Proof) -> None:
    family = FAMILIES[proof.name.split("/")[0]]
    claimed = [variant.protocol for variant in family.variants if not variant.is_wrong]
    assert proof.protocol in claimed
    model = trace(proof.proof)
    assert only_extends(model, trace(proof.protocol))
    assert set(model.leaves_open) == set(proof.open), "what is open is listed with what was tried"
    for conjunct in model.conjuncts.values():
        assert conjunct.doc, f"{conjunct.where} does not say why it is needed"
    for mutant in proof.mutants:
        wrong = trace(mutant)
        assert not only_extends(wrong, trace(proof.protocol)), f"{mutant.__name__} changes nothing"
        assert mutant.__doc__


@pytest.mark.parametrize("proof", PROOFS.values(), ids=lambda proof: proof.name)
def test_a_proof_goes_through(proof: Proof) -> None:
    """Every obligation, for any size; `make models` also shows that its mutants break it."""
    result = prove.run(proof, seed=1, workers=1)
    assert result.failures == ()
    assert result.is_complete
    unproved = [name for name, proved in result.properties.items() if not proved]
    assert unproved == list(proof.open)


def test_every_family_is_proved_with_mutants_that_break_it() -> None:
    for name in FAMILIES:
        proofs = [proof for proof in PROOFS.values() if proof.name.split("/")[0] == name]
        assert any(proof.mutants for proof in proofs), name


# ---- what people read ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_models_say_what_breaks_without_a_guard(name: str) -> None:
    """A protocol that requires much and explains little cannot be read."""
    right = [variant.protocol for variant in FAMILIES[name].variants if not variant.is_wrong]
    owners = {owner for protocol in right for owner in protocol.__mro__}
    modules = {owner.__module__ for owner in owners if owner.__module__.startswith("spec.models")}
    texts = [Path(sys.modules[m].__file__ or "").read_text(encoding="utf-8") for m in modules]
    guards = sum(len(re.findall(r"\brequire\(", text)) for text in texts)
    reasons = sum(len(re.findall(r"^\s*# .*$", text, re.MULTILINE)) for text in texts)
    assert reasons * 2 >= guards, f"{guards} guards and {reasons} lines of reasons"
