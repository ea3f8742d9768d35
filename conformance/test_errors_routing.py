"""Requests to the wrong place are told so, and none that has a timeout hangs (ERR-05, ERR-06)."""

from collections.abc import Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.bench import Bench
from conformance.client import ADMIN_TIMEOUT_MS
from conformance.connection import Connection, Pending
from conformance.outcomes import Unsupported
from conformance.partition import PRODUCE_TIMEOUT_MS, Partition, Topic
from conformance.records import batch_of
from conformance.targets.target import Capability
from conformance.world import World, worlds

NOT_LEADER = ErrorCode.not_leader_or_follower
UNKNOWN = ErrorCode.unknown_topic_or_partition
FETCH_FROM_LEADERS_UP_TO = 10
"""From version 11 on a follower may serve consumers (KIP-392)."""
SLACK_MS = 10_000
"""How far beyond its timeout an answer is called missing and not late."""

R = TypeVar("R")


# ---- ERR-05: a request to the wrong place is told so ---------------------------------------------


def asked_of(partition: Partition, over: Connection) -> dict[str, Pending[Any]]:
    """All that a client may ask of a leader only."""
    asked: dict[str, Pending[Any]] = {
        "Produce": partition.produce(batch_of(b"not for this broker"), over=over),
        "ListOffsets": partition.list_offsets(-1, over=over),
    }
    low, high = over.versions[codec.KEYS["fetch"]]
    if low <= FETCH_FROM_LEADERS_UP_TO:
        version = min(high, FETCH_FROM_LEADERS_UP_TO)
        asked["Fetch"] = partition.fetch(0, over=over, version=version)
    if over.versions.get(codec.KEYS["offset_for_leader_epoch"], (0, 0))[1] >= 2:
        asked["OffsetForLeaderEpoch"] = partition.epoch_end(0, over=over)
    if over.serves("delete_records"):
        asked["DeleteRecords"] = partition.delete_records(0, over=over)
    return asked


def errors_of(asked: Mapping[str, Pending[Any]]) -> dict[str, ErrorCode]:
    """Waits for the answers about a single partition each."""
    answers = {name: pending.result() for name, pending in asked.items()}
    return {
        name: answer.error if hasattr(answer, "error") else answer.error_code
        for name, answer in answers.items()
    }


@pytest.mark.clause("ERR-05")
def test_a_broker_that_does_not_lead_says_so(bench: Bench) -> None:
    """A follower answers NOT_LEADER_OR_FOLLOWER to all that only a leader may answer."""
    with bench.partition() as partition:
        if not partition.followers:
            raise Unsupported("the topic has no follower")
        partition.append(b"x")
        for follower in partition.followers:
            found = errors_of(asked_of(partition, partition.client.broker(follower)))
            bench.premise("a follower was asked", len(found))
            wrong = {n: e.name for n, e in found.items() if e is not NOT_LEADER}
            assert wrong == {}, "a follower answers NOT_LEADER_OR_FOLLOWER (6)"
        assert partition.end_offset == 1, "nothing was appended through a follower"


@pytest.mark.clause("ERR-05")
def test_a_broker_without_a_replica_says_so(bench: Bench) -> None:
    """A broker that has no replica of a partition it knows answers NOT_LEADER_OR_FOLLOWER."""
    with bench.client() as client:
        if len(client.brokers) < 2 or not client.controller().serves("create_topics"):
            raise Unsupported("replicas cannot be placed on chosen brokers")
        leader, *others = client.brokers
        with bench.partition(client=client, assignments={0: (leader,)}) as partition:
            for other in others:
                found = errors_of(asked_of(partition, client.broker(other)))
                bench.premise("a broker without a replica was asked", len(found))
                wrong = {n: e.name for n, e in found.items() if e is not NOT_LEADER}
                assert wrong == {}, "a broker that does not lead answers 6"


