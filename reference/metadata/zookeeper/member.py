"""A node's part in keeping the metadata with ZooKeeper: it registers, and may be the controller.

A member whose session has expired while it slept does not know it. It goes on as a zombie, perhaps
as the controller of a past epoch, until its client has opened a new session; see `client`.
"""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from uuid import UUID

from reference.configs import Configs
from reference.controller import Controller
from reference.image import MetadataImage
from reference.messages import (
    ControllerMessage,
    Effect,
    Forwarded,
    FromController,
    Internal,
    InternalTimer,
    Message,
    MetadataWanted,
    NotController,
    Send,
    Wake,
)
from reference.metadata.zookeeper import election, znodes
from reference.metadata.zookeeper.client import Client
from reference.metadata.zookeeper.election import Elected
from reference.metadata.zookeeper.messages import (
    Answered,
    ControlledShutdown,
    Notified,
    Operations,
    Outcome,
    PingDue,
    ReignDue,
    SessionExpired,
    SessionOpened,
    ShutdownDue,
    ShutdownGranted,
    UnansweredDue,
    WatchEvent,
)
from reference.metadata.zookeeper.reign import Deposed, Question, Reign
from reference.rules import Rules
from reference.storage.disk import Disk

TIMEOUT = "zookeeper.session.timeout.ms"
WITHOUT_ELR = {"eligible.leader.replicas.enable": "false"}
"""Eligible leader replicas need the metadata quorum (KIP-966)."""
NOT_REGISTERED = -1
SHUTDOWN_TRIES_MAX = 12
"""A broker that the controller does not let go stops all the same, after two session timeouts."""

MESSAGES: tuple[type, ...] = (
    SessionOpened,
    Answered,
    Notified,
    SessionExpired,
    ControlledShutdown,
    ShutdownGranted,
)
TIMERS: tuple[type, ...] = (PingDue, UnansweredDue, ReignDue, ShutdownDue)

Candidacy = Generator[Operations | str, Outcome, None]
"""Yields what to ask ZooKeeper and is sent the outcome, or a path whose watch it waits for."""


