"""Terms and worlds: one evaluator of the specification's expressions, for two kinds of world.

A term is a value that is known (an int or a bool) or SMT-LIB text. Known values are folded away as
early as possible: in a finite instance most of an unrolled formula disappears before a solver sees
it. Text rather than solver objects: it is an order of magnitude faster to make, it does not depend
on what else was made before (solvers order things by age), it can be sent to another process, and
one can read it.

    finite      sorts are bit-vectors, maps are tables of cells, quantifiers are unrolled
    unbounded   entities are uninterpreted, numbers are integers, maps are functions
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence

from spec.language.expression import Expr, fresh, lift, parts
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import BOOL, Sort
from spec.language.views import Leaf

Term = int | str
"""A known value, or SMT-LIB text of one that is not known."""
Environment = dict[int, Term]
"""Terms of variables, by the variable's id."""


class State(ABC):
    """Something that leaves can be read from; it remembers what was evaluated in it."""

    def __init__(self) -> None:
        self.memo: dict[tuple[object, ...], Term] = {}

    @abstractmethod
    def read(self, leaf: str, indices: tuple[Term, ...]) -> Term:
        """The value of a leaf at these indices."""


class World(ABC):
    """What sorts, maps and quantifiers mean; everything else of the language is the same."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._initial: dict[str, tuple[tuple[Expr, ...], Expr]] = {}
        self._meaning = {
            "get": self._get,
            "apply": self._apply,
            "not": self._not,
            "and": self._and,
            "or": self._or,
            "eq": self._eq,
            "ite": self._ite,
            "lt": self._arithmetic,
            "le": self._arithmetic,
            "add": self._arithmetic,
            "sub": self._arithmetic,
            "forall": self._quantifier,
            "exists": self._quantifier,
            "lastend": self._search,
            "first": self._search,
        }

    # ---- what the two worlds differ in -----------------------------------------------------------

    @abstractmethod
    def compound(self, text: str, sort: Sort) -> str:
        """A term made of terms: the text itself, or a name for it."""

    @abstractmethod
    def literal(self, value: int, sort: Sort) -> str:
        """A known value as text."""

    @abstractmethod
    def none(self, sort: Sort) -> Term:
        """NONE of an entity sort."""

    @abstractmethod
    def arithmetic(self, op: str, a: Term, b: Term, sort: Sort) -> Term:
        """lt, le, add or sub of two terms of an ordered sort."""

    @abstractmethod
    def quantified(
        self,
        op: str,
        variables: Sequence[Expr],
        body: Callable[[Environment], Term],
        environment: Environment,
    ) -> Term:
        """forall or exists: `body` evaluates it in an environment with the variables."""

    @abstractmethod
    def search(self, e: Expr, state: State, environment: Environment) -> Term:
        """`end_of_last` and `first_where`."""

    @abstractmethod
    def applied(self, e: Expr, arguments: tuple[Term, ...]) -> Term:
        """A rigid symbol, `e.args[0]`, at its arguments."""

    # ---- terms that fold -------------------------------------------------------------------------

    def text(self, term: Term, sort: Sort) -> str:
        if isinstance(term, str):
            return term
        if isinstance(term, bool):
            return "true" if term else "false"
        return self.literal(term, sort)

    def negation(self, term: Term) -> Term:
        if not isinstance(term, str):
            return not term
        return self.compound(f"(not {term})", BOOL)

    def all_of(self, terms: Iterable[Term]) -> Term:
        return self._joined("and", terms)

    def any_of(self, terms: Iterable[Term]) -> Term:
        return self._joined("or", terms)

    def _joined(self, op: str, terms: Iterable[Term]) -> Term:
        absorbing = op == "or"
        kept: dict[str, None] = {}
        for term in terms:
            if isinstance(term, str):
                kept[term] = None
            elif bool(term) is absorbing:
                return absorbing
        if len(kept) < 2:
            return next(iter(kept), not absorbing)
        return self.compound(f"({op} {' '.join(kept)})", BOOL)

    def equal(self, a: Term, b: Term, sort: Sort) -> Term:
        if a is b or (isinstance(a, str) == isinstance(b, str) and a == b):
            return True
        if not isinstance(a, str) and not isinstance(b, str):
            return False
        for known, other in ((a, b), (b, a)):
            if isinstance(known, bool):
                return other if known else self.negation(other)
        # In a fixed order: which side is older differs from one process to the next.
        one, other = sorted((self.text(a, sort), self.text(b, sort)))
        return self.compound(f"(= {one} {other})", BOOL)

    def choose(self, condition: Term, a: Term, b: Term, sort: Sort) -> Term:
        """`a` where the condition holds, else `b`."""
        if not isinstance(condition, str):
            return a if condition else b
        if isinstance(a, str) == isinstance(b, str) and a == b:
            return a
        if isinstance(a, bool):
            return self.any_of((condition, b)) if a else self.all_of((self.negation(condition), b))
        if isinstance(b, bool):
            return self.any_of((self.negation(condition), a)) if b else self.all_of((condition, a))
        text = f"(ite {condition} {self.text(a, sort)} {self.text(b, sort)})"
        return self.compound(text, sort)

    # ---- the evaluator ---------------------------------------------------------------------------

    def value(self, e: Expr, state: State, environment: Environment) -> Term:
        """The term of an expression; its free variables are given by the environment."""
        op = e.op
        if op == "const":
            return e.args[0]  # type: ignore[no-any-return]
        if op == "var":
            return environment[e.id]
        if op == "none":
            return self.none(e.sort)
        key = (e.id, *[environment[variable.id] for variable in e.free])
        found = state.memo.get(key)
        if found is None:
            found = state.memo[key] = self._meaning[op](e, state, environment)
        return found

    def _get(self, e: Expr, state: State, environment: Environment) -> Term:
        return state.read(e.args[0], self._values(e.args[1:], state, environment))

    def _apply(self, e: Expr, state: State, environment: Environment) -> Term:
        return self.applied(e, self._values(e.args[1:], state, environment))

    def _not(self, e: Expr, state: State, environment: Environment) -> Term:
        return self.negation(self.value(e.args[0], state, environment))

    def _and(self, e: Expr, state: State, environment: Environment) -> Term:
        return self.all_of(self.value(part, state, environment) for part in e.args)

    def _or(self, e: Expr, state: State, environment: Environment) -> Term:
        return self.any_of(self.value(part, state, environment) for part in e.args)

    def _eq(self, e: Expr, state: State, environment: Environment) -> Term:
        a, b = self._values(e.args, state, environment)
        return self.equal(a, b, e.args[0].sort)

    def _ite(self, e: Expr, state: State, environment: Environment) -> Term:
        condition = self.value(e.args[0], state, environment)
        if not isinstance(condition, str):
            return self.value(e.args[1] if condition else e.args[2], state, environment)
        a, b = self._values(e.args[1:], state, environment)
        return self.choose(condition, a, b, e.sort)

    def _arithmetic(self, e: Expr, state: State, environment: Environment) -> Term:
        a, b = self._values(e.args, state, environment)
        return self.arithmetic(e.op, a, b, e.args[0].sort)

    def _quantifier(self, e: Expr, state: State, environment: Environment) -> Term:
        variables, body = e.args
        return self.quantified(
            e.op, variables, lambda inner: self.value(body, state, inner), environment
        )

    def _search(self, e: Expr, state: State, environment: Environment) -> Term:
        return self.search(e, state, environment)

    def _values(
        self, parts: Sequence[Expr], state: State, environment: Environment
    ) -> tuple[Term, ...]:
        return tuple(self.value(part, state, environment) for part in parts)

    # ---- what actions do -------------------------------------------------------------------------

    def after(
        self,
        action: Action,
        leaf: Leaf,
        indices: tuple[Term, ...],
        state: State,
        environment: Environment,
    ) -> Term:
        """The value of one leaf at these indices after an action; later writes win."""
        result = state.read(leaf.name, indices)
        for write in action.writes:
            if write.leaf != leaf.name:
                continue
            wild = {variable.id for variable in write.wild}
            inner, tests = dict(environment), []
            for place, index, sort in zip(write.idx, indices, leaf.dims, strict=True):
                if place.id in wild:
                    inner[place.id] = index
                else:
                    tests.append(self.equal(self.value(place, state, inner), index, sort))
            hit = self.all_of([self.value(write.cond, state, inner), *tests])
            if hit is not False:
                value = self.value(write.value, state, inner)
                result = self.choose(hit, value, result, leaf.scalar.sort)
        return result

    def initial(self, leaf: Leaf, indices: tuple[Term, ...], state: State) -> Term:
        """The value that a leaf has at first at these indices."""
        if leaf.name not in self._initial:
            variables = tuple(fresh("index", sort) for sort in leaf.dims)
            init = leaf.init(*variables) if callable(leaf.init) else leaf.init
            self._initial[leaf.name] = variables, lift(init, leaf.scalar.sort)
        variables, value = self._initial[leaf.name]
        environment = {v.id: i for v, i in zip(variables, indices, strict=True)}
        return self.value(value, state, environment)


def written_leaves(action: Action) -> frozenset[str]:
    """The leaves that an action may change."""
    return frozenset(write.leaf for write in action.writes)


def read_leaves(e: Expr) -> frozenset[str]:
    """The leaves that an expression depends on."""
    return frozenset(part.args[0] for part in parts(e) if part.op == "get")


def optional_sorts(model: Model) -> frozenset[str]:
    """Entity sorts of which NONE is used: only these need guards against it."""
    found = {leaf.scalar.sort.name for leaf in model.leaves.values() if leaf.scalar.optional}
    for e in every_expression(model):
        found |= {part.sort.name for part in parts(e) if part.op == "none"}
    return frozenset(found)


def every_expression(model: Model) -> Iterator[Expr]:
    """Guards, writes, properties and cuts of a model."""
    for action in model.actions.values():
        yield from (guard for guard, _ in action.requires)
        for write in action.writes:
            yield from (write.value, write.cond, *write.idx)
    for properties in (model.invariants, model.conjuncts, model.witnesses):
        yield from (each.expr for each in properties.values())
    yield from (each.expr for each in model.cuts.values())
