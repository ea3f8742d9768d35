"""Small random protocols, written with the language's own constructs, for checkers to agree on.

`protocols()` draws a class: a few of the state variables below, actions with parameters, guards and
assignments, and invariants. What is drawn are recipes, functions from views of the state to
expressions, so that tracing a class twice gives the same text.
"""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import strategies as st

from spec.checkers.bounds import Bounds
from spec.checkers.step import Machine
from spec.language import (
    BOOL,
    EMPTY,
    EVERYONE,
    NONE,
    Leaf,
    Log,
    Messages,
    Model,
    Optional,
    Protocol,
    SetOf,
    Sort,
    Struct,
    Subsets,
    action,
    all_of,
    any_of,
    const,
    end_of_last,
    entity,
    exists,
    first_where,
    for_all,
    iff,
    implies,
    invariant,
    ite,
    ite_set,
    larger,
    not_,
    number,
    only,
    order,
    per,
    require,
    rigid,
    smaller,
    trace,
    var,
    when,
)

Broker = entity("Broker")
Level = number("Level", first=-1)
Offset = number("Offset")
Term = order("Term")
Group = Subsets("Group", of=Broker)
RANK = rigid("rank", (Broker,), Term, table=lambda counts, b: min(b, counts["Term"] - 1))
BOUNDS = Bounds(Broker=2, Level=2, Offset=2, Term=2, min_insync=1)

START: dict[str, Any] = {"term": 0, "owner": NONE}
VARIABLES: dict[str, Callable[[], Any]] = {
    "level": lambda: var(Level, init=-1),
    "next_level": lambda: var(Level.end, init=0),
    "height": lambda: per(Broker, Level, init=0),
    "ready": lambda: per(Broker, BOOL, init=False),
    "owner": lambda: var(Optional(Broker), init=NONE),
    "votes": lambda: per(Broker, SetOf(Broker), init=lambda a, b: a == b),
    "members": lambda: var(SetOf(Broker), init=EVERYONE),
    "log": lambda: per(Broker, Log(Struct(level=Level), Offset), init=EMPTY),
    "sent": lambda: var(Messages(sender=Broker, level=Level), init=EMPTY),
    "term": lambda: var(Term, init=0),
    "terms": lambda: per(Level, Struct(term=Term, owner=Optional(Broker)), init=START),
}

Views = tuple[Any, Any]
"""The current state and the next one; in properties twice the current one."""
Values = dict[str, Any]
"""The parameters and quantified variables, by name."""
Recipe = Callable[[Views, Values], Any]
Known = dict[str, Sort]
Draw = Callable[..., Any]


def is_of(sort: Sort, wanted: Sort) -> bool:
    return sort.base is wanted.base


