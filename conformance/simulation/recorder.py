"""Turns a run into a story of one partition: who did what, and what came of it.

Only what changed something is told, with the message that brought it about and whoever sent that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.simulation.run import RunResult, Simulation, ValidatorFactory, rules_of
from conformance.simulation.settling import ORACLE, partition_states
from conformance.simulation.words import change_of, label_of, lane_of, lanes_of
from reference.messages import Effect, Event, FromClient, FromPeer, Reply, Send
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.ensemble import Ensemble
from reference.node import Node
from reference.requests import Fetch, Fetched, Produce, Produced, Request, Response
from reference.simulator.cluster import Mode
from reference.simulator.faults import Fault, Schedule
from reference.simulator.workload import TOPIC, records_of
from spec.story import (
    Changes,
    FaultBar,
    LogEntry,
    Narrator,
    Operation,
    Outcome,
    StepKind,
    Story,
    StoryMessage,
    Value,
)
from spec.story import Lane as StoryLane

STEPS_MAX = 600
"""What came earlier is summed up in the initial state: nobody reads more."""
LOG_ENTRIES_MAX = 200
"""Of each log the newest."""


@dataclass(slots=True)
class _Moment:
    """Something that happened; a step of the story if it is worth one."""

    at_ms: int
    lane: str
    action: str
    changes: dict[str, dict[str, Value]] = field(default_factory=dict)
    note: str = ""
    kind: StepKind = ""
    is_told: bool = False
    received: int | None = None
    """The number of the message that brought it about."""


@dataclass(slots=True)
class _Sent:
    sender: str
    receiver: str
    content: object
    """Kept, so that it can be recognised when it arrives."""
    moment: int
    received: int | None = None


@dataclass(slots=True)
class _Asked:
    lane: str
    request: Request
    moment: int
    ended: int | None = None
    outcome: Outcome = "unknown"
    result: str = ""
    is_told: bool = False


class Recorder:
    """Watches a simulation from the moment its topic is there."""

    def __init__(self, simulation: Simulation, partition: int = 0) -> None:
        self.simulation, self.cluster = simulation, simulation.cluster
        self.id = partition_states(self.cluster.image)[partition].id
        self.started_ms = self.cluster.now_ms
        self._moments: list[_Moment] = []
        self._sent: list[_Sent] = []
        self._on_the_way: dict[tuple[str, int], int] = {}
        """By receiver and identity of the content, the newest message that is not there yet."""
        self._asked: dict[int, _Asked] = {}
        self._bars: dict[int, tuple[Fault, int, int | None]] = {}
        self._held: dict[str, dict[str, Value]] = {}
        self._up: tuple[int, ...] = ()
        self._decided = 0
        self.note("everything is well", "controller")
        self._look_at_everything(self._moments[0])
        self.cluster.observers.append(self.observe)
        simulation.agenda.watchers.append(self)
        simulation.injector.told = self.on_fault

    # ---- what is observed ----------------------------------------------------------------------

    def note(self, action: str, lane: str, note: str = "", kind: StepKind = "") -> int:
        """Tells something; returns its number."""
        at_ms = self.cluster.now_ms - self.started_ms
        moment = _Moment(at_ms, lane, action, note=note, kind=kind, is_told=True)
        self._moments.append(moment)
        return len(self._moments) - 1

    def observe(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        """An observer of the cluster."""
        lane = lane_of(member)
        at_ms = self.cluster.now_ms - self.started_ms
        number = len(self._moments)
        moment = _Moment(at_ms, lane, "")
        self._moments.append(moment)
        if isinstance(event, FromPeer):
            moment.received = self._arrived(lane, event.message, number)
            moment.action = f"handles {label_of(event.message, self.id)}"
        elif isinstance(event, FromClient):
            moment.received = self._arrived(lane, event.request, number)
            moment.action = f"handles {label_of(event.request, self.id)}"
        else:
            moment.action = "acts unasked" if event is not None else "starts"
        for effect in effects:
            if isinstance(effect, Send):
                self._leaves(lane, lane_of(effect.to), effect.message, number)
            elif isinstance(effect, Reply):
                self._leaves(lane, "", effect.response, number)
        self._look_at_broker(member, moment)
        self._look_around(moment)

    def asked(self, number: int, who: str, node: int, request: Request) -> None:
        """A client asks; told if it is about this partition and comes to something."""
        if who == ORACLE:
            return
        moment = self.note(label_of(request, self.id), who)
        self._moments[moment].is_told = False
        self._asked[number] = _Asked(who, request, moment)
        self._leaves(who, lane_of(node), request, moment)

    def answered(self, number: int, response: Response | None) -> None:
        asked = self._asked.get(number)
        if asked is None:
            return
        moment = self.note(_answer(asked.request, response, self.id), asked.lane)
        self._moments[moment].received = self._arrived("", response, moment, asked.lane)
        asked.ended = moment
        asked.outcome, asked.result = _outcome(response), self._moments[moment].action
        asked.is_told = self._concerns(asked.request, response)
        for each in (asked.moment, moment):
            self._moments[each].is_told = asked.is_told

    def on_fault(self, fault: Fault, has_begun: bool) -> None:
        """Told by the injector."""
        words = str(fault).partition(": ")[2]
        kind: StepKind = "fault" if has_begun else ""
        action = words if has_begun else f"the end of: {words}"
        moment = self.note(action, lane_of(fault.target), kind=kind)
        self._look_around(self._moments[moment])
        if has_begun:
            self._bars[id(fault)] = (fault, moment, None)
        else:
            self._bars[id(fault)] = (*self._bars[id(fault)][:2], moment)

    def _concerns(self, request: Request, response: Response | None) -> bool:
        if isinstance(request, Produce):
            return any(part.number == self.id.number for part in request.parts)
        if isinstance(request, Fetch) and isinstance(response, Fetched):
            return any(p.number == self.id.number and p.records for p in response.parts)
        return not isinstance(request, Fetch) and self._asked_by_operator(request)

    def _asked_by_operator(self, request: Request) -> bool:
        return type(request).__name__ in ("ElectLeaders", "AlterPartitionReassignments")

    def _leaves(self, sender: str, receiver: str, content: object, moment: int) -> None:
        self._on_the_way[receiver, id(content)] = len(self._sent)
        self._sent.append(_Sent(sender, receiver, content, moment))

    def _arrived(self, lane: str, content: object, moment: int, whose: str = "") -> int | None:
        """Recognises a message; one that arrives a second time is told once."""
        number = self._on_the_way.pop((lane, id(content)), None)
        if number is not None:
            self._sent[number].received = moment
            self._sent[number].receiver = whose or lane
        return number

    # ---- what has changed ----------------------------------------------------------------------

    def _change(self, moment: _Moment, lane: str, state: dict[str, Value]) -> bool:
        if self._held.get(lane) == state:
            return False
        self._held[lane] = state
        moment.changes[lane] = state
        moment.is_told = True
        return True

    def _look_at_everything(self, moment: _Moment) -> None:
        for node in self.cluster.addresses:
            self._look_at_broker(node, moment)
        self._look_around(moment)

    def _look_at_broker(self, member: int, moment: _Moment) -> None:
        node = self.cluster.members.get(member)
        if isinstance(node, Node):
            lane, before = lane_of(member), self._held.get(lane_of(member), {})
            state = _broker_state(node, self.id)
            if self._change(moment, lane, state) and before:
                moment.action = change_of(before, state) or moment.action

    def _look_around(self, moment: _Moment) -> None:
        """The processes that run, what was decided, who is controller, what ZooKeeper holds."""
        up = tuple(node for node in self.cluster.addresses if node in self.cluster.members)
        if up != self._up:
            for node in set(self._up) - set(up):
                gone = dict.fromkeys(self._held[lane_of(node)], None) | {"is_up": False}
                self._change(moment, lane_of(node), gone)
            self._up = up
        states = self.cluster.committed.get(self.id, [])
        decided = states[self._decided :] if self._moments[0] is not moment else states[-1:]
        self._decided = len(states)
        if decided:
            state = self._controller(decided[-1])
            if self._change(moment, "controller", state) and moment is not self._moments[0]:
                moment.note = _decision(decided[-1])
        elif self._moments[0] is not moment and states:
            self._change(moment, "controller", self._controller(states[-1]))
        ensemble = self.cluster.members.get(0)
        if isinstance(ensemble, Ensemble):
            self._change(moment, "zookeeper", _ensemble_state(ensemble))

    def _controller(self, state: PartitionState) -> dict[str, Value]:
        who = self.cluster.controller
        epoch = self.cluster.nodes[who].member.epoch if who is not None else None
        held = self._held.get("controller", {})
        return {
            "who": lane_of(who) if who is not None else None,
            "epoch": epoch if epoch is not None else held.get("epoch"),
            "leader": lane_of(state.leader) if state.leader != NO_LEADER else None,
            "leader_epoch": state.leader_epoch,
            "isr": lanes_of(state.isr),
            "elr": lanes_of(state.elr),
        }

    # ---- the story -----------------------------------------------------------------------------

    def story(self, title: str, result: RunResult | None = None, clause: str = "") -> Story:
        """What was seen so far; of a run that broke a clause, with that at the end."""
        if result is not None and result.clause:
            said = [each.message for each in result.violations if each.clause == clause]
            message = result.error or (said or [str(result.violations[0])])[0]
            self.note(f"{clause or result.clause} is broken", "controller", message, "violation")
        return _Telling(self).story(title, clause)


class _Telling:
    """Chooses what is told, and numbers it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.moments, self.sent = recorder._moments, recorder._sent
        told = {n for n, moment in enumerate(self.moments) if moment.is_told}
        for number in tuple(told):
            received = self.moments[number].received
            if received is not None:
                told.add(self.sent[received].moment)
        self.told = sorted(told)[-STEPS_MAX:]
        if self.told[0] != 0:
            self.told = [0, *self.told[1:]]
        self.steps = {number: step for step, number in enumerate(self.told)}

    def story(self, title: str, clause: str) -> Story:
        recorder = self.recorder
        narrator = Narrator(
            title,
            self._lanes(),
            clause=clause,
            partition=f"{TOPIC}-{recorder.id.number}",
            mode=recorder.cluster.mode.value,
        )
        skipped = self._skipped()
        for number in self.told:
            moment = self.moments[number]
            state: Changes = skipped if number == 0 else moment.changes
            at_ms = moment.at_ms if number else self._begins_ms()
            narrator.step(
                moment.action,
                moment.lane,
                at_ms=at_ms,
                state=state,
                note=moment.note[:2_000],
                kind=moment.kind,
            )
        narrator.messages += self._messages()
        narrator.operations += self._operations()
        narrator.faults += self._faults()
        return narrator.story()

    def _begins_ms(self) -> int:
        """Just before the first step after the initial state."""
        return self.moments[self.told[1]].at_ms if len(self.told) > 1 else 0

    def _skipped(self) -> Changes:
        """The initial state, and all that changed before the steps that are told."""
        first = self.told[1] if len(self.told) > 1 else len(self.moments)
        state: dict[str, dict[str, Value]] = {}
        for moment in self.moments[:first]:
            for lane, changes in moment.changes.items():
                state[lane] = {**state.get(lane, {}), **changes}
        return state

    def _lanes(self) -> tuple[StoryLane, ...]:
        recorder = self.recorder
        acting = {self.moments[number].lane for number in self.told}
        clients = dict.fromkeys(
            asked.lane
            for asked in recorder._asked.values()
            if asked.is_told or asked.lane in acting
        )
        names = {"p": "producer", "c": "consumer", "o": "operator"}
        lanes = [
            StoryLane(id=lane, kind="client", name=f"{names[lane[0]]} {lane[1:]}".strip())
            if lane != "operator"
            else StoryLane(id=lane, kind="client", name=lane)
            for lane in clients
        ]
        lanes.append(StoryLane(id="controller", kind="controller", name="controller"))
        for node in recorder.cluster.addresses:
            lanes.append(StoryLane(id=lane_of(node), kind="broker", name=f"broker {node}"))
        if recorder.cluster.mode is Mode.ZOOKEEPER:
            lanes.append(StoryLane(id="zookeeper", kind="zookeeper", name="ZooKeeper"))
        return tuple(lanes)

    def _messages(self) -> list[StoryMessage]:
        lanes = {lane.id for lane in self._lanes()}
        found = []
        for sent in self.sent:
            if sent.moment not in self.steps or not {sent.sender, sent.receiver} <= lanes:
                continue
            received = self.steps.get(sent.received) if sent.received is not None else None
            if sent.received is not None and received is None:
                continue  # it arrived, and nothing came of it
            if sent.received is None and not _matters(sent.content, self.recorder.id):
                continue
            found.append(
                StoryMessage(
                    sender=sent.sender,
                    receiver=sent.receiver,
                    label=label_of(sent.content, self.recorder.id),
                    sent=self.steps[sent.moment],
                    received=received,
                    is_lost=received is None,
                )
            )
        return found

    def _operations(self) -> list[Operation]:
        found = []
        for asked in self.recorder._asked.values():
            if asked.is_told and asked.moment in self.steps:
                found.append(
                    Operation(
                        lane=asked.lane,
                        label=label_of(asked.request, self.recorder.id),
                        started=self.steps[asked.moment],
                        ended=self.steps.get(asked.ended) if asked.ended is not None else None,
                        outcome=asked.outcome,
                        result=asked.result,
                    )
                )
        return found

    def _faults(self) -> list[FaultBar]:
        found = []
        for fault, begun, ended in self.recorder._bars.values():
            if begun in self.steps:
                last = self.steps.get(ended) if ended is not None else None
                label = str(fault).partition(": ")[2]
                lane = lane_of(fault.target)
                found.append(
                    FaultBar(lane=lane, label=label, started=self.steps[begun], ended=last)
                )
        return found


