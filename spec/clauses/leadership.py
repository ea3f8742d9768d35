"""Leaders of partitions: one per epoch, elected from those who have everything.

The leader epoch orders all that happens to a partition. A clean election keeps every committed
record; an unclean one may lose some, but never silently; clients and followers with another epoch
are told so.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="LEAD-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "For each partition and leader epoch there MUST be at most one broker that acts as "
            "leader, that is, accepts appends stamped with that epoch."
        ),
        reason=(
            "Two leaders in one epoch give one offset to two records, and the epoch can no longer "
            "tell which log is the right one."
        ),
        needs=(Need.CLUSTER, Need.PAUSE),
        sources=(
            "KIP-101",
            "KIP-320",
            "hachikuji/kafka-specification KafkaReplication.tla",
            "Vanlightly/kafka-tlaplus v3_5",
        ),
        observe=(
            "Fetch from every replica (as a consumer from followers, or raw with a replica id) and "
            "read partition_leader_epoch of each batch: all batches of one epoch were acknowledged "
            "by one broker, and the CurrentLeader of Produce responses agrees."
        ),
        model="rep[b].role = leader and rep[b].lepoch; unique for each epoch",
    ),
    Clause(
        id="LEAD-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Every change of the leader MUST strictly increase the leader epoch, and a broker MUST "
            "ignore leadership information with an older epoch than the one it has."
        ),
        reason=(
            "Fencing compares epochs. A change that keeps the epoch cannot be fenced, and a broker "
            "that goes back to an old one leads or follows the wrong log."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-101",
            "metadata/src/main/java/org/apache/kafka/controller/PartitionChangeBuilder.java "
            "(triggerLeaderEpochBumpForIsrShrinkIfNeeded)",
            "KAFKA-15021",
        ),
        observe=(
            "Read leader and leader_epoch from Metadata v7+ across kills: wherever the leader "
            "changes the epoch has grown. Raw, with ZooKeeper: a stale LeaderAndIsr has no effect."
        ),
        model="part.lepoch' > part.lepoch wherever leader' differs from leader",
        varies=(
            "The epoch MAY also grow when the ISR shrinks and the leader stays: required before "
            "metadata version 3.6, dropped later (KAFKA-15021)."
        ),
    ),
    Clause(
        id="LEAD-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "In a clean election the new leader MUST be a live, unfenced member of the ISR, or of "
            "the ELR where the ISR is empty (KIP-966). With unclean.leader.election.enable=false a "
            "partition without such a member MUST stay without a leader rather than elect anyone "
            "else, and MUST become available again, with its committed data, when one returns."
        ),
        reason=(
            "Whoever is outside the ISR may lack acknowledged records; as leader it makes "
            "everybody else delete them."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "KIP-106",
            "KIP-966",
            "metadata/src/main/java/org/apache/kafka/controller/PartitionChangeBuilder.java "
            "(isValidNewLeader)",
            "core/src/main/scala/kafka/controller/Election.scala",
        ),
        observe=(
            "Three replicas: stop 2 and 3 until the ISR is {1}, write with acks=1 and acks=all, "
            "kill 1, start 2. Metadata has leader -1, Produce fails with 5 or 6, a preferred "
            "ElectLeaders with 80 or 83. Start 1: all data is back."
        ),
        model="guard of Elect: the candidate is in isr, or isr = {} and it is in elr",
    ),
    Clause(
        id="LEAD-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The log of a cleanly elected leader MUST contain, at its original offset, every "
            "committed record: every record that was ever acknowledged with acks=all or ever "
            "returned to a consumer."
        ),
        reason=(
            "This is what durability means to a producer, and what an offset means to a consumer: "
            "a failover changes neither."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "docs/design.html (a committed message will not be lost)",
            "KIP-101",
            "KIP-279",
            "KIP-320",
            "KIP-966",
            "Vanlightly/kafka-tlaplus (LeaderCompletenessProperty)",
            "hachikuji/kafka-specification (StrongIsr)",
        ),
        observe=(
            "The master history test: unique values with acks=all while leaders are killed, paused "
            "and cut off at random. At the end read every partition with read_uncommitted: each "
            "acknowledged value is there, at the offset that was acknowledged."
        ),
        model=(
            "for the leader l of the newest epoch rep[l].log[o] = v for all (o, v) acknowledged or "
            "consumed"
        ),
    ),
    Clause(
        id="LEAD-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "An unclean election MAY lose committed records, but it MUST increase the leader "
            "epoch, and afterwards all replicas MUST converge to the log of the new leader. A "
            "consumer that validates its last epoch and its position, with OffsetForLeaderEpoch or "
            "by the diverging_epoch of Fetch v12+, MUST be told an end offset below its position "
            "if and only if those records are gone; histories MUST NOT be mixed silently within "
            "one epoch."
        ),
        reason=(
            "Who accepts loss for availability must still be able to see it. A consumer that is "
            "not told goes on reading other records under offsets that it believes to know."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "KIP-106",
            "KIP-320",
            "KAFKA-7747",
            "KIP-460 (ElectLeaders, unclean)",
            "KIP-704 (leader recovery state)",
        ),
        observe=(
            "Force an unclean election, produce different values, restart the old leader. The full "
            "logs of all replicas are equal; OffsetForLeaderEpoch for the old epoch gives an end "
            "offset below the old position. After a clean failover no divergence is reported."
        ),
        model="logs still match; the set of committed records is cut at the election",
        varies=(
            "Which replica wins an unclean election, and how many records it loses, MAY differ."
        ),
    ),
    Clause(
        id="LEAD-06",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "When a leader dies and a clean candidate exists, the partition MUST become writable "
            "and readable again within the time that detection takes, without an operator; a "
            "Produce with acks=all in flight MUST end in success, an error or a lost connection, "
            "and MUST NOT hang beyond its timeout_ms."
        ),
        reason="Failover without an operator is what replication is paid for.",
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "docs/design.html",
            "Vanlightly/kafka-tlaplus (EventuallyWriteIsAcceptedOrRejected)",
        ),
        observe=(
            "Kill -9 the leader under load: the time to the first acknowledged Produce, and no "
            "request that outlives timeout_ms plus slack."
        ),
        model="sent(v) ~> acked(v) or nacked(v), given fair detection and election",
    ),
    Clause(
        id="LEAD-07",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Where a request carries current_leader_epoch (Fetch v9+, ListOffsets v4+, "
            "OffsetForLeaderEpoch v2+) an older epoch than the leader's MUST be answered with "
            "FENCED_LEADER_EPOCH (74), a newer one with UNKNOWN_LEADER_EPOCH (75), and -1 MUST NOT "
            "be checked; a broker that does not lead the partition MUST answer "
            "NOT_LEADER_OR_FOLLOWER (6), and Produce v10+ and Fetch v16+ MUST then name the "
            "current leader and its address where the broker knows them (KIP-951)."
        ),
        reason=(
            "It is how a client with stale metadata finds out before it reads from, or trusts, a "
            "leader of another epoch."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.RAW),
        sources=(
            "KIP-320",
            "KIP-951",
            "core/src/main/scala/kafka/cluster/Partition.scala (checkCurrentLeaderEpoch)",
            "KAFKA-7395",
        ),
        observe=(
            "Each of these requests with the epoch minus one, the epoch and the epoch plus one, to "
            "the leader and to a follower; also inside an established fetch session."
        ),
        model="the guard on rep[b].lepoch",
        varies=(
            "From v11 on a follower MAY serve a consumer's Fetch in place of the leader (KIP-392); "
            "a broker that follows MAY answer a wrong epoch with 74 or 75 rather than with 6."
        ),
        calibrated=(
            "Against 3.9 and 4.4: of Fetch from v11 on only a broker without a replica must answer "
            "6, and followers judge the epoch first; so `varies` was added."
        ),
    ),
    Clause(
        id="LEAD-08",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A leader that is cut off from the controller and from its ISR MUST NOT acknowledge "
            "writes with acks=all, nor advance its high watermark over records that the real ISR "
            "lacks; once it learns of the newer epoch it MUST fail outstanding acks=all writes "
            "with the retriable NOT_LEADER_OR_FOLLOWER (6) and MUST discard those that the new "
            "leader does not have."
        ),
        reason=(
            "Otherwise a partition of the network turns acknowledged writes into lost ones: the "
            "classic failure of replicated logs."
        ),
        needs=(Need.CLUSTER, Need.PAUSE),
        sources=(
            "KIP-101",
            "KIP-320",
            "Jepsen: Kafka, 2013 (aphyr.com/posts/293)",
            "core/src/main/scala/kafka/cluster/Partition.scala (checkEnoughReplicasReachOffset)",
        ),
        observe=(
            "Cut the leader off from followers and controller by a proxy, keep producers with "
            "acks=1 and acks=all attached to it, then heal. Of the acks=all values that it "
            "acknowledged after the new epoch began there are none, or they are all present."
        ),
        model=(
            "rep[old].role = leader with a stale lepoch is allowed; its Ack needs every member of "
            "maxIsr in the same epoch"
        ),
    ),
    Clause(
        id="LEAD-09",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A preferred election, by ElectLeaders or by automatic rebalancing, MUST move the "
            "leadership to the first assigned replica only if that is live and in the ISR, and "
            "ElectLeaders MUST answer PREFERRED_LEADER_NOT_AVAILABLE (80) if it is not and "
            "ELECTION_NOT_NEEDED (84) if it leads already; a controlled shutdown MUST hand over "
            "leadership before the process stops, so that producers with acks=all lose nothing."
        ),
        reason=(
            "Rolling restarts and rebalancing happen daily; they must cost neither records nor an "
            "outage."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-183",
            "KIP-460",
            "metadata/src/main/java/org/apache/kafka/controller/ReplicationControlManager.java "
            "(electLeader)",
            "KAFKA-14296",
        ),
        observe=(
            "Kill and restart the first replica, ElectLeaders, Metadata; SIGTERM the leader under "
            "load."
        ),
        model="guard of ElectPreferred",
    ),
)
