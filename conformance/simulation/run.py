"""One run: a schedule in, a result out. Everybody who runs a schedule runs it here."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conformance.simulation.decisions import judge_decisions
from conformance.simulation.oracle import judge, premises
from conformance.simulation.promises import Promises
from conformance.simulation.settling import (
    asked,
    partition_states,
    read_all,
    replicas_agree,
    settle,
    write_once_more,
)
from conformance.simulation.violation import Violation
from reference.messages import Effect, Event
from reference.mutants import MUTANTS
from reference.requests import CreateTopics, NewTopic, TopicsCreated
from reference.rules import Rules
from reference.simulator.agenda import Agenda
from reference.simulator.cluster import Cluster, Mode
from reference.simulator.faults import RunOptions, Schedule
from reference.simulator.history import History
from reference.simulator.schedule import FaultInjector
from reference.simulator.workload import TOPIC, Client, Consumer, Producer

QUICK_CONFIGS = {
    "broker.session.timeout.ms": "1000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
    "replica.high.watermark.checkpoint.interval.ms": "500",
    "replica.lag.time.max.ms": "500",
    "zookeeper.session.timeout.ms": "1000",
}
"""A failure is noticed within a second or two, so that much can happen in a short run."""
SET_UP_WITHIN_MS = 10_000
FINISH_WITHIN_MS = 10_000
"""How long clients may take to finish what they have begun, once everything is healed."""


class Validator(Protocol):
    """An observer of a cluster that compares its steps with a model."""

    @property
    def steps(self) -> int:
        """How many it has compared."""

    @property
    def outgrown(self) -> Mapping[Any, str]:
        """What is not compared any more, and why."""

    def __call__(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        """Raises `StepRefused` for a step that the model does not allow, `Outgrown` once nothing
        is left that it can compare."""

    def compare_whole(self) -> None:
        """At the end of a run: compares what single steps do not show. Raises `StepRefused`."""


class StepRefused(AssertionError):
    """The model does not allow a step of the cluster."""

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause


class Outgrown(Exception):
    """The run is beyond the bounds of a model: the rest of it was not compared."""


ValidatorFactory = Callable[[Cluster], Validator]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What came of a run. Sound, if there are neither violations nor an error."""

    violations: tuple[Violation, ...] = ()
    """In order; the first is what the run is about."""
    error: str = ""
    """The reference has raised an exception: nothing is said about clauses."""
    is_refused: bool = False
    """A model does not allow a step: the run ended there."""
    outgrown: str = ""
    """Why the rest of the run was not validated."""
    virtual_ms: int = 0
    events: int = 0
    steps: int = 0
    """Compared with a model."""
    premises: Mapping[str, int] = field(default_factory=dict)
    """How often what a clause speaks about arose."""
    faults: tuple[str, ...] = ()
    """The kinds of those that were scheduled."""
    digest: str = ""

    @property
    def clause(self) -> str:
        """The clause that is broken, `error` where the reference raised, or nothing."""
        if self.error:
            return "error"
        return self.violations[0].clause if self.violations else ""

    @property
    def clauses(self) -> frozenset[str]:
        return frozenset(violation.clause for violation in self.violations)


