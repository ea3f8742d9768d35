"""What an exploration found."""

from collections.abc import Mapping
from dataclasses import dataclass

from spec.checkers.bounds import Bounds
from spec.checkers.explore.packing import Cells
from spec.checkers.ground import Cell
from spec.language.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A state on a path, and the action that led to it; the first one has none."""

    action: str
    params: Mapping[str, int]
    cells: Cells


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A path from the initial state; no shorter one leads to its last state."""

    model: Model
    bounds: Bounds
    layout: tuple[Cell, ...]
    """What each of a state's cells is."""
    moments: tuple[Moment, ...]

    @property
    def length(self) -> int:
        """How many states it has, the initial one included."""
        return len(self.moments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold in some states.

    count        violating states among those that were looked at
    first_level  length in states of a shortest counterexample; the initial state is level 1
    trace        one of the shortest counterexamples
    """

    count: int
    first_level: int
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlocks:
    """States in which no action is possible; bounds make many of them, and none is a mistake."""

    count: int
    first_level: int | None
    first: Cells | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """The reachable states of a model within bounds.

    distinct    how many there are; up to a permutation, where symmetry was used
    generated   the initial state and every successor of every state, repeated or not
    levels      distinct states by the length of the shortest path to them; the first is [1]
    complete    whether all reachable states were found and looked at; else `reason` says why not
    actions     successors that each action generated; `fresh`: those that were new when generated
    witnesses   the level at which each was first reached, or None
    bits, words the size of a packed state
    """

    distinct: int
    generated: int
    levels: tuple[int, ...]
    complete: bool
    reason: str
    violations: Mapping[str, Violation]
    actions: Mapping[str, int]
    fresh: Mapping[str, int]
    witnesses: Mapping[str, int | None]
    deadlocks: Deadlocks
    cpu_s: float
    peak_rss_bytes: int
    bits: int
    words: int

    @property
    def depth(self) -> int:
        """The number of levels."""
        return len(self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to give up. What has been found until then is reported as incomplete.

    memory_bytes  for the states, their index and the arrays of a block; not for Python itself
    """

    memory_bytes: int = 2 << 30
    states: int | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an exploration is: the level that is being expanded, and what there is so far."""

    level: int
    distinct: int
    generated: int
    waiting: int
    """States that have not been expanded yet."""
    elapsed_s: float
