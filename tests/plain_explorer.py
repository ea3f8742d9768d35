"""The plainest explorer there can be: dictionaries, sets and an interpreter of expressions.

An oracle for `spec.checkers`: it shares no code with them, only the traced model. It takes the
meaning of bounds literally: it tries each action with all parameters, and refuses a step that
would store a value, or store at an index, outside its type.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spec.language import BOOL, NONE, Expr, Model, Sort, fresh
from spec.language.expression import lift

Place = tuple[str, tuple[int, ...]]
State = frozenset[tuple[Place, int]]


@dataclass
class PlainResult:
    """What the plain explorer found; numbers have the meaning that they have in Exploration."""

    levels: list[int] = field(default_factory=list)
    states: dict[State, int] = field(default_factory=dict)
    """All reachable states, with their level."""
    actions: dict[str, int] = field(default_factory=dict)
    violations: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Violating states and the first level, by invariant."""
    stuck: int = 0
    witnesses: dict[str, int] = field(default_factory=dict)


class PlainExplorer:
    def __init__(self, model: Model, counts: Mapping[str, int]) -> None:
        self.model, self.counts = model, counts

    def domain(self, sort: Sort) -> list[int]:
        if sort is BOOL:
            return [0, 1]
        return list(range(sort.first, sort.first + sort.size(self.counts)))

    def explore(self) -> PlainResult:
        result = PlainResult(actions=dict.fromkeys(self.model.actions, 0))
        level = {self.initial()}
        while level:
            result.levels.append(len(level))
            depth = len(result.levels)
            result.states |= dict.fromkeys(level, depth)
            following = set()
            for state in level:
                self._look(state, depth, result)
                successors = list(self.successors(state))
                result.stuck += not successors
                for action, _, after in successors:
                    result.actions[action] += 1
                    following.add(after)
            level = following - set(result.states)
        return result

    def _look(self, state: State, depth: int, result: PlainResult) -> None:
        held = dict(state)
        for name, invariant in self.model.invariants.items():
            if not self.value(invariant.expr, held, {}):
                count, first = result.violations.get(name, (0, depth))
                result.violations[name] = count + 1, first
        for name, witness in self.model.witnesses.items():
            if name not in result.witnesses and self.value(witness.expr, held, {}):
                result.witnesses[name] = depth

    def initial(self) -> State:
        held: dict[Place, int] = {}
        for name, leaf in self.model.leaves.items():
            for index in itertools.product(*map(self.domain, leaf.dims)):
                variables = [fresh("i", sort) for sort in leaf.dims]
                init = leaf.init(*variables) if callable(leaf.init) else leaf.init
                if init is not NONE:
                    values = {v.id: i for v, i in zip(variables, index, strict=True)}
                    init = self.value(lift(init, leaf.scalar.sort), held, values)
                held[name, index] = -1 if init is NONE else int(init)
        return frozenset(held.items())

    def successors(
        self, state: State, only: str = ""
    ) -> Iterator[tuple[str, tuple[int, ...], State]]:
        """(action, parameters, state after), of all actions or of one."""
        held = dict(state)
        for action in self.model.actions.values():
            if only not in ("", action.name):
                continue
            for chosen in itertools.product(*(self.domain(p.sort) for p in action.params)):
                values = {p.id: value for p, value in zip(action.params, chosen, strict=True)}
                if all(self.value(c, held, values) for c, _ in action.requires):
                    after = self._after(action.writes, held, values)
                    if after is not None:
                        yield action.name, chosen, frozenset(after.items())

    def _after(self, writes: Any, held: dict[Place, int], values: dict[int, int]) -> Any:
        """The state after these writes; None if one of them leaves its type."""
        after = dict(held)
        for write in writes:
            leaf = self.model.leaves[write.leaf]
            for free in itertools.product(*(self.domain(v.sort) for v in write.wild)):
                bound = {v.id: x for v, x in zip(write.wild, free, strict=True)}
                inner = {**values, **bound}
                if not self.value(write.cond, held, inner):
                    continue
                index = tuple(self.value(i, held, inner) for i in write.idx)
                stored = self.value(write.value, held, inner)
                allowed = [*self.domain(leaf.scalar.sort), *([-1] if leaf.scalar.optional else [])]
                dims = zip(index, leaf.dims, strict=True)
                if stored not in allowed or any(i not in self.domain(s) for i, s in dims):
                    return None
                after[write.leaf, index] = stored
        return after

    # ---- expressions ----------------------------------------------------------------------------

    def value(self, e: Expr, held: Mapping[Place, int], values: Mapping[int, int]) -> int:
        """The value of an expression in a state; truth values are 0 and 1."""

        def of(x: Expr) -> int:
            return self.value(x, held, values)

        op, args = e.op, e.args
        match op:
            case "const":
                return int(args[0])
            case "none":
                return -1
            case "var":
                return values[e.id]
            case "get":
                dims = self.model.leaves[args[0]].dims
                return held[args[0], self._inside(dims, [of(x) for x in args[1:]])]
            case "apply":
                inside = self._inside(args[0].args, [of(x) for x in args[1:]])
                return int(args[0].at(self.counts, *inside))
            case "add":
                return of(args[0]) + of(args[1])
            case "sub":
                return of(args[0]) - of(args[1])
            case "lt":
                return of(args[0]) < of(args[1])
            case "le":
                return of(args[0]) <= of(args[1])
            case "eq":
                return of(args[0]) == of(args[1])
            case "not":
                return not of(args[0])
            case "and":
                return all(of(x) for x in args)
            case "or":
                return any(of(x) for x in args)
            case "ite":
                return of(args[1]) if of(args[0]) else of(args[2])
        return self._bound(e, held, values)

    def _bound(self, e: Expr, held: Mapping[Place, int], values: Mapping[int, int]) -> int:
        """Quantifiers and searches."""
        *_, body = e.args
        if e.op in ("forall", "exists"):
            domains = [self.domain(v.sort) for v in e.args[0]]
            results = (
                self.value(
                    body,
                    held,
                    {**values, **{v.id: x for v, x in zip(e.args[0], chosen, strict=True)}},
                )
                for chosen in itertools.product(*domains)
            )
            return all(results) if e.op == "forall" else any(results)
        ((variable,), below, _) = e.args
        limit = self.value(below, held, values)
        hits = [
            x
            for x in self.domain(variable.sort)
            if 0 <= x < limit and self.value(body, held, {**values, variable.id: x})
        ]
        if e.op == "lastend":
            return hits[-1] + 1 if hits else 0
        return hits[0] if hits else limit

    def _inside(self, sorts: tuple[Sort, ...], index: list[int]) -> tuple[int, ...]:
        domains = [self.domain(sort) for sort in sorts]
        return tuple(i if i in d else d[-1] for i, d in zip(index, domains, strict=True))
