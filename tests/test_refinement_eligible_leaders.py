"""The controller's decisions, compared with the model of KIP-966; and what is then noticed.

The runs are those of `test_reference_decisions_eligible`: one partition, and any fate of brokers.
"""

import random
from dataclasses import replace

import pytest

from conformance.refinement.eligible_leaders import (
    Broken,
    EligibleLeadersValidator,
    Outside,
)
from reference.metadata.records import BrokerRegistered, PartitionId, PartitionState
from reference.mutants.controller import MUTANTS
from reference.rules import Rules
from tests.test_reference_decisions_eligible import ACTIONS, BROKERS, Cluster

UNKNOWN = -1


class Watched(Cluster):
    """Compares what was decided after each thing that happens."""

    def __init__(self, minimum: int, rules: type[Rules] = Rules) -> None:
        super().__init__(minimum, rules)
        first = self.bench.state()
        self.validator = EligibleLeadersValidator(first, min_insync_replicas=minimum, elr=True)
        for broker, known in self.bench.controller.image.brokers.items():
            self.validator.registered(broker, known.broker_epoch)
        self.names: dict[int, int] = {}
        """The lives that a leader names in the place of the present ones."""

    def act(self, action: str, broker: int) -> None:
        getattr(self, action)(broker)
        self.bench.controller.tick(self.bench.now_ms)
        self.bench.stored()
        self.compare()

    def compare(self) -> None:
        records, self.seen = self.bench.log[self.seen :], len(self.bench.log)
        for record in records:
            if isinstance(record, PartitionState):
                self.validator.decided(record, may_be_unclean=False)
            elif isinstance(record, BrokerRegistered):
                self.validator.registered(record.broker, record.broker_epoch)

    def ask(self, *isr: int) -> None:
        lives = [self.names.get(b, self.bench.life(b).broker_epoch) for b in isr]
        self.validator.heard_request(self.bench.state(), isr, tuple(lives))
        self.bench.alter(*isr, epochs=tuple(lives))

    def join(self, broker: int) -> None:
        state = self.bench.state()
        if state.leader in state.isr and broker in state.replicas and broker not in state.isr:
            self.ask(*sorted((*state.isr, broker)))

    def shrink(self, broker: int) -> None:
        state = self.bench.state()
        if state.leader in state.isr and broker in state.isr and broker != state.leader:
            self.ask(*(member for member in state.isr if member != broker))


def run(seed: int, rules: type[Rules] = Rules) -> EligibleLeadersValidator:
    """A run to its end, or until the partition leaves the model. Raises Broken."""
    draw = random.Random(seed)
    watched = Watched(draw.randint(1, 3), rules)
    actions = [action for action in ACTIONS if action != "change"]
    try:
        for _ in range(80):
            watched.act(draw.choice(actions), draw.choice(BROKERS))
    except Outside:
        return watched.validator
    watched.validator.compare_whole()
    return watched.validator


def run_many(rules: type[Rules]) -> None:
    for seed in range(200):
        run(seed, rules)


def test_every_decision_is_a_step_of_the_model() -> None:
    taken = sum((run(seed).taken for seed in range(150)), start=run(150).taken)
    for action in (
        "controller_fence_broker",
        "controller_elect_leader",
        "controller_expand_isr",
        "leader_shrink_isr",
        "broker_register",
        "broker_register_outside",
    ):
        assert taken[action] >= 10, action


@pytest.mark.parametrize(
    ("name", "clause"),
    [
        ("last-replica-standing", "ISR-01"),
        ("unclean-always", "LEAD-03"),
        ("two-leaders-one-epoch", "LEAD-02"),
        ("elr-off", "ISR-09"),
        ("elr-kept", "ISR-09"),
    ],
)
def test_a_wrong_rule_is_no_step_of_the_model(name: str, clause: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    with pytest.raises(Broken) as broken:
        run_many(mutant.rules)
    assert clause in broken.value.clauses


def test_a_life_that_did_not_fetch_is_refused() -> None:
    (mutant,) = [m for m in MUTANTS if m.name == "stale-broker-epoch-joins-isr"]
    watched = Watched(2, mutant.rules)
    former = watched.bench.life(3).broker_epoch
    watched.act("lose", 3)
    watched.act("beat", 3)
    watched.names = {3: former}
    with pytest.raises(Broken, match="named_broker_epoch") as broken:
        watched.act("join", 3)
    assert broken.value.clauses[0] == "ISR-08"


def test_a_request_against_an_older_partition_epoch_is_refused() -> None:
    watched = Watched(2)
    watched.act("shrink", 3)
    state = watched.bench.state()
    watched.validator.heard_request(state, (1, 2, 3), (UNKNOWN,) * 3)
    watched.act("fence", 2)
    after = watched.bench.state()
    late = replace(after, isr=(1, 2, 3), elr=(), partition_epoch=after.partition_epoch + 1)
    with pytest.raises(Broken, match="not current"):
        watched.validator.decided(late, may_be_unclean=False)


def _decide_and_end(validator: EligibleLeadersValidator, state: PartitionState) -> None:
    validator.decided(state, may_be_unclean=False)
    validator.compare_whole()


@pytest.mark.parametrize(
    ("changes", "clause"),
    [
        ({"isr": (1, 2, 3)}, "ISR-08"),
        ({"isr": (1,)}, "ISR-09"),
        ({"elr": (3,)}, "ISR-09"),
        ({"leader": 2}, "LEAD-02"),
        ({"leader": 3, "leader_epoch": 1}, "LEAD-03"),
        ({"leader_epoch": 1}, "LEAD-02"),
    ],
)
def test_a_changed_decision_is_refused(changes: dict[str, object], clause: str) -> None:
    watched = Watched(2)
    watched.act("shrink", 3)
    state = watched.bench.state()
    wrong = replace(state, partition_epoch=9, **changes)  # type: ignore[arg-type]
    with pytest.raises(Broken) as broken:
        _decide_and_end(watched.validator, wrong)
    assert clause in broken.value.clauses


def test_what_the_model_does_not_speak_of_is_said() -> None:
    first = PartitionState(
        id=PartitionId(Watched(1).bench.state().id.topic_id, 0),
        replicas=(1, 2),
        leader=1,
        leader_epoch=0,
        isr=(1, 2),
        partition_epoch=0,
    )
    validator = EligibleLeadersValidator(first, min_insync_replicas=1, elr=True)
    with pytest.raises(Outside, match="reassignment"):
        validator.decided(replace(first, replicas=(1, 3), adding=(3,)), may_be_unclean=False)
    unclean = replace(first, leader=2, isr=(2,), leader_epoch=1, recovering=True)
    with pytest.raises(Outside, match="unclean"):
        validator.decided(unclean, may_be_unclean=True)


def test_a_long_run_goes_on_in_a_larger_machine() -> None:
    watched = Watched(1)
    for _ in range(40):
        for leader in (1, 2):
            watched.act("lose", leader)
            watched.act("beat", leader)
            watched.act("join", leader)
    assert watched.bench.state().leader_epoch > 32
    watched.validator.compare_whole()
