"""The oracles: each sees what it is about, and nothing in a history that is as it should be."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from kio.schema.errors import ErrorCode

from conformance.outcomes import Outcome
from conformance.records import Record
from conformance.workload import oracles
from conformance.workload.history import End, History, Look, Marks, Seen, Stored, Write

NONE, TIMED_OUT = ErrorCode.none, ErrorCode.request_timed_out
OUT_OF_ORDER = ErrorCode.out_of_order_sequence_number
REFUSED = ErrorCode.not_enough_replicas


def record(offset: int, value: bytes) -> Record:
    return Record(offset=offset, timestamp_ms=1, key=None, value=value, headers=())


def stored(offset: int, value: bytes, epoch: int = 0) -> Stored:
    return Stored(record=record(offset, value), leader_epoch=epoch)


def write(value: bytes, offset: int | None, *, sequence: int | None = None) -> Write:
    return Write(
        value=value,
        producer="idempotent" if sequence is not None else "plain",
        sent_ms=1,
        timestamp_ms=1,
        sequence=sequence,
        broker=1,
        attempts=1,
        settled_ms=2,
        outcome=Outcome.OK,
        error=NONE,
        offset=offset,
    )


def look(broker: int, leader: int, epoch: int) -> Look:
    return Look(
        broker=broker,
        at_ms=1,
        leader=leader,
        leader_epoch=epoch,
        replicas=(1, 2),
        isr=(1, 2),
        controller=1,
        brokers=(1, 2),
    )


def sound() -> History:
    """Two leaders, one acknowledged write of each kind, and one of unknown outcome."""
    log = [stored(0, b"a"), stored(1, b"i0"), stored(2, b"i1", 1)]
    unknown = replace_write(write(b"?", None), outcome=Outcome.INFO, error=TIMED_OUT)
    return History(
        writes=[
            write(b"a", 0),
            write(b"i0", 1, sequence=0),
            write(b"i1", None, sequence=1),
            unknown,
        ],
        seen=[Seen(reader="tailer", broker=2, at_ms=3, record=record(1, b"i0"))],
        ends=[
            End(broker=1, asked_ms=1, at_ms=5, offset=3),
            End(broker=1, asked_ms=2, at_ms=3, offset=2),
            End(broker=2, asked_ms=6, at_ms=7, offset=3),
        ],
        looks=[look(1, 1, 0), look(2, 1, 0), look(2, 2, 1), look(1, 2, 1)],
        marks=[Marks(broker=1, log_start_offset=0, last_stable_offset=2, high_watermark=2)],
        logs={1: list(log), 2: list(log)},
        leader=1,
    )


def replace_write(made: Write, **changes: object) -> Write:
    for name, value in changes.items():
        setattr(made, name, value)
    return made


ORACLES: dict[str, Callable[[History], list[str]]] = {
    name: getattr(oracles, name)
    for name in (
        "lost",
        "unread",
        "taken_back",
        "duplicates",
        "refused_but_there",
        "disordered",
        "forgotten",
        "shared_epochs",
        "falling_epochs",
        "falling_ends",
        "hung",
        "different_replicas",
        "marks_out_of_order",
    )
}


def is_missing(history: History) -> None:
    history.logs = {1: history.logs[1][1:], 2: history.logs[2][1:]}


def is_elsewhere(history: History) -> None:
    history.writes[0].offset = 2


def was_another(history: History) -> None:
    history.seen[0] = replace(history.seen[0], record=record(1, b"x"))


def occurs_twice(history: History) -> None:
    for log in history.logs.values():
        log.append(stored(3, b"i0", 1))


def plain_occurs_twice(history: History) -> None:
    for log in history.logs.values():
        log.append(stored(3, b"a", 1))


def was_refused(history: History) -> None:
    replace_write(history.writes[0], outcome=Outcome.FAIL, error=REFUSED, offset=None)


def stands_before(history: History) -> None:
    for log in history.logs.values():
        log[1:] = [stored(1, b"i1"), stored(2, b"i0", 1)]
    history.writes[1].offset = None


def is_forgotten(history: History) -> None:
    replace_write(history.writes[2], outcome=Outcome.FAIL, error=OUT_OF_ORDER, offset=None)
    for log in history.logs.values():
        log.pop()


def has_two_leaders(history: History) -> None:
    history.looks[-1] = look(1, 1, 1)


def goes_back(history: History) -> None:
    history.looks.append(look(1, 1, 0))


def falls(history: History) -> None:
    history.ends[2] = replace(history.ends[2], offset=2)


def hangs(history: History) -> None:
    history.writes[3].hung_at = 2


def differs(history: History) -> None:
    history.logs[2][2] = stored(2, b"i1", 2)


def is_longer(history: History) -> None:
    history.logs[2].append(stored(3, b"more", 1))


def starts_above(history: History) -> None:
    history.marks[0] = replace(history.marks[0], log_start_offset=3)


def test_a_sound_history_contradicts_nothing() -> None:
    assert {name: oracle(sound()) for name, oracle in ORACLES.items() if oracle(sound())} == {}
    assert oracles.falling_epochs_in_log(sound().final) == []


@pytest.mark.parametrize(
    ("spoil", "noticed"),
    [
        (is_missing, {"lost", "unread"}),
        (is_elsewhere, {"lost"}),
        (was_another, {"taken_back"}),
        (occurs_twice, {"duplicates", "disordered"}),
        (plain_occurs_twice, {"duplicates"}),
        (was_refused, {"refused_but_there"}),
        (stands_before, {"disordered", "taken_back"}),
        (is_forgotten, {"forgotten"}),
        (has_two_leaders, {"shared_epochs"}),
        (goes_back, {"falling_epochs"}),
        (falls, {"falling_ends"}),
        (hangs, {"hung"}),
        (differs, {"different_replicas"}),
        (is_longer, {"different_replicas"}),
        (starts_above, {"marks_out_of_order"}),
    ],
)
def test_what_is_wrong_is_noticed_by_the_oracle_about_it(
    spoil: Callable[[History], None], noticed: set[str]
) -> None:
    history = sound()
    spoil(history)
    found = {name for name, oracle in ORACLES.items() if oracle(history)}
    assert found == noticed


def test_an_epoch_that_falls_along_a_log_is_noticed() -> None:
    log = [stored(0, b"a", 1), stored(1, b"b", 0)]
    assert len(oracles.falling_epochs_in_log(log)) == 1


def test_a_write_may_be_there_as_often_as_it_was_sent_where_nobody_numbers_it() -> None:
    history = sound()
    plain_occurs_twice(history)
    history.writes[0].attempts = 2
    assert oracles.duplicates(history) == []
