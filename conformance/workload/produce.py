"""Batches of known content, the numbers of idempotent producers, and the rule about them."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.connection import Connection
from conformance.outcomes import Unsupported
from conformance.partition import Appended, Partition
from conformance.records import Batch, NewRecord, Record, batch_of

SEQUENCES = 1 << 31
"""A sequence is a non-negative int32; 2147483647 is followed by 0."""
WINDOW = 5
"""How many batches per producer a broker remembers (ProducerStateEntry, NUM_BATCHES_TO_RETAIN)."""
RECENT_MS = 1_700_000_000_000

# ---- records ------------------------------------------------------------------------------------

_short = st.binary(max_size=24)
_header = st.tuples(st.text(max_size=6), st.none() | _short)


def new_records() -> st.SearchStrategy[NewRecord]:
    """Any record: null and empty keys and values, headers that repeat, times in any order."""
    return st.builds(
        NewRecord,
        key=st.none() | _short,
        value=st.none() | _short,
        headers=st.lists(_header, max_size=3).map(tuple),
        timestamp_ms=st.integers(RECENT_MS, RECENT_MS + 3_600_000),
    )


def as_read(records: Sequence[NewRecord], base_offset: int = 0) -> list[Record]:
    """What a consumer must be given where these records were appended at `base_offset`."""
    return [
        Record(
            offset=offset,
            timestamp_ms=record.timestamp_ms or 0,
            key=record.key,
            value=record.value,
            headers=record.headers,
        )
        for offset, record in enumerate(records, base_offset)
    ]


def log_end(partition: Partition) -> int:
    """Where the leader's log ended: appends one record there, because the high watermark, which is
    all that ListOffsets shows, may trail an append or hide one that should not have been."""
    return partition.append(b"the end").base_offset


def values_of(partition: Partition) -> list[bytes | None]:
    """The values of all records, in order."""
    return [record.value for record in partition.read()]


def served_versions(connection: Connection, api: str, at_least: int = 0) -> list[int]:
    """The versions that both sides know, ascending."""
    low, high = connection.versions.get(codec.KEYS[api], (0, -1))
    return [v for v in codec.VERSIONS[api] if max(low, at_least) <= v <= high]


def needs_topic_configs(partition: Partition) -> None:
    """Raises `Unsupported` where topics appear by themselves, so that none can be configured."""
    if not partition.client.controller().serves("create_topics"):
        raise Unsupported("the brokers do not serve CreateTopics, so no topic can be configured")


# ---- idempotent producers -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a broker knows a batch of an idempotent producer by."""

    epoch: int = 0
    first: int = 0
    """The base sequence."""
    count: int = 1

    @property
    def next(self) -> int:
        return (self.first + self.count) % SEQUENCES

    def batch(self, producer_id: int, label: str = "") -> Batch:
        """The batch with these numbers. The label goes into the values, to tell apart those who
        claim to be the same."""
        values = [
            f"{producer_id}/{self.epoch}/{(self.first + i) % SEQUENCES} {label}".encode()
            for i in range(self.count)
        ]
        return batch_of(
            *values,
            producer_id=producer_id,
            producer_epoch=self.epoch,
            base_sequence=self.first,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the rule has a broker answer."""

    name: str
    errors: frozenset[ErrorCode]
    """Any of these will do."""
    base_offset: int = -1

    @property
    def appends(self) -> bool:
        return self.name == "appended"

    def agrees(self, seen: Appended) -> bool:
        right_place = seen.error is not ErrorCode.none or seen.base_offset == self.base_offset
        return seen.error in self.errors and right_place


OK = frozenset({ErrorCode.none})
OUT_OF_ORDER = frozenset({ErrorCode.out_of_order_sequence_number})
FENCED = Answer(name="fenced", errors=frozenset({ErrorCode.invalid_producer_epoch}))
GAP = Answer(name="out of order", errors=OUT_OF_ORDER)
TOO_OLD = OK | OUT_OF_ORDER | {ErrorCode.duplicate_sequence_number}
"""A broker may remember more than five batches; it must not append one of them again."""


@dataclass(slots=True)
class ProducerRule:
    """PROD-06 and PROD-07 as a function: what is known of one producer on one partition."""

    epoch: int = -1
    next_sequence: int = 0
    window: deque[tuple[Numbers, int]] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """The last batches, each with its base offset."""
    forgotten: dict[Numbers, int] = field(default_factory=dict)
    """What has left the window in this epoch."""

    def answer(self, numbers: Numbers, end_offset: int) -> Answer:
        """What the next batch must be answered; its effect on what is known is taken over."""
        if numbers.epoch < self.epoch:
            return FENCED
        for known, base_offset in self.window:
            if known == numbers:
                return Answer(name="repeated", errors=OK, base_offset=base_offset)
        in_order = self.next_sequence if numbers.epoch == self.epoch else 0
        if self.epoch >= 0 and numbers.first != in_order:
            if numbers in self.forgotten:
                return Answer(name="too old", errors=TOO_OLD, base_offset=self.forgotten[numbers])
            return GAP
        self._append(numbers, end_offset)
        return Answer(name="appended", errors=OK, base_offset=end_offset)

    def _append(self, numbers: Numbers, base_offset: int) -> None:
        if numbers.epoch != self.epoch:
            self.window.clear()
            self.forgotten.clear()
        elif len(self.window) == WINDOW:
            self.forgotten.update([self.window[0]])
        self.window.append((numbers, base_offset))
        self.epoch, self.next_sequence = numbers.epoch, numbers.next
