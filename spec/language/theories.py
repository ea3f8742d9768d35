"""Abstract sorts: values that are known by a few functions and what is always true of them.

A whole log as one value, a set of brokers as a value, a quorum. In a finite instance each is a
table over 0, 1, 2, ...; in a proof it is an uninterpreted sort, of which only the axioms are known.
The axioms are true of the real thing (tests check them against the tables), and they are all that
a proof uses: so it holds for logs of any length, any number of brokers, any quorum system.
"""

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from spec.language.errors import SpecError
from spec.language.expression import Expr, Symbol, all_of, any_of, iff, implies, not_
from spec.language.quantifiers import exists, for_all
from spec.language.sorts import BOOL, EMPTY, EVERYONE, NOBODY, Counts, Sort

Axiom = tuple[str, Expr]


class Theory(Sort):
    """An abstract sort: its functions, the sorts they speak of, and its axioms."""

    parts: tuple[Sort, ...] = ()

    def __init__(self, name: str) -> None:
        super().__init__(name, "abstract")

    def symbols(self) -> Iterator[Symbol]:
        """The functions that its axioms speak of."""
        return (value for value in vars(self).values() if isinstance(value, Symbol))

    def axioms(self) -> Iterator[Axiom]:
        """What is true of its functions, by name."""
        raise NotImplementedError


class Subsets(Theory):
    """Sets of entities as values, so that they can be sent, remembered and quantified over."""

    def __init__(self, name: str, of: Sort, minimum: str = "min_insync") -> None:
        super().__init__(name)
        self.of, self.minimum, self.parts = of, minimum, (of,)
        self._has = Symbol(f"{name}.has", (self, of), BOOL, lambda _, s, b: bool(s >> b & 1))
        self._large = Symbol(f"{name}.large", (self,), BOOL, self._is_large)
        self._all = Symbol(f"{name}.everyone", (), self, lambda counts: self.size(counts) - 1)
        self._none = Symbol(f"{name}.nobody", (), self, lambda _: 0)
        self.constants = {EVERYONE.name: self._all(), NOBODY.name: self._none()}

    def _is_large(self, counts: Counts, members: int) -> bool:
        return members.bit_count() >= counts[self.minimum]

    def size(self, counts: Counts) -> int:
        return 1 << counts[self.of.name]

    def text(self, value: int, counts: Counts) -> str:
        members = (b for b in range(counts[self.of.name]) if value >> b & 1)
        return "{" + ",".join(self.of.text(b, counts) for b in members) + "}"

    def has(self, members: Any, x: Any) -> Expr:
        return self._has(members, x)

    def large(self, members: Any) -> Expr:
        """It has at least `minimum` members, a parameter of the instance (min.insync.replicas)."""
        return self._large(members)

    def is_empty(self, members: Any) -> Expr:
        return for_all(self.of, lambda x: not_(self.has(members, x)))

    def same(self, a: Any, b: Any) -> Expr:
        """They have the same members."""
        return for_all(self.of, lambda x: iff(self.has(a, x), self.has(b, x)))

    def plus(self, new: Any, old: Any, x: Any) -> Expr:
        """`new` is `old` with `x`."""
        return for_all(self.of, lambda y: iff(self.has(new, y), any_of(self.has(old, y), y == x)))

    def minus(self, new: Any, old: Any, x: Any) -> Expr:
        """`new` is `old` without `x`."""
        return for_all(self.of, lambda y: iff(self.has(new, y), all_of(self.has(old, y), y != x)))

    def axioms(self) -> Iterator[Axiom]:
        def within(a: Expr, b: Expr) -> Expr:
            return for_all(self.of, lambda x: implies(self.has(a, x), self.has(b, x)))

        everyone, nobody = self._all(), self._none()
        yield (
            f"{self.name}: everyone and nobody",
            for_all(self.of, lambda x: all_of(self.has(everyone, x), not_(self.has(nobody, x)))),
        )
        yield f"{self.name}: the set of all is large", self.large(everyone)
        yield (
            f"{self.name}: what contains a large set is large",
            for_all(
                self, self, lambda a, b: implies(all_of(self.large(a), within(a, b)), self.large(b))
            ),
        )


class Quorums(Theory):
    """Sets of voters any two of which share one. A finite instance has the smallest majorities."""

    def __init__(self, name: str, of: Sort) -> None:
        super().__init__(name)
        self.of, self.parts = of, (of,)
        self._has = Symbol(f"{name}.has", (self, of), BOOL, self._is_member)

    def _members(self, counts: Counts, value: int) -> tuple[int, ...]:
        return majorities(counts[self.of.name])[value]

    def _is_member(self, counts: Counts, quorum: int, x: int) -> bool:
        return x in self._members(counts, quorum)

    def size(self, counts: Counts) -> int:
        return len(majorities(counts[self.of.name]))

    def text(self, value: int, counts: Counts) -> str:
        members = self._members(counts, value)
        return "{" + ",".join(self.of.text(b, counts) for b in members) + "}"

    def has(self, quorum: Any, x: Any) -> Expr:
        return self._has(quorum, x)

    def axioms(self) -> Iterator[Axiom]:
        yield (
            f"{self.name}: two quorums share a member",
            for_all(
                self,
                self,
                lambda p, q: exists(self.of, lambda x: all_of(self.has(p, x), self.has(q, x))),
            ),
        )


