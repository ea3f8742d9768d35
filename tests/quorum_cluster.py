"""The metadata quorum alone, in virtual time, under faults; and what must hold at every moment.

Brokers are what a metadata member needs of one: they apply what they are told. Clients change one
setting over and over, so that every decision can be told from every other.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any
from uuid import UUID

from reference.image import MetadataImage
from reference.messages import (
    Cancel,
    Decided,
    Event,
    Forwarded,
    FromPeer,
    InternalTimer,
    MetadataUpdate,
    NotController,
    Send,
    Wake,
)
from reference.metadata.quorum.member import QuorumMember
from reference.metadata.quorum.messages import Entry, QuorumFetch, VoteResponse
from reference.metadata.quorum.replica import Role
from reference.metadata.records import ConfigRecord
from reference.requests import IncrementalAlterConfigs
from reference.requests.configs import AlterOperation, ConfigChange, ResourceToAlter, ResourceType
from reference.rules import Rules
from reference.storage.simulated import SimulatedDisk

SETTING = "message.max.bytes"
CONFIGS = {
    "controller.quorum.election.timeout.ms": "300",
    "controller.quorum.fetch.timeout.ms": "600",
}
RESIGNS_WITHIN_MS = 1_500
"""A leader that a majority has not fetched from for so long leads no more."""

Observer = Callable[[QuorumMember, Event | None, int], None]


class Violated(AssertionError):
    """A promise of the quorum is broken."""


@dataclass(slots=True)
class Broker:
    """The broker of a node: it applies what its member tells it."""

    image: MetadataImage = field(default_factory=MetadataImage)

    def apply(self, update: MetadataUpdate) -> None:
        if update.snapshot:
            self.image = MetadataImage()
        elif update.first != self.image.applied:
            raise Violated(f"records from {update.first} on, after {self.image.applied}")
        for record in update.records:
            self.image.apply(record)
        if update.snapshot:
            self.image.applied = update.first


@dataclass(slots=True, eq=False)
class Life:
    """A node's process."""

    number: int
    member: QuorumMember
    broker: Broker
    heard_ms: dict[int, int] = field(default_factory=dict)
    """When each other voter has fetched last since this node leads."""
    checked: int = 0
    """How much of its committed log was compared."""
    was_committed: int = 0
    """Its high watermark when it began to lead."""
    led_epoch: int = 0
    was_active: bool = False


