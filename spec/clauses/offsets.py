"""Offsets: the marks on a log, and the positions that groups commit.

Log start, last stable offset, high watermark and log end come in this order on every replica, and
ListOffsets and Fetch answer from them. A position that a group has committed is as durable as a
record, is changed only by those who own it, and does not expire while it is in use.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="OFF-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "On every replica at every moment log start offset <= last stable offset <= high "
            "watermark <= log end offset MUST hold; the last stable offset MUST be the smaller of "
            "the high watermark and the first offset of the earliest transaction that is open or "
            "whose end marker is not yet below the high watermark, and for a leader it MUST NOT "
            "fall."
        ),
        reason=(
            "read_committed consumers read up to the last stable offset: too high shows undecided "
            "data, too low hides committed data."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "KIP-98",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/"
            "ProducerStateManager.java (firstUnstableOffset)",
            "core/src/main/scala/kafka/log/UnifiedLog.scala (fetchLastStableOffsetMetadata)",
            "KAFKA-9807",
        ),
        observe=(
            "log_start_offset, last_stable_offset and high_watermark of every Fetch response, and "
            "ListOffsets in both isolation levels, while transactions are open in parallel."
        ),
        model="derived lso(rep); the chain of inequalities",
        varies=(
            "The marks in one Fetch response MAY belong to moments shortly after one another, so "
            "that only a later response has to show a mark that is as high."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: Partition.readRecords takes the high "
            "watermark before the last stable offset; an append may be committed in between."
        ),
    ),
    Clause(
        id="OFF-02",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "ListOffsets MUST return the log start offset for -2; for -1 the high watermark "
            "(read_uncommitted) or the last stable offset (read_committed); for -3 the offset of "
            "the first record with the largest timestamp (KIP-734); for a timestamp t >= 0 the "
            "first offset below that bound whose timestamp is at least t, or (-1, -1) where there "
            "is none; and with each record found its leader epoch."
        ),
        reason="Every consumer without a committed position starts from one of these answers.",
        needs=(Need.WIRE,),
        sources=(
            "KIP-79",
            "KIP-98",
            "KIP-734",
            "KAFKA-5522",
            "KAFKA-16310",
            "core/src/main/scala/kafka/server/KafkaApis.scala (handleListOffsetRequestV1AndAbove)",
            "core/src/main/scala/kafka/cluster/Partition.scala (fetchOffsetForTimestamp)",
        ),
        observe=(
            "Records with timestamps out of order, compressed and not: compare with a scan of the "
            "fetched log."
        ),
        model="a pure function of rep.log",
        varies=(
            "The leader epoch for -2 and for an empty log, and the special timestamps -4 and -5 of "
            "tiered storage, MAY differ."
        ),
        calibrated=(
            "4.4.0 and 3.9.1: with -1 no record is found, and the leader epoch that comes along is "
            "the leader's current one. Both break the sentence after DeleteRecords: -3 may name a "
            "deleted record, and a time is not sought beyond a segment whose latest record was "
            "deleted. No word changed: a client is sent to the wrong offset."
        ),
    ),
    Clause(
        id="OFF-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A successful OffsetCommit MUST be as durable as a write with acks=all: a later "
            "OffsetFetch for the group, from any broker that coordinates it by then, after a "
            "failover of the coordinator or a full restart, MUST return its offset, metadata and "
            "leader epoch, or those of a later commit."
        ),
        reason=(
            "A lost commit makes a group process everything since the previous one again, or skip "
            "to the end where there was none."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-211",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "OffsetMetadataManager.java",
        ),
        observe=(
            "Commit increasing offsets in a loop, kill the coordinator, find the new one: "
            "OffsetFetch returns at least the last acknowledged offset."
        ),
        model="off[g,tp] folds the committed prefix of __consumer_offsets",
    ),
    Clause(
        id="OFF-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The committed offset that a group sees MUST equal a replay of the offsets log in log "
            "order, in which the last commit or transaction marker wins, whatever was loaded, "
            "expired or compacted meanwhile."
        ),
        reason=(
            "A coordinator whose memory differs from its log changes its mind with the next "
            "failover, and the group jumps."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.TIME),
        sources=(
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "OffsetMetadataManager.java (replay)",
            "KAFKA-5600",
            "redpanda#31483 (CORE-16998, CORE-17000)",
        ),
        observe=(
            "Mix plain and transactional commits with moves of the leader of __consumer_offsets: "
            "OffsetFetch before and after a move are equal."
        ),
        model="refinement: the map in memory = replay(log)",
    ),
    Clause(
        id="OFF-05",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "OffsetCommit MUST refuse, and change nothing for, an unknown member with "
            "UNKNOWN_MEMBER_ID (25), another generation with ILLEGAL_GENERATION (22), a classic "
            "group in CompletingRebalance with REBALANCE_IN_PROGRESS (27), a static member that "
            "was replaced with FENCED_INSTANCE_ID (82), another member epoch of a KIP-848 group "
            "with STALE_MEMBER_EPOCH (113), metadata longer than offset.metadata.max.bytes with "
            "OFFSET_METADATA_TOO_LARGE (12) and an unknown topic with UNKNOWN_TOPIC_OR_PARTITION "
            "(3); generation -1 with an empty member id MUST be accepted only while the group is "
            "empty."
        ),
        reason=(
            "A consumer that lost its partitions must not move the position of the one that owns "
            "them now: forward means lost records, backward means repeated ones."
        ),
        needs=(Need.WIRE,),
        sources=(
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/classic/"
            "ClassicGroup.java (validateOffsetCommit)",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/modern/consumer/"
            "ConsumerGroup.java (validateOffsetCommit)",
            "KAFKA-4081",
        ),
        observe=(
            "A table over member, generation, instance id and state of the group; OffsetFetch is "
            "unchanged after each refusal."
        ),
        model="the guard of Commit(g, m, gen)",
        varies=(
            "For a group that does not exist a commit with a generation MAY be refused with "
            "GROUP_ID_NOT_FOUND (69) from v9 on and with ILLEGAL_GENERATION (22) before."
        ),
    ),
    Clause(
        id="OFF-06",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "OffsetFetch for a partition without a commit MUST return offset -1 and no error; with "
            "require_stable (KIP-447) it MUST return UNSTABLE_OFFSET_COMMIT (88) while a "
            "transactional commit for the partition is pending, and the committed value "
            "otherwise; v8+ MUST answer for several groups, and topics=null MUST mean all."
        ),
        reason=(
            "A new owner that reads the old position while the previous owner's transaction is "
            "about to commit processes the same input twice."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-447",
            "KIP-709",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "OffsetMetadataManager.java (fetchOffsets)",
            "KAFKA-16371",
        ),
        observe=(
            "OffsetFetch v7 and v8 with and without a pending TxnOffsetCommit; after a "
            "TxnOffsetCommit that was refused no 88 stays behind."
        ),
        model="pend[g,pid,tp]",
    ),
    Clause(
        id="OFF-07",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Committed offsets MUST NOT expire while the group has live members subscribed to the "
            "topic, while it is rebalancing, or while a transactional commit is pending; those of "
            "an empty group MUST NOT expire before offsets.retention.minutes after it became "
            "empty; deleting the topic, OffsetDelete and DeleteGroups MUST remove them."
        ),
        reason=(
            "A consumer whose topic was quiet for a week would start over at one end of the log, "
            "repeating or losing everything."
        ),
        needs=(Need.TIME, Need.KILL),
        sources=("KIP-211", "KIP-496", "KAFKA-4682", "KAFKA-8069", "KAFKA-13636"),
        observe=(
            "offsets.retention.minutes=1 with a small check interval; keep a group idle, then "
            "rebalancing; OffsetFetch."
        ),
        model="the guard of expiry on the state of grp",
    ),
    Clause(
        id="OFF-08",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A consumer's Fetch at an offset from log start to log end MUST be accepted, and "
            "between high watermark and log end it MUST return no records and no error; any other "
            "offset MUST be refused with OFFSET_OUT_OF_RANGE (1), upon which the client applies "
            "auto.offset.reset (earliest, latest or none); a valid committed offset MUST NOT lead "
            "to a reset."
        ),
        reason=(
            "Code 1 makes consumers throw their position away. Given wrongly, it costs a gap or a "
            "full re-read."
        ),
        needs=(Need.WIRE,),
        sources=(
            "core/src/main/scala/kafka/server/ReplicaManager.scala",
            "KAFKA-725",
            "redpanda#10799",
        ),
        observe=(
            "Fetch at -1, log start minus 1, log start, high watermark, high watermark plus 1, log "
            "end, log end plus 1, with an uncommitted tail made by a paused follower."
        ),
        model="the guard of Fetch",
    ),
)