class Simulation:
    """A cluster, its clients and its faults, from the start to the judgement."""

    def __init__(
        self,
        schedule: Schedule,
        rules: Rules | None = None,
        validators: Sequence[ValidatorFactory] = (),
        *,
        traced: bool = False,
    ) -> None:
        self.schedule, options = schedule, schedule.options
        nodes = tuple(range(1, options.nodes + 1))
        self.cluster = Cluster(
            {node: (f"broker-{node}", 9092) for node in nodes},
            seed=schedule.seed,
            rules=rules,
            configs=configs_of(options),
            latency_ms=options.latency_ms,
            loss=options.loss,
            mode=Mode(schedule.mode),
            traced=traced,
        )
        self.cluster.network.duplicate = options.duplicate
        self.cluster.network.reorder = options.reorder
        self.validators = [factory(self.cluster) for factory in validators]
        self._active = list(self.validators)
        self.cluster.observers.append(self._validate)
        self.agenda = Agenda(self.cluster)
        self.promises = Promises(self.cluster, options.min_insync_replicas)
        self.agenda.watchers.append(self.promises)
        self.history = History()
        self.injector = FaultInjector(self.agenda)
        self.clients = list(self._clients(nodes))
        self.was_settled = False
        """Whether everything was healed, and the cluster had to come to rest."""
        self.on_set_up: Callable[[], None] | None = None
        """Called when the topic is there, and neither clients nor faults have begun."""

    def _clients(self, nodes: tuple[int, ...]) -> Iterator[Client]:
        options, seed = self.schedule.options, self.schedule.seed
        for number in range(options.producers + options.consumers):
            kind = Producer if number < options.producers else Consumer
            yield kind(
                number if kind is Producer else number - options.producers,
                self.agenda,
                self.history,
                nodes=nodes,
                seed=seed,
                partitions=options.partitions,
                think_ms=options.think_ms,
            )

    def _validate(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        for validator in tuple(self._active):
            try:
                validator(member, event, effects)
            except Outgrown:
                self._active.remove(validator)

    # ---- phases ----------------------------------------------------------------------------

    def result(self) -> RunResult:
        """Runs everything and judges it."""
        violations: list[Violation] = []
        error, is_refused = "", False
        try:
            self.set_up()
            self.work()
            violations += self.judgement()
        except StepRefused as refused:
            violations, is_refused = [Violation(refused.clause, str(refused))], True
        except Exception as raised:  # a fault of the reference or of ours decides no clause
            error = told_of(raised)
        return self.summary(violations, error=error, is_refused=is_refused)

    def summary(
        self,
        violations: Sequence[Violation] = (),
        *,
        error: str = "",
        is_refused: bool = False,
    ) -> RunResult:
        """What came of the run so far."""
        return RunResult(
            violations=tuple(violations),
            error=error,
            is_refused=is_refused,
            outgrown=next((w for v in self.validators for w in v.outgrown.values()), ""),
            virtual_ms=self.cluster.now_ms,
            events=self.cluster.events,
            steps=sum(each.steps for each in self.validators),
            premises=self._premises(),
            faults=tuple(fault.kind.value for fault in self.schedule.faults),
            digest=self.cluster.digest,
        )

    def _premises(self) -> dict[str, int]:
        decided = self.cluster.committed.values()
        elections = sum(states[-1].leader_epoch for states in decided)
        changes = sum(len(states) for states in decided)
        found = premises(self.history)
        found |= {"LEAD-02": elections, "LEAD-03": elections, "ISR-01": changes, "ISR-08": changes}
        found |= dict.fromkeys(("ISR-05", "ISR-06"), self.promises.seen)
        settled = int(self.was_settled)
        return found | dict.fromkeys(("CTL-03", "CTL-05", "LEAD-06", "ISR-07", "LOG-03"), settled)

    def set_up(self) -> None:
        """Creates the topic. Raises ReferenceCrashed, or RuntimeError where there is none."""
        options = self.schedule.options
        topic = NewTopic(
            name=TOPIC,
            partitions=options.partitions,
            replication_factor=min(options.replication_factor, options.nodes),
            configs=(("min.insync.replicas", str(options.min_insync_replicas)),),
        )
        request = CreateTopics(topics=(topic,), timeout_ms=1_000, validate_only=False)
        deadline_ms = self.agenda.now_ms + SET_UP_WITHIN_MS
        while self.agenda.now_ms < deadline_ms:
            answer = asked(self.agenda, 1, request)
            if isinstance(answer, TopicsCreated) and self._knows_topic():
                return
        raise RuntimeError(f"no topic within {SET_UP_WITHIN_MS} ms")

    def _knows_topic(self) -> bool:
        self.agenda.run(100)
        cluster = self.cluster
        return all(partition_states(broker.image) for broker in cluster.brokers.values())

    def work(self) -> None:
        """Clients and faults, for as long as the options say."""
        if self.on_set_up:
            self.on_set_up()
        self.injector.schedule(self.schedule.faults)
        for client in self.clients:
            client.start()
        self.agenda.run(self.schedule.options.until_ms)

    def judgement(self) -> list[Violation]:
        """Heals everything, lets the cluster come to rest, and compares."""
        self.injector.end_all()
        # Liveness is promised of a network that delivers: elections have time limits.
        network = self.cluster.network
        network.loss = network.duplicate = network.reorder = 0.0
        for client in self.clients:
            client.stop()
        self.agenda.run(FINISH_WITHIN_MS, self._is_idle)
        self.was_settled = True
        unrest = settle(self.agenda)
        decided = list(
            judge_decisions(self.cluster.committed, self.schedule.options.min_insync_replicas)
        )
        decided = self.promises.violations + decided
        if unrest is not None:
            return [*decided, unrest]
        for validator in self._active:
            validator.compare_whole()
        return decided + self._compared()

    def _compared(self) -> list[Violation]:
        found = list(write_once_more(self.agenda, self.history))
        unrest = settle(self.agenda)
        if unrest is not None:
            return [*found, unrest]
        found += replicas_agree(self.cluster)
        return found + judge(self.history, read_all(self.agenda))

    def _is_idle(self) -> bool:
        producers = (each for each in self.clients if isinstance(each, Producer))
        return self.agenda.is_idle and not any(each.is_busy for each in producers)


def configs_of(options: RunOptions) -> dict[str, str]:
    """What the nodes of a run are started with."""
    return QUICK_CONFIGS | dict(options.configs)


def rules_of(mutant: str | None) -> Rules:
    """Raises KeyError for a mutant that there is not."""
    return MUTANTS[mutant].rules() if mutant else Rules()


def run(
    schedule: Schedule,
    mutant: str | None = None,
    validators: Sequence[ValidatorFactory] = (),
    *,
    traced: bool = False,
) -> RunResult:
    """What comes of a schedule. Raises KeyError for a mutant that there is not."""
    rules = rules_of(mutant)
    try:
        simulation = Simulation(schedule, rules, validators, traced=traced)
    except Exception as raised:  # the cluster has not come up
        return RunResult(error=told_of(raised))
    return simulation.result()


def told_of(raised: Exception) -> str:
    """What was raised, and where: the innermost file and line."""
    innermost = raised.__cause__ or raised
    frames = traceback.extract_tb(innermost.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(innermost).__name__}: {raised}{where}"
