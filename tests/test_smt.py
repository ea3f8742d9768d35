"""What Z3 is told: finite instances against a plain interpreter, texts that depend on nothing."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.induction import Induction, Obligation, Question, obligations, usual_hypotheses
from spec.checkers.smt.finite import Finite, Next
from spec.checkers.smt.solver import FINITE_DOMAINS, Query, Session, ask
from spec.checkers.smt.terms import Term
from spec.checkers.smt.unbounded import Unbounded
from spec.language import Model, SpecError, trace
from spec.language.sorts import BOOL, Sort
from spec.models.replication import Kip101, Kip320
from spec.proofs.quorum import PROOFS as QUORUM_PROOFS
from spec.proofs.replication import PROOFS as REPLICATION_PROOFS
from tests.explore_zoo import ZOO, Specimen
from tests.plain_explorer import Place, PlainExplorer
from tests.smt_toys import Searching, SearchingFromOne, Toll

REPLICATION = {"Broker": 2, "Epoch": 2, "Offset": 2, "RecordId": 2}
SPECIMENS = (
    *ZOO,
    Specimen(protocol=Kip101, counts=REPLICATION),
    Specimen(protocol=Kip320, counts=REPLICATION),
)
STATES = 15
Sample = dict[str, int]


class Terms:
    """What an action does and what holds, as terms over one symbolic state."""

    def __init__(self, model: Model, bounds: Bounds, action: str) -> None:
        self.world = Finite(model, bounds)
        self.session = Session(FINITE_DOMAINS)
        self.state, ranges = self.world.symbolic()
        self.environment, limits = self.world.parameters(model.actions[action])
        after = Next(self.world, model.actions[action], self.state, self.environment)
        possible = self.world.possible(model.actions[action], self.state, self.environment)
        self.wanted: dict[object, Term] = {"possible": possible}
        self.wanted |= {
            name: self.world.value(each.expr, self.state, {})
            for name, each in model.invariants.items()
        }
        self.wanted |= {("after", cell): after.cell(*cell) for cell in self.world.cells}
        facts = [self.world.text(fact, BOOL) for fact in (*ranges, *limits) if fact is not True]
        self.session.add(self.world.take())
        self.session.require(facts)

    def at(self, held: Mapping[Place, int], parameters: list[int]) -> dict[object, int]:
        """The values that Z3 gives the terms in a state, at an action's parameters."""
        world = self.world
        facts = [
            world.equal(
                self.state.cell(*cell), _value(leaf.scalar.sort, held[cell]), leaf.scalar.sort
            )
            for cell, leaf in world.cells.items()
        ]
        for (number, term), value in zip(self.environment.items(), parameters, strict=True):
            sort = next(
                p.sort for a in world.model.actions.values() for p in a.params if p.id == number
            )
            facts.append(world.equal(term, _value(sort, value), sort))
        texts = [world.text(fact, BOOL) for fact in facts]
        symbolic = {name: term for name, term in self.wanted.items() if isinstance(term, str)}
        self.session.add(world.take())
        self.session.push()
        self.session.require(texts)
        assert self.session.check() == "sat"
        values = dict(zip(symbolic, self.session.values(list(symbolic.values())), strict=True))
        self.session.pop()
        return {name: int(values.get(name, term)) for name, term in self.wanted.items()}


def _value(sort: Sort, value: int) -> Term:
    return bool(value) if sort is BOOL else value


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda s: s.protocol.__name__)
def test_finite_instances_mean_what_a_plain_interpreter_says(specimen: Specimen) -> None:
    model = trace(specimen.protocol)
    bounds, oracle = Bounds(**specimen.counts), PlainExplorer(model, specimen.counts)
    chance = random.Random(specimen.protocol.__name__)
    possible = 0
    for name, action in model.actions.items():
        terms = Terms(model, bounds, name)
        for _ in range(STATES):
            held = {
                cell: chance.randint(*bounds.range_of(leaf.scalar))
                for cell, leaf in terms.world.cells.items()
            }
            after = {
                params: dict(then)
                for _, params, then in oracle.successors(frozenset(held.items()), name)
            }
            params = tuple(int(chance.choice(bounds.domain(p.sort))) for p in action.params)
            if after and chance.random() < 0.7:
                params = chance.choice(sorted(after))
            found = terms.at(held, list(params))
            assert bool(found["possible"]) == (params in after)
            possible += params in after
            for cell, value in after.get(params, {}).items():
                assert found["after", cell] == value, (name, cell)
            for each in model.invariants.values():
                assert bool(found[each.name]) == bool(oracle.value(each.expr, held, {})), each.name
    assert possible >= 3, "the random states allow too little to tell right from wrong"


