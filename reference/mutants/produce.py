"""Wrong rules of accepting and appending batches."""

from collections.abc import Hashable, Sequence

from reference.batch import Header, assembled, read_header
from reference.errors import Error
from reference.mutants.mutant import Mutant
from reference.records import open_batch
from reference.rules import Rules


class InvalidAcksAccepted(Rules):
    def acks_allowed(self, acks: int) -> bool:
        return True


class CrcNotChecked(Rules):
    def crc_is_right(self, batch: bytes) -> bool:
        return True


class BatchLimitIgnored(Rules):
    def batch_size_allowed(self, size_bytes: int, max_message_bytes: int) -> bool:
        return True


class TopicLimitIgnored(Rules):
    def topic_limit(self, overridden: int, default: int) -> int:
        return default


class ControlBatchAccepted(Rules):
    def client_may_write_control_batches(self) -> bool:
        return True


class RefusedYetAppended(Rules):
    def keeps_refused(self, error: Error) -> bool:
        return True


class BatchSplitVisible(Rules):
    """Holds the second half of every batch back until another one comes: the halves interleave."""

    def __init__(self) -> None:
        self._held: dict[Hashable, bytes] = {}

    def pieces(self, partition: Hashable, batch: bytes) -> Sequence[bytes]:
        header = read_header(batch)
        if header.record_count < 2:
            return (batch,)
        first, second = _halves(batch)
        held = self._held.get(partition)
        self._held[partition] = second
        return (first,) if held is None else (first, held)


def _halves(batch: bytes) -> tuple[bytes, bytes]:
    header, payload, records = open_batch(batch)
    plain = header._replace(attributes=header.attributes & ~7)
    middle = len(records) // 2
    cut = records[middle].start
    return _part(plain, payload[:cut], middle), _part(plain, payload[cut:], len(records) - middle)


def _part(header: Header, payload: bytes, count: int) -> bytes:
    # The second half's offset deltas no longer start at 0: half of what makes such a broker wrong.
    return assembled(header._replace(record_count=count, last_offset_delta=count - 1), payload)


class SmallBatchTwice(Rules):
    def pieces(self, partition: object, batch: bytes) -> Sequence[bytes]:
        return (batch, batch) if read_header(batch).record_count == 1 else (batch,)


class RefusalTakesOffset(Rules):
    def end_after_refusal(self, end_offset: int) -> int:
        return end_offset + 1


class LastOffsetAnswered(Rules):
    def answered_base_offset(self, base_offset: int, last_offset: int) -> int:
        return last_offset


MUTANTS = (
    Mutant(
        name="invalid-acks-accepted",
        id="M-135",
        clauses=("PROD-01",),
        rules=InvalidAcksAccepted,
        wrong="acks=2 is taken for acks=1.",
    ),
    Mutant(
        name="crc-not-checked",
        id="M-93",
        clauses=("DUR-03", "ERR-04"),
        rules=CrcNotChecked,
        wrong="A batch whose checksum does not match is appended.",
    ),
    Mutant(
        name="batch-limit-ignored",
        id="H-03",
        clauses=("ERR-04",),
        rules=BatchLimitIgnored,
        wrong="A batch larger than max.message.bytes is appended.",
    ),
    Mutant(
        name="topic-limit-ignored",
        id="H-04",
        clauses=("META-07", "ERR-04"),
        rules=TopicLimitIgnored,
        wrong="A topic's own max.message.bytes reads back but does not bound its batches.",
    ),
    Mutant(
        name="control-batch-accepted",
        id="H-05",
        clauses=("ERR-04",),
        rules=ControlBatchAccepted,
        wrong="A client may write control batches.",
    ),
    Mutant(
        name="refused-yet-appended",
        id="H-06",
        clauses=("ERR-07", "PROD-07", "PROD-03"),
        rules=RefusedYetAppended,
        wrong="A batch is refused for its sequence number and appended all the same.",
    ),
    Mutant(
        name="batch-split-visible",
        id="M-94",
        clauses=("PROD-03", "PROD-02"),
        rules=BatchSplitVisible,
        wrong="A batch is appended in two pieces, and another's may come between them.",
    ),
    Mutant(
        name="batch-size-zero-bug",
        id="M-95",
        clauses=("PROD-05", "PROD-02"),
        rules=SmallBatchTwice,
        wrong="A batch of a single record is appended twice.",
    ),
    Mutant(
        name="refusal-takes-offset",
        id="H-07",
        clauses=("LOG-01",),
        rules=RefusalTakesOffset,
        wrong="A refused or repeated batch leaves a gap of one offset.",
    ),
    Mutant(
        name="last-offset-answered",
        id="H-08",
        clauses=("PROD-02", "LOG-01"),
        rules=LastOffsetAnswered,
        wrong="The response to a produce request names the batch's last offset as its base offset.",
    ),
)
