"""Known states: plain integers, and the model's own steps between them, without a solver."""

from collections.abc import Mapping

from spec.checkers.smt.finite import Cell, Cells, Finite, Next
from spec.checkers.smt.terms import Environment
from spec.language.protocol import Action

StateValues = Mapping[Cell, int]
"""What each (leaf, indices) holds; NONE is -1, truth values are 0 and 1."""


class ReplayError(AssertionError):
    """The solver's behaviour is not one of the model: an encoding is wrong."""


def values_of(state: Cells) -> dict[Cell, int]:
    """A known state as plain integers."""
    return {cell: int(state.cell(*cell)) for cell in state.world.cells}


def replayed(world: Finite, action: Action, state: Cells, environment: Environment) -> Cells:
    """The next state, evaluated on known values; raises ReplayError if the action is impossible."""
    for guard, where in world.guards[action.name]:
        if world.value(guard, state, environment) is not True:
            raise ReplayError(f"{action.name} is not possible there: {where}")
    result = Next(world, action, state, environment)
    return Cells(world, {cell: result.cell(*cell) for cell in world.cells})
