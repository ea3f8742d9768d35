"""A topic and its partitions as tests handle them: operations that return before they are done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from conformance.client import Client, PartitionView, TopicView
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, Outcome, outcome_of
from conformance.records import Batch, NewRecord, Record, StoredBatch, batch_of, read_batches
from conformance.targets.target import Target

NAMED_TOPICS_UP_TO = 12
"""Produce and Fetch name topics by id from version 13 on."""
PRODUCE_TIMEOUT_MS = 10_000
FETCH_WAITS_MS = 500
FETCH_MAX_BYTES = 16 << 20
LATEST, EARLIEST, MAX_TIMESTAMP = -1, -2, -3
LEADS_WITHIN_MS = 10_000
NOT_YET = frozenset({ErrorCode.not_leader_or_follower, ErrorCode.offset_not_available})
"""What a broker answers that will lead, or whose high watermark will move, in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """The answer to a Produce about one partition."""

    error: ErrorCode
    base_offset: int
    log_append_time_ms: int | None
    log_start_offset: int | None
    raw: Entity = field(repr=False, compare=False)

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The answer to a Fetch about one partition."""

    offset: int
    """The one that was asked for; `records` begin there even where the first batch does not."""
    error: ErrorCode
    high_watermark: int
    last_stable_offset: int
    log_start_offset: int
    batches: tuple[StoredBatch, ...]
    raw: Entity = field(repr=False, compare=False)

    @property
    def records(self) -> tuple[Record, ...]:
        """What a consumer would be given: from the asked offset on, without control records."""
        return tuple(
            record
            for batch in self.batches
            if not batch.is_control
            for record in batch.records
            if record.offset >= self.offset
        )

    @property
    def next_offset(self) -> int:
        """Where a consumer would go on."""
        return max([self.offset, *(batch.end_offset for batch in self.batches)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedOffset:
    """The answer to a ListOffsets about one partition."""

    error: ErrorCode
    offset: int
    timestamp_ms: int
    leader_epoch: int


@dataclass(eq=False)
class Topic:
    """A topic of a test's own."""

    client: Client
    name: str
    view: TopicView
    """As every broker showed it when it was settled."""

    @property
    def target(self) -> Target:
        return self.client.target

    @cached_property
    def topic_id(self) -> UUID | None:
        """Raises `Unsupported` where the brokers know no topic ids (KIP-516)."""
        return self.client.topic_id(self.name)

    def named(self, version: int | None) -> dict[str, object]:
        """How Produce and Fetch name it: by its id from version 13 on."""
        if version is not None and version > NAMED_TOPICS_UP_TO:
            return {"topic_id": self.topic_id}
        return {"name": self.name}

    def __getitem__(self, number: int) -> "Partition":
        return self._partitions[number]

    def __len__(self) -> int:
        return len(self._partitions)

    @cached_property
    def _partitions(self) -> dict[int, "Partition"]:
        return {number: Partition(self, number) for number in sorted(self.view.partitions)}

    def refresh(self) -> None:
        """Waits until the metadata is settled again, and takes it over."""
        self.view = self.client.settled(self.name)
        self.__dict__.pop("_partitions", None)


