"""What a node needs of its part in keeping the metadata, whichever way a cluster keeps it."""

from typing import Protocol

from reference.messages import (
    ControllerMessage,
    Effect,
    FromController,
    Internal,
    InternalTimer,
)


class MetadataMember(Protocol):
    """A voter or observer of the metadata quorum, or a client of ZooKeeper.

    It registers the broker of its node, tells it what the metadata say, takes its questions to the
    controller, and is that controller itself where it was elected.
    """

    effects: list[Effect]
    """What the world is to do; the node takes them from here."""
    outbox: list[FromController]
    """For the broker of the same node, in order; the node takes them from here."""

    @property
    def may_stop(self) -> bool:
        """Whether a shutdown has got so far that nobody needs the node any more."""

    @property
    def controller(self) -> int | None:
        """The node that it believes to be the controller."""

    @property
    def is_active(self) -> bool:
        """Whether it believes to be the controller itself."""

    @property
    def epoch(self) -> int:
        """The newest epoch of a controller that it knows of."""

    def start(self, now_ms: int) -> None: ...

    def on_message(self, sender: int, message: Internal, now_ms: int) -> None:
        """Another member, or ZooKeeper, has sent something."""

    def on_timer(self, timer: InternalTimer, now_ms: int) -> None: ...

    def to_controller(self, message: ControllerMessage, now_ms: int) -> None:
        """The broker of this node asks the controller; if none is known, Forwarded is refused."""

    def on_controller_message(self, sender: int, message: ControllerMessage, now_ms: int) -> None:
        """A broker has sent something in the belief that the controller is here."""

    def metadata_applied(self, applied: int) -> None:
        """The broker of this node has come so far."""

    def shut_down(self, now_ms: int) -> None:
        """The node is to stop: leadership moves away first (KIP-841, KIP-631)."""
