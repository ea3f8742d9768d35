"""Traces of an implementation: what is allowed, what is refused, and what a file may look like."""

import copy
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spec.checkers import itf
from spec.checkers.bounds import Bounds
from spec.checkers.step import Allowed, Machine, Outgrown, OutsideDomain, Refused, State
from spec.checkers.trace import Step, Validator, check, name_action
from spec.checkers.walk import Walker
from spec.language import Model, trace
from spec.models import replication
from spec.models.replication import Kip320
from spec.registry import FAMILIES

BOUNDS = Bounds(Broker=3, Epoch=6, Offset=6, RecordId=12)
Taken = tuple[State, str, tuple[int, ...], State]


@pytest.fixture(scope="module")
def validator() -> Validator:
    return Validator(trace(Kip320), BOUNDS)


def walked(machine: Machine, seed: int, steps: int = 40) -> list[Taken]:
    """A random run of so many steps; one that ends before is drawn again."""
    walker, run = Walker(machine, seed), list[Taken]()
    while len(run) < steps:
        run = [(state, *taken) for state, taken in walker.walk(steps)]
    return run


def cells(machine: Machine, state: State, *leaves: str) -> dict[str, Any]:
    return {leaf: machine.value(state, leaf) for leaf in leaves}


# ---- steps --------------------------------------------------------------------------------------


def test_a_run_of_the_model_is_allowed_however_little_is_observed(validator: Validator) -> None:
    machine, chance = validator.machine, random.Random(0)
    for seed in range(20):
        validator.begin()
        run = walked(machine, seed)
        for _, action, params, after in run:
            leaves = chance.sample(list(machine.slot), chance.randrange(4))
            observed = chance.choice([after, cells(machine, after, *leaves), None])
            assert validator.take(action, params, observed) == Allowed(state=after)
        assert sum(validator.taken.values()) == len(run) > 20


def test_hidden_state_is_carried_forward_and_not_made_up(validator: Validator) -> None:
    """A step that was claimed but not taken shows later, in what it should have led to."""
    validator.begin()
    for action, *params in (
        ("controller_elect_leader", 0),
        ("become_leader", 0, 0),
        ("become_follower", 1, 0, 0),
        ("leader_write", 0),
    ):
        assert isinstance(validator.take(action, params), Allowed)
    before = validator.state
    answer = validator.take("follower_fetch", (1, 0), {("log.end_offset", 1): 0})
    assert isinstance(answer, Refused)
    assert (answer.variable, answer.expected, answer.observed) == ("log.end_offset[b2]", 1, 0)
    assert validator.state is before
    assert isinstance(validator.take("leader_increment_high_watermark", (0,)), Refused)


def test_outgrown_bounds_are_no_refusal() -> None:
    small = Validator(trace(Kip320), Bounds(Broker=2, Epoch=2, Offset=1, RecordId=3))
    for action, *params in (("controller_elect_leader", 0), ("become_leader", 0, 0)):
        small.take(action, params)
    assert isinstance(small.take("leader_write", (0,)), Allowed)
    answer = small.take("leader_write", (0,))
    assert isinstance(answer, Outgrown)
    assert answer.bound == "Offset"


@pytest.mark.parametrize(
    ("action", "params"),
    [
        ("leader_writes", (0,)),
        ("leader_write", ()),
        ("leader_write", (0, 1)),
        ("leader_write", (3,)),
        ("leader_write", (-1,)),
        ("leader_write", (0.5,)),
        ("leader_write", ("b1",)),
    ],
)
def test_what_does_not_exist_is_an_error(validator: Validator, action: str, params: Any) -> None:
    validator.begin()
    with pytest.raises(OutsideDomain):
        validator.take(action, params)


def test_an_action_is_named_by_what_it_leads_to(validator: Validator) -> None:
    machine = validator.machine
    for state, action, params, after in walked(machine, 3):
        named = name_action(machine, state, after)
        assert (action, params, after) in named
        assert all(found == after for _, _, found in named)
        assert [move[:2] for move in named] == machine.names_of(state, after)


# ---- mutated traces -----------------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 30), at=st.integers(0, 10**6), chance=st.randoms(use_true_random=False))
def test_a_changed_observation_is_always_refused(
    validator: Validator, seed: int, at: int, chance: random.Random
) -> None:
    """An action with its parameters leads to one state: any other cell value is wrong."""
    machine = validator.machine
    run = walked(machine, seed)
    state, action, params, after = run[at % len(run)]
    leaf = chance.choice(list(machine.model.leaves.values()))
    index = tuple(chance.choice(machine.bounds.domain(sort)) for sort in leaf.dims)
    right = machine.value(after, leaf.name, *map(int, index))
    low, high = machine.bounds.range_of(leaf.scalar)
    wrong = chance.choice([x for x in range(low, high + 1) if x != right])
    validator.begin(state)
    answer = validator.take(action, params, {(leaf.name, *map(int, index)): wrong})
    assert isinstance(answer, Refused)
    assert answer.variable.startswith(leaf.name)
    assert (answer.expected, answer.observed) == (right, wrong)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 30), at=st.integers(0, 10**6), chance=st.randoms(use_true_random=False))
