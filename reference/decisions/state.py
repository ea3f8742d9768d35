"""What the controller is made of, and the few things that all its decisions do with it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from reference.configs import Configs
from reference.decisions.partition_change import Terms
from reference.image import MetadataImage, TopicImage
from reference.messages import CONTROLLER, Message, Send
from reference.metadata.records import MetadataRecord
from reference.rules import Rules


@dataclass(slots=True, kw_only=True)
class ControllerState:
    node: int
    epoch: int
    image: MetadataImage
    """Its own; it runs ahead of what is committed."""
    rules: Rules
    static_configs: Mapping[str, str]
    draw: Callable[[int], int]
    """Returns that many random bits, for topic ids."""
    now_ms: int
    """What the node's clock said at the latest call; it may jump."""
    next_offset: int | None = None
    """Of the metadata log, as the quorum's member last said; None where ZooKeeper keeps the
    metadata, and watches over sessions too."""
    records: list[MetadataRecord] = field(default_factory=list)
    """Decided, and not yet stored: the metadata member takes them."""
    answers: list[Send] = field(default_factory=list)
    """To be sent once all that was decided so far is committed."""
    placed: int = 0
    """How many partitions have been placed; spreads the leaders over the brokers."""
    elapsed_ms: int = 0
    """How long this controller has been watching: a clock that never goes back."""
    session_timeout_ms: int = 0
    sessions: dict[int, int] = field(default_factory=dict)
    """When each broker was last heard of, by `elapsed_ms`."""
    applied: dict[int, int] = field(default_factory=dict)
    """How much of the metadata log each broker had applied when it was last heard of."""
    shutdowns: dict[int, int] = field(default_factory=dict)
    """For brokers that want to stop: the offset after the decision on who leads instead."""
    going: frozenset[int] = frozenset()
    """Those that the decision in hand is about to fence, the ones it has yet to come to too."""

    def __post_init__(self) -> None:
        self.placed = sum(len(topic.partitions) for topic in self.image.topics.values())
        self.session_timeout_ms = self.configs.number("broker.session.timeout.ms")
        # While nobody was the controller nobody could be heard: each broker has its time again.
        self.sessions = {b: 0 for b, known in self.image.brokers.items() if not known.fenced}

    def advance(self, now_ms: int) -> None:
        """Time has passed. Of a jump of the clock, or of a long pause of this node, too little
        counts to end a session: it is no proof that anybody was silent."""
        passed_ms = min(max(0, now_ms - self.now_ms), self.session_timeout_ms // 2)
        self.elapsed_ms += passed_ms
        self.now_ms = now_ms

    @property
    def end_offset(self) -> int:
        """The offset that the next record will have."""
        return (self.next_offset or 0) + len(self.records)

    @property
    def configs(self) -> Configs:
        """Settings without the overrides of any single broker."""
        return Configs(CONTROLLER, self.static_configs, self.image.configs)

    def commit(self, records: Iterable[MetadataRecord]) -> None:
        """Makes a decision: later ones build on it, though it is not yet stored."""
        for record in records:
            self.image.apply(record)
            self.records.append(record)

    def answer(self, to: int, message: Message) -> None:
        self.answers.append(Send(to, message))

    def terms(self, topic: TopicImage, *, without: int | None = None) -> Terms:
        """What the states of a topic's partitions depend on; `without` a broker about to go."""
        name, configs = topic.name, self.configs
        return Terms(
            rules=self.rules,
            is_active=lambda broker: broker != without and self.is_active(broker),
            elects_uncleanly=configs.topic_value(name, "unclean.leader.election.enable") == "true",
            min_insync_replicas=int(configs.topic_value(name, "min.insync.replicas")),
            keeps_elr=self.rules.keeps_elr(configs.flag("eligible.leader.replicas.enable")),
        )

    def new_topic_id(self) -> UUID:
        return UUID(int=self.draw(128), version=4)

    def is_active(self, broker: int) -> bool:
        """Whether it may lead and join an ISR: registered, unfenced, not shutting down."""
        registered = self.image.brokers.get(broker)
        return (
            registered is not None
            and broker not in self.going
            and not registered.fenced
            and not registered.in_controlled_shutdown
        )

    def place(self, replication_factor: int) -> tuple[int, ...]:
        """Returns the replicas of a new partition, the preferred leader first.

        Each active broker comes in its turn; the others are used when those are too few (KIP-841,
        StripedReplicaPlacer).
        """
        brokers = sorted(self.image.brokers)
        active = [broker for broker in brokers if self.is_active(broker)]
        others = [broker for broker in brokers if not self.is_active(broker)]
        turn = self.placed % max(len(active), 1)
        self.placed += 1
        return tuple((active[turn:] + active[:turn] + others)[:replication_factor])
