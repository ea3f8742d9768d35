"""A proof claims exactly what its protocol says: whatever else it says is noticed."""

from typing import Any

import pytest

from spec.language import (
    BOOL,
    Expr,
    Protocol,
    Subsets,
    action,
    after,
    conjunct,
    entity,
    exists,
    for_all,
    history,
    invariant,
    number,
    only_extends,
    per,
    require,
    rigid,
    show,
    trace,
    var,
    witness,
)
from spec.language.extension import changes, normal

Client = entity("Client")
Count = number("Count")
IS_KNOWN = rigid("is_known", (Client,), BOOL, table=lambda _, client: client == 0)


class Base(Protocol):
    """Counts what clients do; what was counted first is history."""

    count = var(Count, init=0)
    seen = per(Client, BOOL, init=False)
    first = history(var(Count, init=0))

    def limit(self) -> Any:
        return self.first + 2

    @action
    def count_up(self, new: Any, client: Client) -> None:
        require(IS_KNOWN(client))
        new.count = self.count + 1
        new.seen[client] = True
        new.first = self.count

    @invariant("ISR-04")
    def small(self) -> Any:
        return self.count <= self.limit()

    @witness
    def two_counted(self) -> Any:
        return self.count == 2


class Extended(Base):
    """A right one."""

    last = history(per(Client, Count, init=0))

    @after("count_up")
    def remember(self, new: Any, client: Any) -> None:
        new.last[client] = self.count

    @invariant()
    def last_is_less(self) -> Any:
        return for_all(Client, lambda client: self.last[client] <= self.count)

    @conjunct
    def first_is_less(self) -> Any:
        return self.first <= self.count


def test_history_and_properties_may_be_added() -> None:
    assert changes(trace(Extended), trace(Base)) == []
    assert only_extends(trace(Base), trace(Base))


class WeakerInvariant(Extended):
    def small(self) -> Any:
        return self.count <= self.first + 3


class WeakerDefinition(Extended):
    """Only an invariant uses it."""

    def limit(self) -> Any:
        return self.count


class InvariantTurnedConjunct(Extended):
    @conjunct
    def small(self) -> Any:
        return self.count <= self.limit()


class OtherClauses(Extended):
    @invariant("ISR-05")
    def small(self) -> Any:
        return self.count <= self.limit()


class EasierWitness(Extended):
    def two_counted(self) -> Any:
        return self.count == 0


class OtherHistory(Extended):
    """The protocol's history says what its invariants mean."""

    def count_up(self, new: Any, client: Any) -> None:
        super().count_up(new, client)
        new.first = self.count + 1


class HookOnTheProtocol(Extended):
    @after("count_up")
    def forget(self, new: Any) -> None:
        new.first = 0


class StricterGuard(Extended):
    def count_up(self, new: Any, client: Any) -> None:
        require(self.count < 1)
        super().count_up(new, client)


class MoreActions(Extended):
    @action
    def count_down(self, new: Any) -> None:
        new.count = 0


class PlainVariable(Extended):
    """Not history, though only the proof knows it."""

    more = var(Count, init=0)


@pytest.mark.parametrize(
    ("proof", "what"),
    [
        (WeakerInvariant, "the invariant small"),
        (WeakerDefinition, "the invariant small"),
        (InvariantTurnedConjunct, "the invariant small"),
        (OtherClauses, "the invariant small"),
        (EasierWitness, "the witness two_counted"),
        (OtherHistory, "the action count_up"),
        (HookOnTheProtocol, "the action count_up"),
        (StricterGuard, "the action count_up"),
        (MoreActions, "the action count_down"),
        (PlainVariable, "the variable more"),
    ],
)
def test_what_a_proof_changes_is_named(proof: type[Protocol], what: str) -> None:
    assert changes(trace(proof), trace(Base)) == [what]


Replicas = Subsets("Replicas", of=Client)
STRANGER = rigid("is_known", (Client,), BOOL, table=lambda _, client: True)


def machine(known: Any = IS_KNOWN, start: int = 0, recorded: bool = False) -> type[Protocol]:
    """A protocol that is like others but for one thing; not a subclass of any."""

    class Machine(Protocol):
        count = var(Count, init=start)
        seen = per(Client, BOOL, init=lambda client: known(client))
        done = history(var(Count, init=0)) if recorded else var(Count, init=0)

        @action
        def step(self, new: Any, members: Replicas) -> None:
            require(exists(Client, lambda client: Replicas.has(members, client)))
            new.count = self.count + 1

    return Machine


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"start": 1}, ["the variable count"]),
        ({"recorded": True}, ["the variable done"]),
        ({"known": STRANGER}, ["the function is_known", "the variable seen"]),
    ],
)
def test_initial_values_and_functions_are_compared(other: dict[str, Any], what: list[str]) -> None:
    assert changes(trace(machine()), trace(machine())) == []
    assert sorted(changes(trace(machine(**other)), trace(machine()))) == what


def test_types_and_axioms_are_compared() -> None:
    def at(sort: Any, theory: Any) -> type[Protocol]:
        class Typed(Protocol):
            held = per(sort, theory, init=theory.constants["NOBODY"])

        return Typed

    ours, theirs = trace(at(Client, Replicas)), trace(at(Client, Subsets("Replicas", of=Client)))
    assert {"the sort Replicas", "the variable held"} <= set(changes(ours, theirs))
    ended = trace(at(Count.end, Replicas))
    assert "the variable held" in changes(ended, trace(at(Count, Replicas)))


def test_expressions_that_read_alike_are_told_apart() -> None:
    def nested(reads_outer: bool) -> Expr:
        def inside(outer: Expr) -> Expr:
            return exists(Client, lambda x: IS_KNOWN(outer if reads_outer else x))

        return for_all(Client, lambda x: inside(x))

    assert show(nested(True)) == show(nested(False)) == "forall x: exists x: is_known(x)"
    assert normal(nested(True)) is normal(nested(True))
    assert normal(nested(True)) is not normal(nested(False))
    of_numbers = for_all(Count, lambda n: n <= n + 1)
    of_ends = for_all(Count.end, lambda n: n <= n + 1)
    assert show(of_numbers) == show(of_ends)
    assert normal(of_numbers) is not normal(of_ends)
