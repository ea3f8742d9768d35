"""Views: how a specification reads one state and writes the next.

`self.log[broker].end_offset` looks like data; each step of it is a view that remembers the name
and the indices so far, and the last one is an expression. Assignments to views of the next state
are collected as `Write`s.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from spec.language.errors import SpecError, UnknownName
from spec.language.expression import (
    TRUE,
    Expr,
    all_of,
    any_of,
    equal,
    fresh,
    iff,
    ite,
    lift,
    make,
    substitute,
)
from spec.language.quantifiers import for_all
from spec.language.sorts import (
    BOOL,
    EVERYONE,
    NOBODY,
    NONE,
    Log,
    Messages,
    Per,
    Scalar,
    SetOf,
    Sort,
    Struct,
    Type,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One variable or one map to single values; structs, sets and logs are split into leaves."""

    name: str
    dims: tuple[Sort, ...]
    scalar: Scalar
    init: Any
    """A value, or a function of the indices."""
    history: bool
    """Whether only a proof uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """new leaf[idx] = value where cond; an index in `wild` stands for every value of its sort."""

    leaf: str
    idx: tuple[Expr, ...]
    value: Expr
    cond: Expr
    wild: tuple[Expr, ...]


class State(Protocol):
    """What views read from, and write to where it is the next state."""

    def get(self, name: str, idx: tuple[Expr, ...]) -> Expr: ...

    def write(
        self, name: str, idx: tuple[Expr, ...], value: Expr, wild: tuple[Expr, ...] = ()
    ) -> None: ...


class Pre:
    """The current state: it is only read."""

    def __init__(self, leaves: dict[str, Leaf]) -> None:
        self.leaves = leaves

    def get(self, name: str, idx: tuple[Expr, ...]) -> Expr:
        return make("get", (name, *idx), self.leaves[name].scalar.sort.base)

    def write(
        self, name: str, idx: tuple[Expr, ...], value: Expr, wild: tuple[Expr, ...] = ()
    ) -> None:
        raise SpecError(f"{name}: the current state cannot be changed; assign to `new`")


class Post:
    """The next state: reads see the writes so far, later writes win."""

    def __init__(self, pre: Pre) -> None:
        self.pre = pre
        self.writes: list[Write] = []
        self.conditions: list[Expr] = []
        self.writable: frozenset[str] | None = None
        """The leaves that may be written; None for all."""

    def get(self, name: str, idx: tuple[Expr, ...]) -> Expr:
        result = self.pre.get(name, idx)
        for write in self.writes:
            if write.leaf == name:
                wild = {var.id for var in write.wild}
                paired = list(zip(write.idx, idx, strict=True))
                values = {w.id: i for w, i in paired if w.id in wild}
                same = [equal(w, i) for w, i in paired if w.id not in wild]
                hit = all_of(substitute(write.cond, values), *same)
                result = ite(hit, substitute(write.value, values), result)
        return result

    def write(
        self, name: str, idx: tuple[Expr, ...], value: Expr, wild: tuple[Expr, ...] = ()
    ) -> None:
        if self.writable is not None and name not in self.writable:
            raise SpecError(f"a proof may only write history variables, not {name}")
        cond = all_of(*self.conditions)
        self.writes.append(Write(leaf=name, idx=idx, value=value, cond=cond, wild=wild))


# ---- sets ---------------------------------------------------------------------------------------


class SetExpr:
    """A set of values of a sort, known by its members."""

    __hash__ = object.__hash__

    def __init__(self, element: Sort, member: Callable[[Expr], Expr]) -> None:
        self.element, self._member = element, member

    def has(self, x: Any) -> Expr:
        return self._member(lift(x, self.element))

    def plus(self, x: Any) -> "SetExpr":
        x = lift(x, self.element)
        return SetExpr(self.element, lambda y: any_of(self.has(y), y == x))

    def minus(self, x: Any) -> "SetExpr":
        x = lift(x, self.element)
        return SetExpr(self.element, lambda y: all_of(self.has(y), y != x))

    def where(self, condition: Callable[[Expr], Any]) -> "SetExpr":
        """Its members that meet the condition."""
        return SetExpr(self.element, lambda y: all_of(self.has(y), condition(y)))

    def is_empty(self) -> Expr:
        return for_all(self.element, lambda x: iff(self.has(x), False))

    def equals(self, other: Any) -> Expr:
        if not isinstance(other, SetExpr) or other.element.base is not self.element.base:
            raise SpecError(f"a set of {self.element} cannot be equal to {other!r}")
        return for_all(self.element, lambda x: iff(self.has(x), other.has(x)))

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return self.equals(other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return equal(self.equals(other), False)

    def __contains__(self, x: object) -> NoReturn:
        raise SpecError("`x in set` becomes a Python truth value; write set.has(x)")

    def __iter__(self) -> Iterator[Any]:
        raise SpecError("a symbolic set cannot be iterated; use for_all(set, lambda x: ...)")

    def __bool__(self) -> NoReturn:
        raise SpecError("a symbolic set has no Python truth value; use .is_empty()")


def only(x: Expr) -> SetExpr:
    """The set of one."""
    return SetExpr(x.sort, lambda y: y == x)


def ite_set(condition: Any, a: SetExpr, b: SetExpr) -> SetExpr:
    """`a` where the condition holds, else `b`."""
    return SetExpr(a.element, lambda x: ite(condition, a.has(x), b.has(x)))


# ---- views of the state -------------------------------------------------------------------------


class View:
    """A part of a state that is more than one value: a map, a struct, a log, a set of messages."""

    __hash__ = object.__hash__
    _state: State
    _type: Any
    _name: str
    _at: tuple[Expr, ...]

    def __init__(self, state: State, type_: Any, name: str, at: tuple[Expr, ...]) -> None:
        self.__dict__.update(_state=state, _type=type_, _name=name, _at=at)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        raise SpecError(f"{self._name} as a whole cannot be compared")

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return equal(self == other, False)

    def __bool__(self) -> NoReturn:
        raise SpecError(f"{self._name} is a whole map, log or struct; it has no truth value")

    def __iter__(self) -> Iterator[Any]:
        raise SpecError(f"{self._name} cannot be iterated; quantify over its index sort")

    def __contains__(self, x: object) -> NoReturn:
        raise SpecError(f"`in` on {self._name}; a set has .has(x), a log .has_offset(offset)")

    def __setattr__(self, name: str, value: object) -> None:
        raise UnknownName(f"{self._name} has no field {name} to assign")


class MapView(View):
    def __getitem__(self, key: Any) -> Any:
        view: Any = self
        for k in key if isinstance(key, tuple) else (key,):
            if not isinstance(view, MapView):
                raise SpecError(f"too many indices for {self._name}")
            at = (*view._at, lift(k, view._type.sort))
            view = view_of(view._state, view._type.value, view._name, at)
        return view

    def __setitem__(self, key: Any, value: Any) -> None:
        *outer, last = key if isinstance(key, tuple) else (key,)
        view = self[tuple(outer)] if outer else self
        if not isinstance(view, MapView):
            raise SpecError(f"too many indices for {self._name}")
        at = (*view._at, lift(last, view._type.sort))
        assign(view._state, view._type.value, view._name, at, value)


class StructView(View):
    def _field(self, name: str) -> Type:
        if name not in self._type.fields:
            known = ", ".join(self._type.fields)
            raise UnknownName(f"{self._name} has no field {name}; it has {known}")
        return self._type.fields[name]  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return view_of(self._state, self._field(name), f"{self._name}.{name}", self._at)

    def __setattr__(self, name: str, value: Any) -> None:
        assign(self._state, self._field(name), f"{self._name}.{name}", self._at, value)

    def equals(self, other: Any) -> Expr:
        return all_of(*(getattr(self, f) == getattr(other, f) for f in self._type.fields))

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        return self.equals(other)


class MessagesView(View):
    def _key(self, fields: dict[str, Any]) -> tuple[Expr, ...]:
        if set(fields) != set(self._type.fields):
            known = ", ".join(self._type.fields)
            raise SpecError(f"a message of {self._name} has exactly the fields {known}")
        return self._at + tuple(lift(fields[name], s) for name, s in self._type.fields.items())

    def has(self, **fields: Any) -> Expr:
        """Whether the message was ever sent."""
        return self._state.get(self._name, self._key(fields))

    def send(self, **fields: Any) -> None:
        """Only of the next state."""
        self._state.write(self._name, self._key(fields), TRUE)


class LogView(View):
    @property
    def end_offset(self) -> Expr:
        return self._state.get(self._name + ".end_offset", self._at)

    def has_offset(self, offset: Any) -> Expr:
        return lift(offset, self._type.offset) < self.end_offset

    def is_empty(self) -> Expr:
        return self.end_offset == 0

    def __getitem__(self, offset: Any) -> Any:
        at = (*self._at, lift(offset, self._type.offset))
        return view_of(self._state, self._type.record, self._name, at)

    def append(self, record: Any = None, **fields: Any) -> None:
        """Only of the next state: a record, or its fields."""
        end = self.end_offset
        value = fields if record is None else record
        assign(self._state, self._type.record, self._name, (*self._at, end), value)
        self._state.write(self._name + ".end_offset", self._at, end + 1)

    def truncate_to(self, end: Any) -> None:
        """Only of the next state. What is cut off is blanked: equal logs are equal states."""
        end = lift(end, self._type.offset)
        offset = fresh("offset", self._type.offset)
        for name, type_ in self._type.record.fields.items():
            leaf, at = f"{self._name}.{name}", (*self._at, offset)
            kept = ite(offset < end, self._state.get(leaf, at), blank(type_))
            self._state.write(leaf, at, kept, wild=(offset,))
        self._state.write(self._name + ".end_offset", self._at, end)


def scalar(type_: Type) -> Any:
    return Scalar(type_) if isinstance(type_, Sort) else type_


def blank(type_: Type) -> Expr:
    """What a record's field holds where there is no record."""
    kind = scalar(type_)
    if not isinstance(kind, Scalar) or (kind.sort.kind == "entity" and not kind.optional):
        raise SpecError("a field of a record is a number, a truth value or an Optional entity")
    return lift(blank_value(kind), kind.sort)