@dataclass(eq=False)
class Partition:
    """One partition. `over` sends an operation on another connection than the shared one."""

    topic: Topic
    number: int

    @property
    def client(self) -> Client:
        return self.topic.client

    @property
    def target(self) -> Target:
        return self.topic.client.target

    @property
    def view(self) -> PartitionView:
        return self.topic.view.partitions[self.number]

    @property
    def leader(self) -> Connection:
        """The shared connection to the leader."""
        return self.client.broker(self.view.leader)

    @property
    def followers(self) -> tuple[int, ...]:
        return tuple(b for b in self.view.replicas if b != self.view.leader)

    def connect(self) -> Connection:
        """One more connection to the leader."""
        return self.client.connect(self.view.leader)

    # ---- Produce --------------------------------------------------------------------------------

    def produce_request(
        self,
        batch: Batch | bytes | None,
        *,
        acks: int = -1,
        timeout_ms: int = PRODUCE_TIMEOUT_MS,
        over: Connection | None = None,
        version: int | None = None,
        transactional_id: str | None = None,
    ) -> Entity:
        records = batch.encode() if isinstance(batch, Batch) else batch
        part = {"index": self.number, "records": records}
        named = self.topic.named(version)
        return (over or self.leader).build(
            "produce",
            at_least=3 if version is None else version,
            at_most=NAMED_TOPICS_UP_TO if version is None else version,
            acks=acks,
            timeout=timeout_ms,
            transactional_id=transactional_id,
            topic_data=[named | {"partition_data": [part]}],
        )

    def produce(
        self,
        batch: Batch | bytes | None,
        *,
        acks: int = -1,
        timeout_ms: int = PRODUCE_TIMEOUT_MS,
        over: Connection | None = None,
        version: int | None = None,
    ) -> Pending[Appended]:
        """Sends one batch, or any bytes in its place."""
        connection = over or self.leader
        request = self.produce_request(
            batch, acks=acks, timeout_ms=timeout_ms, over=connection, version=version
        )
        return connection.send(request, appended, answered=acks != 0)

    def append(self, *values: bytes | None, **header: Any) -> Appended:
        """Appends one batch with acks=all and waits; raises `Inconclusive` unless it succeeds.

        For tests that are about something else than appending.
        """
        return self.append_batch(batch_of(*values, **header))

    def append_records(self, records: Sequence[NewRecord], **header: Any) -> Appended:
        """The same with whole records."""
        return self.append_batch(Batch(records=records, **header))

    def append_batch(self, batch: Batch) -> Appended:
        answer = self.produce(batch).result()
        if answer.error is not ErrorCode.none:
            raise Inconclusive(f"the premise could not be appended: {answer.error.name}")
        return answer

    # ---- Fetch ----------------------------------------------------------------------------------

    def fetch_request(
        self,
        offset: int,
        *,
        max_wait_ms: int = 0,
        min_bytes: int = 1,
        max_bytes: int = FETCH_MAX_BYTES,
        partition_max_bytes: int = FETCH_MAX_BYTES,
        read_committed: bool = False,
        over: Connection | None = None,
        version: int | None = None,
        essential: tuple[str, ...] = (),
        **position: object,
    ) -> Entity:
        """`position` sets further fields of the partition: `current_leader_epoch=3`."""
        fields = {
            "current_leader_epoch": -1,
            "last_fetched_epoch": -1,
            "log_start_offset": -1,
            "partition": self.number,
            "fetch_offset": offset,
            "partition_max_bytes": partition_max_bytes,
        }
        named = self.topic.named(version)
        if "name" in named:
            named["topic"] = named.pop("name")
        return (over or self.leader).build(
            "fetch",
            at_least=4 if version is None else version,
            at_most=NAMED_TOPICS_UP_TO if version is None else version,
            essential=(*essential, *position),
            replica_id=-1,
            max_wait=max_wait_ms,
            min_bytes=min_bytes,
            max_bytes=max_bytes,
            isolation_level=int(read_committed),
            session_id=0,
            session_epoch=-1,
            topics=[named | {"partitions": [fields | position]}],
        )

    def fetch(
        self, offset: int, *, over: Connection | None = None, **options: Any
    ) -> Pending[Fetched]:
        """Reads from an offset, outside any session. Options are those of `fetch_request`."""
        connection = over or self.leader
        request = self.fetch_request(offset, over=connection, **options)
        return connection.send(request, partial(fetched, offset=offset))

    def read(self, start: int | None = None, end: int | None = None) -> list[Record]:
        """All that a consumer is given, from the log's start to the end it was told of."""
        return [
            record
            for batch in self.read_batches(start, end)
            if not batch.is_control
            for record in batch.records
        ]

    def read_batches(self, start: int | None = None, end: int | None = None) -> list[StoredBatch]:
        offset = self.offset_at(EARLIEST) if start is None else start
        end = self.offset_at(LATEST) if end is None else end
        found: list[StoredBatch] = []
        while offset < end:
            answer = self.fetch(offset, max_wait_ms=FETCH_WAITS_MS).result()
            if answer.error is not ErrorCode.none or not answer.batches:
                raise Inconclusive(f"nothing to read at {offset} of {end}: {answer.error.name}")
            found += answer.batches
            offset = answer.next_offset
        return found

    # ---- offsets --------------------------------------------------------------------------------

    def list_offsets(
        self,
        timestamp: int,
        *,
        read_committed: bool = False,
        over: Connection | None = None,
        version: int | None = None,
        **position: object,
    ) -> Pending[ListedOffset]:
        """`timestamp` in milliseconds, or LATEST, EARLIEST, MAX_TIMESTAMP."""
        connection = over or self.leader
        fields = {"current_leader_epoch": -1} | {
            "partition_index": self.number,
            "timestamp": timestamp,
        }
        newest = 7 if timestamp == MAX_TIMESTAMP else 5
        request = connection.build(
            "list_offsets",
            at_least=(7 if timestamp == MAX_TIMESTAMP else 1) if version is None else version,
            at_most=newest if version is None else version,
            essential=tuple(position),
            replica_id=-1,
            isolation_level=int(read_committed),
            topics=[{"name": self.topic.name, "partitions": [fields | position]}],
        )
        return connection.send(request, listed)

    def offset_at(self, timestamp: int) -> int:
        """The offset for a timestamp; raises `Inconclusive` on an error.

        Patient with a leader that has just been elected: its metadata may be ahead of its log.
        """
        answer = self.target.eventually(
            lambda: self.list_offsets(timestamp).result(),
            lambda found: found.error not in NOT_YET,
            within_ms=LEADS_WITHIN_MS,
        )
        if answer.error is not ErrorCode.none:
            raise Inconclusive(f"offset at {timestamp}: {answer.error.name}")
        return answer.offset

    @property
    def end_offset(self) -> int:
        """The high watermark, as ListOffsets tells a consumer."""
        return self.offset_at(LATEST)

    def epoch_end(
        self, leader_epoch: int, *, over: Connection | None = None, current_leader_epoch: int = -1
    ) -> Pending[Any]:
        """OffsetForLeaderEpoch: `error_code`, `leader_epoch` and `end_offset`."""
        connection = over or self.leader
        part = {
            "partition": self.number,
            "leader_epoch": leader_epoch,
            "current_leader_epoch": current_leader_epoch,
        }
        request = connection.build(
            "offset_for_leader_epoch",
            at_least=2,
            essential=("current_leader_epoch",),
            replica_id=-1,
            topics=[{"topic": self.topic.name, "partitions": [part]}],
        )
        return connection.send(request, lambda answer: answer.topics[0].partitions[0])

    def delete_records(self, before_offset: int, *, over: Connection | None = None) -> Pending[Any]:
        """DeleteRecords: `error_code` and `low_watermark`."""
        connection = over or self.leader
        part = {"partition_index": self.number, "offset": before_offset}
        request = connection.build(
            "delete_records",
            topics=[{"name": self.topic.name, "partitions": [part]}],
            timeout=PRODUCE_TIMEOUT_MS,
        )
        return connection.send(request, lambda answer: answer.topics[0].partitions[0])


