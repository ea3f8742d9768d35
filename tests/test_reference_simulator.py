"""The event queue, the network, and a cluster whose members fail."""

import struct
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference.errors import Error
from reference.messages import FetchDue, RepeatDue, RequestExpired, Timer
from reference.metadata.records import PartitionId
from reference.requests import (
    CreateTopics,
    InitProducerId,
    NewTopic,
    Produced,
    ProducerIdGiven,
    TopicsCreated,
)
from reference.rules import Rules
from reference.simulator.cluster import Cluster
from reference.simulator.events import STALE_MAX, EventQueue, Kind
from reference.simulator.network import Plane
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

TIMER = RepeatDue()


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
    timers: set[Timer] = {FetchDue(PartitionId(UUID(int=1), 0)), RepeatDue(), RequestExpired(0)}
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
    for number in BROKERS:
        if number != leader:
            running.cut(leader, number)
    running.run(lambda: leader_of(running, "t") == other, 30_000)
    produce(running, "t", batch(b"kept"), acks=1)
    for number in BROKERS:
        running.heal(leader, number)
    settle(running, 20_000)
    logs = [replica(running, number, "t").log for number in (leader, other)]
    assert logs[0].batches == logs[1].batches
    newest = replica(running, other, "t").state.leader_epoch
    assert [header.leader_epoch for header in logs[0].headers] == [0, newest]
    assert fetch(running, "t", 0).high_watermark == 2
    assert ask(running, other, produce_request("t", batch(b"more")))


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


def _cut_off_from_the_controller(running: Cluster, broker: int) -> None:
    """Nobody is the controller as long as no two nodes hear of each other."""
    for one, other in combinations(BROKERS, 2):
        running.cut(one, other, plane=Plane.METADATA)
    settle(running, 2_000)
    assert running.brokers[broker].serves


def test_without_the_controller_an_id_is_refused_for_now() -> None:
    running = cluster()
    _cut_off_from_the_controller(running, 1)
    request = InitProducerId(
        transactional_id=None, transaction_timeout_ms=0, producer_id=-1, producer_epoch=-1
    )
    answer = ask(running, 1, request)
    assert answer == ProducerIdGiven(error=Error.COORDINATOR_LOAD_IN_PROGRESS)


def test_a_cut_off_controller_ends_in_a_timeout() -> None:
    running = cluster()
    _cut_off_from_the_controller(running, 1)
    topic = NewTopic(name="t", partitions=1, replication_factor=1)
    began = running.now_ms
    answer = ask(running, 1, CreateTopics(topics=(topic,), timeout_ms=2_000, validate_only=False))
    assert isinstance(answer, TopicsCreated)
    assert answer.topics[0].error is Error.REQUEST_TIMED_OUT
    assert running.now_ms - began < 2_100