class QuorumCluster:
    def __init__(
        self,
        seed: int,
        *,
        voters: int = 3,
        observers: int = 0,
        rules: Rules | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.rules = rules or Rules()
        self.numbers = tuple(range(1, voters + observers + 1))
        self.voters = self.numbers[:voters]
        self.disks = {number: SimulatedDisk() for number in self.numbers}
        self.lives: dict[int, Life] = {}
        self.now_ms = 0
        self.loss = 0.0
        self.duplication = 0.0
        self.delay_ms = (1, 5)
        self.crashes_of_voters = 0.0
        """How often a voter crashes when it has just sent its vote."""
        self.cuts: set[tuple[int, int]] = set()
        self.events = 0
        self.observer = observer
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._timers: dict[tuple[Life, object], int] = {}
        self._tickets = 0
        self.asked: dict[int, str] = {}
        """The value of each request, by ticket."""
        self.answered: list[int] = []
        self.refused: list[int] = []
        self.leaders: dict[int, int] = {}
        self.committed: list[Entry] = []
        for number in self.numbers:
            self.start(number)

    # ---- processes -----------------------------------------------------------------------------

    def start(self, number: int) -> None:
        if number in self.lives:
            return
        member = QuorumMember(
            number,
            self.voters,
            self.disks[number],
            self.rules,
            CONFIGS,
            self.chance.getrandbits,
            self.chance.random,
            UUID(int=self.chance.getrandbits(128)),
            -1,
        )
        life = self.lives[number] = Life(number, member, Broker())
        member.start(self.now_ms)
        self.settle(life, None)

    def crash(self, number: int, *, power_loss: bool = False) -> None:
        """What is on its way to the node is lost with it."""
        if self.lives.pop(number, None) is not None and power_loss:
            self.disks[number].lose_power(self.chance.random)

    # ---- time ----------------------------------------------------------------------------------

    def at(self, at_ms: int, do: Callable[..., None], *args: Any) -> int:
        self._order += 1
        heappush(self._queue, (at_ms, self._order, do, args))
        return self._order

    def run_until(self, at_ms: int) -> None:
        while self._queue and self._queue[0][0] <= at_ms:
            self.now_ms, order, do, args = heappop(self._queue)
            if do == self._wake and self._timers.get(args) != order:
                continue
            self.events += 1
            do(*args)
        self.now_ms = at_ms

    def _wake(self, life: Life, timer: InternalTimer) -> None:
        del self._timers[life, timer]
        if self.lives.get(life.number) is life:
            life.member.on_timer(timer, self.now_ms)
            self.settle(life, timer)

    def _deliver(self, sender: int, life: Life, message: Any) -> None:
        if self.lives.get(life.number) is not life or (sender, life.number) in self.cuts:
            return
        member = life.member
        if isinstance(message, Decided | NotController):
            self._hear(message)
        elif isinstance(message, Forwarded):
            member.on_controller_message(sender, message, self.now_ms)
        elif not isinstance(message, MetadataUpdate):
            if isinstance(message, QuorumFetch) and message.epoch == member.epoch:
                life.heard_ms[sender] = self.now_ms
            member.on_message(sender, message, self.now_ms)
        self.settle(life, FromPeer(sender, message))

    def settle(self, life: Life, cause: Event | None) -> None:
        member = life.member
        if self.observer is not None:
            self.observer(member, cause, self.now_ms)
        self._check(life)
        while member.outbox:
            told, member.outbox = member.outbox, []
            for message in told:
                if isinstance(message, MetadataUpdate):
                    life.broker.apply(message)
                elif isinstance(message, Decided | NotController):
                    self._hear(message)
            member.metadata_applied(life.broker.image.applied)
        effects, member.effects = member.effects, []
        for effect in effects:
            if isinstance(effect, Send):
                self._send(life.number, effect)
                self._consider_crash(life, effect.message)
            elif isinstance(effect, Wake):
                key = (life, effect.timer)
                self._timers[key] = self.at(effect.at_ms, self._wake, *key)
            elif isinstance(effect, Cancel):
                self._timers.pop((life, effect.timer), None)
        if self.observer is not None:
            self.observer(member, cause, self.now_ms)

    def _consider_crash(self, life: Life, message: object) -> None:
        has_voted = isinstance(message, VoteResponse) and message.granted
        if has_voted and self.chance.random() < self.crashes_of_voters:
            self.at(self.now_ms, self.crash, life.number)
            self.at(self.now_ms + self.chance.randint(1, 20), self.start, life.number)

    def _send(self, sender: int, effect: Send) -> None:
        life = self.lives.get(effect.to)
        if life is None or (sender, effect.to) in self.cuts:
            return
        for _ in range(1 + (self.chance.random() < self.duplication)):
            if self.chance.random() >= self.loss:
                delay_ms = self.chance.randint(*self.delay_ms)
                self.at(self.now_ms + delay_ms, self._deliver, sender, life, effect.message)

    # ---- clients -------------------------------------------------------------------------------

    def ask(self, number: int) -> None:
        """A client of this node changes the setting; nobody repeats what gets no answer."""
        life = self.lives.get(number)
        if life is None:
            return
        self._tickets += 1
        value = str(1_000 + self._tickets)
        self.asked[self._tickets] = value
        change = ConfigChange(SETTING, AlterOperation.SET, value)
        resource = ResourceToAlter(type=ResourceType.BROKER, name="", changes=(change,))
        request = IncrementalAlterConfigs(resources=(resource,), validate_only=False)
        message = Forwarded(ticket=self._tickets, request=request)
        life.member.to_controller(message, self.now_ms)
        self.settle(life, FromPeer(number, message))

    def _hear(self, answer: Decided | NotController) -> None:
        value = self.asked[answer.ticket]
        if isinstance(answer, NotController):
            self.refused.append(answer.ticket)
        elif value not in self.committed_values():
            raise Violated(f"CTL-08: {value} was acknowledged, and is not committed")
        else:
            self.answered.append(answer.ticket)

    @property
    def controller(self) -> int | None:
        """The active controller of the newest epoch."""
        active = [life for life in self.lives.values() if life.member.active is not None]
        newest = max(active, key=lambda life: life.member.epoch, default=None)
        return newest.number if newest else None

    def committed_values(self) -> set[str | None]:
        return {e.record.value for e in self.committed if isinstance(e.record, ConfigRecord)}

    # ---- promises ------------------------------------------------------------------------------

    def _check(self, life: Life) -> None:
        replica = life.member.replica
        if life.checked < replica.high_watermark:
            self._check_committed(life)
        if replica.role is Role.LEADER:
            self._check_leader(life)
        if replica.log.end.offset < replica.high_watermark:
            raise Violated(f"CTL-08: {life.number} has cut off what is committed")

    def _check_leader(self, life: Life) -> None:
        replica = life.member.replica
        first = self.leaders.setdefault(replica.epoch, life.number)
        if first != life.number:
            raise Violated(f"CTL-01: {first} and {life.number} lead epoch {replica.epoch}")
        if life.led_epoch != replica.epoch:
            life.led_epoch = replica.epoch
            life.heard_ms = dict.fromkeys(replica.other_voters, self.now_ms)
            life.was_committed = replica.high_watermark
            self._check_completeness(life)
        committed = replica.high_watermark
        if committed > life.was_committed and replica.log.position(committed).epoch < replica.epoch:
            raise Violated(f"CTL-08: {life.number} commits by a record of an older epoch")
        heard = sum(at >= self.now_ms - RESIGNS_WITHIN_MS for at in life.heard_ms.values())
        if 2 * (heard + 1) <= len(self.voters):
            raise Violated(f"CTL-08: {life.number} leads, and no majority follows")
        if life.member.active is not None and not life.was_active:
            self._check_controller(life)
        life.was_active = life.member.active is not None

    def _check_completeness(self, life: Life) -> None:
        log = life.member.replica.log
        known = log.read(log.start.offset, len(self.committed))
        if log.end.offset < len(self.committed) or (
            list(known) != self.committed[log.start.offset :]
        ):
            raise Violated(f"CTL-04: {life.number} leads without all that is committed")

    def _check_committed(self, life: Life) -> None:
        replica = life.member.replica
        start = max(life.checked, replica.log.start.offset)
        entries = list(replica.log.read(start, replica.high_watermark))
        known = self.committed[start : start + len(entries)]
        if entries[: len(known)] != known:
            raise Violated(f"CTL-02: {life.number} has other committed records from {start} on")
        if len(known) < len(entries):
            self.committed += entries[len(known) :]
        life.checked = replica.high_watermark

    def _check_controller(self, life: Life) -> None:
        image = MetadataImage()
        for entry in self.committed:
            image.apply(entry.record)
        assert life.member.active is not None
        if life.member.active.image.configs != image.configs:
            raise Violated(f"CTL-04: the controller {life.number} does not know what is committed")

    def check_logs(self) -> None:
        """Logs with the same epoch at the same offset are the same up to there."""
        logs = [life.member.replica.log for life in self.lives.values()]
        for one in logs:
            for other in logs:
                start = max(one.start.offset, other.start.offset)
                pairs = list(
                    zip(
                        one.read(start, one.end.offset),
                        other.read(start, other.end.offset),
                        strict=False,
                    )
                )
                same = [a.epoch == b.epoch for a, b in pairs]
                last = len(same) - same[::-1].index(True) if True in same else 0
                if any(a != b for a, b in pairs[:last]):
                    raise Violated("CTL-02: logs that agree at an offset differ before it")

    # ---- faults --------------------------------------------------------------------------------

    def cut_off(self, number: int) -> None:
        """Nothing passes between this node and the others."""
        others = [other for other in self.numbers if other != number]
        self.cuts |= {pair for other in others for pair in ((number, other), (other, number))}

    def heal(self) -> None:
        self.cuts.clear()
        self.loss = self.duplication = self.crashes_of_voters = 0.0
        self.delay_ms = (1, 5)
        for number in self.numbers:
            self.start(number)

    def disturb(self, until_ms: int) -> None:
        """Faults and requests by chance, up to a time."""
        chance, at_ms = self.chance, self.now_ms
        while at_ms < until_ms:
            at_ms += int(chance.expovariate(1 / 120)) + 1
            node = chance.choice(self.numbers)
            kind = chance.random()
            if kind < 0.55:
                self.at(at_ms, self.ask, node)
            elif kind < 0.8:
                self.at(at_ms, self._crash_for_a_while, node)
            elif kind < 0.95:
                self.at(at_ms, self._cut_for_a_while, node)
            else:
                self.at(at_ms, self.cuts.clear)

    def _crash_for_a_while(self, number: int) -> None:
        self.crash(number, power_loss=self.chance.random() < 0.5)
        pause_ms = self.chance.choice((1, 10, 50, 300, 1_500))
        self.at(self.now_ms + pause_ms, self.start, number)

    def _cut_for_a_while(self, number: int) -> None:
        one_way = self.chance.random() < 0.3
        count = len(self.numbers)
        others = self.chance.sample(self.numbers, self.chance.choice((1, count // 2, count)))
        cuts = {(number, other) for other in others if other != number}
        if not one_way:
            cuts |= {(other, number) for number, other in sorted(cuts)}
        self.cuts |= cuts
        self.at(self.now_ms + self.chance.choice((300, 1_000, 3_000)), self._mend, cuts)

    def _mend(self, cuts: set[tuple[int, int]]) -> None:
        self.cuts -= cuts

    # ---- whole runs ----------------------------------------------------------------------------

    def run_disturbed(self, duration_ms: int = 8_000) -> None:
        """Boots, suffers, heals, and must then work again. Raises Violated."""
        self.loss = self.chance.choice((0.0, 0.02, 0.1))
        self.duplication = self.chance.choice((0.0, 0.05))
        self.delay_ms = self.chance.choice(((1, 5), (1, 40), (1, 200)))
        self.crashes_of_voters = self.chance.choice((0.0, 0.5))
        self.run_until(700)
        self.disturb(duration_ms)
        self.run_until(duration_ms)
        self.heal()
        self.run_until(duration_ms + 5_000)
        self.check_logs()
        self._check_liveness()

    def run_elections(self, duration_ms: int = 10_000) -> None:
        """No leader lasts, and voters crash as soon as they have voted. Raises Violated."""
        self.delay_ms = (1, 200)
        self.crashes_of_voters = 0.8
        for at_ms in range(500, duration_ms, 300):
            self.at(at_ms, self._crash_leaders)
        self.run_until(duration_ms)
        self.check_logs()

    def _crash_leaders(self) -> None:
        for number, life in tuple(self.lives.items()):
            if life.member.replica.role is Role.LEADER:
                self._crash_for_a_while(number)

    def _check_liveness(self) -> None:
        before = len(self.answered)
        for number in self.numbers:
            self.ask(number)
            self.run_until(self.now_ms + 300)
        if len(self.answered) < before + len(self.numbers):
            raise Violated("CTL-03: after healing nothing is decided")
        images = [life.broker.image for life in self.lives.values()]
        if any(image.configs != images[0].configs for image in images):
            raise Violated("META-05: brokers disagree on what is committed")
        kept = self.committed_values()
        lost = [ticket for ticket in self.answered if self.asked[ticket] not in kept]
        if lost:
            raise Violated(f"CTL-04: acknowledged and lost: {lost}")
