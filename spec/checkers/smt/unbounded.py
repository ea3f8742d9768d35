"""Any number of everything: entities and abstract sorts are uninterpreted, quantifiers stay.

    entity, abstract   an uninterpreted sort; NONE is one more value, where the sort is optional
    number             Int, of which quantifiers and parameters take the values from `first` on
    order              an uninterpreted sort with a total order and a least value
    leaves             functions `self.leaf`; after an action `new.leaf`, a macro over `self.leaf`
    symbols            uninterpreted functions, of which only the axioms are known

Everything is one SMT-LIB text that depends on nothing but the model: names are made of the names in
the specification and of how deep a variable is bound.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from spec.checkers.smt.terms import (
    Environment,
    State,
    Term,
    World,
    optional_sorts,
    written_leaves,
)
from spec.language import SpecError
from spec.language.expression import Expr, Symbol
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Sort
from spec.language.views import Leaf

_ARITHMETIC = {"lt": "<", "le": "<=", "add": "+", "sub": "-"}


class Functions(State):
    """A state given by functions: `self.leaf`, or `new.leaf` where an action changed it."""

    def __init__(self, world: "Unbounded", changed: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.world, self.changed = world, changed

    def read(self, leaf: str, indices: tuple[Term, ...]) -> Term:
        name = f"new.{leaf}" if leaf in self.changed else f"self.{leaf}"
        if not indices:
            return name
        dims = self.world.model.leaves[leaf].dims
        shown = [self.world.text(i, sort) for i, sort in zip(indices, dims, strict=True)]
        return f"({name} {' '.join(shown)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """A closed formula, and the declarations and assertions that define what occurs in it."""

    definitions: str
    term: str

    @property
    def asserted(self) -> str:
        return f"{self.definitions}(assert {self.term})\n"

    @property
    def denied(self) -> str:
        return f"{self.definitions}(assert (not {self.term}))\n"

    def assumed_if(self, name: str) -> str:
        """Asserted under a new Boolean constant."""
        return f"{self.definitions}(declare-const {name} Bool)\n(assert (=> {name} {self.term}))\n"


class Unbounded(World):
    """The obligations' vocabulary: what a model's text means in any size."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self.optional = optional_sorts(model)
        self._scope = ""
        self._definitions: list[str] = []
        self._searches = 0

    # ---- terms -----------------------------------------------------------------------------------

    def compound(self, text: str, sort: Sort) -> str:
        return text

    def negation(self, term: Term) -> Term:
        if isinstance(term, str) and term.startswith("(not "):
            return term[5:-1]
        return super().negation(term)

    def sort_text(self, sort: Sort) -> str:
        if sort.kind == "number":
            return "Int"
        return "Bool" if sort is BOOL else f"sort.{sort.name}"

    def literal(self, value: int, sort: Sort) -> str:
        if sort.kind == "order" and value == 0:
            return f"least.{sort.name}"
        if sort.kind != "number":
            raise SpecError(f"{sort} has no value {value} that can be written")
        return str(value) if value >= 0 else f"(- {-value})"

    def none(self, sort: Sort) -> Term:
        return f"none.{sort.name}"

    def arithmetic(self, op: str, a: Term, b: Term, sort: Sort) -> Term:
        left, right = self.text(a, sort), self.text(b, sort)
        if sort.kind == "order":
            # Not (b <= a) rather than a <= b and a != b: the order is total.
            if op == "le":
                return f"(le.{sort.name} {left} {right})"
            return f"(not (le.{sort.name} {right} {left}))"
        if not isinstance(a, str) and not isinstance(b, str):
            return {"lt": a < b, "le": a <= b, "add": a + b, "sub": a - b}[op]
        return f"({_ARITHMETIC[op]} {left} {right})"

    def typed(self, term: str, sort: Sort) -> list[Term]:
        """What a variable of a sort is known to be."""
        if sort.kind == "number":
            return [f"(>= {term} {self.literal(sort.first, sort)})"]
        if sort.name in self.optional:
            return [f"(not (= {term} none.{sort.name}))"]
        return []

    def quantified(
        self,
        op: str,
        variables: Sequence[Expr],
        body: Callable[[Environment], Term],
        environment: Environment,
    ) -> Term:
        inner, bound, types = dict(environment), [], []
        for variable in variables:
            name = f"{variable.args[0]}.{len(inner) + 1}"
            inner[variable.id] = name
            bound.append(f"({name} {self.sort_text(variable.sort)})")
            types += self.typed(name, variable.sort)
        term = body(inner)
        if not isinstance(term, str):
            return term
        if op == "forall":
            term = self.any_of([*(self.negation(each) for each in types), term])
        else:
            term = self.all_of([*types, term])
        return f"({op} ({' '.join(bound)}) {term})"

    def search(self, e: Expr, state: State, environment: Environment) -> Term:
        """A constant with its definition.

        The definition is satisfiable in every state (what is searched is finite), so that asserting
        it cannot hide a contradiction.
        """
        (variable,), below, body = e.args
        for free in e.free:
            term = environment[free.id]
            if not (isinstance(term, str) and term.endswith(".0")):
                raise SpecError(
                    "end_of_last and first_where cannot be proved under a quantifier", self._scope
                )
        sort = self.sort_text(variable.sort)
        self._searches += 1
        found = f"{e.op}.{self._scope}.{self._searches}"
        limit = self.text(self.value(below, state, environment), variable.sort)

        def holds(offset: str) -> str:
            inner = {**environment, variable.id: offset}
            return self.text(self.value(body, state, inner), BOOL)

        some = f"{variable.args[0]}.{len(environment) + 1}"
        start = max(0, variable.sort.first)
        if e.op == "lastend":
            least = f"(or (= {found} 0) (> {found} {start}))"
            where = f"(or (= {found} 0) (and (<= {found} {limit}) {holds(f'(- {found} 1)')}))"
            beyond = f"(and (>= {some} {start}) (>= {some} {found}) (< {some} {limit}))"
        else:
            least = f"(or (>= {found} {start}) (= {found} {limit}))"
            where = f"(or (= {found} {limit}) (and (< {found} {limit}) {holds(found)}))"
            beyond = f"(and (>= {some} {start}) (< {some} {found}) (< {some} {limit}))"
        self._definitions += [
            f"(declare-const {found} {sort})",
            f"(assert {least})",
            f"(assert {where})",
            f"(assert (forall (({some} {sort})) (=> {beyond} (not {holds(some)}))))",
        ]
        return found

    def applied(self, e: Expr, arguments: tuple[Term, ...]) -> Term:
        symbol: Symbol = e.args[0]
        if not arguments:
            return f"fun.{symbol.name}"
        shown = [self.text(a, sort) for a, sort in zip(arguments, symbol.args, strict=True)]
        return f"(fun.{symbol.name} {' '.join(shown)})"

    # ---- texts -----------------------------------------------------------------------------------

    @cached_property
    def vocabulary(self) -> str:
        """Declarations of sorts, symbols and the current state, and the axioms."""
        lines: list[str] = []
        for sort in self.model.sorts.values():
            if sort.kind != "number":
                lines.append(f"(declare-sort {self.sort_text(sort)} 0)")
            if sort.name in self.optional:
                lines.append(f"(declare-const {self.none(sort)} {self.sort_text(sort)})")
            if sort.kind == "order":
                lines += _total_order(sort)
        for symbol in self.model.symbols.values():
            lines.append(self._function(f"fun.{symbol.name}", symbol.args, symbol.result))
        for leaf in self.model.leaves.values():
            lines.append(self._function(f"self.{leaf.name}", leaf.dims, leaf.scalar.sort))
        for name, axiom in self.model.axioms:
            lines.append(f"; {name}\n{self.formula(axiom, 'axiom').asserted}")
        return "\n".join(lines) + "\n"

    def _function(self, name: str, taken: Sequence[Sort], result: Sort) -> str:
        sorts = " ".join(map(self.sort_text, taken))
        return f"(declare-fun {name} ({sorts}) {self.sort_text(result)})"

    def formula(
        self,
        e: Expr,
        scope: str,
        *,
        parameters_of: Action | None = None,
        after: Action | None = None,
    ) -> Formula:
        """An expression as a formula about the current state, or about the state after an action.

        `scope` tells the names of its definitions from those of other formulas.
        """
        state = Functions(self, written_leaves(after) if after is not None else frozenset())
        environment = self._parameters(parameters_of) if parameters_of is not None else {}
        with self._defining(scope) as definitions:
            term = self.text(self.value(e, state, environment), BOOL)
        return Formula(definitions="".join(f"{each}\n" for each in definitions), term=term)

    @contextmanager
    def _defining(self, scope: str) -> Iterator[list[str]]:
        """Collects the definitions that evaluation makes; the scope is part of their names."""
        self._scope, self._searches, self._definitions = scope, 0, []
        yield self._definitions

    def step(self, action: Action) -> str:
        """The action's parameters, its guard, and the next state as macros.

        Writes are inlined where a changed leaf is read, so that there are no frame axioms.
        """
        lines = [f"; {action.name}"]
        state, environment = Functions(self), self._parameters(action)
        for parameter in action.params:
            name = str(environment[parameter.id])
            lines.append(f"(declare-const {name} {self.sort_text(parameter.sort)})")
            lines += [f"(assert {fact})" for fact in self.typed(name, parameter.sort)]
        with self._defining(action.name) as definitions:
            for guard, where in action.requires:
                term = self.text(self.value(guard, state, environment), BOOL)
                lines += [*definitions, f"; {where}\n(assert {term})"]
                definitions.clear()
            for leaf in self.model.leaves.values():
                if leaf.name in written_leaves(action):
                    names, bound = self._indices(leaf)
                    value = self.after(action, leaf, names, state, environment)
                    sort = leaf.scalar.sort
                    head = f"new.{leaf.name} ({' '.join(bound)}) {self.sort_text(sort)}"
                    lines += [*definitions, f"(define-fun {head} {self.text(value, sort)})"]
                    definitions.clear()
        return "\n".join(lines) + "\n"

    def initially(self) -> str:
        """Assertions that the current state is an initial one."""
        lines = []
        for leaf in self.model.leaves.values():
            names, bound = self._indices(leaf)
            state, sort = Functions(self), leaf.scalar.sort
            value = self.initial(leaf, names, state)
            typed = [
                fact
                for name, dim in zip(names, leaf.dims, strict=True)
                for fact in self.typed(str(name), dim)
            ]
            term = self.any_of(
                [*map(self.negation, typed), self.equal(state.read(leaf.name, names), value, sort)]
            )
            text = self.text(term, BOOL)
            lines.append(
                f"(assert (forall ({' '.join(bound)}) {text}))" if bound else f"(assert {text})"
            )
        return "\n".join(lines) + "\n"

    def _indices(self, leaf: Leaf) -> tuple[tuple[Term, ...], list[str]]:
        """Names for the indices of a leaf, and their declarations."""
        # No variable of a specification is called so: none can capture an index that it binds.
        names = tuple(f"at!{n}" for n in range(1, len(leaf.dims) + 1))
        sorts = map(self.sort_text, leaf.dims)
        return names, [f"({name} {sort})" for name, sort in zip(names, sorts, strict=True)]

    def _parameters(self, action: Action) -> Environment:
        return {parameter.id: f"{parameter.args[0]}.0" for parameter in action.params}


def _total_order(sort: Sort) -> list[str]:
    name, le, least = f"sort.{sort.name}", f"le.{sort.name}", f"least.{sort.name}"
    a, b, c = f"(a {name})", f"(b {name})", f"(c {name})"
    return [
        f"(declare-fun {le} ({name} {name}) Bool)",
        f"(declare-const {least} {name})",
        f"(assert (forall ({a}) ({le} a a)))",
        f"(assert (forall ({a} {b}) (or ({le} a b) ({le} b a))))",
        f"(assert (forall ({a} {b}) (=> (and ({le} a b) ({le} b a)) (= a b))))",
        f"(assert (forall ({a} {b} {c}) (=> (and ({le} a b) ({le} b c)) ({le} a c))))",
        f"(assert (forall ({a}) ({le} {least} a)))",
    ]
