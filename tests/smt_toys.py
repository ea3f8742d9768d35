"""Toy protocols and proofs, right and wrong, for the tests of the provers."""

from collections.abc import Iterator
from typing import Any

from spec.language import (
    BOOL,
    NONE,
    Expr,
    Optional,
    Per,
    Protocol,
    Symbol,
    action,
    after,
    all_of,
    any_of,
    conjunct,
    cut,
    end_of_last,
    entity,
    exists,
    first_where,
    for_all,
    history,
    iff,
    implies,
    invariant,
    not_,
    number,
    order,
    per,
    require,
    var,
    when,
    witness,
)
from spec.language.sorts import Counts
from spec.language.theories import Theory

Client = entity("Client")
Count = number("Count")
Ticket = order("Ticket")


class Toll(Protocol):
    """Cars enter and leave a bridge; the toll counts those that have entered."""

    entered = var(Count, init=0)
    left = var(Count, init=0)

    @action
    def enter(self, new: Any) -> None:
        new.entered = self.entered + 1

    @action
    def leave(self, new: Any) -> None:
        require(self.left < self.entered)
        new.left = self.left + 1

    @invariant()
    def nobody_leaves_who_did_not_enter(self) -> Any:
        return self.left <= self.entered

    @witness
    def two_on_the_bridge(self) -> Any:
        return self.left + 2 <= self.entered


class TollProof(Toll):
    @conjunct
    def left_is_no_more(self) -> Any:
        return self.left <= self.entered


class UncheckedLeave(TollProof):
    """Cars may leave an empty bridge."""

    def leave(self, new: Any) -> None:
        new.left = self.left + 1


class ContradictoryProof(TollProof):
    """Its conjuncts cannot all hold, so that every step keeps them."""

    @conjunct
    def nobody_entered(self) -> Any:
        return self.entered == 0

    @conjunct
    def somebody_entered(self) -> Any:
        return self.entered == 1


class EmptyBridgeProof(TollProof):
    """Its second conjunct holds at first, and makes `leave` impossible."""

    @conjunct
    def bridge_is_empty(self) -> Any:
        return self.left == self.entered


class OpenProof(TollProof):
    leaves_open = ("nobody_leaves_who_did_not_enter",)


class ChangedProtocol(TollProof):
    """A proof that changes the protocol proves something else."""

    def enter(self, new: Any) -> None:
        new.entered = self.entered + 2


class Lock(Protocol):
    """One lock, any number of clients; a ticket newer than all others comes with it."""

    holder = var(Optional(Client), init=NONE)
    holds = per(Client, BOOL, init=False)
    ticket = var(Ticket, init=0)
    last = per(Client, Ticket, init=0)

    @action
    def acquire(self, new: Any, client: Client, ticket: Ticket) -> None:
        require(self.holder == NONE)
        require(ticket > self.ticket)
        new.holder = client
        new.holds[client] = True
        new.ticket = ticket
        new.last[client] = ticket

    @action
    def release(self, new: Any, client: Client) -> None:
        require(self.holds[client])
        new.holds[client] = False
        new.holder = NONE

    @invariant()
    def mutual_exclusion(self) -> Any:
        return for_all(
            Client, Client, lambda a, b: implies(all_of(self.holds[a], self.holds[b]), a == b)
        )

    @invariant()
    def holder_has_the_newest_ticket(self) -> Any:
        return for_all(
            Client,
            Client,
            lambda a, b: implies(all_of(self.holds[a], a != b), self.last[b] < self.last[a]),
        )


class LockProof(Lock):
    """The same argument with a history variable, an existential fact, and a cut that uses it."""

    was_held = history(var(BOOL, init=False))

    @after("acquire")
    def keep_was_held(self, new: Any) -> None:
        new.was_held = True

    @conjunct
    def holder_holds(self) -> Any:
        return for_all(Client, lambda c: iff(self.holds[c], self.holder == c))

    @conjunct
    def tickets_are_not_newer(self) -> Any:
        return for_all(Client, lambda c: self.last[c] <= self.ticket)

    @conjunct
    def holder_has_the_ticket(self) -> Any:
        return for_all(Client, lambda c: implies(self.holds[c], self.last[c] == self.ticket))

    @conjunct
    def tickets_differ(self) -> Any:
        return for_all(
            Client,
            Client,
            lambda a, b: any_of(a == b, self.last[a] != self.last[b], self.last[a] == 0),
        )

    @conjunct
    def a_held_lock_has_a_ticket(self) -> Any:
        return implies(self.holder != NONE, self.ticket > 0)

    @conjunct(isolated=True)
    def somebody_held(self) -> Any:
        return implies(self.was_held, exists(Client, lambda c: self.last[c] == self.ticket))

    @cut("release")
    def the_lock_was_held(self, client: Any) -> Any:
        return all_of(self.holder == client, self.ticket > 0)


class LockForEveryone(LockProof):
    """The lock is given to anybody who asks."""

    def acquire(self, new: Any, client: Any, ticket: Any) -> None:
        require(ticket > self.ticket)
        new.holder = client
        new.holds[client] = True
        new.ticket = ticket
        new.last[client] = ticket


