"""A counterexample to induction as text: the state before, the action, and the state after."""

from spec.checkers.bounded.inductive import Breach
from spec.checkers.bounded.states import StateValues
from spec.checkers.bounds import Bounds
from spec.checkers.explore.result import Moment, Trace
from spec.checkers.explore.story import CHANGED, tell
from spec.checkers.ground import Cell
from spec.checkers.smt.finite import Finite
from spec.language.model import Model
from spec.language.sorts import BOOL

BEFORE = "some state in which all conjuncts hold"


def told(model: Model, bounds: Bounds, breach: Breach) -> str:
    """What a breach looks like, as a path of one step; of maps what differs from the beginning.

    The state before need not be reachable: then a conjunct that excludes it is missing.
    """
    world = Finite(model, bounds)
    layout = tuple(
        Cell(
            leaf=leaf,
            index=indices,
            low=bounds.range_of(leaf.scalar)[0],
            high=bounds.range_of(leaf.scalar)[1],
            is_bool=leaf.scalar.sort is BOOL,
        )
        for (_, indices), leaf in world.cells.items()
    )

    def moment(state: StateValues, action: str = "") -> Moment:
        cells = tuple(state[cell] for cell in world.cells)
        return Moment(action=action, params=breach.parameters if action else {}, cells=cells)

    initial = world.initial_state()
    moments = [
        moment({cell: int(initial.cell(*cell)) for cell in world.cells}),
        moment(breach.before),
    ]
    if breach.obligation.action in model.actions:
        moments.append(moment(breach.after, breach.obligation.action))
    text = tell(Trace(model=model, bounds=bounds, layout=layout, moments=tuple(moments)))
    # The initial state is there only for what it tells apart: it is no part of the breach.
    _, _, rest = text.partition("\n  2. ")
    before, step, after = rest.partition("\n  3. ")
    lines = ["  1. " + BEFORE, *before.replace(CHANGED, "").split("\n")[1:]]
    if step:
        lines.append("  2. " + after)
    return "\n".join([f"{breach.obligation} does not hold:", *lines])
