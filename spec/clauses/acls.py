"""Permissions: nothing is allowed that no rule allows, and a refusal tells no secrets.

Every request is checked against the documented operation on the documented resource. Rules are
matched exactly as written, are as durable as other metadata, and protect the inside of the cluster
from clients that pose as brokers.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="ACL-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "With an authorizer every request MUST be denied unless an ALLOW rule matches "
            "principal, host, operation and resource and no DENY rule does; DENY MUST win over any "
            "ALLOW; super users MUST pass; and a resource without any matching rule MUST be denied "
            "unless allow.everyone.if.no.acl.found=true, a setting that MUST apply to such "
            "resources only."
        ),
        reason="One request that slips through is a leak; it is not noticed and not undone.",
        needs=(Need.WIRE,),
        sources=(
            "KIP-11",
            "metadata/src/main/java/org/apache/kafka/metadata/authorizer/"
            "StandardAuthorizerData.java",
            "KAFKA-14435",
        ),
        observe=(
            "A decision table: sets of rules x requests, compared with a short oracle written "
            "independently."
        ),
        model="allow(p, h, op, res) is a pure function of the set of rules",
    ),
    Clause(
        id="ACL-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Rules MUST match as follows: LITERAL by the exact name, LITERAL '*' every name, "
            "PREFIXED every name with that prefix (prefixes of one character, nested and sibling "
            "ones included), principal User:* everybody, host '*' every host, and operation ALL "
            "every operation; ALLOW of READ, WRITE, DELETE or ALTER MUST imply DESCRIBE, and of "
            "ALTER_CONFIGS DESCRIBE_CONFIGS, while DENY MUST imply nothing further."
        ),
        reason=(
            "The search through overlapping prefixes is where real authorizers failed: a DENY "
            "that is skipped opens a topic to everybody."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-290",
            "metadata/src/main/java/org/apache/kafka/metadata/authorizer/"
            "StandardAuthorizerData.java (findResult)",
            "KAFKA-7702",
            "KAFKA-14265",
            "KAFKA-13697",
        ),
        observe="Random sets of rules with overlapping prefixes against the oracle.",
        model="as for ACL-01",
    ),
    Clause(
        id="ACL-03",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Each request MUST be checked for the documented operation and resource: Produce for "
            "WRITE on the topic, and on the transactional id if there is one; Fetch for READ on "
            "the topic, and with replica_id >= 0 for CLUSTER_ACTION; group requests for READ on "
            "the group, commits also on the topic; OffsetFetch for DESCRIBE on the group; "
            "FindCoordinator for DESCRIBE; InitProducerId for WRITE on the transactional id, and "
            "without one for IDEMPOTENT_WRITE on the cluster or WRITE on any topic; "
            "AddOffsetsToTxn for WRITE on the transactional id and READ on the group; CreateTopics "
            "for CREATE; DeleteTopics for DELETE; AlterConfigs for ALTER_CONFIGS; requests about "
            "permissions for DESCRIBE or ALTER on the cluster; WriteTxnMarkers and other requests "
            "between brokers for CLUSTER_ACTION."
        ),
        reason=(
            "A request that is checked for the wrong thing is open to those who may not, or closed "
            "to those who may."
        ),
        needs=(Need.WIRE,),
        sources=(
            "docs/security.html (Operations and Resources on Protocols)",
            "core/src/main/scala/kafka/server/KafkaApis.scala",
            "CVE-2018-1288",
        ),
        observe=(
            "For each request a principal with every permission but the one needed gets 29, 30, 31 "
            "or 53; one with the one needed alone does not."
        ),
        model="table perm[api]",
        varies="WriteTxnMarkers MAY also be allowed by ALTER on the cluster (KAFKA-16513).",
        calibrated=(
            "From the source of 4.0, not from a run: KafkaApis.handleWriteTxnMarkersRequest checks "
            "ALTER on the cluster before CLUSTER_ACTION."
        ),
    ),
    Clause(
        id="ACL-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A denied request MUST have no effect, and MUST be reported for each resource with "
            "TOPIC_AUTHORIZATION_FAILED (29), GROUP_AUTHORIZATION_FAILED (30), "
            "CLUSTER_AUTHORIZATION_FAILED (31) or TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53) "
            "without failing the parts that are allowed; it MUST NOT reveal whether a topic or "
            "group exists that the principal may not see: the code is the same either way, and "
            "answers that list everything omit it."
        ),
        reason=(
            "Names of topics tell who does business with whom; and one forbidden topic must not "
            "stop a client's permitted work."
        ),
        needs=(Need.WIRE,),
        sources=(
            "core/src/main/scala/kafka/server/KafkaApis.scala "
            "(handleTopicMetadataRequest, handleProduceRequest: authorize before existence)",
            "KIP-257",
            "KIP-430",
        ),
        observe=(
            "Compare the responses for existing and missing names without DESCRIBE; requests that "
            "mix allowed and denied resources."
        ),
        model="the response is a function that does not depend on hidden state",
    ),
    Clause(
        id="ACL-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Changes of permissions MUST be durable, MUST in the end be visible on all brokers, "
            "MUST be exact (deleting one rule removes that one only, and a rule that several "
            "filters match is removed once), and MUST be enforced for later requests on "
            "connections that are already open."
        ),
        reason=(
            "Access that was revoked and still works, or a DENY that vanished with its neighbour, "
            "is found out in the incident report."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=("KIP-140", "KIP-801", "KAFKA-13892", "KAFKA-9386", "CVE-2024-27309"),
        observe=(
            "CreateAcls and DeleteAcls with overlapping filters, a restart, DescribeAcls is equal; "
            "a request on an old connection after the revocation."
        ),
        model="acl in md",
    ),
    Clause(
        id="ACL-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "An ordinary client MUST NOT act as a broker or touch the inside: forged replica "
            "fetches, AlterPartition, WriteTxnMarkers, Envelope and LeaderAndIsr without "
            "CLUSTER_ACTION MUST be refused, control batches from clients with INVALID_RECORD "
            "(87), and Produce to internal topics with INVALID_TOPIC_EXCEPTION (17)."
        ),
        reason=(
            "Whoever can forge a follower can have acknowledged records lost; whoever can write "
            "markers or offsets can commit for others."
        ),
        needs=(Need.WIRE,),
        sources=(
            "CVE-2018-1288",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/LogValidator.java "
            "(control records)",
            "core/src/main/scala/kafka/server/KafkaApis.scala (internalTopicsAllowed)",
            "KIP-1246",
        ),
        observe=(
            "Raw forged requests of an unprivileged principal: ISR and last stable offset do not "
            "change."
        ),
        model="clients have no action of a follower or a coordinator",
        varies=(
            "Apache Kafka lets a client with client.id __admin_client write to internal topics "
            "(KIP-1246), and a broker MAY do so too."
        ),
    ),
)