def test_a_changed_step_is_refused_or_another_allowed_step(
    validator: Validator, seed: int, at: int, chance: random.Random
) -> None:
    machine = validator.machine
    run = walked(machine, seed)
    state, *_, after = run[at % len(run)]
    action = chance.choice(list(machine.model.actions.values()))
    params = tuple(int(chance.choice(machine.bounds.domain(x.sort))) for x in action.params)
    validator.begin(state)
    answer = validator.take(action.name, params, after)
    if (action.name, params) in machine.names_of(state, after):
        assert answer == Allowed(state=after)
    else:
        assert isinstance(answer, Refused | Outgrown)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 30), lost=st.integers(0, 38))
def test_a_lost_step_shows_at_the_next(validator: Validator, seed: int, lost: int) -> None:
    run = walked(validator.machine, seed)
    kept = [*run[:lost], *run[lost + 1 :]]
    steps = [Step(action=name, params=params, observed=after) for _, name, params, after in kept]
    found = check(validator, [Step(), *steps])
    if validator.machine.is_allowed(run[lost][0], *run[lost + 1][1:]):
        assert found.failure is None
    else:
        assert found.steps == lost
        assert isinstance(found.failure, Refused)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 30), first=st.integers(0, 38))
def test_two_steps_may_be_exchanged_only_where_the_order_does_not_matter(
    validator: Validator, seed: int, first: int
) -> None:
    run = walked(validator.machine, seed)
    pair = [(name, params) for _, name, params, _ in (run[first + 1], run[first])]
    validator.begin(run[first][0])
    answers = [validator.take(*pair[0]), validator.take(*pair[1], run[first + 1][3])]
    if all(isinstance(answer, Allowed) for answer in answers):
        assert validator.state == run[first + 1][3]
    else:
        assert any(isinstance(answer, Refused | Outgrown) for answer in answers)


# ---- invariants ---------------------------------------------------------------------------------


def instances() -> Iterator[Any]:
    """Every variant of every family, where it is explored or refuted."""
    for family in FAMILIES.values():
        usual = family.variants[0].bounds
        for variant in family.variants:
            found = [variant.bounds, *(known.bounds for known in variant.refutations), usual]
            bounds = next(counts for counts in found if counts)
            model = trace(variant.protocol)
            yield pytest.param(model, Bounds(**bounds), id=f"{family.name} {variant.name}")


@pytest.mark.parametrize(("model", "bounds"), list(instances()))
def test_incremental_invariants_are_those_of_the_whole_state(model: Model, bounds: Bounds) -> None:
    validator = Validator(model, bounds)
    holds = validator.machine.holds
    for seed in range(3):
        validator.begin()
        walk = Walker(validator.machine, seed).walk(120)
        for action, params, after in (taken for _, taken in walk):
            before = set(validator.broken)
            answer = validator.take(action, params)
            assert isinstance(answer, Allowed)
            broken = {name for name in model.invariants if not holds[name](after)}
            assert validator.broken == broken
            assert set(answer.broken) == broken - before


def test_a_broken_invariant_is_reported_once_and_with_its_step() -> None:
    validator = Validator(trace(replication.TruncateToHighWatermark), BOUNDS)
    for seed in range(200):
        run = walked(validator.machine, seed, 60)
        found = check(validator, [Step(), *(Step(action=a, params=p) for _, a, p, _ in run)])
        assert found.failure is None
        if found.broken:
            break
    number, name = found.broken[0]
    assert validator.machine.holds[name](run[number - 2][3])
    assert not validator.machine.holds[name](run[number - 1][3])


# ---- files --------------------------------------------------------------------------------------


def document(machine: Machine, run: list[Taken]) -> dict[str, Any]:
    def getter(state: State) -> Any:
        return lambda leaf, *index: machine.value(state, leaf, *index)

    first = [("", (), getter(machine.initial))]
    moments = first + [(action, params, getter(after)) for _, action, params, after in run]
    return itf.trace_to_itf(machine.model, machine.bounds, moments)


def steps_in(validator: Validator, written: Any) -> list[Step]:
    machine = validator.machine
    return itf.steps_of(itf.document_of(written), machine.model, machine.bounds)


def test_what_is_written_is_read_and_allowed(validator: Validator, tmp_path: Path) -> None:
    run = walked(validator.machine, 5)
    path = tmp_path / "run.itf.json"
    path.write_text(json.dumps(document(validator.machine, run)), encoding="utf-8")
    read = itf.read_document(path)
    assert (read.model, read.bounds) == ("Kip320", dict(BOUNDS.counts))
    steps = itf.steps_of(read, validator.machine.model, BOUNDS)
    assert [(step.action, step.params) for step in steps[1:]] == [taken[1:3] for taken in run]
    found = check(validator, steps)
    assert (found.steps, found.failure, found.broken) == (len(run), None, ())