@pytest.mark.clause("ERR-05")
@pytest.mark.parametrize("what", ["topic", "partition", "negative partition"])
def test_what_does_not_exist_is_unknown(bench: Bench, what: str) -> None:
    """Whoever is asked about an unknown topic or partition answers with error 3."""
    with bench.topic() as topic:
        numbers = {"topic": 0, "partition": len(topic), "negative partition": -1}
        named = (
            Topic(topic.client, bench.name("-unknown"), topic.view) if what == "topic" else topic
        )
        partition = Partition(named, numbers[what])
        for broker in topic.client.brokers:
            found = errors_of(asked_of(partition, topic.client.broker(broker)))
            bench.premise(f"a broker was asked about an unknown {what}", len(found))
            wrong = {n: e.name for n, e in found.items() if e is not UNKNOWN}
            assert wrong == {}, "what is unknown is answered with UNKNOWN_TOPIC_OR_PARTITION (3)"


@pytest.mark.clause("ERR-05")
def test_metadata_says_that_a_topic_is_unknown(bench: Bench) -> None:
    """Asking about an unknown topic is answered with error 3, and does not create it."""
    with bench.client() as client:
        name = bench.name("-unknown")
        for broker in client.brokers:
            (found,) = client.metadata(name, broker=broker, create=False).topics
            bench.premise("metadata of an unknown topic was asked for")
            assert found.error_code is UNKNOWN, "a topic is unknown that nobody has created"


@pytest.mark.clause("ERR-05")
def test_a_wrong_broker_s_metadata_leads_to_the_right_one(bench: Bench) -> None:
    """Refused by a follower, a client asks that same broker for metadata, and then succeeds."""
    with bench.partition() as partition:
        if not partition.followers:
            raise Unsupported("the topic has no follower")
        for count, wrong in enumerate(partition.followers):
            over = partition.client.broker(wrong)
            refused = partition.produce(batch_of(b"x"), over=over).result()
            assert refused.error is NOT_LEADER, "the follower refuses"
            leader = partition.client.view(partition.topic.name, wrong).partitions[0].leader
            right = partition.client.broker(leader)
            answer = partition.produce(batch_of(b"x"), over=right).result()
            bench.premise("a request was repeated at the broker that metadata named")
            assert (answer.error, answer.base_offset) == (ErrorCode.none, count)


@pytest.mark.clause("ERR-05")
def test_any_broker_leads_to_the_controller(bench: Bench) -> None:
    """CreateTopics is served or forwarded, or refused with 41, and then the controller serves."""
    with bench.client() as client:
        if not client.controller().serves("create_topics"):
            raise Unsupported("CreateTopics is not served")
        topic: dict[str, Any] = {"name": bench.name(), "num_partitions": 1, "replication_factor": 1}
        wanted: dict[str, Any] = {"topics": [topic], "validate_only": True}
        wanted["timeout"] = ADMIN_TIMEOUT_MS
        for broker in client.brokers:
            found = client.broker(broker).call("create_topics", at_least=2, **wanted)
            error = found.topics[0].error_code
            bench.premise("a broker was asked to create a topic")
            assert error in (ErrorCode.none, ErrorCode.not_controller)
            if error is ErrorCode.not_controller:
                named = client.metadata(broker=broker).controller_id
                again = client.broker(named).call("create_topics", at_least=2, **wanted)
                assert again.topics[0].error_code is ErrorCode.none, "the controller serves it"


# ---- ERR-06: nothing hangs that has a timeout ----------------------------------------------------


def ends_in_time(asked: Pending[R], timeout_ms: int, witness: Connection) -> R:
    """The answer. One that is missing long after it was due, while the broker answers a witness,
    will not come; a broker that answers nobody decides nothing."""
    if not asked.connection.target.settle(asked, within_ms=timeout_ms + SLACK_MS):
        witness.send(codec.request("api_versions", 0)).result()
        assert asked.settled, f"it ends by its timeout of {timeout_ms} ms"
    return asked.value


@pytest.mark.clause("ERR-06")
def test_a_fetch_ends_by_max_wait_ms(bench: Bench) -> None:
    """A fetch whose min_bytes never come is answered when its time is over, with what there is."""
    with bench.partition() as partition:
        partition.append(b"x")
        waits = {
            max_wait_ms: partition.fetch(
                0, max_wait_ms=max_wait_ms, min_bytes=1 << 20, over=partition.connect()
            )
            for max_wait_ms in (1, 50, 400, 900)
        }
        for max_wait_ms, asked in waits.items():
            answer = ends_in_time(asked, max_wait_ms, partition.leader)
            bench.premise("a fetch waited for bytes that never came")
            assert answer.error is ErrorCode.none
            assert [record.value for record in answer.records] == [b"x"]


