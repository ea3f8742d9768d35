"""Seeded random walks: what a model does beyond the sizes that can be explored completely.

Each step draws an action by weight and then one of its possible steps. A swarm leaves out some
actions in each walk, so that the walks differ more (Groce et al., Swarm Testing, ISSTA 2012). A
violation comes with a short path: what of the walk is not needed is left out (Zeller's ddmin).
"""

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spec.checkers.step import Machine, State, Transition
from spec.checkers.step.recheck import is_affected
from spec.language.protocol import Action

Move = tuple[str, tuple[int, ...]]
"""An action and its parameters."""
KEPT_IN_SWARM = 0.7
"""How likely each action takes part in a walk of a swarm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A path from the initial state to a state where an invariant does not hold."""

    invariant: str
    path: tuple[Move, ...]
    found_after: int
    """The length of the path before it was shortened."""


@dataclass(slots=True, kw_only=True)
class Walked:
    """What some walks saw."""

    steps: int = 0
    walks: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    """Steps by action; actions that were never taken are there with 0."""
    witnessed: set[str] = field(default_factory=set)
    violations: dict[str, Violation] = field(default_factory=dict)
    """The first one of each invariant."""

    @property
    def never_taken(self) -> tuple[str, ...]:
        return tuple(action for action, count in self.taken.items() if not count)


def weights_of(machine: Machine) -> dict[str, float]:
    """How often each action is drawn, so that data-path actions dominate.

    An action that moves a number on by one is drawn as the square of how many values there are to
    move through: many offsets are to be written, few leader epochs to be begun. The others are in
    the middle, for nothing is known of them.
    """
    room = {
        action.name: min(_advanced(machine, action), default=0)
        for action in machine.model.actions.values()
    }
    known = [size for size in room.values() if size] or [1]
    middle = math.sqrt(min(known) * max(known))
    return {name: float(size or middle) ** 2 for name, size in room.items()}


def _advanced(machine: Machine, action: Action) -> Iterator[int]:
    """The sizes of the sorts of what the action moves on by one."""
    for write in action.writes:
        value = write.value
        if value.op == "add" and value.args[1].op == "const" and value.args[0].op == "get":
            yield len(machine.bounds.domain(machine.model.leaves[write.leaf].scalar.sort))


class Walker:
    """Random steps from a seed; the same seed gives the same steps."""

    def __init__(
        self, machine: Machine, seed: int, weights: Mapping[str, float] | None = None
    ) -> None:
        self.machine, self.random = machine, random.Random(seed)
        self.weights = dict(weights or weights_of(machine))

    def step(self, state: State, weights: Mapping[str, float]) -> Transition | None:
        """One step from a state by one of these actions; None if there is none."""
        left = list(weights)
        while left:
            (action,) = self.random.choices(left, [weights[name] for name in left])
            found: list[Transition] = []
            self.machine.moves[action](state, found.append)
            if found:
                return self.random.choice(found)
            left.remove(action)
        return None

    def _swarm(self) -> dict[str, float]:
        """Some of the actions, with weights of up to ten times more or less."""
        return {
            name: weight * 10 ** self.random.uniform(-1, 1)
            for name, weight in self.weights.items()
            if self.random.random() < KEPT_IN_SWARM
        }

    def walk(self, steps: int, *, swarm: bool = False) -> Iterator[tuple[State, Transition]]:
        """Steps from the initial state on, each with the state before it, until none is left."""
        weights = self._swarm() if swarm else self.weights
        state = self.machine.initial
        for _ in range(steps):
            # What the swarm left out is better than an early end.
            transition = self.step(state, weights) or self.step(state, self.weights)
            if transition is None:
                return
            yield state, transition
            state = transition[2]


def walk(
    machine: Machine,
    *,
    steps: int,
    seed: int,
    length: int = 1000,
    weights: Mapping[str, float] | None = None,
    swarm: bool = True,
    progress: Callable[[Walked], None] | None = None,
) -> Walked:
    """Walks of at most `length` steps until `steps` are done, checking every invariant.

    A walk ends where an invariant breaks. `progress` is called after each walk.
    """
    walker = Walker(machine, seed, weights)
    seen = Walked(taken=Counter(dict.fromkeys(machine.model.actions, 0)))
    for name in _broken(machine):
        seen.violations[name] = Violation(invariant=name, path=(), found_after=0)
    while seen.steps < steps and not _broken(machine):
        path: list[Move] = []
        for state, transition in walker.walk(min(length, steps - seen.steps), swarm=swarm):
            action, params, after = transition
            path.append((action, params))
            seen.taken[action] += 1
            _witness(machine, action, after, seen)
            broken = [n for n, ok in machine.rechecks[action] if not ok(state, after, *params)]
            for name in broken:
                if name not in seen.violations:
                    seen.violations[name] = shortened(machine, name, path)
            if broken:
                break
        seen.steps += len(path)
        seen.walks += 1
        if progress is not None:
            progress(seen)
        if not path:
            break
    return seen


def _broken(machine: Machine) -> list[str]:
    """Invariants that the initial state breaks."""
    return [n for n in machine.model.invariants if not machine.holds[n](machine.initial)]


def _witness(machine: Machine, action: str, state: State, seen: Walked) -> None:
    for name, item in machine.model.witnesses.items():
        if name in seen.witnessed or not is_affected(machine.model.actions[action], item.expr):
            continue
        if machine.holds[name](state):
            seen.witnessed.add(name)


# ---- shorter paths ------------------------------------------------------------------------------


def shortened(machine: Machine, invariant: str, path: Sequence[Move]) -> Violation:
    """A path of which no single step can be left out, and which still breaks the invariant."""
    kept = replayed(machine, invariant, path)
    if kept is None:
        raise ValueError(f"the path does not break {invariant}")
    chunk = max(1, len(kept) // 2)
    while True:
        at = 0
        while at < len(kept):
            fewer = replayed(machine, invariant, [*kept[:at], *kept[at + chunk :]])
            if fewer is not None and len(fewer) < len(kept):
                kept = fewer
            else:
                at += chunk
        if chunk == 1:
            break
        chunk = max(1, chunk // 2)
    return Violation(invariant=invariant, path=tuple(kept), found_after=len(path))


def replayed(machine: Machine, invariant: str, path: Sequence[Move]) -> list[Move] | None:
    """What of a path is possible, up to where the invariant breaks; None if it does not."""
    state, done = machine.initial, []
    rechecks = {
        action: recheck
        for action, checks in machine.rechecks.items()
        for name, recheck in checks
        if name == invariant
    }
    for action, params in path:
        after = machine.step[action](state, *params)
        if after is None:
            continue
        done.append((action, params))
        if action in rechecks and not rechecks[action](state, after, *params):
            return done
        state = after
    return None
