"""All checkers read the same text alike: compared on random small models, pair by pair.

The oracle is `plain_explorer`, an interpreter of expressions that shares no code with them.
"""

import itertools
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from spec.checkers import bounded
from spec.checkers.explore import Explorer
from spec.checkers.step import Machine, OutsideDomain
from spec.language import Model
from tests.plain_explorer import PlainExplorer
from tests.plain_explorer import State as PlainState
from tests.random_models import bounds_of, models, random_state

EXAMPLES = int(os.environ.get("HIGHWATER_EXAMPLES", "40"))
STATES_MAX = 150
"""Larger instances are not explored to the end."""
RANDOM_STATES = 40
DEPTH_MAX = 3
"""How many actions Z3 looks ahead."""
several = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(several, max_examples=max(1, EXAMPLES // 2))


def machine_of(model: Model) -> Machine:
    return Machine(model, bounds_of(model))


def oracle_of(model: Model) -> PlainExplorer:
    return PlainExplorer(model, bounds_of(model).counts)


def plain(machine: Machine, state: Any) -> PlainState:
    """A state of the machine as the oracle writes it."""
    cells = {}
    for leaf in machine.model.leaves.values():
        domains = [map(int, machine.bounds.domain(sort)) for sort in leaf.dims]
        for index in itertools.product(*domains):
            cells[leaf.name, index] = int(machine.value(state, leaf.name, *index))
    return frozenset(cells.items())


def reached(machine: Machine) -> list[list[Any]]:
    """States by distance; no further than to STATES_MAX of them."""
    levels, seen = [[machine.initial]], {machine.initial}
    while levels[-1] and len(seen) <= STATES_MAX:
        found = [after for state in levels[-1] for _, _, after in machine.successors(state)]
        levels.append([state for state in dict.fromkeys(found) if state not in seen])
        seen.update(levels[-1])
    return levels if levels[-1] else levels[:-1]


def some_states(machine: Machine) -> list[Any]:
    """Reachable states, and random ones: what holds of a step does not depend on reachability."""
    chance = random.Random(0)
    found = [state for level in reached(machine) for state in level][:RANDOM_STATES]
    return found + [random_state(machine, chance) for _ in range(RANDOM_STATES)]


def instances(machine: Machine) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every action with every choice of parameters."""
    for action in machine.model.actions.values():
        domains = [machine.bounds.domain(param.sort) for param in action.params]
        yield from ((action.name, params) for params in itertools.product(*domains))


@several
@given(models())
def test_the_step_machine_takes_the_steps_of_the_plain_evaluation(model: Model) -> None:
    machine, oracle = machine_of(model), oracle_of(model)
    assert plain(machine, machine.initial) == oracle.initial()
    for state in some_states(machine):
        cells = plain(machine, state)
        expected = {(name, params): after for name, params, after in oracle.successors(cells)}
        moves = machine.successors(state)
        assert len(moves) == len(expected)
        assert {(name, params): plain(machine, t) for name, params, t in moves} == expected
        for name, params in instances(machine):
            after = machine.step[name](state, *params)
            stepped = None if after is None else plain(machine, after)
            assert stepped == expected.get((name, params)), (name, params)
        for name, item in model.invariants.items():
            assert machine.holds[name](state) == oracle.value(item.expr, dict(cells), {}), name


@several
@given(models())
def test_invariants_checked_incrementally_are_those_checked_as_a_whole(model: Model) -> None:
    machine = machine_of(model)
    for state in some_states(machine):
        held = {name for name in model.invariants if machine.holds[name](state)}
        for action, params, after in machine.successors(state):
            rechecks = dict(machine.rechecks[action])
            for name in held:
                found = name not in rechecks or rechecks[name](state, after, *params)
                assert found == machine.holds[name](after), (name, action, params)
                if not found:
                    event("an invariant is broken")


@several
@given(models())
def test_the_explorer_finds_what_the_plain_explorer_finds(model: Model) -> None:
    if sum(map(len, reached(machine_of(model)))) > STATES_MAX:
        return
    expected = oracle_of(model).explore()
    explorer = Explorer(model, bounds_of(model))
    explorer.run()
    found = explorer.result()
    assert found.complete
    assert list(found.levels) == expected.levels
    assert dict(found.actions) == expected.actions
    violations = {name: (v.count, v.first_level) for name, v in found.violations.items()}
    assert violations == expected.violations


@several
@given(models())
def test_paths_of_the_explorer_are_runs_of_the_step_machine(model: Model) -> None:
    machine = machine_of(model)
    levels = reached(machine)
    if sum(map(len, levels)) > STATES_MAX:
        return
    explorer = Explorer(model, bounds_of(model))
    explorer.run()
    found = explorer.result()
    assert list(found.levels) == [len(level) for level in levels]
    for name, violation in found.violations.items():
        event("a path to a violation")
        state: Any = machine.initial
        for moment in violation.trace.moments[1:]:
            params = [moment.params[x.args[0]] for x in model.actions[moment.action].params]
            state = machine.step[moment.action](state, *params)
            assert state is not None
        assert not machine.holds[name](state)
        before = levels[: violation.first_level - 1]
        assert all(machine.holds[name](earlier) for level in before for earlier in level)


@few
@given(models())
def test_z3_finds_the_shortest_counterexamples_of_the_step_machine(model: Model) -> None:
    machine = machine_of(model)
    levels = reached(machine)
    for name in model.invariants:
        holds = machine.holds[name]
        broken = (n for n, level in enumerate(levels) if not all(map(holds, level)))
        first = next(broken, DEPTH_MAX + 1)
        found = bounded.search(model, bounds_of(model), name, depth=DEPTH_MAX)
        event(f"violated after {first}" if first <= DEPTH_MAX else "not violated")
        if first <= DEPTH_MAX:
            assert isinstance(found, bounded.Counterexample)
            assert found.depth == first
        elif len(levels) > DEPTH_MAX or sum(map(len, levels)) <= STATES_MAX:
            assert isinstance(found, bounded.NoneFound)


@several
@given(models(), st.randoms(use_true_random=False))
def test_parameters_outside_their_sorts_are_errors(model: Model, chance: random.Random) -> None:
    machine = machine_of(model)
    action = chance.choice(list(model.actions.values()))
    params = [int(machine.bounds.domain(x.sort)[0]) for x in action.params]
    wrong = chance.randrange(len(params))
    domain = machine.bounds.domain(action.params[wrong].sort)
    params[wrong] = chance.choice([int(domain[0]) - 1, int(domain[-1]) + 1, 99])
    with pytest.raises(OutsideDomain, match=str(action.params[wrong].args[0])):
        machine.step[action.name](machine.initial, *params)
