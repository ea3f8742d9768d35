"""A healthy cluster answers its clients as the clauses say."""

from dataclasses import replace
from uuid import UUID

import pytest

from conformance.records import Codec, read_batches
from reference.errors import Error
from reference.requests import (
    ClusterDescribed,
    DeleteRecords,
    DeleteRecordsPart,
    DeleteTopics,
    DescribeCluster,
    EpochEndPart,
    EpochsEnded,
    Fetched,
    FetchPart,
    InitProducerId,
    ListOffsets,
    ListOffsetsPart,
    Metadata,
    MetadataDescribed,
    OffsetForLeaderEpoch,
    OffsetListedPart,
    OffsetsListed,
    Produced,
    ProducePart,
    ProducerIdGiven,
    RecordsDeleted,
    TopicsDeleted,
)
from reference.simulator.cluster import Cluster
from reference.simulator.network import Plane
from tests.core_cluster import (
    NOW_MS,
    ask,
    batch,
    cluster,
    create,
    described,
    fetch,
    fetch_request,
    leader_of,
    produce,
    produce_request,
    replica,
    settle,
)


def values(content: bytes) -> list[bytes | None]:
    return [record.value for each in read_batches(content) for record in each.records]


def followers(running: Cluster, topic: str) -> list[int]:
    return [number for number in running.brokers if number != leader_of(running, topic)]


# ---- produce ------------------------------------------------------------------------------------


@pytest.mark.parametrize("acks", [-1, 0, 1])
def test_what_is_produced_can_be_read(acks: int) -> None:
    running = cluster()
    create(running, "t")
    assert produce(running, "t", batch(b"a", b"b"), acks).base_offset == 0
    assert produce(running, "t", batch(b"c"), acks).base_offset == 2
    settle(running)
    part = fetch(running, "t", 0)
    assert values(part.records) == [b"a", b"b", b"c"]
    assert (part.log_start_offset, part.last_stable_offset, part.high_watermark) == (0, 3, 3)


def test_each_part_succeeds_or_fails_on_its_own() -> None:
    running = cluster()
    create(running, "t")
    request = produce_request("t", batch(b"a"))
    good, wrong = request.parts[0], ProducePart(topic="none", number=0, records=batch(b"x"))
    outside = replace(good, number=7)
    corrupt = replace(good, records=batch(b"x", crc=3))
    parts = (wrong, good, outside, corrupt, good)
    answer = ask(running, leader_of(running, "t"), replace(request, parts=parts))
    assert isinstance(answer, Produced)
    assert [(part.error, part.base_offset) for part in answer.parts] == [
        (Error.UNKNOWN_TOPIC_OR_PARTITION, -1),
        (Error.NONE, 0),
        (Error.UNKNOWN_TOPIC_OR_PARTITION, -1),
        (Error.CORRUPT_MESSAGE, -1),
        (Error.NONE, 1),
    ]
    assert values(fetch(running, "t", 0).records) == [b"a", b"a"]


def test_other_acks_are_refused_for_every_part() -> None:
    running = cluster()
    create(running, "t")
    for acks in (2, -2, 100):
        assert produce(running, "t", batch(b"a"), acks).error is Error.INVALID_REQUIRED_ACKS
    assert fetch(running, "t", 0).high_watermark == 0


def test_a_broker_that_does_not_lead_names_the_leader() -> None:
    running = cluster()
    create(running, "t", replication_factor=2)
    for other in followers(running, "t"):
        answer = ask(running, other, produce_request("t", batch(b"a")))
        assert isinstance(answer, Produced)
        (part,) = answer.parts
        assert part.error is Error.NOT_LEADER_OR_FOLLOWER
        assert part.current_leader == (leader_of(running, "t"), 0)


