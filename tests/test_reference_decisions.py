"""Whom the controller lets live, and what it keeps: asked directly."""

from uuid import UUID

import pytest

from reference.errors import Error
from reference.image import MetadataImage
from reference.messages import (
    ProducerIdsGranted,
    ProducerIdsWanted,
)
from reference.requests import (
    CreatePartitions,
    CreateTopics,
    MorePartitions,
    NewTopic,
    Partition,
    TopicsCreated,
)
from tests.controller_bench import TIMEOUT_MS, Bench, sets

# ---- the lives of brokers -----------------------------------------------------------------------


def test_a_broker_is_unfenced_once_it_has_applied_its_registration() -> None:
    bench = Bench(1)
    assert bench.register(2).broker_epoch == len(bench.log) - 1
    assert bench.beat(2, applied=len(bench.log) - 1).fenced
    assert not bench.beat(2, applied=len(bench.log)).fenced


def test_each_life_has_a_larger_epoch_and_a_repeated_registration_has_the_same() -> None:
    bench = Bench(1)
    first = bench.register(2, incarnation=5)
    assert bench.register(2, incarnation=5) == first
    bench.pass_time(TIMEOUT_MS + 200, 1)
    assert bench.register(2, incarnation=6).broker_epoch > first.broker_epoch


def test_a_second_process_is_refused_while_the_first_one_lives() -> None:
    bench = Bench(2)
    assert bench.register(2).error is Error.DUPLICATE_BROKER_REGISTRATION
    bench.pass_time(3 * TIMEOUT_MS, 1, 2)
    assert bench.register(2).error is Error.DUPLICATE_BROKER_REGISTRATION
    bench.pass_time(TIMEOUT_MS + 200, 1)
    assert bench.register(2).error is Error.NONE


def test_a_heartbeat_of_a_former_life_keeps_nobody_alive() -> None:
    bench = Bench(2)
    former = bench.life(2).broker_epoch
    bench.restart_uncleanly(2, 1)
    assert bench.beat(2, epoch=former).error is Error.STALE_BROKER_EPOCH
    for _ in range(12):
        bench.beat(2, epoch=former)
        bench.pass_time(100, 1)
    assert bench.life(2).fenced
    assert bench.beat(9, epoch=0).error is Error.STALE_BROKER_EPOCH


def test_a_silent_broker_is_fenced_and_no_sooner_than_its_time() -> None:
    bench = Bench(3)
    bench.pass_time(TIMEOUT_MS, 1, 3)
    assert not bench.life(2).fenced
    bench.pass_time(100, 1, 3)
    assert bench.life(2).fenced
    bench.beat(2)
    assert not bench.life(2).fenced


@pytest.mark.parametrize("jump_ms", [10**9, -(10**9)])
def test_a_clock_that_jumps_fences_nobody_and_stops_nothing(jump_ms: int) -> None:
    bench = Bench(3)
    bench.now_ms += jump_ms
    bench.controller.tick(bench.now_ms)
    assert not any(bench.life(broker).fenced for broker in (1, 2, 3))
    bench.pass_time(TIMEOUT_MS + 200, 1, 3)
    assert [bench.life(broker).fenced for broker in (1, 2, 3)] == [False, True, False]


def test_a_new_controller_gives_each_broker_its_time_again() -> None:
    bench = Bench(3)
    bench.create(2, 1, 3)
    bench.pass_time(TIMEOUT_MS, 1, 3)
    bench.fail_over()
    bench.pass_time(TIMEOUT_MS, 1, 3)
    assert not bench.life(2).fenced
    bench.pass_time(100, 1, 3)
    assert bench.life(2).fenced
    assert bench.state().leader == 1


def test_a_broker_that_shuts_down_hands_over_and_waits_until_all_know() -> None:
    bench = Bench(3)
    bench.create(2, 1, 3)
    before = len(bench.log)
    assert not bench.beat(2, stop=True).may_stop
    assert sets(bench.state()) == (1, (1, 3), ())
    bench.beat(1)
    bench.beat(3, applied=before)
    assert not bench.beat(2, stop=True).may_stop
    bench.beat(3)
    answer = bench.beat(2, stop=True)
    assert answer.may_stop
    assert answer.fenced
    assert bench.register(2, previous=bench.life(2).broker_epoch).error is Error.NONE


def test_a_silent_broker_does_not_hold_up_a_shutdown_for_ever() -> None:
    bench = Bench(3)
    bench.create(2, 1, 3)
    assert not bench.beat(2, stop=True).may_stop
    for _ in range(12):
        bench.pass_time(100, 1)
        last = bench.beat(2, stop=True)
    assert last.may_stop
    assert bench.life(3).fenced