class Recipes:
    """Draws recipes over some of the state variables."""

    def __init__(self, draw: Draw, variables: frozenset[str]) -> None:
        self.draw, self.variables = draw, variables
        self.names = 0

    def one(self, options: dict[str, Callable[[], Recipe]], needs: dict[str, str]) -> Recipe:
        """One of the options whose variables the protocol has; a literal only where it must be."""
        able = [key for key in options if needs.get(key, "") in {"", *self.variables}]
        telling = [key for key in able if key != "literal"]
        often = telling and (len(able) == len(telling) or self.draw(st.integers(0, 3)))
        return options[self.draw(st.sampled_from(telling if often else able))]()

    def some(self, sort: Sort, known: Known) -> list[Recipe]:
        """The known variables of a sort."""
        names = [name for name, other in known.items() if is_of(other, sort)]
        return [partial(looked_up, name) for name in names]

    def state(self) -> Callable[[Views], Any]:
        """The current state, or sometimes the next one as far as it is assigned."""
        later = self.draw(st.integers(0, 3)) == 0
        return lambda views: views[later]

    # ---- terms ----------------------------------------------------------------------------------

    def broker(self, known: Known, depth: int) -> Recipe:
        """A broker: a known one, or the owner, which may be NONE and then reads the last cell."""
        options = self.some(Broker, known)
        if "owner" in self.variables:
            state = self.state()
            options.append(lambda views, _: state(views).owner)
        if not options:
            raise AssertionError("nothing of the sort Broker is known")
        chosen: Recipe = self.draw(st.sampled_from(options))
        return chosen

    def level(self, known: Known, depth: int) -> Recipe:
        literal, state = self.draw(st.integers(-1, 1)), self.state()
        options: dict[str, Callable[[], Recipe]] = {
            "literal": lambda: lambda views, values: const(literal, Level),
            "level": lambda: lambda views, values: state(views).level,
            "next_level": lambda: lambda views, values: state(views).next_level,
        }
        for number_, recipe in enumerate(self.some(Level, known)):
            options[f"known {number_}"] = partial(same, recipe)
        if depth:
            a, b = self.lazy(self.level, known, depth), self.lazy(self.level, known, depth)
            condition = self.lazy(self.formula, known, depth)
            options |= {
                "sum": lambda: combined(lambda x: x + 1, a()),
                "difference": lambda: combined(lambda x: x - 1, a()),
                "smaller": lambda: combined(smaller, a(), b()),
                "larger": lambda: combined(larger, a(), b()),
                "ite": lambda: combined(ite, condition(), a(), b()),
            }
        if any(is_of(sort, Broker) for sort in known.values()):
            who, where = self.lazy(self.broker, known, 0), self.lazy(self.offset, known, 0)
            options |= {
                "height": lambda: at(state, lambda s, x: s.height[x], who()),
                "log": lambda: at(state, lambda s, x, i: s.log[x][i].level, who(), where()),
            }
        needs = {name: name for name in ("level", "next_level", "height", "log")}
        return self.one(options, needs)

    def offset(self, known: Known, depth: int) -> Recipe:
        literal, state = self.draw(st.integers(0, 1)), self.state()
        options: dict[str, Callable[[], Recipe]] = {
            "literal": lambda: lambda views, values: const(literal, Offset)
        }
        for number_, recipe in enumerate(self.some(Offset, known)):
            options[f"known {number_}"] = partial(same, recipe)
        if any(is_of(sort, Broker) for sort in known.values()):
            b = self.lazy(self.broker, known, 0)
            options["end"] = lambda: at(state, lambda s, x: s.log[x].end_offset, b())
            if depth:
                options["last"] = lambda: self.search(end_of_last, known, depth)
                options["first"] = lambda: self.search(first_where, known, depth)
        return self.one(options, {"end": "log", "last": "log", "first": "log"})

    def search(self, kind: Callable[..., Any], known: Known, depth: int) -> Recipe:
        name, b = self.fresh(), self.broker(known, 0)
        body = self.formula({**known, name: Offset}, depth - 1)
        return lambda views, values: kind(
            views[0].log[b(views, values)].end_offset,
            lambda offset: body(views, {**values, name: offset}),
        )

    def term(self, known: Known, depth: int) -> Recipe:
        state = self.state()
        options: dict[str, Callable[[], Recipe]] = {
            "literal": lambda: lambda views, values: const(0, Term),
            "term": lambda: lambda views, values: state(views).term,
        }
        for number_, recipe in enumerate(self.some(Term, known)):
            options[f"known {number_}"] = partial(same, recipe)
        level = self.lazy(self.level, known, 0)
        options["terms"] = lambda: at(state, lambda s, x: s.terms[x].term, level())
        if any(is_of(sort, Broker) for sort in known.values()):
            options["rank"] = lambda: combined(RANK, self.broker(known, 0))
        return self.one(options, {"term": "term", "terms": "terms"})

    # ---- formulas -------------------------------------------------------------------------------

    def formula(self, known: Known, depth: int) -> Recipe:
        state = self.state()
        options: dict[str, Callable[[], Recipe]] = {
            **self.comparisons(known, depth),
            "nobody": lambda: lambda views, values: state(views).owner == NONE,
        }
        if any(is_of(sort, Broker) for sort in known.values()):
            who, level = self.lazy(self.broker, known, 0), self.lazy(self.level, known, 0)
            options |= {
                "same": lambda: combined(lambda x, y: x == y, who(), who()),
                "ready": lambda: at(state, lambda s, x: s.ready[x], who()),
                "votes": lambda: at(state, lambda s, x, y: s.votes[x].has(y), who(), who()),
                "members": lambda: at(state, lambda s, x: s.members.has(x), who()),
                "sent": lambda: at(
                    state, lambda s, x, y: s.sent.has(sender=x, level=y), who(), level()
                ),
            }
            for group in self.some(Group, known):
                options["group"] = partial(self.member, group, known)
        for group in self.some(Group, known):
            options["large"] = partial(combined, Group.large, group)
        if depth:
            a, b = self.lazy(self.formula, known, depth), self.lazy(self.formula, known, depth)
            options |= {
                "not": lambda: combined(not_, a()),
                "and": lambda: combined(all_of, a(), b()),
                "or": lambda: combined(any_of, a(), b()),
                "implies": lambda: combined(implies, a(), b()),
                "iff": lambda: combined(iff, a(), b()),
                "forall": lambda: self.quantified(for_all, known, depth),
                "exists": lambda: self.quantified(exists, known, depth),
            }
        names = ("ready", "votes", "members", "sent")
        return self.one(options, {"nobody": "owner", **{name: name for name in names}})

    def member(self, group: Recipe, known: Known) -> Recipe:
        return combined(Group.has, group, self.broker(known, 0))

    def rule(self) -> Recipe:
        """A property of every broker, or of some."""
        kind = self.draw(st.sampled_from([for_all, for_all, exists]))
        body = self.formula({"broker": Broker}, 3)
        return lambda views, _: kind(Broker, lambda x: body(views, {"broker": x}))

    def comparisons(self, known: Known, depth: int) -> dict[str, Callable[[], Recipe]]:
        """Of those sorts whose values are more than literals here; of one of them at least."""
        sorts = {
            "levels": (Level, self.level, {"level", "next_level", "height"}),
            "offsets": (Offset, self.offset, {"log"}),
            "terms": (Term, self.term, {"term", "terms"}),
        }
        telling: dict[str, Callable[[], Recipe]] = {
            name: partial(self.compared, kind, known, depth)
            for name, (sort, kind, variables) in sorts.items()
            if variables & self.variables or self.some(sort, known)
        }
        return telling or {"levels": lambda: self.compared(self.level, known, depth)}

    def compared(self, kind: Callable[..., Recipe], known: Known, depth: int) -> Recipe:
        relation = self.draw(
            st.sampled_from([lambda x, y: x < y, lambda x, y: x <= y, lambda x, y: x == y])
        )
        less = max(0, depth - 1)
        return combined(relation, kind(known, less), kind(known, less))

    def quantified(self, kind: Callable[..., Any], known: Known, depth: int) -> Recipe:
        name, less = self.fresh(), max(0, depth - 1)
        sort = self.draw(st.sampled_from([Broker, Broker, Level, Level.end, Offset, Term, Group]))
        body = self.formula({**known, name: sort}, less)
        terms = {Level: self.level, Offset: self.offset, Term: self.term}
        cut = self.draw(st.sampled_from(["", "below", "upto"])) if sort.base in terms else ""
        limit = terms[sort.base](known, 0) if cut else None

        def quantified(views: Views, values: Values) -> Any:
            domain = getattr(sort, cut)(limit(views, values)) if limit else sort
            return kind(domain, lambda x: body(views, {**values, name: x}))

        return quantified

    def lazy(self, kind: Callable[..., Recipe], known: Known, depth: int) -> Callable[[], Recipe]:
        return lambda: kind(known, max(0, depth - 1))

    def fresh(self) -> str:
        self.names += 1
        return f"x{self.names}"

    # ---- assignments ----------------------------------------------------------------------------

    def assignment(self, known: Known) -> Recipe:
        """Something to do to the next state."""
        level, term = self.lazy(self.level, known, 2), self.lazy(self.term, known, 1)
        formula = self.lazy(self.formula, known, 2)
        options: dict[str, Callable[[], Recipe]] = {
            "level": lambda: stored(lambda new, x: setattr(new, "level", x), level()),
            "next_level": lambda: stored(lambda new, x: setattr(new, "next_level", x), level()),
            "term": lambda: stored(lambda new, x: setattr(new, "term", x), term()),
            "terms": lambda: stored(set_term, level(), term()),
        }
        if any(is_of(sort, Broker) for sort in known.values()):
            a, b = self.lazy(self.broker, known, 0), self.lazy(self.broker, known, 0)
            offset = self.lazy(self.offset, known, 1)
            options |= {
                "owner": lambda: stored(set_owner, formula(), a()),
                "height": lambda: stored(lambda new, x, y: put(new.height, x, y), a(), level()),
                "ready": lambda: stored(lambda new, x, y: put(new.ready, x, y), a(), formula()),
                "votes": lambda: stored(set_votes, a(), b(), formula()),
                "members": lambda: stored(set_members, a(), formula()),
                "sent": lambda: stored(
                    lambda new, x, y: new.sent.send(sender=x, level=y), a(), level()
                ),
                "append": lambda: stored(
                    lambda new, x, y: new.log[x].append(level=y), a(), level()
                ),
                "truncate": lambda: stored(
                    lambda new, x, y: new.log[x].truncate_to(y), a(), offset()
                ),
                "copy": lambda: stored(lambda new, x, y: put(new.log, x, new.log[y]), a(), b()),
            }
        needs = {key: key for key in options} | dict.fromkeys(("append", "truncate", "copy"), "log")
        able = [key for key in options if needs[key] in self.variables]
        return options[self.draw(st.sampled_from(able))]() if able else lambda views, values: None


