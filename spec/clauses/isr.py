"""The in-sync replicas, and what the high watermark may say because of them.

A record is committed when every in-sync replica has it. Consumers see committed records only,
acks=all waits for them, and who enters, leaves or recovers the ISR is decided so that the set never
contains a replica that lacks one.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="ISR-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The ISR MUST be a subset of the assigned replicas and contain the leader, if there is "
            "one; ISR and ELR MUST be disjoint; and where the ISR has at least min.insync.replicas "
            "members the ELR MUST be empty."
        ),
        reason=(
            "The two sets say who may be elected. A broker in the wrong one is either lost as a "
            "candidate or elected without the data."
        ),
        needs=(Need.CLUSTER,),
        sources=(
            "KIP-966",
            "Vanlightly/kafka-tlaplus (ValidControllerIsrAndElr)",
            "hachikuji/kafka-specification (LeaderInIsr)",
            "metadata/src/main/java/org/apache/kafka/controller/PartitionChangeBuilder.java "
            "(maybePopulateTargetElr)",
        ),
        observe="Samples of Metadata and DescribeTopicPartitions while brokers come and go.",
        model="invariants over part.isr, part.elr",
    ),
    Clause(
        id="ISR-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The high watermark of a leader MUST NOT exceed the log end offset of any member of "
            "the maximal ISR (the committed ISR together with any proposed one in flight), where "
            "only fetches in the leader's current epoch count as evidence of a follower's end "
            "offset."
        ),
        reason=(
            "A high watermark that runs ahead of one possible next leader shows consumers records "
            "that the next election may take away."
        ),
        needs=(Need.CLUSTER, Need.PAUSE, Need.RAW),
        sources=(
            "KIP-497",
            "KIP-320 (rule 3)",
            "core/src/main/scala/kafka/cluster/Partition.scala (maybeIncrementLeaderHW)",
            "Vanlightly/kafka-tlaplus (ReplicationQuorumSupersetProperty)",
        ),
        observe=(
            "A raw fake follower, or a paused real one: while it is in the ISR and has fetched up "
            "to offset k only, a consumer is given nothing at or above k, and Produce with "
            "acks=all does not complete."
        ),
        model="rep[l].hw <= min(rfo[f] for f in maxIsr)",
    ),
    Clause(
        id="ISR-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A consumer (replica_id -1) MUST NOT be given records at or above the high watermark, "
            "neither by the leader nor by a follower (KIP-392)."
        ),
        reason=(
            "A consumer that acts on an uncommitted record has acted on something that may never "
            "have happened."
        ),
        needs=(Need.CLUSTER, Need.PAUSE, Need.RAW),
        sources=(
            "docs/design.html (only committed messages are given out)",
            "server-common/src/main/java/org/apache/kafka/server/storage/log/FetchIsolation.java",
            "KIP-392",
            "KAFKA-9835",
            "KAFKA-14704",
        ),
        observe=(
            "The set-up of ISR-02 with acks=1: Produce returns offset k, and Fetch in either "
            "isolation level returns nothing at k until the followers have fetched it."
        ),
        model="ConsumerFetch reads log[..hw)",
    ),
    Clause(
        id="ISR-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The offsets that ListOffsets returns for LATEST MUST NOT fall across changes of the "
            "leader: a new leader whose high watermark is below the start offset of its epoch MUST "
            "answer OFFSET_NOT_AVAILABLE (78), or LEADER_NOT_AVAILABLE (5) before v5, instead of a "
            "smaller value."
        ),
        reason=(
            "A consumer that starts at the latest offset, or computes its lag from it, would jump "
            "back and process records again."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "KIP-207",
            "KAFKA-2334",
            "core/src/main/scala/kafka/cluster/Partition.scala (fetchOffsetForTimestamp)",
        ),
        observe=(
            "ListOffsets(-1) on the leader in a loop, across kills and elections with a slow "
            "follower: the sequence of values never falls."
        ),
        model="maxServedHW is monotone; guard hw >= epochStart",
        varies=(
            "The high_watermark field of Fetch responses MAY fall just after a clean failover."
        ),
    ),
    Clause(
        id="ISR-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A Produce with acks=-1 MUST be answered with success only after every member of the "
            "current ISR has the whole batch, that is, once the high watermark is above its last "
            "offset, and only if the ISR then has at least the effective min.insync.replicas "
            "members."
        ),
        reason=(
            "An earlier answer is a promise that one broker alone keeps: its loss is the record's "
            "loss."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "docs/design.html (Availability and Durability Guarantees)",
            "core/src/main/scala/kafka/cluster/Partition.scala (checkEnoughReplicasReachOffset)",
        ),
        observe=(
            "Pause one follower in the ISR: acks=all waits until the ISR shrinks or timeout_ms "
            "passes (7). Kill the leader right after an acknowledgement and read from the "
            "survivor."
        ),
        model="guard of Ack(v): hw > off(v)",
    ),
    Clause(
        id="ISR-06",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "While the ISR has fewer members than min.insync.replicas a Produce with acks=-1 MUST "
            "be refused before the append with NOT_ENOUGH_REPLICAS (19), or after it with "
            "NOT_ENOUGH_REPLICAS_AFTER_APPEND (20) where the ISR shrank in between; acks=0 and "
            "acks=1 MUST still be accepted."
        ),
        reason=(
            "min.insync.replicas is the operator's statement of how many copies an acknowledged "
            "record has; accepting fewer breaks it without a word."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-966",
            "KAFKA-15583",
            "core/src/main/scala/kafka/cluster/Partition.scala (effectiveMinIsr, isUnderMinIsr)",
            "docs/design.html (states the older rule)",
        ),
        observe=(
            "Three replicas, min.insync.replicas 2: stop two followers, wait until the ISR is the "
            "leader alone, then Produce with acks -1, 1 and 0. ListOffsets and Fetch tell whether "
            "the acks=1 record is visible."
        ),
        model="constant MinIsr; parameter StrictMinIsr in {TRUE, FALSE}",
        varies=(
            "Since 3.7 the effective minimum is the smaller of the setting and the replication "
            "factor (KAFKA-15583); older brokers MAY refuse for ever where the setting is larger. "
            "Since 3.7 records written below the minimum stay invisible until the ISR recovers; "
            "before, the high watermark MAY advance over them."
        ),
    ),
    Clause(
        id="ISR-07",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A follower that has not caught up with the leader's log end offset within "
            "replica.lag.time.max.ms MUST be removed from the ISR, so that the high watermark and "
            "acks=all make progress; once it has caught up again it MUST be taken back."
        ),
        reason=(
            "One slow broker stops every producer with acks=all, or a recovered one never counts "
            "again and the next failure is fatal."
        ),
        needs=(Need.CLUSTER, Need.PAUSE),
        sources=(
            "docs/design.html",
            "core/src/main/scala/kafka/cluster/Partition.scala "
            "(getOutOfSyncReplicas, maybeShrinkIsr)",
            "KAFKA-13091",
        ),
        observe=(
            "SIGSTOP a follower: the blocked acks=all Produce completes within the lag time plus "
            "slack, and the ISR shrinks. SIGCONT: it grows back."
        ),
        model="lagging(f) ~> f not in isr; (caughtUp(f) and eligible(f)) ~> f in isr",
    ),
    Clause(
        id="ISR-08",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A replica MUST join the ISR only if it has fetched, in the leader's current epoch, up "
            "to at least the high watermark and the start offset of that epoch, is unfenced and "
            "not shutting down, and presents the broker epoch of its registration; the change MUST "
            "be a compare-and-set on the partition epoch, refused with INVALID_UPDATE_VERSION (95) "
            "where that is stale, FENCED_LEADER_EPOCH (74) where the leader epoch is, and "
            "INELIGIBLE_REPLICA (107) where the replica may not join."
        ),
        reason=(
            "A member that lacks committed records is a leader in waiting that will delete them "
            "everywhere."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE, Need.RAW),
        sources=(
            "KAFKA-7128",
            "KIP-497",
            "KIP-841",
            "KIP-903",
            "core/src/main/scala/kafka/cluster/Partition.scala "
            "(isFollowerInSync, isReplicaIsrEligible)",
            "metadata/src/main/java/org/apache/kafka/controller/ReplicationControlManager.java "
            "(validateAlterPartitionData)",
        ),
        observe=(
            "A fast double failover with a lagging third replica, then a kill after which the "
            "third would have to lead: the history check of LEAD-04. Raw AlterPartition with an "
            "old partition epoch."
        ),
        model="guard of Expand: rfo[f] >= max(hw, epochStart) and rfe[f] = lepoch",
    ),
    Clause(
        id="ISR-09",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A replica that restarted after an unclean shutdown, that is, without proof of a clean "
            "one, MUST leave ISR, ELR and leadership until it has caught up with a live leader; "
            "where the ELR is enabled up to min.insync.replicas-1 restarts that lose data MUST NOT "
            "lose acknowledged records, and the last known leader MUST be elected only if it is "
            "alive."
        ),
        reason=(
            "After a power failure the last unflushed records of a broker are gone although it "
            "still claims to be in sync; as leader it would make the loss everybody's."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.DISK),
        sources=(
            "KIP-966",
            "KIP-903",
            "KAFKA-15586",
            "KAFKA-18106",
            "KAFKA-19522",
            "Vanlightly/kafka-tlaplus 5_recovery.md (LeaderCandidateCompletenessProperty)",
        ),
        observe=(
            "Three replicas, min.insync.replicas 2: stop two, kill -9 the last and cut the tail of "
            "its log on disk, restart it first. It does not become leader while a member of the "
            "ELR can; DescribeTopicPartitions shows elr and last_known_elr."
        ),
        model="crashLossy(b) drops a suffix; members of isr and elr hold the log up to trueHW",
        varies="The ELR MAY be off, as it is by default before 4.1.",
    ),
)
