"""Consumer groups: every partition has one owner, and everybody knows who it is.

Classic groups agree by generations, KIP-848 groups by member epochs. The coordinator hands out
assignments, fences whoever missed a change, ends every rebalance, and carries the state of the
group over its own failover.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="GRP-01",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "FindCoordinator MUST name the leader of the group's partition of __consumer_offsets, "
            "which is the hash of the group id modulo the number of its partitions and never "
            "changes; every other broker MUST refuse the group with NOT_COORDINATOR (16), one that "
            "is still loading with COORDINATOR_LOAD_IN_PROGRESS (14), and where there is none the "
            "answer MUST be COORDINATOR_NOT_AVAILABLE (15); after a failover a new coordinator "
            "MUST take over with the group's committed state."
        ),
        reason=(
            "Two coordinators for one group hand out its partitions twice and keep two sets of "
            "positions."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-211",
            "KIP-394",
            "core/src/main/scala/kafka/server/KafkaApis.scala (getCoordinator)",
            "KAFKA-2336",
        ),
        observe=(
            "FindCoordinator on all brokers agrees; send group requests to a wrong broker; kill "
            "the coordinator."
        ),
        model="coord(g) = leader(offsetsPart(g))",
    ),
    Clause(
        id="GRP-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Each completed rebalance of a classic group MUST increase the generation; all members "
            "of a generation MUST be given the same generation, protocol and leader id; exactly "
            "one of them MUST be the leader, and only it MUST receive the list of members; the "
            "chosen protocol MUST be supported by all members, and a join that leaves none in "
            "common MUST be refused with INCONSISTENT_GROUP_PROTOCOL (23)."
        ),
        reason=(
            "Members that disagree on leader or protocol compute different assignments and own "
            "partitions twice or not at all."
        ),
        needs=(Need.WIRE,),
        sources=(
            "docs/protocol.html",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/classic/"
            "ClassicGroup.java",
            "KIP-559",
        ),
        observe="Raw members without a library, three joins: compare the JoinGroup responses.",
        model="grp.gen, grp.members, grp.leader",
    ),
    Clause(
        id="GRP-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "SyncGroup MUST hand each member exactly the bytes that the leader of its generation "
            "sent for it, empty where it sent none, and MUST NOT hand out an assignment of another "
            "generation; with a correct assignor each subscribed partition therefore MUST be owned "
            "by exactly one member of the newest generation."
        ),
        reason=(
            "Two owners process each record twice and overwrite each other's position; no owner "
            "means that a partition is not read at all."
        ),
        needs=(Need.WIRE, Need.KILL, Need.PAUSE),
        sources=(
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "GroupMetadataManager.java (classicGroupSync)",
            "docs/design.html (consumer groups)",
        ),
        observe=(
            "A raw leader sends unique tokens; SyncGroup is delayed and repeated. Over the whole "
            "run no partition has two owners within one generation."
        ),
        model="grp.assign[m]; every partition is covered exactly once",
    ),
    Clause(
        id="GRP-04",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "In a classic group SyncGroup, Heartbeat, OffsetCommit and LeaveGroup MUST refuse an "
            "unknown member with UNKNOWN_MEMBER_ID (25), and the first three another generation "
            "with ILLEGAL_GENERATION (22); while a rebalance is prepared SyncGroup and Heartbeat "
            "MUST answer REBALANCE_IN_PROGRESS (27). JoinGroup MUST refuse an unknown member id "
            "that is not empty with UNKNOWN_MEMBER_ID (25), and from v4 on answer the first join "
            "of a dynamic member with MEMBER_ID_REQUIRED (79) and the id to use; it MUST refuse a "
            "session timeout out of bounds with INVALID_SESSION_TIMEOUT (26) and a full group with "
            "GROUP_MAX_SIZE_REACHED (81). An empty group id MUST be refused with INVALID_GROUP_ID "
            "(24)."
        ),
        reason=(
            "These codes are all that a member has to learn that it was replaced and must stop "
            "processing."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-394",
            "KIP-389",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "GroupMetadataManager.java",
            "core/src/main/scala/kafka/server/KafkaApis.scala",
        ),
        observe="A table over every request and every state of the group.",
        model="guards by grp.state",
        varies=(
            "OffsetCommit, OffsetFetch, DescribeGroups and DeleteGroups MAY accept an empty group "
            "id, for groups from before it was forbidden."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: LeaveGroup carries no generation; a commit of "
            "the right generation succeeds while a rebalance is prepared (code 27 comes while one "
            "is completed, OFF-05); static members are not asked for a member id."
        ),
    ),
    Clause(
        id="GRP-05",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A rebalance MUST end: members that do not rejoin within their rebalance timeout, do "
            "not sync, or miss their session timeout are removed, and the rest get a stable "
            "generation; a member that leaves (LeaveGroup, from v3 on for several members) MUST "
            "trigger it at once; and members that were given an id but have not joined MUST NOT "
            "hold it up."
        ),
        reason="One dead process must not stop all the others from consuming.",
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-62",
            "KIP-394",
            "KAFKA-12890",
            "KAFKA-9752",
            "KAFKA-7909",
            "KAFKA-7610",
        ),
        observe=(
            "A silent member, a member that joins and never syncs, a leader that dies before its "
            "sync: DescribeGroups reaches Stable."
        ),
        model="timers are fair actions; PreparingRebalance ~> Stable or Empty",
    ),
    Clause(
        id="GRP-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A join with a known group.instance.id (KIP-345) MUST replace the former member id, "
            "fence it everywhere with FENCED_INSTANCE_ID (82), keep its assignment without a "
            "rebalance where the subscription is unchanged, and persist the replacement; a static "
            "member MUST leave only by its session timeout or by a LeaveGroup with its instance "
            "id."
        ),
        reason=(
            "Static members exist so that restarts do not stop the group; one that is not fenced "
            "goes on committing beside its successor."
        ),
        needs=(Need.WIRE, Need.KILL),
        sources=("KIP-345", "KIP-814", "KAFKA-8500", "KAFKA-10284", "KAFKA-8715"),
        observe=(
            "Two raw clients with one instance id in every state of the group, and a failover of "
            "the coordinator afterwards."
        ),
        model="grp.static[inst] = memberId",
    ),
    Clause(
        id="GRP-07",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "State of a group that members were told (generation, members, assignment, static "
            "members, protocol) MUST survive a failover and a restart of the coordinator: a member "
            "of the stable generation MUST be able to heartbeat and commit at the new coordinator "
            "without rejoining."
        ),
        reason="Otherwise each restart of a broker stops every group that it coordinates.",
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "GroupMetadataManager.java (replay)",
            "KAFKA-9065 (loading must end and be complete)",
        ),
        observe=(
            "Kill the coordinator; a Heartbeat with the same generation at the new one returns 0."
        ),
        model="grp = replay(__consumer_offsets)",
        varies="A classic rebalance that was pending MAY start over.",
    ),
    Clause(
        id="GRP-08",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "DescribeGroups and ListGroups MUST show the true state, an unknown group as Dead and "
            "from DescribeGroups v6 on also with GROUP_ID_NOT_FOUND (69); DeleteGroups MUST refuse "
            "a group with members with NON_EMPTY_GROUP (68) and an unknown one with "
            "GROUP_ID_NOT_FOUND (69); OffsetDelete for a topic that the group subscribes to MUST "
            "be refused with GROUP_SUBSCRIBED_TO_TOPIC (86)."
        ),
        reason=(
            "Operators reset positions by these requests; a reset under a live member is undone by "
            "its next commit or loses records."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-229",
            "KIP-496",
            "KIP-518",
            "KIP-1043",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "GroupMetadataManager.java",
        ),
        observe="A table over the states of a group.",
        model="queries over grp",
    ),
    Clause(
        id="GRP-09",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "In a KIP-848 group the epoch of a member MUST NOT fall except by leaving or being "
            "fenced. A heartbeat with another epoch MUST be refused with FENCED_MEMBER_EPOCH "
            "(110), save that the previous epoch is accepted where the partitions it owns are a "
            "subset of those assigned; an unknown member MUST be refused with UNKNOWN_MEMBER_ID "
            "(25), an instance id in use with UNRELEASED_INSTANCE_ID (111), an unknown assignor "
            "with UNSUPPORTED_ASSIGNOR (112), and an old epoch in OffsetCommit and OffsetFetch v9+ "
            "with STALE_MEMBER_EPOCH (113)."
        ),
        reason=(
            "The epoch is what tells a live owner from one that was replaced while it was out of "
            "reach."
        ),
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-848",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "GroupMetadataManager.java (throwIfConsumerGroupMemberEpochIsInvalid)",
            "KAFKA-19233",
            "Vanlightly/kafka-tlaplus (GcSideMemberEpochIsMonotonic)",
        ),
        observe="Raw ConsumerGroupHeartbeat sequences with lost responses and repetitions.",
        model="g8.members[m].epoch",
        varies=(
            "KIP-848 MAY be absent; then ConsumerGroupHeartbeat (key 68) is not advertised. A "
            "fenced member MAY rejoin with epoch 0."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: the previous epoch is accepted as often as it "
            "comes, not once, since each response may be lost."
        ),
    ),
    Clause(
        id="GRP-10",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "In a KIP-848 group the coordinator MUST NOT give a partition to a member until its "
            "former owner has confirmed the revocation, by a heartbeat without it, or has been "
            "removed; a target assignment MUST cover every subscribed partition exactly once."
        ),
        reason="Two members process the same records at the same time.",
        needs=(Need.WIRE, Need.KILL, Need.PAUSE),
        sources=(
            "KIP-848",
            "Vanlightly/kafka-tlaplus (NoDoubleClientAssignment, LegalTargetAssignment)",
            "KAFKA-16147",
        ),
        observe=(
            "Raw members that revoke slowly, get a partition back before its revocation ended, "
            "leave, or expire: what members hold or still have to revoke is disjoint at all times."
        ),
        model="g8.partEpoch[p]; at most one owner",
    ),
    Clause(
        id="GRP-11",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "Without further changes every member of a KIP-848 group MUST reach the group epoch "
            "and its target assignment by heartbeats alone; a member that does not revoke within "
            "its rebalance timeout MUST be fenced; classic and KIP-848 members in one group, as "
            "during an upgrade, MUST converge too."
        ),
        reason="A group that never settles leaves partitions without an owner.",
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-848",
            "Vanlightly/kafka-tlaplus (EventuallyConverges, ValidStableGroupState)",
        ),
        observe=(
            "Random joins, leaves and changes of subscription, then quiet: ConsumerGroupDescribe "
            "is Stable, and the target is the current assignment."
        ),
        model="not converged ~> converged",
        varies="Mixed groups MAY be absent.",
    ),
)
