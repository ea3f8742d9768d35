"""Topics as they were asked for, and what brokers say of them while they change."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.describe_topic_partitions.v0.request import Cursor
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import ADMIN_TIMEOUT_MS, Client, TopicView
from conformance.codec import Entity
from conformance.connection import Pending
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Partition, Topic
from conformance.records import batch_of
from conformance.targets.target import Capability
from conformance.workload.epochs import Versions
from conformance.workload.leaders import (
    acting_epoch,
    ask_to_reassign,
    controller,
    ongoing,
    reassign,
)
from conformance.workload.topics import ask_to_create, assigned_topic, new_topic, settled, views
from conformance.workload.watch import Watch
from conformance.world import World, worlds

NONE, REFUSED = ErrorCode.none, ErrorCode.invalid_partitions
CREATE = Versions(api="create_topics", first=2)
GROW = Versions(api="create_partitions", first=0)
TELLS_SHAPE_SINCE, TELLS_ID_SINCE = 5, 7
"""Of CreateTopics (KIP-525, KIP-516)."""
NO_INCREASE = (3, 2, 1, 0, -1)
"""From three. Not the smallest integer: the increase overflows in Kafka 3.9 with ZooKeeper, whose
controller runs out of memory, and a suite does no harm to the cluster that it tests."""
REASSIGNS_WITHIN_MS = 5_000

cuts_brokers = pytest.mark.needs(Capability.CUT_BROKERS)


# ---- META-01 -------------------------------------------------------------------------------------


@pytest.mark.clause("META-01")
@given(world=worlds(), partitions=st.integers(1, 5), factor=st.integers(1, 3), data=st.data())
def test_a_topic_has_the_shape_that_was_asked_for(
    bench: Bench, world: World, partitions: int, factor: int, data: st.DataObject
) -> None:
    """Every broker tells of partitions 0 to n-1 with r distinct brokers each, and each is led."""
    with bench.client(world) as client:
        version = data.draw(st.sampled_from(CREATE.of(client.controller())), "version")
        factor = min(factor, len(client.brokers))
        name = bench.name()
        topic = new_topic(name, partitions=partitions, replication_factor=factor)
        try:
            answer = ask_to_create(client, topic, version=version).result()[name]
            if answer.error_code is not NONE:
                raise Inconclusive(f"the topic was not created: {answer.error_code.name}")
            bench.premise("a topic was created", times=len(client.brokers))
            client.settled(name)
            told = views(client, name)
            for view in told:
                _has_shape(client, view, partitions, factor)
            assert len({view.topic_id for view in told}) == 1, "one id, on every broker"
            if version >= TELLS_SHAPE_SINCE:
                shape = (answer.num_partitions, answer.replication_factor)
                assert shape == (partitions, factor), "the answer tells what was created"
            if version >= TELLS_ID_SINCE:
                assert answer.topic_id == told[0].topic_id, "the answer tells the id"
            _takes_records(Topic(client, name, told[0]))
        finally:
            bench.discard(client, name)


def _has_shape(client: Client, view: TopicView, partitions: int, factor: int) -> None:
    assert sorted(view.partitions) == list(range(partitions)), "exactly the partitions 0 to n-1"
    for part in view.partitions.values():
        assert len(part.replicas) == factor, "as many replicas as were asked for"
        assert len(set(part.replicas)) == factor, "each on another broker"
        assert set(part.replicas) <= set(client.brokers), "that is registered"
        assert part.leader in part.replicas, "one of which leads"


def _takes_records(topic: Topic) -> None:
    """Each partition is led by the broker that is told, and starts empty."""
    for number in sorted(topic.view.partitions):
        answer = topic.target.eventually(
            topic[number].produce(batch_of(b"first")).result,
            lambda appended: appended.error is not ErrorCode.not_leader_or_follower,
            within_ms=REASSIGNS_WITHIN_MS,
        )
        assert (answer.error, answer.base_offset) == (NONE, 0), f"partition {number} is led"


@pytest.mark.clause("META-01")
def test_a_topic_has_the_replicas_that_were_assigned(bench: Bench) -> None:
    """A topic with a manual assignment has these replicas, in this order, on every broker."""
    with bench.client() as client:
        if not client.controller().serves("create_topics"):
            raise Unsupported("the target creates no topics on request")
        name, brokers = bench.name(), client.brokers
        spread = min(2, len(brokers))
        around = (*brokers[1:], *brokers)
        replicas = [around[start : start + spread] for start in range(len(brokers))]
        try:
            ask_to_create(client, assigned_topic(name, *replicas)).result()
            client.settled(name)
            bench.premise("a topic was created with a manual assignment")
            for view in views(client, name):
                found = [view.partitions[number].replicas for number in sorted(view.partitions)]
                assert found == replicas, "the replicas that were assigned"
                leaders = [view.partitions[number].leader for number in sorted(view.partitions)]
                assert leaders == [first for first, *_ in replicas], "the first of them leads"
        finally:
            bench.discard(client, name)


@pytest.mark.clause("META-01")
def test_both_descriptions_of_a_topic_agree(bench: Bench) -> None:
    """DescribeTopicPartitions tells the same of a topic as Metadata, page by page (KIP-966)."""
    with bench.topic(partitions=5) as topic:
        topic.client.broker().version("describe_topic_partitions")
        expected = settled(topic.client, topic.name)
        for broker in topic.client.brokers:
            found, cursor = dict[int, tuple[int, ...]](), None
            for _ in range(len(topic)):
                told, cursor = _page(topic, broker, cursor)
                found |= {p.partition_index: tuple(p.replica_nodes) for p in told.partitions}
                if cursor is None:
                    break
            bench.premise("a broker described a topic in both ways")
            assert told.topic_id == expected.topic_id, "one id"
            assert found == _replicas(expected), "the same partitions with the same replicas"


def _page(topic: Topic, broker: int, cursor: Entity | None) -> tuple[Entity, Entity | None]:
    """Two partitions of the topic from the cursor on, and the next cursor."""
    over = topic.client.broker(broker)
    request = over.build(
        "describe_topic_partitions",
        topics=[{"name": topic.name}],
        response_partition_limit=2,
    )
    if cursor is not None:
        place = Cursor(topic_name=cursor.topic_name, partition_index=cursor.partition_index)
        request = replace(request, cursor=place)
    answer: Entity = over.send(request).result()
    return answer.topics[0], answer.next_cursor


# ---- META-05 -------------------------------------------------------------------------------------


@pytest.mark.clause("META-05")
def test_the_epoch_that_a_broker_tells_does_not_go_back(bench: Bench) -> None:
    """While leaders move, each broker's answers of a kind tell leader epochs that never fall; in
    the end all brokers agree on leader, epoch and ISR."""
    with bench.partition() as partition:
        controller(partition)
        if not partition.followers:
            raise Unsupported("one broker cannot hand over leadership")
        watch, first = Watch(partition), partition.view.leader
        moves = [watch.move(to) for to in (*partition.followers, first, *partition.followers)]
        bench.premise("a leader was moved, and all brokers agreed in the end", times=len(moves))
        latest: dict[tuple[int, str], int] = {}
        for seen in watch.sightings:
            before = latest.get((seen.broker, seen.answer), -1)
            assert seen.leader_epoch >= before, f"not below what the same broker told: {seen}"
            latest[seen.broker, seen.answer] = seen.leader_epoch


# ---- META-06: more partitions --------------------------------------------------------------------


@pytest.mark.clause("META-06")
def test_the_number_of_partitions_only_grows(bench: Bench) -> None:
    """CreatePartitions refuses an equal or smaller number with INVALID_PARTITIONS, at each
    version, and nothing changes."""
    with bench.topic(partitions=3) as topic:
        versions, before = GROW.of(topic.client.controller()), _written(topic)
        shape = settled(topic.client, topic.name)
        for version in versions:
            pending = {n: _grow(topic, n, version=version) for n in NO_INCREASE}
            topic.target.settle(*pending.values())
            bench.premise("no increase was asked for", times=len(pending))
            wrong = {n: p.value.name for n, p in pending.items() if p.value is not REFUSED}
            assert wrong == {}, "INVALID_PARTITIONS"
        after = settled(topic.client, topic.name)
        assert sorted(after.partitions) == sorted(shape.partitions), "as many as before"
        assert _contents(topic) == before, "with the records they had"


@pytest.mark.clause("META-06")
def test_new_partitions_leave_the_old_ones_alone(bench: Bench) -> None:
    """CreatePartitions adds empty partitions; the others keep their replicas and records."""
    with bench.topic(partitions=2) as topic:
        GROW.of(topic.client.controller())
        before, replicas = _written(topic), _replicas(settled(topic.client, topic.name))
        error = _grow(topic, 4, validate_only=True).result()
        if error is NONE:
            error = _grow(topic, 4).result()
        if error is not NONE:
            raise Inconclusive(f"no partitions were added: {error.name}")
        topic.target.eventually(
            lambda: len(settled(topic.client, topic.name).partitions),
            lambda count: count != len(replicas),
            within_ms=ADMIN_TIMEOUT_MS,
        )
        bench.premise("partitions were added")
        topic.refresh()
        after = _replicas(settled(topic.client, topic.name))
        assert sorted(after) == [0, 1, 2, 3], "as many as were asked for"
        assert {n: after[n] for n in replicas} == replicas, "the old ones where they were"
        assert {n: c for n, c in _contents(topic).items() if n in before} == before, "unchanged"
        for number in (2, 3):
            acting_epoch(topic[number])
            assert topic[number].read(0)[0].value == b"which epoch", "new ones start empty"
        assert {n: c for n, c in _contents(topic).items() if n in before} == before, "and stay so"


def _grow(
    topic: Topic, count: int, *, version: int | None = None, validate_only: bool = False
) -> Pending[ErrorCode]:
    over = topic.client.controller()
    request = over.build(
        "create_partitions",
        at_least=version or 0,
        at_most=99 if version is None else version,
        topics=[{"name": topic.name, "count": count, "assignments": None}],
        timeout=ADMIN_TIMEOUT_MS,
        validate_only=validate_only,
    )
    return over.send(request, lambda answer: answer.results[0].error_code)


def _written(topic: Topic) -> dict[int, list[bytes | None]]:
    """What each partition holds, once something was written to it."""
    for number in topic.view.partitions:
        topic[number].append(*(b"%d in %d" % (n, number) for n in range(5)))
    return _contents(topic)


def _contents(topic: Topic) -> dict[int, list[bytes | None]]:
    return {n: [r.value for r in topic[n].read(0)] for n in sorted(topic.view.partitions)}


def _replicas(view: TopicView) -> dict[int, tuple[int, ...]]:
    return {number: part.replicas for number, part in view.partitions.items()}


# ---- META-06: reassignment -----------------------------------------------------------------------


@pytest.mark.clause("META-06")
def test_a_reassignment_ends_with_its_target_replicas(bench: Bench) -> None:
    """A partition ends up on the target replicas, all in sync, with all that was acknowledged."""
    with bench.client() as client:
        if len(client.brokers) < 3:
            raise Unsupported("there is no third broker to move to")
        a, b, c = client.brokers[:3]
        with bench.partition(client=client, assignments={0: (a, b)}) as partition:
            controller(partition)
            kept: dict[int, bytes] = {}
            for target in ((c, a), (b, c), (b,), (c, b, a), (a,)):
                _write_around(partition, kept, target)
                assert ongoing(partition).result() == (), "no reassignment is left"
                acting_epoch(partition)
                found = {record.offset: record.value for record in partition.read(0)}
                lost = {offset: v for offset, v in kept.items() if found.get(offset) != v}
                bench.premise("a partition was moved to other brokers")
                assert lost == {}, "each acknowledged value stays at its offset"


def _write_around(partition: Partition, kept: dict[int, bytes], target: tuple[int, ...]) -> None:
    """Writes with acks=all before and while the partition is moved; keeps what was acknowledged."""
    values = [b"%d to %s" % (n, repr(target).encode()) for n in range(20)]
    early = [partition.produce(batch_of(value)) for value in values[:10]]
    over = partition.leader
    late = [partition.produce(batch_of(value), over=over) for value in values[10:]]
    reassign(partition, target)
    for value, pending in zip(values, (*early, *late), strict=True):
        answer = pending.result()
        if answer.error is NONE:
            kept[answer.base_offset] = value


@pytest.mark.clause("META-06")
@cuts_brokers
@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "completed"])
def test_a_reassignment_waits_for_the_new_replica(bench: Bench, cancelled: bool) -> None:
    """While a new replica can fetch nothing the old ones stay; cancelled, they stay for good."""
    with bench.client() as client:
        a, b, c = client.brokers[:3]
        with bench.partition(client=client, assignments={0: (a, b)}) as partition:
            written = partition.append(b"committed")
            with partition.target.nemesis.cut(c, a, b):
                error = ask_to_reassign(partition, (a, c)).result()
                if error is not NONE:
                    raise Inconclusive(f"the reassignment was refused: {error.name}")
                partition.target.sleep(REASSIGNS_WITHIN_MS)
                during = client.view(partition.topic.name, a).partitions[0]
                bench.premise("a new replica could not fetch")
                assert set(during.replicas) == {a, b, c}, "old and new replicas are assigned"
                assert c not in during.isr, "the new one is not in sync"
                assert ongoing(partition).result() == ((c,), (b,)), "it is being reassigned"
                if cancelled:
                    cancellation = ask_to_reassign(partition, None).result()
                    assert cancellation is NONE, "a reassignment can be cancelled"
            expected = {a, b} if cancelled else {a, c}
            partition.target.eventually(
                lambda: set(client.settled(partition.topic.name).partitions[0].replicas),
                lambda replicas: replicas != {a, b, c},
                within_ms=ADMIN_TIMEOUT_MS * 10,
            )
            partition.topic.refresh()
            assert set(partition.view.replicas) == expected, "the replicas in the end"
            assert ongoing(partition).result() == (), "no reassignment is left"
            assert partition.read(written.base_offset)[0].value == b"committed", "and the record"
