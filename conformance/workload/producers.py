"""Producers that go on whatever becomes of the brokers, and note what they are told.

The plain one never sends a value twice. The idempotent one sends each until it is acknowledged, as
Kafka's own producer does, and so always knows in the end.
"""

from dataclasses import replace

from kio.schema.errors import ErrorCode

from conformance.connection import Pending
from conformance.outcomes import Outcome, outcome_of
from conformance.partition import Appended
from conformance.records import batch_of
from conformance.targets.target import Worker
from conformance.workload.history import FORGOTTEN, Write
from conformance.workload.lines import Lines
from conformance.workload.load import Load

PACE_MS = 20
BACK_OFF_MS = 100
PRODUCE_TIMEOUT_MS = 1_500
SLACK_MS = 4_500
"""How late the answer may be, compared with what the broker was asked for, on a busy machine."""
WINDOW = 3
"""How many batches an idempotent producer has in flight; brokers remember five."""
FORGETS_FOR_MS = 10_000
"""How long a broker may deny a sequence, before it is believed to have forgotten what was before:
a deposed leader that has not heard of it may deny it for a while."""


def plain(load: Load, name: str) -> Worker:
    """Writes unique values with acks=all, one after the other."""
    lines, number = Lines(load.brokers), 0
    while load.is_open:
        write = _begin(load, f"{name}/{number}", name)
        number += 1
        pending = _send(load, lines, write)
        yield load.target.after(PRODUCE_TIMEOUT_MS + SLACK_MS, pending)
        _settle(load, lines, write, pending)
        done = write.outcome is Outcome.OK
        yield load.target.after(PACE_MS if done else BACK_OFF_MS)
    lines.close()


def idempotent(load: Load, name: str, producer_id: int) -> Worker:
    """Has up to three numbered batches in flight and sends each until it is acknowledged.

    It ends early where a broker does not know what was acknowledged before (`FORGOTTEN`).
    """
    lines, waiting, number = Lines(load.brokers), list[Write](), 0
    denied_since: int | None = None
    while load.is_open or waiting:
        while load.is_open and len(waiting) < WINDOW:
            waiting.append(_begin(load, f"{name}/{number}", name, number))
            number += 1
        sent = [(write, _send(load, lines, write, producer_id)) for write in waiting]
        for write, pending in sent:
            yield load.target.after(PRODUCE_TIMEOUT_MS + SLACK_MS, pending)
            _settle(load, lines, write, pending)
        while waiting and waiting[0].outcome is Outcome.OK:
            waiting.pop(0)
            denied_since = None
        if waiting:
            if waiting[0].error not in FORGOTTEN:
                denied_since = None
            elif denied_since is None:
                denied_since = load.target.now_ms()
            elif load.target.now_ms() - denied_since > FORGETS_FOR_MS:
                return
            lines.close()
        yield load.target.after(BACK_OFF_MS if waiting else PACE_MS)
    lines.close()


def _begin(load: Load, value: str, producer: str, sequence: int | None = None) -> Write:
    write = Write(
        value=value.encode(),
        producer=producer,
        sent_ms=load.target.now_ms(),
        timestamp_ms=load.target.clock_ms(),
        sequence=sequence,
    )
    load.history.writes.append(write)
    return write


def _send(
    load: Load, lines: Lines, write: Write, producer_id: int | None = None
) -> Pending[Appended]:
    write.broker, write.attempts = load.leader, write.attempts + 1
    batch = batch_of(write.value, timestamp_ms=write.timestamp_ms)
    if write.sequence is not None and producer_id is not None:
        batch = replace(
            batch, producer_id=producer_id, producer_epoch=0, base_sequence=write.sequence
        )
    over = lines.to(write.broker)
    return load.partition.produce(batch, timeout_ms=PRODUCE_TIMEOUT_MS, over=over)


def _settle(load: Load, lines: Lines, write: Write, pending: Pending[Appended]) -> None:
    """Notes what is known now. What is unknown of an idempotent write, it will ask again."""
    write.settled_ms = load.target.now_ms()
    write.error = None
    if not pending.answered:
        write.outcome = Outcome.INFO
        if not pending.settled:
            write.hung_at = write.broker
        lines.drop(write.broker)
        return
    answer = pending.value
    write.error, write.outcome = answer.error, outcome_of(answer.error)
    if write.sequence is not None and answer.error is ErrorCode.duplicate_sequence_number:
        write.outcome = Outcome.OK
    elif write.outcome is Outcome.FAIL and write.attempts > 1:
        write.outcome = Outcome.INFO  # an earlier attempt may have come through
    elif answer.error is ErrorCode.none and answer.base_offset >= 0:
        write.offset = answer.base_offset
