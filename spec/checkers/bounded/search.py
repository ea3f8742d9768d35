"""Bounded model checking: the shortest behaviour that does something, one action longer each time.

States are neutral: a mapping of (leaf, indices) to an integer, NONE being -1 and truth values 0
and 1; the story of a behaviour is told elsewhere.
"""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spec.checkers.bounded.states import ReplayError, StateValues, replayed, values_of
from spec.checkers.bounds import Bounds
from spec.checkers.smt.finite import Cells, Finite, Next
from spec.checkers.smt.solver import FINITE_DOMAINS, Session, Verdict
from spec.checkers.smt.terms import Environment, State, Term, written_leaves
from spec.language.expression import Expr, not_
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One action of a behaviour, and the state after it."""

    action: str
    parameters: Mapping[str, int]
    state: StateValues


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A behaviour to a state that violates the property (or, of a witness, that reaches it)."""

    name: str
    initial: StateValues
    steps: tuple[Step, ...]
    seconds: float

    @property
    def depth(self) -> int:
        """Its number of actions."""
        return len(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneFound:
    """No behaviour of at most `depth` actions does it; depths below `start` were not looked at."""

    name: str
    depth: int
    start: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfTime:
    """The budget was spent; all depths below `depth` (and from `start` on) are clean."""

    name: str
    depth: int
    start: int
    seconds: float


def search(
    model: Model,
    bounds: Bounds,
    name: str,
    *,
    depth: int,
    budget_s: float = 120.0,
    start: int = 0,
) -> Counterexample | NoneFound | OutOfTime:
    """The shortest behaviour that violates an invariant or a conjunct, or reaches a witness.

    It has at least `start` and at most `depth` actions: with `start` > 0 it is the shortest only if
    shallower depths are known to be clean. Raises KeyError for a property that the model lacks.
    """
    begun = time.monotonic()
    run = _Unrolling(model, bounds)
    target = _target(model, name)
    for length in range(depth + 1):
        if length >= start:
            left_s = budget_s - (time.monotonic() - begun)
            found = run.look_for(target, left_s) if left_s > 0 else "unknown"
            seconds = time.monotonic() - begun
            if found == "sat":
                return run.counterexample(name, seconds)
            if found != "unsat":
                return OutOfTime(name=name, depth=length, start=start, seconds=seconds)
        if length < depth:
            run.extend()
    seconds = time.monotonic() - begun
    return NoneFound(name=name, depth=depth, start=start, seconds=seconds)


def _target(model: Model, name: str) -> Expr:
    """What is looked for: a witness, or the opposite of an invariant or conjunct."""
    if name in model.witnesses:
        return model.witnesses[name].expr
    found = model.invariants.get(name) or model.conjuncts[name]
    return not_(found.expr)


class _Unrolling:
    """All behaviours of one length, as constraints on the states and the actions between them.

    Parameters of the same sort are shared by all actions of a step: the fewer variables, the
    faster the search.
    """

    def __init__(self, model: Model, bounds: Bounds) -> None:
        self.model = model
        self.world = Finite(model, bounds)
        self.session = Session(FINITE_DOMAINS)
        self.states: list[Cells] = [self.world.initial_state()]
        self.choices: list[tuple[dict[str, str], dict[str, Environment]]] = []

    def look_for(self, target: Expr, timeout_s: float) -> Verdict:
        """Whether the last state can be one where the target holds."""
        term = self.world.value(target, self.states[-1], {})
        if term is False:
            return "unsat"
        self.session.add(self.world.take())
        self.session.push()
        self.session.require([self.world.text(term, BOOL)])
        verdict = self.session.check(timeout_ms=max(1, int(timeout_s * 1000)))
        if verdict == "sat":
            self._remember()
        self.session.pop()
        return verdict

    def extend(self) -> None:
        """One more action: exactly one is chosen, it is possible, and gives the next state."""
        world, number = self.world, len(self.states)
        before = self.states[-1]
        after, facts = world.symbolic(f"@{number}")
        chosen: dict[str, str] = {}
        environments: dict[str, Environment] = {}
        shared: dict[tuple[str, int], str] = {}
        for action in self.model.actions.values():
            selector, _ = world.constant(f"{action.name}@{number}", Scalar(BOOL))
            chosen[action.name] = selector
            environments[action.name] = self._parameters(action, number, shared, facts)
            effect = self._effect(action, before, after, environments[action.name])
            facts.append(world.any_of((world.negation(selector), effect)))
        facts.append(world.any_of(chosen.values()))
        for one, other in itertools.combinations(chosen.values(), 2):
            facts.append(world.any_of((world.negation(one), world.negation(other))))
        facts += self._unwritten(before, after, chosen)
        texts = [world.text(fact, BOOL) for fact in facts if fact is not True]
        self.session.add(world.take())
        self.session.require(texts)
        self.choices.append((chosen, environments))
        self.states.append(after)

    def _unwritten(self, before: Cells, after: Cells, chosen: dict[str, str]) -> Iterator[Term]:
        """A cell is as it was, or the action is one that writes its leaf."""
        world = self.world
        writers: dict[str, list[Term]] = {name: [] for name in self.model.leaves}
        for action in self.model.actions.values():
            for name in sorted(written_leaves(action)):
                writers[name].append(chosen[action.name])
        for cell, leaf in world.cells.items():
            same = world.equal(after.cell(*cell), before.cell(*cell), leaf.scalar.sort)
            yield world.any_of([*writers[leaf.name], same])

    def _parameters(
        self, action: Action, number: int, shared: dict[tuple[str, int], str], facts: list[Term]
    ) -> Environment:
        environment: Environment = {}
        used: dict[str, int] = {}
        for parameter in action.params:
            sort = parameter.sort
            name = sort.name + (".end" if sort.slack else "")
            place = used[name] = used.get(name, 0) + 1
            if (name, place) not in shared:
                shown = f"{name}.{place}@{number}"
                shared[name, place], ranges = self.world.constant(shown, Scalar(sort))
                facts += ranges
            environment[parameter.id] = shared[name, place]
        return environment

    def _effect(
        self, action: Action, before: State, after: Cells, environment: Environment
    ) -> Term:
        """It is possible, and what it writes is in the next state."""
        world, written = self.world, written_leaves(action)
        result = Next(world, action, before, environment)
        same = [
            world.equal(after.cell(*cell), result.cell(*cell), leaf.scalar.sort)
            for cell, leaf in world.cells.items()
            if leaf.name in written
        ]
        return world.all_of([world.possible(action, before, environment), *same])

    # ---- telling what was found ------------------------------------------------------------------

    def _remember(self) -> None:
        """Reads the actions and parameters off the solver's model."""
        self._found: list[tuple[Action, Environment]] = []
        for chosen, environments in self.choices:
            flags = self.session.values(list(chosen.values()))
            name = next(n for n, flag in zip(chosen, flags, strict=True) if flag)
            environment = environments[name]
            values = self.session.values([str(term) for term in environment.values()])
            known = dict(zip(environment, values, strict=True))
            self._found.append((self.model.actions[name], dict(known)))

    def counterexample(self, name: str, seconds: float) -> Counterexample:
        """The behaviour found, replayed without the solver."""
        state = self.states[0]
        initial = values_of(state)
        steps = []
        for action, environment in self._found:
            state = replayed(self.world, action, state, environment)
            parameters = {p.args[0]: int(environment[p.id]) for p in action.params}
            steps.append(Step(action=action.name, parameters=parameters, state=values_of(state)))
        if self.world.value(_target(self.model, name), state, {}) is not True:
            raise ReplayError(f"the behaviour found for {name} does not end as claimed")
        return Counterexample(name=name, initial=initial, steps=tuple(steps), seconds=seconds)
