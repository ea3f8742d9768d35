"""The machine of a model: its initial state and its steps, as generated Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from spec.checkers.bounds import Bounds
from spec.checkers.step import explanation
from spec.checkers.step.actions import moves_source, property_source, step_source, value_source
from spec.checkers.step.answers import Allowed, Answer, OutsideDomain, State
from spec.checkers.step.recheck import is_affected, recheck_source
from spec.checkers.step.source import Instance
from spec.language.errors import SpecError
from spec.language.expression import Expr, fresh, lift
from spec.language.model import Model
from spec.language.sorts import NONE
from spec.language.views import Leaf

Params = tuple[int, ...]
Transition = tuple[str, Params, State]
"""An action, its parameters and the state after it."""
Observation = Mapping[Any, Any] | State
"""A whole state; or values by leaf name; or of single cells, by (leaf name, index, ...)."""


class Machine:
    """A model with bounds, one state at a time.

    step[action](state, *params)   the next state; None if refused or beyond the bounds
    holds[property](state)         whether an invariant, conjunct or witness holds
    initial                        the initial state

    Raises BoundsError for bounds that do not fit the model. Steps raise OutsideDomain for
    parameters that their sorts do not have.
    """

    def __init__(self, model: Model, bounds: Bounds) -> None:
        self.instance = Instance(model, bounds)
        self.model, self.bounds = model, bounds
        self.slot = self.instance.slot
        self.properties = {**model.invariants, **model.conjuncts, **model.witnesses}
        self._names: dict[str, Any] = {"OutsideDomain": OutsideDomain, "outside": self._outside}
        self.step: dict[str, Callable[..., State | None]] = {
            name: self.compiled(step_source(self.instance, action))
            for name, action in model.actions.items()
        }
        self.holds: dict[str, Callable[[State], bool]] = {
            name: self.compiled(property_source(self.instance, f"holds_{name}", item.expr))
            for name, item in self.properties.items()
        }
        self.initial: State = tuple(self._initial(leaf) for leaf in model.leaves.values())

    def compiled(self, source: str) -> Any:
        """The function that a text defines. Generated texts see each other's tables."""
        self._names.update(self.instance.tables)
        name = source[len("def ") : source.index("(")]
        try:
            exec(compile(source, f"<{self.model.name}.{name}>", "exec"), self._names)
        except (SyntaxError, RecursionError, MemoryError) as error:
            raise SpecError(f"{name} is more than Python can compile: {error}") from error
        return self._names[name]

    @cached_property
    def moves(self) -> dict[str, Callable[[State, Callable[[Transition], object]], None]]:
        """moves[action](state, out): out(transition) for every step by this action."""
        return {
            name: self.compiled(moves_source(self.instance, action))
            for name, action in self.model.actions.items()
        }

    @cached_property
    def rechecks(self) -> dict[str, list[tuple[str, Callable[..., bool]]]]:
        """By action: the invariants that it can break, each with recheck(state, next, *params)."""
        return {
            action.name: [
                (
                    name,
                    self.compiled(
                        recheck_source(
                            self.instance, action, f"recheck_{action.name}_{name}", item.expr
                        )
                    ),
                )
                for name, item in self.model.invariants.items()
                if is_affected(action, item.expr)
            ]
            for action in self.model.actions.values()
        }

    # ---- steps ----------------------------------------------------------------------------------

    def successors(self, state: State) -> list[Transition]:
        """Every step from a state, in the order of the actions."""
        found: list[Transition] = []
        for moves in self.moves.values():
            moves(state, found.append)
        return found

    def is_allowed(self, state: State, action: str, params: Sequence[int], after: State) -> bool:
        """Whether the action leads from one whole state to the other. Raises OutsideDomain."""
        return self.step[action](state, *params) == after

    def names_of(self, state: State, after: State) -> list[tuple[str, Params]]:
        """Every action, with parameters, that leads from one whole state to the other."""
        return [(action, params) for action, params, t in self.successors(state) if t == after]

    def explain(
        self, state: State, action: str, params: Sequence[int], observed: Observation | None = None
    ) -> Answer:
        """What the model says of a step, and why; slower than `step`.

        Raises OutsideDomain for parameters, and KeyError for an action, that do not exist.
        """
        params = tuple(params)
        after = self.step[action](state, *params)
        if after is None:
            return explanation.of_refusal(self, state, action, params)
        if observed is not None:
            for difference in self.differences(after, observed):
                return explanation.of_difference(self, action, params, difference)
        return Allowed(state=after)

    def differences(self, state: State, observed: Observation) -> Iterator[explanation.Difference]:
        """Where an observation differs from a state. Raises OutsideDomain."""
        if isinstance(observed, tuple):
            if len(observed) != len(self.slot):
                raise OutsideDomain(f"a state has {len(self.slot)} variables, not {len(observed)}")
            observed = dict(zip(self.slot, observed, strict=True))
        for key, seen in observed.items():
            leaf, *index = key if isinstance(key, tuple) else (key,)
            expected = self.value(state, leaf, *index)
            if expected != seen:
                yield from explanation.where_they_differ(self, leaf, index, expected, seen)

    # ---- values ---------------------------------------------------------------------------------

    def value(self, state: State, leaf: str, *index: int) -> Any:
        """What a leaf, or a part of it, holds in a state. Raises OutsideDomain."""
        if leaf not in self.slot:
            raise OutsideDomain(f"{self.model.name} has no variable {leaf}")
        found, dims = state[self.slot[leaf]], self.model.leaves[leaf].dims
        if len(index) > len(dims):
            raise OutsideDomain(f"{leaf} has {len(dims)} indices, not {len(index)}")
        for at, sort in zip(index, dims, strict=False):
            domain = self.bounds.domain(sort)
            if at not in domain:
                raise OutsideDomain(f"{leaf}: {at} is no {sort} ({_span(domain)})")
            found = found[at - int(domain[0])]
        return found

    def evaluate(self, e: Expr, state: State, values: Mapping[Expr, int] | None = None) -> Any:
        """The value of an expression in a state, at values of its free variables."""
        values = values or {}
        return self.function(e, list(values))(state, *values.values())

    def function(self, e: Expr, variables: Sequence[Expr]) -> Callable[..., Any]:
        """f(state, *values): the value of an expression, at values of these variables."""
        value: Callable[..., Any] = self.compiled(
            value_source(self.instance, "value", variables, e)
        )
        return value

    def _initial(self, leaf: Leaf) -> Any:
        """What a leaf holds in the beginning; equal rows are one object."""
        domains = [self.bounds.domain(sort) for sort in leaf.dims]
        if callable(leaf.init):
            variables = [fresh("i", sort) for sort in leaf.dims]
            first = self.function(lift(leaf.init(*variables), leaf.scalar.sort), variables)

            def part(index: tuple[int, ...]) -> Any:
                if len(index) == len(domains):
                    return self.bounds.first_value(leaf, index, first((), *index))
                return tuple(part((*index, int(value))) for value in domains[len(index)])

            return part(())
        cell: Any = leaf.init
        if cell is NONE:
            cell = -1
        elif isinstance(cell, Expr):
            cell = self.evaluate(cell, ())
        cell = self.bounds.first_value(leaf, (), cell)
        for domain in reversed(domains):
            cell = (cell,) * len(domain)
        return cell

    def _outside(self, action: str, params: Params) -> str:
        wrong = []
        for param, value in zip(self.model.actions[action].params, params, strict=True):
            domain = self.bounds.domain(param.sort)
            if value not in domain:
                wrong.append(f"{param.args[0]} = {value} is no {param.sort} ({_span(domain)})")
        return f"{action}: {', '.join(wrong)}"


def _span(domain: range | tuple[bool, bool]) -> str:
    return f"{int(domain[0])} to {int(domain[-1])}"
