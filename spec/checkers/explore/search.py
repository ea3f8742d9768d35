"""The exploration itself: every reachable state, breadth first, level by level."""

import resource
import time
from collections.abc import Callable, Iterable

import numpy as np

from spec.checkers.bounds import Bounds
from spec.checkers.explore.packing import Cells, Packing
from spec.checkers.explore.path import shortest_path
from spec.checkers.explore.plan import Plan
from spec.checkers.explore.result import (
    Deadlocks,
    Exploration,
    Limits,
    Progress,
    Trace,
    Violation,
)
from spec.checkers.explore.successors import Block, Rows
from spec.checkers.explore.symmetry import Symmetry
from spec.checkers.explore.table import MemoryFull, Table
from spec.checkers.ground import Ground
from spec.language.model import Model

_BLOCK_MAX = 1 << 17
_BATCH = 1 << 18
"""Staged successors are inserted when there are so many of them, or at the end of a block."""
_KIBIBYTE = 1024
_KEPT_BYTES = 31 << 20


class _Stop(Exception):
    """The exploration ends before it is complete; the argument says why."""


def explore(
    model: Model,
    bounds: Bounds,
    *,
    invariants: Iterable[str] | None = None,
    symmetry: str = "",
    stop_at_violation: bool = False,
    limits: Limits | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Exploration:
    """Finds every reachable state of a model within bounds and checks invariants in all of them.

    `invariants` are names of invariants or conjuncts; None stands for all invariants. `symmetry`
    names an entity sort whose permutations are not told apart. `progress` is called for each block
    of states. Raises BoundsError, NoSymmetry, TooLarge, or KeyError for an unknown invariant.
    """
    started = time.process_time()
    _keep_freed_memory()
    explorer = Explorer(model, bounds, invariants, symmetry, limits or Limits())
    explorer.run(stop_at_violation, progress)
    return explorer.result(started)


def _keep_freed_memory() -> None:
    """Lets the arrays of one block reuse the memory of the last one's.

    The GNU allocator maps large arrays anew each time, until one has been freed: from then on it
    takes what is not larger from its heap, and gives that back only when twice as much is free.
    Otherwise the kernel would clear the same pages for each block, a fifth of all CPU time. The
    array is never touched, so it takes no memory; elsewhere this does nothing.
    """
    np.empty(_KEPT_BYTES, np.uint8)


class Explorer:
    """An exploration under way, or done; it keeps the states, so that paths can be asked for."""

    def __init__(
        self,
        model: Model,
        bounds: Bounds,
        invariants: Iterable[str] | None = None,
        symmetry: str = "",
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.ground = Ground(model, bounds)
        self.packing = Packing(self.ground)
        self._symmetry = Symmetry(self.packing, symmetry) if symmetry else None
        self._invariants = list(model.invariants if invariants is None else invariants)
        self._unseen = list(model.witnesses)
        self._plan = self._new_plan()
        self._block = min(_BLOCK_MAX, self.limits.memory_bytes // (8 * self._plan.nodes_alive + 64))
        block_bytes = self._plan.nodes_alive * self._block
        self.table = Table(self.packing.words, self.limits.memory_bytes - block_bytes)
        self.levels = [(0, 1)]
        self.generated = 1
        self.reason = "not run"
        self.bad: dict[str, list[int]] = {}
        """For each violated invariant: [states, first level, a state there]."""
        self.reached: dict[str, int | None] = dict.fromkeys(self._unseen)
        self.stuck = [0, 0, 0]
        """States without successors, the level and the number of the first."""
        steps = len(self.ground.steps)
        self._by_step = np.zeros(steps, np.int64)
        self._fresh = np.zeros(steps, np.int64)
        self._staged: list[tuple[int, int]] = []

    def _new_plan(self) -> Plan:
        names = [*self._invariants, *self._unseen]
        return Plan(self.packing, self.ground.properties(names))

    # ---- levels and blocks ----------------------------------------------------------------------

    def run(
        self, stop_at_violation: bool = False, progress: Callable[[Progress], None] | None = None
    ) -> None:
        """Explores until there is nothing new, or a limit is reached."""
        started = time.monotonic()
        try:
            first = self.table.stage(1)
            for column, word in zip(first, self.packing.pack(self.ground.initial), strict=True):
                column[0] = word
            self._commit()
            while self.levels[-1][0] < self.levels[-1][1]:
                first_number, end = self.levels[-1]
                for start in range(first_number, end, self._block):
                    block_end = min(end, start + self._block)
                    self._expand(start, block_end)
                    elapsed = time.monotonic() - started
                    if progress is not None:
                        progress(self._progress(block_end, elapsed))
                    self._check_limits(elapsed, stop_at_violation)
                self.levels.append((end, self.table.count))
            self.reason = ""
        except MemoryFull:
            self.table.discard()
            self.reason = f"the memory limit of {self.limits.memory_bytes >> 20} MiB was reached"
        except _Stop as stop:
            self.reason = str(stop)
        if self.table.count > self.levels[-1][1]:
            self.levels.append((self.levels[-1][1], self.table.count))
        if self.levels[-1][0] == self.levels[-1][1]:
            self.levels.pop()

    def _expand(self, start: int, end: int) -> None:
        """Successors and properties of the states with these numbers."""
        block = Block(self.packing, self.table.rows(start, end))
        for step, rows, _ in block.successors(self._plan, self.table):
            self._by_step[step] += len(rows)
            self._staged.append((step, len(rows)))
            if self.table.staged >= _BATCH:
                self._commit()
        self._commit()
        for name in self._invariants:
            self._note_violations(name, start, block.violating(self._plan.properties[name]))
        reached = [name for name in self._unseen if self._is_reached(name, block)]
        if reached:
            self.reached.update(dict.fromkeys(reached, len(self.levels)))
            self._unseen = [name for name in self._unseen if name not in reached]
            self._plan = self._new_plan()
        stuck = end - start - int(np.count_nonzero(block.has_successor))
        if stuck:
            if not self.stuck[0]:
                self.stuck[1:] = len(self.levels), start + int(np.argmin(block.has_successor))
            self.stuck[0] += stuck

    def _commit(self) -> None:
        if self._symmetry is not None:
            self._symmetry.canonical(self.table.pending())
        new = self.table.commit()
        position = 0
        for step, count in self._staged:
            low, high = np.searchsorted(new, (position, position + count))
            self._fresh[step] += high - low
            position += count
        self.generated += position
        self._staged.clear()

    def _note_violations(self, name: str, start: int, rows: Rows) -> None:
        if len(rows):
            found = self.bad.setdefault(name, [0, len(self.levels), start + int(rows[0])])
            found[0] += len(rows)

    def _is_reached(self, name: str, block: Block) -> bool:
        return len(block.violating(self._plan.properties[name])) < block.size

    def _check_limits(self, elapsed: float, stop_at_violation: bool) -> None:
        limits = self.limits
        if stop_at_violation and self.bad:
            raise _Stop("stopped at the first violation")
        if limits.states is not None and self.table.count > limits.states:
            raise _Stop(f"the limit of {limits.states} states was reached")
        if limits.time_s is not None and elapsed > limits.time_s:
            raise _Stop(f"the time limit of {limits.time_s:g} s was reached")

    def _progress(self, expanded: int, elapsed: float) -> Progress:
        return Progress(
            level=len(self.levels),
            distinct=self.table.count,
            generated=self.generated,
            waiting=self.table.count - expanded,
            elapsed_s=elapsed,
        )

    # ---- what was found -------------------------------------------------------------------------

    def path(self, state: int) -> Trace:
        """A shortest path to the state with this number."""
        return shortest_path(self.packing, self.table, self.levels, self._symmetry, state)

    def state(self, number: int) -> Cells:
        """The cells of the state with this number, in the order of discovery."""
        return self.packing.unpack(self.table.row(number))

    def result(self, started: float = 0.0) -> Exploration:
        """All of it; `started` is the process time that CPU seconds are counted from."""
        violations = {
            name: Violation(count=count, first_level=level, trace=self.path(state))
            for name, (count, level, state) in self.bad.items()
        }
        stuck, level, state = self.stuck
        deadlocks = Deadlocks(
            count=stuck,
            first_level=level if stuck else None,
            first=self.state(state) if stuck else None,
        )
        return Exploration(
            distinct=self.table.count,
            generated=self.generated,
            levels=tuple(end - first for first, end in self.levels),
            complete=not self.reason,
            reason=self.reason,
            violations=violations,
            actions=self._by_action(self._by_step),
            fresh=self._by_action(self._fresh),
            witnesses=self.reached,
            deadlocks=deadlocks,
            cpu_s=time.process_time() - started,
            peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIBIBYTE,
            bits=self.packing.bits,
            words=self.packing.words,
        )

    def _by_action(self, counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, int]:
        found = dict.fromkeys(self.ground.model.actions, 0)
        for step, count in zip(self.ground.steps, counts, strict=True):
            found[step.action] += int(count)
        return found
