"""The log of a partition: what is written stays where it is, the same on every replica.

Offsets are dense and grow; a record keeps its offset and its bytes for ever or is removed by rules
that users chose (retention, compaction, DeleteRecords). Followers find the point up to which they
agree with the leader by leader epochs, not by guesses.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="LOG-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A leader MUST assign dense, strictly increasing offsets: an appended batch starts at "
            "the current log end offset, its record i gets the base offset plus i, and an append "
            "that fails or is recognised as a duplicate consumes no offset."
        ),
        reason=(
            "Two records under one offset cannot both be read; a gap that nothing explains looks "
            "like a lost record to every consumer that counts."
        ),
        needs=(Need.WIRE,),
        sources=(
            "core/src/main/scala/kafka/log/UnifiedLog.scala (append)",
            "KAFKA-7866",
            "KAFKA-19407",
        ),
        observe=(
            "Concurrent producers with unique values: the offset intervals of successful Produce "
            "responses are disjoint, and together with the control batches they form one "
            "contiguous range."
        ),
        model="rep[l].log is a sequence; an append extends it by 1",
        varies=(
            "Consumers MAY see gaps where control batches, compaction or filtered aborted data "
            "explain them, and nowhere else."
        ),
    ),
    Clause(
        id="LOG-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Once a record has been returned to any consumer or acknowledged, every later read of "
            "its offset MUST return the same key, value, headers and timestamp, or nothing "
            "(retention, compaction, OFFSET_OUT_OF_RANGE (1)), and MUST NOT return another record."
        ),
        reason=(
            "Two consumers that read the same offset derive different states, and no later reading "
            "can tell which of them is right."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("docs/design.html", "Vanlightly/kafka-tlaplus (ConsistentReadProperty)"),
        observe=(
            "Several consumers at different times and from different replicas: compare their maps "
            "from partition and offset to record over the whole run."
        ),
        model="history variable consumed[o] = v; rep[leader].log[o] = consumed[o]",
        varies=(
            "After an unclean election the offsets that were lost MAY hold other records (LEAD-05)."
        ),
    ),
    Clause(
        id="LOG-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Any two replicas MUST hold identical records, with the same offset and "
            "partition_leader_epoch, below the smaller of their high watermarks; after quiescence "
            "all replicas MUST have identical logs up to the log end offset."
        ),
        reason=(
            "Where replicas differ, a failover or a read from a follower silently changes what "
            "has been written."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("KIP-101", "KIP-279", "Vanlightly/kafka-tlaplus (LogMatchingProperty)"),
        observe=(
            "At the end read every replica (as a consumer from followers, raw with a replica id, "
            "or its log files) and compare."
        ),
        model="an invariant over pairs of rep",
    ),
    Clause(
        id="LOG-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A follower MUST align its log with the leader's by leader epochs and not by its high "
            "watermark: it truncates to the largest offset up to which epoch and offset agree with "
            "the leader, iterating over epochs (KIP-279). It MUST do so anew on every change of "
            "the leader epoch, even if the leader stays the same; only against a leader of its own "
            "current epoch; and before it appends or raises its high watermark."
        ),
        reason=(
            "A follower that cuts too much loses committed records with the next election; one "
            "that cuts too little keeps records that nobody else has."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "KIP-101",
            "KAFKA-1211",
            "KIP-279",
            "KIP-320",
            "KAFKA-7164",
            "KAFKA-14704",
            "core/src/main/scala/kafka/server/AbstractFetcherThread.scala",
            "hachikuji/kafka-specification (Kip101.tla, Kip279.tla, Kip320.tla)",
        ),
        observe=(
            "The crash and failover schedules of hachikuji/kafka-specification as scripted "
            "scenarios (two or three brokers, two or three records); then LEAD-04, LOG-02 and "
            "LOG-03 are checked."
        ),
        model=(
            "BecomeFollower truncates to a function of the epoch caches; the four historic "
            "variants are the mutants"
        ),
    ),
    Clause(
        id="LOG-05",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "OffsetForLeaderEpoch for epoch e MUST be answered by the leader with the largest "
            "epoch not above e that it knows and with the end offset of that epoch, which is the "
            "start of the next one, or the log end offset where it is the current one; with e and "
            "the first start offset where e is below every known epoch; and with (-1, -1) where e "
            "is newer than every known epoch. Fetch v12+ whose last_fetched_epoch and fetch_offset "
            "disagree with the log MUST be answered with this pair as diverging_epoch and without "
            "records; an offset below the log start MUST give OFFSET_OUT_OF_RANGE (1) even then."
        ),
        reason=(
            "Followers truncate to this answer and consumers detect loss by it; a wrong pair "
            "deletes committed records or hides that they are gone."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.RAW),
        sources=(
            "KIP-101",
            "KIP-279",
            "KIP-320",
            "KIP-595",
            "storage/src/main/java/org/apache/kafka/storage/internals/epoch/"
            "LeaderEpochFileCache.java (endOffsetFor)",
            "KAFKA-12996",
            "core/src/main/scala/kafka/cluster/Partition.scala (readRecords)",
        ),
        observe=(
            "Three forced changes of the leader with known numbers of records between them: ask "
            "for every epoch from 0 to the current one plus 1; Fetch v12 with wrong values of "
            "last_fetched_epoch."
        ),
        model="rep.ecache: epoch -> start offset, monotone in both",
        varies=(
            "A Fetch whose last_fetched_epoch is newer than every known epoch has no pair to be "
            "answered with and MAY get OFFSET_OUT_OF_RANGE (1)."
        ),
        calibrated=(
            "4.4.0 and 3.9.1 with ZooKeeper refuse an unknown newer last_fetched_epoch with code 1 "
            "and do not report a divergence (Partition.readRecords). A leader may or may not know "
            "an epoch in which nothing was written; either way the end offset is the same, and "
            "Fetch gives the pair that OffsetForLeaderEpoch gives."
        ),
    ),
    Clause(
        id="LOG-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A replica's record of where leader epochs begin MUST be monotone in epoch and in "
            "start offset, MUST gain the new epoch at the log end offset when the broker becomes "
            "leader even if it writes nothing, MUST be truncated with the log at both ends, and "
            "MUST survive a restart, epoch 0 included."
        ),
        reason=(
            "LOG-04 and LOG-05 answer from this record. One missing epoch sends followers to the "
            "wrong truncation point."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KAFKA-7415",
            "KAFKA-10432",
            "KAFKA-10706",
            "storage/src/main/java/org/apache/kafka/storage/internals/epoch/"
            "LeaderEpochFileCache.java",
        ),
        observe=(
            "The requests of LOG-05 after elections back to back without writes, and after a "
            "kill -9 and a restart without the checkpoint file."
        ),
        model="an invariant of rep.ecache; recovery rebuilds it from the log",
    ),
    Clause(
        id="LOG-07",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Retention and DeleteRecords MUST delete only a prefix of the log: the log start "
            "offset moves forward monotonically and never past the high watermark, later offsets "
            "keep their records, and a read below it fails with OFFSET_OUT_OF_RANGE (1). "
            "DeleteRecords to -1 MUST mean the high watermark, an offset beyond that MUST be "
            "refused with OFFSET_OUT_OF_RANGE (1), and the low_watermark of the response MUST be "
            "the smallest log start offset of the live replicas."
        ),
        reason=(
            "Deleting old data must not take new data along, and after a failover it must not "
            "come back."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.TIME),
        sources=(
            "KIP-107",
            "KAFKA-5634",
            "core/src/main/scala/kafka/log/UnifiedLog.scala "
            "(deletableSegments, maybeIncrementLogStartOffset)",
            "redpanda#2326",
        ),
        observe=(
            "Small segments with retention.bytes, and DeleteRecords: ListOffsets(-2), Fetch at the "
            "log start and one below it; the kept offsets hold their values, also after a "
            "failover."
        ),
        model="rep.start; start <= hw",
        varies="How much retention deletes at once (whole segments), and when, MAY differ.",
        calibrated=(
            "3.9.1 with ZooKeeper answers DeleteRecords with REQUEST_TIMED_OUT (7) under a new "
            "leader of an idle partition, until something is appended. No word changed: the clause "
            "sets no time."
        ),
    ),
    Clause(
        id="LOG-08",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Compaction MUST keep for each key at least the latest record below the dirty point, "
            "MUST keep offsets and relative order, MUST NOT touch records at or above the smaller "
            "of high watermark and last stable offset, and MUST keep a tombstone readable for "
            "delete.retention.ms after it was cleaned; a compacted topic MUST refuse records "
            "without a key with INVALID_RECORD (87)."
        ),
        reason=(
            "State is rebuilt from compacted topics. A lost latest value is a wrong state; a "
            "tombstone that goes too early brings a deleted key back to life."
        ),
        needs=(Need.WIRE, Need.TIME),
        sources=(
            "docs/design.html (Log Compaction)",
            "KIP-534",
            "KAFKA-4529",
            "KAFKA-13194",
            "core/src/main/scala/kafka/log/LogCleaner.scala",
        ),
        observe=(
            "A compacted topic with tiny segments and min.cleanable.dirty.ratio 0: compare the map "
            "from key to last value before and after, and the offsets of the survivors."
        ),
        model="Compact(tp): log' is a subsequence of log, latest(k) is preserved",
        varies=(
            "When compaction runs MAY differ. Old versions MAY refuse a missing key with "
            "CORRUPT_MESSAGE (2)."
        ),
    ),
    Clause(
        id="LOG-09",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Compaction MUST keep the marker of a transaction as long as any of its records "
            "remains, MUST drop aborted data only together with the information that it was "
            "aborted, and MUST keep the last sequence and epoch of each producer, so that "
            "deduplication and the last stable offset are the same before and after cleaning and "
            "restart."
        ),
        reason=(
            "Otherwise cleaning a log un-aborts data, hides committed data, or lets a retry in "
            "twice."
        ),
        needs=(Need.WIRE, Need.KILL, Need.TIME),
        sources=(
            "KAFKA-8351",
            "KAFKA-14055",
            "KAFKA-8335",
            "docs/implementation.html (On compaction)",
        ),
        observe=(
            "Transactions with colliding keys on a compacted topic: force cleaning and compare "
            "what read_committed returns before and after; repeat an old sequence after cleaning "
            "and restart."
        ),
        model="markers and pstate are functions of the remaining log",
    ),
)
