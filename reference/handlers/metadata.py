"""Metadata and DescribeCluster: what this broker knows of the cluster."""

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.image import TopicImage
from reference.messages import Forwarded
from reference.metadata.records import NO_LEADER, PartitionState
from reference.requests import (
    ClusterDescribed,
    CreateTopics,
    DescribeCluster,
    Metadata,
    MetadataDescribed,
    NewTopic,
    PartitionDescription,
    TopicDescription,
    TopicRef,
)
from reference.topic_names import name_error

INTERNAL_TOPICS = ("__consumer_offsets", "__transaction_state")
NOBODY = 0
"""The ticket of what a broker asks of the controller on its own account."""
UNKNOWN = -1


def metadata(broker: BrokerState, ticket: int, request: Metadata) -> None:
    """Answers at once. A topic that is created because of it is not there yet: error 3."""
    refs: tuple[TopicRef, ...]
    refs = tuple(sorted(broker.image.ids)) if request.topics is None else request.topics
    topics = tuple(_describe(broker, ref) for ref in dict.fromkeys(refs))
    _create_missing(broker, request, topics)
    described = MetadataDescribed(
        cluster_id=broker.cluster_id,
        controller=_controller(broker),
        brokers=_live_brokers(broker),
        topics=topics,
    )
    broker.reply(ticket, described)


def describe_cluster(broker: BrokerState, ticket: int, request: DescribeCluster) -> None:
    """Answers at once."""
    described = ClusterDescribed(
        cluster_id=broker.cluster_id,
        controller=_controller(broker),
        brokers=_live_brokers(broker),
    )
    broker.reply(ticket, described)


def _describe(broker: BrokerState, ref: TopicRef) -> TopicDescription:
    if not isinstance(ref, str):
        found = broker.rules.topic_by_id(ref, broker.image)
        if found is None:
            return TopicDescription(error=Error.UNKNOWN_TOPIC_ID, name=None, topic_id=ref)
        return _described(broker, found)
    topic = broker.image.topic(ref)
    if topic is not None:
        return _described(broker, topic)
    bad_name = name_error(ref) is not None
    error = Error.INVALID_TOPIC_EXCEPTION if bad_name else Error.UNKNOWN_TOPIC_OR_PARTITION
    return TopicDescription(error=error, name=ref)


def _live_brokers(broker: BrokerState) -> tuple[int, ...]:
    known = broker.image.brokers
    return tuple(number for number in sorted(known) if not known[number].fenced)


def _controller(broker: BrokerState) -> int:
    return UNKNOWN if broker.controller is None else broker.controller


def _described(broker: BrokerState, topic: TopicImage) -> TopicDescription:
    return TopicDescription(
        error=Error.NONE,
        name=topic.name,
        topic_id=broker.rules.answered_topic_id(topic.topic_id, broker.id),
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=tuple(
            _partition(broker, state) for _, state in sorted(topic.partitions.items())
        ),
    )


def _partition(broker: BrokerState, state: PartitionState) -> PartitionDescription:
    leaderless = state.leader == NO_LEADER
    return PartitionDescription(
        error=Error.LEADER_NOT_AVAILABLE if leaderless else Error.NONE,
        number=state.id.number,
        leader=state.leader,
        leader_epoch=broker.rules.answered_leader_epoch(state.leader_epoch, broker.id),
        replicas=state.replicas,
        isr=broker.rules.answered_isr(state.isr, state.leader),
    )


def _create_missing(
    broker: BrokerState, request: Metadata, topics: tuple[TopicDescription, ...]
) -> None:
    enabled = broker.config.auto_create_topics
    allowed = request.allow_auto_topic_creation
    if not broker.rules.may_create_automatically(enabled, allowed):
        return
    missing = tuple(
        NewTopic(name=topic.name, partitions=-1, replication_factor=-1)
        for topic in topics
        if topic.error is Error.UNKNOWN_TOPIC_OR_PARTITION and topic.name is not None
    )
    if missing:
        create = CreateTopics(topics=missing, timeout_ms=0, validate_only=False)
        broker.send_controller(Forwarded(ticket=NOBODY, request=create))
