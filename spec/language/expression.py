"""Expressions: the typed, hash-consed graph that a specification is traced into.

An `Expr` is one of

    const v | none | var name uid | get leaf i.. | apply symbol x..
    add sub | lt le eq | ite | and or not
    forall exists (vars, body)
    lastend (var, below, body)   1 + the largest offset < below where body holds, 0 if there is none
    first   (var, below, body)   the smallest offset < below where body holds, below if none

Quantifiers stay quantifiers, state variables stay symbolic, and nothing here knows of bounds, NumPy
or Z3: each checker is an evaluator of this graph. Equal expressions are the same object.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from spec.language.errors import SpecError
from spec.language.sorts import BOOL, NONE, Counts, Name, Sort

_TRUTH = (
    "a symbolic value was used as a Python truth value; write all_of/any_of/not_/implies for "
    "and/or/not, ite or `with when(..)` for if, .has(x) for `in`, smaller(a, b) for min(a, b), and "
    "no chained comparison a < b < c"
)


class Expr:
    """A node. `free` are its free variables, in the order of their making; `id` is unique."""

    __slots__ = ("args", "free", "id", "op", "sort")
    op: str
    args: tuple[Any, ...]
    sort: Sort
    free: tuple["Expr", ...]
    id: int
    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise SpecError(_TRUTH)

    def __index__(self) -> NoReturn:
        raise SpecError("a symbolic value is not a Python number; range() cannot run over it")

    def __iter__(self) -> Iterator[Any]:
        raise SpecError("a symbolic value cannot be iterated; use for_all or exists")

    def __contains__(self, other: object) -> bool:
        raise SpecError("a symbolic value contains nothing; a set has .has(x)")

    def __eq__(self, other: object) -> "Expr":  # type: ignore[override]
        return equal(self, other)

    def __ne__(self, other: object) -> "Expr":  # type: ignore[override]
        return not_(equal(self, other))

    def __lt__(self, other: Any) -> "Expr":
        return _compared("lt", self, other)

    def __le__(self, other: Any) -> "Expr":
        return _compared("le", self, other)

    def __gt__(self, other: Any) -> "Expr":
        return _compared("lt", lift(other, self.sort), self)

    def __ge__(self, other: Any) -> "Expr":
        return _compared("le", lift(other, self.sort), self)

    def __add__(self, other: Any) -> "Expr":
        return _sum("add", self, other)

    def __sub__(self, other: Any) -> "Expr":
        return _sum("sub", self, other)

    def __repr__(self) -> str:
        from spec.language.text import show

        return show(self)


@dataclass(frozen=True, slots=True, eq=False)
class Symbol:
    """A function that is the same in every state. A finite instance has its table.

    `table(counts, *arguments)` is the value at arguments given as integers.
    """

    name: str
    args: tuple[Sort, ...]
    result: Sort
    table: Callable[..., int | bool]

    def __call__(self, *args: Any) -> Expr:
        if len(args) != len(self.args):
            raise SpecError(f"{self.name} takes {len(self.args)} arguments, {len(args)} are given")
        lifted = tuple(lift(arg, sort) for arg, sort in zip(args, self.args, strict=True))
        return make("apply", (self, *lifted), self.result)

    def at(self, counts: Counts, *args: int) -> int | bool:
        """Its value in a finite instance."""
        return self.table(counts, *args)


# ---- making nodes -------------------------------------------------------------------------------

_nodes: dict[tuple[Any, ...], Expr] = {}
_variables = itertools.count()


def make(op: str, args: tuple[Any, ...], sort: Sort) -> Expr:
    """The node, which is the same object whenever it is made again."""
    key = (op, sort, *map(_key, args))
    node = _nodes.get(key)
    if node is None:
        node = Expr()
        node.op, node.args, node.sort, node.id = op, args, sort, len(_nodes)
        node.free = (node,) if op == "var" else _free_variables(args)
        _nodes[key] = node
    return node


def _key(arg: Any) -> Any:
    if isinstance(arg, Expr):
        return ("#", arg.id)
    return tuple(x.id for x in arg) if isinstance(arg, tuple) else (type(arg), arg)


def _free_variables(args: tuple[Any, ...]) -> tuple[Expr, ...]:
    bound = {var.id for arg in args if isinstance(arg, tuple) for var in arg}
    found = {var.id: var for arg in args if isinstance(arg, Expr) for var in arg.free}
    return tuple(var for number, var in sorted(found.items()) if number not in bound)


def const(value: int | bool, sort: Sort) -> Expr:
    return make("const", (value,), sort.base)


TRUE, FALSE = const(True, BOOL), const(False, BOOL)


def fresh(name: str, sort: Sort) -> Expr:
    """A variable that is no other."""
    return make("var", (name, next(_variables)), sort)


def lift(value: Any, sort: Sort | None = None) -> Expr:
    """A Python value or an expression as an expression, of the sort where one is given."""
    if isinstance(value, Expr):
        if sort is not None and value.sort.base is not sort.base:
            raise SpecError(f"sorts do not match: {value!r} is a {value.sort}, not a {sort}")
        return value
    kind = sort.kind if sort is not None else "nothing known"
    if value is NONE and sort is not None and kind == "entity":
        return make("none", (), sort.base)
    if isinstance(value, Name) and sort is not None and value.name in sort.constants:
        constant: Expr = sort.constants[value.name]
        return constant
    if isinstance(value, bool) and sort in (None, BOOL):
        return TRUE if value else FALSE
    if isinstance(value, int) and not isinstance(value, bool) and sort is not None:
        if kind == "number" or (kind == "order" and value == 0):
            return const(value, sort)
        if kind == "order":
            raise SpecError(f"{sort} is an order: its only literal is 0, the least; not {value}")
    raise SpecError(f"{value!r} used where a {sort or 'value'} is wanted")


def _both(a: Any, b: Any) -> tuple[Expr, Expr]:
    sort = next((x.sort for x in (a, b) if isinstance(x, Expr)), None)
    return lift(a, sort), lift(b, sort)


def _compared(op: str, a: Any, b: Any) -> Expr:
    a, b = _both(a, b)
    if not a.sort.is_ordered:
        raise SpecError(f"{a.sort} values have no order")
    if a is b:
        return TRUE if op == "le" else FALSE
    return make(op, (a, b), BOOL)


def _sum(op: str, a: Any, b: Any) -> Expr:
    a, b = _both(a, b)
    if a.sort.kind != "number":
        raise SpecError(f"{a.sort} values cannot be added: only numbers can")
    return a if b.op == "const" and b.args[0] == 0 else make(op, (a, b), a.sort.base)


def equal(a: Any, b: Any) -> Expr:
    """Also between sets, and between whole structs where they stand for themselves."""
    for one, other in ((a, b), (b, a)):
        if hasattr(one, "equals"):
            whole: Expr = one.equals(other)
            return whole
    a, b = _both(a, b)
    if a is b:
        return TRUE
    if a.op == b.op == "const":
        return FALSE
    if a.sort is BOOL:
        for literal, x in ((a, b), (b, a)):
            if literal.op == "const":
                return x if literal.args[0] else not_(x)
    return make("eq", (a, b), BOOL)


# ---- logic --------------------------------------------------------------------------------------


def _joined(op: str, parts: tuple[Any, ...]) -> Expr:
    unit, zero = (TRUE, FALSE) if op == "and" else (FALSE, TRUE)
    kept: dict[int, Expr] = {}
    for part in parts:
        part = lift(part, BOOL)
        if part is zero:
            return zero
        for x in part.args if part.op == op else (part,):
            if x is not unit:
                kept[x.id] = x
    terms = tuple(kept.values())
    if len(terms) < 2:
        return terms[0] if terms else unit
    return make(op, terms, BOOL)


def all_of(*parts: Any) -> Expr:
    return _joined("and", parts)


def any_of(*parts: Any) -> Expr:
    return _joined("or", parts)


def not_(x: Any) -> Expr:
    x = lift(x, BOOL)
    if x.op == "const":
        return FALSE if x.args[0] else TRUE
    inner: Expr = x.args[0]
    return inner if x.op == "not" else make("not", (x,), BOOL)


def implies(a: Any, b: Any) -> Expr:
    return any_of(not_(a), b)


def iff(a: Any, b: Any) -> Expr:
    return equal(lift(a, BOOL), lift(b, BOOL))


def ite(condition: Any, a: Any, b: Any) -> Expr:
    """`a` where the condition holds, else `b`."""
    one, other = _both(a, b)
    condition = lift(condition, BOOL)
    if one is other:
        return one
    if condition.op == "const":
        return one if condition.args[0] else other
    return make("ite", (condition, one, other), one.sort.base)


def smaller(a: Any, b: Any) -> Expr:
    one, other = _both(a, b)
    return ite(one <= other, one, other)


def larger(a: Any, b: Any) -> Expr:
    one, other = _both(a, b)
    return ite(one <= other, other, one)


# ---- substitution -------------------------------------------------------------------------------

Values = dict[int, Expr]
"""Expressions for variables, by the variable's id."""


def substitute(e: Expr, values: Values, memo: dict[int, Expr] | None = None) -> Expr:
    """The expression with free variables replaced."""
    memo = {} if memo is None else memo
    if not any(var.id in values for var in e.free):
        return e
    if e.op == "var":
        return values[e.id]
    if e.id not in memo:
        args = tuple(substitute(x, values, memo) if isinstance(x, Expr) else x for x in e.args)
        memo[e.id] = rebuilt(e, args)
    return memo[e.id]


def rebuilt(e: Expr, args: tuple[Any, ...]) -> Expr:
    """The node with other arguments, simplified as if it were written anew."""
    simple: dict[str, Callable[..., Expr]] = {
        "and": all_of,
        "or": any_of,
        "not": not_,
        "eq": equal,
        "ite": ite,
    }
    return simple[e.op](*args) if e.op in simple else make(e.op, args, e.sort)


def parts(e: Expr) -> Iterator[Expr]:
    """The expression and everything in it, bound variables too, each once."""
    seen: set[int] = set()
    todo = [e]
    while todo:
        node = todo.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        yield node
        for arg in node.args:
            if isinstance(arg, Expr):
                todo.append(arg)
            elif isinstance(arg, tuple):
                todo.extend(arg)
