"""The controller: one at a time, replaced when it dies, and never forgetful.

Everything else leans on this area. Leaders, ISRs, topics, permissions and quotas are metadata; they
are only as safe as the single writer that changes them. Clauses hold for the controller that is
elected through ZooKeeper and for the KRaft quorum alike, unless they name one of the two.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="CTL-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "In any controller epoch there MUST be at most one active controller, and a newly "
            "elected controller MUST hold an epoch strictly greater than every earlier one. With "
            "ZooKeeper it is the owner of the ephemeral /controller, who raised /controller_epoch "
            "by compare-and-set; with KRaft it is the one leader of a quorum epoch."
        ),
        reason=(
            "Two controllers in one epoch elect two leaders for one partition, and both of them "
            "acknowledge writes that the other never sees."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "KIP-500",
            "KIP-595",
            "KIP-631",
            "core/src/main/scala/kafka/zk/KafkaZkClient.scala "
            "(registerControllerAndIncrementControllerEpoch)",
            "raft/src/main/java/org/apache/kafka/raft/QuorumState.java",
            "Vanlightly/kafka-tlaplus kraft_kip_853 (NeverTwoLeadersInSameEpoch)",
        ),
        observe=(
            "Kill and partition controllers while polling DescribeQuorum on every controller "
            "(KRaft: leader_id, leader_epoch) or Metadata v1+ controller_id on every broker "
            "(ZooKeeper). Each epoch ever reported names one leader only, and the epoch that one "
            "broker reports never falls."
        ),
        model="cq[n].epoch, cq[n].leader; no n1, n2 with equal epochs and distinct leaders",
    ),
    Clause(
        id="CTL-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A deposed controller MUST NOT change metadata. With ZooKeeper each of its writes MUST "
            "be conditional on the version of the controller epoch, and a broker MUST answer "
            "LeaderAndIsr, UpdateMetadata and StopReplica that carry an older controller epoch "
            "with STALE_CONTROLLER_EPOCH (11); with KRaft a change that a stale leader could not "
            "commit MUST NOT become visible on any broker."
        ),
        reason=(
            "A controller that was paused for a garbage collection wakes up with outdated "
            "decisions. If they take effect, they undo elections that clients already rely on."
        ),
        needs=(Need.CLUSTER, Need.PAUSE, Need.RAW),
        sources=(
            "KAFKA-6082",
            "KIP-380",
            "KIP-595",
            "core/src/main/scala/kafka/server/ReplicaManager.scala (controllerEpoch checks)",
        ),
        observe=(
            "Pause the active controller, let another be elected, create topics and elect leaders "
            "through the new one, resume the old one; then compare Metadata and "
            "DescribeTopicPartitions of all brokers. Raw, with ZooKeeper: LeaderAndIsr with the "
            "controller epoch minus one is answered with 11."
        ),
        model=(
            "net keeps the old controller's messages for ever; md is changed only by the one whose "
            "epoch is the highest committed; metadata logs match"
        ),
    ),
    Clause(
        id="CTL-03",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "After the active controller dies, and as long as one candidate and ZooKeeper or a "
            "majority of the voters are alive, a new controller MUST be elected, and it MUST carry "
            "out the work left pending: leader elections for brokers that died in the meantime, "
            "unfinished topic deletions and reassignments."
        ),
        reason=(
            "Partitions whose leader died in the gap stay unavailable until an operator notices."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "docs/design.html (Replication)",
            "KIP-500",
            "KIP-631",
            "core/src/main/scala/kafka/controller/KafkaController.scala (onControllerFailover)",
        ),
        observe=(
            "Kill the controller and, before its successor is elected, the leader of a partition. "
            "Within a bound the partition has a leader with a new epoch, and Produce with acks=all "
            "succeeds again."
        ),
        model=(
            "<>[] (an active controller exists), given fair elections; "
            "(broker dead and ISR not empty) ~> leader alive"
        ),
    ),
    Clause(
        id="CTL-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A metadata change that was acknowledged (a topic created or deleted, a configuration, "
            "permission, quota, partition count, leader or ISR) MUST survive any number of "
            "controller failovers and full restarts that the quorum tolerates; a new controller "
            "MUST start from the complete committed metadata."
        ),
        reason=(
            "A topic or a DENY rule that was confirmed and then vanishes takes data or protection "
            "with it, and no client is told."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-595",
            "KIP-631",
            "Vanlightly/kafka-tlaplus (LeaderHasAllAckedValues, AckedValueNotLost)",
            "raft/src/main/java/org/apache/kafka/raft/KafkaRaftClient.java",
        ),
        observe=(
            "CreateTopics, IncrementalAlterConfigs and CreateAcls, each acknowledged; kill -9 one "
            "controller or all of them; read everything back from every broker with Metadata, "
            "DescribeConfigs and DescribeAcls."
        ),
        model="acknowledged metadata is part of the committed mlog of every current leader",
    ),
    Clause(
        id="CTL-05",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A broker that stops renewing its session (its ephemeral znode, or BrokerHeartbeat "
            "within broker.session.timeout.ms) MUST be fenced: removed from every ISR of which it "
            "is not the last member, stripped of every leadership, and absent from the brokers of "
            "Metadata; when it returns it MUST register again, and MUST be unfenced only after it "
            "has caught up with the metadata log."
        ),
        reason=(
            "Writes with acks=all wait for a dead broker for ever, and clients are sent to it."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=(
            "docs/design.html",
            "KIP-631",
            "metadata/src/main/java/org/apache/kafka/controller/ClusterControlManager.java",
            "metadata/src/main/java/org/apache/kafka/controller/BrokerHeartbeatManager.java",
        ),
        observe=(
            "Kill -9 or SIGSTOP a broker and poll Metadata on the others: leader, isr, brokers. "
            "Restart it and expect it back in the ISR."
        ),
        model=(
            "md.brokers[b].fenced, session timer nondeterministic; stopped ~> fenced; "
            "(running and fenced) ~> unfenced"
        ),
        varies=(
            "With eligible leader replicas (KIP-966) even the last member MAY leave the ISR, for "
            "the ELR."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: the exception for the last member of the ISR "
            "does not hold where eligible leader replicas are on."
        ),
    ),
    Clause(
        id="CTL-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Each incarnation of a broker MUST be given a fresh, larger broker epoch; control "
            "requests, heartbeats, AlterPartition and fetches towards ISR membership that carry an "
            "older one MUST be refused with STALE_BROKER_EPOCH (77) or INELIGIBLE_REPLICA (107), "
            "and a second live process with the same broker id MUST be refused with "
            "DUPLICATE_BROKER_REGISTRATION (101)."
        ),
        reason=(
            "A message meant for a broker's former life is applied to the new one, for example a "
            "place in the ISR that it earned with a log it has since lost."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.RAW),
        sources=(
            "KIP-380",
            "KAFKA-7235",
            "KIP-631",
            "KIP-903",
            "metadata/src/main/java/org/apache/kafka/controller/ClusterControlManager.java",
        ),
        observe=(
            "Raw BrokerHeartbeat and AlterPartition with the former epoch after a broker was "
            "restarted; start two processes with one broker id."
        ),
        model=(
            "md.brokers[b].epoch rises with each registration; a member of the ISR has the epoch "
            "of its registration"
        ),
        varies="The moment at which a request is refused MAY differ between versions.",
    ),
    Clause(
        id="CTL-07",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A KRaft voter MUST store its epoch and its vote durably before it answers, MUST grant "
            "at most one vote per epoch, and MUST grant it only to a candidate whose log (last "
            "epoch, then end offset) is at least as up to date as its own; a leader MUST have the "
            "votes of a majority."
        ),
        reason=(
            "A voter that forgets its vote in a restart votes twice, and one epoch gets two "
            "controllers; a vote for a shorter log loses acknowledged metadata."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE, Need.RAW),
        sources=(
            "KIP-595",
            "KIP-996",
            "raft/src/main/java/org/apache/kafka/raft/KafkaRaftClient.java (handleVoteRequest)",
            "raft/src/main/java/org/apache/kafka/raft/internals/",
        ),
        observe=(
            "Raw Vote to one controller: two candidates in one epoch with a restart between them, "
            "then a candidate with a stale log; compare vote_granted."
        ),
        model="cq[n].votedFor survives a crash; the election safety of Raft",
        varies="Pre-vote (KIP-996) MAY change who starts an election, never who may win it.",
    ),
    Clause(
        id="CTL-08",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The high watermark of the KRaft quorum MUST advance only over entries that a majority "
            "of the voters has flushed, and only once an entry of the leader's own epoch "
            "(LeaderChange) is among them; a member MUST NOT truncate below its high watermark; "
            "a leader that hears no Fetch from a majority for quorum.fetch.timeout.ms MUST resign; "
            "voters (KIP-853) MUST be changed one at a time, each change committed before the next."
        ),
        reason=(
            "Metadata that was acknowledged disappears after an election, or a controller that "
            "nobody follows goes on believing in itself."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE, Need.RAW),
        sources=(
            "KIP-595",
            "KIP-853",
            "KAFKA-12619",
            "KAFKA-12460",
            "KAFKA-10533",
            "KAFKA-15489",
            "Vanlightly/kafka-tlaplus kraft_kip_853_properties.tla",
        ),
        observe=(
            "Cut the leader off with a minority: metadata writes through it fail or time out, and "
            "DescribeQuorum shows a new epoch on the side of the majority. After the heal no "
            "acknowledged change is missing."
        ),
        model=(
            "cq[n].mhw, flushed[n]; NoLogDivergence, LeaderHasAllAckedValues; "
            "liveness: ValuesEventuallyAcked"
        ),
    ),
)
