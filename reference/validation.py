"""What a broker checks of a batch before it appends it, and how it stores it.

The order of checks is Kafka's: ProduceRequest.validateRecords, then
UnifiedLog.analyzeAndValidateRecords, then LogValidator.
"""

from collections.abc import Iterable
from typing import NamedTuple

from reference.batch import (
    CODEC_MASK,
    CONTROL_BIT,
    HEADER_BYTES,
    LENGTH_ENDS_AT,
    LOG_APPEND_TIME_BIT,
    MAGIC,
    MAGIC_AT,
    TRANSACTIONAL_BIT,
    Header,
    assembled,
    read_header,
    rewritten,
)
from reference.compression import ZSTD, packed
from reference.configs import TopicConfig
from reference.errors import Error
from reference.records import MalformedRecords, Record, open_batch
from reference.requests import NO_TIMESTAMP, RecordError
from reference.rules import Rules

ZSTD_SINCE_PRODUCE = 7
SMALLEST_BATCH_BYTES = 26
"""Of any magic: the length field's own 12 bytes and LegacyRecord.RECORD_OVERHEAD_V0."""
RECORD_ERRORS_MAX = 100
"""How many records a response names; the others share their fate."""


class Refused(Exception):
    """The batch is not appended, and why."""

    def __init__(
        self, error: Error, message: str, record_errors: tuple[RecordError, ...] = ()
    ) -> None:
        super().__init__(message)
        self.error = error
        self.message = message
        self.record_errors = record_errors


class Accepted(NamedTuple):
    """A batch as it will be stored, but for its base offset and leader epoch."""

    batch: bytes
    log_append_time_ms: int
    """-1 where records keep their own timestamps."""


def validated(
    batch: bytes | None, config: TopicConfig, rules: Rules, *, now_ms: int, api_version: int
) -> Accepted:
    """Returns what to append. Raises Refused."""
    content = batch or b""
    header = _shape(content)
    if header.codec == ZSTD and api_version < ZSTD_SINCE_PRODUCE:
        raise Refused(Error.UNSUPPORTED_COMPRESSION_TYPE, f"zstd with Produce {api_version}")
    if header.base_offset != 0:
        raise Refused(Error.INVALID_RECORD, f"The base offset is {header.base_offset}, not 0")
    limit = rules.topic_limit(config.max_message_bytes, config.default_max_message_bytes)
    if not rules.batch_size_allowed(len(content), limit):
        raise Refused(Error.MESSAGE_TOO_LARGE, f"{len(content)} bytes exceed {limit}")
    if not rules.crc_is_right(content):
        raise Refused(Error.CORRUPT_MESSAGE, "The checksum does not match")
    _check_header(header, rules)
    try:
        _, payload, records = open_batch(content)
    except MalformedRecords as error:
        raise Refused(Error.INVALID_RECORD, str(error)) from error
    _check_records(header, records, config, now_ms)
    stored = _as_stored(content, header, payload, records, config, now_ms)
    if len(stored) > config.segment_bytes:
        raise Refused(Error.RECORD_LIST_TOO_LARGE, f"{len(stored)} bytes exceed a segment")
    return Accepted(stored, now_ms if config.log_append_time else NO_TIMESTAMP)


def _shape(content: bytes) -> Header:
    """Exactly one batch of magic 2, as long as it says."""
    if len(content) <= MAGIC_AT:
        raise Refused(Error.INVALID_RECORD, "There is no whole record batch")
    size = LENGTH_ENDS_AT + int.from_bytes(content[8:LENGTH_ENDS_AT], "big", signed=True)
    magic = content[MAGIC_AT]
    if size < SMALLEST_BATCH_BYTES or magic > MAGIC:
        raise Refused(Error.CORRUPT_MESSAGE, f"A batch of {size} bytes and magic {magic}")
    if magic < MAGIC:
        raise Refused(Error.INVALID_RECORD, f"A batch of magic {magic}, which is out of use")
    if size < HEADER_BYTES:
        raise Refused(Error.CORRUPT_MESSAGE, f"A batch of {size} bytes")
    if size > len(content):
        raise Refused(Error.INVALID_RECORD, "The record batch is cut off")
    if size < len(content):
        raise Refused(Error.INVALID_RECORD, "There is more than one record batch")
    return read_header(content)


