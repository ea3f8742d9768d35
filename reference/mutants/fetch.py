"""Wrong rules of reading."""

from bisect import bisect_left
from collections.abc import Sequence

from reference.mutants.mutant import Mutant
from reference.requests import FetchedPart
from reference.rules import Rules


class UncommittedServed(Rules):
    def visible_end(self, high_watermark: int, end_offset: int) -> int:
        return end_offset


class StableOffsetAtLogEnd(Rules):
    def last_stable_offset(self, high_watermark: int, end_offset: int) -> int:
        return end_offset + 1


class RangeEndsAtHighWatermark(Rules):
    def in_range(self, offset: int, log_start: int, high_watermark: int, end_offset: int) -> bool:
        return log_start <= offset <= high_watermark


class BatchBoundarySkipped(Rules):
    def first_batch(self, end_offsets: Sequence[int], offset: int) -> int:
        return bisect_left(end_offsets, offset) + (offset > 0)


class LargeBatchWithheld(Rules):
    def returns_at_least_one_batch(self) -> bool:
        return False


class OffsetsShiftAfterDelete(Rules):
    def served_base_offset(self, base_offset: int, log_start_offset: int) -> int:
        return base_offset + 1 if 0 < log_start_offset <= base_offset else base_offset


class HeldFetchNeverWakes(Rules):
    def looks_again(self) -> bool:
        return False


class FetchOverstays(Rules):
    def fetch_deadline_ms(self, now_ms: int, max_wait_ms: int) -> int:
        return now_ms + 10 * max_wait_ms + 10_000


class ProduceTimeoutIgnored(Rules):
    def produce_deadline_ms(self, now_ms: int, timeout_ms: int) -> int | None:
        return None


class SessionOmitsErrors(Rules):
    def is_news(self, part: FetchedPart, high_watermark: int, log_start_offset: int) -> bool:
        return bool(part.records)


class SessionForgetsNothing(Rules):
    def forgets(self, forgotten: bool) -> bool:
        return False


MUTANTS = (
    Mutant(
        name="reads-above-hw-race",
        id="M-21",
        clauses=("ISR-03",),
        rules=UncommittedServed,
        wrong="A consumer reads to the end of the leader's log.",
    ),
    Mutant(
        name="stable-offset-above-hw",
        id="H-14",
        clauses=("OFF-01",),
        rules=StableOffsetAtLogEnd,
        wrong="The last stable offset lies above the high watermark.",
    ),
    Mutant(
        name="hw-instead-of-leo-range-check",
        id="M-86",
        clauses=("OFF-08",),
        rules=RangeEndsAtHighWatermark,
        wrong="A fetch between the high watermark and the log's end is out of range.",
    ),
    Mutant(
        name="skip-batch-boundary",
        id="M-120",
        clauses=("CONS-01",),
        rules=BatchBoundarySkipped,
        wrong="A fetch at an offset inside a batch starts with the next batch.",
    ),
    Mutant(
        name="one-byte-no-progress",
        id="M-85",
        clauses=("CONS-02",),
        rules=LargeBatchWithheld,
        wrong="A batch larger than the limits of the fetch is never returned.",
    ),
    Mutant(
        name="offset-shift-after-delete",
        id="M-90",
        clauses=("LOG-07", "LOG-02"),
        rules=OffsetsShiftAfterDelete,
        wrong="Once a prefix is deleted, the offsets after it are one too high.",
    ),
    Mutant(
        name="follower-fetch-never-wakes",
        id="M-97",
        clauses=("CONS-03",),
        rules=HeldFetchNeverWakes,
        wrong="A held fetch is answered only when its time is over.",
    ),
    Mutant(
        name="fetch-overstays",
        id="H-15",
        clauses=("CONS-03", "ERR-06"),
        rules=FetchOverstays,
        wrong="A fetch without data is held far longer than max_wait_ms.",
    ),
    Mutant(
        name="produce-timeout-ignored",
        id="H-16",
        clauses=("ERR-06", "ISR-05"),
        rules=ProduceTimeoutIgnored,
        wrong="A produce request waits for the ISR for ever, whatever its timeout_ms.",
    ),
    Mutant(
        name="session-omits-errors",
        id="H-17",
        clauses=("CONS-05",),
        rules=SessionOmitsErrors,
        wrong="An incremental response has only partitions with records, and no errors.",
    ),
    Mutant(
        name="session-forgets-nothing",
        id="H-18",
        clauses=("CONS-05",),
        rules=SessionForgetsNothing,
        wrong="A forgotten partition stays in its fetch session.",
    ),
)
