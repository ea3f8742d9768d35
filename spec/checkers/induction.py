"""What must be shown for a proof by induction, as questions to a solver.

An inductive invariant is the conjunction of a proof's conjuncts. The obligations are

    INIT / conjunct       it holds in every initial state
    action / conjunct     the action keeps it, where all conjuncts hold before
    action / cut          a fact at the action's parameters follows from its guard and all conjuncts
    IMPLIES / invariant   the conjuncts imply it

Each is a question of its own: are the hypotheses and the negation of the goal contradictory?
**Any** set of conjuncts and of the action's cuts may be taken as hypotheses: leaving some out can
only make an obligation harder, never a wrong one provable. Which ones are taken is therefore free
(`prove.py` remembers the sets that work); an answer `sat` means something only if all were taken.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from spec.checkers.smt.solver import Query
from spec.checkers.smt.terms import read_leaves, written_leaves
from spec.checkers.smt.unbounded import Formula, Unbounded
from spec.language.expression import Expr
from spec.language.model import Model, Property
from spec.language.protocol import Action

INIT, IMPLIES = "INIT", "IMPLIES"


@dataclass(frozen=True, slots=True, order=True)
class Obligation:
    """That an action (or INIT, or IMPLIES) keeps (gives) a property."""

    action: str
    property: str

    def __str__(self) -> str:
        return f"{self.action}/{self.property}"


def obligations(model: Model) -> tuple[Obligation, ...]:
    """All obligations of a proof, in the order of its text."""
    return (
        *(Obligation(INIT, name) for name in model.conjuncts),
        *(
            Obligation(action, name)
            for action in model.actions
            for name in (*_cuts(model, action), *model.conjuncts)
        ),
        *(Obligation(IMPLIES, name) for name in model.invariants if name not in model.leaves_open),
    )


def _cuts(model: Model, action: str) -> list[str]:
    return [cut.name for cut in model.cuts.values() if cut.action == action]


def goal_of(model: Model, obligation: Obligation) -> Expr:
    """The property or the cut that an obligation is about."""
    name = obligation.property
    if name in model.cuts:
        return model.cuts[name].expr
    of: Property = model.conjuncts[name] if name in model.conjuncts else model.invariants[name]
    return of.expr


def usual_hypotheses(model: Model, obligation: Obligation) -> tuple[str, ...]:
    """What is taken as hypotheses where nothing better is known, in the order of the text.

    Isolated conjuncts are left out, but for their own obligations, for cuts, and where a hint names
    them: existential facts distract a solver from everything else.
    """
    if obligation.action == INIT:
        return ()
    is_cut = obligation.property in model.cuts
    hint = model.hints.get((obligation.action, obligation.property), frozenset())
    conjuncts = [
        name
        for name, each in model.conjuncts.items()
        if is_cut or not each.isolated or name == obligation.property or name in hint
    ]
    return (*conjuncts, *([] if is_cut else _cuts(model, obligation.action)))


def possible_hypotheses(model: Model, obligation: Obligation) -> tuple[str, ...]:
    """Everything that may be taken as a hypothesis."""
    if obligation.action == INIT:
        return ()
    cuts = () if obligation.property in model.cuts else _cuts(model, obligation.action)
    return (*model.conjuncts, *cuts)


def is_unchanged(model: Model, obligation: Obligation) -> bool:
    """Whether a conjunct is kept because the action writes nothing that it reads."""
    action = model.actions.get(obligation.action)
    if action is None or obligation.property in model.cuts:
        return False
    return not written_leaves(action) & read_leaves(goal_of(model, obligation))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An obligation as text: what is always given, what may be assumed, and what is to be shown.

    It is all that another process needs to look for a proof.
    """

    obligation: Obligation
    given: str
    facts: Mapping[str, Formula]
    """Conjuncts and cuts that may be taken as hypotheses, in the order of the text."""
    denied: tuple[str, ...]
    """The parts of the goal, each asserted not to hold."""

    def query(
        self, hypotheses: Iterable[str], *, seed: int, steps: int, learn: bool = False
    ) -> Query:
        """The query with these hypotheses; with `learn` the answer's core says which it needs."""
        wanted = set(hypotheses)
        taken = {name: fact for name, fact in self.facts.items() if name in wanted}
        texts = [
            fact.assumed_if(f"use.{name}") if learn else fact.asserted
            for name, fact in taken.items()
        ]
        return Query(
            facts=self.given + "".join(texts),
            goals=self.denied,
            seed=seed,
            steps=steps,
            assumptions=tuple(f"use.{name}" for name in taken) if learn else (),
        )


class Induction:
    """The obligations of one model, in any size, as texts for a solver."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.world = Unbounded(model)
        self._steps: dict[str, str] = {}
        self._facts: dict[str, Formula] = {}
        self._goals: dict[tuple[str, frozenset[str], str], tuple[str, ...]] = {}

    def question(self, obligation: Obligation) -> Question:
        """The text of an obligation."""
        given = self.world.vocabulary
        if obligation.action == INIT:
            given += self._initially
        elif obligation.action != IMPLIES:
            given += self._step(self.model.actions[obligation.action])
        return Question(
            obligation=obligation,
            given=given,
            facts={name: self._fact(name) for name in possible_hypotheses(self.model, obligation)},
            denied=self._denied_goals(obligation),
        )

    @cached_property
    def _initially(self) -> str:
        return self.world.initially()

    def _step(self, action: Action) -> str:
        if action.name not in self._steps:
            self._steps[action.name] = self.world.step(action)
        return self._steps[action.name]

    def _fact(self, name: str) -> Formula:
        if name not in self._facts:
            cut = self.model.cuts.get(name)
            at = self.model.actions[cut.action] if cut is not None else None
            e = cut.expr if cut is not None else self.model.conjuncts[name].expr
            self._facts[name] = self.world.formula(e, name, parameters_of=at)
        return self._facts[name]

    def _denied_goals(self, obligation: Obligation) -> tuple[str, ...]:
        """One text for each part of the goal: a conjunction is shown part by part."""
        action = self.model.actions.get(obligation.action)
        is_cut = obligation.property in self.model.cuts
        changed = written_leaves(action) if action is not None and not is_cut else frozenset()
        key = (obligation.property, changed, obligation.action if is_cut else "")
        if key not in self._goals:
            goal = goal_of(self.model, obligation)
            self._goals[key] = tuple(
                self.world.formula(
                    part,
                    f"goal.{number}",
                    parameters_of=action if is_cut else None,
                    after=None if is_cut else action,
                ).denied
                for number, part in enumerate(_conjunction(goal))
            )
        return self._goals[key]


def _conjunction(e: Expr) -> Iterator[Expr]:
    yield from e.args if e.op == "and" else (e,)
