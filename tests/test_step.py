"""The step machine: it finds the explorer's states, and says why a step is refused."""

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from spec.checkers.bounds import Bounds, BoundsError
from spec.checkers.explore import explore
from spec.checkers.step import Allowed, Machine, Outgrown, OutsideDomain, Refused, State
from spec.language import (
    EMPTY,
    NOBODY,
    Messages,
    Protocol,
    Sequences,
    SetOf,
    SpecError,
    action,
    any_of,
    const,
    entity,
    exists,
    for_all,
    implies,
    invariant,
    not_,
    number,
    order,
    per,
    require,
    trace,
    var,
    when,
)
from spec.models import replication
from spec.models.replication import Kip320

MODEL_TEXT = Path(replication.__file__).read_text(encoding="utf-8").splitlines()
BOUNDS = Bounds(Broker=3, Epoch=6, Offset=4, RecordId=4)
Move = tuple[Any, ...]
LED_BY_0: tuple[Move, ...] = (
    ("controller_elect_leader", 0),
    ("become_leader", 0, 0),
    ("become_follower", 1, 0, 0),
    ("become_follower", 2, 0, 0),
)


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(trace(Kip320), BOUNDS)


def after(machine: Machine, *moves: Move) -> State:
    """The state after these moves, each of which must be possible."""
    state = machine.initial
    for name, *params in moves:
        answer = machine.explain(state, name, params)
        assert isinstance(answer, Allowed), answer
        state = answer.state
    return state


def refused(machine: Machine, state: State, name: str, *params: int, **more: Any) -> Refused:
    answer = machine.explain(state, name, params, **more)
    assert isinstance(answer, Refused), answer
    return answer


def line_of(answer: Refused) -> str:
    """The line of the specification that a refusal names."""
    found = re.fullmatch(r"replication\.py:(\d+) (\w+)", answer.where)
    assert found, answer.where
    return MODEL_TEXT[int(found[1]) - 1].partition("  # ")[0].strip()


def replaced(machine: Machine, state: State, leaf: str, *index: int, to: Any) -> State:
    """The state with one cell changed."""

    def inside(part: Any, at: list[int]) -> Any:
        if not at:
            return to
        return (*part[: at[0]], inside(part[at[0]], at[1:]), *part[at[0] + 1 :])

    sorts = machine.model.leaves[leaf].dims
    at = [i - int(machine.bounds.domain(sort)[0]) for i, sort in zip(index, sorts, strict=True)]
    return inside(state, [machine.slot[leaf], *at])  # type: ignore[no-any-return]


# ---- the same states as the explorer ------------------------------------------------------------


@pytest.mark.parametrize("variant", replication.MODEL.variants, ids=lambda v: v.name)
def test_breadth_first_it_finds_the_states_of_the_explorer(variant: Any) -> None:
    model, bounds = trace(variant.protocol), Bounds(Broker=2, Offset=2, RecordId=2, Epoch=2)
    machine, generated = Machine(model, bounds), 1
    levels, seen = [[machine.initial]], {machine.initial}
    while levels[-1]:
        levels.append([])
        for state in levels[-2]:
            for _, _, following in machine.successors(state):
                generated += 1
                if following not in seen:
                    seen.add(following)
                    levels[-1].append(following)
    found = explore(model, bounds)
    assert [len(level) for level in levels[:-1]] == list(found.levels)
    assert generated == found.generated
    broken = {name: sum(not holds(s) for s in seen) for name, holds in machine.holds.items()}
    counts = {name: violation.count for name, violation in found.violations.items()}
    assert {name: broken[name] for name in model.invariants if broken[name]} == counts


# ---- ten wrong steps ----------------------------------------------------------------------------


def test_a_fetch_past_the_leaders_end_is_refused(machine: Machine) -> None:
    answer = refused(machine, after(machine, *LED_BY_0), "follower_fetch", 1, 0)
    assert answer.rule == "(log.end_offset[follower] < log.end_offset[leader])"
    assert line_of(answer) == "require(self.log[leader].has_offset(offset))"


def test_an_election_outside_the_isr_is_refused(machine: Machine) -> None:
    state = after(machine, *LED_BY_0, ("leader_write", 0), ("leader_shrink_isr", 0, 2))
    answer = refused(machine, state, "controller_elect_leader", 2)
    assert answer.rule == "quorum.isr[leader]"
    assert line_of(answer) == "require(self.quorum.isr.has(leader))"


def test_a_high_watermark_beyond_a_lagging_member_is_refused(machine: Machine) -> None:
    state = after(machine, *LED_BY_0, ("leader_write", 0), ("follower_fetch", 1, 0))
    answer = refused(machine, state, "leader_increment_high_watermark", 0)
    assert "isr[leader, member]" in answer.rule
    assert answer.where.endswith(" leader_increment_high_watermark")
    assert line_of(answer) == "require("
    assert answer.witness == {"member": 2}
    assert answer.reason.endswith(" is false for member = b3")


