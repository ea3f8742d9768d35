"""Whether a proof is about its protocol: it may add to what the protocol says, and change nothing.

Expressions are compared in a normal form, in which bound variables have names of their own: traced
twice, the same text gives the same object, and nothing else does. As text two expressions may look
alike that are not: variables of one name, or of different sorts.
"""

from collections.abc import Iterator, Mapping

from spec.language.expression import Expr, fresh, lift, make, rebuilt, substitute
from spec.language.model import Model
from spec.language.protocol import Action
from spec.language.sorts import Sort
from spec.language.views import Leaf


def only_extends(proof: Model, model: Model) -> bool:
    """Whether the proof adds history variables and properties to the protocol, and no more."""
    return not changes(proof, model)


def changes(proof: Model, model: Model) -> list[str]:
    """What a proof says otherwise than its protocol, by name.

    A proof may have history variables, conjuncts, cuts and invariants of its own, and theories that
    the protocol does not use. What the protocol has must be the same: variables with their initial
    values, what actions require and write (the protocol's own history included), invariants,
    witnesses, functions and axioms.
    """
    ours, theirs = _parts(proof, model), _parts(model, model)
    names = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    more = (leaf for name, leaf in proof.leaves.items() if name not in model.leaves)
    return [*names, *(f"the variable {leaf.name}" for leaf in more if not leaf.history)]


def _parts(model: Model, protocol: Model) -> dict[str, object]:
    """What a model says of everything that the protocol speaks of, and of its actions."""
    axioms = {name: normal(axiom) for name, axiom in model.axioms}
    found: dict[str, object] = {
        f"the action {action.name}": action_text(action, protocol.leaves)
        for action in model.actions.values()
    }
    for name in protocol.leaves.keys() & model.leaves.keys():
        found[f"the variable {name}"] = leaf_text(model.leaves[name])
    for name in protocol.invariants.keys() & model.invariants.keys():
        each = model.invariants[name]
        found[f"the invariant {name}"] = (normal(each.expr).id, each.clauses)
    for name in protocol.witnesses.keys() & model.witnesses.keys():
        found[f"the witness {name}"] = normal(model.witnesses[name].expr).id
    for name in protocol.sorts.keys() & model.sorts.keys():
        found[f"the sort {name}"] = id(model.sorts[name])
    for name in protocol.symbols.keys() & model.symbols.keys():
        found[f"the function {name}"] = id(model.symbols[name])
    for name in dict(protocol.axioms).keys() & axioms.keys():
        found[f"the axiom {name}"] = axioms[name].id
    return found


def action_text(action: Action, leaves: Mapping[str, Leaf]) -> object:
    """What an action requires and what it writes to these leaves; equal for the same text."""
    values = {p.id: _stand_in(p.sort, 0, n) for n, p in enumerate(action.params)}

    def text(e: Expr) -> int:
        return normal(substitute(e, values)).id

    def writes() -> Iterator[object]:
        for write in action.writes:
            if write.leaf in leaves:
                wild = {v.id: _stand_in(v.sort, -1, n) for n, v in enumerate(write.wild)}
                parts = (*write.idx, write.value, write.cond)
                yield write.leaf, *(text(substitute(part, wild)) for part in parts)

    params = [(param.args[0], id(param.sort)) for param in action.params]
    return params, [text(condition) for condition, _ in action.requires], list(writes())


def leaf_text(leaf: Leaf) -> object:
    """The type of a leaf and what it holds at first; equal for the same text."""
    init = leaf.init
    if callable(init):
        init = init(*(_stand_in(sort, 0, n) for n, sort in enumerate(leaf.dims)))
    value = normal(lift(init, leaf.scalar.sort))
    return [id(sort) for sort in leaf.dims], leaf.scalar, value.id, leaf.history


# ---- the normal form ----------------------------------------------------------------------------

_stand_ins: dict[tuple[Sort, int, int], Expr] = {}
_normal: dict[int, tuple[Expr, int]] = {}
"""By the id of an expression: its normal form, and how deep quantifiers are nested in it."""


def normal(e: Expr) -> Expr:
    """The expression with standard bound variables: the same object for the same text."""
    return _normalized(e)[0]


def _normalized(e: Expr) -> tuple[Expr, int]:
    found = _normal.get(e.id)
    if found is None:
        inner = {n: _normalized(x) for n, x in enumerate(e.args) if isinstance(x, Expr)}
        args = [inner[n][0] if n in inner else x for n, x in enumerate(e.args)]
        depth = max((depth for _, depth in inner.values()), default=0)
        if e.args and isinstance(e.args[0], tuple):
            depth += 1
            # Deeper than all that is bound inside, so nothing is captured.
            bound = [_stand_in(x.sort, depth, n) for n, x in enumerate(e.args[0])]
            values = {x.id: new for x, new in zip(e.args[0], bound, strict=True)}
            args = [substitute(x, values) for x in args[1:]]
            found = make(e.op, (tuple(bound), *args), e.sort), depth
        else:
            found = (rebuilt(e, tuple(args)) if inner else e), depth
        _normal[e.id] = found
    return found


def _stand_in(sort: Sort, depth: int, position: int) -> Expr:
    key = (sort, depth, position)
    if key not in _stand_ins:
        _stand_ins[key] = fresh(f"x{position}", sort)
    return _stand_ins[key]
