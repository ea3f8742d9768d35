"""Named scenarios: runs in which it is known what has to happen, stage by stage.

`failover` is the story that replication is told with: the broker that is controller and leader of
a partition dies. ZooKeeper, or the quorum, notices; a new controller is elected, reads what has
changed and promotes a follower; clients go on, and nothing that was acknowledged is lost.
"""

from collections.abc import Callable
from dataclasses import dataclass

from conformance.simulation.recorder import Recorder
from conformance.simulation.run import QUICK_CONFIGS, RunResult, Simulation, ValidatorFactory
from conformance.simulation.settling import partition_states
from conformance.simulation.validation import VALIDATORS
from conformance.simulation.violation import Violation
from reference.messages import ZOOKEEPER
from reference.metadata.records import NO_LEADER, PartitionState
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.rules import Rules
from reference.simulator.cluster import Mode
from reference.simulator.faults import Fault, FaultKind, RunOptions, Schedule
from reference.simulator.history import Outcome
from spec.story import Story

STEP_MS = 5
"""How finely it is seen when a stage is reached."""
PATIENCE_MS = 10_000
"""Within which each stage must be reached."""
WARM_UP_WRITES = 3
TITLE = "The broker dies that is controller and leader of a partition"
OPTIONS = RunOptions(partitions=1, producers=1, consumers=1, think_ms=(60, 160))


class StageMissed(AssertionError):
    """Something that has to happen has not happened, or has happened wrongly."""

    def __init__(
        self,
        clause: str,
        message: str,
        stages: "tuple[Stage, ...]" = (),
        story: Story | None = None,
    ) -> None:
        super().__init__(f"{clause}: {message}")
        self.clause, self.stages, self.story = clause, stages, story


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A point that the scenario has reached."""

    name: str
    clause: str
    """The one that promises it."""
    at_ms: int
    """Since the broker died; negative before."""
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A scenario that was gone through from beginning to end."""

    stages: tuple[Stage, ...]
    story: Story
    result: RunResult


