"""One state at a time: a model as generated Python, to replay, validate and walk.

A state is a tuple with one entry per leaf variable: an integer, a truth value, or nested tuples of
them. Brokers are 0, 1, 2, ..., NONE is -1. Nothing is unrolled over offsets, so logs may be long.
"""

from spec.checkers.step.answers import Allowed, Answer, Outgrown, OutsideDomain, Refused, State
from spec.checkers.step.machine import Machine, Transition

__all__ = [
    "Allowed",
    "Answer",
    "Machine",
    "Outgrown",
    "OutsideDomain",
    "Refused",
    "State",
    "Transition",
]
