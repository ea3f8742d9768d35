"""The event queue, the network, and a cluster whose members fail."""

import struct
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.batch import Header
from reference.decisions.isr import alter_partition
from reference.messages import AlterPartition, FetchDue, HeartbeatDue, RequestExpired, Timer
from reference.metadata.records import PartitionId
from reference.requests import Produced
from reference.rules import Rules
from reference.simulator.cluster import Cluster
from reference.simulator.events import STALE_MAX, EventQueue, Kind
from tests.core_cluster import (
    BROKERS,
    ask,
    batch,
    cluster,
    create,
    fetch,
    leader_of,
    produce,
    produce_request,
    replica,
    settle,
)

TIMER = HeartbeatDue()


@given(times=st.lists(st.integers(0, 5), max_size=30))
def test_events_come_by_time_and_then_by_insertion(times: list[int]) -> None:
    queue = EventQueue()
    for number, at_ms in enumerate(times):
        queue.push(at_ms, Kind.MESSAGE, number)
    popped = [queue.pop() for _ in times]
    assert [(event[0], event[3]) for event in popped] == sorted(
        (at_ms, number) for number, at_ms in enumerate(times)
    )
    assert queue.next_due_ms is None


@given(
    actions=st.lists(
        st.tuples(st.sampled_from(["set", "cancel"]), st.integers(0, 3), st.integers(1, 9)),
        max_size=40,
    )
)
def test_there_is_one_timer_per_purpose(actions: list[tuple[str, int, int]]) -> None:
    queue, expected = EventQueue(), dict[int, int]()
    for action, member, at_ms in actions:
        if action == "set":
            queue.set_timer(at_ms, member, TIMER)
            expected[member] = at_ms
        else:
            queue.cancel_timer(member, TIMER)
            expected.pop(member, None)
        assert len(queue) == len(expected)
        assert queue.next_due_ms == min(expected.values(), default=None)
    popped = [queue.pop() for _ in range(len(queue))]
    assert sorted((event[3], event[0]) for event in popped) == sorted(expected.items())


def test_what_is_cancelled_does_not_pile_up() -> None:
    queue = EventQueue()
    for at_ms in range(10 * STALE_MAX):
        queue.set_timer(at_ms, 1, TIMER)
    assert len(queue) == 1
    assert len(queue._heap) < 3 * STALE_MAX
    assert queue.pop()[0] == 10 * STALE_MAX - 1


def test_equal_timers_are_equal_and_others_are_not() -> None:
    timers: set[Timer] = {FetchDue(PartitionId(UUID(int=1), 0)), HeartbeatDue(), RequestExpired(0)}
    assert len(timers) == 3
    assert FetchDue(PartitionId(UUID(int=1), 0)) in timers
    assert FetchDue(PartitionId(UUID(int=2), 0)) not in timers


def test_a_seed_names_a_run() -> None:
    def digest(seed: int) -> str:
        running = cluster(seed=seed)
        create(running, "t")
        produce(running, "t", batch(b"a"))
        settle(running, 3_000)
        return running.digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_the_digest_sees_the_content_of_messages() -> None:
    def digest(value: bytes) -> str:
        running = cluster()
        create(running, "t")
        produce(running, "t", batch(value))
        return running.digest

    assert digest(b"a") != digest(b"b")


def test_a_link_keeps_the_order() -> None:
    running = cluster(latency_ms=(0, 50))
    create(running, "t")
    leader = leader_of(running, "t")
    sent = [running.submit(leader, produce_request("t", batch(b"%d" % n))) for n in range(20)]
    running.run(lambda: all(each.is_done for each in sent), 10_000)
    answers = [each.response for each in sent]
    offsets = [each.parts[0].base_offset for each in answers if isinstance(each, Produced)]
    assert offsets == list(range(20))


def test_cuts_have_directions() -> None:
    running = cluster()
    create(running, "t")
    leader = leader_of(running, "t")
    other = next(number for number in BROKERS if number != leader)
    running.cut(leader, other, one_way=True)
    produce(running, "t", batch(b"a"), acks=1)
    settle(running)
    assert replica(running, other, "t").log.end_offset == 0, "requests pass, responses do not"
    running.heal(other, leader)
    settle(running)
    assert replica(running, other, "t").log.end_offset == 1


def test_a_paused_broker_finds_what_has_waited() -> None:
    running = cluster()
    create(running, "t")
    leader = leader_of(running, "t")
    running.pause(leader)
    sent = running.submit(leader, produce_request("t", batch(b"a")))
    settle(running)
    assert not sent.is_done
    running.resume(leader)
    settle(running)
    assert sent.is_done
    assert fetch(running, "t", 0).high_watermark == 1