class ZooKeeperMember:
    """Implements `reference.metadata.member.MetadataMember`."""

    def __init__(
        self,
        node: int,
        disk: Disk,
        rules: Rules,
        static_configs: Mapping[str, str],
        draw: Callable[[int], int],
        chance: Callable[[], float],
        incarnation: UUID,
    ) -> None:
        """Nothing of the metadata is on the node's own disk, and nothing is left to chance."""
        timeout_ms = Configs(node, static_configs, {}).number(TIMEOUT)
        self.node = node
        self.rules = rules
        self.static_configs: Mapping[str, str] = {**static_configs, **WITHOUT_ELR}
        self.draw = draw
        self.incarnation = incarnation
        self.now_ms = 0
        self.effects: list[Effect] = []
        self.outbox: list[FromController] = []
        self.may_stop = False
        self.controller: int | None = None
        self.epoch = 0
        """The newest controller epoch that it has read, or taken."""
        self.broker_epoch = NOT_REGISTERED
        self.remembered: MetadataImage | None = None
        self.reign: Reign | None = None
        self._client = Client(self, timeout_ms, draw)
        self._interval_ms = max(1, timeout_ms // 6)
        self._candidacy: Candidacy | None = None
        self._awaited: str | None = None
        """The path whose watch the candidacy waits for."""
        self._shutdown_tries = 0
        self._is_granted = False
        self._is_leaving = False

    @property
    def active(self) -> Controller | None:
        """What decides, while this node is the controller and knows all that it must."""
        return self.reign.controller if self.reign else None

    @property
    def is_active(self) -> bool:
        return self.active is not None

    # ---- events --------------------------------------------------------------------------------

    def start(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self._client.start(now_ms)

    def on_message(self, sender: int, message: Internal, now_ms: int) -> None:
        """ZooKeeper, or a broker that wants to stop, or the controller that lets it."""
        self.now_ms = now_ms
        match message:
            case SessionOpened() | Answered() | Notified() | SessionExpired():
                self._client.on_message(message, now_ms)
            case ControlledShutdown():
                self._ask_reign(sender, message)
            case ShutdownGranted():
                self._note_granted(message)
                self._leave_if_granted()

    def on_timer(self, timer: InternalTimer, now_ms: int) -> None:
        self.now_ms = now_ms
        match timer:
            case PingDue() | UnansweredDue():
                self._client.on_timer(timer, now_ms)
            case ReignDue():
                if self.reign is not None:
                    self.reign.is_due()
                    self._poke_reign(self.reign)
                    self._wake(ReignDue())
            case ShutdownDue():
                self._ask_to_stop()

    def to_controller(self, message: ControllerMessage, now_ms: int) -> None:
        """Passes on what the broker of this node asks."""
        self.now_ms = now_ms
        if self.controller is not None and self.controller != self.node:
            self.effects.append(Send(self.controller, message))
        else:
            self.on_controller_message(self.node, message, now_ms)

    def on_controller_message(self, sender: int, message: ControllerMessage, now_ms: int) -> None:
        self.now_ms = now_ms
        if self.reign is None or self.reign.controller is None:
            if isinstance(message, Forwarded):
                self.tell(sender, NotController(ticket=message.ticket))
        elif isinstance(message, MetadataWanted):
            self.reign.bring_up_to_date(sender, message)
        else:
            self._ask_reign(sender, message)

    def metadata_applied(self, applied: int) -> None:
        """Brokers tell the controller themselves how far they have come (MetadataWanted)."""

    def tell(self, to: int, message: Message) -> None:
        """Says something as the controller, perhaps to this node itself."""
        if to != self.node:
            self.effects.append(Send(to, message))
        elif isinstance(message, ShutdownGranted):
            self._note_granted(message)
        elif isinstance(message, FromController):
            self.outbox.append(message)

    # ---- the session ---------------------------------------------------------------------------

    def on_session(self) -> None:
        """Begins anew: what was its own went with the old session."""
        self._resign()
        self._client.withdraw()
        self.broker_epoch = NOT_REGISTERED
        self.controller = None
        self._stop_candidacy()
        self._candidacy = self._join()
        self._awaited = None
        self._go_on(self._candidacy, None)

    def on_watch(self, event: WatchEvent) -> None:
        if event.path == znodes.BROKER_IDS and self.reign is not None:
            self.reign.brokers_changed()
            self._poke_reign(self.reign)
        elif event.path == self._awaited and self._candidacy is not None:
            self._awaited = None
            self._go_on(self._candidacy, None)

    def on_closed(self) -> None:
        self._stop_candidacy()
        self.may_stop = True

    # ---- joining, and standing for election ----------------------------------------------------

    def _join(self) -> Candidacy:
        yield from election.create_persistent()
        self.broker_epoch = yield from election.register(self.rules, self.node, self.incarnation)
        while True:
            controller, epoch = yield from election.look()
            self._hear_of(controller, int(epoch.data))
            if controller is None and self.rules.stands_for_election(int(epoch.data)):
                elected = yield from election.stand(self.rules, self.node, epoch)
                if elected is not None:
                    self._begin_reign(elected)
            else:
                yield znodes.CONTROLLER

    def _go_on(self, candidacy: Candidacy, outcome: Outcome | None) -> None:
        try:
            asked = candidacy.send(outcome)  # type: ignore[arg-type]
        except StopIteration:  # it belonged to a session that is over
            return
        if isinstance(asked, str):
            self._awaited = asked
        else:
            self._client.ask(asked, partial(self._go_on, candidacy))

    def _stop_candidacy(self) -> None:
        if self._candidacy is not None:
            self._candidacy.close()
            self._candidacy = None

    def _hear_of(self, controller: int | None, epoch: int) -> None:
        self.controller = controller
        self.epoch = max(self.epoch, epoch)
        if controller != self.node:
            self._resign()

    # ---- being the controller ------------------------------------------------------------------

    def _begin_reign(self, elected: Elected) -> None:
        self.controller, self.epoch = self.node, elected.epoch
        self.reign = reign = Reign(self, elected.epoch, elected.epoch_version)
        self._wake(ReignDue())
        self._advance(reign, None)

    def _ask_reign(self, sender: int, question: Question) -> None:
        if self.reign is not None:
            self.reign.ask(sender, question)
            self._poke_reign(self.reign)

    def _poke_reign(self, reign: Reign) -> None:
        if reign.is_idle:
            self._advance(reign, None)

    def _advance(self, reign: Reign, outcome: Outcome | None) -> None:
        """Gives the controller what it has waited for, and takes what it asks next."""
        if reign is not self.reign:
            return
        try:
            asked = reign.conversation.send(outcome)  # type: ignore[arg-type]
            while asked == ():
                asked = reign.conversation.send(())
        except Deposed:
            self._resign()
        else:
            if asked is not None:
                self._client.ask(asked, partial(self._advance, reign))
            self._leave_if_granted()

    def _resign(self) -> None:
        reign, self.reign = self.reign, None
        if reign is not None:
            reign.end()

    # ---- stopping ------------------------------------------------------------------------------

    def shut_down(self, now_ms: int) -> None:
        """The node is to stop: leadership moves away first (KAFKA-340)."""
        self.now_ms = now_ms
        if self._shutdown_tries == 0:
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        if self._is_leaving:
            return
        self._shutdown_tries += 1
        if self.broker_epoch == NOT_REGISTERED or self._shutdown_tries > SHUTDOWN_TRIES_MAX:
            self._leave()
            return
        self._wake(ShutdownDue())
        message = ControlledShutdown(broker_epoch=self.broker_epoch)
        if self.reign is not None:
            self._ask_reign(self.node, message)
        elif self.controller is not None:
            self.effects.append(Send(self.controller, message))

    def _note_granted(self, message: ShutdownGranted) -> None:
        is_asked = self._shutdown_tries > 0 and not self._is_leaving
        if is_asked and message.broker_epoch == self.broker_epoch:
            self._is_granted = True

    def _leave_if_granted(self) -> None:
        if self._is_granted and not self._is_leaving:
            self._leave()

    def _leave(self) -> None:
        self._is_leaving = True
        self._resign()
        self._stop_candidacy()
        self._client.close()

    def _wake(self, timer: InternalTimer) -> None:
        self.effects.append(Wake(self.now_ms + self._interval_ms, timer))
