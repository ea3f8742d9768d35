"""Small instances, decided by a solver for finite domains.

search.py     the shortest counterexample from the initial state
inductive.py  counterexamples to induction, and which hypotheses an obligation needs
ranges.py     values stay in their types, and reads outside maps do not matter
story.py      a counterexample to induction as text
states.py     known states, stepped through without the solver
"""

from spec.checkers.bounded.inductive import Breach, Decision, Inductive, induction
from spec.checkers.bounded.ranges import Fault, overflows, stray_reads
from spec.checkers.bounded.search import Counterexample, NoneFound, OutOfTime, Step, search
from spec.checkers.bounded.states import ReplayError, StateValues
from spec.checkers.bounded.story import told

__all__ = [
    "Breach",
    "Counterexample",
    "Decision",
    "Fault",
    "Inductive",
    "NoneFound",
    "OutOfTime",
    "ReplayError",
    "StateValues",
    "Step",
    "induction",
    "overflows",
    "search",
    "stray_reads",
    "told",
]