@pytest.mark.clause("ERR-06")
def test_a_produce_without_records_is_answered(bench: Bench) -> None:
    """The schema allows null for the records: whatever it means, the answer comes in time."""
    with bench.partition() as partition:
        asked = partition.produce(None, timeout_ms=500, over=partition.connect())
        partition.target.settle(asked, within_ms=500)
        if not asked.loss:
            ends_in_time(asked, 500, partition.leader)
        bench.premise("a produce had no records")
        assert partition.append(b"x").base_offset == 0, "nothing took an offset"


@pytest.mark.clause("ERR-06")
@pytest.mark.parametrize("timeout_ms", [0, 1, 1_000])
def test_an_administrative_request_ends_by_its_timeout(bench: Bench, timeout_ms: int) -> None:
    """Whatever their outcome is, requests to the controller are answered in time."""
    with bench.client() as client:
        connection, name = client.controller(), bench.name("-timed")
        new = {"name": name, "num_partitions": 1, "replication_factor": 1}
        wanted: dict[str, dict[str, Any]] = {
            "create_topics": {"topics": [new]},
            "create_partitions": {"topics": [{"name": name, "count": 2}]},
            "elect_leaders": {"topic_partitions": [{"topic": name, "partitions": (0,)}]},
            "alter_partition_reassignments": {},
            "delete_topics": {"topic_names": (name,), "topics": [{"name": name}]},
        }
        if not any(map(connection.serves, wanted)):
            raise Unsupported("no administrative request is served")
        try:
            for api, values in wanted.items():
                if connection.serves(api):
                    request = connection.build(api, **values, timeout=timeout_ms)
                    ends_in_time(connection.send(request), timeout_ms, client.connect())
                    bench.premise(f"{api} had a timeout")
        finally:
            bench.discard(client, name)


@pytest.mark.clause("ERR-06")
@pytest.mark.needs(Capability.CUT_BROKERS)
@given(world=worlds(), timeout_ms=st.integers(1, 2_000))
def test_a_produce_that_cannot_be_replicated_ends_by_its_timeout(
    bench: Bench, world: World, timeout_ms: int
) -> None:
    """With its followers out of reach a leader answers acks=all with 7, and serves others."""
    with bench.partition(world=world) as partition:
        target, leader = partition.target, partition.view.leader
        with target.nemesis.cut(leader, *partition.followers):
            over = partition.connect()
            asked = partition.produce(batch_of(b"x"), timeout_ms=timeout_ms, over=over)
            other = partition.list_offsets(-1).result()
            assert other.error is ErrorCode.none, "the broker serves others meanwhile"
            answer = ends_in_time(asked, timeout_ms, partition.leader)
            bench.premise("a batch could not be replicated in time")
            assert answer.error is ErrorCode.request_timed_out
        found = partition.append(b"afterwards")
        assert found.base_offset in (0, 1), "the outcome of the first is unknown, and no more"


@pytest.mark.clause("ERR-06")
@pytest.mark.needs(Capability.CUT_BROKERS)
def test_a_deletion_of_records_that_cannot_spread_ends_by_its_timeout(bench: Bench) -> None:
    """DeleteRecords waits for the replicas' log starts, but not beyond timeout_ms."""
    with bench.partition() as partition:
        if not partition.leader.serves("delete_records"):
            raise Unsupported("DeleteRecords is not served")
        partition.append(b"x")
        with partition.target.nemesis.cut(partition.view.leader, *partition.followers):
            asked = partition.delete_records(1, over=partition.connect())
            answer = ends_in_time(asked, PRODUCE_TIMEOUT_MS, partition.leader)
            bench.premise("a log start could not be replicated")
            assert answer.error_code in (ErrorCode.request_timed_out, ErrorCode.none)
