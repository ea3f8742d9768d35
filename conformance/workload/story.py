"""One leader struck by a fault under load, healed, and all that was to be seen of it.

A story is told once and judged by the tests of many clauses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.nemesis.capability import Capability
from conformance.nemesis.nemesis import Nemesis, Ongoing
from conformance.outcomes import Inconclusive
from conformance.partition import Appended
from conformance.records import batch_of
from conformance.workload.controllers import Quorum, active_controller, ask_for_quorum
from conformance.workload.errands import (
    Errand,
    Reassignment,
    Replacement,
    StaleChange,
    Strays,
    ask_to_create_by,
)
from conformance.workload.history import History
from conformance.workload.leaders import move_leader
from conformance.workload.lines import Lines
from conformance.workload.settings import TOPIC, described
from conformance.workload.siege import TWO_IN_SYNC, Siege, besieged
from conformance.workload.topics import new_topic

E = TypeVar("E", bound=Errand)
SOME = 40
"""How many acknowledged writes make a phase of the workload."""
WORKS_WITHIN_MS = 60_000
ANSWER_WITHIN_MS = 5_000
AWAY_MS = 200
"""How long a broker stays away for whose partition there is no other."""
KEPT_RETENTION, KEPT_PARTITIONS = "1234567", 2
NUMBERED = 3
"""Batches of a known producer, written before the fault and sent again after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """How the leader is struck."""

    needs: Capability
    strike: Callable[[Nemesis, int], Ongoing]
    controller: bool
    """Whether the leader that is struck is the active controller too."""
    hands_over: bool = False
    """Whether it sees to its succession itself."""
    still: bool = False
    """Whether it stands still, so that it answers nothing at all."""
    single: bool = False
    """Whether the partition has no other replica, so that all wait for this broker."""
    errands: tuple[type[Errand], ...] = ()
    """What else is done on the way."""


PLOTS: Mapping[str, Plot] = {
    "killed": Plot(
        needs=Capability.KILL,
        strike=Nemesis.kill,
        controller=True,
        errands=(Replacement, Reassignment),
    ),
    "paused": Plot(needs=Capability.PAUSE, strike=Nemesis.pause, controller=True, still=True),
    "isolated": Plot(
        needs=Capability.ISOLATE,
        strike=Nemesis.isolate,
        controller=True,
        errands=(Strays, StaleChange),
    ),
    "shut-down": Plot(
        needs=Capability.SHUT_DOWN, strike=Nemesis.shut_down, controller=False, hands_over=True
    ),
    "without-controllers": Plot(
        needs=Capability.CUT_CONTROLLERS,
        strike=Nemesis.cut_controllers,
        controller=False,
        errands=(Strays,),
    ),
    "without-power": Plot(needs=Capability.LOSE_POWER, strike=Nemesis.lose_power, controller=False),
    "alone-killed": Plot(needs=Capability.KILL, strike=Nemesis.kill, controller=False, single=True),
    "alone-shut-down": Plot(
        needs=Capability.SHUT_DOWN, strike=Nemesis.shut_down, controller=False, single=True
    ),
}


def stories(*names: str) -> pytest.MarkDecorator:
    """Runs a test on these plots, by default on all in which there are other replicas, where the
    harness can bring them about."""
    names = names or tuple(name for name, plot in PLOTS.items() if not plot.single)
    chosen = [pytest.param(name, marks=pytest.mark.needs(PLOTS[name].needs)) for name in names]
    return pytest.mark.parametrize("plot", chosen)


@dataclass(slots=True, kw_only=True)
class Story:
    """What a test judges. A time is in milliseconds; None where it did not happen."""

    plot: Plot
    victim: int
    limit_ms: int
    """How long a takeover was waited for."""
    history: History = field(default_factory=History)
    struck_ms: int = 0
    healed_ms: int = 0
    led_again_ms: int | None = None
    """From the fault to the first answer that named another leader."""
    written_again_ms: int | None = None
    """From the fault to the first write that was sent after it and acknowledged by another."""
    fenced_ms: int | None = None
    """From the fault to when all others had it neither among the brokers nor in the ISR."""
    returned_ms: int | None = None
    """From the end of the fault to when it was among the brokers and in sync."""
    quorums: list[tuple[int, Quorum]] = field(default_factory=list)
    """Broker, and what it said of the quorum, in order; empty without KRaft."""
    kept: dict[int, tuple[ErrorCode, int, str | None]] = field(default_factory=dict)
    """Broker -> what it says at the end of a topic that was created before: error, number of
    partitions, configuration."""
    kept_expected: tuple[ErrorCode, int, str] = (ErrorCode.none, KEPT_PARTITIONS, KEPT_RETENTION)
    created: ErrorCode | None = None
    """What the others answered, during the fault, to the creation of another topic."""
    created_seen: tuple[int, ...] = ()
    """The brokers that know that other topic at the end."""
    retries: list[tuple[str, Appended, int]] = field(default_factory=list)
    """When, the answer to a batch that was sent again, and the offset of the original."""
    gaps: list[tuple[str, Appended]] = field(default_factory=list)
    """When, and the answer to a batch of the same producer that leaves one out."""
    epoch_ends: dict[int, Any] = field(default_factory=dict)
    """Leader epoch -> the answer of the victim, once it leads again, to where that ended."""
    log_end: int = 0
    """Of the victim at that moment."""
    errands: list[Errand] = field(default_factory=list)

    def errand(self, kind: type[E]) -> E:
        """What came of one of the plot's errands."""
        return next(errand for errand in self.errands if isinstance(errand, kind))