class Raises(Rules):
    def crc_is_right(self, batch: bytes) -> bool:
        raise RuntimeError("a fault of the reference")


def test_a_crash_is_told_and_stays_where_it_was() -> None:
    running = cluster(rules=Raises())
    create(running, "t")
    closed: list[bytes | None] = []
    leader = leader_of(running, "t")
    other = next(number for number in BROKERS if number != leader)
    running.connect(leader, closed.append)
    unharmed: list[bytes | None] = []
    running.connect(other, unharmed.append)
    running.submit(leader, produce_request("t", batch(b"a")))
    running.run(lambda: False, 1_000)
    (crash,) = running.crashes
    assert (crash.member, str(crash.error)) == (leader, "a fault of the reference")
    assert (closed, unharmed) == ([None], [])
    assert leader not in running.members
    again = running.connect(leader, closed.append)
    running.receive(again, b"\0\x12\0\0\0\0\0\1\0\0")
    running.run(lambda: False, 1_000)
    assert closed == [None, None]
    running.submit(other, produce_request("t", batch(b"a")))


@pytest.mark.parametrize("addresses", [{}, {0: ("a", 1)}])
def test_brokers_need_positive_ids(addresses: dict[int, tuple[str, int]]) -> None:
    with pytest.raises(ValueError, match="positive"):
        Cluster(addresses)


def test_stale_isr_changes_are_refused() -> None:
    running = cluster()
    topic_id = create(running, "t")
    partition = PartitionId(topic_id, 0)
    controller = running.controller
    state = controller.image.topics[topic_id].partitions[0]
    leader = state.leader

    current = AlterPartition(id=partition, leader_epoch=0, partition_epoch=0, isr=(leader,))

    def asked(sender: int = leader, **fields: int | tuple[int, ...]) -> bool:
        before = len(controller.records)
        alter_partition(controller, sender, replace(current, **fields))  # type: ignore[arg-type]
        return len(controller.records) > before

    assert not asked(partition_epoch=1)
    assert not asked(leader_epoch=1)
    assert not asked(sender=leader % 3 + 1)
    assert not asked(isr=(leader % 3 + 1,)), "the leader must stay"
    assert not asked(isr=(leader, 9))
    assert asked()
    assert not asked(), "the same question is stale by now"


def test_a_follower_aligns_by_epochs() -> None:
    """Two brokers that were each cut off end with one log, whatever each had appended alone."""
    running = cluster(configs={"replica.lag.time.max.ms": "600000"})
    create(running, "t", replication_factor=2)
    leader = leader_of(running, "t")
    other = next(n for n in BROKERS if n != leader and replica_there(running, n))
    produce(running, "t", batch(b"common"))
    running.cut(leader, other)
    produce(running, "t", batch(b"lost"), acks=1)
    produce(running, "t", batch(b"lost too"), acks=1)
    controller = running.controller
    state = replica(running, leader, "t").state
    controller.effects = []
    controller.change(state, leader=other, leader_epoch=1)
    running._perform(0, controller.effects)
    settle(running, 100)
    produce(running, "t", batch(b"kept"), acks=1)
    running.heal(leader, other)
    settle(running, 2_000)
    logs = [replica(running, number, "t").log for number in (leader, other)]
    assert logs[0].batches == logs[1].batches
    assert [epoch(each) for each in logs[0].headers] == [0, 1]
    assert fetch(running, "t", 0).high_watermark == 2
    assert ask(running, other, produce_request("t", batch(b"more")))


def epoch(header: Header) -> int:
    return header.leader_epoch


def replica_there(running: Cluster, number: int) -> bool:
    return bool(running.brokers[number].replicas)


def test_many_pipelined_requests_are_answered_in_turn() -> None:
    """However many wait behind one that is held, answering them needs no deeper stack."""
    running = cluster()
    create(running, "t")
    frames: list[bytes | None] = []
    connection = running.connect(leader_of(running, "t"), frames.append)
    held = struct.pack(">hhihiiiibih1siiqi", 1, 4, 0, 0, -1, 500, 1, 9, 0, 1, 1, b"t", 1, 0, 0, 9)
    running.receive(connection, held)
    count = 2_000
    for number in range(1, count):
        running.receive(connection, struct.pack(">hhihib", 3, 4, number, 0, 0, 0))
    settle(running)
    assert [int.from_bytes(frame[:4], "big") for frame in frames if frame] == list(range(count))