# ---- states -------------------------------------------------------------------------------------


def _broker_state(node: Node, partition: PartitionId) -> dict[str, Value]:
    replica = node.broker.replicas.get(partition)
    if replica is None:
        state = dict.fromkeys(("leader_epoch", "isr", "high_watermark", "log_start_offset", "log"))
        return {"is_up": True, "role": "knows of nothing", **state}
    log, leader = replica.log, replica.state.leader
    follows = f"follows {lane_of(leader)}" if leader != NO_LEADER else "has no leader"
    batches = zip(log.headers[-LOG_ENTRIES_MAX:], log.batches[-LOG_ENTRIES_MAX:], strict=True)
    return {
        "is_up": True,
        "role": "leader" if replica.leadership else follows,
        "leader_epoch": replica.state.leader_epoch,
        "isr": lanes_of(replica.state.isr),
        "high_watermark": replica.high_watermark,
        "log_start_offset": log.start_offset,
        "log": tuple(
            LogEntry(
                header.base_offset,
                header.leader_epoch,
                header.last_offset_delta + 1,
                records_of(batch)[0].value.decode(errors="replace"),
            )
            for header, batch in batches
        ),
    }


def _ensemble_state(ensemble: Ensemble) -> dict[str, Value]:
    owner = ensemble.tree.get(znodes.CONTROLLER)
    return {
        "controller": lane_of(znodes.controller_of(owner.data)) if owner else None,
        "brokers": tuple(f"b{name}" for name in ensemble.tree.children(znodes.BROKER_IDS)),
    }