def tell(bench: Bench, name: str) -> Story:
    """The story of this plot: the one that another test has had told, or a new one."""
    return bench.once(f"story {name}", lambda: _tell(bench, PLOTS[name]))


def _tell(bench: Bench, plot: Plot) -> Story:
    with bench.client() as client:
        controller = active_controller(client)
        if plot.controller:
            victim = controller
        else:
            victim = next(broker for broker in client.brokers if broker != controller)
        replicas = (victim, *(b for b in client.brokers if b != victim and not plot.single))
        configs = {} if plot.single else TWO_IN_SYNC
        with besieged(bench, client, replicas[:3], configs=configs) as siege:
            story = Story(plot=plot, victim=victim, limit_ms=siege.takeover_ms)
            teller = Teller(siege, story)
            try:
                teller.tell()
            finally:
                bench.discard(client, *teller.names, *(e.name for e in story.errands if e.name))
            return story


class Teller:
    """Goes through the phases of a story."""

    def __init__(self, siege: Siege, story: Story) -> None:
        self.siege, self.story, self.plot = siege, story, story.plot
        self.load, self.target = siege.load, siege.target
        self.client = siege.partition.client
        self.lines = Lines(siege.load.brokers)
        bench = siege.bench
        self.names = (bench.name("-kept"), bench.name("-created"))
        self.producer_id = self.client.init_producer_id()
        self.offsets: list[int] = []
        story.errands = [
            errand(siege, story.victim, Lines(siege.load.brokers)) for errand in self.plot.errands
        ]

    def tell(self) -> None:
        """All of it. Raises `Inconclusive` where the workload does not get under way."""
        siege, story = self.siege, self.story
        self.prepare()
        siege.begin()
        siege.need("writes before the fault", siege.more(SOME), WORKS_WITHIN_MS)
        story.struck_ms = self.target.now_ms()
        with self.plot.strike(siege.nemesis, story.victim):
            for errand in story.errands:
                errand.at_once()
            self.during()
            story.healed_ms = self.target.now_ms()
        story.returned_ms = siege.comes(self.has_returned, siege.takeover_ms)
        siege.need("writes after the fault", siege.more(SOME), WORKS_WITHIN_MS)
        siege.heal()
        story.history = siege.finish()
        self.afterwards()

    # ---- before ---------------------------------------------------------------------------------

    def prepare(self) -> None:
        """What has to be there after the fault as it was before it."""
        kept = new_topic(
            self.names[0],
            partitions=KEPT_PARTITIONS,
            replication_factor=3,
            configs={"retention.ms": KEPT_RETENTION},
        )
        error = self.create(kept, self.load.leader)
        if error is not ErrorCode.none:
            raise Inconclusive(f"a topic was not created: {error.name if error else 'no answer'}")
        self.client.settled(self.names[0])
        for number in range(NUMBERED):
            answer = self.numbered(number, self.load.leader)
            if answer is None or answer.error is not ErrorCode.none:
                raise Inconclusive("a numbered batch was not appended")
            self.offsets.append(answer.base_offset)
        for errand in self.story.errands:
            errand.before()

    # ---- during ---------------------------------------------------------------------------------

    def during(self) -> None:
        siege, story, victim = self.siege, self.story, self.story.victim
        others = siege.others(victim)
        self.ask_for_quorums()
        if self.plot.single:
            siege.comes(lambda: not siege.nemesis.is_running(victim), siege.takeover_ms)
            siege.target.sleep(AWAY_MS)
            return
        led = siege.comes(lambda: self.load.leader != victim, siege.takeover_ms)
        if led is not None:
            story.led_again_ms = self.target.now_ms() - story.struck_ms
            siege.comes(self.is_led_by_another, siege.takeover_ms)
            sent_ms = self.target.now_ms()
            siege.comes(lambda: self.was_written_since(sent_ms), siege.takeover_ms)
            story.written_again_ms = self.first_write_again()
            siege.comes(lambda: siege.all_say(others, self.is_without_victim), siege.takeover_ms)
            if siege.all_say(others, self.is_without_victim):
                story.fenced_ms = self.target.now_ms() - story.struck_ms
            self.ask_for_quorums()
            story.created = self.create(new_topic(self.names[1], replication_factor=2), others[0])
            self.try_again("after the takeover", self.load.leader)
            for errand in story.errands:
                errand.during()
            siege.comes(siege.more(SOME), siege.takeover_ms)
        if self.plot.hands_over:
            siege.comes(lambda: not siege.nemesis.is_running(victim), siege.takeover_ms)

    def is_led_by_another(self) -> bool:
        load, victim = self.load, self.story.victim
        return load.leader != victim and self.siege.all_say(
            self.siege.others(victim), lambda look: look.leader == load.leader
        )

    def is_without_victim(self, look: Any) -> bool:
        victim = self.story.victim
        return victim not in look.isr and victim not in look.brokers

    def was_written_since(self, at_ms: int) -> bool:
        return any(
            write.sent_ms >= at_ms and write.broker != self.story.victim
            for write in self.load.history.acknowledged
        )

    def first_write_again(self) -> int | None:
        story = self.story
        times = [
            write.settled_ms
            for write in self.load.history.acknowledged
            if write.settled_ms is not None
            and write.sent_ms >= story.struck_ms
            and write.broker != story.victim
        ]
        return min(times) - story.struck_ms if times else None

    # ---- after ----------------------------------------------------------------------------------

    def has_returned(self) -> bool:
        victim, healed_ms = self.story.victim, self.story.healed_ms
        ids = self.load.brokers.ids
        return self.siege.all_say(
            ids,
            lambda look: look.at_ms > healed_ms and victim in look.brokers and victim in look.isr,
        )

    def afterwards(self) -> None:
        """The victim leads again, and says what it knows."""
        story, partition = self.story, self.siege.partition
        self.ask_for_quorums()
        move_leader(partition, to=story.victim)
        self.try_again("once it leads again", story.victim)
        newest = partition.view.leader_epoch
        story.log_end = partition.append(b"the end").base_offset + 1
        story.epoch_ends = {e: partition.epoch_end(e).result() for e in range(newest + 1)}
        self.look_at_topics()
        for errand in story.errands:
            errand.after()

    def look_at_topics(self) -> None:
        story, (kept, created) = self.story, self.names
        seen = []
        for broker in self.load.brokers.ids:
            view = self.client.view(kept, broker)
            story.kept[broker] = (
                view.error,
                len(view.partitions),
                described(self.client.broker(broker), TOPIC, kept).get("retention.ms"),
            )
            if self.client.view(created, broker).error is ErrorCode.none:
                seen.append(broker)
        story.created_seen = tuple(seen)

    # ---- questions ------------------------------------------------------------------------------

    def ask_for_quorums(self) -> None:
        """What each broker that answers says of the quorum, where there is one."""
        for broker in self.load.brokers.ids:
            over = self.lines.to(broker)
            if not over.serves("describe_quorum"):
                return
            if broker == self.story.victim and self.plot.still:
                continue
            pending = ask_for_quorum(over)
            self.target.settle(pending, within_ms=ANSWER_WITHIN_MS)
            if not pending.answered:
                self.lines.drop(broker)
            elif pending.value:
                self.story.quorums.append((broker, pending.value))

    def create(self, topic: Mapping[str, Any], broker: int) -> ErrorCode | None:
        """CreateTopics through a broker, or the controller that it names; None without answer."""
        pending = ask_to_create_by(self.siege, self.lines, topic, broker)
        self.target.settle(pending, within_ms=2 * ANSWER_WITHIN_MS)
        return pending.value if pending.answered else None

    def numbered(self, sequence: int, broker: int) -> Appended | None:
        """A batch of the known producer; None without an answer."""
        batch = batch_of(
            b"numbered %d" % sequence,
            timestamp_ms=self.target.clock_ms(),
            producer_id=self.producer_id,
            producer_epoch=0,
            base_sequence=sequence,
        )
        pending = self.siege.partition.produce(batch, over=self.lines.to(broker))
        self.target.settle(pending)
        return pending.value if pending.answered else None

    def try_again(self, when: str, broker: int) -> None:
        """Sends the known batches once more, and one that leaves out a number."""
        for sequence, offset in enumerate(self.offsets):
            answer = self.numbered(sequence, broker)
            if answer is not None:
                self.story.retries.append((when, answer, offset))
        answer = self.numbered(NUMBERED + 1, broker)
        if answer is not None:
            self.story.gaps.append((when, answer))
