"""Producing: who is answered, that the answer is true, and in which order (PROD)."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.bench import Bench
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, Loss
from conformance.partition import LATEST, Appended, Partition, Topic
from conformance.records import Batch, Codec, NewRecord, batch_of
from conformance.targets.target import ANSWER_WITHIN_MS
from conformance.workload.produce import (
    Numbers,
    as_read,
    log_end,
    needs_topic_configs,
    new_records,
    served_versions,
    values_of,
)
from conformance.world import World, worlds

CORRUPT = batch_of(b"corrupt", crc=1)


def metadata_request(connection: Connection) -> Entity:
    """One that asks about no topic, and that every broker answers."""
    return connection.build("metadata", at_least=1, at_most=8, topics=())


def send_frames(connection: Connection, requests: Iterable[tuple[int, Entity]]) -> None:
    """Requests with correlation ids of the test's choice; what comes back is in `unasked`."""
    for correlation_id, request in requests:
        connection.send_frame(codec.encode_request(request, correlation_id))


def answered_ids(connection: Connection, count: int) -> list[int]:
    """The correlation ids in the order of the answers, once `count` of them have come."""
    frames = connection.target.eventually(
        lambda: list(connection.unasked),
        lambda found: len(found) >= count or connection.loss,
        within_ms=ANSWER_WITHIN_MS,
    )
    return [struct.unpack_from(">i", frame)[0] for frame in frames]


def all_ok(answers: Iterable[Appended]) -> bool:
    return all(answer.error is ErrorCode.none for answer in answers)


# ---- PROD-01: acks ------------------------------------------------------------------------------


@pytest.mark.clause("PROD-01")
def test_a_produce_with_acks_0_is_not_answered(bench: Bench) -> None:
    """After a Produce with acks=0 of any version, the next answer is the next request's."""
    with bench.partition() as partition:
        connection = partition.connect()
        versions = served_versions(connection, "produce", at_least=3)
        for version in versions:
            silent = partition.produce_request(
                batch_of(b"v%d" % version), acks=0, over=connection, version=version
            )
            ahead = 2 * version
            send_frames(connection, [(ahead, silent), (ahead + 1, metadata_request(connection))])
        bench.premise("Produce with acks=0, then Metadata", times=len(versions))
        ids = answered_ids(connection, len(versions))
        assert ids == [2 * v + 1 for v in versions], "only the Metadata requests are answered"
        end = partition.produce(batch_of(b"the end"), over=connection).result()
        assert end.error is ErrorCode.none
        wanted = [b"v%d" % version for version in versions]
        assert values_of(partition)[:-1] == wanted, "each batch is appended once, in order"


def _to_unknown_topic(bench: Bench, partition: Partition, over: Connection) -> Entity:
    nowhere = Partition(Topic(partition.client, bench.name(), partition.topic.view), 0)
    return nowhere.produce_request(batch_of(b"refused"), acks=0, over=over)


def _to_unknown_partition(bench: Bench, partition: Partition, over: Connection) -> Entity:
    beyond = Partition(partition.topic, len(partition.topic) + 7)
    return beyond.produce_request(batch_of(b"refused"), acks=0, over=over)


def _with_wrong_checksum(bench: Bench, partition: Partition, over: Connection) -> Entity:
    return partition.produce_request(batch_of(b"refused", crc=1), acks=0, over=over)


def _with_sequence_gap(bench: Bench, partition: Partition, over: Connection) -> Entity:
    producer_id = partition.client.init_producer_id()
    partition.append_batch(Numbers().batch(producer_id))
    gap = Numbers(first=5).batch(producer_id, "refused")
    return partition.produce_request(gap, acks=0, over=over)


ERRORS_OF_ACKS_0: Mapping[str, Callable[[Bench, Partition, Connection], Entity]] = {
    "unknown topic": _to_unknown_topic,
    "unknown partition": _to_unknown_partition,
    "wrong checksum": _with_wrong_checksum,
    "sequence gap": _with_sequence_gap,
}
ANSWERS_BEFORE_CLOSING_MAX = 20
"""A broker that appends beside its connections may answer some requests before it closes one."""


@pytest.mark.clause("PROD-01")
@pytest.mark.parametrize("case", ERRORS_OF_ACKS_0)
def test_an_error_with_acks_0_closes_the_connection(bench: Bench, case: str) -> None:
    """A Produce with acks=0 that fails ends its connection, and nothing is appended."""
    with bench.partition() as partition:
        connection = partition.connect()
        request = ERRORS_OF_ACKS_0[case](bench, partition, connection)
        connection.send(request, answered=False)
        bench.premise("a Produce with acks=0 failed")
        answers = 0
        while connection.loss is None and answers < ANSWERS_BEFORE_CLOSING_MAX:
            follower: Pending[Entity] = connection.send(metadata_request(connection))
            partition.target.settle(follower)
            if not follower.settled:
                raise Inconclusive("neither closed nor answered")
            answers += follower.answered
        assert connection.loss is Loss.CLOSED_BY_BROKER, "the broker closes the connection"
        refused = [value for value in values_of(partition) if b"refused" in (value or b"")]
        assert not refused, "nothing is appended"


