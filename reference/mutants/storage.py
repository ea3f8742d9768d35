"""Wrong rules of what is on a disk: writing, recovery, compaction."""

from collections.abc import Sequence
from uuid import UUID

from reference.batch import Header
from reference.mutants.mutant import Mutant
from reference.rules import Rules


class EpochNotedByFirstAppend(Rules):
    def new_leader_notes_epoch(self) -> bool:
        return False


class EpochZeroNotRecovered(Rules):
    def recovers_epoch(self, leader_epoch: int) -> bool:
        return bool(leader_epoch)


class LogFoundByName(Rules):
    def is_log_of(self, stored: UUID, topic_id: UUID) -> bool:
        return True


class TailNotReplayed(Rules):
    def replayed_after_snapshot(self, headers: Sequence[Header]) -> Sequence[Header]:
        return ()


class TombstoneGoesAtOnce(Rules):
    def tombstone_may_go(self, horizon_ms: int | None, now_ms: int) -> bool:
        return True


class FailedWriteAcknowledged(Rules):
    def stops_at_failed_write(self) -> bool:
        return False


class RecoveryTrustsBytes(Rules):
    def is_intact_on_disk(self, batch: bytes) -> bool:
        return True


class RecoveryLeavesGap(Rules):
    def recovery_ends_at_bad_batch(self) -> bool:
        return False


class OldestSurvives(Rules):
    def survivor(self, known: int, offset: int) -> int:
        return min(known, offset)


class UncommittedCompacted(Rules):
    def cleanable_end(self, committed: int, end_offset: int) -> int:
        return end_offset


class ProducerCompactedAway(Rules):
    def keeps_empty_batch(self, is_last_of_producer: bool) -> bool:
        return False


class HighWatermarkFromLogEnd(Rules):
    def recovered_high_watermark(self, stored: int, log_start: int, end_offset: int) -> int:
        return end_offset


MUTANTS = (
    Mutant(
        name="epoch-cache-empty-on-leader",
        id="M-13",
        clauses=("LOG-06", "LOG-05"),
        rules=EpochNotedByFirstAppend,
        wrong="A leader notes its epoch with the first append, and never if it writes nothing.",
    ),
    Mutant(
        name="epoch-0-lost-on-recovery",
        id="M-14",
        clauses=("LOG-06",),
        rules=EpochZeroNotRecovered,
        wrong="Recovery takes epoch 0 for none when it makes the epoch cache from the log.",
    ),
    Mutant(
        name="stray-replica-revived",
        id="M-23",
        clauses=("META-03",),
        rules=LogFoundByName,
        wrong="A broker that was down while a topic was deleted and made again serves old records.",
    ),
    Mutant(
        name="pstate-lost-on-restart",
        id="M-44",
        clauses=("PROD-08", "DUR-01"),
        rules=TailNotReplayed,
        wrong="After a restart only the producer snapshot counts, not what was appended after it.",
    ),
    Mutant(
        name="tombstone-too-early",
        id="M-91",
        clauses=("LOG-08",),
        rules=TombstoneGoesAtOnce,
        wrong="The first compaction that meets a tombstone removes it.",
    ),
    Mutant(
        name="failed-disk-still-acks",
        id="M-138",
        clauses=("DUR-04", "DUR-01"),
        rules=FailedWriteAcknowledged,
        wrong="A write error is swallowed, and the record acknowledged from memory.",
    ),
    Mutant(
        name="recovery-trusts-bytes",
        id="H-80",
        clauses=("DUR-03",),
        rules=RecoveryTrustsBytes,
        wrong="Recovery does not verify checksums.",
    ),
    Mutant(
        name="recovery-leaves-gap",
        id="H-81",
        clauses=("DUR-03", "DUR-02"),
        rules=RecoveryLeavesGap,
        wrong="Recovery skips a bad batch and keeps what comes after it.",
    ),
    Mutant(
        name="compaction-keeps-oldest",
        id="H-82",
        clauses=("LOG-08",),
        rules=OldestSurvives,
        wrong="Compaction keeps the first record of each key.",
    ),
    Mutant(
        name="compaction-beyond-hw",
        id="H-83",
        clauses=("LOG-08",),
        rules=UncommittedCompacted,
        wrong="A committed record gives way to a later one that may never be committed.",
    ),
    Mutant(
        name="producer-compacted-away",
        id="H-84",
        clauses=("LOG-09",),
        rules=ProducerCompactedAway,
        wrong="With its last record a producer's last sequence goes, too, at the next restart.",
    ),
    Mutant(
        name="hw-recovered-as-log-end",
        id="H-85",
        clauses=("ISR-04", "LEAD-04"),
        rules=HighWatermarkFromLogEnd,
        wrong="After a restart everything in the log counts as committed.",
    ),
)
