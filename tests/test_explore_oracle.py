"""The explorer against the plain one: the same states, levels, successors and violations."""

from collections.abc import Mapping

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Explorer
from spec.language import Protocol, trace
from spec.models.replication import (
    EpochFencing,
    Kip101,
    Kip279,
    Kip320,
    Kip320FirstTry,
    TruncateToHighWatermark,
    bounds,
)
from tests.explore_zoo import ZOO
from tests.plain_explorer import PlainExplorer

VARIANTS = (TruncateToHighWatermark, Kip101, Kip279, Kip320FirstTry, EpochFencing, Kip320)
CASES: list[tuple[type[Protocol], Mapping[str, int]]] = [
    *((specimen.protocol, specimen.counts) for specimen in ZOO),
    *((variant, bounds(2, 1, 2, 1)) for variant in VARIANTS),
]


@pytest.mark.parametrize(("protocol", "counts"), CASES)
def test_explorers_agree(protocol: type[Protocol], counts: Mapping[str, int]) -> None:
    model = trace(protocol)
    plain = PlainExplorer(model, counts).explore()
    explorer = Explorer(model, Bounds(**counts))
    explorer.run()
    result = explorer.result()
    cells = [(cell.leaf.name, cell.index) for cell in explorer.ground.cells]
    states = {
        frozenset(zip(cells, map(int, explorer.state(number)), strict=True))
        for number in range(result.distinct)
    }
    assert result.complete
    assert len(plain.states) > 5
    different = len(states ^ plain.states.keys())  # not the sets: pytest would print them all
    assert different == 0
    assert list(result.levels) == plain.levels
    assert result.actions == plain.actions
    assert result.generated == 1 + sum(plain.actions.values())
    assert result.deadlocks.count == plain.stuck
    found = {name: (v.count, v.first_level) for name, v in result.violations.items()}
    assert found == plain.violations
    assert {n: at for n, at in result.witnesses.items() if at is not None} == plain.witnesses
    assert sum(result.fresh.values()) == result.distinct - 1


@pytest.mark.parametrize(("protocol", "counts"), CASES)
def test_every_step_of_a_counterexample_is_one(
    protocol: type[Protocol], counts: Mapping[str, int]
) -> None:
    model = trace(protocol)
    plain = PlainExplorer(model, counts)
    explorer = Explorer(model, Bounds(**counts))
    explorer.run()
    cells = [(cell.leaf.name, cell.index) for cell in explorer.ground.cells]
    for name, violation in explorer.result().violations.items():
        states = [
            frozenset(zip(cells, map(int, moment.cells), strict=True))
            for moment in violation.trace.moments
        ]
        assert states[0] == plain.initial()
        for moment, before, after in zip(
            violation.trace.moments[1:], states, states[1:], strict=False
        ):
            step = (moment.action, tuple(moment.params.values()), after)
            is_a_step = step in list(plain.successors(before, moment.action))
            assert is_a_step, moment
        assert not plain.value(model.invariants[name].expr, dict(states[-1]), {})
