"""The decisions that clauses constrain, each one a method that names the clause it keeps.

The state machine asks `rules`; a mutant overrides exactly one method, and so is one wrong decision
in an otherwise sound cluster. A method here decides; it never acts.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from reference.batch import SEQUENCE_MASK, Header, crc_matches
from reference.errors import Error
from reference.replication_rules import ReplicationRules
from reference.requests import NO_EPOCH, NO_OFFSET, EpochEnd, FetchedPart

if TYPE_CHECKING:
    from reference.image import MetadataImage, TopicImage
    from reference.metadata.quorum.messages import Position
    from reference.metadata.records import MetadataRecord


class Rules(ReplicationRules):
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

    # ---- the controller's decisions about a partition ------------------------------------------

    def may_be_elected(
        self, *, active: bool, in_isr: bool, in_elr: bool, isr_is_empty: bool
    ) -> bool:
        """LEAD-03, LEAD-04: alive, and in the ISR, or in the ELR where the ISR is empty."""
        return active and (in_isr or (isr_is_empty and in_elr))

    def may_be_elected_as_last_known(self, active: bool) -> bool:
        """ISR-09, LEAD-03: the last known leader leads again only if it is alive (KAFKA-19522)."""
        return active

    def may_elect_uncleanly(self, enabled: bool) -> bool:
        """LEAD-03, LEAD-05: who is outside ISR and ELR leads only where the topic allows it."""
        return enabled

    def next_leader_epoch(self, leader_epoch: int, *, clean: bool) -> int:
        """LEAD-02, LEAD-05: each change of the leader begins an epoch, clean or not."""
        return leader_epoch + 1

    def isr_without(self, isr: tuple[int, ...], gone: int) -> tuple[int, ...]:
        """ISR-01, LEAD-03: a broker that is fenced or restarts uncleanly leaves the ISR."""
        return tuple(broker for broker in isr if broker != gone)

    def isr_may_be_empty(self, elr_enabled: bool) -> bool:
        """ISR-09: the last member stays only where no ELR remembers it (KIP-966)."""
        return elr_enabled

    def keeps_elr(self, enabled: bool) -> bool:
        """ISR-09: the ELR knows who has everything while the ISR is too small to add to it."""
        return enabled

    def elr_is_needed(self, isr_size: int, min_insync_replicas: int) -> bool:
        """ISR-01, ISR-09: a large ISR acknowledges records that the ELR does not get."""
        return isr_size < min_insync_replicas

    def may_stay_eligible(self, clean: bool) -> bool:
        """ISR-09: a restart without proof of a clean shutdown ends every place in ISR and ELR."""
        return clean

    def may_be_in_isr(self, *, fenced: bool, shutting_down: bool) -> bool:
        """ISR-08: a fenced broker or one that shuts down does not join (KIP-841)."""
        return not fenced and not shutting_down

    def names_present_life(self, named_broker_epoch: int, broker_epoch: int) -> bool:
        """ISR-08, ISR-09, CTL-06: who caught up may have restarted since, with less (KIP-903)."""
        return named_broker_epoch in (NO_EPOCH, broker_epoch)

    def may_be_preferred_leader(self, replica: int, isr: Iterable[int]) -> bool:
        """LEAD-09: only a member of the ISR is moved to."""
        return replica in isr

    def reassignment_done(self, target: Iterable[int], isr: Iterable[int]) -> bool:
        """META-06: all of the target set is in sync, not some of it (KAFKA-15665)."""
        return set(target) <= set(isr)

    # ---- the lives of brokers ------------------------------------------------------------------

    def must_be_fenced(self, session_lost: bool) -> bool:
        """CTL-05, CTL-03, LEAD-06: a broker whose session is over leads nothing any more."""
        return session_lost

    def may_register(self, *, same_incarnation: bool, session_alive: bool) -> bool:
        """CTL-06: two live processes with one broker id are one too many."""
        return same_incarnation or not session_alive

    def broker_epoch_is_current(self, given: int, registered: int) -> bool:
        """CTL-06: a heartbeat of a former life keeps nobody alive."""
        return given == registered

    def may_be_unfenced(self, applied: int, broker_epoch: int) -> bool:
        """CTL-05, META-05: not before it has applied its own registration."""
        return applied > broker_epoch

    # ---- the controller that is elected through ZooKeeper --------------------------------------

    def session_is_over(self, silent_ms: int, timeout_ms: int) -> bool:
        """CTL-03, CTL-05: who says nothing for so long loses its session, be it dead or asleep."""
        return silent_ms >= timeout_ms

    def stands_for_election(self, controller_epoch: int) -> bool:
        """CTL-03: where there is no controller, every live broker tries to become it, always."""
        return True

    def next_controller_epoch(self, controller_epoch: int) -> int:
        """CTL-01: each controller has an epoch greater than all before."""
        return controller_epoch + 1

    def raised_epoch_version(self, version: int) -> int:
        """CTL-01: /controller_epoch is raised only if it is still as the candidate has read it."""
        return version

    def checks_controller_epoch(self) -> bool:
        """CTL-02: what a controller writes is refused once there is a newer one (KAFKA-6082)."""
        return True

    def controller_epoch_is_current(self, given: int, known: int) -> bool:
        """CTL-02: a broker obeys no controller that is older than one it has obeyed."""
        return given >= known

    def image_to_start_from(
        self, stored: "MetadataImage", remembered: "MetadataImage | None"
    ) -> "MetadataImage":
        """CTL-04: a new controller reads everything anew, also if it was the controller before."""
        return stored

    def restarted_since(self, broker_epoch: int, written_at: int) -> bool:
        """ISR-08, CTL-06: who registered after it was written into the ISR has had a life since
        that nobody watched, and may lack what it had."""
        return broker_epoch > written_at

    def is_same_registration(self, known_broker_epoch: int, broker_epoch: int) -> bool:
        """CTL-06: a broker that went and came back between two looks has another broker epoch."""
        return known_broker_epoch == broker_epoch

    # ---- on the disk ---------------------------------------------------------------------------

    def stops_at_failed_write(self) -> bool:
        """DUR-04: what could not be written is not acknowledged, and nothing follows it."""
        return True

    def is_intact_on_disk(self, batch: bytes) -> bool:
        """DUR-03: recovery verifies the checksum of what was not flushed."""
        return crc_matches(batch)

    def recovery_ends_at_bad_batch(self) -> bool:
        """DUR-03, DUR-02: an unclean stop costs a suffix; nothing behind a gap is kept."""
        return True

    def recovers_epoch(self, leader_epoch: int) -> bool:
        """LOG-06: epoch 0 is an epoch (KAFKA-10432)."""
        return leader_epoch >= 0

    def replayed_after_snapshot(self, headers: Sequence[Header]) -> Sequence[Header]:
        """DUR-01, PROD-08: what was appended after the newest producer snapshot counts, too."""
        return headers

    def recovered_high_watermark(self, stored: int, log_start: int, end_offset: int) -> int:
        """DUR-02, LEAD-04: what was known is kept, as far as the records are still there."""
        return min(max(stored, log_start), end_offset)

    def is_log_of(self, stored: UUID, topic_id: UUID) -> bool:
        """META-03: a log belongs to the topic with its id, whatever other topic had the name."""
        return stored == topic_id

    def new_leader_notes_epoch(self) -> bool:
        """LOG-06: a leader's epoch begins at its log's end even if it writes nothing."""
        return True

    # ---- compaction ----------------------------------------------------------------------------

    def cleanable_end(self, committed: int, end_offset: int) -> int:
        """LOG-08: only what is committed, and of decided transactions, may be compacted."""
        return committed

    def survivor(self, known: int, offset: int) -> int:
        """LOG-08: of two records with one key, named by offset, the later one survives."""
        return max(known, offset)

    def tombstone_may_go(self, horizon_ms: int | None, now_ms: int) -> bool:
        """LOG-08: not before delete.retention.ms after it was first cleaned (KIP-534)."""
        return horizon_ms is not None and now_ms >= horizon_ms

    def keeps_empty_batch(self, is_last_of_producer: bool) -> bool:
        """LOG-09: a producer's last sequence outlives its records (KAFKA-3970)."""
        return is_last_of_producer

    # ---- reading -------------------------------------------------------------------------------

    def leader_epoch_error(self, asked: int, current: int) -> Error:
        """LEAD-07: an older epoch is fenced, a newer one is unknown here, -1 is not checked."""
        if asked in (NO_EPOCH, current):
            return Error.NONE
        return Error.FENCED_LEADER_EPOCH if asked < current else Error.UNKNOWN_LEADER_EPOCH

    def wrong_broker_error(self) -> Error:
        """ERR-05: the partition exists, and another broker leads it."""
        return Error.NOT_LEADER_OR_FOLLOWER

    def followers_serve(self) -> bool:
        """CONS-06: a follower serves consumers that know of it, below its own high watermark."""
        return True

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

    def may_serve(self, *, registered: bool, fenced: bool) -> bool:
        """META-05: clients are let in once the controller has seen the broker catch up."""
        return registered and not fenced

    def may_create_automatically(self, enabled: bool, allowed: bool) -> bool:
        """META-07: both the broker and the request must want it (KIP-361)."""
        return enabled and allowed

    def partition_count_allowed(self, current: int, wanted: int) -> bool:
        """META-06: the number of partitions only grows."""
        return wanted > current

    # ---- the metadata quorum -------------------------------------------------------------------

    def election_epoch(self, known: int) -> int:
        """CTL-01: a candidate may have voted for somebody else in an epoch that it knows."""
        return known + 1

    def may_vote(self, voted_for: int | None, candidate: int) -> bool:
        """CTL-07: one vote per epoch; to say it again is none more."""
        return voted_for in (None, candidate)

    def remembers_vote(self) -> bool:
        """CTL-07: the vote is on disk before it is sent."""
        return True

    def is_up_to_date(self, candidate: "Position", voter: "Position") -> bool:
        """CTL-07, CTL-04: by last epoch, then length, a candidate's log is no less than mine."""
        return candidate >= voter

    def counted_voters(self, voters: Sequence[int], heard: Collection[int]) -> Sequence[int]:
        """CTL-08, CTL-01: a majority is one of all voters, whether they are heard of or not."""
        return voters

    def has_majority(self, votes: int, voters: int) -> bool:
        """CTL-07, CTL-01: with fewer votes one epoch could have two leaders."""
        return 2 * votes > voters

    def keeps_leading(self, heard: int, voters: int) -> bool:
        """CTL-08: a leader that no majority follows resigns (KAFKA-15489)."""
        return 2 * heard > voters

    def majority_offset(self, ends: Iterable[int]) -> int:
        """CTL-08: the largest offset that a majority of these logs has reached."""
        in_order = sorted(ends)
        return in_order[(len(in_order) - 1) // 2]

    def may_commit(self, written_in: int, epoch: int) -> bool:
        """CTL-08, CTL-04: a leader commits by a record of its own epoch (Raft, figure 8)."""
        return written_in == epoch

    def fetches_in_epoch(self, asked: int, epoch: int) -> bool:
        """CTL-08: a fetch of another epoch acknowledges another leader's log."""
        return asked == epoch

    def position_matches(self, asked: "Position", leaders: "Position") -> bool:
        """CTL-08: the follower's last record is in the leader's log, and at the same offset."""
        return asked.epoch == leaders.epoch and asked.offset <= leaders.offset

    def diverging_offset(self, own: "Position", leaders: "Position") -> int:
        """CTL-08: cutting off more than what diverges could cut off what is committed."""
        return min(own.offset, leaders.offset) if own.epoch == leaders.epoch else own.offset

    def replayed(self, tail: "Sequence[MetadataRecord]") -> "Sequence[MetadataRecord]":
        """CTL-04: a new controller begins with the snapshot and with all that came after it."""
        return tail
