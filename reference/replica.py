"""One broker's copy of one partition, as leader or as follower.

The leader moves the high watermark when every member of the maximal ISR has fetched past it in the
leader's own epoch; a follower learns it from the next response. Between the two, a follower aligns
its log with the leader's by leader epochs, never by its high watermark (KIP-101, KIP-279, KIP-595).
"""

from dataclasses import dataclass

from reference.batch import Header, read_header, split, stamped
from reference.configs import TopicConfig
from reference.errors import Error
from reference.leadership import Leadership
from reference.log import Log, Slice
from reference.messages import LogStart, ReplicaFetch, ReplicaFetched
from reference.metadata.records import NO_LEADER, PartitionState
from reference.replication_rules import Asked
from reference.requests import (
    NO_EPOCH,
    NO_OFFSET,
    NO_TIMESTAMP,
    EpochEnd,
    RecordError,
)
from reference.rules import Rules
from reference.storage.cleaner import compact
from reference.validation import Refused, validated

REPLICA_FETCH_BYTES = 1 << 20
"""How much a follower is sent at once, except for a first batch that is larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The outcome of one client batch."""

    error: Error
    base_offset: int = NO_OFFSET
    end_offset: int = NO_OFFSET
    """Where the high watermark must be before acks=-1 is answered."""
    log_append_time_ms: int = NO_TIMESTAMP
    record_errors: tuple[RecordError, ...] = ()
    message: str | None = None


