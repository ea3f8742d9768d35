"""Transactions: all partitions or none, decided once, by the newest instance of a producer.

The transaction coordinator numbers the instances of a transactional id and fences the older ones.
What it has decided stays decided over its own failover, and is carried to every partition, consumer
offsets included; an abandoned transaction is aborted.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="TXN-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "InitProducerId for a transactional id MUST return its producer id with an epoch "
            "larger than any that was given out for it before, or a new producer id where the "
            "epochs are used up; afterwards every request with the older epoch MUST fail, with "
            "INVALID_PRODUCER_EPOCH (47) from partitions and PRODUCER_FENCED (90) from the "
            "coordinator; and an epoch MUST NOT be used up where the write to the transaction log "
            "fails."
        ),
        reason=(
            "A worker that was declared dead and is not must not write beside its replacement."
        ),
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-98",
            "KIP-360",
            "KIP-588",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(prepareInitProducerIdTransit)",
            "KAFKA-9666",
            "KAFKA-9911",
        ),
        observe=(
            "Two raw producers with one transactional id: the old one tries every request. "
            "InitProducerId while the coordinator's log is below its minimum ISR."
        ),
        model="tx[tid].(pid, pep)",
        varies=(
            "In requests from before KIP-588 (InitProducerId below v4, AddPartitionsToTxn, "
            "AddOffsetsToTxn and EndTxn below v2) the coordinator answers INVALID_PRODUCER_EPOCH "
            "(47) instead of code 90. A broker that does not verify transactions (TXN-03) MAY "
            "accept the old epoch on a partition that has not seen the new one."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: which versions answer 47; that a partition "
            "knows the newer epoch only from its own log or by asking the coordinator."
        ),
    ),
    Clause(
        id="TXN-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "InitProducerId while a transaction of that id is open MUST abort it first, answering "
            "CONCURRENT_TRANSACTIONS (51) until that is done; where it names the expected producer "
            "id and epoch (KIP-360) a mismatch MUST be refused with PRODUCER_FENCED (90); a "
            "timeout out of bounds MUST be refused with INVALID_TRANSACTION_TIMEOUT (50) and an "
            "empty transactional id with INVALID_REQUEST (42)."
        ),
        reason=(
            "The new instance starts from the last commit; half a transaction of its predecessor "
            "must not become part of its own."
        ),
        needs=(Need.WIRE,),
        sources=(
            "KIP-360",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(handleInitProducerId)",
        ),
        observe=(
            "Open a transaction, write, InitProducerId again: a read_committed consumer sees none "
            "of the old values."
        ),
        model="tx.state: Ongoing -> PrepareEpochFence -> PrepareAbort -> CompleteAbort",
        varies=(
            "A repetition of a request whose answer was lost (its epoch, or its producer id with "
            "the last epoch, is the previous one) MAY be accepted and get the same answer; below "
            "v4 code 90 is INVALID_PRODUCER_EPOCH (47)."
        ),
    ),
    Clause(
        id="TXN-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A transactional record MUST NOT enter the log of a partition unless the coordinator "
            "knows the partition as part of that producer's open transaction, by "
            "AddPartitionsToTxn or, with transaction.version 2, implicitly by Produce v12+ and "
            "TxnOffsetCommit v5+; otherwise it MUST be refused with INVALID_TXN_STATE (48), "
            "TRANSACTION_ABORTABLE (120) or CONCURRENT_TRANSACTIONS (51)."
        ),
        reason=(
            "No marker ever ends such a record: the last stable offset sticks there, and "
            "read_committed consumers of that partition stop for ever."
        ),
        needs=(Need.WIRE, Need.PAUSE),
        sources=(
            "KIP-890",
            "core/src/main/scala/kafka/log/UnifiedLog.scala "
            "(analyzeAndValidateProducerState, VerificationGuard)",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(handleVerifyPartitionsInTransaction)",
            "KAFKA-14402",
        ),
        observe=(
            "Raw Produce with the transactional bit and without AddPartitionsToTxn; a delayed "
            "Produce that arrives after EndTxn: refused, and the last stable offset reaches the "
            "high watermark."
        ),
        model="guard of AppendTxn: tp in tx.parts and state = Ongoing",
        varies=(
            "Before KIP-890 part 1 (3.6) brokers did not verify and MAY accept it. Where "
            "verification meets a passing obstacle the broker MAY answer NOT_ENOUGH_REPLICAS (19), "
            "which old clients know how to retry."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: ReplicaManager turns a concurrent transaction "
            "and an unreachable coordinator into code 19."
        ),
    ),
    Clause(
        id="TXN-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Once PrepareCommit or PrepareAbort is written the outcome MUST be final: EndTxn with "
            "the same result succeeds again, or answers CONCURRENT_TRANSACTIONS (51) while it is "
            "in progress; with the opposite result it MUST be refused with INVALID_TXN_STATE (48); "
            "and the decision MUST survive a failover of the coordinator and MUST be carried "
            "through to all partitions."
        ),
        reason=(
            "A producer that was told 'committed' tells the world; nothing may turn that into an "
            "abort."
        ),
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-98",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(endTransaction)",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionMetadata.scala",
        ),
        observe=(
            "EndTxn(commit) succeeds, kill the coordinator at once, then EndTxn(abort), and a "
            "read_committed read."
        ),
        model="machine of tx.state; decided[tid, seq] is written once",
        varies=(
            "With transaction.version 2 only an EndTxn with the epoch from before the bump is a "
            "repetition; one with the new epoch is about the next transaction and MAY be answered "
            "as TXN-08 says."
        ),
    ),
    Clause(
        id="TXN-05",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Every partition registered in a transaction, those of __consumer_offsets for its "
            "groups included, MUST get exactly one effective marker with the decided result, and "
            "all data of the transaction MUST be before it; a marker of an older coordinator epoch "
            "MUST be refused with TRANSACTION_COORDINATOR_FENCED (52), and one for a finished or "
            "another transaction MUST have no effect."
        ),
        reason=(
            "A partition with the other result, or with none, shows a part of the transaction: "
            "the money left one account and reached no other."
        ),
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-98",
            "KIP-1228",
            "KAFKA-19446",
            "core/src/main/scala/kafka/coordinator/transaction/"
            "TransactionMarkerChannelManager.scala",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/ProducerAppendInfo.java "
            "(checkCoordinatorEpoch)",
        ),
        observe=(
            "A transaction over many partitions while leaders are killed during the writing of "
            "markers: afterwards the filtered view of each partition is all or nothing. Raw "
            "duplicate WriteTxnMarkers."
        ),
        model="marker[tp, txn]; all of them equal tx.decision",
    ),
    Clause(
        id="TXN-06",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A decided transaction MUST finish: its markers are retried over changes of leaders "
            "and coordinator for as long as it takes, its state reaches CompleteCommit or "
            "CompleteAbort, new transactions of the transactional id can start, and the last "
            "stable offset moves on."
        ),
        reason=(
            "One marker that is given up on blocks the producer and every read_committed consumer."
        ),
        needs=(Need.WIRE, Need.KILL, Need.PAUSE),
        sources=(
            "KAFKA-9777",
            "KAFKA-16352",
            "KAFKA-10080",
            "KAFKA-19999",
            "Vanlightly/kafka-tlaplus (transactions)",
        ),
        observe=(
            "Kill brokers between EndTxn and the markers: DescribeTransactions, ListTransactions; "
            "AddPartitionsToTxn stops answering 51 within a bound."
        ),
        model="PrepareCommit or PrepareAbort ~> CompleteCommit or CompleteAbort",
    ),
    Clause(
        id="TXN-07",
        level=Level.MUST,
        kind=Kind.LIVENESS,
        sentence=(
            "A transaction that is open for longer than its timeout MUST be aborted by the "
            "coordinator with a bump of the epoch that fences the producer, whose requests then "
            "get INVALID_PRODUCER_EPOCH (47) or PRODUCER_FENCED (90), so that an abandoned "
            "producer cannot hold back the last stable offset for ever; a late, fenced EndTxn MUST "
            "NOT commit it."
        ),
        reason=(
            "One crashed producer would stop all read_committed consumers of the partitions it "
            "wrote to."
        ),
        needs=(Need.WIRE, Need.TIME),
        sources=(
            "KIP-98",
            "KIP-588",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(abortTimedOutTransactions)",
            "KAFKA-9600",
        ),
        observe=(
            "Begin, write and fall silent with a timeout of 1 s: the last stable offset reaches "
            "the high watermark later; then EndTxn(commit) fails, and the values stay absent."
        ),
        model="a timer action",
    ),
    Clause(
        id="TXN-08",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "EndTxn and AddPartitionsToTxn MUST refuse an unknown transactional id or another "
            "producer id with INVALID_PRODUCER_ID_MAPPING (49) and a request that meets a pending "
            "step with CONCURRENT_TRANSACTIONS (51); EndTxn before any partition was added MUST be "
            "refused with INVALID_TXN_STATE (48); so MUST a batch that is not transactional from a "
            "producer with an open transaction on that partition; and transactional batches of "
            "more than one producer id in one request MUST be refused with "
            "INVALID_PRODUCER_ID_MAPPING (49)."
        ),
        reason=(
            "Clients choose between retry, abort and giving up by these codes; the wrong one turns "
            "a hiccup into a crash or a crash into a loop."
        ),
        needs=(Need.WIRE,),
        sources=(
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/ProducerAppendInfo.java "
            "(appendDataBatch)",
            "KAFKA-14916",
        ),
        observe="A table over request and state.",
        model="guards",
        varies=(
            "With transaction.version 2 an abort without an open transaction MAY be allowed. Some "
            "versions MAY answer INVALID_RECORD (87) to several producer ids in one request."
        ),
    ),
    Clause(
        id="TXN-09",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "With transaction.version 2 (KIP-890 part 2) every EndTxn MUST increase the epoch, "
            "which EndTxn v5 returns with the producer id, so that a delayed request or marker of "
            "the previous transaction is fenced and can neither commit, nor abort, nor extend a "
            "later one."
        ),
        reason=(
            "A request that was delayed in the network would otherwise end, or fall into, the "
            "transaction that came after it."
        ),
        needs=(Need.WIRE, Need.PAUSE),
        sources=(
            "KIP-890",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(endTxnEpochBumped)",
            "jepsen.io/analyses/bufstream-0.1.0",
            "KAFKA-17754",
            "KAFKA-18575",
            "KAFKA-18660",
        ),
        observe=(
            "Hold the EndTxn of transaction 1 in a proxy, finish the transaction by a repetition, "
            "start transaction 2, release the held request: transaction 2 is not affected."
        ),
        model="net reorders and delays; each transaction has its own epoch",
        varies=(
            "Clusters below transaction.version 2 do not promise this, and MAY let a delayed "
            "request through; the finalized feature in ApiVersions tells."
        ),
    ),
    Clause(
        id="TXN-10",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Offsets of a TxnOffsetCommit MUST be invisible to OffsetFetch until the commit and "
            "dropped on abort; where the request carries group metadata (v3+, KIP-447) another "
            "generation MUST be refused with ILLEGAL_GENERATION (22), an unknown member with "
            "UNKNOWN_MEMBER_ID (25) and a replaced static one with FENCED_INSTANCE_ID (82), so "
            "that two owners cannot both commit one range of input; and WriteTxnMarkers for "
            "__consumer_offsets MUST NOT be acknowledged before the offsets can be fetched."
        ),
        reason=(
            "Exactly-once processing is this: the output and the position in the input are one "
            "transaction, of the partition's owner."
        ),
        needs=(Need.WIRE, Need.KILL),
        sources=(
            "KIP-98",
            "KIP-447",
            "group-coordinator/src/main/java/org/apache/kafka/coordinator/group/"
            "OffsetMetadataManager.java (validateTransactionalOffsetCommit)",
            "KAFKA-17507",
            "KAFKA-15784",
        ),
        observe=(
            "Consume, process and produce with a forced rebalance between TxnOffsetCommit and "
            "EndTxn; after a commit OffsetFetch returns the sent offset at once."
        ),
        model="pend becomes off at the marker",
        varies=(
            "For an old member epoch of a KIP-848 group a broker MAY answer STALE_MEMBER_EPOCH "
            "(113) instead of ILLEGAL_GENERATION (22)."
        ),
        calibrated=(
            "From the source of 4.0, not from a run: TxnOffsetCommit turns a stale member epoch "
            "into code 22, so 113 is not what Kafka answers here."
        ),
    ),
    Clause(
        id="TXN-11",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "After a failover the new transaction coordinator MUST rebuild producer id, epoch, "
            "previous and next producer id, state and partitions of every transactional id from "
            "__transaction_state before it serves, answering COORDINATOR_LOAD_IN_PROGRESS (14) "
            "meanwhile, and a broker MUST NOT accept requests after it lost that partition: "
            "NOT_COORDINATOR (16)."
        ),
        reason=(
            "A coordinator that starts without memory gives out old epochs again, forgets "
            "decisions and leaves transactions open."
        ),
        needs=(Need.CLUSTER, Need.KILL),
        sources=(
            "core/src/main/scala/kafka/coordinator/transaction/TransactionStateManager.scala "
            "(loadTransactionMetadata)",
            "KAFKA-9144",
            "KAFKA-20310",
            "KAFKA-9307",
        ),
        observe=(
            "Kill the coordinator in each state of a transaction; DescribeTransactions before and "
            "after."
        ),
        model="tx = replay(__transaction_state)",
        varies=(
            "A transactional id that was not used for transactional.id.expiration.ms MAY have been "
            "forgotten."
        ),
    ),
)
