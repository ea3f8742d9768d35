"""Bounded induction: the obligations of a proof, decided in a small instance.

`sat` is a real counterexample to induction there: two states and the action between them. `unsat`
is no proof for other sizes, but its minimal cores tell the unbounded proof what to look at.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from spec.checkers.bounded.states import StateValues, replayed, values_of
from spec.checkers.bounds import Bounds
from spec.checkers.induction import IMPLIES, INIT, Obligation, goal_of, obligations
from spec.checkers.smt.finite import Cells, Finite, Next
from spec.checkers.smt.solver import FINITE_DOMAINS, Session
from spec.checkers.smt.terms import Environment
from spec.language.model import Model
from spec.language.sorts import BOOL

CORE_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A counterexample to induction: the state before, the action, and the state after.

    For IMPLIES and cuts both states are the same one.
    """

    obligation: Obligation
    before: StateValues
    parameters: Mapping[str, int]
    after: StateValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a small instance says of an obligation: it holds, or here is a breach.

    Neither is set if the budget was spent.
    """

    obligation: Obligation
    holds: bool
    breach: Breach | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _SymbolicStep:
    """Parameters of an action, what makes it possible, and the state after it."""

    environment: Environment
    after: Cells
    facts: list[str]


class Inductive:
    """The obligations of a model in a small instance.

    One action's obligations share a solver; the hypotheses are assumptions by name.
    """

    def __init__(self, model: Model, bounds: Bounds, loose: bool = False) -> None:
        """With `loose`, numbers in the state before may lie just outside their types."""
        self.model, self.world = model, Finite(model, bounds)
        self.before, self._ranges = self.world.symbolic(loose=loose)
        self._session: Session | None = None
        self._action = ""
        self._steps: dict[str, _SymbolicStep] = {}

    def decide(self, obligation: Obligation, timeout_s: float = 60.0) -> Decision:
        """Decides an obligation with all conjuncts as hypotheses; cuts follow from them."""
        begun = time.monotonic()
        if obligation.action == INIT:
            return self._initially(obligation)
        session = self._prepared(obligation.action)
        verdict = self._ask(session, obligation, list(self.model.conjuncts), timeout_s)
        breach = self._breach(session, obligation) if verdict == "sat" else None
        session.pop()
        return Decision(
            obligation=obligation,
            holds=verdict == "unsat",
            breach=breach,
            seconds=time.monotonic() - begun,
        )

    def cores(self, obligation: Obligation, tries: int = 6) -> Iterator[frozenset[str]]:
        """Minimal sets of conjuncts that suffice here, each another one.

        None if the obligation does not hold in this instance. There are many such sets; which one
        is found depends on what is left out first, so `tries` orders are drawn (always the same).
        """
        if obligation.action == INIT:
            return
        found: set[frozenset[str]] = set()
        for number in range(tries):
            least = self._core(obligation, random.Random(number))
            if least is None:
                return
            if least not in found:
                found.add(least)
                yield least

    def _core(self, obligation: Obligation, chance: random.Random) -> frozenset[str] | None:
        session = self._prepared(obligation.action)
        order = list(self.model.conjuncts)
        least: set[str] | None = None
        if self._ask(session, obligation, order, CORE_TIMEOUT_S) == "unsat":
            chance.shuffle(order)
            least = set(order)
            for name in order:
                if name in least:
                    fewer = [f"use.{n}" for n in order if n in least and n != name]
                    if session.check(fewer, timeout_ms=CORE_TIMEOUT_S * 1000) == "unsat":
                        least = {n.removeprefix("use.") for n in session.core()}
        session.pop()
        return None if least is None else frozenset(least)

    def is_possible(self, action: str) -> bool:
        """Whether some state has all conjuncts and the action's guard: if not, the action's
        obligations say nothing. Nothing is possible where an axiom is false."""
        if not self._axioms_hold:
            return False
        session = self._prepared(action)
        return session.check([f"use.{name}" for name in self.model.conjuncts]) == "sat"

    @cached_property
    def _axioms_hold(self) -> bool:
        """Whether the tables of this instance are an example of what the axioms describe."""
        axioms = (axiom for _, axiom in self.model.axioms)
        return all(self.world.value(axiom, self.before, {}) is True for axiom in axioms)

    def can_begin(self) -> bool:
        """Whether the initial state meets all conjuncts: if not, they are not what is wanted."""
        initial = self.world.initial_state()
        values = [self.world.value(c.expr, initial, {}) for c in self.model.conjuncts.values()]
        return all(value is True for value in values)

    def _initially(self, obligation: Obligation) -> Decision:
        begun, initial = time.monotonic(), self.world.initial_state()
        holds = self.world.value(goal_of(self.model, obligation), initial, {}) is True
        values = values_of(initial)
        breach = Breach(obligation=obligation, before=values, parameters={}, after=values)
        return Decision(
            obligation=obligation,
            holds=holds,
            breach=None if holds else breach,
            seconds=time.monotonic() - begun,
        )

    def _prepared(self, name: str) -> Session:
        """A solver that knows the state before and, unless IMPLIES is meant, the action."""
        if self._session is None:
            self._session = self._begun()
            self._session.push()
        if self._action != name:
            self._session.pop()
            self._session.push()
            self._action = name
            if name != IMPLIES:
                facts = self._step(name).facts
                self._session.add(self.world.take())
                self._session.require(facts)
        return self._session

    def _begun(self) -> Session:
        """A solver that knows what a state is, and each conjunct if its name is assumed."""
        session, world = Session(FINITE_DOMAINS), self.world
        uses = [
            f"(declare-const use.{name} Bool)(assert (=> use.{name} {world.text(term, BOOL)}))"
            for name, term in (
                (name, world.value(each.expr, self.before, {}))
                for name, each in self.model.conjuncts.items()
            )
        ]
        ranges = [world.text(term, BOOL) for term in self._ranges]
        session.add(world.take())
        session.require(ranges)
        session.add("\n".join(uses))
        return session

    def _step(self, name: str) -> "_SymbolicStep":
        """The action from the state before, at constants for its parameters."""
        if name not in self._steps:
            action = self.model.actions[name]
            environment, ranges = self.world.parameters(action)
            guard = self.world.possible(action, self.before, environment)
            self._steps[name] = _SymbolicStep(
                environment=environment,
                after=Next(self.world, action, self.before, environment),
                facts=[self.world.text(term, BOOL) for term in (*ranges, guard)],
            )
        return self._steps[name]

    def _ask(
        self, session: Session, obligation: Obligation, names: Sequence[str], timeout_s: float
    ) -> str:
        """Leaves the solver with the goal pushed."""
        state, environment = self.before, {}
        if obligation.action != IMPLIES:
            step = self._step(obligation.action)
            environment = step.environment
            if obligation.property not in self.model.cuts:
                state = step.after
        goal = self.world.value(goal_of(self.model, obligation), state, environment)
        denied = self.world.text(self.world.negation(goal), BOOL)
        session.add(self.world.take())
        session.push()
        session.require([denied])
        return session.check(
            [f"use.{name}" for name in names], timeout_ms=max(1, int(timeout_s * 1000))
        )

    def _breach(self, session: Session, obligation: Obligation) -> Breach:
        cells = list(self.world.cells)
        before = session.values([str(self.before.cell(*cell)) for cell in cells])
        known = self.world.known(dict(zip(cells, before, strict=True)))
        after, parameters = known, {}
        action = self.model.actions.get(obligation.action)
        if action is not None:
            environment = self._step(action.name).environment
            found = session.values([str(term) for term in environment.values()])
            values: Environment = dict(zip(environment, found, strict=True))
            parameters = {p.args[0]: int(values[p.id]) for p in action.params}
            if obligation.property not in self.model.cuts:
                after = replayed(self.world, action, known, values)
        return Breach(
            obligation=obligation,
            before=values_of(known),
            parameters=parameters,
            after=values_of(after),
        )


def induction(
    model: Model,
    bounds: Bounds,
    only: Sequence[Obligation] | None = None,
    *,
    budget_s: float = 120.0,
) -> list[Decision]:
    """Decides obligations (all of them, if none are named) in a small instance, in order.

    Those that the budget leaves undecided neither hold nor have a breach.
    """
    instance, begun = Inductive(model, bounds), time.monotonic()
    decisions = []
    for obligation in obligations(model) if only is None else only:
        left_s = budget_s - (time.monotonic() - begun)
        decisions.append(instance.decide(obligation, max(left_s, 0.001)))
    return decisions
