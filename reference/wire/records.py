"""Produce (0), Fetch (1), DeleteRecords (21), InitProducerId (22)."""

from collections.abc import Iterable, Iterator
from types import ModuleType

from reference.requests import (
    NO_EPOCH,
    NO_TOPIC_ID,
    DeleteRecords,
    DeleteRecordsPart,
    Fetch,
    Fetched,
    FetchedPart,
    FetchPart,
    InitProducerId,
    LeaderHint,
    Produce,
    Produced,
    ProducedPart,
    ProducePart,
    ProducerIdGiven,
    RecordsDeleted,
    RecordsDeletedPart,
    TopicRef,
)
from reference.wire import hot
from reference.wire.adapter import (
    Adapter,
    Addresses,
    Entity,
    by_topic,
    code,
    fill,
    milliseconds,
    timestamp,
    topic_name,
)

TOPIC_IDS_SINCE = 13
"""Both Produce and Fetch name topics by id from this version on (KIP-516)."""
SESSIONLESS_EPOCH = -1
"""A fetch outside of any session (FetchMetadata.FINAL_EPOCH), as before KIP-227."""


# ---- Produce -----------------------------------------------------------------------------------


def produce(request: Entity, version: int) -> Produce:
    by_id = version >= TOPIC_IDS_SINCE
    return Produce(
        acks=request.acks,
        timeout_ms=milliseconds(request.timeout),
        transactional_id=request.transactional_id,
        parts=tuple(
            ProducePart(
                topic=(topic.topic_id or NO_TOPIC_ID) if by_id else topic.name,
                number=part.index,
                records=part.records,
            )
            for topic in request.topic_data
            for part in topic.partition_data
        ),
        api_version=version,
    )


def produced(kio: ModuleType, response: Produced, addresses: Addresses) -> Entity:
    def partition(part: ProducedPart) -> Entity:
        return fill(
            kio.PartitionProduceResponse,
            index=part.number,
            error_code=code(part.error),
            base_offset=part.base_offset,
            log_append_time=timestamp(part.log_append_time_ms),
            log_start_offset=part.log_start_offset,
            record_errors=tuple(
                kio.BatchIndexAndErrorMessage(batch_index=position, batch_index_error_message=text)
                for position, text in (part.record_errors if has_record_errors else ())
            ),
            error_message=part.message,
            **_current_leader(kio, part.current_leader),
        )

    has_record_errors = hasattr(kio, "BatchIndexAndErrorMessage")
    topics = (
        fill(
            kio.TopicProduceResponse,
            **topic_name(topic),
            partition_responses=tuple(map(partition, parts)),
        )
        for topic, parts in by_topic(response.parts)
    )
    return fill(
        kio.ProduceResponse,
        responses=tuple(topics),
        node_endpoints=tuple(_endpoints(kio, response.parts, addresses)),
    )


# ---- Leaders named in answers of Produce 10+ and Fetch 16+ (KIP-951) ---------------------------


def _current_leader(kio: ModuleType, hint: LeaderHint | None) -> dict[str, object]:
    """Fetch 12-15 have the field but not the endpoints; there Kafka leaves it to followers."""
    if hint is None or not hasattr(kio, "NodeEndpoint"):
        return {}
    leader_id, leader_epoch = hint
    leader = kio.LeaderIdAndEpoch(leader_id=leader_id, leader_epoch=leader_epoch)
    return {"current_leader": leader}


def _endpoints(
    kio: ModuleType, parts: Iterable[ProducedPart | FetchedPart], addresses: Addresses
) -> Iterator[Entity]:
    if hasattr(kio, "NodeEndpoint"):
        for leader in hot.leaders(parts, addresses):
            host, port = addresses[leader]
            yield fill(kio.NodeEndpoint, node_id=leader, host=host, port=port)


# ---- Fetch -------------------------------------------------------------------------------------


def fetch(request: Entity, version: int) -> Fetch:
    def name(topic: Entity) -> TopicRef:
        named: TopicRef = (topic.topic_id or NO_TOPIC_ID) if by_id else topic.topic
        return named

    by_id = version >= TOPIC_IDS_SINCE
    replica = request.replica_state if version >= 15 else request  # KIP-903
    return Fetch(
        replica_id=replica.replica_id,
        max_wait_ms=milliseconds(request.max_wait),
        min_bytes=request.min_bytes,
        max_bytes=request.max_bytes,
        read_committed=request.isolation_level == 1,
        session_id=getattr(request, "session_id", 0),
        session_epoch=getattr(request, "session_epoch", SESSIONLESS_EPOCH),
        parts=tuple(
            FetchPart(
                topic=name(topic),
                number=part.partition,
                offset=part.fetch_offset,
                max_bytes=part.partition_max_bytes,
                current_leader_epoch=getattr(part, "current_leader_epoch", NO_EPOCH),
                last_fetched_epoch=getattr(part, "last_fetched_epoch", NO_EPOCH),
            )
            for topic in request.topics
            for part in topic.partitions
        ),
        forgotten=tuple(
            (name(topic), number)
            for topic in getattr(request, "forgotten_topics_data", ())
            for number in topic.partitions
        ),
        api_version=version,
    )


