"""Sorts and types: what a state variable may hold and what a quantifier may range over.

A sort is a set of values. How many there are is nobody's business here: a checker of finite
instances is given a count for each sort, a proof holds for any number.

entity    brokers, clients: no order, no names but NONE; so permuting them never matters
number    offsets, epochs: integers from `first` upwards
order     like numbers, with a least element 0 and an order, but without arithmetic: all that most
          proofs need, and far easier for a solver
abstract  values with a theory of their own (`theories.py`): whole logs, sets of brokers, quorums
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spec.language.errors import SpecError

Kind = Literal["bool", "entity", "number", "order", "abstract"]
Counts = Mapping[str, int]
"""How many values each sort has in a finite instance, by the name of the sort."""


class Sort:
    """A set of values; `base` is the sort itself, but for `Sort.end`, which shares its values."""

    constants: Mapping[str, Any] = {}
    """Of an abstract sort: the expressions that EVERYONE, NOBODY or EMPTY stand for."""

    def __init__(self, name: str, kind: Kind, first: int = 0, base: "Sort | None" = None) -> None:
        self.name, self.kind, self.first = name, kind, first
        self.base = base or self
        self._end: Sort | None = None

    def __repr__(self) -> str:
        return self.name

    @property
    def slack(self) -> int:
        """How many values this sort has more than its base."""
        return int(self.base is not self)

    @property
    def is_ordered(self) -> bool:
        return self.kind in ("number", "order")

    @property
    def end(self) -> "Sort":
        """The sort with one value more, one past the last: an end offset, the next free id.

        It is the same kind of number, so it mixes with the sort itself.
        """
        if self.kind != "number":
            raise SpecError(f"{self.name} has no end: only numbers have")
        if self._end is None:
            self._end = Sort(self.name, self.kind, self.first, self.base)
        return self._end

    def size(self, counts: Counts) -> int:
        """How many values it has where the sorts have these counts; numbers count from 0 on."""
        return 2 if self.kind == "bool" else counts[self.name] + self.slack - self.first

    def text(self, value: int, counts: Counts) -> str:
        """A value of a finite instance as people write it: `b1`, `7`."""
        if self.kind == "entity":
            return "none" if value < 0 else f"{self.name[0].lower()}{value + 1}"
        return str(value)

    def below(self, bound: Any) -> "Domain":
        """The values smaller than `bound`, for a quantifier to range over."""
        return Domain(self, lambda x: x < bound)

    def upto(self, bound: Any) -> "Domain":
        """The values not larger than `bound`."""
        return Domain(self, lambda x: x <= bound)


@dataclass(frozen=True, slots=True)
class Domain:
    """What a quantifier ranges over: the values of a sort that meet a condition."""

    sort: Sort
    condition: Callable[[Any], Any]


BOOL = Sort("Bool", "bool")


def entity(name: str) -> Sort:
    """Things that can only be told apart: brokers, members of a group."""
    return Sort(name, "entity")


def number(name: str, first: int = 0) -> Sort:
    """Integers from `first` on. Numbers of different sorts do not mix."""
    return Sort(name, "number", first)


def order(name: str) -> Sort:
    """Values with a total order and a least one, written 0, that nobody adds to."""
    return Sort(name, "order")


# ---- types --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of a sort, or NONE where that is allowed."""

    sort: Sort
    optional: bool = False


def Optional(sort: Sort) -> Scalar:  # noqa: N802 - it reads as the type that it makes
    """A value of an entity sort, or NONE."""
    if sort.kind != "entity":
        raise SpecError(f"only entities can be NONE, {sort} is a {sort.kind}")
    return Scalar(sort, optional=True)


@dataclass(frozen=True, slots=True)
class SetOf:
    """A set of values of a sort, as part of the state: one truth value for each."""

    element: Sort


class Struct:
    """Named fields: `Struct(leader=Optional(Broker), epoch=Epoch)`."""

    def __init__(self, **fields: "Type") -> None:
        self.fields = fields


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """An append-only sequence of records that can be cut: an end offset and a map from offsets."""

    record: Struct
    offset: Sort


@dataclass(frozen=True, slots=True, eq=False)
class Per:
    """A map: one value for each value of a sort."""

    sort: Sort
    value: "Type"


class Messages:
    """A set of messages that only grows.

    Whoever may receive one acts on any message of the set, at any time, any number of times or
    never: so delay, loss, duplication and reordering need no actions of their own.
    """

    def __init__(self, **fields: Sort) -> None:
        self.fields = fields


Type = Sort | Scalar | SetOf | Struct | Log | Per | Messages


class Name:
    """A constant of the language that is not a value of one sort only."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


NONE, EMPTY, EVERYONE, NOBODY = map(Name, ("NONE", "EMPTY", "EVERYONE", "NOBODY"))
