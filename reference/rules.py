"""The decisions that clauses constrain, each one a method that names the clause it keeps.

The state machine asks `rules`; a mutant overrides exactly one method, and so is one wrong decision
in an otherwise sound cluster. A method here decides; it never acts.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from reference.batch import SEQUENCE_MASK, crc_matches
from reference.errors import Error
from reference.requests import NO_EPOCH, NO_OFFSET, EpochEnd, FetchedPart

if TYPE_CHECKING:
    from reference.image import MetadataImage, TopicImage


class Rules:
    # ---- connections ---------------------------------------------------------------------------

    def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
        """ERR-01: ApiVersions lists exactly what is served."""
        return served

    def answers_in_request_order(self) -> bool:
        """PROD-04: a connection's requests are handled and answered one after another."""
        return True

    def accepts_frame(self, size_bytes: int) -> bool:
        """ERR-03: a frame above socket.request.max.bytes is never read."""
        return 0 <= size_bytes <= 100 << 20

    def refuses_malformed(self) -> bool:
        """ERR-03: a malformed request ends its connection."""
        return True

    def closed_by_garbage(self, sender: int, connections: Sequence[int]) -> Sequence[int]:
        """ERR-03: what is malformed ends the connection it came over, and no other."""
        return (sender,)

    def answers_produce(self, acks: int) -> bool:
        """PROD-01: acks=0 means that there is no response at all."""
        return acks != 0

    # ---- accepting batches ---------------------------------------------------------------------

    def acks_allowed(self, acks: int) -> bool:
        """PROD-01: none, the leader, or the whole ISR."""
        return acks in (-1, 0, 1)

    def crc_is_right(self, batch: bytes) -> bool:
        """DUR-03: the checksum is CRC-32C, and it is checked before anything is appended."""
        return crc_matches(batch)

    def batch_size_allowed(self, size_bytes: int, max_message_bytes: int) -> bool:
        """ERR-04: max.message.bytes bounds the batch as the client sent it."""
        return size_bytes <= max_message_bytes

    def topic_limit(self, overridden: int, default: int) -> int:
        """META-07: what a topic overrides holds for it, not the broker's default."""
        return overridden

    def client_may_write_control_batches(self) -> bool:
        """ERR-04: control batches are the broker's own."""
        return False

    def keeps_refused(self, error: Error) -> bool:
        """ERR-07, PROD-03: a definite error means that nothing was appended."""
        return False

    def pieces(self, partition: object, batch: bytes) -> Sequence[bytes]:
        """PROD-03, PROD-05: a batch is appended as the one batch that it is, once."""
        return (batch,)

    def end_after_refusal(self, end_offset: int) -> int:
        """LOG-01: a refused or repeated batch consumes no offset."""
        return end_offset

    def answered_base_offset(self, base_offset: int, last_offset: int) -> int:
        """PROD-02: the response names the offset of the batch's first record."""
        return base_offset

    # ---- idempotence ---------------------------------------------------------------------------

    def batches_remembered(self) -> int:
        """PROD-06: as many as a producer may have in flight (KIP-98)."""
        return 5

    def producer_epoch_accepted(self, known: int, given: int) -> bool:
        """PROD-07: a producer of an older epoch is a zombie."""
        return given >= known

    def sequence_follows(self, last: int, first: int) -> bool:
        """PROD-07: no gap, no overlap; -1 stands before the first of an epoch, 2^31-1 before 0."""
        return first == (last + 1) & SEQUENCE_MASK

    def keeps_producers_of_deleted_records(self) -> bool:
        """PROD-10: deleting records does not make the partition forget who wrote them."""
        return True

    def next_producer_id(self, first: int, count: int) -> int:
        """PROD-09: no id of a block that was granted is ever granted again."""
        return first + count

    # ---- replication ---------------------------------------------------------------------------

    def maximal_isr(self, committed: Iterable[int], proposed: Iterable[int]) -> frozenset[int]:
        """ISR-02: until the controller has answered, both ISRs may be the one it elects from."""
        return frozenset(committed).union(proposed)

    def in_current_epoch(self, asked: int, current: int) -> bool:
        """ISR-02, LOG-04: leader and follower deal with each other in one leader epoch only."""
        return asked == current

    def committed(self, high_watermark: int, end_offset: int) -> bool:
        """ISR-05: acks=-1 is answered once all members of the ISR have the whole batch."""
        return high_watermark >= end_offset

    def enough_in_sync(self, isr_size: int, min_insync_replicas: int) -> bool:
        """ISR-06: acks=-1 promises at least min.insync.replicas copies."""
        return isr_size >= min_insync_replicas

    def keeps_up(
        self, *, end_offset: int, high_watermark: int, leader_end: int, behind_ms: int, lag_ms: int
    ) -> bool:
        """ISR-07: caught up with the leader's end, now or not longer ago than the lag limit."""
        return end_offset >= leader_end or behind_ms <= lag_ms

    def may_join_isr(self, end_offset: int, high_watermark: int, epoch_start: int) -> bool:
        """ISR-08: a new leader's high watermark lags, so its epoch's start counts (KAFKA-7128)."""
        return end_offset >= high_watermark and end_offset >= epoch_start

    def isr_change_is_current(
        self, asked: tuple[int, int, int], current: tuple[int, int, int]
    ) -> bool:
        """ISR-08: compare-and-set on leader, leader epoch and partition epoch (KIP-497)."""
        return asked == current

    def truncation_offset(self, own: EpochEnd, leaders: EpochEnd) -> int:
        """LOG-04: the largest offset at which both logs can still agree (KIP-279)."""
        if own.leader_epoch != leaders.leader_epoch:
            return own.end_offset
        return min(own.end_offset, leaders.end_offset)

    def may_be_preferred_leader(self, replica: int, isr: Iterable[int]) -> bool:
        """LEAD-09: only a member of the ISR is moved to."""
        return replica in isr

    def reassignment_done(self, target: Iterable[int], isr: Iterable[int]) -> bool:
        """META-06: all of the target set is in sync, not some of it (KAFKA-15665)."""
        return set(target) <= set(isr)

    # ---- reading -------------------------------------------------------------------------------

    def leader_epoch_error(self, asked: int, current: int) -> Error:
        """LEAD-07: an older epoch is fenced, a newer one is unknown here, -1 is not checked."""
        if asked in (NO_EPOCH, current):
            return Error.NONE
        return Error.FENCED_LEADER_EPOCH if asked < current else Error.UNKNOWN_LEADER_EPOCH

    def wrong_broker_error(self) -> Error:
        """ERR-05: the partition exists, and another broker leads it."""
        return Error.NOT_LEADER_OR_FOLLOWER

    def visible_end(self, high_watermark: int, end_offset: int) -> int:
        """ISR-03: consumers see committed records only."""
        return high_watermark

    def last_stable_offset(self, high_watermark: int, end_offset: int) -> int:
        """OFF-01: never above the high watermark; without open transactions it is there."""
        return high_watermark

    def in_range(self, offset: int, log_start: int, high_watermark: int, end_offset: int) -> bool:
        """OFF-08: the legal range ends at the log's end; above the high watermark is only empty."""
        return log_start <= offset <= end_offset

    def first_batch(self, end_offsets: Sequence[int], offset: int) -> int:
        """CONS-01: the batch that holds the offset comes first, though it may start before it."""
        return bisect_right(end_offsets, offset)

    def returns_at_least_one_batch(self) -> bool:
        """CONS-02: the first batch is returned even above the limits (KIP-74)."""
        return True

    def served_base_offset(self, base_offset: int, log_start_offset: int) -> int:
        """LOG-07, LOG-02: deleting a prefix renumbers nothing."""
        return base_offset

    def looks_again(self) -> bool:
        """CONS-03: a fetch that is held is answered as soon as there is enough to read."""
        return True

    def fetch_deadline_ms(self, now_ms: int, max_wait_ms: int) -> int:
        """CONS-03, ERR-06: a fetch is held no longer than the client allows."""
        return now_ms + max_wait_ms

    def produce_deadline_ms(self, now_ms: int, timeout_ms: int) -> int | None:
        """ERR-06: a produce request ends by its timeout; None would be never."""
        return now_ms + timeout_ms

    def is_news(self, part: FetchedPart, high_watermark: int, log_start_offset: int) -> bool:
        """CONS-05: a session's response has what changed against the two offsets last sent."""
        return bool(
            part.records
            or part.error
            or part.diverging
            or part.high_watermark != high_watermark
            or part.log_start_offset != log_start_offset
        )

    def forgets(self, forgotten: bool) -> bool:
        """CONS-05: a partition that the client forgets is no longer part of its session."""
        return forgotten

    # ---- offsets -------------------------------------------------------------------------------

    def at_or_after(self, timestamp_ms: int, asked_ms: int) -> bool:
        """OFF-02: the first record that is not older than asked."""
        return timestamp_ms >= asked_ms

    def offset_of_maximum(self, records: Sequence[tuple[int, int]]) -> int:
        """OFF-02: of (offset, timestamp) pairs, the first with the largest timestamp (KIP-734)."""
        return max(records, key=lambda record: (record[1], -record[0]))[0]

    def unknown_offset(self) -> int:
        """OFF-02: no record is young enough: that is -1, never a default offset."""
        return NO_OFFSET

    def latest_offset_known(self, high_watermark: int, epoch_start: int) -> bool:
        """ISR-04: a new leader says nothing before its high watermark reaches its epoch."""
        return high_watermark >= epoch_start

    def answered_epoch_end(self, end: EpochEnd) -> EpochEnd:
        """LOG-05: the end is the start of the next epoch, or the end of the log."""
        return end

    def may_delete_before(self, offset: int, high_watermark: int) -> bool:
        """LOG-07: only committed records may be deleted."""
        return 0 <= offset <= high_watermark

    def low_watermark(self, own: int, followers: Iterable[int]) -> int:
        """LOG-07: the smallest log start offset of the live replicas."""
        return min((own, *followers))

    # ---- metadata ------------------------------------------------------------------------------

    def takes_effect(self, validate_only: bool) -> bool:
        """META-02: a request that only validates changes nothing."""
        return not validate_only

    def names_collide(self, name: str, other: str) -> bool:
        """META-02: '.' and '_' are one character in the names of metrics."""
        return name.replace(".", "_") == other.replace(".", "_")

    def topic_by_id(self, topic_id: UUID, image: "MetadataImage") -> "TopicImage | None":
        """META-04: an id that is unknown stands for no topic, whatever names exist."""
        return image.topics.get(topic_id)

    def answered_topic_id(self, topic_id: UUID, broker: int) -> UUID:
        """META-01: every broker reports the same stable id."""
        return topic_id

    def answered_isr(self, isr: tuple[int, ...], leader: int) -> tuple[int, ...]:
        """ISR-01: the ISR contains the leader."""
        return isr

    def answered_leader_epoch(self, leader_epoch: int, broker: int) -> int:
        """META-05: the epoch that a broker reports never goes backwards."""
        return leader_epoch

    def may_create_automatically(self, enabled: bool, allowed: bool) -> bool:
        """META-07: both the broker and the request must want it (KIP-361)."""
        return enabled and allowed

    def partition_count_allowed(self, current: int, wanted: int) -> bool:
        """META-06: the number of partitions only grows."""
        return wanted > current
