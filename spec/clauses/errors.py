"""The protocol itself: versions, encodings, malformed input, and what an error code means.

A client can do the right thing only if it knows what happened. Answers are well-formed in the
version that was asked for, nothing hangs, garbage harms nobody else, and an error that sounds
definite is definite.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="ERR-01",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "ApiVersions MUST list exactly the requests that are served, with their lowest and "
            "highest versions, on every connection and before authentication; in an unsupported "
            "version it MUST be answered in the format of v0 with UNSUPPORTED_VERSION (35) and the "
            "supported range of key 18 (KIP-511), and the header of its response MUST always be "
            "v0; any other unsupported request or version MUST close the connection or be answered "
            "with UNSUPPORTED_VERSION (35)."
        ),
        reason="It is the first exchange of every client: one that fails it can do nothing else.",
        needs=(Need.WIRE,),
        sources=(
            "KIP-35",
            "KIP-511",
            "KIP-482",
            "clients/src/main/resources/common/message/ApiVersionsRequest.json",
            "KAFKA-18659",
        ),
        observe=(
            "For each advertised request and version a minimal request gets a well-formed "
            "response; ApiVersions v99."
        ),
        model="",
        varies=(
            "Produce v0 to v2 MAY be advertised and refused, as by Apache Kafka 4.x for the sake "
            "of old clients (KAFKA-18659). Requests of an optional kind of group that is switched "
            "off MAY be advertised and refused with UNSUPPORTED_VERSION (35)."
        ),
        calibrated=(
            "3.9.1 with ZooKeeper advertises ConsumerGroupHeartbeat and answers 35: the optional "
            "kinds of groups were added to what may vary."
        ),
    ),
    Clause(
        id="ERR-02",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Every response MUST be a well-formed encoding in the version that was requested "
            "(flexible headers, compact types, nullable fields) with the request's "
            "correlation_id; unknown tagged fields of a request MUST be skipped; encoding and "
            "decoding MUST be inverse to each other for all schemas."
        ),
        reason=(
            "A byte too many shifts every field behind it: one client crashes and another reads a "
            "wrong offset."
        ),
        needs=(Need.WIRE,),
        sources=("KIP-482", "clients/src/main/resources/common/message/*.json"),
        observe=(
            "A strict decoder over all responses; requests with unknown tagged fields are answered "
            "as if there were none."
        ),
        model="",
    ),
    Clause(
        id="ERR-03",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "Malformed input (a wrong length, a negative size of an array, more than "
            "socket.request.max.bytes, a truncated body, garbage) MUST end in a closed connection "
            "or in INVALID_REQUEST (42), and MUST NOT lead to a crash, to an allocation without "
            "bound or to an effect on other connections."
        ),
        reason=(
            "Port scanners and broken clients reach every broker some day; four bytes must not "
            "take it down."
        ),
        needs=(Need.WIRE,),
        sources=(
            "CVE-2022-34917",
            "core/src/main/scala/kafka/network/SocketServer.scala",
        ),
        observe="Fuzzing beside a healthy client that must not notice.",
        model="",
    ),
    Clause(
        id="ERR-04",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A Produce with bad content MUST be refused with the code of its fault: a wrong CRC or "
            "format with CORRUPT_MESSAGE (2); a batch over max.message.bytes with "
            "MESSAGE_TOO_LARGE (10), over segment.bytes with RECORD_LIST_TOO_LARGE (18); a "
            "timestamp out of bounds with INVALID_TIMESTAMP (32); inconsistent counts or offsets, "
            "more than one batch, a magic other than 2, a record without a key on a compacted "
            "topic and a control batch with INVALID_RECORD (87), from v8 on with record_errors "
            "where single records are at fault; zstd below v7 with UNSUPPORTED_COMPRESSION_TYPE "
            "(76)."
        ),
        reason=(
            "Producers drop, split or retry a batch by this code. The wrong one loses records that "
            "could be sent, or repeats for ever what cannot."
        ),
        needs=(Need.WIRE,),
        sources=(
            "storage/src/main/java/org/apache/kafka/storage/internals/log/LogValidator.java",
            "core/src/main/scala/kafka/log/UnifiedLog.scala",
            "clients/src/main/java/org/apache/kafka/common/requests/ProduceRequest.java "
            "(validateRecords)",
            "KIP-467",
        ),
        observe="A table of crafted batches; the log end offset does not move.",
        model="",
        varies=(
            "Versions MAY differ in INVALID_RECORD (87) versus CORRUPT_MESSAGE (2), and in whether "
            "a base_offset other than 0 is refused. An old magic MAY be refused with "
            "UNSUPPORTED_FOR_MESSAGE_FORMAT (43). A payload that is not of the codec that the "
            "batch names MAY be refused with any error. A batch with a wrong checksum that calls "
            "itself transactional MAY be refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53). "
            "Records whose offset deltas do not count "
            "from 0 MAY be renumbered instead of refused."
        ),
        calibrated=(
            "3.9.1 and 4.4.0 answer 87 to an old magic and 2 to an unknown one, and "
            "UNKNOWN_SERVER_ERROR (-1) to a payload that they cannot decompress. They mean to "
            "renumber compressed records (LogValidator), which was added to what may vary; "
            "uncompressed ones they do not look at."
        ),
    ),
    Clause(
        id="ERR-05",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A request to the wrong place MUST be told so: an unknown topic or partition by "
            "UNKNOWN_TOPIC_OR_PARTITION (3), a broker that is not the leader by "
            "NOT_LEADER_OR_FOLLOWER (6), a partition without a leader by LEADER_NOT_AVAILABLE (5) "
            "in Metadata, a broker that is not the coordinator by NOT_COORDINATOR (16) and one "
            "that is not the controller by NOT_CONTROLLER (41); each that can be retried MUST "
            "resolve once the client has refreshed its metadata."
        ),
        reason=(
            "Clients find their way by these answers; a wrong one sends them round in circles."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=("clients/src/main/java/org/apache/kafka/common/protocol/Errors.java",),
        observe="Send to every wrong broker; then refresh and retry.",
        model="guards on bmd[b]",
        varies=(
            "Brokers with KRaft MAY forward to the controller instead of NOT_CONTROLLER (41), "
            "which belongs to ZooKeeper."
        ),
    ),
    Clause(
        id="ERR-06",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A request with a timeout MUST NOT hang: Produce ends by timeout_ms with "
            "REQUEST_TIMED_OUT (7), its outcome then being unknown, Fetch by max_wait_ms, "
            "JoinGroup by the rebalance timeout and administrative requests by timeout_ms; and "
            "the broker MUST go on serving other requests meanwhile."
        ),
        reason=(
            "A request that hangs blocks all that follow on its connection, and the application "
            "behind it."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=("core/src/main/scala/kafka/server/DelayedProduce.scala", "KIP-88"),
        observe="Stall replication and measure.",
        model="timers are fair",
    ),
    Clause(
        id="ERR-07",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "An error code MUST mean what the client takes it for. After a definite error (those "
            "of ERR-04, of authorization, UNKNOWN_MEMBER_ID (25), ILLEGAL_GENERATION (22), "
            "OUT_OF_ORDER_SEQUENCE_NUMBER (45), INVALID_PRODUCER_EPOCH (47), INVALID_TXN_STATE "
            "(48), PRODUCER_FENCED (90), NOT_ENOUGH_REPLICAS (19)) the operation MUST have had no "
            "effect. After an indefinite one (REQUEST_TIMED_OUT (7), "
            "NOT_ENOUGH_REPLICAS_AFTER_APPEND (20), NOT_LEADER_OR_FOLLOWER (6) or a lost "
            "connection after sending; COORDINATOR_LOAD_IN_PROGRESS (14), "
            "COORDINATOR_NOT_AVAILABLE (15) or NOT_COORDINATOR (16) after a write; "
            "UNKNOWN_SERVER_ERROR (-1)) the outcome is unknown, and the operation MUST be "
            "retriable idempotently where the protocol says so."
        ),
        reason=(
            "An application that is told 'failed' sends again or tells its user. If the record is "
            "there after all, it has become two."
        ),
        needs=(Need.WIRE,),
        sources=(
            "clients/src/main/java/org/apache/kafka/common/protocol/Errors.java",
            "jepsen.io/analyses/redpanda-21.10.1 (ambiguous error names)",
            "redpanda#5355",
            "KAFKA-14034",
        ),
        observe=(
            "Every history test sorts outcomes by this table and checks that what failed "
            "definitely is absent."
        ),
        model="outcome classes of hist",
    ),
)