def fetched(kio: ModuleType, response: Fetched, addresses: Addresses) -> Entity:
    def partition(part: FetchedPart) -> Entity:
        return fill(
            kio.PartitionData,
            partition_index=part.number,
            error_code=code(part.error),
            high_watermark=part.high_watermark,
            last_stable_offset=part.last_stable_offset,
            log_start_offset=part.log_start_offset,
            **_diverging_epoch(kio, part),
            **_current_leader(kio, part.current_leader),
            aborted_transactions=_aborted_transactions(kio, part),
            preferred_read_replica=part.preferred_read_replica,
            records=part.records,
        )

    topics = (
        fill(
            kio.FetchableTopicResponse,
            **topic_name(topic),
            topic=topic,
            partitions=tuple(map(partition, parts)),
        )
        for topic, parts in by_topic(response.parts)
    )
    return fill(
        kio.FetchResponse,
        error_code=code(response.error),
        session_id=response.session_id,
        responses=tuple(topics),
        node_endpoints=tuple(_endpoints(kio, response.parts, addresses)),
    )


def _diverging_epoch(kio: ModuleType, part: FetchedPart) -> dict[str, object]:
    if part.diverging is None or not hasattr(kio, "EpochEndOffset"):
        return {}
    epoch, end_offset = part.diverging
    return {"diverging_epoch": kio.EpochEndOffset(epoch=epoch, end_offset=end_offset)}


def _aborted_transactions(kio: ModuleType, part: FetchedPart) -> tuple[Entity, ...] | None:
    if part.aborted is None:
        return None
    return tuple(
        kio.AbortedTransaction(producer_id=producer_id, first_offset=first_offset)
        for producer_id, first_offset in part.aborted
    )


# ---- DeleteRecords, InitProducerId -------------------------------------------------------------


def delete_records(request: Entity, version: int) -> DeleteRecords:
    return DeleteRecords(
        timeout_ms=milliseconds(request.timeout),
        parts=tuple(
            DeleteRecordsPart(
                topic=topic.name, number=part.partition_index, before_offset=part.offset
            )
            for topic in request.topics
            for part in topic.partitions
        ),
    )


def records_deleted(kio: ModuleType, response: RecordsDeleted, addresses: Addresses) -> Entity:
    def partition(part: RecordsDeletedPart) -> Entity:
        return fill(
            kio.DeleteRecordsPartitionResult,
            partition_index=part.number,
            low_watermark=part.low_watermark,
            error_code=code(part.error),
        )

    topics = (
        fill(kio.DeleteRecordsTopicResult, name=topic, partitions=tuple(map(partition, parts)))
        for topic, parts in by_topic(response.parts)
    )
    return fill(kio.DeleteRecordsResponse, topics=tuple(topics))


def init_producer_id(request: Entity, version: int) -> InitProducerId:
    return InitProducerId(
        transactional_id=request.transactional_id,
        transaction_timeout_ms=milliseconds(request.transaction_timeout),
        producer_id=getattr(request, "producer_id", -1),
        producer_epoch=getattr(request, "producer_epoch", -1),
    )


def producer_id_given(kio: ModuleType, response: ProducerIdGiven, addresses: Addresses) -> Entity:
    return fill(
        kio.InitProducerIdResponse,
        error_code=code(response.error),
        producer_id=response.producer_id,
        producer_epoch=response.producer_epoch,
    )


ADAPTERS = (
    Adapter(
        api_key=0,
        # 12 adds partitions to transactions by itself (KIP-890); there are no transactions.
        versions=range(3, 14),
        to_core=produce,
        from_core=produced,
        encode=hot.encode_produced,
    ),
    Adapter(
        api_key=1,
        # 18 tells a leader the follower's high watermark (KIP-1166); followers do not come here.
        versions=range(4, 18),
        to_core=fetch,
        from_core=fetched,
        encode=hot.encode_fetched,
    ),
    Adapter(api_key=21, versions=range(3), to_core=delete_records, from_core=records_deleted),
    Adapter(
        api_key=22,
        # 6 prepares transactions in two phases (KIP-939).
        versions=range(6),
        to_core=init_producer_id,
        from_core=producer_id_given,
    ),
)
