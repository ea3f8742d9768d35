"""Two promises about finite instances, decided for every state that the types allow.

`overflows`: no action stores a value, or stores at an index, that is outside its type. So packed
states never overflow; the guards that the bounds add see to it.

`stray_reads`: what is read outside a map (an offset past the end, the entry of NONE) makes no
difference. All finite checkers agree on what such a read gives, and a proof for any size says
nothing of it; a specification in which it mattered would mean different things to different
checkers.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from spec.checkers.bounded.states import StateValues
from spec.checkers.bounds import Bounds
from spec.checkers.smt.finite import Cells, Finite
from spec.checkers.smt.solver import FINITE_DOMAINS, Session
from spec.checkers.smt.terms import Environment, Term
from spec.language.expression import Expr
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Scalar, Sort
from spec.language.views import Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A state, and an action that breaks a promise there."""

    action: str
    what: str
    """The leaf that is written, or the line of the condition."""
    state: StateValues
    parameters: dict[str, int]


def overflows(model: Model, bounds: Bounds) -> list[Fault]:
    """A state for each write that could leave its type; empty if packing is safe."""
    checks = (_Check(model, bounds, action) for action in model.actions.values())
    return [fault for check in checks for fault in check.overflows()]


def stray_reads(model: Model, bounds: Bounds) -> list[Fault]:
    """A state for each condition and write that depends on a read outside a map."""
    checks = (_Check(model, bounds, action) for action in model.actions.values())
    return [fault for check in checks for fault in check.strays()]


class _Straying(Finite):
    """A finite instance in which reads outside a map may give anything, while `anything` is set."""

    anything = False
    _strays = 0

    def chosen(
        self,
        sorts: Sequence[Sort],
        result: Sort,
        indices: tuple[Term, ...],
        entry: Callable[[tuple[int, ...]], Term],
    ) -> Term:
        usual = super().chosen(sorts, result, indices, entry)
        if not self.anything:
            return usual
        inside = self.all_of(
            fact
            for index, sort in zip(indices, sorts, strict=True)
            for fact in self.in_range(index, Scalar(sort))
        )
        if inside is True:
            return usual
        self._strays += 1
        stray, _ = self.constant(f"stray.{self._strays}", Scalar(result))
        return self.choose(inside, usual, stray, result)

    def applied(self, e: Expr, arguments: tuple[Term, ...]) -> Term:
        return self._looked_up(e.args[0], arguments)


class _Check:
    """One action from any state that the types allow."""

    def __init__(self, model: Model, bounds: Bounds, action: Action) -> None:
        self.model, self.action = model, action
        self.world = _Straying(model, bounds)
        self.state, ranges = self.world.symbolic()
        self.environment, limits = self.world.parameters(action)
        self.session = Session(FINITE_DOMAINS)
        self._given = [*ranges, *limits]

    def overflows(self) -> Iterator[Fault]:
        """Writes that leave their type where the action is possible."""
        world = self.world
        possible = world.possible(self.action, self.state, self.environment)
        for write in self.action.writes:
            leaf = self.model.leaves[write.leaf]
            fits = [
                self._fits(write, part, scalar)
                for part, scalar in zip(
                    (write.value, *write.idx),
                    (leaf.scalar, *map(Scalar, leaf.dims)),
                    strict=True,
                )
            ]
            yield from self._faults(write.leaf, [possible, world.negation(world.all_of(fits))])

    def _fits(self, write: Write, part: Expr, scalar: Scalar) -> Term:
        """Whether a part of a write is in its range, wherever the write is made."""
        world = self.world

        def at(environment: Environment) -> Term:
            made = world.value(write.cond, self.state, environment)
            value = world.value(part, self.state, environment)
            facts = world.in_range(value, scalar)
            return world.any_of([world.negation(made), world.all_of(facts)])

        return world.quantified("forall", write.wild, at, self.environment)

    def strays(self) -> Iterator[Fault]:
        """Conditions and writes that depend on what lies outside a map."""
        world, state = self.world, self.state
        wild = Cells(world, state.table)
        possible = world.possible(self.action, state, self.environment)
        guards = world.guards[self.action.name]
        values = [
            (where, world.value(guard, state, self.environment), self._anything(guard, wild))
            for guard, where in guards
        ]
        for number, (where, usual, other) in enumerate(values):
            # Conditions are a conjunction: it does not matter where another one fails anyway.
            rest = [world.any_of(pair[1:]) for k, pair in enumerate(values) if k != number]
            differs = world.negation(world.equal(usual, other, BOOL))
            yield from self._faults(where, [*rest, differs])
        for write in self.action.writes:
            differs = world.quantified(
                "exists",
                write.wild,
                partial(self._write_differs, write, wild),
                self.environment,
            )
            yield from self._faults(write.leaf, [possible, differs])

    def _write_differs(self, write: Write, wild: Cells, environment: Environment) -> Term:
        world = self.world
        made = world.value(write.cond, self.state, environment)
        parts = [
            self._differs(part, wild, world.value(part, self.state, environment), environment)
            for part in (write.value, *write.idx)
        ]
        return world.any_of(
            [
                self._differs(write.cond, wild, made, environment),
                world.all_of([made, world.any_of(parts)]),
            ]
        )

    def _differs(self, e: Expr, wild: Cells, usual: Term, environment: Environment) -> Term:
        other = self._anything(e, wild, environment)
        return self.world.negation(self.world.equal(usual, other, e.sort))

    def _anything(self, e: Expr, wild: Cells, environment: Environment | None = None) -> Term:
        """The value where reads outside maps give anything."""
        self.world.anything = True
        value = self.world.value(e, wild, environment or self.environment)
        self.world.anything = False
        return value

    def _faults(self, what: str, terms: Sequence[Term]) -> Iterator[Fault]:
        """A state in which all the terms hold, if there is one."""
        world, session = self.world, self.session
        term = world.all_of(terms)
        if term is False:
            return
        given = [world.text(each, BOOL) for each in self._given if each is not True]
        session.add(world.take())
        session.require(given)
        self._given = []
        session.push()
        session.require([world.text(term, BOOL)])
        if session.check() != "unsat":
            cells = list(world.cells)
            values = session.values([str(self.state.cell(*cell)) for cell in cells])
            known = session.values([str(term) for term in self.environment.values()])
            names = [parameter.args[0] for parameter in self.action.params]
            yield Fault(
                action=self.action.name,
                what=what,
                state=dict(zip(cells, values, strict=True)),
                parameters=dict(zip(names, known, strict=True)),
            )
        session.pop()
