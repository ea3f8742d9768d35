"""KIP-966 as the controller keeps it: any run, against brokers that really lose their data.

The oracle is not the rules again. It knows which brokers have everything that was acknowledged:
acknowledging needs min.insync.replicas members of the ISR, and reaches them alone; an unclean
restart loses; catching up with the leader restores.
"""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.decisions import brokers as lives
from reference.metadata.records import NO_LEADER, PartitionState
from reference.mutants.controller import MUTANTS
from reference.rules import Rules
from tests.controller_bench import Bench

BROKERS = (1, 2, 3, 4)
ACTIONS = ("fence", "beat", "lose", "restart", "stop", "acknowledge", "join", "shrink", "change")


class Cluster:
    """One partition on three brokers, and what each of them really has."""

    def __init__(self, minimum: int, rules: type[Rules] = Rules) -> None:
        self.bench = Bench(4, rules=rules)
        self.bench.create(1, 2, 3, min_insync_replicas=str(minimum))
        self.minimum = minimum
        self.minimum_is_constant = True
        self.complete = set(BROKERS)
        self.lossy: set[int] = set()
        self.seen = len(self.bench.log)

    def act(self, action: str, broker: int) -> None:
        before = self.bench.state()
        getattr(self, action)(broker)
        self.bench.stored()
        self.check(before)

    # ---- what happens

    def fence(self, broker: int) -> None:
        lives.fence(self.bench.controller, broker)

    def beat(self, broker: int) -> None:
        self.bench.beat(broker)

    def lose(self, broker: int) -> None:
        """Its session ends; it comes back without a proof, and without its data."""
        self.fence(broker)
        self.complete.discard(broker)
        self.lossy.add(broker)
        self.bench.register(broker)

    def restart(self, broker: int) -> None:
        self.fence(broker)
        self.bench.register(broker, previous=self.bench.life(broker).broker_epoch)

    def stop(self, broker: int) -> None:
        self.bench.beat(broker, stop=True)

    def acknowledge(self, _: int) -> None:
        state = self.bench.state()
        if state.leader != NO_LEADER and len(state.isr) >= self.minimum:
            self.complete &= set(state.isr)

    def join(self, broker: int) -> None:
        state = self.bench.state()
        if state.leader == NO_LEADER or broker not in state.replicas or broker in state.isr:
            return
        self.bench.alter(*state.isr, broker)
        if broker in self.bench.state().isr and state.leader in self.complete:
            self.complete.add(broker)

    def shrink(self, broker: int) -> None:
        state = self.bench.state()
        if broker in state.isr and broker != state.leader != NO_LEADER:
            self.bench.alter(*(member for member in state.isr if member != broker))

    def change(self, minimum: int) -> None:
        self.minimum = min(minimum, 3)
        self.minimum_is_constant = False
        self.bench.configure("min.insync.replicas", str(minimum))

    # ---- what must hold

    def check(self, before: PartitionState) -> None:
        states = [r for r in self.bench.log[self.seen :] if isinstance(r, PartitionState)]
        self.seen = len(self.bench.log)
        for former, state in pairwise([before, *states]):
            self.check_shape(state)
            assert state.partition_epoch == former.partition_epoch + 1
            changed = state.leader != former.leader
            assert state.leader_epoch == former.leader_epoch + changed
            if changed and state.leader != NO_LEADER:
                assert self.bench.controller.is_active(state.leader)
                self.check_leader(former, state)
        # Nothing is left to do: what was decided is decided once.
        self.bench.controller.tick(self.bench.now_ms)
        assert not self.bench.controller.records
        if self.minimum_is_constant and len(self.lossy) < self.minimum:
            state = self.bench.state()
            assert {*state.isr, *state.elr} & self.complete

    def check_shape(self, state: PartitionState) -> None:
        assert state.isr == tuple(sorted(set(state.isr)))
        assert set(state.isr) | set(state.elr) <= set(state.replicas)
        assert not set(state.isr) & set(state.elr)
        assert state.leader == NO_LEADER or state.leader in state.isr
        assert len(state.isr) < self.minimum or not state.elr

    def check_leader(self, former: PartitionState, state: PartitionState) -> None:
        is_clean = state.leader in former.isr or state.leader in former.elr
        if is_clean:
            assert state.leader in self.complete
            assert not former.isr or state.leader in former.isr
        else:
            assert not former.isr
            assert not former.elr
            assert state.recovering
            assert (state.leader,) == former.last_known_elr
            self.complete = {state.leader}
            self.lossy = set(BROKERS)


STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(BROKERS)), max_size=60)


@given(minimum=st.integers(1, 3), steps=STEPS)
def test_no_clean_election_loses_what_was_acknowledged(
    minimum: int, steps: list[tuple[str, int]]
) -> None:
    cluster = Cluster(minimum)
    for action, broker in steps:
        cluster.act(action, broker)


def run(seed: int, rules: type[Rules]) -> None:
    draw = random.Random(seed)
    cluster = Cluster(draw.randint(1, 3), rules)
    for _ in range(60):
        cluster.act(draw.choice(ACTIONS), draw.choice(BROKERS))


def run_many(seeds: int, rules: type[Rules]) -> None:
    for seed in range(seeds):
        run(seed, rules)


@pytest.mark.parametrize(
    "name",
    [
        "fenced-replica-rejoins-isr",
        "last-replica-standing",
        "elect-dead-last-known-leader",
        "unclean-always",
        "two-leaders-one-epoch",
        "isr-keeps-removed-leader",
        "unclean-without-epoch",
        "elr-off",
        "elr-kept",
        "unclean-restart-undetected",
    ],
)
def test_a_wrong_rule_does(name: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    with pytest.raises(AssertionError):
        run_many(300, mutant.rules)