class Failover:
    """One run of the scenario."""

    def __init__(
        self,
        mode: str,
        seed: int = 0,
        rules: Rules | None = None,
        validators: tuple[ValidatorFactory, ...] | None = None,
    ) -> None:
        schedule = Schedule(seed=seed, mode=mode, options=OPTIONS)
        chosen = VALIDATORS[mode] if validators is None else validators
        self.simulation = Simulation(schedule, rules, chosen)
        self.cluster, self.agenda = self.simulation.cluster, self.simulation.agenda
        self.stages: list[Stage] = []
        self.died_ms = 0

    def run(self) -> Told:
        """Goes through all stages. Raises StageMissed, ReferenceCrashed and StepRefused."""
        try:
            return self._through()
        except StageMissed as missed:
            self.recorder.note(f"{missed.clause} is broken", "controller", str(missed), "violation")
            missed.stages, missed.story = tuple(self.stages), self.recorder.story(TITLE)
            raise

    def _through(self) -> Told:
        self.simulation.set_up()
        self.recorder = Recorder(self.simulation)
        self.victim = self._make_controller_lead()
        for client in self.simulation.clients:
            client.start()
        self._await("LEAD-06", "the first writes are acknowledged", self._is_warm)
        self._kill()
        self._is_noticed()
        self._controller_is_elected()
        self._follower_is_promoted()
        self._clients_go_on()
        self._comes_back()
        return self._judged()

    # ---- stages --------------------------------------------------------------------------------

    def _make_controller_lead(self) -> int:
        """Moves the leadership to the broker that is the controller; returns that broker."""
        controller = self.cluster.controller
        assert controller is not None, "a cluster at rest has a controller"
        fault = Fault(at_ms=0, kind=FaultKind.MOVE_LEADER, target=controller, duration_ms=0)
        self.simulation.injector.begin(-1, fault)
        self._await("LEAD-09", "it leads", lambda: self._leads(controller))
        self.simulation.injector.end(-1)
        self.agenda.run(500)
        return controller

    def _kill(self) -> None:
        self.before, self.died_ms = self._state(), self.agenda.now_ms
        self.epoch_before = self.cluster.nodes[self.victim].member.epoch
        self.acknowledged_before = self._acknowledged()
        fault = Fault(at_ms=0, kind=FaultKind.CRASH, target=self.victim, duration_ms=0)
        self.simulation.injector.begin(0, fault)
        said = f"broker {self.victim}, controller and leader in epoch {self.before.leader_epoch}"
        self._reached("the broker dies", "CTL-03", f"{said}, is killed")

    def _is_noticed(self) -> None:
        """ZooKeeper's session expires; or the other voters hear nothing from their leader."""
        if self.cluster.mode is Mode.ZOOKEEPER:
            self._expect("CTL-03", self._owner() == self.victim, "its /controller is gone at once")
            self._await("CTL-05", "its session expires", lambda: self._owner() != self.victim)
            timeout_ms = int(QUICK_CONFIGS["zookeeper.session.timeout.ms"])
            ids = self._ensemble().tree.children(znodes.BROKER_IDS)
            self._expect("CTL-05", str(self.victim) not in ids, f"/brokers/ids is {ids}")
            said = f"its session expires after {timeout_ms} ms, and its ephemeral nodes go with it"
        else:
            self._await("CTL-03", "a voter begins a new epoch", self._is_epoch_begun)
            said = "the other voters have heard nothing of their leader, and one starts an election"
        clause = "CTL-05" if self.cluster.mode is Mode.ZOOKEEPER else "CTL-03"
        self._reached("the failure is noticed", clause, said)
        state = self._state()
        self._expect("CTL-03", state == self.before, f"it was decided by nobody: {state}")

    def _controller_is_elected(self) -> None:
        self._await("CTL-03", "there is a controller", lambda: self.cluster.controller is not None)
        self.successor = self.cluster.controller or 0
        epoch = self.cluster.nodes[self.successor].member.epoch
        self._expect("CTL-01", epoch > self.epoch_before, f"epoch {epoch}")
        said = f"broker {self.successor} is the controller, in epoch {epoch}"
        self._reached("a controller is elected", "CTL-01", said)

    def _follower_is_promoted(self) -> None:
        """The controller has read the state that its predecessor left, and goes on from there."""

        def is_promoted() -> bool:
            return self._state().leader not in (NO_LEADER, self.victim)

        self._await("CTL-03", "a follower leads", is_promoted)
        state, before = self._state(), self.before
        self._expect("LEAD-03", state.leader in before.isr, f"{state.leader} of {before.isr}")
        self._expect("LEAD-02", state.leader_epoch > before.leader_epoch, f"{state.leader_epoch}")
        self._expect("CTL-04", state.replicas == before.replicas, f"{state.replicas}")
        self._expect("CTL-05", self.victim not in state.isr, f"the ISR is {state.isr}")
        said = f"broker {state.leader} leads in epoch {state.leader_epoch}, the ISR is {state.isr}"
        self._reached("a follower is promoted", "LEAD-03", said)

    def _clients_go_on(self) -> None:
        count = self.acknowledged_before

        def goes_on() -> bool:
            return self._acknowledged() >= count + 2

        self._await("LEAD-06", "writes are acknowledged again", goes_on)
        last = [write for write in self.simulation.history.writes if write.outcome is Outcome.OK][
            -1
        ]
        self._expect("LEAD-06", last.broker == self._state().leader, f"by broker {last.broker}")
        said = f"{last.value.decode()} is acknowledged at offset {last.offset}"
        self._reached("clients go on", "LEAD-06", said)

    def _comes_back(self) -> None:
        self.simulation.injector.end(0)

        def is_back() -> bool:
            return self.victim in self._state().isr

        self._await("ISR-07", "the broker is in sync again", is_back)
        said = f"broker {self.victim} has caught up as a follower, the ISR is {self._state().isr}"
        self._reached("the broker comes back", "ISR-07", said)

    def _judged(self) -> Told:
        violations: list[Violation] = self.simulation.judgement()
        for violation in violations:
            raise StageMissed(violation.clause, violation.message)
        said = f"all {self._acknowledged()} acknowledged records are where they were said to be"
        self._reached("nothing is lost", "LEAD-04", said)
        story = self.recorder.story(TITLE, clause="CTL-03")
        return Told(stages=tuple(self.stages), story=story, result=self.simulation.summary())

    # ---- what is looked at ---------------------------------------------------------------------

    def _await(self, clause: str, what: str, holds: Callable[[], bool]) -> None:
        deadline_ms = self.agenda.now_ms + PATIENCE_MS
        while not holds():
            if self.agenda.now_ms >= deadline_ms:
                raise StageMissed(clause, f"not within {PATIENCE_MS} ms: {what}")
            self.agenda.run(STEP_MS)

    def _expect(self, clause: str, holds: bool, said: str) -> None:
        if not holds:
            raise StageMissed(clause, said)

    def _reached(self, name: str, clause: str, said: str) -> None:
        at_ms = self.agenda.now_ms - self.died_ms
        self.stages.append(Stage(name=name, clause=clause, at_ms=at_ms, said=said))
        self.recorder.note(name, "controller", f"{clause}: {said}.")

    def _state(self) -> PartitionState:
        """The newest decision on the partition."""
        (states,) = self.cluster.committed.values()
        return states[-1]

    def _leads(self, node: int) -> bool:
        (state,) = partition_states(self.cluster.brokers[node].image)
        replica = self.cluster.brokers[node].replicas.get(state.id)
        return replica is not None and replica.leadership is not None

    def _acknowledged(self) -> int:
        return sum(write.outcome is Outcome.OK for write in self.simulation.history.writes)

    def _is_warm(self) -> bool:
        return self._acknowledged() >= WARM_UP_WRITES

    def _is_epoch_begun(self) -> bool:
        return any(node.member.epoch > self.epoch_before for node in self.cluster.nodes.values())

    def _ensemble(self) -> Ensemble:
        ensemble = self.cluster.members[ZOOKEEPER]
        assert isinstance(ensemble, Ensemble)
        return ensemble

    def _owner(self) -> int | None:
        """Who owns the ephemeral node /controller."""
        node = self._ensemble().tree.get(znodes.CONTROLLER)
        return znodes.controller_of(node.data) if node else None


def failover(mode: str, seed: int = 0, rules: Rules | None = None) -> Told:
    """Goes through the scenario. Raises StageMissed, ReferenceCrashed and StepRefused."""
    return Failover(mode, seed, rules).run()


SCENARIOS: dict[str, Callable[..., Told]] = {"failover": failover}
