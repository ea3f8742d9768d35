"""Consumers and onlookers that go on whatever becomes of the brokers."""

from collections.abc import Callable, Iterator
from itertools import cycle

from kio.schema.errors import ErrorCode

from conformance.codec import Entity
from conformance.connection import Pending
from conformance.partition import LATEST, Fetched
from conformance.targets.target import Worker
from conformance.workload.history import End, Look, Marks, Seen
from conformance.workload.lines import Lines
from conformance.workload.load import Load

PACE_MS = 50
LOOKS_EVERY_MS = 100
LONG_POLL_MS = 100
ANSWERS_WITHIN_MS = 2_000
FROM_FOLLOWERS, BY_NAME = 11, 12
"""The first version of Fetch that a follower answers a consumer (KIP-392), and the last that names
topics."""


def onlooker(load: Load, broker: int) -> Worker:
    """Asks one broker for Metadata, again and again."""
    lines = Lines(load.brokers)
    while True:
        over = lines.to(broker)
        request = over.build(
            "metadata",
            at_least=7,
            at_most=8,
            topics=[{"name": load.partition.topic.name}],
            allow_auto_topic_creation=False,
        )
        pending: Pending[Entity] = over.send(request)
        yield load.target.after(ANSWERS_WITHIN_MS, pending)
        if not pending.answered:
            lines.drop(broker)
        elif look := _look(load, broker, pending.value):
            load.note(look)
        yield load.target.after(LOOKS_EVERY_MS)


def _look(load: Load, broker: int, answer: Entity) -> Look | None:
    """None where the broker knows no such partition, as one that has just started."""
    topic, number = answer.topics[0], load.partition.number
    for part in topic.partitions:
        if part.partition_index == number:
            return Look(
                broker=broker,
                at_ms=load.target.now_ms(),
                leader=part.leader_id,
                leader_epoch=part.leader_epoch,
                replicas=tuple(part.replica_nodes),
                isr=tuple(part.isr_nodes),
                controller=answer.controller_id,
                brokers=tuple(sorted(each.node_id for each in answer.brokers)),
            )
    return None


def tailer(load: Load, name: str) -> Worker:
    """A consumer that reads from the leader, from the first offset on."""
    return _consumer(load, name, lambda: load.leader)


def rover(load: Load, name: str) -> Worker:
    """A consumer that reads from one replica after the other, where followers serve consumers."""
    turns: Iterator[int] = cycle(load.brokers.ids)
    return _consumer(load, name, lambda: next(turns))


def _consumer(load: Load, name: str, choose: Callable[[], int]) -> Worker:
    lines, position = Lines(load.brokers), 0
    while True:
        broker = choose()
        over = lines.to(broker)
        version = over.version("fetch", at_least=FROM_FOLLOWERS, at_most=BY_NAME)
        pending = load.partition.fetch(
            position, over=over, version=version, max_wait_ms=LONG_POLL_MS
        )
        yield load.target.after(ANSWERS_WITHIN_MS, pending)
        if not pending.answered:
            lines.drop(broker)
        elif pending.value.error is ErrorCode.none:
            _note(load, name, broker, pending.value)
            position = pending.value.next_offset
        yield load.target.after(PACE_MS)


def _note(load: Load, name: str, broker: int, answer: Fetched) -> None:
    now_ms = load.target.now_ms()
    marks = Marks(
        broker=broker,
        log_start_offset=answer.log_start_offset,
        last_stable_offset=answer.last_stable_offset,
        high_watermark=answer.high_watermark,
    )
    load.history.marks.append(marks)
    load.history.seen += [
        Seen(reader=name, broker=broker, at_ms=now_ms, record=record) for record in answer.records
    ]


def end_seeker(load: Load) -> Worker:
    """Asks the leader for the LATEST offset, again and again."""
    lines = Lines(load.brokers)
    while True:
        broker, asked_ms = load.leader, load.target.now_ms()
        pending = load.partition.list_offsets(LATEST, over=lines.to(broker))
        yield load.target.after(ANSWERS_WITHIN_MS, pending)
        if not pending.answered:
            lines.drop(broker)
        elif pending.value.error is ErrorCode.none:
            now_ms, offset = load.target.now_ms(), pending.value.offset
            end = End(broker=broker, asked_ms=asked_ms, at_ms=now_ms, offset=offset)
            load.history.ends.append(end)
        yield load.target.after(PACE_MS)
