"""Requests that wait: for the high watermark, for enough bytes, for the controller.

Each waiting request has one timer, cancelled when it ends, and is found by the partitions that it
waits for. Nothing of it stays behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from reference.fetch_session import FetchContext
from reference.metadata.records import PartitionId
from reference.requests import Fetch, ProducedPart, RecordsDeletedPart, Request


class Goal(NamedTuple):
    """One entry of a request, by its position, and the offset that it waits for."""

    position: int
    partition: PartitionId
    offset: int


@dataclass(slots=True)
class WaitingProduce:
    ticket: int
    parts: list[ProducedPart]
    goals: list[Goal]
    """The end offsets that the high watermark must reach."""


@dataclass(slots=True)
class WaitingFetch:
    ticket: int
    request: Fetch
    context: FetchContext


@dataclass(slots=True)
class WaitingDeletion:
    ticket: int
    parts: list[RecordsDeletedPart]
    goals: list[Goal]
    """The offsets that the log start of all replicas must reach."""


@dataclass(slots=True)
class WaitingDecision:
    """The controller has been asked."""

    ticket: int
    request: Request
    is_refused: bool = False
    """Whoever was asked is not the controller: another one must be."""


Waiting = WaitingProduce | WaitingFetch | WaitingDeletion | WaitingDecision


@dataclass(slots=True)
class Purgatory:
    waiting: dict[int, Waiting] = field(default_factory=dict)
    partitions: dict[int, tuple[PartitionId, ...]] = field(default_factory=dict)
    by_partition: dict[PartitionId, dict[int, None]] = field(default_factory=dict)
    """Tickets per partition in order of arrival: a dict, because a set has no order to replay."""

    def park(self, waiting: Waiting, partitions: Iterable[PartitionId]) -> None:
        self.waiting[waiting.ticket] = waiting
        self.partitions[waiting.ticket] = keys = tuple(dict.fromkeys(partitions))
        for partition in keys:
            self.by_partition.setdefault(partition, {})[waiting.ticket] = None

    def concerned(self, partition: PartitionId) -> list[Waiting]:
        """Who waits for this partition, longest first."""
        return [self.waiting[ticket] for ticket in self.by_partition.get(partition, ())]

    def release(self, ticket: int) -> Waiting | None:
        """Forgets a request; returns it if it was still waiting."""
        for partition in self.partitions.pop(ticket, ()):
            tickets = self.by_partition[partition]
            del tickets[ticket]
            if not tickets:
                del self.by_partition[partition]
        return self.waiting.pop(ticket, None)