def same(recipe: Recipe) -> Recipe:
    return recipe


def looked_up(name: str, _: Views, values: Values) -> Any:
    return values[name]


def combined(function: Callable[..., Any], *recipes: Recipe) -> Recipe:
    return lambda views, values: function(*(recipe(views, values) for recipe in recipes))


def at(state: Callable[[Views], Any], read: Callable[..., Any], *recipes: Recipe) -> Recipe:
    return lambda views, values: read(state(views), *(r(views, values) for r in recipes))


def stored(write: Callable[..., Any], *recipes: Recipe) -> Recipe:
    return lambda views, values: write(views[1], *(r(views, values) for r in recipes))


def put(view: Any, index: Any, value: Any) -> None:
    view[index] = value


def append(new: Any, broker: Any, level: Any) -> None:
    new.log[broker].append(level=level)


def truncate(new: Any, broker: Any, end: Any) -> None:
    new.log[broker].truncate_to(end)


def set_term(new: Any, level: Any, term: Any) -> None:
    new.terms[level] = {"term": term, "owner": NONE}


def set_owner(new: Any, known: Any, broker: Any) -> None:
    new.owner = ite(known, broker, NONE)


def set_votes(new: Any, a: Any, b: Any, condition: Any) -> None:
    new.votes[a] = ite_set(condition, new.votes[b].plus(a), new.votes[a].minus(b))


