"""Ground expressions on many states at once: NumPy arrays of one byte per state.

Every operation works on whole arrays and allocates one result. Choices are made with bit masks: a
`numpy.where` of bytes takes six times as long.
"""

import operator
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from spec.checkers.explore.packing import Field, Words
from spec.checkers.ground import Node, Table, Value

Array = Any
"""An array of int8 or of truth values with one entry for each state, or a constant."""
Values = dict[int, Array]
"""What nodes are on a block of states, by the number of the node."""


def in_order(roots: Sequence[Value], known: set[int]) -> list[Node]:
    """The nodes that the roots need and that are not known yet, parts before wholes."""
    found: dict[int, Node] = {}
    todo = [root for root in roots if isinstance(root, Node)]
    while todo:
        node = todo.pop()
        if node.number not in found and node.number not in known:
            found[node.number] = node
            todo.extend(arg for arg in node.args if isinstance(arg, Node))
    return [found[number] for number in sorted(found)]


def cell_values(words: Words, field: Field, is_bool: bool) -> Array:
    """What a cell holds in each of these states."""
    shifted = words[field.word] >> np.uint64(field.shift)
    if is_bool:
        return (shifted & np.uint64(1)).astype(np.bool_)
    values = shifted.astype(np.uint8)
    values &= np.uint8(field.mask)
    signed = values.view(np.int8)
    if field.low:
        signed += np.int8(field.low)
    return signed


def evaluate(node: Node, values: Values) -> Array:
    """The node on a block of states, where its arguments are among the values."""
    args = [values[arg.number] if isinstance(arg, Node) else arg for arg in node.args]
    return _OPERATIONS[node.op](*args)


def _joined(join: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    def operation(first: Array, second: Array, *others: Array) -> Array:
        result = join(first, second)
        for other in others:
            join(result, other, out=result)  # type: ignore[call-arg]
        return result

    return operation


def _choose(condition: Array, then: Array, otherwise: Array) -> Array:
    """`then` where the condition holds: the bits in which the two differ, masked."""
    mask = -condition.view(np.int8)
    if not isinstance(otherwise, np.ndarray):
        otherwise = np.int8(otherwise)
    mask &= then ^ otherwise
    mask ^= otherwise
    return mask


def _lookup(table: Table, *args: Array) -> Array:
    index: Array = 0
    for arg, low, size in zip(args, table.lows, table.sizes, strict=True):
        counted = arg.astype(np.intp)
        if low:
            counted -= low
        index = index * size + counted
    return _entries(table, isinstance(table.values[0], bool))[index]


@cache
def _entries(table: Table, is_bool: bool) -> Array:
    """Remembered by kind too: to Python a table of (0, 1) equals one of (False, True)."""
    return np.array(table.values, np.bool_ if is_bool else np.int8)


_OPERATIONS: dict[str, Callable[..., Array]] = {
    "not": operator.invert,
    "and": _joined(np.logical_and),
    "or": _joined(np.logical_or),
    "eq": operator.eq,
    "lt": operator.lt,
    "le": operator.le,
    "add": operator.add,
    "sub": operator.sub,
    "choose": _choose,
    "lookup": _lookup,
}