class WrongCut(LockProof):
    """A cut that does not follow from the conjuncts."""

    @cut("release")
    def the_lock_was_held(self, client: Any) -> Any:
        return all_of(self.holder == client, self.last[client] == 0)


class Searching(Protocol):
    """Searches over offsets, so that a proof can say what they are."""

    marked = per(Count, BOOL, init=False)
    end = var(Count, init=0)
    last = var(Count, init=0)
    first = var(Count, init=0)

    @action
    def note(self, new: Any) -> None:
        new.last = end_of_last(self.end, lambda o: self.marked[o])
        new.first = first_where(self.end, lambda o: self.marked[o])

    @action
    def mark(self, new: Any, at: Count) -> None:
        require(at >= self.end)
        new.marked[at] = True
        new.end = at + 1

    @conjunct
    def last_is_marked(self) -> Any:
        return any_of(self.last == 0, self.marked[self.last - 1])

    @conjunct
    def nothing_marked_beyond(self) -> Any:
        return for_all(
            Count, lambda o: implies(all_of(self.last <= o, o < self.end), not_(self.marked[o]))
        )

    @conjunct
    def first_is_marked(self) -> Any:
        return any_of(self.first == self.end, self.marked[self.first])

    @conjunct
    def nothing_before(self) -> Any:
        return for_all(
            Count, lambda o: implies(all_of(o < self.first, o < self.end), not_(self.marked[o]))
        )

    @conjunct
    def never_beyond_three(self) -> Any:
        return self.last <= 3

    @invariant()
    def quantified(self) -> Any:
        return for_all(Count, lambda o: end_of_last(o, lambda p: self.marked[p]) <= o)


Round = number("Round", first=1)


class SearchingFromOne(Protocol):
    """There is no round 0, so no search finds one."""

    end = var(Round, init=1)
    last = var(Round, init=1)
    first = var(Round, init=1)

    @action
    def go_on(self, new: Any) -> None:
        new.end = self.end + 1

    @action
    def note(self, new: Any) -> None:
        require(self.end > 1)
        new.first = first_where(self.end, lambda o: o <= o + 1)
        new.last = end_of_last(self.end, lambda o: o < 1)

    @conjunct
    def first_is_one(self) -> Any:
        return self.first == 1

    @conjunct
    def nothing_is_last(self) -> Any:
        return self.last == 0

    @conjunct
    def first_is_zero(self) -> Any:
        return self.first == 0

    @conjunct
    def zero_is_last(self) -> Any:
        return self.last == 1


class Straying(Protocol):
    """Reads what is not there: past the end of a map, and at NONE."""

    value = per(Count, Count, init=0)
    position = var(Count.end, init=0)
    chosen = var(Optional(Client), init=NONE)
    flag = per(Client, BOOL, init=False)

    @action
    def advance(self, new: Any) -> None:
        new.position = self.position + 1

    @action
    def guarded(self, new: Any, at: Count) -> None:
        require(any_of(self.position == at, self.value[self.position] == 0))
        require(self.position == at)
        with when(self.chosen != NONE):
            new.flag[self.chosen] = not_(self.flag[self.chosen])

    @action
    def careless(self, new: Any) -> None:
        require(self.value[self.position] == 0)
        new.position = 0

    @action
    def careless_write(self, new: Any, client: Client) -> None:
        new.flag[client] = self.flag[self.chosen]


# ---- what a prover could be fooled by -----------------------------------------------------------


class Contradiction(Theory):
    """Axioms that nothing satisfies, so that anything follows from them."""

    def __init__(self) -> None:
        super().__init__("Contradiction")
        self.odd = Symbol("Contradiction.odd", (self,), BOOL, lambda _, x: bool(x))

    def size(self, counts: Counts) -> int:
        return 2

    def axioms(self) -> Iterator[tuple[str, Expr]]:
        yield "all are odd", for_all(self, lambda x: self.odd(x))
        yield "none is odd", for_all(self, lambda x: not_(self.odd(x)))


Nothing = Contradiction()


class AbsurdProof(TollProof):
    """That nobody enters is kept by every action, if axioms may say anything."""

    @conjunct
    def few_entered(self) -> Any:
        return self.entered <= 1

    @conjunct
    def something_is_odd(self) -> Any:
        return exists(Nothing, lambda x: Nothing.odd(x))

    @invariant()
    def at_most_one_enters(self) -> Any:
        return self.entered <= 1


class Marking(Protocol):
    """A whole row is written at once; the variable of a quantifier in it is called `at`."""

    row = var(Optional(Client), init=NONE)
    marked = per(Client, Per(Count, BOOL), init=False)

    @action
    def choose_row(self, new: Any, client: Client) -> None:
        new.row = client

    @action
    def mark(self, new: Any) -> None:
        require(self.row != NONE)
        new.marked[self.row] = lambda count: exists(Count, lambda at: at != count)

    @invariant()
    def nothing_is_marked(self) -> Any:
        return for_all(Client, Count, lambda client, count: not_(self.marked[client][count]))

    @conjunct
    def no_mark(self) -> Any:
        return for_all(Client, Count, lambda client, count: not_(self.marked[client][count]))