def set_members(new: Any, a: Any, condition: Any) -> None:
    new.members = ite_set(condition, new.members.plus(a), only(a))


# ---- whole protocols ----------------------------------------------------------------------------


def method(
    name: str, known: Known, assignments: list[tuple[Recipe, Recipe]], guards: list[Recipe]
) -> Any:
    """An action: what it requires, and assignments, each with its condition."""

    def run(self: Any, new: Any, *params: Any) -> None:
        values = dict(zip(known, params, strict=True))
        for guard in guards:
            require(guard((self, self), values))
        for condition, assignment in assignments:
            with when(condition((self, new), values)):
                assignment((self, new), values)

    names = ", ".join(["self", "new", *known])
    scope: dict[str, Any] = {"run": run}
    exec(f"def {name}({names}): run({names})", scope)
    scope[name].__annotations__ = dict(known)
    return action(scope[name])


def property_of(name: str, recipe: Recipe) -> Any:
    def run(self: Any) -> Any:
        return recipe((self, self), {})

    run.__name__ = run.__qualname__ = name
    return invariant()(run)


@st.composite
def protocols(draw: Draw) -> type[Protocol]:
    """A protocol of a few variables, actions and invariants, and the opposites of these."""
    chosen = draw(st.sets(st.sampled_from(sorted(VARIABLES)), min_size=2, max_size=4))
    recipes = Recipes(draw, frozenset(chosen))
    members: dict[str, Any] = {name: VARIABLES[name]() for name in sorted(chosen)}
    for number_ in range(draw(st.integers(2, 4))):
        sorts = draw(st.lists(st.sampled_from([Level, Level.end, Offset, Term, Group]), max_size=1))
        known: Known = {"broker": Broker} | {f"p{i}": sort for i, sort in enumerate(sorts)}
        guards = [recipes.formula(known, 2)] if draw(st.integers(0, 2)) == 0 else []
        assignments = []
        for _ in range(draw(st.integers(2, 4))):
            always: Recipe = lambda views, values: any_of(True)  # noqa: E731
            condition = recipes.formula(known, 1) if draw(st.booleans()) else always
            assignments.append((condition, recipes.assignment(known)))
        members[f"act_{number_}"] = method(f"act_{number_}", known, assignments, guards)
    for number_ in range(draw(st.integers(1, 3))):
        rule, name = recipes.rule(), f"rule_{number_}"
        members[name] = property_of(name, rule)
        members[f"not_{name}"] = property_of(f"not_{name}", combined(not_, rule))
    for name, member in members.items():
        if hasattr(member, "__set_name__"):
            member.name = name
    return type("RandomProtocol", (Protocol,), members)


def models() -> st.SearchStrategy[Model]:
    return protocols().map(trace)


def bounds_of(model: Model) -> Bounds:
    """Two values of every sort, but only of those that the model has."""
    names = {*model.sorts} | ({"min_insync"} if "Group" in model.sorts else set())
    if "Group" in model.sorts:
        names.add("Broker")
    return Bounds(**{name: count for name, count in BOUNDS.counts.items() if name in names})


def random_state(machine: Machine, chance: random.Random) -> Any:
    """Some value of its type in each cell."""

    def cells(leaf: Leaf, dims: tuple[Sort, ...]) -> Any:
        if dims:
            return tuple(cells(leaf, dims[1:]) for _ in machine.bounds.domain(dims[0]))
        if leaf.scalar.sort is BOOL:
            return chance.random() < 0.5
        low, high = machine.bounds.range_of(leaf.scalar)
        return chance.randint(low, high)

    return tuple(cells(leaf, leaf.dims) for leaf in machine.model.leaves.values())