def _decision(state: PartitionState) -> str:
    leader = lane_of(state.leader) if state.leader != NO_LEADER else "nobody"
    isr = " ".join(lanes_of(state.isr)) or "empty"
    return f"Decided: {leader} leads in epoch {state.leader_epoch}, the ISR is {isr}."


# ---- clients ------------------------------------------------------------------------------------


def _matters(content: object, partition: PartitionId) -> bool:
    """Whether the loss of a message is worth an arrow."""
    return getattr(content, "id", None) == partition


def _answer(request: Request, response: Response | None, partition: PartitionId) -> str:
    if response is None:
        return f"hears nothing of {label_of(request, partition)}"
    return label_of(response, partition)


def _outcome(response: Response | None) -> Outcome:
    if response is None:
        return "unknown"
    if isinstance(response, Produced | Fetched) and any(part.error for part in response.parts):
        return "fail" if isinstance(response, Fetched) else "unknown"
    return "ok"


def told_run(
    schedule: Schedule, mutant: str | None, validators: Sequence[ValidatorFactory], clause: str
) -> tuple[RunResult, Story | None]:
    """Runs a schedule and tells the story of the partition that its message names, or the first.

    There is no story of a run that ended before it began.
    """
    simulation = Simulation(schedule, rules_of(mutant), validators)
    recorders: list[Recorder] = []
    partition = 0

    def begin() -> None:
        recorders.append(Recorder(simulation, partition))

    simulation.on_set_up = begin
    result = simulation.result()
    title = f"{clause} under faults" + (f", with the mutant {mutant}" if mutant else "")
    return result, recorders[0].story(title, result, clause) if recorders else None
