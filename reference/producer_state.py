"""Idempotence: what a partition remembers of each producer (KIP-98, KIP-360).

The state is a function of the log: followers and new leaders replay it, and truncation replays it
again. It starts from a snapshot of what was deleted from the front, since retention must not weaken
deduplication (PROD-10).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reference.batch import SEQUENCE_MASK, Header
from reference.errors import Error
from reference.rules import Rules

NO_SEQUENCE = -1


class Remembered(NamedTuple):
    """One appended batch, as far as a retry of it must be recognised."""

    base_sequence: int
    record_count: int
    """How many it was appended with: compaction may have left fewer."""
    base_offset: int
    end_offset: int
    max_timestamp: int

    @property
    def last_sequence(self) -> int:
        return (self.base_sequence + self.record_count - 1) & SEQUENCE_MASK


class Producer(NamedTuple):
    epoch: int
    recent: tuple[Remembered, ...]
    """The newest last."""


ProducerSnapshot = Mapping[int, Producer]


@dataclass(slots=True)
class ProducerState:
    rules: Rules
    producers: dict[int, Producer] = field(default_factory=dict)

    def duplicate_of(self, header: Header) -> Remembered | None:
        """The batch that this one repeats, if it is among the remembered of its epoch."""
        producer = self.producers.get(header.producer_id)
        if producer is None or producer.epoch != header.producer_epoch:
            return None
        wanted = (header.base_sequence, header.record_count)
        for batch in producer.recent:
            if (batch.base_sequence, batch.record_count) == wanted:
                return batch
        return None

    def check(self, header: Header) -> Error:
        """Whether the batch comes next. Without state any first sequence is right (KIP-360)."""
        producer = self.producers.get(header.producer_id)
        if producer is None:
            return Error.NONE
        if not self.rules.producer_epoch_accepted(producer.epoch, header.producer_epoch):
            return Error.INVALID_PRODUCER_EPOCH
        same_epoch = header.producer_epoch <= producer.epoch
        last = producer.recent[-1].last_sequence if same_epoch else NO_SEQUENCE
        if not self.rules.sequence_follows(last, header.base_sequence):
            return Error.OUT_OF_ORDER_SEQUENCE_NUMBER
        return Error.NONE

    def remember(self, header: Header) -> None:
        """Takes note of an appended batch, on leaders and followers alike."""
        if not header.is_idempotent:
            return
        batch = Remembered(
            header.base_sequence,
            header.last_offset_delta + 1,
            header.base_offset,
            header.end_offset,
            header.max_timestamp,
        )
        known = self.producers.get(header.producer_id)
        recent = known.recent if known and known.epoch == header.producer_epoch else ()
        kept = (*recent, batch)[-self.rules.batches_remembered() :]
        self.producers[header.producer_id] = Producer(header.producer_epoch, kept)

    def replay(self, snapshot: ProducerSnapshot, headers: Iterable[Header]) -> None:
        """Becomes what the snapshot and the batches after it make."""
        self.producers = dict(snapshot)
        for header in headers:
            self.remember(header)