def test_a_file_reads_like_the_protocol(validator: Validator) -> None:
    run = walked(validator.machine, 5)
    state = document(validator.machine, run)["states"][-1]
    logs = dict(state["log"]["#map"])
    for broker, records in logs.items():
        end = validator.machine.value(run[-1][3], "log.end_offset", int(broker[1:]) - 1)
        assert len(records) == end
        assert all(set(record) == {"id", "epoch"} for record in records)
    assert set(state["quorum"]) == {"leader", "epoch", "isr"}
    assert set(state["quorum"]["isr"]["#set"]) <= {"b1", "b2", "b3"}


def test_steps_without_names_are_found_out(validator: Validator) -> None:
    written = document(validator.machine, walked(validator.machine, 7, 30))
    for state in written["states"][1:]:
        del state["#meta"]
    found = check(validator, steps_in(validator, written))
    assert (found.steps, found.failure) == (30, None)
    assert sum(validator.taken.values()) == 30


def test_a_step_that_nothing_leads_to_is_refused(validator: Validator) -> None:
    written = document(validator.machine, walked(validator.machine, 7, 10))
    state = written["states"][6]
    del state["#meta"]
    state["next_record_id"] = 11
    found = check(validator, steps_in(validator, written))
    assert found.steps == 5
    assert isinstance(found.failure, Refused)


def test_an_observation_that_fits_several_steps_must_be_named(validator: Validator) -> None:
    with pytest.raises(OutsideDomain, match="the step must be named: it may be controller_elect"):
        check(validator, [Step(), Step(observed={"next_record_id": 0})])


def test_a_wrong_initial_state_is_refused(validator: Validator) -> None:
    found = check(validator, [Step(observed={"next_record_id": 1})])
    assert isinstance(found.failure, Refused)
    assert found.failure.variable == "next_record_id"


def broken_files() -> dict[str, tuple[list[Any], Any, str]]:
    """What is put where in a good file, and what the error must say."""
    state = ["states", 4]
    return {
        "no states": (["states"], [], "at least one state"),
        "a state is a list": (state, [1], r"states\[4\] should be an object"),
        "unknown variable": ([*state, "hw"], 1, 'no variable "hw"'),
        "unknown action": ([*state, "#meta", "action"], "fly", 'no action "fly"'),
        "missing parameter": ([*state, "#meta", "params"], {}, "should be exactly leader"),
        "no such broker": ([*state, "#meta", "params", "leader"], "b9", '"b9" is no Broker'),
        "a number too large": ([*state, "next_record_id"], 99, r"states\[4\].next_record_id: 99"),
        "a float": ([*state, "next_record_id"], 1.0, "1.0 is no RecordId"),
        "a truth value": ([*state, "next_record_id"], True, "true is no RecordId"),
        "not a map": ([*state, "high_watermark"], 3, "does not have the shape"),
        "a short entry": ([*state, "high_watermark", "#map", 0], ["b1"], "a list of 2"),
        "an index twice": (
            [*state, "high_watermark", "#map"],
            [["b1", 5], ["b1", 0]],
            r"high_watermark\[1\]: the map has \"b1\" twice",
        ),
        "not a set": ([*state, "quorum", "isr"], ["b1"], "does not have the shape"),
        "a wrong member": ([*state, "quorum", "isr", "#set"], ["none"], '"none" is no Broker'),
        "unknown field": ([*state, "quorum", "term"], 0, 'no field "term"'),
        "a long log": ([*state, "log", "#map", 0, 1], [{}] * 7, "room for 6"),
        "model is a number": (["#meta", "model"], 1, "should be a text"),
        "another model": (["#meta", "model"], "Raft", "a trace of Raft, not of Kip320"),
        "a bound is a text": (["#meta", "bounds", "Broker"], "3", "should be a number"),
    }


@pytest.mark.parametrize("case", broken_files())
def test_a_malformed_file_is_an_error_that_says_where(validator: Validator, case: str) -> None:
    place, value, message = broken_files()[case]
    runs = (walked(validator.machine, seed, 4) for seed in itertools.count())
    run = next(run for run in runs if run[3][1] == "leader_write")
    written = copy.deepcopy(document(validator.machine, run))
    target: Any = written
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(itf.ItfError, match=message):
        steps_in(validator, written)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('{"states": [{"x": NaN}]}', "NaN is no number"),
        ('{"states": [{"x": 1, "x": 2}]}', 'an object has "x" twice'),
        ("[]", "the file should be an object"),
        (f'{{"states": [{", ".join(["{}"] * 100_001)}]}}', "at most 100000 are read"),
        ('{"states": [{"x": ' + "9" * 5000 + "}]}", "is no JSON"),
    ],
    ids=["empty", "deep", "nan", "twice", "list", "long", "huge number"],
)
def test_what_is_no_trace_at_all_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.itf.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(itf.ItfError, match=message):
        itf.read_document(path)


def test_a_file_is_read_only_up_to_a_limit(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(itf, "BYTES_MAX", 100)
    path = tmp_path / "large.itf.json"
    path.write_text('{"states": [{}]}' + " " * 100, encoding="utf-8")
    with pytest.raises(itf.ItfError, match="more than 100 bytes"):
        itf.read_document(path)
