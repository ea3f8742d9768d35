"""Python text for expressions: one function of a generated module while it is being written.

A read outside a map gives its last cell, as in all checkers of finite instances
(`spec.checkers.bounds`). So every text here is total: it may be computed early, or twice.
"""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from spec.checkers.bounds import Bounds, span
from spec.checkers.step.loops import Loop, clauses, comparison, conjunction, negation
from spec.language.expression import Expr, Symbol, parts
from spec.language.model import Model
from spec.language.sorts import Sort

OPERATORS = {"eq": "==", "lt": "<", "le": "<=", "add": "+", "sub": "-"}
OPPOSITE = {"eq": "!=", "lt": ">=", "le": ">"}
UNROLLED_MAX = 32
"""Quantifiers with more instances than this become loops."""
SHARED = frozenset({"get", "add", "sub"})
"""What is worth a local name if it is used more than once."""
SEARCHES = frozenset({"lastend", "first"})
QUANTIFIERS = frozenset({"forall", "exists"})


class Instance:
    """A model with bounds, and what all generated functions share: slots, tables, intervals."""

    def __init__(self, model: Model, bounds: Bounds) -> None:
        bounds.check(model)
        self.model, self.bounds = model, bounds
        self.slot = {name: index for index, name in enumerate(model.leaves)}
        self.tables: dict[str, Any] = {}
        self._table_names: dict[str, str] = {}
        self._spans: dict[int, tuple[int, int]] = {}

    def span(self, e: Expr) -> tuple[int, int]:
        """The smallest and the largest value of an expression."""
        if e.id not in self._spans:
            self._spans[e.id] = span(e, self.model, self.bounds)
        return self._spans[e.id]

    def fits(self, e: Expr, sort: Sort) -> bool:
        """Whether every value that the expression can have is one of the sort's."""
        low, high = self.span(e)
        domain = self.bounds.domain(sort)
        return int(domain[0]) <= low and high <= int(domain[-1])

    def table(self, symbol: Symbol) -> str:
        """The global name under which generated functions find the symbol's values."""
        if symbol.name not in self._table_names:
            name = f"table_{len(self._table_names)}"
            self._table_names[symbol.name] = name
            self.tables[name] = self.bounds.table(symbol)
        return self._table_names[symbol.name]


def all_texts(texts: Sequence[str]) -> str:
    """The conjunction of Python texts."""
    kept = [text for text in dict.fromkeys(texts) if text != "True"]
    if "False" in kept:
        return "False"
    return "True" if not kept else kept[0] if len(kept) == 1 else f"({' and '.join(kept)})"


def any_texts(texts: Sequence[str]) -> str:
    """The disjunction of Python texts."""
    kept = [text for text in dict.fromkeys(texts) if text != "False"]
    if "True" in kept:
        return "True"
    return "False" if not kept else kept[0] if len(kept) == 1 else f"({' or '.join(kept)})"


def not_text(text: str) -> str:
    """The negation of a Python text."""
    return {"True": "False", "False": "True"}.get(text, f"(not {text})")


def is_number(text: str) -> bool:
    return text.removeprefix("-").isdigit()


def is_atom(text: str) -> bool:
    """Whether it can be written again and again: a name or a number."""
    return text.isidentifier() or text.isdigit()


