"""Metadata (3), DescribeCluster (60)."""

from types import ModuleType

from reference.errors import Error
from reference.requests import (
    NO_TOPIC_ID,
    ClusterDescribed,
    DescribeCluster,
    Metadata,
    MetadataDescribed,
    PartitionDescription,
    TopicDescription,
    TopicRef,
)
from reference.wire.adapter import Adapter, Addresses, Entity, Refused, code, fill

TOPIC_IDS_SINCE = 12
"""Versions 10 and 11 have the field, but no broker ever served it there (KAFKA-10774)."""
NO_BROKER = -1
BROKERS, CONTROLLERS = 1, 2
"""Types of endpoints that DescribeCluster tells (KIP-919)."""


def metadata(request: Entity, version: int) -> Metadata | Refused:
    named = request.topics
    if version == 0 and not named:  # null was not yet allowed: an empty list asks for all
        named = None
    refs = [_ref(topic, version) for topic in named or ()]
    topics = tuple(ref for ref in refs if ref is not None)
    if len(topics) < len(refs):
        return Refused(_invalid(request))
    return Metadata(
        topics=None if named is None else topics,
        allow_auto_topic_creation=getattr(request, "allow_auto_topic_creation", True),
    )


def _ref(topic: Entity, version: int) -> TopicRef | None:
    """How a topic is named; None where it is named in a way that Kafka refuses."""
    topic_id: TopicRef | None = getattr(topic, "topic_id", None)
    if topic_id is None:
        name: str | None = topic.name
        return name
    return topic_id if version >= TOPIC_IDS_SINCE else None


def _invalid(request: Entity) -> MetadataDescribed:
    return MetadataDescribed(
        cluster_id="",
        controller=NO_BROKER,
        brokers=(),
        topics=tuple(
            TopicDescription(
                error=Error.INVALID_REQUEST,
                name=topic.name or "",
                topic_id=topic.topic_id or NO_TOPIC_ID,
            )
            for topic in request.topics
        ),
    )


def metadata_described(
    kio: ModuleType, response: MetadataDescribed, addresses: Addresses
) -> Entity:
    def partition(part: PartitionDescription) -> Entity:
        return fill(
            kio.MetadataResponsePartition,
            error_code=code(part.error),
            partition_index=part.number,
            leader_id=part.leader,
            leader_epoch=part.leader_epoch,
            replica_nodes=part.replicas,
            isr_nodes=part.isr,
            offline_replicas=part.offline,
        )

    def topic(described: TopicDescription) -> Entity:
        return fill(
            kio.MetadataResponseTopic,
            error_code=code(described.error),
            name=described.name,
            topic_id=described.topic_id,
            is_internal=described.is_internal,
            partitions=tuple(map(partition, described.partitions)),
        )

    return fill(
        kio.MetadataResponse,
        brokers=_brokers(kio.MetadataResponseBroker, "node_id", response.brokers, addresses),
        cluster_id=response.cluster_id,
        controller_id=response.controller,
        topics=tuple(map(topic, response.topics)),
    )


def _brokers(
    schema: type, id_field: str, brokers: tuple[int, ...], addresses: Addresses
) -> tuple[Entity, ...]:
    return tuple(
        fill(schema, **{id_field: broker}, host=addresses[broker][0], port=addresses[broker][1])
        for broker in brokers
    )


def describe_cluster(request: Entity, version: int) -> DescribeCluster | Refused:
    endpoints = getattr(request, "endpoint_type", BROKERS)
    if endpoints == BROKERS:
        return DescribeCluster()
    mismatched = endpoints == CONTROLLERS
    return Refused(
        ClusterDescribed(
            cluster_id="",
            controller=NO_BROKER,
            brokers=(),
            error=Error.MISMATCHED_ENDPOINT_TYPE if mismatched else Error.UNSUPPORTED_ENDPOINT_TYPE,
        )
    )


def cluster_described(kio: ModuleType, response: ClusterDescribed, addresses: Addresses) -> Entity:
    return fill(
        kio.DescribeClusterResponse,
        error_code=code(response.error),
        endpoint_type=BROKERS,
        cluster_id=response.cluster_id,
        controller_id=response.controller,
        brokers=_brokers(kio.DescribeClusterBroker, "broker_id", response.brokers, addresses),
    )


ADAPTERS = (
    Adapter(api_key=3, versions=range(14), to_core=metadata, from_core=metadata_described),
    Adapter(
        api_key=60,
        # 2 also lists fenced brokers, which the core does not tell.
        versions=range(2),
        to_core=describe_cluster,
        from_core=cluster_described,
    ),
)
