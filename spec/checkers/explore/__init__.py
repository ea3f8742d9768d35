"""Exploration: every reachable state of a model within bounds, in NumPy, breadth first.

packing.py     states as machine words         evaluation.py  expressions on many states at once
plan.py        what to compute in which order  successors.py  all successors of a block
table.py       the set of states, exact        symmetry.py    states up to a permutation
search.py      the exploration itself          path.py        shortest paths to states
result.py      what was found                  story.py       a path as readable steps, as JSON
"""

from spec.checkers.explore.result import (
    Deadlocks,
    Exploration,
    Limits,
    Moment,
    Progress,
    Trace,
    Violation,
)
from spec.checkers.explore.search import Explorer, explore
from spec.checkers.explore.symmetry import NoSymmetry

__all__ = [
    "Deadlocks",
    "Exploration",
    "Explorer",
    "Limits",
    "Moment",
    "NoSymmetry",
    "Progress",
    "Trace",
    "Violation",
    "explore",
]
