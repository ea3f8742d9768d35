"""A node's part in the metadata quorum: replica of the log, broker's life, active controller.

The leader of the quorum is the active controller once its LeaderChange is committed: then it has
all that was ever committed. What its controller decides goes into the log; what it has to say about
that waits until it is committed. Source: metadata/.../controller/QuorumController.java.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from reference.configs import Configs
from reference.controller import Controller
from reference.image import MetadataImage
from reference.messages import (
    ControllerMessage,
    Decided,
    Effect,
    Forwarded,
    FromController,
    Internal,
    InternalTimer,
    Message,
    MetadataUpdate,
    NotController,
    ProducerIdsGranted,
    Send,
)
from reference.metadata.quorum import dispatch, election, leading
from reference.metadata.quorum.messages import (
    BrokerHeartbeat,
    BrokerHeartbeatAnswer,
    BrokerHeartbeatDue,
    BrokerRegistration,
    ControllerTickDue,
    QuorumMessage,
    RegisterBroker,
    Snapshot,
)
from reference.metadata.quorum.registration import Registration
from reference.metadata.quorum.replica import Replica, Role
from reference.metadata.records import MetadataRecord
from reference.rules import Rules
from reference.storage.disk import Disk

CONTROLLER_TICK_MS = 500
SNAPSHOT_RECORDS = 500
"""A snapshot is taken after so many committed records (metadata.log.max.record.bytes.between.
snapshots, counted in records)."""
LOG_EPOCH = 0
"""Of MetadataUpdate: there is one log, whose offsets go on from one controller to the next."""
NOWHERE = -1


class _Held(NamedTuple):
    """An answer that waits until the log is committed up to an offset."""

    offset: int
    answer: Send


class QuorumMember:
    """Implements `reference.metadata.member.MetadataMember`. Raises DiskError, and Damaged when it
    is made: its process then ends, with what it has on disk."""

    __slots__ = (
        "_delivered",
        "_draw",
        "_held",
        "_inbox",
        "_static_configs",
        "_told",
        "active",
        "outbox",
        "registration",
        "replica",
    )

    def __init__(
        self,
        node: int,
        voters: tuple[int, ...],
        disk: Disk,
        rules: Rules,
        static_configs: Mapping[str, str],
        draw: Callable[[int], int],
        chance: Callable[[], float],
        incarnation: UUID,
        clean_broker_epoch: int,
    ) -> None:
        configs = Configs(node, static_configs, {})
        self.replica = Replica(
            node=node,
            voters=voters,
            disk=disk,
            rules=rules,
            chance=chance,
            election_timeout_ms=configs.number("controller.quorum.election.timeout.ms"),
            fetch_timeout_ms=configs.number("controller.quorum.fetch.timeout.ms"),
        )
        self.registration = Registration(
            broker=node, incarnation=incarnation, previous_broker_epoch=clean_broker_epoch
        )
        self.active: Controller | None = None
        """The controller logic, while this node is the active controller."""
        self.outbox: list[FromController] = []
        self._static_configs = static_configs
        self._draw = draw
        self._held: list[_Held] = []
        self._delivered = NOWHERE
        """How much of the log the broker has been told."""
        self._told: int | None = None
        """The leader that has been told of this broker."""
        self._inbox: list[Message] = []
        """What the node has to say to itself."""

    # ---- what others may know ------------------------------------------------------------------

    @property
    def effects(self) -> list[Effect]:
        return self.replica.effects

    @effects.setter
    def effects(self, effects: list[Effect]) -> None:
        self.replica.effects = effects

    @property
    def controller(self) -> int | None:
        return self.replica.leader

    @property
    def is_active(self) -> bool:
        return self.active is not None

    @property
    def epoch(self) -> int:
        return self.replica.epoch

    @property
    def may_stop(self) -> bool:
        return self.registration.may_stop

    # ---- events --------------------------------------------------------------------------------

    def start(self, now_ms: int) -> None:
        self.replica.now_ms = now_ms
        election.start(self.replica)
        self._wake_heartbeat()
        self._progress()

    def on_message(self, sender: int, message: Internal, now_ms: int) -> None:
        self.replica.now_ms = now_ms
        match message:
            case RegisterBroker() | BrokerHeartbeat():
                self._ask(sender, message)
            case BrokerRegistration() | BrokerHeartbeatAnswer():
                self._on_controllers_answer(message)
            case QuorumMessage():
                dispatch.on_message(self.replica, sender, message)
        self._progress()

    def on_timer(self, timer: InternalTimer, now_ms: int) -> None:
        self.replica.now_ms = now_ms
        match timer:
            case BrokerHeartbeatDue():
                self._say_alive()
            case ControllerTickDue():
                self._tick()
            case _:
                dispatch.on_timer(self.replica, timer)
        self._progress()

    def to_controller(self, message: ControllerMessage, now_ms: int) -> None:
        self.replica.now_ms = now_ms
        leader = self.replica.leader
        if leader is not None:
            self._send(leader, message)
        elif isinstance(message, Forwarded):
            self.outbox.append(NotController(ticket=message.ticket))
        self._progress()

    def on_controller_message(self, sender: int, message: ControllerMessage, now_ms: int) -> None:
        self.replica.now_ms = now_ms
        self._ask(sender, message)
        self._progress()

    def metadata_applied(self, applied: int) -> None:
        if self.registration.on_applied(applied):
            self._say_alive()
            self._progress()

    def shut_down(self, now_ms: int) -> None:
        self.replica.now_ms = now_ms
        self.registration.wants_shut_down = True
        self.registration.may_stop = not self.registration.is_registered
        self._leave_if_allowed()
        self._say_alive()
        self._progress()

    # ---- the broker's life ---------------------------------------------------------------------

    def _say_alive(self) -> None:
        if self.replica.leader is not None:
            self._send(self.replica.leader, self.registration.message())
        self._wake_heartbeat()

    def _wake_heartbeat(self) -> None:
        self.replica.wake_after(self.registration.interval_ms, BrokerHeartbeatDue())

    def _on_controllers_answer(self, answer: BrokerRegistration | BrokerHeartbeatAnswer) -> None:
        registration = self.registration
        if isinstance(answer, BrokerRegistration):
            if registration.on_registered(answer):
                self._say_alive()
            return
        registration.on_heartbeat(answer)
        if not registration.is_registered:
            self._say_alive()
        self._leave_if_allowed()

    def _leave_if_allowed(self) -> None:
        """A node that may stop leads the quorum no more: its followers need not find out."""
        if self.may_stop and self.replica.role is Role.LEADER:
            election.resign(self.replica)

    # ---- the active controller -----------------------------------------------------------------

    def _ask(self, sender: int, message: Message) -> None:
        """A broker asks, in the belief that the controller is here."""
        if self.active is not None:
            self.active.handle(sender, message, self.replica.now_ms)
            self._take_decisions(self.active)
        elif isinstance(message, Forwarded):
            self._send(sender, NotController(ticket=message.ticket))

    def _tick(self) -> None:
        if self.active is not None:
            self.active.tick(self.replica.now_ms)
            self._take_decisions(self.active)
            self.replica.wake_after(CONTROLLER_TICK_MS, ControllerTickDue())

    def _take_decisions(self, active: Controller) -> None:
        """What was decided goes into the log; the answers wait for all of it."""
        if active.records:
            records, active.records = active.records, []
            leading.append(self.replica, records)
            active.next_offset = self.replica.log.end.offset
        if active.answers:
            end = self.replica.log.end.offset
            self._held += [_Held(end, answer) for answer in active.answers]
            active.answers = []

    def _activate(self) -> None:
        """All that was ever committed is below the LeaderChange, which is committed too."""
        replica = self.replica
        end = replica.log.end.offset
        snapshot, tail = replica.log.records(end)
        self.active = Controller(
            node=replica.node,
            epoch=replica.epoch,
            image=_image((*snapshot, *replica.rules.replayed(tail)), end),
            rules=replica.rules,
            static_configs=self._static_configs,
            draw=self._draw,
            now_ms=replica.now_ms,
            next_offset=end,
        )
        self._tick()
        if not self.registration.is_registered:
            self._say_alive()

    def _depose(self) -> None:
        """What was not committed may be lost: whoever waits for it has to ask again."""
        self.active = None
        held, self._held = self._held, []
        for _, answer in held:
            if isinstance(answer.message, Decided):
                self._send(answer.to, NotController(ticket=answer.message.ticket))

    # ---- consequences --------------------------------------------------------------------------

    def _progress(self) -> None:
        """Draws the consequences of what the event in hand has done to the replica."""
        self._catch_up()
        while self._inbox:
            self._say_to_itself(self._inbox.pop(0))
            self._catch_up()

    def _catch_up(self) -> None:
        replica = self.replica
        leads = replica.role is Role.LEADER
        if self.active is not None and not (leads and replica.epoch == self.active.epoch):
            self._depose()
        if self.active is None and leads and replica.announced_high_watermark:
            self._activate()
        if replica.is_caught_up and replica.high_watermark > self._delivered:
            self._deliver()
            self._take_snapshot()
        if self._held:
            self._release()
        if replica.leader != self._told:
            self._told = replica.leader
            self._say_alive()

    def _deliver(self) -> None:
        """Tells the broker what was committed since; first of all, or after a gap, everything."""
        log, known, end = self.replica.log, self._delivered, self.replica.high_watermark
        self._delivered = end
        starts_anew = known < log.start.offset
        if starts_anew:
            snapshot, tail = log.records(end)
            known, records = end, (*snapshot, *tail)
        else:
            records = tuple(entry.record for entry in log.read(known, end))
        self.outbox.append(
            MetadataUpdate(
                controller_epoch=LOG_EPOCH, first=known, records=records, snapshot=starts_anew
            )
        )

    def _take_snapshot(self) -> None:
        log, end = self.replica.log, self.replica.high_watermark
        before = log.snapshot.end.offset if log.snapshot else 0
        if end - before >= SNAPSHOT_RECORDS:
            snapshot, tail = log.records(end)
            records = _image((*snapshot, *tail), end).snapshot_records()
            log.keep_snapshot(Snapshot(end=log.position(end), records=tuple(records)))

    def _release(self) -> None:
        """Answers that have waited for what is committed now."""
        committed = self.replica.high_watermark
        while self._held and self._held[0].offset <= committed:
            answer = self._held.pop(0).answer
            self._send(answer.to, answer.message)

    def _send(self, to: int, message: Message) -> None:
        if to == self.replica.node:
            self._inbox.append(message)
        else:
            self.replica.send(to, message)

    def _say_to_itself(self, message: Message) -> None:
        match message:
            case Decided() | NotController() | ProducerIdsGranted() | MetadataUpdate():
                self.outbox.append(message)
            case BrokerRegistration() | BrokerHeartbeatAnswer():
                self._on_controllers_answer(message)
            case _:
                self._ask(self.replica.node, message)


def _image(records: Iterable[MetadataRecord], offset: int) -> MetadataImage:
    """The metadata that records make, as of an offset of the log."""
    image = MetadataImage()
    for record in records:
        image.apply(record)
    image.applied = offset
    return image
