"""A node: one process with a broker, a part in keeping the metadata, and a disk.

The broker does not know how the metadata are kept, nor where the controller is. A node that
crashes is gone; a new one finds on the disk what the old one has left there.
"""

from typing import cast
from uuid import UUID

from reference.broker import Broker
from reference.messages import (
    AlterPartition,
    ControllerMessage,
    Effect,
    Event,
    Forwarded,
    FromPeer,
    Internal,
    InternalTimer,
    MetadataUpdate,
    MetadataWanted,
    ProducerIdsWanted,
)
from reference.metadata.member import MetadataMember

FOR_THE_CONTROLLER = frozenset({Forwarded, AlterPartition, ProducerIdsWanted, MetadataWanted})


class Node:
    __slots__ = ("broker", "effects", "heard", "member", "number", "told", "touches_metadata")

    def __init__(self, number: int, broker: Broker, member: MetadataMember) -> None:
        self.number = number
        self.broker = broker
        self.member = member
        self.effects: list[Effect] = []
        self.heard: list[Event] = []
        """What the broker was given by the event in hand, for whoever watches."""
        self.told: list[MetadataUpdate] = []
        """What it was told of the metadata by its own node."""
        self.touches_metadata = True
        """Whether the event in hand can have changed more than the broker."""

    @property
    def incarnation(self) -> UUID:
        return self.broker.incarnation

    def start(self, now_ms: int) -> list[Effect]:
        """Returns the effects of starting."""
        self.effects, self.heard, self.told = [], [], []
        self.effects += self.broker.start(now_ms)
        self.member.start(now_ms)
        self._settle(now_ms)
        return self.effects

    def handle(self, event: Event, now_ms: int) -> list[Effect]:
        """Returns what the world is to do about an event, in order.

        Raises DiskError where the disk fails: the process then ends.
        """
        self.effects, self.heard, self.told = [], [], []
        self.touches_metadata = True
        if type(event) is FromPeer:
            message = event.message
            if isinstance(message, Internal):
                self.member.on_message(event.sender, message, now_ms)
            elif type(message) in FOR_THE_CONTROLLER:
                asked = cast(ControllerMessage, message)
                self.member.on_controller_message(event.sender, asked, now_ms)
            else:
                self.touches_metadata = False
                self._tell_broker(event, now_ms)
        elif isinstance(event, InternalTimer):
            self.member.on_timer(event, now_ms)
        else:
            self.touches_metadata = False
            self._tell_broker(event, now_ms)
        self._settle(now_ms)
        return self.effects

    def shut_down(self, now_ms: int) -> list[Effect]:
        """Begins to stop: returns the effects. The node goes on until `may_stop`."""
        self.effects, self.heard, self.told = [], [], []
        self.member.shut_down(now_ms)
        self._settle(now_ms)
        return self.effects

    @property
    def may_stop(self) -> bool:
        """Whether a shutdown that was begun has nothing left to wait for."""
        return self.member.may_stop

    def close(self) -> None:
        """Puts everything on the disk, and a mark that nothing is missing. Raises DiskError."""
        self.broker.logs.close(self.broker.high_watermarks(), self.broker.broker_epoch)

    def _tell_broker(self, event: Event, now_ms: int) -> None:
        self.heard.append(event)
        self.effects += self.broker.handle(event, now_ms)

    def _settle(self, now_ms: int) -> None:
        """Passes on what broker and member have for each other, until neither has anything."""
        broker, member = self.broker, self.member
        while broker.asks or member.outbox:
            self.touches_metadata = True
            asks, broker.asks = broker.asks, []
            for message in asks:
                member.to_controller(message, now_ms)
            told, member.outbox = member.outbox, []
            for news in told:
                if type(news) is MetadataUpdate:
                    self.told.append(news)
                self._tell_broker(FromPeer(self.number, news), now_ms)
            if told:
                member.metadata_applied(broker.image.applied)
        if member.effects:
            self.effects += member.effects
            member.effects = []
        broker.controller = member.controller