def test_a_truncation_that_cuts_too_little_is_refused(machine: Machine) -> None:
    before = after(
        machine,
        *LED_BY_0,
        ("leader_write", 0),
        ("leader_write", 0),
        ("controller_elect_leader", 1),
        ("become_leader", 1, 1),
    )
    right = after_move(machine, before, "become_follower", 0, 1, 1)
    assert machine.value(right, "log.end_offset", 0) == 0
    wrong = replaced(machine, right, "log.end_offset", 0, to=1)
    answer = refused(machine, before, "become_follower", 0, 1, 1, observed=wrong)
    assert (answer.variable, answer.expected, answer.observed) == ("log.end_offset[b1]", 0, 1)
    assert answer.rule == "what the action assigns"
    assert answer.where.endswith(" become_follower")


def after_move(machine: Machine, state: State, name: str, *params: int) -> State:
    following = machine.step[name](state, *params)
    assert following is not None
    return following


def test_a_write_by_a_broker_that_does_not_lead_is_refused(machine: Machine) -> None:
    answer = refused(machine, after(machine, *LED_BY_0), "leader_write", 1)
    assert answer.rule == "(leader[leader] == leader)"
    assert line_of(answer) == "require(self.presumes_leadership(leader))"
    assert answer.where.endswith(" leader_write")


def test_applying_an_older_epoch_is_refused(machine: Machine) -> None:
    state = after(
        machine,
        *LED_BY_0[:2],
        ("controller_elect_leader", 1),
        ("become_leader", 1, 1),
        ("become_follower", 2, 1, 1),
    )
    answer = refused(machine, state, "become_follower", 2, 0, 0)
    assert answer.rule == "(leader_epoch[follower] < epoch)"
    assert line_of(answer) == "require(epoch > self.leader_epoch[broker])"


def test_an_isr_change_by_a_deposed_leader_is_refused(machine: Machine) -> None:
    state = after(machine, *LED_BY_0, ("leader_write", 0), ("controller_elect_leader", 1))
    answer = refused(machine, state, "leader_shrink_isr", 0, 2)
    assert "quorum.leader" in answer.rule
    assert line_of(answer) == "require(self.is_true_leader(leader))"
    assert answer.where.endswith(" set_isr")


def test_joining_the_isr_at_a_lagging_high_watermark_is_refused(machine: Machine) -> None:
    state = after(
        machine,
        *LED_BY_0,
        ("leader_write", 0),
        ("follower_fetch", 1, 0),
        ("follower_fetch", 2, 0),
        ("leader_increment_high_watermark", 0),
        ("controller_shrink_isr", 2),
        ("controller_elect_leader", 1),
        ("become_leader", 1, 2),
        ("become_follower", 2, 1, 2),
    )
    answer = refused(machine, state, "leader_expand_isr", 1, 2)
    assert line_of(answer) == "require(self.is_high_watermark_of_this_epoch(leader))"


def test_an_epoch_that_does_not_increase_is_refused(machine: Machine) -> None:
    before = after(machine, *LED_BY_0)
    following = after_move(machine, before, "controller_elect_leader", 1)
    wrong = replaced(machine, following, "quorum.epoch", to=0)
    answer = refused(machine, before, "controller_elect_leader", 1, observed=wrong)
    assert (answer.variable, answer.expected, answer.observed) == ("quorum.epoch", 1, 0)
    assert answer.where.endswith(" controller_elect_leader")


def test_a_change_that_the_action_does_not_make_is_refused(machine: Machine) -> None:
    before = after(machine, *LED_BY_0)
    observed = {("high_watermark", 1): 1}
    answer = refused(machine, before, "leader_write", 0, observed=observed)
    assert answer.rule == "what is not assigned does not change"
    assert (answer.variable, answer.expected, answer.observed) == ("high_watermark[b2]", 0, 1)
    reason = "high_watermark[b2] is 1, the model says 0: what is not assigned does not change"
    assert str(answer) == f"leader_write(leader=b1) is refused: {reason} [{answer.where}]"


# ---- bounds and domains -------------------------------------------------------------------------


def test_what_outgrows_the_bounds_is_not_refused(machine: Machine) -> None:
    state = after(machine, *LED_BY_0, *[("leader_write", 0)] * 4)
    answer = machine.explain(state, "leader_write", (0,))
    assert isinstance(answer, Outgrown)
    assert answer.bound == "RecordId, Offset"
    assert str(answer) == "leader_write(leader=b1) outgrows the bounds: RecordId, Offset"
    assert isinstance(machine.explain(state, "leader_write", (1,)), Refused)


@pytest.mark.parametrize("params", [(3, 0), (0, -2), (0, 6), (-1, 0)])
def test_parameters_outside_their_sorts_are_errors(machine: Machine, params: Any) -> None:
    with pytest.raises(OutsideDomain, match="become_leader"):
        machine.step["become_leader"](machine.initial, *params)