@pytest.mark.clause("PROD-01")
@given(world=worlds(), acks=st.lists(st.sampled_from([1, -1]), min_size=1, max_size=8))
def test_acks_1_and_all_are_answered_after_the_append(
    bench: Bench, world: World, acks: list[int]
) -> None:
    """The answers to acks=1 and acks=-1 name the offset of the append; acks=-1 shows it too."""
    with bench.partition(world=world) as partition:
        for offset, level in enumerate(acks):
            answer = partition.produce(batch_of(b"%d" % offset), acks=level).result()
            bench.premise(f"acks={level}")
            assert answer.error is ErrorCode.none
            assert answer.base_offset == offset, "the answer comes after the append"
            if level == -1:
                assert partition.end_offset > offset, "what acks=-1 acknowledged can be read"
        assert log_end(partition) == len(acks)


@pytest.mark.clause("PROD-01")
def test_any_other_acks_is_refused_for_every_partition(bench: Bench) -> None:
    """acks other than 0, 1 and -1 is answered 21 for each partition, and nothing is appended."""
    with bench.topic(partitions=6) as topic:
        connection = topic[0].connect()
        parts = [(topic[n], batch_of(b"refused")) for n in led_by(topic, topic[0].view.leader)]
        for acks in (2, -2, 3, 127, -32768, 32767):
            request = produce_to(connection, parts, acks=acks)
            answers = answers_by_place(connection.send(request).result())
            bench.premise("a Produce with an acks that means nothing")
            errors = {part.error_code for part in answers.values()}
            assert len(answers) == len(parts), "every partition is answered"
            assert errors == {ErrorCode.invalid_required_acks}, f"acks={acks} is refused"
        ends = [log_end(partition) for partition, _ in parts]
        assert ends == [0] * len(parts), "nothing is appended"


# ---- PROD-02: the answer is true ----------------------------------------------------------------


def produce_to(
    connection: Connection, parts: Sequence[tuple[Partition, Batch]], acks: int = -1
) -> Entity:
    """One request to several partitions, of one topic or of many."""
    topics: dict[str, list[dict[str, object]]] = {}
    for partition, batch in parts:
        entry = {"index": partition.number, "records": batch.encode()}
        topics.setdefault(partition.topic.name, []).append(entry)
    return connection.build(
        "produce",
        at_least=3,
        at_most=12,
        acks=acks,
        timeout=10_000,
        transactional_id=None,
        topic_data=[{"name": name, "partition_data": data} for name, data in topics.items()],
    )


def led_by(topic: Topic, broker: int) -> list[int]:
    return [number for number, view in topic.view.partitions.items() if view.leader == broker]


def answers_by_place(answer: Entity) -> dict[tuple[str, int], Entity]:
    found = [(t.name, part) for t in answer.responses for part in t.partition_responses]
    places = {(name, part.index): part for name, part in found}
    assert len(places) == len(found), "each partition of the request is answered once"
    return places


batches_of_records = st.lists(
    st.tuples(st.lists(new_records(), min_size=1, max_size=5), st.sampled_from(Codec)),
    min_size=1,
    max_size=5,
)


@pytest.mark.clause("PROD-02")
@given(world=worlds(), batches=batches_of_records, acks=st.sampled_from([1, -1]))
def test_each_record_is_read_at_its_offset_as_it_was_sent(
    bench: Bench, world: World, batches: list[tuple[list[NewRecord], Codec]], acks: int
) -> None:
    """Record i of a batch is read at base_offset plus i, unchanged, and nothing else is there."""
    with bench.partition(world=world) as partition:
        sent = [
            partition.produce(Batch(records=records, codec=codec), acks=acks)
            for records, codec in batches
        ]
        answers = partition.target.wait(*sent)
        assert all_ok(answers)
        wanted = []
        for (records, _), answer in zip(batches, answers, strict=True):
            bench.premise("a batch was acknowledged")
            wanted += as_read(records, answer.base_offset)
        end = log_end(partition)
        found = partition.read()[:-1]
        assert sorted(wanted, key=lambda r: r.offset) == found, "what was sent, where it was said"
        assert end == len(found), "there is one copy of each batch and nothing else"


