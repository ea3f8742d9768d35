"""Consuming: a reader gets every record up to its bound, in order, and gets on.

A Fetch is a pure look at the log. Limits shape the answer but never stop progress, waiting is
bounded, and sessions, followers and isolation levels change the cost or the bound, never the data.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="CONS-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A Fetch at offset o MUST return the batches that cover o, o+1 and so on, without "
            "skipping an existing record below the isolation bound and without reordering; reading "
            "MUST have no side effect, so that any number of groups can read the same records "
            "independently."
        ),
        reason=(
            "A skipped record is lost for that consumer, and it cannot know: its position has "
            "moved past it."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "docs/design.html (The Consumer)",
            "core/src/main/scala/kafka/log/LocalLog.scala (read)",
        ),
        observe="A walk of random offsets and max_bytes against one sequential read.",
        model="Fetch is a pure function of the log and the bound",
        varies=(
            "The first batch MAY start before o; the client drops the records that it did not ask "
            "for."
        ),
    ),
    Clause(
        id="CONS-02",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A response SHOULD stay within max_bytes and partition_max_bytes, but the first batch "
            "of the first partition that has any MUST be returned even if it is larger, so that a "
            "consumer always gets on; and successive fetches MUST serve the partitions fairly."
        ),
        reason=(
            "One large record stops a partition for ever, or one busy partition starves all the "
            "others."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-74",
            "core/src/main/scala/kafka/server/ReplicaManager.scala (readFromLog, minOneMessage)",
        ),
        observe="Limits of 1 byte with batches of 100 KB; many partitions of which one is hot.",
        model="o < bound ~> delivered(o)",
    ),
    Clause(
        id="CONS-03",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "The broker MUST hold a Fetch until min_bytes are available or max_wait_ms have "
            "passed, and MUST answer at once where max_wait_ms <= 0 or where reading a partition "
            "meets an error, a diverging epoch or a preferred read replica; this MUST hold on "
            "followers too."
        ),
        reason=(
            "Answering too early makes idle consumers spin; answering too late adds latency to "
            "every record."
        ),
        needs=(Need.WIRE,),
        sources=(
            "core/src/main/scala/kafka/server/ReplicaManager.scala (fetchMessages)",
            "core/src/main/scala/kafka/server/DelayedFetch.scala",
            "KAFKA-14334",
            "KAFKA-13767",
        ),
        observe=(
            "The time that Fetch with min_bytes=1 and max_wait_ms=5000 takes with a Produce after "
            "200 ms, on the leader and on a follower."
        ),
        model="no clock: WaitingFetch is enabled once bytes >= min or on timeout",
        calibrated=(
            "Said: at once where an error is found. Kafka 3.9 and 4.4 set partitions that do not "
            "exist aside before they read (KafkaApis.handleFetchRequest), so such a partition is "
            "answered with the others after the wait. Now: where reading meets an error."
        ),
    ),
    Clause(
        id="CONS-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A read_uncommitted Fetch MUST be bounded by the high watermark and a read_committed "
            "one by the last stable offset; the latter MUST list in aborted_transactions, with "
            "producer_id and first_offset, every aborted transaction that overlaps the returned "
            "range, so that filtering leaves exactly the committed and the non-transactional "
            "records, also where the Fetch had to wait."
        ),
        reason=(
            "A missing entry shows aborted records as committed; a superfluous one hides committed "
            "records."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.PAUSE),
        sources=(
            "KIP-98",
            "core/src/main/scala/kafka/log/UnifiedLog.scala (collectAbortedTransactions)",
            "KAFKA-5376",
            "KAFKA-9807",
        ),
        observe=(
            "Interleave committed and aborted transactions of several producers; from each start "
            "offset fetch, filter and compare with what is known to be committed; also a long poll "
            "during which a transaction aborts."
        ),
        model="abortedIdx is a function of the markers in the log",
    ),
    Clause(
        id="CONS-05",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "In a fetch session (KIP-227) an incremental response MUST include every partition "
            "with new data, a changed high watermark or log start offset, or an error; an unknown "
            "session MUST be refused with FETCH_SESSION_ID_NOT_FOUND (70), a wrong epoch with "
            "INVALID_FETCH_SESSION_EPOCH (71); a forgotten partition MUST no longer be served; and "
            "the leader epoch that the session holds MUST be validated each time."
        ),
        reason=(
            "A partition that drops out of the session unnoticed is one that its consumer never "
            "reads again."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-227",
            "core/src/main/scala/kafka/server/FetchSession.scala",
            "KAFKA-9338",
        ),
        observe=("A stateful test of a session against full fetches: the same data in both ways."),
        model="the session is a view of the result of a full fetch",
        varies=(
            "A full Fetch with session id 0 and epoch 0 MAY create a session; a broker MAY answer "
            "session id 0 always, and MAY end a session that holds no partition any more."
        ),
        calibrated=(
            "3.9.1 and 4.4.0 end a session with its last partition: added to what may vary. Both "
            "answer the eight largest session ids with UNKNOWN_SERVER_ERROR (-1): a known failure."
        ),
    ),
    Clause(
        id="CONS-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A preferred read replica (KIP-392) MUST be an unfenced member of the ISR that has the "
            "offset; a follower MUST serve only below its own high watermark and MUST answer "
            "OFFSET_OUT_OF_RANGE (1) only outside its own log start and log end, upon which the "
            "client asks the leader before it resets; and a consumer that moves between leader and "
            "follower MUST NOT lose or repeat records."
        ),
        reason=(
            "Reading from the nearest replica saves traffic; it must not cost records each time "
            "that the nearest replica lags."
        ),
        needs=(Need.CLUSTER, Need.PAUSE),
        sources=("KIP-392", "KAFKA-14372", "KAFKA-15390"),
        observe="Fetches with a rack id while a follower is paused.",
        model="the bound of FollowerFetch is rep[f].hw",
        varies=(
            "The feature MAY be absent. A lagging follower MAY answer OFFSET_NOT_AVAILABLE (78) "
            "instead of OFFSET_OUT_OF_RANGE (1)."
        ),
    ),
    Clause(
        id="CONS-07",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "Every committed record MUST in the end be returned to a consumer that goes on "
            "fetching, also after changes of leader or coordinator, aborted transactions and log "
            "rolls; in particular the last stable offset MUST NOT stay stuck once all transactions "
            "are decided."
        ),
        reason="A consumer that hangs without an error is the failure that nobody is paged for.",
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "docs/design.html",
            "KAFKA-12671",
            "KAFKA-9777",
            "jepsen.io/analyses/bufstream-0.1.0 (stuck consumers)",
        ),
        observe=(
            "After all faults have healed a read_committed consumer reaches, within a bound, the "
            "high watermark, which ListOffsets returns in both isolation levels."
        ),
        model="committed(o) ~> delivered(c, o); all transactions decided ~> lso = hw",
    ),
)
