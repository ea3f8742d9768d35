"""The oracle: a sound history passes, and each way of being wrong is called by its clause."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from conformance.records import read_batches
from conformance.simulation.decisions import judge_decisions
from conformance.simulation.oracle import judge, premises
from reference.errors import Error
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState
from reference.requests import EpochEnd
from reference.simulator.history import (
    History,
    LatestOffset,
    Outcome,
    Read,
    ReadRecord,
    Sighting,
    Write,
)
from reference.simulator.workload import batch_of, records_of
from spec.clauses import CLAUSES


def write(producer: int, number: int, offset: int = -1, **fields: Any) -> Write:
    """An acknowledged write of an idempotent producer, unless told otherwise."""
    chosen: dict[str, Any] = {
        "producer": producer,
        "number": number,
        "partition": 0,
        "value": b"p%d.%d" % (producer, number),
        "acks": -1,
        "is_idempotent": True,
        "began_ms": 0,
        "attempts": 1,
        "outcome": Outcome.OK if offset >= 0 else Outcome.UNKNOWN,
        "offset": offset,
        "broker": 1,
    }
    return Write(**chosen | fields)


def read(*records: ReadRecord, **fields: Any) -> Read:
    offset = records[0].offset if records else 0
    chosen: dict[str, Any] = {
        "consumer": 0,
        "broker": 1,
        "partition": 0,
        "asked_ms": 5,
        "answered_ms": 9,
        "offset": offset,
        "leader_epoch": 0,
        "error": Error.NONE,
        "log_start_offset": 0,
        "last_stable_offset": 3,
        "high_watermark": 3,
        "diverging": None,
        "records": records,
    }
    return Read(**chosen | fields)


def latest(offset: int, consumer: int = 0) -> LatestOffset:
    return LatestOffset(
        consumer=consumer,
        broker=1,
        partition=0,
        asked_ms=1,
        answered_ms=2,
        leader_epoch=0,
        offset=offset,
    )


def seen(broker: int, leader: int, leader_epoch: int, isr: tuple[int, ...] = (1, 2)) -> Sighting:
    return Sighting(
        client="c0",
        broker=broker,
        at_ms=1,
        partition=0,
        leader=leader,
        leader_epoch=leader_epoch,
        isr=isr,
    )


LOG = (ReadRecord(0, 0, b"p0.0"), ReadRecord(1, 0, b"p1.0"), ReadRecord(2, 1, b"p0.1"))


def sound() -> History:
    return History(
        writes=[write(0, 0, 0), write(1, 0, 1, is_idempotent=False), write(0, 1, 2, broker=2)],
        reads=[read(*LOG[:2]), read(LOG[2], leader_epoch=1)],
        latest_offsets=[latest(1), latest(1), latest(3), latest(2, consumer=1)],
        sightings=[seen(1, 1, 0), seen(2, 1, 0), seen(1, 2, 1), seen(2, 1, 0), seen(2, 2, 1)],
    )


def test_a_sound_history_passes_and_its_premises_are_counted() -> None:
    assert judge(sound(), {0: LOG}) == []
    counts = premises(sound())
    assert counts["LEAD-04"] == counts["ISR-03"] == 3
    assert counts["ISR-04"] == 4
    assert counts["EOS-01"] == 2
    assert counts["ERR-07"] == 0
    assert set(counts) <= set(CLAUSES)


def more(name: str, *items: Any) -> Callable[[History], History]:
    return lambda history: replace(history, **{name: [*getattr(history, name), *items]})


LONGER = (*LOG, ReadRecord(3, 1, b"p0.0"))
WRITTEN_AGAIN = write(2, 0, is_idempotent=False, attempts=2)
TWICE = (*LOG, ReadRecord(3, 1, b"p2.0"), ReadRecord(4, 1, b"p2.0"))


@pytest.mark.parametrize(
    ("change", "final", "clauses"),
    [
        (more("writes", write(3, 0, 3)), LOG, {"LEAD-04", "ALO-01"}),
        (more("writes", write(3, 0, 1)), LOG, {"LEAD-04", "ALO-01", "LOG-02"}),
        (more("writes", write(3, 0, 0)), (*LOG, ReadRecord(3, 1, b"p3.0")), {"LEAD-04", "LOG-02"}),
        (more("writes", write(3, 0, 3, acks=1)), LOG, set()),
        (more("writes", write(3, 0)), (*LOG, ReadRecord(3, 1, b"p3.0")), set()),
        (
            more("writes", write(3, 0, outcome=Outcome.FAIL)),
            (*LOG, ReadRecord(3, 1, b"p3.0")),
            {"ERR-07"},
        ),
        (more("writes"), LONGER, {"EOS-01"}),
        (more("writes", WRITTEN_AGAIN), TWICE, set()),
        (more("writes", replace(WRITTEN_AGAIN, attempts=1)), TWICE, {"AMO-01"}),
        (
            more("writes", write(3, 0), write(3, 1)),
            (*LOG, ReadRecord(3, 1, b"p3.1"), ReadRecord(4, 1, b"p3.0")),
            {"EOS-01"},
        ),
        (
            more("writes", write(3, 0), write(3, 1, session=1)),
            (*LOG, ReadRecord(3, 1, b"p3.1"), ReadRecord(4, 1, b"p3.0")),
            set(),
        ),
        (
            more("writes", write(3, 0, is_idempotent=False)),
            (*LOG, ReadRecord(4, 1, b"p3.0")),
            {"LOG-01"},
        ),
        (more("writes"), (*LOG, ReadRecord(3, 1, b"who?")), {"LOG-02"}),
        (
            more("writes", write(3, 0, 3, broker=1)),
            (*LOG, ReadRecord(3, 1, b"p3.0")),
            {"LEAD-01"},
        ),
        (
            more("writes", write(3, 0, 3, broker=1, attempts=2)),
            (*LOG, ReadRecord(3, 1, b"p3.0")),
            set(),
        ),
        (more("reads", read(ReadRecord(1, 0, b"else"))), LOG, {"LOG-02"}),
        (more("reads", read(ReadRecord(1, 7, b"p1.0"))), LOG, {"LOG-02"}),
        (
            more("reads", read(ReadRecord(3, 1, b"gone"), high_watermark=4)),
            LOG,
            {"LEAD-04"},
        ),
        (
            more("reads", read(LOG[2], consumer=1, high_watermark=2, last_stable_offset=2)),
            LOG,
            {"ISR-03"},
        ),
        (more("reads", read(LOG[0], LOG[2])), LOG, {"LOG-01"}),
        (more("reads", read(high_watermark=2)), LOG, {"OFF-01"}),
        (more("reads", read(last_stable_offset=2), read(), read()), LOG, {"OFF-01"}),
        (more("reads", read(error=Error.OFFSET_OUT_OF_RANGE)), LOG, {"OFF-08"}),
        (more("reads", read(error=Error.FENCED_LEADER_EPOCH)), LOG, set()),
        (more("reads", read(offset=2, diverging=EpochEnd(0, 1))), LOG, {"LEAD-05"}),
        (more("latest_offsets", latest(2)), LOG, {"ISR-04"}),
        (more("sightings", seen(1, 1, 0)), LOG, {"META-05"}),
        (more("sightings", seen(3, 3, 1, (3,))), LOG, {"LEAD-02"}),
        (more("sightings", seen(3, 2, 1, (1, 3))), LOG, {"ISR-01"}),
    ],
)
def test_each_fault_is_called_by_its_clause(
    change: Callable[[History], History], final: tuple[ReadRecord, ...], clauses: set[str]
) -> None:
    found = judge(change(sound()), {0: final})
    assert {violation.clause for violation in found} == clauses
    assert all(violation.clause in CLAUSES and violation.message for violation in found)


def test_what_clients_write_is_what_brokers_and_readers_understand() -> None:
    batch = batch_of(b"p0.17", 1_000, producer_id=4, sequence=3)
    (stored,) = read_batches(batch)
    assert [record.value for record in stored.records] == [b"p0.17"]
    assert (stored.producer_id, stored.base_sequence, stored.count) == (4, 3, 1)
    assert records_of(batch + batch) == (ReadRecord(0, -1, b"p0.17"),) * 2
    longest = b"v" * 50
    assert records_of(batch_of(longest, 0))[0].value == longest


# ---- decisions ----------------------------------------------------------------------------------

FIRST = PartitionState(
    id=PartitionId(UUID(int=1), 0),
    replicas=(1, 2, 3),
    leader=1,
    leader_epoch=0,
    isr=(1, 2, 3),
    partition_epoch=0,
)


def after(before: PartitionState, **fields: Any) -> PartitionState:
    return replace(before, **{"partition_epoch": before.partition_epoch + 1} | fields)


SHRUNK = after(FIRST, isr=(1,), elr=(2,))
NOBODY = after(SHRUNK, leader=NO_LEADER, leader_epoch=1, isr=(), elr=(1, 2))
ELECTED = after(NOBODY, leader=2, leader_epoch=2, isr=(2,), elr=(1,))


@pytest.mark.parametrize(
    ("states", "clauses"),
    [
        ((FIRST, SHRUNK, NOBODY, ELECTED), set()),
        ((FIRST, after(FIRST, leader=2, leader_epoch=1)), set()),
        ((FIRST, after(FIRST, leader=2)), {"LEAD-02"}),
        ((ELECTED, after(ELECTED, leader_epoch=1)), {"LEAD-02"}),
        ((FIRST, after(FIRST, partition_epoch=0)), {"ISR-08"}),
        ((FIRST, after(FIRST, isr=(1, 4))), {"ISR-01"}),
        ((FIRST, after(FIRST, isr=(2, 3))), {"ISR-01"}),
        ((FIRST, after(FIRST, isr=(1,), elr=(1, 2))), {"ISR-01"}),
        ((FIRST, after(FIRST, isr=(1, 2), elr=(3,))), {"ISR-01"}),
        ((SHRUNK, after(SHRUNK, leader=2, leader_epoch=1, isr=(2,), elr=())), {"LEAD-03"}),
        (
            (SHRUNK, after(SHRUNK, leader=2, leader_epoch=1, isr=(2,), elr=(), recovering=True)),
            set(),
        ),
        ((NOBODY, after(NOBODY, leader=3, leader_epoch=2, isr=(3,), elr=())), {"LEAD-03"}),
    ],
)
def test_decisions_are_judged_one_after_another(
    states: tuple[PartitionState, ...], clauses: set[str]
) -> None:
    found = judge_decisions({FIRST.id: list(states)}, min_insync_replicas=2)
    assert {violation.clause for violation in found} == clauses