@pytest.mark.clause("PROD-02")
def test_every_version_of_produce_is_answered_with_the_truth(bench: Bench) -> None:
    """Each version of Produce appends its batch at the offset it answers."""
    with bench.partition() as partition:
        versions = served_versions(partition.leader, "produce", at_least=3)
        values = [[b"v%d" % v, b"v%d again" % v] for v in versions]
        sent = [
            partition.produce(batch_of(*pair), version=v)
            for v, pair in zip(versions, values, strict=True)
        ]
        for number, (version, answer) in enumerate(
            zip(versions, partition.target.wait(*sent), strict=True)
        ):
            bench.premise("a version of Produce")
            assert answer.error is ErrorCode.none, f"version {version} is served"
            assert answer.base_offset == 2 * number, f"version {version} answers its offset"
            assert answer.log_append_time_ms is None, f"CreateTime in version {version}: -1"
            if version >= 5:
                assert answer.log_start_offset == 0, f"the log starts at 0 in version {version}"
        assert values_of(partition) == [value for pair in values for value in pair]


@pytest.mark.clause("PROD-02")
def test_log_append_time_is_the_time_of_the_records(bench: Bench) -> None:
    """With LogAppendTime the answer has the time that its records are read with, not their own."""
    configs = {"message.timestamp.type": "LogAppendTime"}
    with bench.partition(configs=configs) as partition:
        needs_topic_configs(partition)
        before_ms = partition.target.clock_ms()
        old_ms = before_ms - 1_000_000
        for kind in Codec:
            records = [NewRecord(value=b"%d" % n, timestamp_ms=old_ms + n) for n in range(3)]
            answer = partition.produce(
                Batch(records=records, codec=kind, timestamp_ms=old_ms)
            ).result()
            assert answer.error is ErrorCode.none
            read = partition.read(start=answer.base_offset)
            times = {record.timestamp_ms for record in read[:3]}
            bench.premise("a batch with times of its own under LogAppendTime")
            assert times == {answer.log_append_time_ms}, "the records have the answered time"
            assert old_ms + 2 not in times, "the broker's clock decides"
        if bench.virtual:
            after_ms = partition.target.clock_ms()
            found = [record.timestamp_ms for record in partition.read()]
            assert all(before_ms <= t <= after_ms for t in found), "it is the time of the append"


@pytest.mark.clause("PROD-02")
def test_log_start_offset_follows_deleted_records(bench: Bench) -> None:
    """The answer carries the log start offset, which DeleteRecords moves."""
    with bench.partition() as partition:
        partition.leader.version("produce", at_least=5, at_most=12)
        partition.append(b"0", b"1", b"2")
        partition.append(b"3")
        for start in (0, 1, 3, 4):
            if start:
                deleted = partition.delete_records(start).result()
                if deleted.error_code is not ErrorCode.none:
                    raise Inconclusive(f"DeleteRecords: {deleted.error_code.name}")
            answer = partition.append(b"more")
            bench.premise("an append after the log start offset is known")
            assert answer.log_start_offset == start, "the log starts where DeleteRecords said"


@pytest.mark.clause("PROD-02")
@given(
    world=worlds(),
    corrupt=st.lists(st.booleans(), min_size=6, max_size=6),
    unknown=st.booleans(),
    beyond=st.booleans(),
)
def test_each_partition_of_a_request_succeeds_or_fails_by_itself(
    bench: Bench, world: World, corrupt: list[bool], unknown: bool, beyond: bool
) -> None:
    """In one request the good partitions are appended to, and each bad one gets its error."""
    with bench.topic(world=world, partitions=6) as topic:
        is_bad = dict(zip(topic.view.partitions, corrupt, strict=False))
        good_batch = batch_of(b"good", b"too")
        parts = [(topic[n], CORRUPT if bad else good_batch) for n, bad in is_bad.items()]
        if unknown:
            nowhere = Topic(topic.client, bench.name(), topic.view)
            parts.insert(1, (Partition(nowhere, 0), good_batch))
        if beyond:
            parts.insert(0, (Partition(topic, 99), good_batch))
        answers = answers_by_place(
            topic[0].leader.send(produce_to(topic[0].leader, parts)).result()
        )
        asked = {(partition.topic.name, partition.number) for partition, _ in parts}
        assert answers.keys() == asked, "each partition is answered"
        led = led_by(topic, topic[0].view.leader)
        good = {(topic.name, n) for n in led if not is_bad[n]}
        if good and len(good) < len(parts):
            bench.premise("a request with good and bad partitions")
        accepted = {place for place, part in answers.items() if part.error_code is ErrorCode.none}
        assert accepted == good, "the good ones succeed, and the others fail"
        for n in topic.view.partitions:
            wanted = [b"good", b"too"] if (topic.name, n) in good else []
            assert log_end(topic[n]) == len(wanted), "an error means that nothing was appended"
            assert values_of(topic[n])[:-1] == wanted, "success means that the batch was"


# ---- PROD-04: one connection, one order ---------------------------------------------------------

LONG_POLL_MS = 100


