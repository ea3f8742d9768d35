"""A broker's life as its node tells the controller of it: registration, then heartbeats (KIP-631).

Source: core/src/main/scala/kafka/server/BrokerLifecycleManager.scala.
"""

from dataclasses import dataclass
from uuid import UUID

from reference.errors import Error
from reference.metadata.quorum.messages import (
    NO_BROKER_EPOCH,
    BrokerHeartbeat,
    BrokerHeartbeatAnswer,
    BrokerRegistration,
    RegisterBroker,
)

HEARTBEAT_MS = 500
IMPATIENT_MS = 100
"""While the broker is not registered, or wants to stop: somebody waits for that."""


@dataclass(slots=True, kw_only=True)
class Registration:
    broker: int
    incarnation: UUID
    previous_broker_epoch: int
    """Of a life that has left whole logs behind, or -1."""
    broker_epoch: int = NO_BROKER_EPOCH
    applied: int = 0
    """How many records of the metadata log the broker has applied."""
    is_fenced: bool = True
    wants_shut_down: bool = False
    may_stop: bool = False

    @property
    def is_registered(self) -> bool:
        return self.broker_epoch != NO_BROKER_EPOCH

    @property
    def interval_ms(self) -> int:
        is_patient = self.is_registered and not self.wants_shut_down
        return HEARTBEAT_MS if is_patient else IMPATIENT_MS

    def message(self) -> RegisterBroker | BrokerHeartbeat:
        """What the controller should hear next."""
        if not self.is_registered:
            return RegisterBroker(
                broker=self.broker,
                incarnation=self.incarnation,
                previous_broker_epoch=self.previous_broker_epoch,
            )
        return BrokerHeartbeat(
            broker=self.broker,
            broker_epoch=self.broker_epoch,
            applied=self.applied,
            wants_shut_down=self.wants_shut_down,
        )

    def on_registered(self, answer: BrokerRegistration) -> bool:
        """Returns whether the broker is registered now and was not before."""
        is_news = (
            answer.incarnation == self.incarnation
            and answer.error == Error.NONE
            and answer.broker_epoch > self.broker_epoch
        )
        if is_news:
            self.broker_epoch = answer.broker_epoch
        return is_news

    def on_heartbeat(self, answer: BrokerHeartbeatAnswer) -> None:
        """A broker whose registration is gone registers again; its process has lost nothing."""
        if answer.broker_epoch != self.broker_epoch:
            return
        if answer.error != Error.NONE:
            self.previous_broker_epoch = self.broker_epoch
            self.broker_epoch = NO_BROKER_EPOCH
        else:
            self.is_fenced = answer.fenced
            self.may_stop = self.may_stop or (self.wants_shut_down and answer.may_stop)

    def on_applied(self, applied: int) -> bool:
        """Returns whether the controller should hear at once: a broker that is fenced has seen its
        own registration, and may be let in."""
        before, self.applied = self.applied, applied
        return self.is_registered and self.is_fenced and before <= self.broker_epoch < applied
