"""What the specification language accepts, what it refuses, and where it says the slip is."""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from spec.language import (
    BOOL,
    EMPTY,
    EVERYONE,
    NOBODY,
    NONE,
    Log,
    Messages,
    Optional,
    Protocol,
    Quorums,
    Sequences,
    SetOf,
    SpecError,
    Struct,
    Subsets,
    action,
    after,
    all_of,
    any_of,
    conjunct,
    cut,
    entity,
    for_all,
    fresh,
    history,
    implies,
    invariant,
    ite,
    not_,
    number,
    only_extends,
    order,
    per,
    require,
    rigid,
    show,
    smaller,
    trace,
    var,
    when,
    witness,
)
from spec.language.expression import Expr, substitute
from spec.models.replication import MODEL, Broker, Epoch, Kip279, Kip320, Offset
from spec.proofs.replication import PROOFS, Kip320Proof

HERE = "test_language.py:"
ABSTRACT = order("AbstractEpoch")
LENGTH = order("Length")


# ---- what is refused ----------------------------------------------------------------------------

SLIPS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "and": (lambda s, b: s.quorum.leader == NONE and s.quorum.isr.has(b), "all_of"),
    "or": (lambda s, b: s.quorum.isr.has(b) or s.quorum.isr.has(b), "any_of"),
    "not": (lambda s, b: not s.quorum.isr.has(b), "not_"),
    "if": (lambda s, b: b if s.quorum.leader == NONE else s.leader[b], "ite"),
    "in a set": (lambda s, b: b in s.quorum.isr, ".has(x)"),
    "in a list": (lambda s, b: b in [s.quorum.leader], ".has(x)"),
    "in a map": (lambda s, b: b in s.leader, ".has(x)"),
    "in a value": (lambda s, b: b in s.quorum.leader, ".has(x)"),
    "a chained comparison": (lambda s, b: 0 <= s.high_watermark[b] <= 2, "chained"),
    "min()": (lambda s, b: min(s.high_watermark[b], s.next_record_id) == 0, "do not match"),
    "min() of one sort": (lambda s, b: min(s.high_watermark[b], s.high_watermark[b]), "smaller"),
    "range()": (lambda s, b: list(range(s.high_watermark[b])), "range()"),
    "for over a set": (lambda s, b: list(s.quorum.isr), "for_all"),
    "for over a map": (lambda s, b: list(s.leader), "quantify"),
    "for over a value": (lambda s, b: list(s.quorum.leader), "for_all"),
    "truth of a set": (lambda s, b: bool(s.quorum.isr), ".is_empty()"),
    "truth of a log": (lambda s, b: bool(s.log[b]), "no truth value"),
    "an offset with an epoch": (lambda s, b: s.high_watermark[b] <= s.leader_epoch[b], "sorts"),
    "a broker with a number": (lambda s, b: s.leader[b] == 0, "0 used"),
    "a truth value with a number": (lambda s, b: s.high_watermark[b] == bool(1), "True used"),
    "an index of another sort": (lambda s, b: s.leader[s.leader_epoch[b]] == NONE, "sorts"),
    "too many indices": (lambda s, b: s.high_watermark[b, b], "too many indices"),
    "an order of brokers": (lambda s, b: s.leader[b] < b, "no order"),
    "a sum of brokers": (lambda s, b: s.leader[b] + b, "only numbers"),
    "a whole map compared": (lambda s, b: s.leader == s.leader, "cannot be compared"),
    "require() in an invariant": (lambda s, b: require(s.quorum.leader == NONE), "outside"),
    "when() in an invariant": (lambda s, b: when(s.quorum.leader == NONE).__enter__(), "outside"),
    "a write to now": (lambda s, b: setattr(s.quorum, "leader", b), "assign to `new`"),
    "an unknown field": (lambda s, b: s.quorum.leadr == NONE, "no field leadr"),
    "an unknown variable": (lambda s, b: s.highwatermark[b] == 0, "highwatermark"),
    "a lambda of too few": (lambda s, b: for_all(Broker, Broker, lambda x: x == b), "2 domains"),
    "a quantifier over a list": (lambda s, b: for_all([b], lambda x: x == b), "quantify over"),
    "a quantifier without domain": (lambda s, b: for_all(lambda: True), "domains"),
    "a string": (lambda s, b: all_of("yes"), "'yes'"),
    "NONE for a number": (lambda s, b: s.high_watermark[b] == NONE, "NONE used"),
    "a set of others": (lambda s, b: s.quorum.isr == b, "cannot be equal"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_misuse_is_an_error_that_names_the_line(slip: str) -> None:
    text, hint = SLIPS[slip]

    class Wrong(Kip320):
        @invariant()
        def wrong(self) -> Any:
            return text(self, fresh("b", Broker))

    with pytest.raises(SpecError, match=HERE) as caught:
        trace(Wrong)
    assert hint in str(caught.value)
    line = SLIPS[slip][0].__code__.co_firstlineno
    assert f"{HERE}{line} " in str(caught.value), "the line of the slip, not one nearby"


def refused(make: Callable[[], Any], hint: str) -> None:
    with pytest.raises(SpecError, match=HERE) as caught:
        trace(make())
    assert hint in str(caught.value)


def test_a_missing_initial_value_is_refused() -> None:
    def missing() -> Any:
        class Wrong(Protocol):
            leader = var(Optional(Broker))

        return Wrong

    refused(missing, "init=")


@pytest.mark.parametrize(
    ("type_", "init", "hint"),
    [
        (Struct(a=Offset, b=Epoch), {"a": 0}, "exactly a, b"),
        (Struct(a=Offset), 0, "exactly a"),
        (Log(Struct(id=Offset), Offset), 0, "EMPTY"),
        (Messages(to=Broker), NOBODY, "EMPTY"),
        (SetOf(Broker), EMPTY, "EVERYONE"),
        (Offset, {"a": 0}, "a Offset"),
        ("offset", 0, "not a type"),
    ],
)
def test_a_wrong_initial_value_is_refused(type_: Any, init: Any, hint: str) -> None:
    class Wrong(Protocol):
        thing = var(type_, init=init)

    refused(lambda: Wrong, hint)


def test_only_entities_are_optional_and_only_numbers_end() -> None:
    with pytest.raises(SpecError, match="only entities"):
        Optional(Offset)
    with pytest.raises(SpecError, match="only numbers"):
        _ = Broker.end
    with pytest.raises(SpecError, match="its index first"):
        per(Struct(a=Offset), Offset, init=0)


def test_an_order_has_no_arithmetic_and_one_literal() -> None:
    x = fresh("x", ABSTRACT)
    assert show(x <= 0) == "(x <= 0)"
    for wrong in (lambda: x + 1, lambda: x == 1, lambda: x - x):
        with pytest.raises(SpecError):
            wrong()


def test_an_override_keeps_the_parameters() -> None:
    class Swapped(Kip320):
        def become_follower(self, new: Any, leader: Any, follower: Any, epoch: Any) -> None:
            super().become_follower(new, follower, leader, epoch)

    refused(lambda: Swapped, "other parameters")


def test_names_are_declared_once() -> None:
    def again() -> Any:
        class Again(Kip320):
            log = var(Offset, init=0)

        return Again

    def shadowed() -> Any:
        class Shadowed(Kip320):
            def leader(self) -> None: ...

        return Shadowed

    refused(again, "declared twice")
    refused(shadowed, "a state variable and a definition")


def test_parameters_of_actions_need_sorts() -> None:
    class Unsorted(Kip320):
        @action
        def act(self, new: Any, broker) -> None:  # type: ignore[no-untyped-def]
            require(broker == NONE)

    refused(lambda: Unsorted, "needs its sort")


def test_an_unknown_variable_cannot_be_assigned() -> None:
    class Unknown(Kip320):
        @action
        def act(self, new: Any) -> None:
            new.high_watermrk = 0

    refused(lambda: Unknown, "high_watermrk")


def test_a_proof_cannot_change_the_protocol() -> None:
    class Writes(Kip320Proof):
        @after("leader_write")
        def cheat(self, new: Any, leader: Any) -> None:
            new.high_watermark[leader] = 0

    class Restricts(Kip320Proof):
        @after("leader_write")
        def cheat(self, new: Any, leader: Any) -> None:
            require(self.quorum.leader == leader)

    class Asks(Kip320Proof):
        @after("leader_write")
        def ask(self, new: Any, follower: Any) -> None: ...

    refused(lambda: Writes, "history variables")
    refused(lambda: Restricts, "cannot restrict")
    refused(lambda: Asks, "follower")


def test_a_proof_is_about_its_protocol() -> None:
    for proof in PROOFS:
        assert only_extends(trace(proof.proof), trace(proof.protocol))
    assert not only_extends(trace(Kip320Proof), trace(Kip279))

    class Guarded(Kip320Proof):
        def leader_write(self, new: Any, leader: Any) -> None:
            super().leader_write(new, leader)
            require(self.quorum.leader == leader)

    assert not only_extends(trace(Guarded), trace(Kip320))


def test_a_misspelt_hint_is_refused() -> None:
    for wrong in (
        {("leader_writes", "types"): "types"},
        {("leader_write", "typos"): "types"},
        {("leader_write", "types"): "typos"},
    ):

        class Misspelt(Kip320Proof):
            hints = wrong

        with pytest.raises(SpecError, match="names what it does not have"):
            trace(Misspelt)

    class Open(Kip320Proof):
        leaves_open = ("week_isr",)

    with pytest.raises(SpecError, match="week_isr"):
        trace(Open)


def test_a_cut_is_of_an_action() -> None:
    class Nowhere(Kip320Proof):
        @cut("leader_writes")
        def fact(self) -> Any:
            return True

    refused(lambda: Nowhere, "no action")


# ---- what is accepted ---------------------------------------------------------------------------


class Counter(Protocol):
    """A small protocol with one of everything."""

    count = var(Offset.end, init=0)
    flags = per(Broker, BOOL, init=lambda broker: broker == broker)
    sets = per(Broker, SetOf(Broker), init=NOBODY)
    mail = var(Messages(to=Broker, number=Offset), init=EMPTY)
    seen = history(var(Offset.end, init=0))

    @action
    def step(self, new: Any, broker: Broker) -> None:  # type: ignore[valid-type]
        """Counts, twice where the flag is set."""
        require(self.count < 5)
        new.count = self.count + 1
        with when(self.flags[broker]):
            new.count = new.count + 1
        new.flags[broker] = False
        new.sets[broker] = self.sets[broker].plus(broker)
        new.mail.send(to=broker, number=self.count)

    @after("step")
    def keep(self, new: Any) -> None:
        new.seen = new.count

    @invariant("LOG-01")
    def small(self) -> Any:
        """Stays small."""
        return self.count <= 6

    @conjunct(isolated=True)
    def same(self) -> Any:
        return self.seen == self.count

    @witness
    def two(self) -> Any:
        return self.count == 2

    @cut("step")
    def fact(self, broker: Any) -> Any:
        return any_of(self.flags[broker], True)


def test_a_class_becomes_a_model() -> None:
    model = trace(Counter)
    assert list(model.leaves) == ["count", "flags", "sets", "mail", "seen"]
    assert model.leaves["mail"].dims == (Broker, Offset)
    assert [name for name, leaf in model.leaves.items() if leaf.history] == ["seen"]
    assert model.invariants["small"].clauses == ("LOG-01",)
    assert model.invariants["small"].doc == "Stays small."
    assert model.conjuncts["same"].isolated
    assert list(model.witnesses) == ["two"]
    assert model.cuts["fact"].action == "step"
    assert set(model.sorts) == {"Broker", "Offset"}
    step = model.actions["step"]
    assert step.doc.startswith("Counts")
    ((condition, where),) = step.requires
    assert show(condition) == "(count < 5)"
    assert where.startswith(HERE)
    assert where.endswith(" step")


def test_later_writes_see_earlier_ones() -> None:
    step = trace(Counter).actions["step"]
    counts = [(show(w.cond), show(w.value)) for w in step.writes if w.leaf == "count"]
    assert counts == [("True", "(count + 1)"), ("flags[broker]", "((count + 1) + 1)")]
    (seen,) = (show(w.value) for w in step.writes if w.leaf == "seen")
    assert seen == "ite(flags[broker], ((count + 1) + 1), (count + 1))"


def test_equal_expressions_are_one_object() -> None:
    a, b = fresh("a", Broker), fresh("b", Broker)
    assert (a == b) is (a == b)
    assert all_of(a == b, True, a == b) is (a == b)
    assert not_(not_(a == b)) is (a == b)
    assert implies(a == a, a == b) is (a == b)
    assert ite(a == b, a, a) is a
    both = for_all(Broker, lambda x: any_of(x == a, x == b))
    assert {v.id for v in both.free} == {a.id, b.id}
    once = substitute(both, {a.id: b})
    assert [v.id for v in once.free] == [b.id]
    assert show(smaller(fresh("x", Offset), 3)) == "ite((x <= 3), x, 3)"


def test_every_variant_is_traced() -> None:
    for variant in MODEL.variants:
        model = trace(variant.protocol)
        assert len(model.actions) >= 9, variant.name
        assert all(action.requires and action.writes for action in model.actions.values())
        assert variant.summary


# ---- theories -----------------------------------------------------------------------------------

REPLICAS = Subsets("ReplicaSet", of=Broker)
QUORUM = Quorums("Quorum", of=Broker)
LOGS = Sequences("WholeLog", epoch=ABSTRACT, offset=LENGTH)
COUNTS = {"Broker": 3, "AbstractEpoch": 3, "Length": 3, "min_insync": 2}


def value_of(e: Expr, env: dict[int, int]) -> Any:
    """A direct evaluation over the finite tables, for axioms: no state, no lookups but these."""
    args = e.args
    if e.op == "const":
        return args[0]
    if e.op == "var":
        return env[e.id]
    if e.op == "apply":
        return args[0].at(COUNTS, *(value_of(x, env) for x in args[1:]))
    if e.op in ("forall", "exists"):
        ranges = [range(v.sort.size(COUNTS)) for v in args[0]]
        results = (
            value_of(args[1], env | {v.id: x for v, x in zip(args[0], xs, strict=True)})
            for xs in itertools.product(*ranges)
        )
        return all(results) if e.op == "forall" else any(results)
    values = [value_of(x, env) for x in args]
    by: dict[str, Callable[[], Any]] = {
        "and": lambda: all(values),
        "or": lambda: any(values),
        "not": lambda: not values[0],
        "eq": lambda: values[0] == values[1],
        "le": lambda: values[0] <= values[1],
        "lt": lambda: values[0] < values[1],
        "ite": lambda: values[1] if values[0] else values[2],
    }
    return by[e.op]()


@pytest.mark.parametrize("theory", [REPLICAS, QUORUM, LOGS], ids=lambda t: t.name)
def test_the_axioms_are_true_of_the_finite_tables(theory: Any) -> None:
    axioms = dict(theory.axioms())
    assert axioms
    for name, axiom in axioms.items():
        assert value_of(axiom, {}) is True, name


def test_an_axiom_that_is_false_would_be_noticed() -> None:
    wrong = for_all(LOGS, LOGS, lambda a, b: implies(LOGS.prefix(a, b), a == b))
    assert value_of(wrong, {}) is False


def test_values_of_theories_have_texts_and_operations() -> None:
    assert LOGS.size(COUNTS) == 6
    assert [LOGS.text(v, COUNTS) for v in range(6)] == [
        "[]",
        "[e1]",
        "[e2]",
        "[e1 e1]",
        "[e1 e2]",
        "[e2 e2]",
    ]
    for a, b in itertools.product(range(6), repeat=2):
        x, y = fresh("x", LOGS), fresh("y", LOGS)
        holds = value_of(LOGS.is_extension(x, y), {x.id: a, y.id: b})
        longer, shorter = LOGS.values(COUNTS)[a], LOGS.values(COUNTS)[b]
        assert holds == (len(longer) > 0 and longer[:-1] == shorter)
    assert [REPLICAS.text(v, COUNTS) for v in (0, 5)] == ["{}", "{b1,b3}"]
    assert [QUORUM.text(v, COUNTS) for v in range(3)] == ["{b1,b2}", "{b1,b3}", "{b2,b3}"]
    assert EVERYONE.name in REPLICAS.constants


def test_theories_bring_their_symbols_and_axioms() -> None:
    class Votes(Protocol):
        quorum = per(Broker, QUORUM, init=lambda broker: fresh("q", QUORUM))
        log = per(Broker, LOGS, init=EMPTY)

        @invariant()
        def nothing(self) -> Any:
            return for_all(Broker, lambda b: LOGS.prefix(self.log[b], self.log[b]))

    model = trace(Votes)
    assert {"Quorum", "WholeLog", "AbstractEpoch", "Length", "Broker"} == set(model.sorts)
    assert {"Quorum.has", "WholeLog.prefix", "WholeLog.length"} <= set(model.symbols)
    assert len(model.axioms) == len([*QUORUM.axioms(), *LOGS.axioms()])
    init = model.leaves["log"].init
    assert show(init(SimpleNamespace())) == "WholeLog.empty"


def test_an_initial_value_brings_its_symbols_too() -> None:
    favourite = rigid("favourite", (Broker,), Broker, table=lambda counts, broker: broker)

    class Favourites(Protocol):
        chosen = per(Broker, Optional(Broker), init=lambda broker: favourite(broker))

    assert set(trace(Favourites).symbols) == {"favourite"}


def test_two_sorts_of_one_name_are_refused() -> None:
    other = entity("Broker")

    class Confused(Protocol):
        a = per(Broker, BOOL, init=False)
        b = per(other, BOOL, init=False)

    with pytest.raises(SpecError, match="two sorts are called Broker"):
        trace(Confused)
    assert number("Offset") is not Offset
