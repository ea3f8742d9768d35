"""Ground instances: a model within bounds, without variables and without quantifiers.

nodes.py     expressions over the cells of a state, folded while they are made
lower.py     from the expressions of a specification to these
instance.py  cells, initial values, and actions with concrete parameters
"""

from spec.checkers.ground.instance import Cell, Ground, Step
from spec.checkers.ground.nodes import Node, Table, TooLarge, Value

__all__ = ["Cell", "Ground", "Node", "Step", "Table", "TooLarge", "Value"]
