"""Wrong rules of producer ids, epochs and sequence numbers."""

from reference.mutants.mutant import Mutant
from reference.rules import Rules


class DedupWindowOne(Rules):
    def batches_remembered(self) -> int:
        return 1


class SequenceGapAccepted(Rules):
    def sequence_follows(self, last: int, first: int) -> bool:
        return first > last


class ProducerEpochUnchecked(Rules):
    def producer_epoch_accepted(self, known: int, given: int) -> bool:
        return True


class ProducersDroppedWithRecords(Rules):
    def keeps_producers_of_deleted_records(self) -> bool:
        return False


class ProducerIdsReused(Rules):
    def next_producer_id(self, first: int, count: int) -> int:
        return first


MUTANTS = (
    Mutant(
        name="dedup-window-one",
        id="M-40",
        clauses=("PROD-06",),
        rules=DedupWindowOne,
        wrong="Only the last batch of a producer is remembered, so pipelined retries fail.",
    ),
    Mutant(
        name="seq-gap-accepted",
        id="M-41",
        clauses=("PROD-07",),
        rules=SequenceGapAccepted,
        wrong="Any sequence number above the last one is accepted.",
    ),
    Mutant(
        name="producer-epoch-unchecked",
        id="H-09",
        clauses=("PROD-07",),
        rules=ProducerEpochUnchecked,
        wrong="A producer of an older epoch may go on writing.",
    ),
    Mutant(
        name="pstate-dropped-with-records",
        id="M-45",
        clauses=("PROD-10",),
        rules=ProducersDroppedWithRecords,
        wrong="A producer is forgotten when its last batch is deleted.",
    ),
    Mutant(
        name="producer-ids-reused",
        id="H-10",
        clauses=("PROD-09",),
        rules=ProducerIdsReused,
        wrong="Every broker is granted the same block of producer ids.",
    ),
)
