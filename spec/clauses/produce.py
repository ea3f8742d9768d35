"""Producing: an acknowledgement tells the truth, and a retry is not a second record.

A batch enters the log whole or not at all, in the order of its connection, with the content that
was sent. Idempotent producers are numbered, and the numbers outlive leaders and restarts.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="PROD-01",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A Produce with acks=0 MUST get no response at all, and on an error the broker MUST "
            "close the connection; with acks=1 it MUST be answered after the leader's append; with "
            "acks=-1 as ISR-05 says; and any other value MUST be refused for every partition with "
            "INVALID_REQUIRED_ACKS (21) and without an append."
        ),
        reason=(
            "A response to acks=0 shifts all later responses of the connection by one; a silent "
            "error leaves the producer writing into nothing."
        ),
        needs=(Need.WIRE,),
        sources=(
            "core/src/main/scala/kafka/server/ReplicaManager.scala (isValidRequiredAcks)",
            "core/src/main/scala/kafka/server/KafkaApis.scala (handleProduceRequest)",
        ),
        observe=(
            "Raw Produce with acks=0, then Metadata on the same connection: its response is the "
            "next thing to arrive. acks=0 to an unknown topic ends the connection; acks=2 gives "
            "21."
        ),
        model="three Produce actions",
    ),
    Clause(
        id="PROD-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A successful Produce response MUST be truthful: record i of the batch is readable at "
            "base_offset plus i with the same key, value, headers and order, and there is exactly "
            "one copy of each accepted batch; log_append_time and log_start_offset MUST be "
            "correct; each partition of the request MUST succeed or fail by itself."
        ),
        reason=(
            "Applications store the returned offset as the address of their record, and retry "
            "exactly what was reported as failed."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "clients/src/main/resources/common/message/ProduceResponse.json",
            "core/src/main/scala/kafka/log/UnifiedLog.scala (append)",
        ),
        observe="Produce to several partitions of which one is bad; read back by offset.",
        model="Append returns the former log end offset",
        varies=(
            "With CreateTime log_append_time is -1; in the response to a repeated batch it MAY be "
            "the largest timestamp of that batch."
        ),
        calibrated=(
            "Kafka 3.9.1 and 4.4.0 answer a repeated batch with its largest timestamp as "
            "log_append_time under CreateTime too, where the first response has -1; the sentence "
            "did not say which is correct, and 'varies' now allows both."
        ),
    ),
    Clause(
        id="PROD-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A batch MUST be appended atomically and contiguously, never visible in part and never "
            "interleaved with another; a batch that validation refuses, with any error that is not "
            "ambiguous, MUST leave no record. Ambiguous are only a lost connection, "
            "REQUEST_TIMED_OUT (7), NOT_ENOUGH_REPLICAS_AFTER_APPEND (20) and the retriable errors "
            "of a failover such as NOT_LEADER_OR_FOLLOWER (6); a suite MUST take these for an "
            "unknown outcome."
        ),
        reason=(
            "Half a batch is a state that no producer ever sent; a record that appears after a "
            "definite error is a duplicate once the application has sent it again."
        ),
        needs=(Need.WIRE,),
        sources=(
            "storage/src/main/java/org/apache/kafka/storage/internals/log/LogValidator.java",
            "core/src/main/scala/kafka/log/UnifiedLog.scala (append)",
            "jepsen.io/analyses/redpanda-21.10.1 (indefinite errors)",
        ),
        observe=(
            "Batches of k records that carry batch number and index: consumers see all k side by "
            "side or none of them; after a definite error no value is present."
        ),
        model="a sequence is appended in one step; outcome in hist: ok, fail or info",
    ),
    Clause(
        id="PROD-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The requests of one connection MUST be handled in order and answered in order with "
            "their correlation_id; batches without idempotence that are sent one after another on "
            "one connection to one leader MUST appear in the log in that order."
        ),
        reason="Order is the one thing that a partition promises beyond storage.",
        needs=(Need.WIRE,),
        sources=(
            "docs/protocol.html (ordering)",
            "core/src/main/scala/kafka/network/SocketServer.scala",
        ),
        observe=(
            "Pipeline many requests of different cost (a long poll, Metadata, Produce): the order "
            "of correlation ids, the order of values."
        ),
        model="one FIFO queue per connection",
    ),
    Clause(
        id="PROD-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Batching and compression MUST be transparent: every grouping of the same records into "
            "batches (batch.size=0, which is one record per batch, or 50, or 10000) and every "
            "codec MUST yield the same sequence of records; a batch larger than max.message.bytes "
            "MUST be refused and MUST NOT be split by the broker."
        ),
        reason=(
            "Both are tuning. If tuning can change what consumers read, nobody can tune a running "
            "system."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-390",
            "KIP-110",
            "KAFKA-4761",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/LogValidator.java",
        ),
        observe=(
            "One stream of input in several groupings and codecs: the consumed sequences are "
            "equal; linger and batch size show in the number of requests only."
        ),
        model="refinement: the log of batches flattens to the log of records",
        varies=(
            "The broker MAY compress again (compression.type), without changing the records or "
            "their number."
        ),
    ),
    Clause(
        id="PROD-06",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A batch whose producer_id, epoch, base_sequence and record count equal those of one "
            "of the last 5 batches of that producer on the partition MUST be answered with success "
            "and the original base_offset, and MUST NOT be appended again."
        ),
        reason=(
            "A lost response makes the producer send again. This is what keeps the retry from "
            "becoming a second record."
        ),
        needs=(Need.WIRE, Need.KILL, Need.CLUSTER),
        sources=(
            "KIP-98",
            "KIP-185",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/"
            "ProducerStateEntry.java (NUM_BATCHES_TO_RETAIN)",
            "core/src/main/scala/kafka/log/UnifiedLog.scala (analyzeAndValidateProducerState)",
            "redpanda#3038",
            "redpanda#3077",
        ),
        observe=(
            "Send sequences 0 to 4, then each of them again: the same offsets, and the log end "
            "does not move. Send sequence 0 again after six batches."
        ),
        model="pstate[pid].last5",
        varies=(
            "A repetition older than the last 5 is refused with OUT_OF_ORDER_SEQUENCE_NUMBER (45); "
            "0.11 to 1.0 MAY answer DUPLICATE_SEQUENCE_NUMBER (46), and a broker that remembers "
            "more MAY answer it like one of the last 5."
        ),
    ),
    Clause(
        id="PROD-07",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The next batch of a producer in the same epoch MUST start at its last sequence plus 1 "
            "(2147483647 is followed by 0), and any other that does not repeat a batch MUST be "
            "refused with OUT_OF_ORDER_SEQUENCE_NUMBER (45) and without an append; a larger epoch "
            "MUST start at sequence 0, refused with OUT_OF_ORDER_SEQUENCE_NUMBER (45) otherwise; a "
            "smaller epoch MUST be refused with INVALID_PRODUCER_EPOCH (47); and where the broker "
            "has no state for the producer it MUST accept any first sequence (KIP-360)."
        ),
        reason=(
            "A gap that is accepted is a lost batch, and a later retry of that batch then lands "
            "behind its successors."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-98",
            "KIP-360",
            "KAFKA-18202",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/ProducerAppendInfo.java "
            "(checkSequence, checkProducerEpoch)",
        ),
        observe="Raw batches with gaps, with a wrap-around, with the epoch plus 1 and minus 1.",
        model="guard InSequence",
        varies=(
            "Where the broker has no state for the producer, it MAY answer UNKNOWN_PRODUCER_ID "
            "(59) before 2.5, and since KAFKA-18202 it MAY refuse a transactional batch of "
            "transaction.version 2 that does not start at sequence 0 with "
            "OUT_OF_ORDER_SEQUENCE_NUMBER (45)."
        ),
        calibrated=(
            "From the source and pull request 19902, not from a run: since KAFKA-18202 the licence "
            "for any first sequence no longer covers transaction.version 2."
        ),
    ),
    Clause(
        id="PROD-08",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "What a broker knows of a producer (epoch, last sequences, open transaction) is a "
            "function of the log: it MUST be the same after a leader failover, a clean restart, "
            "recovery from kill -9, loading a snapshot, truncation and compaction, so that a retry "
            "across a failover is still recognised and a gap still refused."
        ),
        reason=(
            "Failovers are exactly when retries happen; a new leader without memory appends each "
            "of them."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-98",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/"
            "ProducerStateManager.java",
            "KAFKA-12520",
            "KAFKA-12153",
        ),
        observe=(
            "PROD-06 and PROD-07 with a kill of the leader between original and retry; kill -9 and "
            "deletion of the .snapshot files; DescribeProducers before and after."
        ),
        model="pstate = replay(log)",
    ),
    Clause(
        id="PROD-09",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "InitProducerId without a transactional id MUST return a producer_id that was never "
            "issued before, by any broker and before any restart, with epoch 0; blocks of ids MUST "
            "NOT be used again."
        ),
        reason=(
            "Two producers with one id share one sequence: one of them has its records taken for "
            "duplicates and dropped."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.KILL),
        sources=(
            "KIP-98",
            "KIP-730",
            "core/src/main/scala/kafka/coordinator/transaction/ProducerIdManager.scala",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(handleInitProducerId)",
        ),
        observe=(
            "Many InitProducerId on all brokers with kill -9 of brokers and controllers: all ids "
            "are distinct."
        ),
        model="nextPid in md; one block per broker",
    ),
    Clause(
        id="PROD-10",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The state of a producer MUST NOT be forgotten before producer.id.expiration.ms (one "
            "day by default) have passed without a write or marker of that producer, and never "
            "while it has an open transaction; until then retention and DeleteRecords MUST NOT "
            "weaken deduplication or the fencing of epochs."
        ),
        reason=(
            "On a topic with short retention the state would vanish with the records, and a "
            "delayed retry or a zombie would be let in."
        ),
        needs=(Need.TIME, Need.KILL),
        sources=("KIP-360", "KIP-854", "KAFKA-7190", "KAFKA-9144"),
        observe=(
            "DeleteRecords up to the high watermark, then a duplicate and a batch of an old epoch; "
            "a small expiration in a test configuration."
        ),
        model="pstate is kept independently of rep.start",
        varies="When state that has expired is really forgotten MAY differ.",
    ),
)
