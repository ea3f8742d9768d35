"""What the metadata log says: topics, partitions, settings, brokers, blocks of producer ids.

A cluster's metadata is what these records make, in their order; see `reference.image`.
"""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

NO_LEADER = -1


class PartitionId(NamedTuple):
    """A partition of one incarnation of a topic: a re-created topic has other partitions."""

    topic_id: UUID
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRecord:
    name: str
    topic_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """The controller's word on a partition; each change of it has the next partition epoch."""

    id: PartitionId
    replicas: tuple[int, ...]
    leader: int
    leader_epoch: int
    isr: tuple[int, ...]
    """In ascending order, so that equal sets are equal values."""
    partition_epoch: int
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()
    """Replicas on their way in and out (KIP-455); both are among `replicas` meanwhile."""
    elr: tuple[int, ...] = ()
    """Eligible leader replicas (KIP-966): outside the ISR, yet sure to have what is committed."""
    last_known_elr: tuple[int, ...] = ()
    """While the ISR is empty: the last leader, the last resort if the ELR becomes empty too."""
    recovering: bool = False
    """An unclean election made the leader (KIP-704, LeaderRecoveryState RECOVERING)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRemoved:
    topic_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRecord:
    resource_type: int
    resource: str
    name: str
    value: str | None
    """None takes the override away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRegistered:
    """A broker's present life: registered under a broker epoch that no earlier life had."""

    broker: int
    broker_epoch: int
    incarnation: UUID
    """Drawn anew by every start of the broker's process."""
    fenced: bool = True
    in_controlled_shutdown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdsReserved:
    """No producer id below `next_producer_id` is granted again (KIP-730)."""

    next_producer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderChange:
    """A leader of the metadata quorum begins its epoch (KIP-595). It changes no metadata, but it
    has an offset like any other record, and what is committed with it is committed for good."""

    leader: int


MetadataRecord = (
    TopicRecord
    | PartitionState
    | TopicRemoved
    | ConfigRecord
    | BrokerRegistered
    | ProducerIdsReserved
    | LeaderChange
)
"""Each stands for itself: the newest record of a broker or partition replaces the one before."""
