"""Protocols: the classes that specifications are written as, and what marks their parts."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any, ClassVar, Literal, TypeVar

from spec.language.errors import SpecError, UnknownName, place
from spec.language.expression import Expr, all_of, lift
from spec.language.sorts import BOOL, Per, Sort, Type
from spec.language.views import Post, Pre, State, Write, assign, view_of

F = TypeVar("F", bound=Callable[..., Any])
_MISSING = object()


class Variable:
    """A state variable, declared in the body of a protocol by `var` or `per`."""

    def __init__(self, type_: Type, init: Any, where: str) -> None:
        self.type, self.init, self.where = type_, init, where
        self.history = False
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, protocol: "Protocol | None", owner: type) -> Any:
        return self if protocol is None else view_of(protocol._state, self.type, self.name, ())

    def __set__(self, protocol: "Protocol", value: Any) -> None:
        assign(protocol._state, self.type, self.name, (), value)


def var(type_: Type, *, init: Any = _MISSING) -> Any:
    """A state variable. Its initial value is never implicit."""
    return _declared(type_, init)


def per(sort: Sort, type_: Type, *, init: Any = _MISSING) -> Any:
    """A map: a variable for each value of a sort. `init` is a value or a function of the index."""
    if not isinstance(sort, Sort):
        raise SpecError(f"per() needs the sort of its index first, not {sort!r}")
    return _declared(Per(sort, type_), init)


def _declared(type_: Type, init: Any) -> Variable:
    frame = sys._getframe(2)
    where = place(frame.f_code, frame.f_lineno)
    if init is _MISSING:
        raise SpecError("a state variable needs its initial value: init=...", where)
    return Variable(type_, init, where)


def history(variable: Any) -> Any:
    """A variable that only a proof uses: it records what happened and influences nothing."""
    variable.history = True
    return variable


class Protocol:
    """Base class of specifications. An instance is a view of one state.

    In the methods of a subclass `self` is the current state and `new` the next one.
    """

    _state: State
    leaves_open: ClassVar[tuple[str, ...]] = ()
    """Of a proof: invariants that it does not claim."""
    hints: ClassVar[Mapping[tuple[str, str], str]] = {}
    """Of a proof: (action, property) -> names of the conjuncts that matter, which go first."""

    def __init__(self, state: State) -> None:
        object.__setattr__(self, "_state", state)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnknownName(f"{type(self).__name__} has no variable or definition {name}")

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), Variable):
            raise UnknownName(f"{type(self).__name__} has no state variable {name} to assign")
        object.__setattr__(self, name, value)


# ---- what marks a method ------------------------------------------------------------------------

Role = Literal["action", "invariant", "conjunct", "witness", "after", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a method of a protocol is to the checkers."""

    role: Role
    clauses: tuple[str, ...] = ()
    isolated: bool = False
    actions: tuple[str, ...] = ()


def _marked(method: F, mark: Mark) -> F:
    vars(method)["spec_mark"] = mark
    return method


def mark_of(member: object) -> Mark | None:
    return vars(member).get("spec_mark") if isinstance(member, FunctionType) else None


def action(method: F) -> F:
    """A step of the protocol: `def name(self, new, broker: Broker)` requires and assigns."""
    return _marked(method, Mark(role="action"))


def invariant(*clauses: str) -> Callable[[F], F]:
    """A property of every reachable state, and the clauses that it stands for."""
    return lambda method: _marked(method, Mark(role="invariant", clauses=clauses))


def witness(method: F) -> F:
    """A state that must be reachable: without it the invariants say nothing."""
    return _marked(method, Mark(role="witness"))


def conjunct(method: Any = None, *, isolated: bool = False) -> Any:
    """Part of an inductive invariant: not what anybody asked for, but what makes it provable.

    An isolated one is used only where it is needed: for itself, for cuts, and where a hint says so.
    """
    mark = Mark(role="conjunct", isolated=isolated)
    return _marked(method, mark) if method is not None else lambda m: _marked(m, mark)


def after(*actions: str) -> Callable[[F], F]:
    """Of a proof: runs with these actions, to keep history variables."""
    return lambda method: _marked(method, Mark(role="after", actions=actions))


def cut(name: str) -> Callable[[F], F]:
    """Of a proof: what holds before this action, at its parameters; proved once, then used."""
    return lambda method: _marked(method, Mark(role="cut", actions=(name,)))


# ---- what an action says ------------------------------------------------------------------------


@dataclass(eq=False)
class Action:
    """A traced action: what it requires and what it writes."""

    name: str
    params: list[Expr]
    doc: str
    where: str
    requires: list[tuple[Expr, str]] = field(default_factory=list)
    """Conditions on the current state, each with its line."""
    writes: list[Write] = field(default_factory=list)

    @property
    def guard(self) -> Expr:
        return all_of(*(condition for condition, _ in self.requires))


class Recording:
    """The action that is being traced."""

    current: "ClassVar[Recording | None]" = None

    def __init__(self, action: Action, pre: Pre) -> None:
        self.action, self.post = action, Post(pre)
        self.may_require = True

    def __enter__(self) -> "Recording":
        Recording.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Recording.current = None


def require(*conditions: Any) -> None:
    """The action is possible only if these hold in the current state."""
    recording = Recording.current
    if recording is None:
        raise SpecError("require() outside an action")
    if not recording.may_require:
        raise SpecError("a proof cannot restrict an action")
    if recording.post.conditions:
        raise SpecError("require() inside when() would hold in any case; require implies(..) first")
    frame = sys._getframe(1)
    where = place(frame.f_code, frame.f_lineno)
    recording.action.requires += [(lift(condition, BOOL), where) for condition in conditions]


@contextlib.contextmanager
def when(condition: Any) -> Iterator[None]:
    """The assignments inside are made only if it holds; the action happens in any case."""
    if Recording.current is None:
        raise SpecError("when() outside an action")
    conditions = Recording.current.post.conditions
    conditions.append(lift(condition, BOOL))
    try:
        yield
    finally:
        conditions.pop()
