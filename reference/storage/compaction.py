"""What remains of batches after compaction: for each key the latest record.

Offsets and order stay; so do the batches' own offsets, epochs and sequence numbers, whatever is
taken out of them. A tombstone stays for some time after the first cleaning that meets it, so that a
reader on its way sees it. Of a transaction that was aborted nothing counts, and its marker, like
that of any transaction, outlives its records. Source: core/.../log/Cleaner, KIP-534.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reference.batch import (
    CODEC_MASK,
    DELETE_HORIZON_BIT,
    LOG_APPEND_TIME_BIT,
    TRANSACTIONAL_BIT,
    Header,
    assembled,
    read_header,
)
from reference.compression import packed
from reference.producer_state import Producer
from reference.records import Record, open_batch, retimed
from reference.rules import Rules

ABORT = 0
"""The type in the key of a control record; 1 is COMMIT."""


@dataclass(slots=True)
class _Transactions:
    """Which batches were aborted, and which ones each marker has ended."""

    aborted: set[int] = field(default_factory=set)
    ended_by: dict[int, list[int]] = field(default_factory=dict)
    """Position of a marker -> positions of the batches of its transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """One pass over the front of a log."""

    batches: Sequence[bytes]
    headers: Sequence[Header]
    count: int
    """How many batches from the first on are cleaned. The others only say what was aborted."""
    producers: Mapping[int, Producer]
    now_ms: int
    delete_retention_ms: int
    rules: Rules

    def outcome(self) -> list[bytes | None]:
        """Returns what becomes of each of the first `count` batches; None where it goes.

        A batch that stays as it is, is the same object.
        """
        transactions = self._transactions()
        latest = self._latest(transactions)
        found: list[bytes | None] = []
        left: list[int] = []
        """How many records each of them has still."""
        for position in range(self.count):
            if position in transactions.ended_by:
                data = transactions.ended_by[position]
                kept = self._marker(position, any(left[each] for each in data))
            elif position in transactions.aborted:
                kept = self._without_records(position)
            else:
                kept = self._latest_of(position, latest)
            found.append(kept)
            left.append(0 if kept is None else read_header(kept).record_count)
        return found

    # ---- what there is -------------------------------------------------------------------------

    def _transactions(self) -> _Transactions:
        """A transaction of the front may be ended behind it."""
        found, under_way = _Transactions(), dict[int, list[int]]()
        for position, header in enumerate(self.headers):
            if header.is_control:
                data = under_way.pop(header.producer_id, [])
                found.ended_by[position] = data
                if self._is_abort(position):
                    found.aborted.update(data)
            elif header.attributes & TRANSACTIONAL_BIT:
                under_way.setdefault(header.producer_id, []).append(position)
        return found

    def _is_abort(self, position: int) -> bool:
        _, payload, records = open_batch(self.batches[position])
        keys = [record.key(payload) for record in records]
        return any(int.from_bytes(key[2:4], "big") == ABORT for key in keys)

    def _latest(self, transactions: _Transactions) -> dict[bytes, int]:
        """The offset of the record of each key that survives."""
        latest: dict[bytes, int] = {}
        for position in range(self.count):
            if self.headers[position].is_control or position in transactions.aborted:
                continue
            header, payload, records = open_batch(self.batches[position])
            for record in records:
                if record.has_key:
                    key, offset = record.key(payload), header.base_offset + record.offset_delta
                    latest[key] = self.rules.survivor(latest.get(key, offset), offset)
        return latest

    # ---- what becomes of it --------------------------------------------------------------------

    def _latest_of(self, position: int, latest: Mapping[bytes, int]) -> bytes | None:
        header, payload, records = open_batch(self.batches[position])
        horizon = header.delete_horizon_ms
        tombstones_go = self.rules.tombstone_may_go(horizon, self.now_ms)
        kept = [
            record
            for record in records
            if record.has_key
            and latest[record.key(payload)] == header.base_offset + record.offset_delta
            and not (tombstones_go and record.is_tombstone)
        ]
        if not kept:
            return self._without_records(position)
        begins_to_wait = horizon is None and any(record.is_tombstone for record in kept)
        if len(kept) == len(records) and not begins_to_wait:
            return self.batches[position]
        return _rewritten(header, payload, kept, self._horizon if begins_to_wait else None)

    def _marker(self, position: int, is_needed: bool) -> bytes | None:
        """A marker without records to mark waits as long as a tombstone."""
        header = self.headers[position]
        batch = self.batches[position]
        if is_needed or header.record_count == 0:
            return batch
        if header.delete_horizon_ms is None:
            _, payload, records = open_batch(batch)
            return _rewritten(header, payload, records, self._horizon)
        if self.rules.tombstone_may_go(header.delete_horizon_ms, self.now_ms):
            return self._without_records(position)
        return batch

    @property
    def _horizon(self) -> int:
        return self.now_ms + self.delete_retention_ms

    def _without_records(self, position: int) -> bytes | None:
        """Nothing, or an empty batch where no other tells the producer's last sequence (LOG-09)."""
        header = self.headers[position]
        producer = self.producers.get(header.producer_id)
        is_last = producer is not None and producer.recent[-1].end_offset == header.end_offset
        if not self.rules.keeps_empty_batch(is_last):
            return None
        if header.record_count == 0:
            return self.batches[position]
        return assembled(_without_codec(header)._replace(record_count=0), b"")


def _rewritten(
    header: Header, payload: bytes, records: Sequence[Record], horizon_ms: int | None
) -> bytes:
    """The batch with these of its records, and with a delete horizon if one is given."""
    if horizon_ms is None:
        content = b"".join(payload[record.start : record.end] for record in records)
    else:
        content = b"".join(retimed(payload, record, horizon_ms) for record in records)
        attributes = header.attributes | DELETE_HORIZON_BIT
        header = header._replace(attributes=attributes, base_timestamp=horizon_ms)
    if not header.attributes & LOG_APPEND_TIME_BIT:
        newest = max(record.timestamp_ms for record in records)
        header = header._replace(max_timestamp=newest)
    return assembled(header._replace(record_count=len(records)), packed(header.codec, content))


def _without_codec(header: Header) -> Header:
    return header._replace(attributes=header.attributes & ~CODEC_MASK)
