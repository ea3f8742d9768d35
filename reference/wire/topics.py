"""CreateTopics (19), DeleteTopics (20), CreatePartitions (37)."""

from types import ModuleType

from reference.errors import Error
from reference.requests import (
    NO_TOPIC_ID,
    ConfigEntry,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    MorePartitions,
    NewTopic,
    PartitionsCreated,
    TopicCreated,
    TopicDeleted,
    TopicsCreated,
    TopicsDeleted,
)
from reference.wire.adapter import Adapter, Addresses, Entity, Refused, code, fill, milliseconds

TOPIC_IDS_SINCE = 6


def create_topics(request: Entity, version: int) -> CreateTopics:
    return CreateTopics(
        topics=tuple(
            NewTopic(
                name=topic.name,
                partitions=topic.num_partitions,
                replication_factor=topic.replication_factor,
                assignments=tuple(
                    (assignment.partition_index, assignment.broker_ids)
                    for assignment in topic.assignments
                ),
                configs=tuple((config.name, config.value) for config in topic.configs),
            )
            for topic in request.topics
        ),
        timeout_ms=milliseconds(request.timeout),
        validate_only=request.validate_only,
    )


def topics_created(kio: ModuleType, response: TopicsCreated, addresses: Addresses) -> Entity:
    def config(entry: ConfigEntry) -> Entity:
        return fill(
            kio.CreatableTopicConfigs,
            name=entry.name,
            value=entry.value,
            read_only=entry.read_only,
            config_source=entry.source,
        )

    def topic(created: TopicCreated) -> Entity:
        tells_configs = hasattr(kio, "CreatableTopicConfigs") and created.configs is not None
        return fill(
            kio.CreatableTopicResult,
            name=created.name,
            topic_id=created.topic_id,
            error_code=code(created.error),
            error_message=created.message,
            num_partitions=created.partitions,
            replication_factor=created.replication_factor,
            configs=tuple(map(config, created.configs or ())) if tells_configs else None,
        )

    return fill(kio.CreateTopicsResponse, topics=tuple(map(topic, response.topics)))


def delete_topics(request: Entity, version: int) -> DeleteTopics | Refused:
    timeout_ms = milliseconds(request.timeout)
    if version < TOPIC_IDS_SINCE:
        return DeleteTopics(topics=request.topic_names, timeout_ms=timeout_ms)
    if any((topic.name is None) == (topic.topic_id is None) for topic in request.topics):
        return Refused(_invalid(request))
    refs = tuple(topic.topic_id or topic.name for topic in request.topics)
    return DeleteTopics(topics=refs, timeout_ms=timeout_ms)


def _invalid(request: Entity) -> TopicsDeleted:
    """A topic must be named either by name or by id. Kafka would delete the others."""
    return TopicsDeleted(
        topics=tuple(
            TopicDeleted(
                name=topic.name,
                topic_id=topic.topic_id or NO_TOPIC_ID,
                error=Error.INVALID_REQUEST,
                message="each topic must be named either by name or by id",
            )
            for topic in request.topics
        )
    )


def topics_deleted(kio: ModuleType, response: TopicsDeleted, addresses: Addresses) -> Entity:
    topics = (
        fill(
            kio.DeletableTopicResult,
            name=topic.name,
            topic_id=topic.topic_id,
            error_code=code(topic.error),
            error_message=topic.message,
        )
        for topic in response.topics
    )
    return fill(kio.DeleteTopicsResponse, responses=tuple(topics))


def create_partitions(request: Entity, version: int) -> CreatePartitions:
    return CreatePartitions(
        topics=tuple(
            MorePartitions(
                topic=topic.name,
                count=topic.count,
                assignments=None
                if topic.assignments is None
                else tuple(assignment.broker_ids for assignment in topic.assignments),
            )
            for topic in request.topics
        ),
        timeout_ms=milliseconds(request.timeout),
        validate_only=request.validate_only,
    )


def partitions_created(
    kio: ModuleType, response: PartitionsCreated, addresses: Addresses
) -> Entity:
    results = (
        fill(
            kio.CreatePartitionsTopicResult,
            name=part.topic,
            error_code=code(part.error),
            error_message=part.message,
        )
        for part in response.topics
    )
    return fill(kio.CreatePartitionsResponse, results=tuple(results))


ADAPTERS = (
    Adapter(api_key=19, versions=range(2, 8), to_core=create_topics, from_core=topics_created),
    Adapter(api_key=20, versions=range(1, 7), to_core=delete_topics, from_core=topics_deleted),
    Adapter(api_key=37, versions=range(4), to_core=create_partitions, from_core=partitions_created),
)