def blank_value(kind: Scalar) -> Any:
    if kind.optional:
        return NONE
    return False if kind.sort is BOOL else kind.sort.first


def view_of(state: State, type_: Type, name: str, at: tuple[Expr, ...]) -> Any:
    """The part of a state with this name and these indices."""
    kind = scalar(type_)
    if isinstance(kind, Scalar):
        return state.get(name, at)
    if isinstance(kind, SetOf):
        return SetExpr(kind.element, lambda x: state.get(name, (*at, x)))
    views: dict[type, type[View]] = {
        Struct: StructView,
        Per: MapView,
        Log: LogView,
        Messages: MessagesView,
    }
    return views[type(kind)](state, kind, name, at)


def assign(
    state: State,
    type_: Type,
    name: str,
    at: tuple[Expr, ...],
    value: Any,
    wild: tuple[Expr, ...] = (),
) -> None:
    """Writes a value of any type, leaf by leaf."""
    kind = scalar(type_)
    if isinstance(kind, Scalar):
        state.write(name, at, lift(value, kind.sort), wild)
    elif isinstance(kind, SetOf):
        members = as_set(kind, name, value)
        x = fresh("x", kind.element)
        state.write(name, (*at, x), members.has(x), (*wild, x))
    elif isinstance(kind, Struct):
        fields = as_fields(kind, name, value)
        for field, field_type in kind.fields.items():
            assign(state, field_type, f"{name}.{field}", at, fields[field], wild)
    elif isinstance(kind, Log) and isinstance(value, LogView):
        offset = fresh("offset", kind.offset)
        assign(state, kind.record, name, (*at, offset), value[offset], (*wild, offset))
        state.write(name + ".end_offset", at, value.end_offset, wild)
    elif isinstance(kind, Per) and callable(value):
        x = fresh("x", kind.sort)
        assign(state, kind.value, name, (*at, x), value(x), (*wild, x))
    else:
        raise SpecError(f"{name} cannot be assigned {value!r} as a whole")


def as_set(kind: SetOf, name: str, value: Any) -> SetExpr:
    if value is EVERYONE or value is NOBODY:
        return SetExpr(kind.element, lambda _: lift(value is EVERYONE, BOOL))
    if not isinstance(value, SetExpr) or value.element.base is not kind.element.base:
        raise SpecError(f"{name} is a set of {kind.element}; {value!r} is not")
    return value


def as_fields(kind: Struct, name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, StructView):
        return {field: getattr(value, field) for field in kind.fields}
    if not isinstance(value, dict) or set(value) != set(kind.fields):
        raise SpecError(f"{name} needs exactly the fields {', '.join(kind.fields)}")
    return value