def _check_header(header: Header, rules: Rules) -> None:
    control = header.attributes & CONTROL_BIT
    if control and not rules.client_may_write_control_batches():
        raise Refused(Error.INVALID_RECORD, "Clients are not allowed to write control records")
    if header.last_offset_delta < 0:
        raise Refused(Error.INVALID_RECORD, f"The last delta is {header.last_offset_delta}")
    if header.record_count <= 0:
        raise Refused(Error.INVALID_RECORD, f"The batch counts {header.record_count} records")
    if header.last_offset_delta + 1 != header.record_count:
        text = f"{header.record_count} records, last offset delta {header.last_offset_delta}"
        raise Refused(Error.INVALID_RECORD, f"Inconsistent batch: {text}")
    if header.is_idempotent and min(header.producer_epoch, header.base_sequence) < 0:
        raise Refused(Error.INVALID_RECORD, "A producer without epoch or sequence")
    if header.producer_id < -1:
        raise Refused(Error.INVALID_RECORD, f"There is no producer {header.producer_id}")
    if header.attributes & TRANSACTIONAL_BIT:
        raise Refused(Error.INVALID_TXN_STATE, "No transaction coordinator knows the transaction")


def _check_records(header: Header, records: list[Record], config: TopicConfig, now_ms: int) -> None:
    if any(record.offset_delta != index for index, record in enumerate(records)):
        raise Refused(Error.INVALID_RECORD, "The offset deltas of the records are not 0, 1, 2 ...")
    if config.compacts:
        text = "Compacted topic cannot accept message without key"
        keyless = (index for index, record in enumerate(records) if not record.has_key)
        _refuse_any(Error.INVALID_RECORD, keyless, text)
    if header.attributes & LOG_APPEND_TIME_BIT:
        text = "Producer should not set timestamp type to LogAppendTime"
        _refuse_any(Error.INVALID_TIMESTAMP, range(len(records)), text)
    if not config.log_append_time:
        earliest = now_ms - config.timestamp_before_max_ms
        latest = now_ms + config.timestamp_after_max_ms
        outside = (
            index
            for index, record in enumerate(records)
            if record.timestamp_ms != NO_TIMESTAMP and not earliest <= record.timestamp_ms <= latest
        )
        _refuse_any(Error.INVALID_TIMESTAMP, outside, "Timestamp is out of range")


def _refuse_any(error: Error, positions: Iterable[int], text: str) -> None:
    found = tuple(RecordError(position, text) for position in positions)
    if found:
        raise Refused(error, text, found[:RECORD_ERRORS_MAX])


def _as_stored(
    content: bytes,
    header: Header,
    payload: bytes,
    records: list[Record],
    config: TopicConfig,
    now_ms: int,
) -> bytes:
    """Under the topic's codec and timestamp type, and with the true maximum timestamp."""
    newest = max(record.timestamp_ms for record in records)
    attributes = header.attributes & ~LOG_APPEND_TIME_BIT
    if config.log_append_time:
        newest, attributes = now_ms, attributes | LOG_APPEND_TIME_BIT
    if config.codec is not None and config.codec != header.codec:
        attributes = attributes & ~CODEC_MASK | config.codec
        changed = header._replace(attributes=attributes, max_timestamp=newest)
        return assembled(changed, packed(config.codec, payload))
    if (attributes, newest) != (header.attributes, header.max_timestamp):
        return rewritten(content, attributes=attributes, max_timestamp=newest)
    return content