def test_unknown_variables_and_indices_are_errors(machine: Machine) -> None:
    with pytest.raises(OutsideDomain, match="no variable hw"):
        machine.value(machine.initial, "hw", 0)
    with pytest.raises(OutsideDomain, match="7 is no Broker"):
        machine.value(machine.initial, "leader", 7)
    with pytest.raises(OutsideDomain, match="2 indices"):
        machine.value(machine.initial, "isr", 0, 0, 0)
    with pytest.raises(OutsideDomain, match="13 variables, not 1"):
        machine.explain(machine.initial, "controller_elect_leader", (0,), (1,))


def test_bounds_must_fit_the_model() -> None:
    with pytest.raises(BoundsError, match="RecordId"):
        Machine(trace(Kip320), Bounds(Broker=3, Epoch=2, Offset=2))


# ---- shapes of text -----------------------------------------------------------------------------

Client = entity("Client")
Place = number("Place", first=-1)
Age = order("Age")
Line = number("Line")
Text = Sequences("Text", epoch=Age, offset=order("Length"))


class Shapes(Protocol):
    """Writes and reads of every shape, some at indices that only a condition keeps in range."""

    grid = per(Place, SetOf(Client), init=NOBODY)
    cube = var(Messages(place=Place, client=Client, line=Line, age=Age), init=EMPTY)
    at = var(Place.end, init=0)
    text = per(Client, Text, init=lambda _: Text.empty)
    height = per(Place, Place, init=lambda place: place)

    @action
    def fill_column(self, new: Any, client: Client) -> None:  # type: ignore[valid-type]
        new.grid = lambda place: self.grid[place].plus(client)

    @action
    def move(self, new: Any, client: Client, line: Line) -> None:  # type: ignore[valid-type]
        new.at = self.at + 1
        with when(self.at < 1):
            new.height[self.at + 1] = self.height[self.at]
            new.grid[self.at] = self.grid[self.at].minus(client)
        new.cube.send(place=self.at, client=client, line=line, age=const(0, Age))

    @action
    def append(self, new: Any, client: Client, text: Text) -> None:  # type: ignore[valid-type]
        require(Text.is_extension(text, self.text[client]))
        new.text[client] = text

    @invariant()
    def below(self) -> Any:
        return for_all(Place.end, lambda p: implies(p < self.at, self.height[p] <= p))

    @invariant()
    def reached(self) -> Any:
        return for_all(Place, lambda p: implies(self.height[p] < p, p <= self.at))

    @invariant()
    def nested(self) -> Any:
        return for_all(
            Place, Client, lambda p, c: implies(p < self.height[self.at], self.grid[p].has(c))
        )

    @invariant()
    def sent(self) -> Any:
        return for_all(
            Client,
            lambda c: exists(
                Place,
                Line,
                lambda p, n: self.cube.has(place=p, client=c, line=n, age=const(0, Age)),
            ),
        )

    @invariant()
    def texts(self) -> Any:
        return for_all(Client, Client, lambda a, b: Text.prefix(self.text[a], self.text[b]))


class Looks(Protocol):
    """A guard that leaves room for one index past the last, which reads the last."""

    at = var(Place.end, init=2)
    height = per(Place, Place, init=lambda place: place)

    @action
    def look(self, new: Any, place: Place.end) -> None:  # type: ignore
        require(place <= self.at)
        new.at = self.height[place]


def test_a_guard_is_not_taken_to_say_more_than_it_says() -> None:
    machine = Machine(trace(Looks), Bounds(Place=2))
    assert machine.step["look"](machine.initial, 2) == (1, machine.initial[1])


SHAPES = Bounds(Client=2, Place=2, Line=2, Age=3, Length=3)


def test_every_shape_is_explored_alike() -> None:
    model = trace(Shapes)
    machine = Machine(model, SHAPES)
    seen, front = {machine.initial}, [machine.initial]
    while front:
        front = [t for s in front for _, _, t in machine.successors(s)]
        front = [t for t in dict.fromkeys(front) if t not in seen]
        seen.update(front)
    found = explore(model, SHAPES)
    assert found.complete
    assert len(seen) == found.distinct > 100
    for name in model.invariants:
        count = found.violations[name].count if name in found.violations else 0
        assert sum(not machine.holds[name](state) for state in seen) == count, name


def test_a_model_beyond_python_is_a_clear_error() -> None:
    class Deep(Shapes):
        @invariant()
        def deep(self) -> Any:
            def level(depth: int, places: tuple[Any, ...]) -> Any:
                if depth == 0:
                    return any_of(*(not_(a < b) for a, b in itertools.pairwise(places)))
                return for_all(Place, lambda p: level(depth - 1, (*places, p)))

            return level(24, ())

    with pytest.raises(SpecError, match="more than Python can compile"):
        Machine(trace(Deep), SHAPES)
