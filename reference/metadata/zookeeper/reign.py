"""The time of one controller: from its election until it is deposed, or falls asleep for too long.

Like Kafka's controller event thread it does one thing after another: it reads, decides, writes, and
only then looks at what has come up meanwhile. What came up is decided together and written in one
transaction, on condition that /controller_epoch has not changed since the election.
Source: KafkaController.scala (onControllerFailover, processBrokerChange), KIP-380.
"""

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from reference.controller import Controller
from reference.image import MetadataImage
from reference.messages import (
    AlterPartition,
    Decided,
    Forwarded,
    Message,
    MetadataWanted,
    NotController,
    ProducerIdsWanted,
    Send,
)
from reference.metadata.records import BrokerRegistered, MetadataRecord
from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.loading import (
    Loaded,
    Registration,
    Registrations,
    load,
    read_brokers,
)
from reference.metadata.zookeeper.messages import (
    Check,
    ControlledShutdown,
    Failure,
    Operations,
    Outcome,
    ShutdownGranted,
    Write,
    ZooKeeperError,
)
from reference.metadata.zookeeper.publication import Publication
from reference.metadata.zookeeper.stored import Stored
from reference.rules import Rules

FORMER_LIFE = Registration(-1, UUID(int=0))
"""One that was over when the controller took over: how it was registered nobody knows any more."""

Conversation = Generator[Operations | None, Outcome, None]
"""Yields what to ask ZooKeeper and is sent the outcome; None: it waits for something to come up."""
Question = AlterPartition | Forwarded | ProducerIdsWanted | ControlledShutdown


class Deposed(Exception):
    """There is a newer controller: ZooKeeper has refused a write for its epoch."""


class Office(Protocol):
    """What a controller needs of its node."""

    node: int
    rules: Rules
    static_configs: Mapping[str, str]
    draw: Callable[[int], int]
    now_ms: int
    remembered: MetadataImage | None
    """What the node knew when it was the controller before."""

    def tell(self, to: int, message: Message) -> None: ...