def test_a_known_state_is_evaluated_without_a_solver() -> None:
    model, counts = trace(Kip320), REPLICATION
    world, oracle = Finite(model, Bounds(**counts)), PlainExplorer(model, counts)
    initial = world.initial_state()
    assert {cell: int(initial.cell(*cell)) for cell in world.cells} == dict(oracle.initial())
    for each in model.invariants.values():
        assert world.value(each.expr, initial, {}) is True
    assert not world.script


# ---- any size -----------------------------------------------------------------------------------


def digest() -> str:
    """Of all texts of two proofs."""
    total = hashlib.sha256()
    for proof in (REPLICATION_PROOFS[0], QUORUM_PROOFS[0]):
        induction = Induction(trace(proof.proof))
        for obligation in obligations(induction.model):
            usual = usual_hypotheses(induction.model, obligation)
            query = induction.question(obligation).query(usual, seed=0, steps=1)
            total.update("".join((query.facts, *query.goals)).encode())
    return total.hexdigest()


def test_the_text_of_an_obligation_depends_on_nothing_but_the_model() -> None:
    here = digest()
    for specimen in ZOO:
        trace(specimen.protocol)
    assert digest() == here, "what else was traced must not matter"
    command = [sys.executable, "-c", "from tests.test_smt import digest; print(digest())"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    there = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert there.stdout.strip() == here, "nor may the order of a hash table"


def test_only_optional_sorts_have_none() -> None:
    assert "none.Broker" in Unbounded(trace(Kip320)).vocabulary
    assert "none." not in Unbounded(trace(Toll)).vocabulary


def question(model: Model, action: str, name: str) -> Question:
    return Induction(model).question(Obligation(action, name))


def asked(model: Model, action: str, name: str) -> str:
    """The verdict without any hypothesis."""
    return ask(question(model, action, name).query((), seed=0, steps=1_000_000)).verdict


def test_searches_are_defined_where_they_are_used() -> None:
    model = trace(Searching)
    for name in ("last_is_marked", "nothing_marked_beyond", "first_is_marked", "nothing_before"):
        assert asked(model, "note", name) == "unsat", name
    assert asked(model, "note", "never_beyond_three") == "sat"


def test_a_search_begins_with_the_first_value_of_its_sort() -> None:
    model = trace(SearchingFromOne)
    for name in ("first_is_one", "nothing_is_last"):
        assert asked(model, "note", name) == "unsat", name
    for name in ("first_is_zero", "zero_is_last"):
        assert asked(model, "note", name) == "sat", name


def test_a_search_under_a_quantifier_is_refused() -> None:
    with pytest.raises(SpecError, match="under a quantifier"):
        question(trace(Searching), "IMPLIES", "quantified")


def test_the_answer_to_a_query_does_not_depend_on_what_was_asked_before() -> None:
    model = trace(REPLICATION_PROOFS[0].proof)
    induction = Induction(model)
    queries: list[Query] = []
    for name in ("types", "log_is_prefix", "sealed_by_leader"):
        of = induction.question(Obligation("become_leader", name))
        queries.append(of.query(of.facts, seed=1, steps=200_000))

    def told(order: list[Query]) -> dict[str, Any]:
        return {q.goals[0]: (a.verdict, a.steps) for q in order for a in [ask(q)]}

    assert told(queries) == told(queries[::-1])
