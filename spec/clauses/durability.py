"""Durability: what was acknowledged outlives processes, machines and disks.

A crash of the process loses nothing; the loss of unflushed data on one machine is made good by the
other replicas; damage is detected by checksums, and a disk that fails is given up, not trusted.
"""

from spec.clause import Clause, Kind, Level, Need

CLAUSES: tuple[Clause, ...] = (
    Clause(
        id="DUR-01",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "A single broker (replication factor 1) MUST keep every acknowledged record, committed "
            "offset, state of a transaction and piece of metadata over a crash of its process "
            "(kill -9) and over a clean restart, at the same offsets; recovery of the log MUST "
            "rebuild indexes, producer state, leader epochs and last stable offset."
        ),
        reason="Processes are killed all the time, by upgrades and by the kernel.",
        needs=(Need.KILL,),
        sources=(
            "docs/design.html (Persistence)",
            "storage/src/main/java/org/apache/kafka/storage/internals/log/LogLoader.java",
            "docs/implementation.html",
        ),
        observe=(
            "Kill -9 in a loop under load, and read back after each start; acks=1 is enough for "
            "this."
        ),
        model="a crash keeps the log (page cache) and loses what is cached in memory",
    ),
    Clause(
        id="DUR-02",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "The loss of unflushed data on one machine, as by a power failure, MAY cost that "
            "replica a suffix of its log and nothing else; with a replication factor of 2 or more "
            "and the rules of the ISR the cluster MUST still keep LEAD-04, and a high watermark "
            "checkpoint that is lost or late MUST NOT lose data."
        ),
        reason=(
            "Kafka does not flush each write, so this is the normal consequence of a pulled plug, "
            "and replication has to make it good."
        ),
        needs=(Need.KILL, Need.DISK),
        sources=("docs/design.html (fsync is not required)", "KIP-966", "KAFKA-1647"),
        observe=(
            "Cut the tail of the segment files of one stopped replica, delete its checkpoints, "
            "restart it and compare."
        ),
        model="crashLossy(b)",
        varies=(
            "A flush on every write is not required; flush.messages and flush.ms MAY be used to "
            "lose less."
        ),
    ),
    Clause(
        id="DUR-03",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "Every v2 batch carries a CRC-32C over all bytes from its attributes to its end; the "
            "broker MUST verify it on Produce, refusing a batch that fails with CORRUPT_MESSAGE "
            "(2) and appending nothing, and on recovery, truncating at the first bad batch of the "
            "unflushed tail, and it MUST NOT serve altered records as valid. The checksum MUST NOT "
            "be taken to cover base_offset, length, leader epoch and magic, nor the topic and "
            "partition of the request."
        ),
        reason=(
            "Memory, disks and networks flip bits. Without the check a damaged record is "
            "replicated faithfully and found years later."
        ),
        needs=(Need.WIRE, Need.DISK),
        sources=(
            "KIP-98",
            "docs/implementation.html (Record Batch)",
            "core/src/main/scala/kafka/log/UnifiedLog.scala (analyzeAndValidateRecords)",
            "KAFKA-19012",
        ),
        observe=(
            "Flip each byte of a batch in turn and Produce it: always an error, or the content is "
            "identical. Flip bytes on the disk of a stopped broker."
        ),
        model="an abstract flag valid(batch)",
        varies=(
            "Where the damage is in the attributes, they MAY be refused for what they ask for "
            "before the checksum is looked at."
        ),
        calibrated=(
            "4.4.0 and 3.9.1 answer a flipped transactional bit with "
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53); every other flip behind the checksum, and "
            "in it, gets code 2."
        ),
    ),
    Clause(
        id="DUR-04",
        level=Level.MUST,
        kind=Kind.SAFETY,
        sentence=(
            "After an I/O error on a log the broker MUST stop appending to it, answering "
            "KAFKA_STORAGE_ERROR (56), MUST take the directory offline and give up leadership "
            "there, and MUST NOT acknowledge anything from a write that failed; after a restart "
            "log end offset and disk MUST agree."
        ),
        reason=(
            "A broker that goes on after a failed write acknowledges what is not on its disk, and "
            "leaves a hole in the middle of a log."
        ),
        needs=(Need.KILL, Need.DISK),
        sources=("KIP-112", "KIP-858", "KAFKA-10778", "KAFKA-7866"),
        observe=(
            "A full disk, a file system remounted read-only, or failing file operations in the "
            "reference broker; then LOG-01 and LEAD-04."
        ),
        model="action DiskFail(b)",
    ),
)