@dataclass(slots=True)
class Replica:
    broker: int
    rules: Rules
    state: PartitionState
    config: TopicConfig
    log: Log
    high_watermark: int = 0
    leadership: Leadership | None = None
    """None on followers."""
    attempt: int = 0
    """Number of the latest fetch from the leader; responses to older ones are dropped."""

    def become(self, state: PartitionState, now_ms: int, *, first: bool) -> bool:
        """Adopts the controller's word; returns whether a leader epoch began here."""
        known, self.state = self.state, state
        new_epoch = first or self.rules.begins_epoch(
            known.leader_epoch, state.leader_epoch, same_leader=state.leader == known.leader
        )
        if new_epoch:
            self._begin_epoch()
        if self.leadership:
            self.leadership.adopt(state, now_ms)
            self.advance_high_watermark()
        return new_epoch

    def _begin_epoch(self) -> None:
        self.attempt += 1
        former, self.leadership = self.leadership, None
        end_offset = self.log.end_offset
        if self.state.leader == self.broker:
            self.log.begin_epoch(self.state.leader_epoch)
            self.leadership = Leadership(self.broker, self.rules, end_offset)
            if former and not self.rules.forgets_acknowledgements():
                self.leadership.followers = former.followers
        elif self.state.leader != NO_LEADER:
            # All of it, as a rule. But an epoch in which this broker led and wrote nothing is over:
            # the offset at which it began will bear a record of another one.
            self.log.truncate(self.rules.kept_by_new_follower(self.high_watermark, end_offset))

    # ---- as leader: writing --------------------------------------------------------------------

    @property
    def min_insync_replicas(self) -> int:
        """No partition can have more in-sync replicas than replicas (KAFKA-15583)."""
        return min(self.config.min_insync_replicas, len(self.state.replicas))

    @property
    def has_enough_in_sync(self) -> bool:
        return self.rules.enough_in_sync(len(self.state.isr), self.min_insync_replicas)

    def append(self, batch: bytes | None, acks: int, now_ms: int, api_version: int) -> Appended:
        """Validates and appends a client's batch, or recognises it as appended already."""
        if acks == -1 and not self.has_enough_in_sync:
            text = f"{len(self.state.isr)} in sync, {self.min_insync_replicas} needed"
            return Appended(error=Error.NOT_ENOUGH_REPLICAS, message=text)
        try:
            accepted = validated(
                batch, self.config, self.rules, now_ms=now_ms, api_version=api_version
            )
        except Refused as refused:
            self.log.end_offset = self.rules.end_after_refusal(self.log.end_offset)
            return Appended(
                error=refused.error,
                message=refused.message,
                record_errors=refused.record_errors,
            )
        header = read_header(accepted.batch)
        repeated = self._repeated(header)
        if repeated:
            return repeated
        error = self.log.producers.check(header) if header.is_idempotent else Error.NONE
        if error and not self.rules.keeps_refused(error):
            self.log.end_offset = self.rules.end_after_refusal(self.log.end_offset)
            return Appended(error=error)
        base_offset = self.log.end_offset
        for piece in self.rules.pieces(self.state.id, accepted.batch):
            epoch = self.state.leader_epoch
            self._keep(stamped(piece, base_offset=self.log.end_offset, leader_epoch=epoch))
        self.advance_high_watermark()
        end_offset = self.log.end_offset
        return Appended(
            error=error,
            base_offset=self.rules.answered_base_offset(base_offset, end_offset - 1),
            end_offset=end_offset,
            log_append_time_ms=accepted.log_append_time_ms,
        )

    def _repeated(self, header: Header) -> Appended | None:
        known = self.log.producers.duplicate_of(header) if header.is_idempotent else None
        if known is None:
            return None
        self.log.end_offset = self.rules.end_after_refusal(self.log.end_offset)
        stamp = known.max_timestamp if self.config.log_append_time else NO_TIMESTAMP
        return Appended(
            error=Error.NONE,
            base_offset=known.base_offset,
            end_offset=known.end_offset,
            log_append_time_ms=stamp,
        )

    def advance_high_watermark(self) -> bool:
        """Returns whether it moved. Below min.insync.replicas it rests (KIP-966)."""
        if self.leadership is None or not self.has_enough_in_sync:
            return False
        end = self.leadership.committed_end(self.state, self.log.end_offset)
        if end <= self.high_watermark:
            return False
        self.high_watermark = end
        return True

    def compact(self, now_ms: int) -> bool:
        """Returns whether there was enough to clean."""
        if not self.config.compacts:
            return False
        committed = self.rules.last_stable_offset(self.high_watermark, self.log.end_offset)
        return compact(self.log, self.config, now_ms, min(committed, self.high_watermark))

    def delete_by_retention(self, now_ms: int) -> bool:
        """Returns whether segments were too old or too many."""
        if not self.config.deletes:
            return False
        before = self.log.start_offset
        self.log.delete_before(
            self.log.retained_from(
                now_ms,
                self.config.retention_ms,
                self.config.retention_bytes,
                self.high_watermark,
            )
        )
        return self.log.start_offset > before

    # ---- as leader: reading --------------------------------------------------------------------

    def access_error(self, current_leader_epoch: int) -> Error:
        """Why a client may not use this replica; epochs are checked before leadership."""
        error = self.rules.leader_epoch_error(current_leader_epoch, self.state.leader_epoch)
        if error:
            return error
        return Error.NONE if self.leadership else self.rules.wrong_broker_error()

    def range_error(self, offset: int) -> Error:
        log = self.log
        legal = self.rules.in_range(offset, log.start_offset, self.high_watermark, log.end_offset)
        return Error.NONE if legal else Error.OFFSET_OUT_OF_RANGE

    def divergence(self, offset: int, last_epoch: int) -> EpochEnd | None:
        """Where the logs part, if the reader's record before `offset` is not this log's.

        Returns (-1, -1) for an epoch that this log has not reached.
        """
        if last_epoch == NO_EPOCH:
            return None
        end = self.log.epochs.end_of(last_epoch, self.log.end_offset)
        return None if self.rules.is_position_on_log(offset, last_epoch, end) else end

    def visible(self, offset: int, max_bytes: int, *, at_least_one: bool) -> Slice:
        """What a consumer may be given from `offset` on."""
        limit = self.rules.visible_end(self.high_watermark, self.log.end_offset)
        if offset > limit:
            return Slice(0, 0, 0)
        return self.log.slice(offset, limit, max_bytes, at_least_one=at_least_one)

    def content(self, part: Slice) -> bytes:
        """The bytes of a slice, as consumers see them."""
        start, served = self.log.start_offset, self.rules.served_base_offset
        batches = []
        for index in range(part.first, part.stop):
            header, batch = self.log.headers[index], self.log.batches[index]
            offset = served(header.base_offset, start)
            if offset != header.base_offset:
                batch = stamped(batch, base_offset=offset, leader_epoch=header.leader_epoch)
            batches.append(batch)
        return b"".join(batches)

    def hear(self, follower: int, fetch: ReplicaFetch, now_ms: int) -> bool:
        """Takes note of what a follower has; returns whether the high watermark or its start moved.

        The caller has checked that this replica leads in the epoch of the fetch.
        """
        if self.leadership is None or self._parting(fetch) is not None:
            return False
        end = self.log.end_offset
        starts_later = self.leadership.acknowledge(follower, fetch, end, now_ms)
        return self.advance_high_watermark() or starts_later

    def response_to(self, fetch: ReplicaFetch) -> ReplicaFetched | None:
        """What a follower lacks, or None where there is nothing to tell it."""
        diverging, restart, records = None, None, b""
        parting = self._parting(fetch)
        if isinstance(parting, LogStart):
            restart = parting
        elif parting is not None:
            diverging = parting
        else:
            end = self.log.end_offset
            found = self.log.slice(fetch.offset, end, REPLICA_FETCH_BYTES, at_least_one=True)
            records = self.log.read(found)
            committed = max(fetch.high_watermark, min(self.high_watermark, fetch.offset))
            start = min(committed, self.log.start_offset)
            known = committed == fetch.high_watermark and start <= fetch.log_start_offset
            if known and not records:
                return None
        return ReplicaFetched(
            id=fetch.id,
            leader_epoch=fetch.leader_epoch,
            attempt=fetch.attempt,
            offset=fetch.offset,
            records=records,
            high_watermark=self.high_watermark,
            log_start_offset=self.log.start_offset,
            diverging=diverging,
            restart=restart,
        )

    def _parting(self, fetch: ReplicaFetch) -> EpochEnd | LogStart | None:
        """Why a follower cannot just append: it ends before this log starts, or diverges."""
        first = self.log.first_offset
        if fetch.offset < first:
            epoch, producers = self.log.epoch_before(first), self.log.producers_before(first)
            return LogStart(first, epoch, producers)
        diverging = self.divergence(fetch.offset, fetch.last_epoch)
        if diverging is None and fetch.offset > self.log.end_offset:
            return EpochEnd(self.state.leader_epoch, self.log.end_offset)
        return diverging

    # ---- as follower ---------------------------------------------------------------------------

    def next_fetch(self, broker_epoch: int) -> ReplicaFetch:
        """The request for what comes after this log; responses to earlier ones are void."""
        self.attempt += 1
        return ReplicaFetch(
            id=self.state.id,
            leader_epoch=self.state.leader_epoch,
            offset=self.log.end_offset,
            last_epoch=self.log.last_epoch,
            high_watermark=self.high_watermark,
            log_start_offset=self.log.start_offset,
            attempt=self.attempt,
            broker_epoch=broker_epoch,
        )

    def expects(self, sender: int, fetched: ReplicaFetched) -> bool:
        """Whether it is the response to the latest fetch, from the leader of this epoch."""
        return (
            self.leadership is None
            and sender == self.state.leader
            and self.rules.is_awaited(
                Asked(fetched.leader_epoch, fetched.attempt, fetched.offset),
                Asked(self.state.leader_epoch, self.attempt, self.log.end_offset),
            )
        )

    def absorb(self, fetched: ReplicaFetched) -> None:
        """Takes over what the leader says: where to cut, what to append, what is committed."""
        if fetched.restart:
            self.log.restart(*fetched.restart)
            self.high_watermark = fetched.restart.offset
        elif fetched.diverging:
            self._align(fetched.diverging)
        else:
            for batch in split(fetched.records):
                self._keep(batch)
            committed = min(fetched.high_watermark, self.log.end_offset)
            self.high_watermark = max(self.high_watermark, committed)
            self.log.delete_before(min(fetched.log_start_offset, self.high_watermark))

    def _align(self, leaders: EpochEnd) -> None:
        own = self.log.epochs.end_of(leaders.leader_epoch, self.log.end_offset)
        self.log.truncate(self.rules.truncation_offset(own, leaders))
        # Only an unclean election can take back what was committed.
        self.high_watermark = min(self.high_watermark, self.log.end_offset)

    def _keep(self, batch: bytes) -> None:
        self.log.append(
            batch, self.config.segment_bytes, self.config.segment_ms, self.config.flush_messages
        )
