"""Wrong rules of looking offsets up and of deleting records."""

from collections.abc import Sequence

from reference.mutants.mutant import Mutant
from reference.rules import Rules


class MaxTimestampBatchEnd(Rules):
    def offset_of_maximum(self, records: Sequence[tuple[int, int]]) -> int:
        return records[-1][0]


class DefaultZeroOffset(Rules):
    def unknown_offset(self) -> int:
        return 0


class TimestampExclusive(Rules):
    def at_or_after(self, timestamp_ms: int, asked_ms: int) -> bool:
        return timestamp_ms > asked_ms


class DeletionBeyondHighWatermark(Rules):
    def may_delete_before(self, offset: int, high_watermark: int) -> bool:
        return offset >= 0


MUTANTS = (
    Mutant(
        name="max-timestamp-batch-base",
        id="M-88",
        clauses=("OFF-02",),
        rules=MaxTimestampBatchEnd,
        wrong="ListOffsets(-3) names the batch's last record, not the one with the timestamp.",
    ),
    Mutant(
        name="default-zero-offset",
        id="M-81",
        clauses=("OFF-02",),
        rules=DefaultZeroOffset,
        wrong="ListOffsets answers 0 where there is no such offset.",
    ),
    Mutant(
        name="timestamp-exclusive",
        id="H-19",
        clauses=("OFF-02",),
        rules=TimestampExclusive,
        wrong="ListOffsets(t) finds the first record after t, not at or after it.",
    ),
    Mutant(
        name="deletion-beyond-hw",
        id="H-20",
        clauses=("LOG-07",),
        rules=DeletionBeyondHighWatermark,
        wrong="DeleteRecords beyond the high watermark succeeds.",
    ),
)
