"""Quotas: a client that asks for too much is slowed down, and nothing else happens to it.

The most specific quota applies, each broker enforces its own share, and the client is told how long
it has to wait. Throttling delays or refuses; it never loses, reorders or starves replication.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="QUOTA-01",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Of the quotas that match a client the most specific MUST apply, in this order: (user, "
            "client id), (user, default client id), user, (default user, client id), (default "
            "user, default client id), default user, client id, default client id; all connections "
            "of an entity to one broker MUST share one quota; and changes and removals MUST take "
            "effect without a restart."
        ),
        reason=(
            "An operator who tightens one client's quota must not find that a default overrules "
            "it, or that opening a second connection doubles it."
        ),
        needs=(Need.WIRE, Need.TIME),
        sources=(
            "KIP-13",
            "KIP-55",
            "KIP-546",
            "docs/design.html (Quotas)",
            "KAFKA-9658",
            "KAFKA-9980",
        ),
        observe=(
            "AlterClientQuotas and DescribeClientQuotas; measure throttle_time_ms with different "
            "client ids; remove the quota and measure again."
        ),
        model="q: entity -> rate; a function that looks up",
    ),
    Clause(
        id="QUOTA-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Over a long time the bytes that a broker accepts from an entity by Produce, or sends "
            "to it by Fetch, MUST NOT exceed rate x (time + quota window) plus one maximal "
            "request; a client below its quota MUST be told throttle_time_ms = 0."
        ),
        reason=(
            "A quota that leaks does not protect the others; one that bites too early costs "
            "throughput that was paid for."
        ),
        needs=(Need.WIRE, Need.TIME),
        sources=("KIP-13", "core/src/main/scala/kafka/server/ClientQuotaManager.scala"),
        observe=(
            "Produce at ten times the quota for 20 s and sum up the bytes; a slow client sees 0."
        ),
        model="token bucket: tokens' = min(burst, tokens + rate * dt) - bytes",
    ),
    Clause(
        id="QUOTA-03",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A broker that throttles (since KIP-219) MUST answer at once with throttle_time_ms > "
            "0, a throttled Fetch without data, and MUST then mute the connection for that time, "
            "processing its next request no earlier; the larger of the bandwidth and the request "
            "throttle MUST apply; Produce with acks=0 MUST be exempt from the request quota and "
            "MUST NOT be exempt from the byte quota."
        ),
        reason=(
            "A client that has to wait without being told times out and retries, which adds load "
            "exactly when there is too much."
        ),
        needs=(Need.WIRE, Need.TIME),
        sources=(
            "KIP-219",
            "KIP-124",
            "core/src/main/scala/kafka/server/KafkaApis.scala (maxThrottleTimeMs)",
            "docs/design.html",
        ),
        observe=(
            "The response comes quickly while throttle_time_ms is above 0; the response to the "
            "next pipelined request comes no earlier than that."
        ),
        model="muted[conn] until t",
    ),
    Clause(
        id="QUOTA-04",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Partition mutations beyond the token bucket of the controller mutation quota "
            "(KIP-599) MUST fail for each topic with THROTTLING_QUOTA_EXCEEDED (89) and a throttle "
            "time in CreateTopics v6+, CreatePartitions v3+ and DeleteTopics v5+; in older "
            "versions they MUST be accepted and throttled."
        ),
        reason=(
            "A burst of topic creations blocks the controller and with it every election; old "
            "clients know no such error and have to be slowed down instead."
        ),
        needs=(Need.WIRE, Need.TIME),
        sources=(
            "KIP-599",
            "core/src/main/scala/kafka/server/ControllerMutationQuotaManager.scala",
        ),
        observe="CreateTopics with many partitions in a burst, in both kinds of version.",
        model="the bucket may fall below zero once (permissive) or not at all (strict)",
        varies="The quota MAY be absent.",
    ),
    Clause(
        id="QUOTA-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Quotas MUST NOT break safety or liveness: throttled requests are delayed or refused "
            "and never lost or reordered; replication, ISR and control traffic MUST NOT be subject "
            "to client quotas; and replication throttles MUST apply only to the replicas listed "
            "and to traffic outside the ISR."
        ),
        reason=(
            "A quota that slows replication shrinks the ISR, and so turns one greedy client into "
            "an outage for all."
        ),
        needs=(Need.CLUSTER, Need.TIME),
        sources=("KIP-73", "KIP-219", "KAFKA-10852"),
        observe="The checks of ALO and EOS under tight quotas; the ISR stays complete.",
        model="throttling is a delay and nothing else",
    ),
)