class Function:
    """A function that is being written: its lines, and what is known at the present one."""

    def __init__(self, instance: Instance, *, count: Sequence[Expr] = ()) -> None:
        self.instance = instance
        self.lines: list[str] = []
        self.state = "s"
        """The name of the state that expressions are read in."""
        self.names: dict[int, str] = {}
        """The text of each variable that has a value here, by the variable's id."""
        self._named: dict[tuple[str, int], str] = {}
        self._learnt: dict[tuple[str, int], tuple[int, int]] = {}
        self._used: set[tuple[str, str]] = set()
        self._depth = 1
        self._numbers = itertools.count()
        self._references = references(count)

    # ---- lines ----------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self.lines.append("    " * self._depth + text)

    def fresh(self, name: str) -> str:
        """A local name that no other has."""
        return f"{name}_{next(self._numbers)}"

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """What becomes known inside is forgotten after it."""
        names, named, learnt = dict(self.names), dict(self._named), dict(self._learnt)
        yield
        self.names, self._named, self._learnt = names, named, learnt

    @contextlib.contextmanager
    def block(self, header: str) -> Iterator[None]:
        self.line(header)
        empty = len(self.lines)
        with self.scope():
            self._depth += 1
            yield
            if len(self.lines) == empty:
                self.line("pass")
            self._depth -= 1

    @contextlib.contextmanager
    def reading(self, state: str) -> Iterator[None]:
        """Inside, expressions are read in the state of this name."""
        before, self.state = self.state, state
        yield
        self.state = before

    def finished(self, name: str, arguments: Sequence[str], checks: Sequence[str] = ()) -> str:
        """The text of the whole function."""
        slots = self.instance.slot
        unpacked = [
            f"    {local_name(state, leaf)} = {state}[{slots[leaf]}]"
            for state, leaf in sorted(self._used, key=lambda use: (use[0], slots[use[1]]))
        ]
        header = f"def {name}({', '.join(arguments)}):"
        return "\n".join([header, *checks, *unpacked, *self.lines])

    # ---- loops and tests ------------------------------------------------------------------------

    def nest(
        self, stack: contextlib.ExitStack, variables: Sequence[Expr], conditions: Sequence[Expr]
    ) -> bool:
        """Opens loops and tests, so that what is written next runs where all conditions hold.

        Returns False if it never would; nothing should be written then.
        """
        for part in clauses(self, variables, conditions):
            if isinstance(part, Loop):
                self._open_loop(stack, part)
                continue
            costly = [condition for condition in part.conditions if has_search(condition)]
            cheap = [condition for condition in part.conditions if not has_search(condition)]
            for conditions in (cheap, costly):
                if not self._open_test(stack, conditions):
                    return False
        return True

    def _open_test(self, stack: contextlib.ExitStack, conditions: Sequence[Expr]) -> bool:
        self.share(conditions)
        test = all_texts([self.text(condition) for condition in conditions])
        if test not in ("True", "False"):
            stack.enter_context(self.block(f"if {test}:"))
        self.learn(conditions)
        return test != "False"

    def _open_loop(self, stack: contextlib.ExitStack, loop: Loop) -> None:
        name = loop.values if is_atom(loop.values) else loop.name
        if not loop.single:
            stack.enter_context(self.block(f"for {name} in {loop.values}:"))
        elif name is not loop.values:
            self.line(f"{name} = {loop.values}")
        self.names[loop.variable.id] = name

    def learn(self, conditions: Sequence[Expr]) -> None:
        """From here on these hold: what they say of the range of an expression is remembered."""
        for condition in conditions:
            op, smaller, larger = comparison(condition)
            if op in ("lt", "le") and smaller is not None and larger is not None:
                strict = int(op == "lt")
                low, high = self.span(smaller)
                self._learnt[self.state, smaller.id] = low, min(high, self.span(larger)[1] - strict)
                low, high = self.span(larger)
                self._learnt[self.state, larger.id] = max(low, self.span(smaller)[0] + strict), high

    def span(self, e: Expr) -> tuple[int, int]:
        """The smallest and the largest value that an expression can have here."""
        return self._learnt.get((self.state, e.id)) or self.instance.span(e)

    def share(self, exprs: Sequence[Expr]) -> None:
        """Gives names to searches, and to what is used more than once, before it is used."""
        seen: set[int] = set()

        def visit(e: Expr) -> None:
            if e.id in seen:
                return
            seen.add(e.id)
            for arg in e.args:
                if isinstance(arg, Expr):
                    visit(arg)
            often = e.op in SHARED and len(e.args) > 1 and self._references.get(e.id, 0) > 1
            key = (self.state, e.id)
            if (often or e.op in SEARCHES) and key not in self._named and self.knows(e):
                text, name = self.text(e), self.fresh("x")
                self.line(f"{name} = {text}")
                self._named[key] = name

        for e in exprs:
            visit(e)

    def knows(self, e: Expr) -> bool:
        """Whether all its variables have values here."""
        return all(variable.id in self.names for variable in e.free)

    # ---- expressions ----------------------------------------------------------------------------

    def leaf(self, name: str) -> str:
        """The local name of a leaf in the present state."""
        self._used.add((self.state, name))
        return local_name(self.state, name)

    def text(self, e: Expr) -> str:
        """The expression as Python; its variables must be known."""
        named = self._named.get((self.state, e.id))
        if named is not None:
            return named
        op, args = e.op, e.args
        if op == "const":
            return str(args[0])
        if op == "none":
            return "-1"
        if op == "var":
            return self.names[e.id]
        if op == "get":
            leaf = self.instance.model.leaves[args[0]]
            return self.leaf(args[0]) + self._indices(args[1:], leaf.dims)
        if op == "apply":
            symbol: Symbol = args[0]
            return self.instance.table(symbol) + self._indices(args[1:], symbol.args)
        if op in ("and", "or"):
            return (all_texts if op == "and" else any_texts)([self.text(x) for x in args])
        if op == "not":
            return self._opposite(args[0])
        if op == "ite":
            return self._choice(*args)
        if op in OPERATORS:
            return self._binary(OPERATORS[op], self.text(args[0]), self.text(args[1]))
        if op in QUANTIFIERS:
            return self._quantified(op, *args)
        return self._search(op, *args)

    def _indices(self, indices: Sequence[Expr], sorts: Sequence[Sort]) -> str:
        pairs = zip(indices, sorts, strict=True)
        return "".join(f"[{self.position(index, sort)}]" for index, sort in pairs)

    def position(self, index: Expr, sort: Sort) -> str:
        """Where a map has its cell for this index; the last position, or -1, for a stray one."""
        domain = self.instance.bounds.domain(sort)
        text, first, last = self.text(index), int(domain[0]), len(domain) - 1
        if is_number(text):
            value = int(text) - first
            return str(value if 0 <= value <= last else last)
        low, high = self.span(index)
        if first:
            text = f"{text}{-first:+d}"
        if high - first > last:
            text = f"min({text}, {last})"
        return f"max({text}, -1)" if low < first - 1 else text

    def _binary(self, operator: str, left: str, right: str) -> str:
        if is_number(left) and is_number(right):
            a, b = int(left), int(right)
            values = {
                "==": a == b,
                "!=": a != b,
                "<": a < b,
                "<=": a <= b,
                ">": a > b,
                ">=": a >= b,
            }
            return str({**values, "+": a + b, "-": a - b}[operator])
        return f"({left} {operator} {right})"

    def _opposite(self, e: Expr) -> str:
        named = (self.state, e.id) in self._named
        if e.op in OPPOSITE and not named:
            return self._binary(OPPOSITE[e.op], self.text(e.args[0]), self.text(e.args[1]))
        return not_text(self.text(e))

    def _choice(self, condition: Expr, then: Expr, otherwise: Expr) -> str:
        test = self.text(condition)
        if test in ("True", "False"):
            return self.text(then if test == "True" else otherwise)
        return f"({self.text(then)} if {test} else {self.text(otherwise)})"

    def _search(self, op: str, variables: tuple[Expr], below: Expr, body: Expr) -> str:
        """The first hit from one end or the other; see `spec.language.quantifiers`."""
        (variable,) = variables
        domain = self.instance.bounds.domain(variable.sort)
        first, end = max(0, int(domain[0])), int(domain[-1]) + 1
        limit, name = self.text(below), self.fresh("o")
        stop = f"min({limit}, {end})" if self.instance.span(below)[1] > end else limit
        with self.scope():
            self.names[variable.id] = name
            hit = self.text(body)
        if op == "lastend":
            offsets = f"range({stop} - 1, {first - 1}, -1)"
            return f"next(({name} + 1 for {name} in {offsets} if {hit}), 0)"
        return f"next(({name} for {name} in range({first}, {stop}) if {hit}), {limit})"

    # ---- quantifiers ----------------------------------------------------------------------------

    def _quantified(self, op: str, variables: tuple[Expr, ...], body: Expr) -> str:
        """`forall` is the absence of a counterexample: one kind of search is enough."""
        conditions = conjunction(body) if op == "exists" else negation(body)
        found = self._some(variables, conditions)
        return found if op == "exists" else not_text(found)

    def _some(self, variables: Sequence[Expr], conditions: Sequence[Expr]) -> str:
        """Whether some values of the variables meet all conditions."""
        unrolled: list[Expr] = []
        looped: list[Expr] = []
        instances = 1
        for variable in variables:
            size = len(self.instance.bounds.domain(variable.sort))
            small = variable.sort.kind in ("entity", "bool") and instances * size <= UNROLLED_MAX
            (unrolled if small else looped).append(variable)
            instances *= size if small else 1
        texts = []
        domains = [self.instance.bounds.domain(variable.sort) for variable in unrolled]
        for values in itertools.product(*domains):
            with self.scope():
                for variable, value in zip(unrolled, values, strict=True):
                    self.names[variable.id] = str(value)
                texts.append(self._looped(looped, conditions))
        return any_texts(texts)

    def _looped(self, variables: Sequence[Expr], conditions: Sequence[Expr]) -> str:
        before: list[str] = []
        loops = ""
        for part in clauses(self, variables, conditions):
            if isinstance(part, Loop):
                values = f"({part.values},)" if part.single else part.values
                loops += f" for {part.name} in {values}"
                self.names[part.variable.id] = part.name
                continue
            test = all_texts([self.text(condition) for condition in part.conditions])
            if test == "False":
                return "False"
            if not loops:
                before.append(test)
            elif test != "True":
                loops += f" if {test}"
        found = f"any(True{loops})" if loops else "True"
        return all_texts([*before, found])


def local_name(state: str, leaf: str) -> str:
    return f"{state}_{leaf.replace('.', '__')}"


def has_search(e: Expr) -> bool:
    """Whether it takes a loop to compute."""
    return any(part.op in SEARCHES or part.op in QUANTIFIERS for part in parts(e))


def references(exprs: Sequence[Expr]) -> dict[int, int]:
    """How many expressions each part of these is a direct part of."""
    count: dict[int, int] = {}
    seen: set[int] = set()
    todo = list(exprs)
    for e in exprs:
        count[e.id] = count.get(e.id, 0) + 1
    while todo:
        e = todo.pop()
        if e.id in seen:
            continue
        seen.add(e.id)
        for arg in e.args:
            if isinstance(arg, Expr):
                count[arg.id] = count.get(arg.id, 0) + 1
                todo.append(arg)
    return count
