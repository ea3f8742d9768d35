"""Topics and what brokers say about them.

A topic that was created exists with the shape that was asked for, is found under one id, and is
gone after its deletion; refused requests change nothing. Brokers may lag behind the controller, but
each of them moves forward only, and all of them agree once things are quiet.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="META-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "After a successful CreateTopics for n partitions and replication factor r the topic "
            "MUST have exactly the partitions 0 to n-1, each with r distinct registered replicas, "
            "one stable topic id and, in the end, a leader; every broker MUST in the end report "
            "the same."
        ),
        reason=(
            "Producers choose partitions by count. Where brokers disagree on it, equal keys go to "
            "different partitions and lose their order."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "KIP-4",
            "KIP-516",
            "metadata/src/main/java/org/apache/kafka/controller/ReplicationControlManager.java "
            "(createTopic)",
        ),
        observe=(
            "CreateTopics, then Metadata v12 or DescribeTopicPartitions from every broker until "
            "nothing changes any more: compare counts, ids and replica sets, and produce to the "
            "leader."
        ),
        model="md.topics[t]; bmd[b] is a prefix of the metadata log; []<> bmd[b] = md",
    ),
    Clause(
        id="META-02",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A topic that cannot be created MUST fail by itself with the code of its fault and "
            "change nothing: TOPIC_ALREADY_EXISTS (36) for an existing name; "
            "INVALID_TOPIC_EXCEPTION (17) for a malformed name or one that differs from an "
            "existing name only in '.' and '_'; INVALID_PARTITIONS (37) for a partition count of 0 "
            "or less; INVALID_REPLICATION_FACTOR (38) for a replication factor of 0 or less, or "
            "larger than the number of live brokers; INVALID_REPLICA_ASSIGNMENT (39) for a bad "
            "manual assignment; INVALID_CONFIG (40) for a bad configuration; INVALID_REQUEST (42) "
            "where an assignment and counts are both given. From v4 on -1 MUST mean the default "
            "for either count; existence MUST be checked before counts, assignment and "
            "configuration; and validate_only MUST have no effect."
        ),
        reason=(
            "Provisioning tools tell 'already there' from 'wrong' by these codes; a half-created "
            "topic takes its name away from the corrected request."
        ),
        needs=(Need.WIRE,),
        sources=(
            "metadata/src/main/java/org/apache/kafka/controller/ReplicationControlManager.java "
            "(createTopics)",
            "KIP-464",
            "KAFKA-8875",
            "KAFKA-13324",
            "KAFKA-14129",
            "KAFKA-1653",
        ),
        observe=(
            "A table of bad requests, alone and beside a good one; after each the code is the "
            "expected one and Metadata is unchanged."
        ),
        model="the guard of CreateTopic; an error is enabled exactly where the guard is false",
        varies=(
            "A KRaft controller MAY accept a replication factor up to the number of registered "
            "brokers, fenced ones included, as long as one broker is unfenced."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: -1 is no longer an invalid count (KIP-464); "
            "KRaft counts registered rather than live brokers; the name itself is checked before "
            "existence, so 'existence first' speaks of the other arguments only."
        ),
    ),
    Clause(
        id="META-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A deleted topic MUST in the end be gone from all metadata and all disks; a topic that "
            "is created again under the same name MUST have a new topic id, MUST start at offset "
            "0, and MUST NOT serve or replicate any record of its predecessor, even from a broker "
            "that was down during the deletion."
        ),
        reason="Data that was deleted, perhaps by law, comes back inside another topic.",
        needs=(Need.WIRE, Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-516",
            "KAFKA-14616",
            "KAFKA-12257",
            "KAFKA-5099",
            "core/src/main/scala/kafka/server/metadata/BrokerMetadataPublisher.scala",
        ),
        observe=(
            "Stop broker 3, delete and create the topic, produce new values, start broker 3 and "
            "move the leadership there: Fetch from 0 gives new values only, and the topic id in "
            "Metadata differs."
        ),
        model="rep[b,tp] is keyed by topic id; every entry of a log carries the current id",
    ),
    Clause(
        id="META-04",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A request that names a topic by id MUST be judged by the id and MUST NOT fall back to "
            "the name: an id that the broker does not know is answered with UNKNOWN_TOPIC_ID "
            "(100), one that contradicts the log it holds with INCONSISTENT_TOPIC_ID (103). Ids "
            "are carried by Fetch v13+, Metadata v12+ (v10+ in responses), DeleteTopics v6+, "
            "Produce v13+, and OffsetCommit and OffsetFetch v10+."
        ),
        reason=(
            "A client with a deleted topic's id reads the successor at offsets that mean "
            "something else, or deletes the wrong topic."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "KIP-516",
            "clients/src/main/resources/common/message/FetchRequest.json",
        ),
        observe="Fetch v13 with a random id, then with the id of a deleted topic.",
        model="the guard of a request on the topic id in md.topics",
    ),
    Clause(
        id="META-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "While the topic id stays the same, the leader epoch of a partition that one broker "
            "lets clients see (in Metadata, in the CurrentLeader of Produce and Fetch, in "
            "ListOffsets) MUST NOT go backwards; once metadata has come to rest all brokers MUST "
            "agree on leader, leader epoch and ISR."
        ),
        reason=(
            "A client that believes an older epoch goes back to a deposed leader and is told that "
            "it is ahead of the truth."
        ),
        needs=(Need.CLUSTER, Need.PAUSE),
        sources=(
            "KIP-320",
            "KIP-516",
            "KIP-951",
            "core/src/main/scala/kafka/server/metadata/KRaftMetadataCache.scala "
            "(getRandomAliveBroker)",
        ),
        observe=(
            "Sample Metadata from all brokers during failovers: monotone for each broker, equal "
            "for all of them after quiescence."
        ),
        model="bmd[b] advances along mlog only",
        varies=(
            "One broker MAY be staler than another. With KRaft controller_id MAY be any live "
            "broker."
        ),
    ),
    Clause(
        id="META-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "CreatePartitions MUST only increase the number of partitions, refusing an equal or "
            "smaller one with INVALID_PARTITIONS (37), and MUST NOT disturb existing partitions; a "
            "reassignment MUST end with exactly the target replicas, all of them in the ISR, MUST "
            "keep every committed record, and MUST be cancellable back to the old replicas."
        ),
        reason=(
            "Moving a partition is routine work. If it may drop committed records or get stuck "
            "half way, no cluster can be maintained."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-195",
            "KIP-455",
            "KAFKA-15665",
            "metadata/src/main/java/org/apache/kafka/controller/PartitionReassignmentReplicas.java",
            "Vanlightly/kafka-tlaplus 4_reassignment.md",
        ),
        observe=(
            "AlterPartitionReassignments under load, with one of the targets killed. Once "
            "ListPartitionReassignments is empty, Metadata shows the target replicas, each of them "
            "in the ISR, and a full read finds every acknowledged record."
        ),
        model=(
            "part.adding, part.removing; replicas change only when the targets are in the ISR; "
            "adding not empty ~> adding empty"
        ),
    ),
    Clause(
        id="META-07",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Metadata for an unknown topic MUST be answered with UNKNOWN_TOPIC_OR_PARTITION (3) "
            "where automatic creation is off or the request does not allow it, and MUST otherwise "
            "create the topic with the broker's defaults; dynamic topic and broker configurations "
            "MUST be read back by DescribeConfigs as they were set and MUST take effect on all "
            "replicas."
        ),
        reason=(
            "A misspelt topic that is created by a consumer swallows data; a limit that holds on "
            "the old leader only disappears with a failover."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "KIP-361",
            "KIP-226",
            "KIP-339",
            "core/src/main/scala/kafka/server/AutoTopicCreationManager.scala",
        ),
        observe=(
            "Metadata with allow_auto_topic_creation 0 and 1. IncrementalAlterConfigs of "
            "max.message.bytes, then Produce above and below the limit, on the leader and again "
            "after a failover."
        ),
        model="md.configs",
        varies=(
            "The answer that triggers the creation MAY still be LEADER_NOT_AVAILABLE (5) or "
            "UNKNOWN_TOPIC_OR_PARTITION (3)."
        ),
    ),
)
