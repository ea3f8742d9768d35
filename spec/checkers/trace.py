"""Traces: whether a run of an implementation is a run of the model, step by step.

An implementation is observed in part. The model's state, hidden variables included, is carried
forward by the actions that the implementation is said to have taken; it is never made up from what
was observed. Each step is allowed, refused by a rule of the text, or beyond the bounds.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spec.checkers.bounds import Bounds
from spec.checkers.step import (
    Allowed,
    Answer,
    Machine,
    OutsideDomain,
    Refused,
    State,
    Transition,
    explanation,
)
from spec.checkers.step.machine import Observation
from spec.language.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of an implementation; the first of a trace has no action."""

    action: str = ""
    """What it is said to be; "" if that is to be found out."""
    params: tuple[int, ...] = ()
    observed: Observation | None = None
    """What was seen after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A trace up to its end, or to the first step that is not allowed."""

    steps: int
    """Steps that the model allows, the initial state not counted."""
    failure: Answer | None
    """What was said of the step after them."""
    broken: tuple[tuple[int, str], ...]
    """Invariants that a step broke, with its number; the first step is 1, the initial state 0."""


class Validator:
    """Takes the steps of one implementation, one after the other.

    `state` is the model's state so far, `taken` counts steps by action. With `invariants`, those
    that a step can affect are checked after it.
    """

    def __init__(self, model: Model, bounds: Bounds, *, invariants: bool = True) -> None:
        self.machine = Machine(model, bounds)
        self._arity = {name: len(action.params) for name, action in model.actions.items()}
        self._rechecks = (
            self.machine.rechecks if invariants else {name: [] for name in model.actions}
        )
        self.begin()

    def begin(self, state: State | None = None) -> None:
        """Starts again, from the initial state or from another one."""
        self.state = self.machine.initial if state is None else state
        self.taken: Counter[str] = Counter()
        holds = self.machine.holds
        self.broken = {n for n in self.machine.model.invariants if not holds[n](self.state)}

    def take(
        self, action: str, params: Sequence[int] = (), observed: Observation | None = None
    ) -> Answer:
        """What the model says of the next step; it is taken if it is allowed.

        Raises OutsideDomain for actions, parameters and observed variables that do not exist.
        """
        if self._arity.get(action) != len(params):
            raise OutsideDomain(
                f"{action}{tuple(params)} is no action of {self.machine.model.name}"
            )
        after = self.machine.step[action](self.state, *params)
        if after is None or (observed is not None and not self._agrees(after, observed)):
            return self.machine.explain(self.state, action, params, observed)
        broken = self._recheck(action, params, after)
        self.state = after
        self.taken[action] += 1
        return Allowed(state=after, broken=broken)

    def _agrees(self, after: State, observed: Observation) -> bool:
        if isinstance(observed, tuple):
            return after == observed
        return next(self.machine.differences(after, observed), None) is None

    def _recheck(self, action: str, params: Sequence[int], after: State) -> tuple[str, ...]:
        """The invariants that the step broke. One that was broken before is looked at as a whole,
        for what a step does not affect says nothing about it."""
        state, broken = self.state, []
        for name, recheck in self._rechecks[action]:
            if name in self.broken:
                if self.machine.holds[name](after):
                    self.broken.discard(name)
            elif not recheck(state, after, *params):
                self.broken.add(name)
                broken.append(name)
        return tuple(broken)

    def name_step(self, observed: Observation) -> list[Transition]:
        """Every step from the present state that leads to what was observed."""
        return name_action(self.machine, self.state, observed)


def name_action(machine: Machine, state: State, observed: Observation) -> list[Transition]:
    """Which actions, with which parameters, lead from a state to what was observed."""
    return [
        transition
        for transition in machine.successors(state)
        if next(machine.differences(transition[2], observed), None) is None
    ]


def check(validator: Validator, trace: Iterable[Step]) -> Checked:
    """Takes all steps of a trace. The first is no step: it says what the initial state looks like.

    A step without a name is any that leads to what was observed, if all such lead to one state.
    Raises OutsideDomain as `Validator.take`, and where a step can be named in several ways.
    """
    validator.begin()
    broken = [(0, name) for name in sorted(validator.broken)]
    steps = iter(trace)
    first = next(steps, Step())
    wrong = _initial_difference(validator, first)
    if wrong is not None:
        return Checked(steps=0, failure=wrong, broken=tuple(broken))
    number = 0
    for number, step in enumerate(steps, 1):
        answer: Answer
        if step.action:
            answer = validator.take(step.action, step.params, step.observed)
        else:
            answer = _found_out(validator, step.observed or {})
        if not isinstance(answer, Allowed):
            return Checked(steps=number - 1, failure=answer, broken=tuple(broken))
        broken += [(number, name) for name in answer.broken]
    return Checked(steps=number, failure=None, broken=tuple(broken))


def _initial_difference(validator: Validator, first: Step) -> Refused | None:
    machine = validator.machine
    for difference in machine.differences(validator.state, first.observed or {}):
        rule, where = "the initial value", machine.model.name
        return explanation.refusal(machine, difference, "the initial state", rule, where)
    return None


def _found_out(validator: Validator, observed: Observation) -> Answer:
    """Takes the step that leads to what was observed."""
    found = validator.name_step(observed)
    if not found:
        rule, where = "some action leads to what was observed", validator.machine.model.name
        return Refused(step="the step", reason="no action leads to it", rule=rule, where=where)
    action, params, after = found[0]
    if any(state != after for _, _, state in found):
        machine = validator.machine
        names = ", ".join(explanation.step_text(machine, a, p) for a, p, _ in found[:5])
        raise OutsideDomain(f"the step must be named: it may be {names}")
    return validator.take(action, params)
