"""Ground expressions: nodes over the cells of a state, hash-consed and folded while being made.

A node is one of

    cell number | not x | and x.. | or x.. | eq x y | lt x y | le x y | add x y | sub x y
    choose condition x y   x where the condition holds, else y; both are numbers
    lookup table x..       an entry of a table of constants

Arguments are nodes or Python constants, of which at least one is a node. Every node knows the range
of its values; comparisons that the ranges decide are never made.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

LEAST, MOST = -128, 127
"""Values are kept in one signed byte."""


class TooLarge(ValueError):
    """A value within these bounds does not fit the byte that it is kept in."""


@dataclass(frozen=True, slots=True)
class Table:
    """Constants for each combination of arguments, the last argument varying fastest.

    An argument is counted from its own `lows`; it has as many values as `sizes` says.
    """

    values: tuple[int | bool, ...]
    lows: tuple[int, ...]
    sizes: tuple[int, ...]


class Node:
    """A value that depends on the state. Equal nodes of a graph are the same object."""

    __slots__ = ("args", "high", "is_bool", "low", "number", "op")
    op: str
    args: tuple[Any, ...]
    low: int
    high: int
    is_bool: bool
    number: int

    def __bool__(self) -> NoReturn:
        raise TypeError("a ground value depends on the state; it has no truth value in Python")

    def __repr__(self) -> str:
        return f"{self.op}{self.args}"


Value = Node | int | bool


def extent(x: Value) -> tuple[int, int]:
    """The smallest and the largest value that it can have."""
    return (x.low, x.high) if isinstance(x, Node) else (int(x), int(x))


def same(x: Value, y: Value) -> bool:
    """Whether they are equal in every state, as far as their form tells."""
    if isinstance(x, Node) or isinstance(y, Node):
        return x is y
    return x == y


class Graph:
    """Makes nodes. Each method returns a constant where the result is one."""

    def __init__(self) -> None:
        self._nodes: dict[Any, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def _make(
        self, op: str, args: tuple[Any, ...], extent: tuple[int, int] = (0, 1), is_bool: bool = True
    ) -> Node:
        key = (op, is_bool, *(("#", x.number) if isinstance(x, Node) else x for x in args))
        node = self._nodes.get(key)
        if node is None:
            low, high = extent
            if low < LEAST or high > MOST:
                raise TooLarge(f"{op}: values from {low} to {high} do not fit into {LEAST}..{MOST}")
            node = Node()
            node.op, node.args, node.is_bool = op, args, is_bool
            node.low, node.high, node.number = low, high, len(self._nodes)
            self._nodes[key] = node
        return node

    def cell(self, number: int, low: int, high: int, is_bool: bool) -> Node:
        return self._make("cell", (number,), (low, high), is_bool)

    # ---- logic ----------------------------------------------------------------------------------

    def negation(self, x: Value) -> Value:
        if not isinstance(x, Node):
            return not x
        return x.args[0] if x.op == "not" else self._make("not", (x,))

    def all_of(self, terms: Iterable[Value]) -> Value:
        return self._joined("and", terms)

    def any_of(self, terms: Iterable[Value]) -> Value:
        return self._joined("or", terms)

    def _joined(self, op: str, terms: Iterable[Value]) -> Value:
        zero = op == "or"
        kept: dict[int, Node] = {}
        for term in terms:
            if not isinstance(term, Node):
                if bool(term) == zero:
                    return zero
                continue
            for part in term.args if term.op == op else (term,):
                kept[part.number] = part
        if any(part.op == "not" and part.args[0].number in kept for part in kept.values()):
            return zero
        if len(kept) < 2:
            return next(iter(kept.values()), not zero)
        return self._make(op, tuple(kept.values()))

    # ---- comparison and arithmetic --------------------------------------------------------------

    def equal(self, x: Value, y: Value) -> Value:
        if same(x, y):
            return True
        (low, high), (low2, high2) = extent(x), extent(y)
        if high < low2 or high2 < low:
            return False
        for one, other in ((x, y), (y, x)):
            if isinstance(one, bool):
                return other if one else self.negation(other)
        if not isinstance(x, Node) or (isinstance(y, Node) and x.number > y.number):
            x, y = y, x
        return self._make("eq", (x, y))

    def compare(self, op: str, x: Value, y: Value) -> Value:
        """`op` is lt or le."""
        (low, high), (low2, high2) = extent(x), extent(y)
        if (high < low2) if op == "lt" else (high <= low2):
            return True
        if (low >= high2) if op == "lt" else (low > high2):
            return False
        return self._make(op, (x, y))

    def total(self, op: str, x: Value, y: Value) -> Value:
        """`op` is add or sub."""
        if not isinstance(x, Node) and not isinstance(y, Node):
            return x + y if op == "add" else x - y
        (low, high), (low2, high2) = extent(x), extent(y)
        extent_ = (low + low2, high + high2) if op == "add" else (low - high2, high - low2)
        return self._make(op, (x, y), extent_, False)

    # ---- choices --------------------------------------------------------------------------------

    def choose(self, condition: Value, x: Value, y: Value) -> Value:
        """`x` where the condition holds, else `y`."""
        if not isinstance(condition, Node):
            return x if condition else y
        x, y = _under(condition, x, True), _under(condition, y, False)
        if same(x, y):
            return x
        if _is_bool(x) or _is_bool(y):
            yes = self.all_of((condition, x))
            return self.any_of((yes, self.all_of((self.negation(condition), y))))
        if condition.op == "not":
            condition, x, y = condition.args[0], y, x
        (low, high), (low2, high2) = extent(x), extent(y)
        extent_ = (min(low, low2), max(high, high2))
        return self._make("choose", (condition, x, y), extent_, False)

    def lookup(self, table: Table, args: tuple[Node, ...], is_bool: bool) -> Value:
        """The entry at these arguments, of which each is one that can vary."""
        low, high = int(min(table.values)), int(max(table.values))
        if low == high:
            return table.values[0]
        return self._make("lookup", (table, *args), (low, high), is_bool)


def _is_bool(x: Value) -> bool:
    return x.is_bool if isinstance(x, Node) else isinstance(x, bool)


def _under(condition: Node, x: Value, truth: bool) -> Value:
    """A choice inside another choice, where the outer condition has decided the inner one."""
    while isinstance(x, Node) and x.op == "choose":
        inner, yes, no = x.args
        if inner is condition:
            x = yes if truth else no
        elif truth and _excludes(condition, inner):
            x = no
        else:
            return x
    return x


def _excludes(one: Node, other: Node) -> bool:
    """Whether both compare the same value with different constants."""
    if one.op != "eq" or other.op != "eq" or one.args[0] is not other.args[0]:
        return False
    k, k2 = one.args[1], other.args[1]
    return not isinstance(k, Node) and not isinstance(k2, Node) and k != k2
