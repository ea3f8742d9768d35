"""Models: what is left of a protocol once its text has been run, once, on symbolic values."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spec.language.errors import SpecError, place
from spec.language.expression import Expr, Symbol, fresh, lift, parts
from spec.language.protocol import Action, Mark, Protocol, Recording, Variable, mark_of
from spec.language.sorts import (
    BOOL,
    EMPTY,
    EVERYONE,
    NOBODY,
    Log,
    Messages,
    Per,
    Scalar,
    SetOf,
    Sort,
    Struct,
    Type,
)
from spec.language.theories import Theory
from spec.language.views import Leaf, Pre, blank_value, scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """An invariant, a conjunct or a witness, and where it was written."""

    name: str
    expr: Expr
    doc: str
    where: str
    clauses: tuple[str, ...] = ()
    isolated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A fact before an action; its free variables are the action's parameters."""

    name: str
    action: str
    expr: Expr
    doc: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A traced protocol: all that checkers see of it."""

    name: str
    doc: str
    leaves: Mapping[str, Leaf]
    actions: Mapping[str, Action]
    invariants: Mapping[str, Property]
    conjuncts: Mapping[str, Property]
    witnesses: Mapping[str, Property]
    cuts: Mapping[str, Cut]
    sorts: Mapping[str, Sort]
    """Every sort that occurs, by name."""
    symbols: Mapping[str, Symbol]
    axioms: tuple[tuple[str, Expr], ...]
    leaves_open: tuple[str, ...]
    hints: Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Method:
    """A method with a role; the signature is that of the class that introduced it."""

    mark: Mark
    call: Any
    signature: inspect.Signature
    source: Any

    @property
    def where(self) -> str:
        return place(self.source.__code__, self.source.__code__.co_firstlineno)

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.call) or ""


def trace(protocol: type[Protocol]) -> Model:
    """Runs every action, property and proof hook once. Raises `SpecError`."""
    variables, methods = _members(protocol)
    leaves = {
        leaf.name: leaf
        for name, variable in variables.items()
        for leaf in _leaves(variable.type, name, (), variable.init, variable)
    }
    pre = Pre(leaves)
    current = protocol(pre)
    properties: dict[str, dict[str, Property]] = {"invariant": {}, "conjunct": {}, "witness": {}}
    for name, method in methods.items():
        if method.mark.role in properties:
            properties[method.mark.role][name] = Property(
                name=name,
                expr=lift(method.call(current), BOOL),
                doc=method.doc,
                where=method.where,
                clauses=method.mark.clauses,
                isolated=method.mark.isolated,
            )
    _check_hooks(methods)
    actions = {
        name: _traced(protocol, name, method, methods, pre)
        for name, method in methods.items()
        if method.mark.role == "action"
    }
    cuts = {
        name: _cut(name, method, actions, current)
        for name, method in methods.items()
        if method.mark.role == "cut"
    }
    sorts, symbols = _vocabulary(leaves, actions, properties, cuts)
    theories = [sort for sort in sorts.values() if isinstance(sort, Theory)]
    model = Model(
        name=protocol.__name__,
        doc=inspect.getdoc(protocol) or "",
        leaves=leaves,
        actions=actions,
        invariants=properties["invariant"],
        conjuncts=properties["conjunct"],
        witnesses=properties["witness"],
        cuts=cuts,
        sorts=sorts,
        symbols=symbols,
        axioms=tuple(axiom for theory in theories for axiom in theory.axioms()),
        leaves_open=protocol.leaves_open,
        hints={key: frozenset(names.split()) for key, names in protocol.hints.items()},
    )
    _check_names(model)
    return model


# ---- reading a class ----------------------------------------------------------------------------


def _members(protocol: type[Protocol]) -> tuple[dict[str, Variable], dict[str, _Method]]:
    variables: dict[str, Variable] = {}
    methods: dict[str, _Method] = {}
    plain: set[str] = set()
    for owner in reversed(protocol.__mro__[: protocol.__mro__.index(Protocol)]):
        for name, member in vars(owner).items():
            if isinstance(member, Variable):
                if name in variables or name in methods or name in plain:
                    raise SpecError(f"{name} is declared twice", member.where)
                variables[name] = member
            elif inspect.isfunction(member):
                if name in variables:
                    where = place(member.__code__, member.__code__.co_firstlineno)
                    raise SpecError(f"{name} is a state variable and a definition", where)
                mark = mark_of(member)
                if mark is None and name not in methods:
                    plain.add(name)
                    continue
                methods[name] = _overriding(name, methods.get(name), mark, member, protocol)
    return variables, methods


def _overriding(
    name: str, old: _Method | None, mark: Mark | None, member: Any, protocol: Any
) -> _Method:
    """An override needs no decorator and no sorts, but the parameters must be the same."""
    signature = inspect.signature(member, eval_str=True)
    call = getattr(protocol, name)
    if old is None:
        assert mark is not None
        return _Method(mark, call, signature, member)
    if list(signature.parameters) != list(old.signature.parameters):
        where = place(member.__code__, member.__code__.co_firstlineno)
        raise SpecError(f"{name} has other parameters than what it overrides", where)
    return _Method(mark or old.mark, call, old.signature, member)


def _leaves(
    type_: Type, name: str, dims: tuple[Sort, ...], init: Any, variable: Variable
) -> Iterator[Leaf]:
    kind = scalar(type_)

    def leaf(suffix: str, more: tuple[Sort, ...], sort: Scalar, value: Any) -> Leaf:
        history = variable.history
        return Leaf(name=name + suffix, dims=dims + more, scalar=sort, init=value, history=history)

    def wrong(wanted: str) -> SpecError:
        return SpecError(f"{name} starts as {wanted}, not {init!r}", variable.where)

    if isinstance(kind, Scalar):
        if isinstance(init, dict):
            raise wrong(f"a {kind.sort}")
        constant = kind.sort.constants.get(getattr(init, "name", ""))
        yield leaf("", (), kind, init if constant is None else lambda *_: constant)
    elif isinstance(kind, SetOf):
        everyone = {EVERYONE: True, NOBODY: False}.get(init) if init in (EVERYONE, NOBODY) else init
        if not isinstance(everyone, bool) and not callable(everyone):
            raise wrong("EVERYONE, NOBODY or a function")
        yield leaf("", (kind.element,), Scalar(BOOL), everyone)
    elif isinstance(kind, Per):
        yield from _leaves(kind.value, name, (*dims, kind.sort), init, variable)
    elif isinstance(kind, Struct):
        if not isinstance(init, dict) or set(init) != set(kind.fields):
            raise wrong(f"a dict of exactly {', '.join(kind.fields)}")
        for field, field_type in kind.fields.items():
            yield from _leaves(field_type, f"{name}.{field}", dims, init[field], variable)
    elif isinstance(kind, Messages):
        if init is not EMPTY:
            raise wrong("EMPTY")
        yield leaf("", tuple(kind.fields.values()), Scalar(BOOL), False)
    elif isinstance(kind, Log):
        if init is not EMPTY:
            raise wrong("EMPTY")
        yield leaf(".end_offset", (), Scalar(kind.offset.end), 0)
        for field, field_type in kind.record.fields.items():
            sort = scalar(field_type)
            yield leaf(f".{field}", (kind.offset,), sort, blank_value(sort))
    else:
        raise SpecError(f"{name}: {type_!r} is not a type", variable.where)


def _traced(
    protocol: type[Protocol], name: str, method: _Method, methods: dict[str, _Method], pre: Pre
) -> Action:
    params = []
    for param in list(method.signature.parameters.values())[2:]:
        if not isinstance(param.annotation, Sort):
            raise SpecError(f"{name}: the parameter {param.name} needs its sort", method.where)
        params.append(fresh(param.name, param.annotation))
    traced = Action(name=name, params=params, doc=method.doc, where=method.where)
    with Recording(traced, pre) as recording:
        current, new = protocol(pre), protocol(recording.post)
        method.call(current, new, *params)
        recording.may_require = False
        recording.post.writable = frozenset(n for n, leaf in pre.leaves.items() if leaf.history)
        for hook in methods.values():
            if hook.mark.role == "after" and name in hook.mark.actions:
                hook.call(current, new, *_chosen(hook, list(hook.signature.parameters)[2:], traced))
    traced.writes = recording.post.writes
    return traced


def _check_hooks(methods: Mapping[str, _Method]) -> None:
    """A hook of an action that does not exist would never run, and its history never be kept."""
    actions = {name for name, method in methods.items() if method.mark.role == "action"}
    for name, hook in methods.items():
        if hook.mark.role == "after" and not set(hook.mark.actions) <= actions:
            strangers = ", ".join(sorted(set(hook.mark.actions) - actions))
            raise SpecError(f"{name} runs after {strangers}, which is no action", hook.where)


def _chosen(method: _Method, wanted: list[str], action: Action) -> list[Expr]:
    known = {param.args[0]: param for param in action.params}
    if not set(wanted) <= set(known):
        raise SpecError(f"{action.name} has no parameters {set(wanted) - set(known)}", method.where)
    return [known[name] for name in wanted]


def _cut(name: str, method: _Method, actions: dict[str, Action], current: Protocol) -> Cut:
    (target,) = method.mark.actions
    if target not in actions:
        raise SpecError(f"{name} is a cut of {target}, which is no action", method.where)
    chosen = _chosen(method, list(method.signature.parameters)[1:], actions[target])
    expr = lift(method.call(current, *chosen), BOOL)
    return Cut(name=name, action=target, expr=expr, doc=method.doc, where=method.where)


def _vocabulary(
    leaves: Mapping[str, Leaf],
    actions: Mapping[str, Action],
    properties: Mapping[str, Mapping[str, Property]],
    cuts: Mapping[str, Cut],
) -> tuple[dict[str, Sort], dict[str, Symbol]]:
    """Every sort and every symbol that occurs, those of theories included."""
    sorts: dict[str, Sort] = {}
    symbols: dict[str, Symbol] = {}

    def add(sort: Sort) -> None:
        known = sorts.get(sort.name)
        if known is not None and known is not sort.base:
            raise SpecError(f"two sorts are called {sort.name}")
        if known is None and sort is not BOOL:
            sorts[sort.name] = sort.base
            if isinstance(sort, Theory):
                for part in sort.parts:
                    add(part)
                for symbol in sort.symbols():
                    add_symbol(symbol)

    def add_symbol(symbol: Symbol) -> None:
        if symbols.setdefault(symbol.name, symbol) is not symbol:
            raise SpecError(f"two functions are called {symbol.name}")

    for leaf in leaves.values():
        for sort in (*leaf.dims, leaf.scalar.sort):
            add(sort)
    for expr in (*_initial_values(leaves), *_expressions(actions, properties, cuts)):
        for part in parts(expr):
            add(part.sort)
            if part.op == "apply":
                add_symbol(part.args[0])
    return sorts, symbols


def _initial_values(leaves: Mapping[str, Leaf]) -> Iterator[Expr]:
    for leaf in leaves.values():
        if callable(leaf.init):
            indices = [fresh("index", sort) for sort in leaf.dims]
            yield lift(leaf.init(*indices), leaf.scalar.sort)


def _expressions(
    actions: Mapping[str, Action],
    properties: Mapping[str, Mapping[str, Property]],
    cuts: Mapping[str, Cut],
) -> Iterator[Expr]:
    for action in actions.values():
        yield from action.params
        yield from (condition for condition, _ in action.requires)
        for write in action.writes:
            yield from (write.value, write.cond, *write.idx)
    for group in properties.values():
        yield from (item.expr for item in group.values())
    yield from (cut.expr for cut in cuts.values())


def _check_names(model: Model) -> None:
    """A misspelt hint or open invariant would silently do nothing.

    INIT and IMPLIES stand beside the actions in the obligations of a proof: an action of that name
    would never be looked at.
    """
    for name in model.actions.keys() & {"INIT", "IMPLIES"}:
        raise SpecError(f"no action can be called {name}", model.actions[name].where)
    strangers = set(model.leaves_open) - set(model.invariants)
    facts = {*model.conjuncts, *model.cuts}
    for (action, name), hint in model.hints.items():
        strangers |= {action} - {*model.actions, "INIT", "IMPLIES"}
        strangers |= {name} - {*facts, *model.invariants}
        strangers |= hint - facts
    if strangers:
        raise SpecError(f"{model.name} names what it does not have: {', '.join(sorted(strangers))}")
