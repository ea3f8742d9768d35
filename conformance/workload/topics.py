"""Topics created and deleted by hand, and what every broker says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from conformance.client import ADMIN_TIMEOUT_MS, SETTLES_WITHIN_MS, Client, TopicView, topic_view
from conformance.codec import Entity
from conformance.connection import Pending
from conformance.partition import Topic

NewTopic = Mapping[str, Any]
"""A topic of a CreateTopics request, field by field."""
GONE = frozenset({ErrorCode.unknown_topic_or_partition, ErrorCode.unknown_topic_id})
IDS_SINCE = 12
"""Of Metadata (KIP-516)."""


def new_topic(
    name: str,
    *,
    partitions: int = 1,
    replication_factor: int = 1,
    configs: Mapping[str, str] | None = None,
) -> NewTopic:
    """One whose replicas the cluster places."""
    return {
        "name": name,
        "num_partitions": partitions,
        "replication_factor": replication_factor,
        "configs": [{"name": n, "value": v} for n, v in (configs or {}).items()],
    }


def assigned_topic(
    name: str,
    *replicas: Sequence[int],
    numbers: Sequence[int] | None = None,
    partitions: int = -1,
    replication_factor: int = -1,
    configs: Mapping[str, str] | None = None,
) -> NewTopic:
    """One whose replicas are given, partition by partition."""
    return {
        "name": name,
        "num_partitions": partitions,
        "replication_factor": replication_factor,
        "assignments": [
            {"partition_index": number, "broker_ids": tuple(brokers)}
            for number, brokers in zip(numbers or range(len(replicas)), replicas, strict=True)
        ],
        "configs": [{"name": n, "value": v} for n, v in (configs or {}).items()],
    }


def ask_to_create(
    client: Client, *topics: NewTopic, version: int | None = None, validate_only: bool = False
) -> Pending[Mapping[str, Entity]]:
    """CreateTopics: the result for each name."""
    controller = client.controller()
    request = controller.build(
        "create_topics",
        at_least=version or 2,
        at_most=version or 99,
        topics=list(topics),
        timeout=ADMIN_TIMEOUT_MS,
        validate_only=validate_only,
    )
    return controller.send(request, lambda answer: {t.name: t for t in answer.topics})


def ask_to_delete(client: Client, topic: str | UUID) -> Pending[ErrorCode]:
    """DeleteTopics by name, or by id from version 6 on: the error about the topic."""
    controller = client.controller()
    if isinstance(topic, UUID):
        named = {"name": None, "topic_id": topic}
        request = controller.build(
            "delete_topics", at_least=6, topics=[named], timeout=ADMIN_TIMEOUT_MS
        )
    else:
        request = controller.build(
            "delete_topics",
            at_least=1,
            at_most=5,
            topic_names=(topic,),
            timeout=ADMIN_TIMEOUT_MS,
        )
    return controller.send(request, _deletion_error)


def _deletion_error(answer: Entity) -> ErrorCode:
    error: ErrorCode = answer.responses[0].error_code
    return error


def views(client: Client, name: str) -> list[TopicView]:
    """What each broker says of it; with its id where the broker knows ids."""
    pending = list[Pending[Entity]]()
    for broker in client.brokers:
        over = client.broker(broker)
        newest = over.versions[3][1]
        since = IDS_SINCE if newest >= IDS_SINCE else min(7, newest)
        request = over.build(
            "metadata",
            at_least=since,
            at_most=since if newest >= IDS_SINCE else 8,
            topics=[{"name": name}],
            allow_auto_topic_creation=False,
        )
        pending.append(over.send(request))
    return [topic_view(answer.topics[0]) for answer in client.target.wait(*pending)]


def settled(client: Client, name: str) -> TopicView:
    """What all brokers agree on, led and in sync; raises `Inconclusive` if they never do."""

    def alike(found: list[TopicView]) -> bool:
        return all(view.settled and view == found[0] for view in found)

    return client.target.eventually(
        lambda: views(client, name), alike, within_ms=SETTLES_WITHIN_MS
    )[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What stays of a topic unless somebody asks for a change."""

    topic_id: UUID | None
    replicas: Mapping[int, tuple[int, ...]]


def shape(view: TopicView) -> Shape:
    replicas = {number: part.replicas for number, part in view.partitions.items()}
    return Shape(topic_id=view.topic_id, replicas=replicas)


def wait_until_gone(client: Client, name: str) -> None:
    """Until no broker knows it; raises `Inconclusive` if that does not come about."""
    client.target.eventually(
        lambda: [view.error for view in views(client, name)],
        lambda errors: GONE.issuperset(errors),
        within_ms=SETTLES_WITHIN_MS,
    )


def create_again(
    client: Client, name: str, configs: Mapping[str, str], replicas: Sequence[int] = ()
) -> Topic:
    """A topic of one partition in the place of one that was deleted.

    With ZooKeeper the name stays taken until all brokers have confirmed the deletion, which is
    after they stopped to tell of the topic. Raises `Inconclusive` where it stays so.
    """
    topic = (
        assigned_topic(name, replicas, configs=configs)
        if replicas
        else new_topic(name, replication_factor=min(3, len(client.brokers)), configs=configs)
    )
    client.target.eventually(
        lambda: ask_to_create(client, topic).result()[name].error_code,
        lambda error: error is ErrorCode.none,
        within_ms=SETTLES_WITHIN_MS,
    )
    return Topic(client, name, client.settled(name))
