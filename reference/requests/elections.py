"""Moving leaders and replicas."""

from dataclasses import dataclass
from enum import IntEnum

from reference.errors import Error
from reference.requests.common import Partition


class ElectionType(IntEnum):
    """Kafka's numbers (org.apache.kafka.common.ElectionType)."""

    PREFERRED = 0
    UNCLEAN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectLeaders:
    election: int
    partitions: tuple[Partition, ...] | None
    """None asks for all partitions."""
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderElected:
    partition: Partition
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadersElected:
    error: Error
    partitions: tuple[LeaderElected, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reassignment:
    partition: Partition
    replicas: tuple[int, ...] | None
    """None cancels the reassignment in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlterPartitionReassignments:
    reassignments: tuple[Reassignment, ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignmentAltered:
    partition: Partition
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignmentsAltered:
    error: Error
    message: str | None
    reassignments: tuple[ReassignmentAltered, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPartitionReassignments:
    partitions: tuple[Partition, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OngoingReassignment:
    partition: Partition
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReassignmentsListed:
    error: Error
    ongoing: tuple[OngoingReassignment, ...]