def _long_poll(partition: Partition, over: Connection) -> Entity:
    return partition.fetch_request(0, max_wait_ms=LONG_POLL_MS, min_bytes=1 << 20, over=over)


def _metadata_of_topic(partition: Partition, over: Connection) -> Entity:
    topics = [{"name": partition.topic.name}]
    return over.build("metadata", at_least=1, at_most=8, topics=topics)


def _acks_1(partition: Partition, over: Connection) -> Entity:
    return partition.produce_request(batch_of(b"1"), acks=1, over=over)


def _acks_all(partition: Partition, over: Connection) -> Entity:
    return partition.produce_request(batch_of(b"-1"), over=over)


def _api_versions(partition: Partition, over: Connection) -> Entity:
    return codec.request("api_versions", 0)


REQUESTS = (_long_poll, _metadata_of_topic, _acks_1, _acks_all, _api_versions)
correlation_ids = st.integers(-(1 << 31), (1 << 31) - 1)


@pytest.mark.clause("PROD-04")
def test_what_comes_after_a_long_poll_is_answered_after_it(bench: Bench) -> None:
    """A Metadata behind a Fetch that waits is answered second, although it could be answered."""
    with bench.partition() as partition:
        connection = partition.connect()
        waits, at_once = _long_poll(partition, connection), metadata_request(connection)
        bench.premise("a request that could overtake the one before it")
        send_frames(connection, [(11, waits), (12, at_once), (13, waits), (14, at_once)])
        assert answered_ids(connection, 4) == [11, 12, 13, 14], "answers come in order"


@pytest.mark.clause("PROD-04")
@given(
    world=worlds(),
    plan=st.lists(st.tuples(correlation_ids, st.sampled_from(REQUESTS)), min_size=2, max_size=10),
)
def test_answers_come_in_the_order_of_the_requests(
    bench: Bench,
    world: World,
    plan: list[tuple[int, Callable[[Partition, Connection], Entity]]],
) -> None:
    """Pipelined requests of any cost are answered one by one with the ids they were sent with."""
    with bench.partition(world=world) as partition:
        connection = partition.connect()
        send_frames(connection, [(number, build(partition, connection)) for number, build in plan])
        bench.premise("a request behind another one", times=len(plan) - 1)
        ids = answered_ids(connection, len(plan))
        assert ids == [number for number, _ in plan], "each answer has the id of its request"


@pytest.mark.clause("PROD-04")
@given(world=worlds(), count=st.integers(1, 6))
def test_a_request_is_handled_after_the_one_before_it(
    bench: Bench, world: World, count: int
) -> None:
    """ListOffsets that follows a Produce with acks=-1 on its connection shows the append."""
    with bench.partition(world=world) as partition:
        connection = partition.connect()
        sent = [
            (
                partition.produce(batch_of(b"%d" % n), over=connection),
                partition.list_offsets(LATEST, over=connection),
            )
            for n in range(count)
        ]
        for n, (append, look) in enumerate(sent):
            answer, listed = append.result(), look.result()
            if answer.error is not ErrorCode.none or listed.error is not ErrorCode.none:
                raise Inconclusive(f"refused: {answer.error.name}, {listed.error.name}")
            bench.premise("ListOffsets right behind a Produce")
            assert answer.base_offset == n, "batches are appended in the order they were sent"
            assert listed.offset > n, "what was asked later sees what was done before"


SENDERS = 3
sendings = st.tuples(
    st.integers(0, SENDERS - 1),
    st.sampled_from([0, 1, -1]),
    st.integers(1, 4),
    st.sampled_from(Codec),
)


@pytest.mark.clause("PROD-04")
@given(world=worlds(), plan=st.lists(sendings, min_size=2, max_size=20))
def test_records_of_one_connection_keep_their_order(
    bench: Bench, world: World, plan: list[tuple[int, int, int, Codec]]
) -> None:
    """Whatever acks, size and codec, batches are in the log as their connection sent them."""
    with bench.partition(world=world) as partition:
        connections = [partition.connect() for _ in range(SENDERS)]
        wanted: list[list[bytes]] = [[] for _ in connections]
        for number, (sender, acks, size, kind) in enumerate(plan):
            values = [b"%d: %d/%d" % (sender, number, n) for n in range(size)]
            batch = batch_of(*values, codec=kind)
            partition.produce(batch, acks=acks, over=connections[sender])
            wanted[sender] += values
        # What is behind all of a connection's batches shows that they have been handled.
        ends = [partition.produce(batch_of(b"the end"), over=c) for c in connections]
        assert all_ok(partition.target.wait(*ends))
        bench.premise("batches of one connection", times=len(plan))
        found = [value or b"" for value in values_of(partition)]
        for sender, values in enumerate(wanted):
            own = [value for value in found if value.startswith(b"%d:" % sender)]
            assert own == values, "the records of a connection are in the order they were sent"
