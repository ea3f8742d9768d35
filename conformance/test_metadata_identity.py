"""A topic is its id: what is deleted stays away, and its id stands for nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import KEEP_ALL, Bench
from conformance.client import ADMIN_TIMEOUT_MS, Client
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import EARLIEST, LATEST, Topic
from conformance.records import batch_of
from conformance.workload.epochs import Versions, partition_error, request
from conformance.workload.leaders import acting_epoch, move_leader
from conformance.workload.topics import (
    GONE,
    ask_to_delete,
    create_again,
    settled,
    views,
    wait_until_gone,
)

NONE = ErrorCode.none
UNKNOWN_ID, INCONSISTENT_ID = ErrorCode.unknown_topic_id, ErrorCode.inconsistent_topic_id
OLD, NEW = [b"old %d" % n for n in range(10)], [b"new %d" % n for n in range(3)]
SERVED_WITHIN_MS = 20_000


def delete(client: Client, name: str) -> None:
    """Deletes a topic and waits until no broker knows it. Raises `Inconclusive`."""
    error = ask_to_delete(client, name).result()
    if error is not NONE:
        raise Inconclusive(f"the topic was not deleted: {error.name}")
    wait_until_gone(client, name)


@contextmanager
def written(bench: Bench) -> Iterator[Topic]:
    """A topic of one partition with old records, on a cluster that deletes topics."""
    with bench.topic() as topic:
        if not topic.client.controller().serves("delete_topics"):
            raise Unsupported("the target deletes no topics on request")
        topic[0].append(*OLD)
        yield topic


@contextmanager
def recreated(bench: Bench) -> Iterator[tuple[UUID | None, Topic]]:
    """A topic in the place of one that was deleted; yields the id of that one, and the new one."""
    with written(bench) as old:
        old_id = settled(old.client, old.name).topic_id
        delete(old.client, old.name)
        topic = create_again(old.client, old.name, KEEP_ALL)
        topic.target.eventually(
            lambda: topic[0].list_offsets(LATEST).result().error,
            lambda error: error is NONE,
            within_ms=SERVED_WITHIN_MS,
        )
        yield old_id, topic


# ---- META-03 -------------------------------------------------------------------------------------


@pytest.mark.clause("META-03")
def test_a_deleted_topic_stays_away(bench: Bench) -> None:
    """A topic that no broker knew any more is not known later, and takes and gives no records."""
    with written(bench) as topic:
        leader = topic[0].leader
        delete(topic.client, topic.name)
        with bench.topic(client=topic.client):
            bench.premise("all brokers had heard of a deletion, and then of something else")
            told = {view.error for view in views(topic.client, topic.name)}
            assert told <= GONE, "no broker knows the topic"
            produced = topic[0].produce(batch_of(b"late"), over=leader).result()
            fetched = topic[0].fetch(0, over=leader).result()
            assert produced.error is not NONE, "nothing is written to it"
            assert (fetched.error is not NONE, fetched.records) == (True, ()), "nothing is read"


@pytest.mark.clause("META-03")
def test_a_recreated_topic_has_a_new_id(bench: Bench) -> None:
    """A topic that is created again under the same name has another id, on every broker."""
    with recreated(bench) as (old_id, topic):
        if old_id is None:
            raise Unsupported("the brokers know no topic ids")
        bench.premise("a topic was created again")
        ids = {view.topic_id for view in views(topic.client, topic.name)}
        assert old_id not in ids, "the id is new"
        assert len(ids) == 1, "and the same on every broker"


@pytest.mark.clause("META-03")
def test_a_recreated_topic_starts_empty(bench: Bench) -> None:
    """A topic that is created again has no records, and its first record has offset 0."""
    with recreated(bench) as (_, topic):
        partition = topic[0]
        bench.premise("a topic was created again")
        assert partition.offset_at(EARLIEST) == 0, "its log starts at 0"
        assert partition.offset_at(LATEST) == 0, "and ends there"
        assert partition.fetch(0).result().batches == (), "it serves no record of its predecessor"
        assert partition.append(*NEW).base_offset == 0, "its first record has offset 0"
        assert [r.value for r in partition.read(0, len(NEW))] == NEW, "and it serves its own"


@pytest.mark.clause("META-03")
def test_no_replica_of_a_recreated_topic_has_old_records(bench: Bench) -> None:
    """Whichever replica comes to lead it, a recreated topic serves its own records only."""
    with recreated(bench) as (_, topic):
        partition = topic[0]
        if not partition.followers:
            raise Unsupported("one broker cannot hand over leadership")
        partition.append(*NEW)
        for to in (*partition.followers, partition.view.leader):
            move_leader(partition, to)
            acting_epoch(partition)  # Appends once more: the leader knows what is committed.
            kept = [record.value for record in partition.read(0, partition.end_offset)]
            bench.premise("another replica of the recreated topic came to lead it")
            assert kept[: len(NEW)] == NEW, "the records of the new topic, from offset 0 on"
            assert not set(OLD) & set(kept), "no record of its predecessor"


# ---- META-04 -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ById:
    """A request that names a topic by its id, from its first version that can."""

    versions: Versions
    build: Callable[[Topic, Connection, int, UUID], Entity]
    error_of: Callable[[Entity], ErrorCode]
    refusals: frozenset[ErrorCode] = frozenset({UNKNOWN_ID})

    def errors(self, topic: Topic, topic_id: UUID) -> dict[str, str]:
        """What each version answers about this id, where it is not a refusal."""
        over = self.connection(topic)
        pending = {
            f"v{version}": over.send(self.build(topic, over, version, topic_id), self.error_of)
            for version in self.versions.of(over)
        }
        topic.target.settle(*pending.values())
        return {version: p.value.name for version, p in pending.items() if not self.refused(p)}

    def connection(self, topic: Topic) -> Connection:
        return topic.client.controller() if self is DELETE else topic[0].leader

    def refused(self, pending: Pending[ErrorCode]) -> bool:
        return pending.value in self.refusals


def _fetch(topic: Topic, over: Connection, version: int, topic_id: UUID) -> Entity:
    asked = request(topic[0], over, "fetch", version)
    return replace(asked, topics=tuple(replace(t, topic_id=topic_id) for t in asked.topics))


def _produce(topic: Topic, over: Connection, version: int, topic_id: UUID) -> Entity:
    asked = request(topic[0], over, "produce", version)
    named = tuple(replace(t, topic_id=topic_id) for t in asked.topic_data)
    return replace(asked, topic_data=named)


def _metadata(topic: Topic, over: Connection, version: int, topic_id: UUID) -> Entity:
    return _described(over, version, topic_id, None)


def _metadata_with_name(topic: Topic, over: Connection, version: int, topic_id: UUID) -> Entity:
    return _described(over, version, topic_id, topic.name)


def _described(over: Connection, version: int, topic_id: UUID, name: str | None) -> Entity:
    return over.build(
        "metadata",
        at_least=version,
        at_most=version,
        topics=[{"topic_id": topic_id, "name": name}],
        allow_auto_topic_creation=False,
    )


def _delete(topic: Topic, over: Connection, version: int, topic_id: UUID) -> Entity:
    return over.build(
        "delete_topics",
        at_least=version,
        at_most=version,
        topics=[{"topic_id": topic_id, "name": None}],
        timeout=ADMIN_TIMEOUT_MS,
    )


def _error_of_topic(answer: Entity) -> ErrorCode:
    error: ErrorCode = answer.topics[0].error_code
    return error


def _error_of_deletion(answer: Entity) -> ErrorCode:
    error: ErrorCode = answer.responses[0].error_code
    return error


DELETE = ById(
    versions=Versions(api="delete_topics", first=6),
    build=_delete,
    error_of=_error_of_deletion,
)
BY_ID = {
    "fetch": ById(
        versions=Versions(api="fetch", first=13),
        build=_fetch,
        error_of=partition_error,
        refusals=frozenset({UNKNOWN_ID, INCONSISTENT_ID}),
    ),
    "produce": ById(
        versions=Versions(api="produce", first=13), build=_produce, error_of=partition_error
    ),
    "metadata": ById(
        versions=Versions(api="metadata", first=12), build=_metadata, error_of=_error_of_topic
    ),
    "metadata-with-name": ById(
        versions=Versions(api="metadata", first=12),
        build=_metadata_with_name,
        error_of=_error_of_topic,
    ),
    "delete-topics": DELETE,
}


def served(topic: Topic) -> dict[str, ById]:
    """The rows that the target serves; raises `Unsupported` where there is none."""
    over = topic[0].leader
    found = {name: row for name, row in BY_ID.items() if row.versions.served_by(over)}
    if not found:
        raise Unsupported("no request of the target names topics by id")
    return found


@pytest.mark.clause("META-04")
def test_an_unknown_id_names_no_topic(bench: Bench) -> None:
    """A request that names a topic by an id that nobody has is answered with UNKNOWN_TOPIC_ID."""
    with written(bench) as topic:
        rows, topic_id = served(topic), known_id(topic)
        for name, row in rows.items():
            accepted = row.errors(topic, uuid5(topic_id, "somebody else's"))
            bench.premise(f"{name} named an id that nobody has")
            assert accepted == {}, f"{name}: UNKNOWN_TOPIC_ID, at every version"
        _is_untouched(topic, topic_id, len(OLD))


@pytest.mark.clause("META-04")
def test_the_id_of_a_deleted_topic_is_not_its_successors(bench: Bench) -> None:
    """A request that names a deleted topic by its id has no effect on the one with its name."""
    with written(bench) as old:
        rows, old_id = served(old), known_id(old)
        delete(old.client, old.name)
        topic = create_again(old.client, old.name, KEEP_ALL)
        acting_epoch(topic[0])
        topic_id, end = known_id(topic), topic[0].end_offset
        for name, row in rows.items():
            accepted = row.errors(topic, old_id)
            bench.premise(f"{name} named the id of a deleted topic")
            assert accepted == {}, f"{name}: UNKNOWN_TOPIC_ID, at every version"
        _is_untouched(topic, topic_id, end)


@pytest.mark.clause("META-04")
def test_the_right_id_is_as_good_as_a_name(bench: Bench) -> None:
    """A request that names a topic by its id is served."""
    with written(bench) as topic:
        rows, topic_id = served(topic), known_id(topic)
        for name, row in rows.items():  # the deletion comes last
            over = row.connection(topic)
            asked = row.build(topic, over, row.versions.of(over)[-1], topic_id)
            bench.premise(f"{name} named the id of a topic")
            assert over.send(asked, row.error_of).result() is NONE, f"{name}: no error"
        if DELETE in rows.values():
            wait_until_gone(topic.client, topic.name)


def known_id(topic: Topic) -> UUID:
    """The id that all brokers agree on; raises `Unsupported` where they know none."""
    topic_id = settled(topic.client, topic.name).topic_id
    if topic_id is None:
        raise Unsupported("the brokers know no topic ids")
    return topic_id


def _is_untouched(topic: Topic, topic_id: UUID, end_offset: int) -> None:
    assert known_id(topic) == topic_id, "the topic with the name is still there"
    assert topic[0].end_offset == end_offset, "and holds what it held"