class Reign:
    def __init__(self, office: Office, epoch: int, epoch_version: int) -> None:
        self.epoch = epoch
        self.is_idle = False
        self.conversation: Conversation = self._rule()
        self._office = office
        self._epoch_version = epoch_version
        self._controller: Controller | None = None
        """Once everything is read."""
        self._stored = Stored()
        self._publication = Publication(epoch, MetadataImage())
        self._is_published = False
        """Not before what the last controller left undone is done."""
        self._registered: Registrations = {}
        self._brokers_changed = False
        self._is_due = False
        self._questions: deque[tuple[int, Question]] = deque()
        self._held: list[Send] = []
        """Answers about decisions that are not stored yet."""

    @property
    def controller(self) -> Controller | None:
        """What decides, once what the last controller left undone is done."""
        return self._controller if self._is_published else None

    # ---- what comes up -------------------------------------------------------------------------

    def brokers_changed(self) -> None:
        """A broker's session has begun or ended."""
        self._brokers_changed = True

    def is_due(self) -> None:
        """It is time for the periodic work."""
        self._is_due = True

    def ask(self, sender: int, question: Question) -> None:
        self._questions.append((sender, question))

    def bring_up_to_date(self, broker: int, wanted: MetadataWanted) -> None:
        """Answers at once: what is published is stored."""
        if self._is_published:
            update = self._publication.missing(wanted)
            if update is not None:
                self._office.tell(broker, update)

    def end(self) -> None:
        """Refuses whatever waits for an answer, and leaves what it knew for a later reign."""
        if self._is_published:
            self._office.remembered = self._publication.image
        self._refuse_held()
        for sender, question in self._questions:
            if isinstance(question, Forwarded):
                self._office.tell(sender, NotController(ticket=question.ticket))
        self._questions.clear()
        self._controller = None

    # ---- the work ------------------------------------------------------------------------------

    def _rule(self) -> Conversation:
        """Raises Deposed when ZooKeeper says so."""
        while True:
            loaded = yield from load()
            self._take_over(loaded)
            while (yield from self._store()):
                while not (self._questions or self._brokers_changed or self._is_due):
                    self.is_idle = True
                    yield None
                    self.is_idle = False
                yield from self._work()
            # Somebody else has written what only the controller should: it starts from there.
            self._refuse_held()

    def _take_over(self, loaded: Loaded) -> None:
        office = self._office
        image = office.rules.image_to_start_from(loaded.image, office.remembered).copy()
        self._stored = loaded.stored
        self._brokers_changed = False
        # Whoever restarted is first taken for its former life, and then for another one.
        self._registered = {**loaded.registrations, **self._restarted(loaded)}
        for broker, life in self._registered.items():
            image.apply(_registered(broker, life, fenced=False))
        for broker in _dead(image):
            image.apply(_registered(broker, FORMER_LIFE, fenced=True))
        # Beyond all numbers that were given before, so that brokers take the snapshot.
        first = self._publication.end + 1
        self._publication = Publication(self.epoch, image.copy(), first)
        self._is_published = False
        self._controller = Controller(
            node=office.node,
            epoch=self.epoch,
            image=image,
            rules=office.rules,
            static_configs=office.static_configs,
            draw=office.draw,
            now_ms=office.now_ms,
        )
        self._compare(loaded.registrations)
        self._controller.tick(office.now_ms)

    def _restarted(self, loaded: Loaded) -> dict[int, Registration]:
        """Returns the brokers whose place in some ISR is of a life before the present one.

        Kafka looks only whether they are registered now. But one that lost its power, and what it
        had not synced, may be back before there is a new controller to look.
        """
        found: dict[int, Registration] = {}
        for _, state in loaded.image.partitions():
            for broker in state.isr:
                life = loaded.registrations.get(broker)
                if life is not None and self._office.rules.restarted_since(
                    life.broker_epoch, loaded.written_at[state.id]
                ):
                    found[broker] = FORMER_LIFE
        return found

    def _work(self) -> Generator[Operations, Outcome, None]:
        """Decides about all that has come up."""
        controller = self._controller
        assert controller is not None
        if self._brokers_changed:
            self._brokers_changed = False
            registered = yield from read_brokers()
            self._compare(registered)
        while self._questions:
            sender, question = self._questions.popleft()
            if isinstance(question, ControlledShutdown):
                self._begin_shutdown(controller, sender, question)
            else:
                controller.handle(sender, question, self._office.now_ms)
        if self._is_due:
            self._is_due = False
            controller.tick(self._office.now_ms)

    def _compare(self, registrations: Registrations) -> None:
        """Tells the logic who has gone, and who has come; whoever did both is another life."""
        controller, now_ms = self._controller, self._office.now_ms
        assert controller is not None
        before, self._registered = self._registered, registrations
        self._fence([b for b, life in before.items() if not self._is_same(life, registrations, b)])
        for broker, life in registrations.items():
            if not self._is_same(life, before, broker):
                controller.broker_registered(
                    broker,
                    broker_epoch=life.broker_epoch,
                    incarnation=life.incarnation,
                    clean=True,
                    now_ms=now_ms,
                )

    def _is_same(self, life: Registration, others: Registrations, broker: int) -> bool:
        other, same = others.get(broker), self._office.rules.is_same_registration
        return other is not None and same(other.broker_epoch, life.broker_epoch)

    def _fence(self, gone: list[int]) -> None:
        """Fences all before any is looked after, so that none is elected in the place of another.

        One transaction stores it all, and nobody hears of a part of it.
        """
        controller = self._controller
        assert controller is not None
        if self._office.rules.must_be_fenced(session_lost=True):
            known = controller.image.brokers
            controller.commit([replace(known[broker], fenced=True) for broker in gone])
        for broker in gone:
            controller.broker_vanished(broker, self._office.now_ms)

    def _begin_shutdown(
        self, controller: Controller, broker: int, message: ControlledShutdown
    ) -> None:
        life = self._registered.get(broker)
        if life is None or life.broker_epoch != message.broker_epoch:
            return
        controller.begin_shutdown(broker, self._office.now_ms)
        granted = ShutdownGranted(broker_epoch=message.broker_epoch)
        controller.answers.append(Send(broker, granted))

    # ---- storing -------------------------------------------------------------------------------

    def _store(self) -> Generator[Operations, Outcome, bool]:
        """Writes what was decided; then says it. Returns whether ZooKeeper has taken it."""
        controller = self._controller
        assert controller is not None
        records, controller.records = controller.records, []
        answers, controller.answers = controller.answers, []
        self._held += answers
        if records:
            operations = self._operations(records)
            outcome = yield operations
            if isinstance(outcome, Failure):
                epoch_changed = operations[outcome.index].path == znodes.CONTROLLER_EPOCH
                if epoch_changed and outcome.error is ZooKeeperError.BAD_VERSION:
                    raise Deposed
                return False
        self._publish(records)
        held, self._held = self._held, []
        for answer in held:
            self._office.tell(answer.to, answer.message)
        return True

    def _operations(self, records: list[MetadataRecord]) -> tuple[Write, ...]:
        writes = self._stored.translate(records, self.epoch)
        if not self._office.rules.checks_controller_epoch():
            return tuple(writes)
        return Check(znodes.CONTROLLER_EPOCH, self._epoch_version), *writes

    def _publish(self, records: list[MetadataRecord]) -> None:
        if not self._is_published:
            self._is_published = True
            self._publication.add(records)
            update = self._publication.snapshot()
        elif records:
            update = self._publication.add(records)
        else:
            return
        for broker in self._registered:
            self._office.tell(broker, update)

    def _refuse_held(self) -> None:
        held, self._held = self._held, []
        for answer in held:
            if isinstance(answer.message, Decided):
                self._office.tell(answer.to, NotController(ticket=answer.message.ticket))


def _dead(image: MetadataImage) -> list[int]:
    """The brokers that are not registered, as far as replicas tell of them."""
    replicas = {broker for _, state in image.partitions() for broker in state.replicas}
    return sorted(replicas - image.brokers.keys())


def _registered(broker: int, life: Registration, *, fenced: bool) -> BrokerRegistered:
    return BrokerRegistered(
        broker=broker,
        broker_epoch=life.broker_epoch,
        incarnation=life.incarnation,
        fenced=fenced,
    )
