"""Invariants after a step: what is computed again is all that the step can have changed.

Every way in which a clause can read a cell, from every random state in which the invariant holds.
"""

import random
from typing import Any

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.step import Machine
from spec.checkers.step.recheck import is_affected
from spec.language import (
    BOOL,
    NONE,
    Optional,
    Protocol,
    action,
    all_of,
    any_of,
    end_of_last,
    entity,
    exists,
    for_all,
    iff,
    implies,
    invariant,
    not_,
    number,
    per,
    trace,
    var,
    when,
)
from tests.random_models import random_state

Client = entity("Client")
Line = number("Line")
Row = number("Row", first=-1)
BOUNDS = Bounds(Client=2, Line=3, Row=2)
STATES = 400


class Reads(Protocol):
    """A little state, actions that set any part of it, and an invariant for each kind of read."""

    end = per(Client, Line.end, init=0)
    mark = per(Line, BOOL, init=False)
    wide = per(Line.end, BOOL, init=False)
    owner = var(Optional(Client), init=NONE)
    row = per(Row, Line, init=0)
    at = var(Row, init=-1)

    @action
    def set_end(self, new: Any, client: Client, value: Line.end) -> None:  # type: ignore
        new.end[client] = value

    @action
    def set_mark(self, new: Any, line: Line, value: Line.end) -> None:  # type: ignore
        new.mark[line] = value == 0
        new.wide[value] = not_(self.wide[value])

    @action
    def set_owner(self, new: Any, client: Client) -> None:  # type: ignore[valid-type]
        with when(any_of(self.owner == NONE, self.at == 0)):
            new.owner = client
        new.at = self.at - 1

    @action
    def set_row(self, new: Any, row: Row, line: Line) -> None:  # type: ignore[valid-type]
        new.row[row] = line
        new.at = row

    @action
    def mark_next(self, new: Any, client: Client) -> None:  # type: ignore[valid-type]
        """The index is in range only where the condition holds."""
        with when(self.end[client] < 2):
            new.mark[self.end[client] + 1] = True
            new.end[client] = self.end[client] + 1

    @action
    def clear(self, new: Any, row: Row) -> None:  # type: ignore[valid-type]
        new.mark = lambda line: line < self.row[row]
        new.end = lambda client: self.row[row]

    # ---- comparisons with a cell, in all four directions

    @invariant()
    def below(self) -> Any:
        return for_all(Client, Line, lambda c, x: implies(x < self.end[c], self.mark[x]))

    @invariant()
    def up_to(self) -> Any:
        return for_all(Client, Line, lambda c, x: implies(x <= self.end[c], self.mark[x]))

    @invariant()
    def above(self) -> Any:
        return for_all(Client, Line, lambda c, x: implies(x > self.end[c], self.mark[x]))

    @invariant()
    def from_on(self) -> Any:
        return for_all(Client, Line, lambda c, x: implies(x >= self.end[c], self.mark[x]))

    @invariant()
    def exactly(self) -> Any:
        return for_all(Client, Line, lambda c, x: iff(x == self.end[c], self.mark[x]))

    # ---- indices that are read themselves, or stray, or bound further inside

    @invariant()
    def of_owner(self) -> Any:
        return for_all(Line, lambda x: implies(x < self.end[self.owner], self.mark[x]))

    @invariant()
    def through_row(self) -> Any:
        return for_all(Row, lambda r: implies(self.row[r] > 0, self.mark[self.row[self.at]]))

    @invariant()
    def stray(self) -> Any:
        return for_all(Line.end, lambda x: implies(self.wide[x], self.mark[x]))

    @invariant()
    def narrow(self) -> Any:
        return for_all(Line, lambda x: self.wide[x])

    @invariant()
    def next_mark(self) -> Any:
        return for_all(Line, lambda x: implies(self.mark[x], self.mark[x + 1]))

    @invariant()
    def some(self) -> Any:
        return for_all(
            Row, lambda r: exists(Line, lambda x: all_of(x >= self.row[r], self.mark[x]))
        )

    @invariant()
    def last_mark(self) -> Any:
        return for_all(
            Client, lambda c: end_of_last(self.end[c], lambda x: self.mark[x]) == self.end[c]
        )

    @invariant()
    def together(self) -> Any:
        return all_of(
            self.owner != NONE,
            for_all(Client, lambda c: any_of(self.end[c] == 0, self.mark[0])),
            for_all(Row, Client, lambda r, c: any_of(self.row[r] <= self.end[c], self.mark[1])),
        )

    @invariant()
    def either(self) -> Any:
        return any_of(
            for_all(Client, lambda c: self.end[c] < 2),
            for_all(Line, lambda x: self.mark[x]),
            self.owner == NONE,
        )


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine(trace(Reads), BOUNDS)


@pytest.mark.parametrize("name", trace(Reads).invariants)
def test_it_is_broken_exactly_if_the_whole_says_so(machine: Machine, name: str) -> None:
    chance, holds = random.Random(1), machine.holds[name]
    kept = broken = 0
    while kept < STATES or broken < STATES // 10:
        state = random_state(machine, chance)
        if chance.random() < 0.5:
            state = biased(machine, state, chance)
        if not holds(state):
            continue
        for action_name, params, after in machine.successors(state):
            rechecks = dict(machine.rechecks[action_name])
            found = name not in rechecks or rechecks[name](state, after, *params)
            assert found == holds(after), (state, action_name, params)
            kept, broken = kept + found, broken + (not found)


def biased(machine: Machine, state: Any, chance: random.Random) -> Any:
    """Every mark set, or none, or the ends at 0: otherwise few invariants hold of random states."""
    leaf, value = chance.choice([("mark", True), ("mark", False), ("end", 0), ("wide", True)])
    slot = machine.slot[leaf]
    return (*state[:slot], (value,) * len(state[slot]), *state[slot + 1 :])


def test_what_an_action_does_not_write_is_not_checked(machine: Machine) -> None:
    names = {action: [name for name, _ in checks] for action, checks in machine.rechecks.items()}
    assert "narrow" not in names["set_end"]
    assert set(names["set_owner"]) == {"of_owner", "through_row", "together", "either"}
    model = machine.model
    assert not is_affected(model.actions["set_row"], model.invariants["below"].expr)