def test_zookeeper_says_who_lives() -> None:
    bench = Bench(0)
    bench.controller.next_offset = None
    for broker in (1, 2, 3):
        bench.controller.broker_registered(
            broker, broker_epoch=broker, incarnation=UUID(int=broker), clean=True, now_ms=0
        )
    bench.create(1, 2, 3)
    bench.controller.next_offset = None
    bench.controller.tick(10**6)
    assert not any(bench.life(broker).fenced for broker in (1, 2, 3))
    bench.controller.broker_vanished(1, 0)
    assert bench.life(1).fenced
    assert sets(bench.state()) == (2, (2, 3), ())
    bench.controller.begin_shutdown(2, 0)
    assert bench.state().leader == 3
    bench.controller.broker_registered(
        3, broker_epoch=9, incarnation=UUID(int=9), clean=True, now_ms=0
    )
    assert bench.state().leader == 3
    assert bench.state().leader_epoch > 2, "a bounce ends the epoch"
    assert bench.life(3).broker_epoch == 9


# ---- placement ----------------------------------------------------------------------------------


def test_new_partitions_are_placed_on_live_brokers_first() -> None:
    bench = Bench(4)
    bench.pass_time(TIMEOUT_MS + 200, 1, 2, 4)
    topic = NewTopic(name="t", partitions=6, replication_factor=3)
    bench.ask(CreateTopics(topics=(topic,), timeout_ms=1, validate_only=False))
    states = [state for _, state in bench.controller.image.partitions()]
    assert all(sorted(state.replicas) == [1, 2, 4] for state in states)
    assert sorted(state.leader for state in states) == [1, 1, 2, 2, 4, 4]
    wide = NewTopic(name="wide", partitions=1, replication_factor=4)
    bench.ask(CreateTopics(topics=(wide,), timeout_ms=1, validate_only=False))
    state = bench.controller.image.named(Partition("wide", 0))
    assert state is not None
    assert state.replicas[3] == 3
    assert state.isr == (1, 2, 4)


def test_nothing_is_placed_where_nobody_lives() -> None:
    bench = Bench(2)
    bench.create(1, 2)
    bench.pass_time(TIMEOUT_MS + 200, 1)
    manual = NewTopic(name="m", partitions=-1, replication_factor=-1, assignments=((0, (2,)),))
    request = CreateTopics(topics=(manual,), timeout_ms=1, validate_only=False)
    answer = bench.ask(request)
    assert isinstance(answer, TopicsCreated)
    assert answer.topics[0].error is Error.INVALID_REPLICA_ASSIGNMENT
    more = MorePartitions(topic="t", count=2, assignments=((2, 1),))
    bench.ask(CreatePartitions(topics=(more,), timeout_ms=1, validate_only=False))
    added = bench.controller.image.named(Partition("t", 1))
    assert added is not None
    assert (added.leader, added.isr) == (1, (1,))
    bench.pass_time(TIMEOUT_MS + 200)
    automatic = NewTopic(name="a", partitions=1, replication_factor=1)
    answer = bench.ask(CreateTopics(topics=(automatic,), timeout_ms=1, validate_only=False))
    assert isinstance(answer, TopicsCreated)
    assert answer.topics[0].error is Error.INVALID_REPLICATION_FACTOR


# ---- records ------------------------------------------------------------------------------------


def test_a_block_of_producer_ids_is_never_granted_again() -> None:
    bench = Bench(1)
    granted: set[int] = set()
    for _ in range(3):
        bench.controller.handle(1, ProducerIdsWanted(), 0)
        (block,) = bench.stored()
        assert isinstance(block, ProducerIdsGranted)
        ids = set(range(block.first, block.first + block.count))
        assert not ids & granted
        granted |= ids
        bench.fail_over()


def test_a_snapshot_makes_the_image_anew() -> None:
    bench = Bench(3)
    bench.create(1, 2, 3, min_insync_replicas="2")
    bench.controller.handle(1, ProducerIdsWanted(), 0)
    bench.stored()
    bench.pass_time(TIMEOUT_MS + 200, 2)
    image = bench.controller.image
    again = MetadataImage()
    for record in image.snapshot_records():
        again.apply(record)
    again.applied = image.applied
    assert again == image
    copied = image.copy()
    bench.beat(1)
    assert copied == again
    assert copied != image


def test_the_log_alone_makes_the_image_and_decisions_repeat() -> None:
    def run() -> Bench:
        bench = Bench(4, seed=5)
        bench.create(3, 1, 2, 4, min_insync_replicas="2")
        bench.restart_uncleanly(3, 1, 2, 4)
        bench.alter(*bench.state().isr, 3)
        bench.pass_time(TIMEOUT_MS + 200, 4)
        bench.fail_over()
        bench.restart_uncleanly(1, 4)
        return bench

    one, other = run(), run()
    assert one.log == other.log
    again = MetadataImage()
    for record in one.log:
        again.apply(record)
    assert again == one.controller.image
