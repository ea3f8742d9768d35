"""What a broker is made of, and the few things that all its handlers do with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from reference.configs import BrokerConfig, Configs, TopicConfig
from reference.errors import Error
from reference.fetch_session import FetchSessions
from reference.image import MetadataImage
from reference.messages import (
    Cancel,
    ControllerMessage,
    Effect,
    Message,
    Reply,
    RequestExpired,
    Send,
    Timer,
    Wake,
)
from reference.metadata.records import PartitionId, PartitionState
from reference.producer_ids import ProducerIds
from reference.purgatory import Purgatory, Waiting
from reference.replica import Replica
from reference.requests import LeaderHint, Response, TopicRef
from reference.rules import Rules
from reference.storage.manager import LogManager

Draw = Callable[[int], int]
"""Returns that many random bits."""


class Located(NamedTuple):
    """Where a partition is, as far as this broker knows."""

    error: Error
    state: PartitionState | None = None
    replica: Replica | None = None


@dataclass(slots=True)
class BrokerState:
    id: int
    incarnation: UUID
    """Of this start of the process."""
    cluster_id: str
    rules: Rules
    static_configs: Mapping[str, str]
    draw: Draw
    logs: LogManager
    now_ms: int = 0
    image: MetadataImage = field(default_factory=MetadataImage)
    metadata_epoch: int = -1
    """Controller epoch of the newest update that was obeyed."""
    controller: int | None = None
    """The node that was the controller when last heard of."""
    broker_epoch: int = -1
    """Of this life, once the image has its registration: from then on the broker takes part."""
    serves: bool = False
    """Whether clients are let in: not before the controller has seen it catch up."""
    replicas: dict[PartitionId, Replica] = field(default_factory=dict)
    purgatory: Purgatory = field(default_factory=Purgatory)
    producer_ids: ProducerIds = field(default_factory=ProducerIds)
    sessions: FetchSessions = field(init=False)
    configs: Configs = field(init=False)
    config: BrokerConfig = field(init=False)
    effects: list[Effect] = field(default_factory=list)
    """What the event in hand has brought about so far."""
    asks: list[ControllerMessage] = field(default_factory=list)
    """For the controller, wherever it is: the node knows, and takes them from here."""

    def __post_init__(self) -> None:
        self.configs = Configs(self.id, self.static_configs, self.image.configs)
        self.config = self.configs.broker_config()
        self.sessions = FetchSessions(self.rules, self.config.fetch_sessions_max, self.draw)

    @property
    def takes_part(self) -> bool:
        """Whether the controller has registered this life of the broker."""
        return self.broker_epoch >= 0

    def adopt_image(self, image: MetadataImage) -> None:
        """Puts other metadata in the place of what was known."""
        self.image = image
        self.configs = Configs(self.id, self.static_configs, image.configs)

    # ---- effects -------------------------------------------------------------------------------

    def send(self, to: int, message: Message) -> None:
        self.effects.append(Send(to, message))

    def send_controller(self, message: ControllerMessage) -> None:
        self.asks.append(message)

    def wake(self, at_ms: int, timer: Timer) -> None:
        self.effects.append(Wake(at_ms, timer))

    def cancel(self, timer: Timer) -> None:
        self.effects.append(Cancel(timer))

    def reply(self, ticket: int, response: Response) -> None:
        self.effects.append(Reply(ticket, response))

    def park(
        self, waiting: Waiting, partitions: list[PartitionId], deadline_ms: int | None
    ) -> None:
        """Lets a request wait until something completes it, at the latest until the deadline."""
        self.purgatory.park(waiting, partitions)
        if deadline_ms is not None:
            self.wake(deadline_ms, RequestExpired(waiting.ticket))

    def finish(self, ticket: int, response: Response) -> None:
        """Answers a request that may have waited."""
        if self.purgatory.release(ticket) is not None:
            self.cancel(RequestExpired(ticket))
        self.reply(ticket, response)

    # ---- partitions ----------------------------------------------------------------------------

    def locate(self, topic: TopicRef, number: int) -> Located:
        """Finds a partition by the name or id of its topic, and this broker's replica of it."""
        if isinstance(topic, str):
            found, unknown = self.image.topic(topic), Error.UNKNOWN_TOPIC_OR_PARTITION
        else:
            found, unknown = self.rules.topic_by_id(topic, self.image), Error.UNKNOWN_TOPIC_ID
        if found is None:
            return Located(unknown)
        state = found.partitions.get(number)
        if state is None:
            return Located(Error.UNKNOWN_TOPIC_OR_PARTITION)
        replica = self.replicas.get(state.id)
        if replica is None:
            return Located(self.rules.wrong_broker_error(), state)
        return Located(Error.NONE, state, replica)

    def accessible(self, topic: TopicRef, number: int, current_leader_epoch: int) -> Located:
        """Finds a partition that this broker leads, in the epoch that the client believes in."""
        located = self.locate(topic, number)
        if located.replica is None:
            return located
        return located._replace(error=located.replica.access_error(current_leader_epoch))

    def hosted(self) -> list[PartitionId]:
        """Every partition that this broker has a log of, in use or left over."""
        return sorted({*self.replicas, *self.logs.partitions()})

    def high_watermarks(self) -> dict[PartitionId, int]:
        return {partition: replica.high_watermark for partition, replica in self.replicas.items()}

    def readable(
        self, topic: TopicRef, number: int, current_leader_epoch: int, *, from_follower: bool
    ) -> Located:
        """Finds a partition that a consumer may read here: from its leader, or where it says that
        it knows of followers, from one of those (KIP-392)."""
        located = self.locate(topic, number)
        replica = located.replica
        if replica is None:
            return located
        if from_follower and self.rules.followers_serve():
            epoch = replica.state.leader_epoch
            error = self.rules.leader_epoch_error(current_leader_epoch, epoch)
        else:
            error = replica.access_error(current_leader_epoch)
        return located._replace(error=error)

    def loss_error(self, partition: PartitionId) -> Error:
        """What a request is told that waited for a partition which this broker leads no more."""
        gone = self.image.state(partition) is None
        return Error.UNKNOWN_TOPIC_OR_PARTITION if gone else Error.NOT_LEADER_OR_FOLLOWER

    def topic_config(self, partition: PartitionId) -> TopicConfig:
        return self.configs.topic(self.image.topics[partition.topic_id].name)


def hint(located: Located) -> LeaderHint | None:
    """Who leads instead, for errors that send the client elsewhere (KIP-951)."""
    elsewhere = (Error.NOT_LEADER_OR_FOLLOWER, Error.FENCED_LEADER_EPOCH)
    if located.state is None or located.error not in elsewhere:
        return None
    return LeaderHint(located.state.leader, located.state.leader_epoch)
