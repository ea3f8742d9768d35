"""What the controller is made of, and the few things that all its decisions do with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from reference.configs import Configs
from reference.image import MetadataImage
from reference.messages import CONTROLLER, Effect, MetadataUpdate, Send
from reference.metadata.records import MetadataRecord, PartitionState
from reference.rules import Rules


@dataclass(slots=True)
class ControllerState:
    brokers: tuple[int, ...]
    rules: Rules
    static_configs: Mapping[str, str]
    draw: Callable[[int], int]
    """Returns that many random bits, for topic ids."""
    image: MetadataImage = field(default_factory=MetadataImage)
    records: list[MetadataRecord] = field(default_factory=list)
    """The metadata log."""
    next_producer_id: int = 0
    placed: int = 0
    """How many partitions have been placed; spreads the leaders over the brokers."""
    effects: list[Effect] = field(default_factory=list)

    @property
    def configs(self) -> Configs:
        """Settings without the overrides of any single broker."""
        return Configs(CONTROLLER, self.static_configs, self.image.configs)

    def commit(self, records: "list[MetadataRecord]") -> None:
        """Makes a decision: what is in the log has happened."""
        if not records:
            return
        update = MetadataUpdate(first=len(self.records), records=tuple(records))
        for record in records:
            self.records.append(record)
            self.image.apply(record)
        self.effects += [Send(broker, update) for broker in self.brokers]

    def change(self, state: PartitionState, **fields: Any) -> PartitionState:
        """Commits a change of one partition, under its next partition epoch."""
        changed = replace(state, partition_epoch=state.partition_epoch + 1, **fields)
        self.commit([changed])
        return changed

    def new_topic_id(self) -> UUID:
        return UUID(int=self.draw(128), version=4)

    def place(self, replication_factor: int) -> tuple[int, ...]:
        """Returns the replicas of a new partition, the leader first, each broker in its turn."""
        turn = self.placed % len(self.brokers)
        self.placed += 1
        return (self.brokers[turn:] + self.brokers[:turn])[:replication_factor]