@cache
def majorities(size: int) -> tuple[tuple[int, ...], ...]:
    return tuple(itertools.combinations(range(size), size // 2 + 1))


class Sequences(Theory):
    """A whole log as one value: a finite sequence of records, each written in an epoch.

    Known are the prefixes of a log, the epoch of its last record and its length, which is all that
    brokers compare. A finite instance has every sequence of non-decreasing epochs from 1 on, with
    fewer records than there are offsets; there records have no other content, but in a proof two
    logs with equal epochs may differ.
    """

    def __init__(self, name: str, *, epoch: Sort, offset: Sort) -> None:
        if (epoch.kind, offset.kind) != ("order", "order"):
            raise SpecError("the epochs and lengths of sequences are orders: order('Epoch')")
        super().__init__(name)
        self.epoch, self.offset, self.parts = epoch, offset, (epoch, offset)
        self._prefix = Symbol(f"{name}.prefix", (self, self), BOOL, self._is_prefix)
        self._last_epoch = Symbol(f"{name}.last_epoch", (self,), epoch, self._epoch_at_end)
        self._length = Symbol(f"{name}.length", (self,), offset, self._count)
        self._empty = Symbol(f"{name}.empty", (), self, lambda _: 0)
        self.constants = {EMPTY.name: self._empty()}

    def values(self, counts: Counts) -> tuple[tuple[int, ...], ...]:
        """Every sequence of a finite instance; the first is the empty one."""
        return sequences(counts[self.epoch.name] - 1, counts[self.offset.name] - 1)

    def _is_prefix(self, counts: Counts, a: int, b: int) -> bool:
        one, other = self.values(counts)[a], self.values(counts)[b]
        return other[: len(one)] == one

    def _epoch_at_end(self, counts: Counts, a: int) -> int:
        records = self.values(counts)[a]
        return records[-1] if records else 0

    def _count(self, counts: Counts, a: int) -> int:
        return len(self.values(counts)[a])

    def size(self, counts: Counts) -> int:
        return len(self.values(counts))

    def text(self, value: int, counts: Counts) -> str:
        return "[" + " ".join(f"e{epoch}" for epoch in self.values(counts)[value]) + "]"

    @property
    def empty(self) -> Expr:
        return self._empty()

    def prefix(self, a: Any, b: Any) -> Expr:
        """`a` is a prefix of `b`, or the same."""
        return self._prefix(a, b)

    def last_epoch(self, a: Any) -> Expr:
        """The epoch of its last record; the least one if it is empty."""
        return self._last_epoch(a)

    def length(self, a: Any) -> Expr:
        return self._length(a)

    def is_extension(self, new: Any, old: Any) -> Expr:
        """`new` is `old` and one record more: its prefixes are itself and those of `old`."""
        prefixes = for_all(
            self, lambda p: iff(self.prefix(p, new), any_of(p == new, self.prefix(p, old)))
        )
        return all_of(new != old, prefixes)

    def axioms(self) -> Iterator[Axiom]:
        prefix, length = self.prefix, self.length
        rules: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("the empty log is a prefix", lambda a: all_of(prefix(a, a), prefix(self.empty, a))),
            (
                "prefixes are ordered",
                lambda a, b: implies(all_of(prefix(a, b), prefix(b, a)), a == b),
            ),
            (
                "prefixes of prefixes",
                lambda a, b, c: implies(all_of(prefix(a, b), prefix(b, c)), prefix(a, c)),
            ),
            (
                "prefixes of one log form a chain",
                lambda a, b, c: implies(
                    all_of(prefix(a, c), prefix(b, c)), any_of(prefix(a, b), prefix(b, a))
                ),
            ),
            ("prefixes are shorter", lambda a, b: implies(prefix(a, b), length(a) <= length(b))),
            (
                "a prefix of the same length is the log",
                lambda a, b: implies(all_of(prefix(a, b), length(a) == length(b)), a == b),
            ),
        )
        for name, rule in rules:
            arity = rule.__code__.co_argcount
            yield f"{self.name}: {name}", for_all(*(self,) * arity, rule)
        yield f"{self.name}: the empty log has no epoch", self.last_epoch(self.empty) == 0
        yield f"{self.name}: the empty log has no length", length(self.empty) == 0


@cache
def sequences(epochs: int, longest: int) -> tuple[tuple[int, ...], ...]:
    """All non-decreasing sequences over 1 .. epochs with at most `longest` items."""
    return tuple(
        records
        for length in range(longest + 1)
        for records in itertools.combinations_with_replacement(range(1, epochs + 1), length)
    )


def rigid(
    name: str, args: tuple[Sort, ...], result: Sort, *, table: Callable[..., int | bool]
) -> Symbol:
    """A fixed function that nobody changes: whose transaction it is, in which partition a record.

    A proof takes it as any function at all; a finite instance as `table(counts, *arguments)`.
    """
    return Symbol(name, args, result, table)
