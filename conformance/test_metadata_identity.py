"""A topic is its id: what is deleted stays away, and its id stands for nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid5

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client
from conformance.codec import Entity
from conformance.connection import Connection
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import EARLIEST, LATEST, Partition, Topic
from conformance.records import batch_of
from conformance.workload.epochs import Versions
from conformance.workload.kept import KEPT
from conformance.workload.leaders import acting_epoch, move_leader
from conformance.workload.topics import (
    ask_to_delete,
    wait_until_gone,
)

NONE = ErrorCode.none
UNKNOWN_ID, INCONSISTENT_ID = ErrorCode.unknown_topic_id, ErrorCode.inconsistent_topic_id
UNKNOWN_NAME = ErrorCode.unknown_topic_or_partition
SOMEBODY_ELSES = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


# ---- META-03: deleted and created again ----------------------------------------------------------


@contextmanager
def recreated(bench: Bench) -> Iterator[tuple[Topic, Topic]]:
    """A topic with ten old records that was deleted, and another with its name; ids known."""
    with bench.topic(configs=KEPT) as old:
        if not old.client.controller().serves("delete_topics"):
            raise Unsupported("the target deletes no topics on request")
        old.__dict__["topic_id"] = _id_or_none(old)
        old[0].append(*(b"old %d" % n for n in range(10)))
        delete(old.client, old.name)
        view = old.client.create_topic(old.name, configs=KEPT)
        yield old, Topic(old.client, old.name, view)


def delete(client: Client, name: str) -> None:
    """Deletes a topic and waits until no broker knows it. Raises `Inconclusive`."""
    error = ask_to_delete(client, name).result()
    if error is not NONE:
        raise Inconclusive(f"the topic was not deleted: {error.name}")
    wait_until_gone(client, name)


def _id_or_none(topic: Topic) -> UUID | None:
    try:
        return topic.client.topic_id(topic.name)
    except Unsupported:
        return None


@pytest.mark.clause("META-03")
def test_a_deleted_topic_is_gone_from_every_broker(bench: Bench) -> None:
    """Once a deletion is through, every broker says of the topic that it does not exist."""
    with bench.topic(configs=KEPT) as topic:
        if not topic.client.controller().serves("delete_topics"):
            raise Unsupported("the target deletes no topics on request")
        topic[0].append(b"old")
        leader = topic[0].leader
        delete(topic.client, topic.name)
        bench.premise("a topic was deleted")
        gone = topic.target.eventually(
            lambda: [
                topic[0].produce(batch_of(b"late"), over=leader).result().error,
                topic[0].fetch(0, over=leader).result().error,
                topic[0].list_offsets(LATEST, over=leader).result().error,
            ],
            lambda errors: all(error is not NONE for error in errors),
            within_ms=GONE_WITHIN_MS,
        )
        assert set(gone) <= {UNKNOWN_NAME, ErrorCode.not_leader_or_follower}, "it is unknown"
