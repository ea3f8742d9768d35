"""Delivery: at most once, at least once, exactly once, as a client counts it.

These clauses are about whole histories: what was sent, what was acknowledged, what was read and
processed, under faults. Each states what the client has to do for its part; the broker owes the
rest. EOS-05 says what looks wrong and is not.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="AMO-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "With retries off and any acks every sent value MUST occur at no more than one offset "
            "of the final log; it MAY be lost with acks=0, and with acks=1 after a failure of the "
            "leader."
        ),
        reason=(
            "Who gives up retries to avoid duplicates must not get them from the broker instead."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.KILL),
        sources=("docs/design.html (Message Delivery Semantics)",),
        observe=(
            "Send unique values under faults, read all partitions at the end: no value occurs "
            "twice."
        ),
        model="no DuplicateSend in the client; count(v) <= 1",
    ),
    Clause(
        id="AMO-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Where each member commits position p before it processes the records below p, and "
            "processes nothing after a commit that failed, every record MUST be processed at most "
            "once per group, over all crashes and rebalances."
        ),
        reason=(
            "Effects that must not happen twice, such as sending an invoice, rely on the commit "
            "being refused to whoever lost the partition."
        ),
        needs=(Need.WIRE, Need.CLUSTER, Need.KILL),
        sources=("docs/design.html (Message Delivery Semantics)",),
        observe=(
            "A history of successful commits and of processing, with crashes: no group processes "
            "an offset of a partition twice."
        ),
        model="Process(o) needs off[g,tp] > o, committed by an owner of the same generation",
        varies=(
            "The application's part is outside the broker, which owes the fencing of OFF-05 and "
            "GRP-03; an application that processes before its commit MAY process twice."
        ),
    ),
    Clause(
        id="ALO-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Every value acknowledged with acks=all MUST occur at one or more offsets and be "
            "delivered to every consumer that reads from the beginning, provided that with "
            "min.insync.replicas=m no more than m-1 replicas lose data at the same time and no "
            "unclean election takes place; duplicates MUST stem only from retries of unknown "
            "outcomes."
        ),
        reason="An acknowledged record that is missing is the loss that users mean by data loss.",
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("docs/design.html (Message Delivery Semantics)", "KIP-966"),
        observe=(
            "What was acknowledged is a subset of what is read; a value occurs twice only where "
            "its producer retried."
        ),
        model="invariant and leads-to over the set of acknowledged values",
    ),
    Clause(
        id="ALO-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Where members commit only after processing, and the committed offset of their group "
            "is p, every record below p that existed MUST have been processed at least once by "
            "some member; the next owner MUST start exactly at the committed offset, without a "
            "gap, or by auto.offset.reset where there is none."
        ),
        reason="A gap between two owners is a set of records that nobody ever processes.",
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("docs/design.html (Message Delivery Semantics)",),
        observe=(
            "Kill members at random points: each record below the final commit was processed at "
            "least once, and the first position after a rebalance is the value of OffsetFetch."
        ),
        model="history processed; o in processed for all o < off[g,tp]",
    ),
    Clause(
        id="EOS-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "For an idempotent producer (one session, retries on, at most 5 requests in flight) "
            "every acknowledged value MUST occur exactly once and every value of unknown outcome "
            "at most once, and the values of each partition MUST occur in the order in which they "
            "were sent."
        ),
        reason=(
            "It is the default of current clients, and users take it for granted that a retry by "
            "the library never duplicates or reorders."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("KIP-98 (idempotent guarantees)", "KIP-185", "KIP-360", "docs/design.html"),
        observe=(
            "Real and raw clients whose responses are dropped by a proxy, and kills of leaders: "
            "count and order of the values."
        ),
        model="retransmissions by the client; count(v) <= 1, and the order",
        varies=(
            "Duplicates MAY occur across restarts of the producer, by sending again in the "
            "application, across several partitions, and after the producer's state has expired; a "
            "suite tests that it does not flag them."
        ),
    ),
    Clause(
        id="EOS-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "For readers with read_committed either all or none of the records and offset commits "
            "of a transaction MUST ever become visible: those of an aborted or open one never "
            "(no G1a), those of a committed one all of them in the end."
        ),
        reason="Half a transaction is worse than none: no reader can repair it.",
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("KIP-98", "docs/design.html"),
        observe=(
            "Transactions write (transaction, i, n) over several partitions: at the end there are "
            "0 or n values of each, and none of one whose EndTxn(abort) succeeded."
        ),
        model="visible(txn) in {none, all} at quiescence",
    ),
    Clause(
        id="EOS-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "After InitProducerId for a transactional id has returned to a new instance, records "
            "that an older instance writes or commits MUST NOT become visible any more, except "
            "those of a transaction already in PrepareCommit."
        ),
        reason=(
            "A paused worker that wakes up after it was replaced would add its output to that of "
            "its successor."
        ),
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("KIP-98", "KIP-447"),
        observe=(
            "SIGSTOP the old producer, start a new one, resume the old one: its later values are "
            "absent."
        ),
        model="every append carries an epoch",
    ),
    Clause(
        id="EOS-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Where transactions carry the consumed offsets with the group metadata "
            "(sendOffsetsToTransaction) the read_committed output MUST equal f applied exactly "
            "once to each input record, whatever crashes, rebalances and fencings happen."
        ),
        reason="It is the whole promise of exactly-once processing, seen from outside.",
        needs=(Need.CLUSTER, Need.KILL, Need.PAUSE),
        sources=("KIP-98", "KIP-447", "docs/design.html"),
        observe=(
            "Inputs 1 to N and k workers that are killed at random: in the end the multiset of "
            "outputs is f of the inputs, and the order within each partition is kept."
        ),
        model="composition of TXN, GRP and OFF; outputs are injective on inputs",
    ),
    Clause(
        id="EOS-05",
        level=Level.MUST,
        kind=Kind.PROTOCOL,
        sentence=(
            "A checker MUST NOT take for a violation what a correct cluster MAY show: a reader "
            "that sees a committed transaction partition by partition (fractured reads), "
            "transactions of different producers that interleave (write cycles, G0), aborted data "
            "under read_uncommitted, gaps between offsets, and an EndTxn that returns before the "
            "markers can be read, since visibility is eventual."
        ),
        reason=(
            "A suite that cries wolf is switched off; and a user who expects more than this builds "
            "on a promise that Kafka does not make."
        ),
        needs=(Need.WIRE, Need.CLUSTER),
        sources=(
            "KIP-98 (consumer guarantees)",
            "jepsen.io/analyses/redpanda-21.10.1",
            "jepsen.io/analyses/bufstream-0.1.0",
            "core/src/main/scala/kafka/coordinator/transaction/TransactionCoordinator.scala "
            "(the response is sent before the markers)",
        ),
        observe="Negative controls: these schedules on a good broker leave the suite green.",
        model="visibility is decided for each partition by the position of its marker",
        varies="Each of these MAY occur on one broker and never on another.",
    ),
)