# ---- answers ------------------------------------------------------------------------------------


def appended(answer: Entity) -> Appended:
    """Of a Produce about a single partition."""
    part = answer.responses[0].partition_responses[0]
    time = part.log_append_time
    return Appended(
        error=part.error_code,
        base_offset=part.base_offset,
        log_append_time_ms=None if time is None else round(time.timestamp() * 1000),
        log_start_offset=getattr(part, "log_start_offset", None),
        raw=part,
    )


def fetched(answer: Entity, offset: int) -> Fetched:
    """Of a Fetch about a single partition; an error of the whole request stands for it."""
    if not answer.responses:
        error = getattr(answer, "error_code", ErrorCode.none)
        return Fetched(
            offset=offset,
            error=error,
            high_watermark=-1,
            last_stable_offset=-1,
            log_start_offset=-1,
            batches=(),
            raw=answer,
        )
    part = answer.responses[0].partitions[0]
    return Fetched(
        offset=offset,
        error=part.error_code,
        high_watermark=part.high_watermark,
        last_stable_offset=part.last_stable_offset,
        log_start_offset=getattr(part, "log_start_offset", -1),
        batches=read_batches(bytes(part.records or b"")),
        raw=part,
    )


def listed(answer: Entity) -> ListedOffset:
    part = answer.topics[0].partitions[0]
    return ListedOffset(
        error=part.error_code,
        offset=part.offset,
        timestamp_ms=part.timestamp,
        leader_epoch=getattr(part, "leader_epoch", -1),
    )
