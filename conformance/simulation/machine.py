"""Hypothesis plays client, operator and fate at once; the oracle judges when it is done.

A schedule says beforehand when each fault comes. Here each step is chosen in the light of nothing
but the steps before it, so that faults, requests and time can follow one another closely.
"""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    precondition,
    rule,
)

from conformance.simulation.run import Simulation
from conformance.simulation.settling import asked
from conformance.simulation.validation import VALIDATORS
from conformance.simulation.violation import Violation
from reference.errors import Error
from reference.requests import CreateTopics, NewTopic, TopicsCreated
from reference.rules import Rules
from reference.simulator.faults import MODES, Fault, FaultKind, RunOptions, Schedule
from reference.simulator.workload import Consumer, Producer

KINDS = (
    FaultKind.CRASH,
    FaultKind.PAUSE,
    FaultKind.CUT,
    FaultKind.CUT_ONE_WAY,
    FaultKind.CUT_FROM_METADATA,
    FaultKind.CUT_PAIR,
    FaultKind.SHUT_DOWN,
    FaultKind.DISK_ERROR,
)
OPTIONS = RunOptions(producers=2, consumers=1, partitions=2)
NODES = st.integers(1, OPTIONS.nodes)
PARTITIONS = st.integers(0, OPTIONS.partitions - 1)


class ClusterMachine(RuleBasedStateMachine):
    """Breaks off with the clause that is broken in its message."""

    rules_class: type[Rules] = Rules
    active = Bundle("active")
    """Numbers of faults that have begun and not ended."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0
        self.topics: list[str] = []
        """Those whose creation was acknowledged."""

    @initialize(seed=st.integers(0, 2**16), mode=st.sampled_from(MODES))
    def boot(self, seed: int, mode: str) -> None:
        schedule = Schedule(seed=seed, mode=mode, options=replace(OPTIONS, until_ms=1))
        self.simulation = Simulation(schedule, self.rules_class(), VALIDATORS[mode])
        self.simulation.set_up()
        for client in self.simulation.clients:
            client.stop()
        self.agenda = self.simulation.agenda

    # ---- clients -------------------------------------------------------------------------------

    @rule(number=st.integers(0, OPTIONS.producers - 1), partition=PARTITIONS)
    def write(self, number: int, partition: int) -> None:
        producer = self.simulation.clients[number]
        assert isinstance(producer, Producer)
        if not producer.is_busy:
            producer.write(partition)

    @rule(partition=PARTITIONS)
    def read(self, partition: int) -> None:
        consumer = self.simulation.clients[-1]
        assert isinstance(consumer, Consumer)
        if self.agenda.is_idle:
            consumer.read(partition)

    @rule(node=NODES)
    @precondition(lambda self: len(self.topics) < 3)
    def create_topic(self, node: int) -> None:
        topic = NewTopic(
            name=f"t{self.begun}.{len(self.topics)}", partitions=1, replication_factor=3
        )
        request = CreateTopics(topics=(topic,), timeout_ms=1_000, validate_only=False)
        answer = asked(self.agenda, node, request)
        if isinstance(answer, TopicsCreated) and answer.topics[0].error is Error.NONE:
            self.topics.append(topic.name)

    # ---- fate ----------------------------------------------------------------------------------

    @rule(target=active, kind=st.sampled_from(KINDS), node=NODES)
    def begin(self, kind: FaultKind, node: int) -> int:
        self.begun += 1
        other = node % OPTIONS.nodes + 1 if kind is FaultKind.CUT_PAIR else 0
        fault = Fault(at_ms=0, kind=kind, target=node, duration_ms=0, other=other)
        self.simulation.injector.begin(self.begun, fault)
        return self.begun

    @rule(number=consumes(active))
    def end(self, number: int) -> None:
        self.simulation.injector.end(number)

    @rule(ms=st.sampled_from([5, 50, 500, 2_000]))
    def advance(self, ms: int) -> None:
        self.agenda.run(ms)

    # ---- judgement -----------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "simulation"):
            return
        violations = self.simulation.judgement() + list(self.topics_are_there())
        assert not violations, "\n".join(map(str, violations))

    def topics_are_there(self) -> list[Violation]:
        """CTL-04: what was acknowledged is known to every broker."""
        missing = []
        for node, broker in self.simulation.cluster.brokers.items():
            for name in self.topics:
                if broker.image.topic(name) is None:
                    text = f"broker {node} does not know the topic {name}"
                    missing.append(Violation("CTL-04", text))
        return missing
