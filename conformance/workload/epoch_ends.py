"""Where leader epochs begin and end, as a log that can be read says itself.

The rule is LeaderEpochFileCache.endOffsetFor (KIP-101, KIP-279) on what a leader must know: the
epochs of its batches and its own. It may know epochs between them in which nothing was written;
such an epoch ends where it begins, so that it changes the epoch of an answer but never the offset.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kio.schema.errors import ErrorCode

from conformance.codec import Entity
from conformance.outcomes import Inconclusive
from conformance.partition import EARLIEST, LATEST, ListedOffset, Partition

KNOWN_WITHIN_MS = 10_000
MOVED = frozenset(
    {
        ErrorCode.fenced_leader_epoch,
        ErrorCode.unknown_leader_epoch,
        ErrorCode.not_leader_or_follower,
    }
)
"""Answers to a request that names the leader epoch, where the leader is another one by now."""


NOT_YET = frozenset({ErrorCode.offset_not_available, ErrorCode.not_leader_or_follower})
"""What a new leader answers that does not know its high watermark, or even that it leads."""


def steady(error: ErrorCode) -> ErrorCode:
    """The error of an answer; raises `Inconclusive` where it says that the leader has changed."""
    if error in MOVED:
        raise Inconclusive(f"the leader has changed meanwhile: {error.name}")
    return error


class EpochEnd(NamedTuple):
    """An answer of OffsetForLeaderEpoch, and the diverging_epoch of a Fetch."""

    leader_epoch: int
    end_offset: int

    def parts_from(self, last_fetched_epoch: int, offset: int) -> bool:
        """Whether a reader that fetched up to here in that epoch disagrees with the leader that
        gives this answer about the epoch."""
        return self.leader_epoch < last_fetched_epoch or self.end_offset < offset


UNKNOWN = EpochEnd(-1, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochTable:
    """The epochs of a leader whose log has come to rest."""

    starts: Mapping[int, int]
    """Epoch -> its first offset, for every epoch that has a record and for the current one."""
    current: int
    log_start: int
    end_offset: int

    def ends(self, asked: int) -> frozenset[EpochEnd]:
        """The right answers about this epoch."""
        if asked > self.current:
            return frozenset({UNKNOWN})
        later = [start for epoch, start in self.starts.items() if epoch > asked]
        end = min(later, default=self.end_offset)
        floor = max((epoch for epoch in self.starts if epoch <= asked), default=0)
        return frozenset(EpochEnd(epoch, end) for epoch in range(floor, asked + 1))


def table_of(partition: Partition) -> EpochTable:
    """The table of a partition that nobody writes to, from its records and its view."""
    end, log_start = settled_end(partition), partition.offset_at(EARLIEST)
    starts: dict[int, int] = {}
    for batch in partition.read_batches(log_start, end):
        starts.setdefault(batch.leader_epoch, max(batch.base_offset, log_start))
    current = partition.view.leader_epoch
    starts.setdefault(current, end)
    return EpochTable(starts=starts, current=current, log_start=log_start, end_offset=end)


def settled_end(partition: Partition) -> int:
    """The high watermark, once the leader knows it: a new leader does not at first (KIP-207).

    A leader that names it has it at or above the start of its own epoch.
    """

    def ask() -> ListedOffset:
        return partition.list_offsets(LATEST).result()

    def known(found: ListedOffset) -> bool:
        return found.error not in NOT_YET

    answer = partition.target.eventually(ask, known, within_ms=KNOWN_WITHIN_MS)
    if answer.error is not ErrorCode.none:
        raise Inconclusive(f"the end of the log is not known: {answer.error.name}")
    return answer.offset


def ask_for_ends(
    partition: Partition, epochs: Iterable[int], current: int, version: int
) -> list[EpochEnd]:
    """What the leader answers about each epoch; `current` is the epoch that it must be in.

    Raises `Inconclusive` where the leader says that it is not in this epoch.
    """
    asked = [
        partition.leader.send(
            partition.leader.build(
                "offset_for_leader_epoch",
                at_least=version,
                at_most=version,
                replica_id=-1,
                topics=[{"topic": partition.topic.name, "partitions": [part]}],
            ),
            _answer,
        )
        for epoch in epochs
        for part in [
            {
                "partition": partition.number,
                "leader_epoch": epoch,
                "current_leader_epoch": current,
            }
        ]
    ]
    answers = partition.target.wait(*asked)
    for answer in answers:
        error = steady(answer.error_code)
        assert error is ErrorCode.none, "a leader answers about every epoch"
    return [EpochEnd(answer.leader_epoch, answer.end_offset) for answer in answers]


def _answer(answer: Entity) -> Entity:
    return answer.topics[0].partitions[0]
