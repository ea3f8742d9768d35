"""Symmetry: each state stands for all its permutations, and only where that is sound."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Exploration, Explorer, NoSymmetry, explore
from spec.language import (
    BOOL,
    NONE,
    Protocol,
    action,
    invariant,
    not_,
    per,
    require,
    rigid,
    trace,
    var,
)
from spec.models.replication import Kip320, TruncateToHighWatermark, bounds
from tests.explore_zoo import Broker, Numbers, Ownership, Voting, WholeLogs
from tests.plain_explorer import PlainExplorer, State

THREE: list[tuple[type[Protocol], Mapping[str, int]]] = [
    (Voting, {"Broker": 3, "Epoch": 2, "min_insync": 2}),
    (WholeLogs, {"Broker": 3, "Epoch": 2, "Length": 3}),
    (TruncateToHighWatermark, bounds(3, 1, 1, 0)),
]


def by_symmetry(protocol: type[Protocol], counts: Mapping[str, int]) -> Exploration:
    return explore(trace(protocol), Bounds(**counts), symmetry="Broker")


def permuted(sort: str, value: int, order: tuple[int, ...]) -> int:
    """What a value becomes when the brokers are permuted."""
    if sort == "Broker" and value >= 0:
        return order[value]
    if sort == "IsrSet":
        return sum(1 << order[b] for b in range(len(order)) if value >> b & 1)
    return value


def orbits(protocol: type[Protocol], counts: Mapping[str, int]) -> list[set[frozenset[State]]]:
    """The reachable states by level, each as the set of all its permutations."""
    model = trace(protocol)
    plain = PlainExplorer(model, counts).explore()
    sorts = {name: leaf.scalar.sort.name for name, leaf in model.leaves.items()}
    places = {
        order: {
            (name, index): (
                name,
                tuple(permuted(s.name, i, order) for s, i in zip(dims, index, strict=True)),
            )
            for name, index in dict(next(iter(plain.states)))
            for dims in [model.leaves[name].dims]
        }
        for order in itertools.permutations(range(counts["Broker"]))
    }
    levels: list[set[frozenset[State]]] = [set() for _ in plain.levels]
    for state, level in plain.states.items():
        orbit = (
            frozenset((moved[place], permuted(sorts[place[0]], v, order)) for place, v in state)
            for order, moved in places.items()
        )
        levels[level - 1].add(frozenset(orbit))
    return levels


@pytest.mark.parametrize(("protocol", "counts"), THREE)
def test_one_state_of_each_orbit_is_found(
    protocol: type[Protocol], counts: Mapping[str, int]
) -> None:
    result = by_symmetry(protocol, counts)
    assert list(result.levels) == [len(level) for level in orbits(protocol, counts)]


@pytest.mark.parametrize(("protocol", "counts"), THREE)
def test_violations_are_found_at_the_same_depth(
    protocol: type[Protocol], counts: Mapping[str, int]
) -> None:
    with_symmetry = by_symmetry(protocol, counts)
    without = explore(trace(protocol), Bounds(**counts))
    assert with_symmetry.depth == without.depth
    assert with_symmetry.witnesses == without.witnesses
    levels = {name: v.first_level for name, v in without.violations.items()}
    assert {name: v.first_level for name, v in with_symmetry.violations.items()} == levels


@pytest.mark.parametrize(("protocol", "counts"), THREE)
def test_paths_are_of_real_states(protocol: type[Protocol], counts: Mapping[str, int]) -> None:
    """A replay undoes the permutations: every step is one of the model."""
    model = trace(protocol)
    plain = PlainExplorer(model, counts)
    explorer = Explorer(model, Bounds(**counts), symmetry="Broker")
    explorer.run()
    distinct = explorer.table.count
    for number in range(0, distinct, max(1, distinct // 20)):
        path = explorer.path(number)
        places = [(cell.leaf.name, cell.index) for cell in path.layout]
        states = [frozenset(zip(places, map(int, m.cells), strict=True)) for m in path.moments]
        level = next(k for k, (first, end) in enumerate(explorer.levels) if first <= number < end)
        assert path.length == level + 1
        for moment, before, after in zip(path.moments[1:], states, states[1:], strict=False):
            step = (moment.action, tuple(moment.params.values()), after)
            is_a_step = step in list(plain.successors(before, moment.action))
            assert is_a_step, moment


def test_a_table_that_names_entities_is_refused() -> None:
    with pytest.raises(NoSymmetry, match="owner_of"):
        explore(trace(Ownership), Bounds(Owner=3, Task=3), symmetry="Owner")


@pytest.mark.parametrize(("sort", "word"), [("Offset", "not an entity"), ("Nobody", "not an")])
def test_only_entities_are_permuted(sort: str, word: str) -> None:
    with pytest.raises(NoSymmetry, match=word):
        explore(trace(Numbers), Bounds(Broker=2, Offset=2, Level=1), symmetry=sort)


def test_five_brokers_are_too_many() -> None:
    with pytest.raises(NoSymmetry, match="4 at most"):
        explore(trace(Kip320), Bounds(**bounds(5, 1, 1, 1)), symmetry="Broker")


boss_of = rigid("boss_of", (Broker,), Broker, table=lambda _, broker: broker)


class Bossy(Protocol):
    """Who is the boss is read at NONE, where every instance has the last broker's."""

    boss = var(Broker, init=lambda: boss_of(NONE))
    marked = per(Broker, BOOL, init=False)

    @action
    def mark(self, new: Any, broker: Broker) -> None:
        require(broker == self.boss)
        new.marked[broker] = True

    @invariant()
    def the_boss_is_not_marked(self) -> Any:
        return not_(self.marked[self.boss])


def test_what_never_changes_must_be_alike_too() -> None:
    model, counts = trace(Bossy), Bounds(Broker=3)
    assert set(explore(model, counts).violations) == {"the_boss_is_not_marked"}
    with pytest.raises(NoSymmetry, match="initial state tells the values of Broker apart"):
        explore(model, counts, symmetry="Broker")