def test_retries_get_the_first_answer_and_gaps_are_refused() -> None:
    running = cluster()
    create(running, "t")

    def send(sequence: int, epoch: int = 0) -> tuple[Error, int]:
        header = {"producer_id": 5, "producer_epoch": epoch, "base_sequence": sequence}
        part = produce(running, "t", batch(b"v", **header))
        return part.error, part.base_offset

    assert [send(n) for n in range(3)] == [(Error.NONE, n) for n in range(3)]
    assert [send(n) for n in range(3)] == [(Error.NONE, n) for n in range(3)]
    assert send(4) == (Error.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert send(0, epoch=1) == (Error.NONE, 3)
    assert send(3, epoch=0) == (Error.INVALID_PRODUCER_EPOCH, -1)
    assert fetch(running, "t", 0).high_watermark == 4
    for copy in (replica(running, number, "t") for number in running.brokers):
        assert copy.log.producers == replica(running, 1, "t").log.producers


def test_the_isr_is_waited_for_until_the_timeout() -> None:
    running = cluster()
    create(running, "t")
    leader = leader_of(running, "t")
    for other in followers(running, "t"):
        running.pause(other)
    began = running.now_ms
    part = produce(running, "t", batch(b"a"))
    assert part.error is Error.REQUEST_TIMED_OUT
    assert 5_000 <= running.now_ms - began < 5_100
    assert produce(running, "t", batch(b"b"), acks=1).error is Error.NONE
    hidden = fetch(running, "t", 0)
    assert (hidden.high_watermark, hidden.records, hidden.error) == (0, b"", Error.NONE)
    assert fetch(running, "t", 2).error is Error.NONE, "the end of the log is in range"
    assert fetch(running, "t", 3).error is Error.OFFSET_OUT_OF_RANGE
    for other in followers(running, "t"):
        running.resume(other)
    settle(running)
    assert values(fetch(running, "t", 0).records) == [b"a", b"b"]
    assert not running.brokers[leader].purgatory.waiting


def test_too_few_in_sync_replicas_refuse_acks_all() -> None:
    running = cluster(configs={"replica.lag.time.max.ms": "2000"})
    create(running, "t", configs=(("min.insync.replicas", "2"),))
    for other in followers(running, "t"):
        running.cut(leader_of(running, "t"), other, plane=Plane.REPLICATION)
    assert produce(running, "t", batch(b"a"), acks=1).error is Error.NONE
    settle(running, 6_000)
    assert described(running, leader_of(running, "t"), "t").isr == (leader_of(running, "t"),)
    assert produce(running, "t", batch(b"b")).error is Error.NOT_ENOUGH_REPLICAS
    assert produce(running, "t", batch(b"c"), acks=1).base_offset == 1
    assert fetch(running, "t", 0).high_watermark == 0, "not committed below min.insync.replicas"
    for other in followers(running, "t"):
        running.heal(leader_of(running, "t"), other)
    settle(running, 3_000)
    assert described(running, 1, "t").isr == (1, 2, 3)
    assert values(fetch(running, "t", 0).records) == [b"a", b"c"]


# ---- fetch --------------------------------------------------------------------------------------


def test_a_held_fetch_is_answered_by_data_or_by_time() -> None:
    running = cluster()
    create(running, "t")
    leader = leader_of(running, "t")
    request = fetch_request("t", 0, max_wait_ms=700)
    held, began = running.submit(leader, request), running.now_ms
    running.run(lambda: held.is_done, 10_000)
    assert isinstance(held.response, Fetched)
    assert 700 <= running.now_ms - began < 720
    held, began = running.submit(leader, request), running.now_ms
    produce(running, "t", batch(b"a"))
    running.run(lambda: held.is_done, 10_000)
    assert isinstance(held.response, Fetched)
    assert values(held.response.parts[0].records) == [b"a"]
    assert running.now_ms - began < 300


def test_a_held_fetch_learns_that_its_topic_is_gone() -> None:
    running = cluster()
    create(running, "t")
    held = running.submit(leader_of(running, "t"), fetch_request("t", 0, max_wait_ms=60_000))
    settle(running, 100)
    ask(running, 1, DeleteTopics(topics=("t",), timeout_ms=1_000))
    settle(running, 100)
    assert isinstance(held.response, Fetched)
    assert held.response.parts[0].error is Error.UNKNOWN_TOPIC_OR_PARTITION


def test_the_first_batch_is_returned_however_large() -> None:
    running = cluster()
    create(running, "t", partitions=2, replication_factor=1)
    answer = ask(running, 1, Metadata(topics=("t",), allow_auto_topic_creation=False))
    assert isinstance(answer, MetadataDescribed)
    create(running, "u", replication_factor=1, assignments=(), partitions=1)
    assert produce(running, "t", batch(b"x" * 1000)).error is Error.NONE
    assert produce(running, "t", batch(b"y" * 1000)).error is Error.NONE
    one = len(batch(b"x" * 1000))
    for limits in ({"max_bytes": 1}, {"max_bytes": one + 5}):
        part = fetch(running, "t", 0, **limits)
        assert len(part.records) == one
    assert len(fetch(running, "t", 0).records) == 2 * one


def test_a_second_partition_gets_nothing_beyond_the_limit() -> None:
    running = cluster(brokers=1)
    create(running, "t", partitions=2, replication_factor=1)
    content = batch(b"x" * 100)
    request = produce_request("t", content)
    both = (request.parts[0], replace(request.parts[0], number=1))
    ask(running, 1, replace(request, parts=both))
    parts = tuple(FetchPart(topic="t", number=n, offset=0, max_bytes=1 << 20) for n in (1, 0))
    wanted = replace(fetch_request("t", 0), parts=parts, max_bytes=len(content))
    answer = ask(running, 1, wanted)
    assert isinstance(answer, Fetched)
    assert [(part.number, bool(part.records)) for part in answer.parts] == [(1, True), (0, False)]


def test_a_client_cannot_pass_for_a_replica() -> None:
    running = cluster()
    create(running, "t")
    answer = ask(running, leader_of(running, "t"), fetch_request("t", 0, replica_id=2))
    assert isinstance(answer, Fetched)
    assert answer.error is Error.CLUSTER_AUTHORIZATION_FAILED


def test_zstd_is_kept_from_old_consumers() -> None:
    running = cluster()
    create(running, "t")
    produce(running, "t", batch(b"a", codec=Codec.ZSTD))
    assert fetch(running, "t", 0, api_version=9).error is Error.UNSUPPORTED_COMPRESSION_TYPE
    assert values(fetch(running, "t", 0, api_version=10).records) == [b"a"]


def test_a_topic_is_fetched_by_its_id_only_while_it_exists() -> None:
    running = cluster()
    first = create(running, "t")
    produce(running, "t", batch(b"old"))
    assert values(fetch(running, first, 0, api_version=13).records) == [b"old"]
    deleted = ask(running, 2, DeleteTopics(topics=(first,), timeout_ms=1_000))
    assert isinstance(deleted, TopicsDeleted)
    assert deleted.topics[0].name == "t"
    second = create(running, "t")
    assert second != first
    for unknown in (first, UUID(int=77)):
        request = fetch_request(unknown, 0, api_version=13)
        for broker in running.brokers:
            answer = ask(running, broker, request)
            assert isinstance(answer, Fetched)
            assert answer.parts[0].error is Error.UNKNOWN_TOPIC_ID
    assert fetch(running, second, 0, api_version=13).high_watermark == 0
    again = ask(running, 2, DeleteTopics(topics=(first, "none"), timeout_ms=1_000))
    assert isinstance(again, TopicsDeleted)
    assert [topic.error for topic in again.topics] == [
        Error.UNKNOWN_TOPIC_ID,
        Error.UNKNOWN_TOPIC_OR_PARTITION,
    ]


# ---- offsets ------------------------------------------------------------------------------------


def list_offset(running: Cluster, timestamp: int, version: int = 7) -> OffsetListedPart:
    part = ListOffsetsPart(topic="t", number=0, timestamp=timestamp)
    request = ListOffsets(replica_id=-1, read_committed=False, parts=(part,), api_version=version)
    answer = ask(running, leader_of(running, "t"), request)
    assert isinstance(answer, OffsetsListed)
    return answer.parts[0]


def test_offsets_are_looked_up() -> None:
    running = cluster()
    create(running, "t")
    assert (list_offset(running, -3).offset, list_offset(running, 0).offset) == (-1, -1)
    produce(running, "t", batch(b"a", b"b", timestamp_ms=NOW_MS - 5))
    produce(running, "t", batch(b"c", timestamp_ms=NOW_MS))
    found = [list_offset(running, t) for t in (-1, -2, -3, NOW_MS - 4, NOW_MS - 5, NOW_MS + 1)]
    assert [(part.offset, part.timestamp) for part in found] == [
        (3, -1),
        (0, -1),
        (2, NOW_MS),
        (2, NOW_MS),
        (0, NOW_MS - 5),
        (-1, -1),
    ]
    assert list_offset(running, -3, version=6).error is Error.UNSUPPORTED_VERSION
    assert list_offset(running, -4, version=8).offset == 0
    assert list_offset(running, -5, version=9).offset == -1
    assert list_offset(running, -9, version=9).error is Error.UNSUPPORTED_VERSION


def test_epochs_that_a_client_believes_in_are_checked() -> None:
    running = cluster()
    create(running, "t")
    leader = leader_of(running, "t")
    expected = {-1: Error.NONE, 0: Error.NONE, 1: Error.UNKNOWN_LEADER_EPOCH}
    for epoch, error in expected.items():
        assert fetch(running, "t", 0, current_leader_epoch=epoch).error is error
        part = ListOffsetsPart(topic="t", number=0, timestamp=-1, current_leader_epoch=epoch)
        listed = ask(
            running,
            leader,
            ListOffsets(replica_id=-1, read_committed=False, parts=(part,), api_version=7),
        )
        assert isinstance(listed, OffsetsListed)
        assert listed.parts[0].error is error
        asked = EpochEndPart(topic="t", number=0, leader_epoch=0, current_leader_epoch=epoch)
        ended = ask(running, leader, OffsetForLeaderEpoch(replica_id=-1, parts=(asked,)))
        assert isinstance(ended, EpochsEnded)
        assert ended.parts[0].error is error


def delete_before(running: Cluster, offset: int) -> tuple[Error, int]:
    part = DeleteRecordsPart(topic="t", number=0, before_offset=offset)
    request = DeleteRecords(timeout_ms=3_000, parts=(part,))
    answer = ask(running, leader_of(running, "t"), request)
    assert isinstance(answer, RecordsDeleted)
    return answer.parts[0].error, answer.parts[0].low_watermark


def test_records_are_deleted_on_every_replica() -> None:
    running = cluster()
    create(running, "t")
    for value in (b"a", b"b", b"c"):
        produce(running, "t", batch(value, value))
    assert delete_before(running, 7) == (Error.OFFSET_OUT_OF_RANGE, -1)
    assert delete_before(running, -2) == (Error.OFFSET_OUT_OF_RANGE, -1)
    assert delete_before(running, 3) == (Error.NONE, 3)
    assert delete_before(running, 1) == (Error.NONE, 3), "never backwards"
    for number in running.brokers:
        assert replica(running, number, "t").log.start_offset == 3
    assert fetch(running, "t", 2).error is Error.OFFSET_OUT_OF_RANGE
    assert [b.base_offset for b in read_batches(fetch(running, "t", 3).records)] == [2, 4]
    assert list_offset(running, -2).offset == 3
    assert delete_before(running, -1) == (Error.NONE, 6)
    assert produce(running, "t", batch(b"d")).base_offset == 6


def test_deletion_waits_for_every_replica() -> None:
    running = cluster()
    create(running, "t")
    produce(running, "t", batch(b"a"))
    running.pause(followers(running, "t")[0])
    began = running.now_ms
    assert delete_before(running, 1) == (Error.REQUEST_TIMED_OUT, -1)
    assert running.now_ms - began >= 3_000


def test_deleting_records_does_not_weaken_deduplication() -> None:
    running = cluster()
    create(running, "t")
    header = {"producer_id": 5, "producer_epoch": 1, "base_sequence": 0}
    assert produce(running, "t", batch(b"a", **header)).base_offset == 0
    assert delete_before(running, -1) == (Error.NONE, 1)
    assert produce(running, "t", batch(b"a", **header)).base_offset == 0
    header["producer_epoch"] = 0
    assert produce(running, "t", batch(b"a", **header)).error is Error.INVALID_PRODUCER_EPOCH
    assert fetch(running, "t", 1).high_watermark == 1


def test_old_segments_are_deleted_in_time() -> None:
    running = cluster(configs={"log.retention.check.interval.ms": "1000"})
    create(running, "t", configs=(("retention.ms", "5000"), ("segment.bytes", "100")))
    produce(running, "t", batch(b"a" * 20))
    settle(running, 3_000)
    produce(running, "t", batch(b"b" * 20, timestamp_ms=NOW_MS + running.now_ms))
    settle(running, 3_500)
    assert list_offset(running, -2).offset == 1
    assert values(fetch(running, "t", 1).records) == [b"b" * 20]
    for number in running.brokers:
        assert replica(running, number, "t").log.start_offset == 1


# ---- producer ids -------------------------------------------------------------------------------


def test_producer_ids_are_never_given_twice() -> None:
    running = cluster()
    given = []
    for turn in range(1_005):
        request = InitProducerId(
            transactional_id=None, transaction_timeout_ms=0, producer_id=-1, producer_epoch=-1
        )
        answer = ask(running, 1 if turn else 2, request)
        assert isinstance(answer, ProducerIdGiven)
        assert (answer.error, answer.producer_epoch) == (Error.NONE, 0)
        given.append(answer.producer_id)
    assert len(set(given)) == len(given)


def test_there_is_no_transaction_coordinator() -> None:
    running = cluster()
    for transactional_id, error in (
        ("t", Error.COORDINATOR_NOT_AVAILABLE),
        ("", Error.INVALID_REQUEST),
    ):
        request = InitProducerId(
            transactional_id=transactional_id,
            transaction_timeout_ms=0,
            producer_id=-1,
            producer_epoch=-1,
        )
        answer = ask(running, 1, request)
        assert isinstance(answer, ProducerIdGiven)
        assert answer.error is error


# ---- metadata -----------------------------------------------------------------------------------


def test_every_broker_reports_the_same_topic() -> None:
    running = cluster()
    topic_id = create(running, "t", partitions=4, replication_factor=2)
    answers = [
        ask(running, broker, Metadata(topics=ref, allow_auto_topic_creation=False))
        for broker in running.brokers
        for ref in (("t",), (topic_id,), None)
    ]
    assert all(answer == answers[0] for answer in answers)
    assert isinstance(answers[0], MetadataDescribed)
    (topic,) = answers[0].topics
    assert (topic.name, topic.topic_id, topic.error) == ("t", topic_id, Error.NONE)
    assert [part.number for part in topic.partitions] == [0, 1, 2, 3]
    for part in topic.partitions:
        assert len(set(part.replicas)) == 2
        assert part.leader in part.isr
    cluster_answer = ask(running, 3, DescribeCluster())
    assert isinstance(cluster_answer, ClusterDescribed)
    assert cluster_answer.brokers == (1, 2, 3) == answers[0].brokers


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("allowed", [True, False])
def test_unknown_topics_are_created_if_both_sides_want_it(enabled: bool, allowed: bool) -> None:
    running = cluster(configs={"auto.create.topics.enable": str(enabled).lower()})
    request = Metadata(topics=("t", "b/d"), allow_auto_topic_creation=allowed)
    answer = ask(running, 2, request)
    assert isinstance(answer, MetadataDescribed)
    assert [topic.error for topic in answer.topics] == [
        Error.UNKNOWN_TOPIC_OR_PARTITION,
        Error.INVALID_TOPIC_EXCEPTION,
    ]
    settle(running)
    answer = ask(running, 3, Metadata(topics=None, allow_auto_topic_creation=False))
    assert isinstance(answer, MetadataDescribed)
    assert [topic.name for topic in answer.topics] == (["t"] if enabled and allowed else [])


def test_unknown_ids_are_not_names() -> None:
    running = cluster()
    create(running, "t")
    answer = ask(running, 1, Metadata(topics=(UUID(int=5),), allow_auto_topic_creation=True))
    assert isinstance(answer, MetadataDescribed)
    assert answer.topics[0].error is Error.UNKNOWN_TOPIC_ID
    assert answer.topics[0].name is None
