"""Random expressions on random states: packed, lowered and evaluated in NumPy, and plainly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spec.checkers.bounds import Bounds, span
from spec.checkers.explore.evaluation import cell_values, evaluate, in_order
from spec.checkers.explore.packing import Packing
from spec.checkers.ground import Ground, Node
from spec.checkers.ground.lower import Lowering
from spec.language import Expr, const, exists, first_where, for_all, ite, not_, trace
from spec.language.views import Pre
from tests.explore_zoo import Broker, Numbers, Offset
from tests.plain_explorer import PlainExplorer

COUNTS = {"Broker": 3, "Offset": 3, "Level": 2}
MODEL, BOUNDS = trace(Numbers), Bounds(**COUNTS)
GROUND = Ground(MODEL, BOUNDS)
PACKING = Packing(GROUND)
PLAIN = PlainExplorer(MODEL, COUNTS)
NOW = Numbers(Pre(MODEL.leaves))
FIRST = const(0, Broker)
Cells = list[int | bool]

BROKERS = st.integers(0, COUNTS["Broker"] - 1).map(lambda i: const(i, Broker))
NUMBERS = st.recursive(
    st.one_of(
        st.integers(0, COUNTS["Offset"]).map(lambda i: const(i, Offset)),
        BROKERS.map(lambda b: NOW.log[b].end_offset),
        BROKERS.map(lambda b: NOW.high[b]),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
        st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
        st.tuples(inner, inner, inner).map(lambda p: ite(p[0] <= p[1], p[1], p[2])),
        st.tuples(inner, inner, inner).map(
            lambda p: ite(p[0] == p[1], ite(p[0] == p[2], p[1] + 1, p[2]), p[0])
        ),
        st.tuples(BROKERS, inner).map(lambda p: first_where(p[1], lambda o: NOW.log[p[0]][o].mark)),
    ),
    max_leaves=5,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.tuples(NUMBERS, NUMBERS).map(lambda p: p[0] < p[1]),
        st.tuples(NUMBERS, NUMBERS).map(lambda p: p[0] == p[1]),
        # Reads at any number at all: outside the log they give its last cell.
        st.tuples(BROKERS, NUMBERS).map(lambda p: NOW.log[p[0]][p[1]].mark),
        st.tuples(BROKERS, NUMBERS).map(lambda p: NOW.log[p[0]][p[1]].level == NOW.level),
        st.tuples(BROKERS, BROKERS).map(lambda p: NOW.seen[p[0]].has(p[1])),
        NUMBERS.map(lambda n: exists(Broker, lambda b: NOW.high[b] == n)),
        NUMBERS.map(lambda n: for_all(Offset.below(n), lambda o: NOW.log[FIRST][o].mark)),
    ),
    lambda inner: st.one_of(
        inner.map(not_),
        st.tuples(inner, inner).map(lambda p: p[0] == p[1]),
        st.tuples(inner, inner, inner).map(lambda p: ite(*p)),
    ),
    max_leaves=5,
)
STATES = st.tuples(
    *(
        st.just(GROUND.fixed[number])
        if number in GROUND.fixed
        else st.booleans()
        if cell.is_bool
        else st.integers(cell.low, cell.high)
        for number, cell in enumerate(GROUND.cells)
    )
).map(list)
"""Any values of the cells, reachable or not."""


def evaluated(expr: Expr, states: list[Cells]) -> list[int]:
    """The expression on packed states, by the explorer's means."""
    lowering = Lowering(MODEL.leaves, BOUNDS, GROUND.graph, GROUND._lowering._read)
    root = lowering.lowered(expr, {})
    if not isinstance(root, Node):
        return [int(root)] * len(states)
    packed = [PACKING.pack(state) for state in states]
    words = [np.array(column, np.uint64) for column in zip(*packed, strict=True)]
    values = {}
    for node in in_order([root], set()):
        values[node.number] = (
            cell_values(words, PACKING.fields[node.args[0]], node.is_bool)
            if node.op == "cell"
            else evaluate(node, values)
        )
    assert values[root.number].itemsize == 1
    return [int(value) for value in values[root.number]]


@settings(max_examples=150, deadline=None)
@given(st.one_of(CONDITIONS, NUMBERS), st.lists(STATES, min_size=1, max_size=4))
def test_expressions_have_the_value_that_they_say(expr: Expr, states: list[Cells]) -> None:
    places = [(cell.leaf.name, cell.index) for cell in GROUND.cells]
    held = [dict(zip(places, map(int, state), strict=True)) for state in states]
    wanted = [int(PLAIN.value(expr, state, {})) for state in held]
    assert evaluated(expr, states) == wanted
    low, high = span(expr, MODEL, BOUNDS)
    assert all(low <= value <= high for value in wanted)


@settings(max_examples=100, deadline=None)
@given(STATES)
def test_packing_is_undone_by_unpacking(state: Cells) -> None:
    words = PACKING.pack(state)
    assert len(words) == PACKING.words
    assert list(PACKING.unpack(words)) == state
    assert sum(word.bit_count() for word in words) <= PACKING.bits
