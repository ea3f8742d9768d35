"""ListOffsets (2), OffsetForLeaderEpoch (23)."""

from types import ModuleType

from reference.requests import (
    NO_EPOCH,
    EpochEndedPart,
    EpochEndPart,
    EpochsEnded,
    ListOffsets,
    ListOffsetsPart,
    OffsetForLeaderEpoch,
    OffsetListedPart,
    OffsetsListed,
)
from reference.wire.adapter import Adapter, Addresses, Entity, by_topic, code, fill

CONSUMER = -1


def list_offsets(request: Entity, version: int) -> ListOffsets:
    return ListOffsets(
        replica_id=request.replica_id,
        read_committed=getattr(request, "isolation_level", 0) == 1,
        parts=tuple(
            ListOffsetsPart(
                topic=topic.name,
                number=part.partition_index,
                timestamp=part.timestamp,
                current_leader_epoch=getattr(part, "current_leader_epoch", NO_EPOCH),
            )
            for topic in request.topics
            for part in topic.partitions
        ),
        api_version=version,
    )


def offsets_listed(kio: ModuleType, response: OffsetsListed, addresses: Addresses) -> Entity:
    def partition(part: OffsetListedPart) -> Entity:
        return fill(
            kio.ListOffsetsPartitionResponse,
            partition_index=part.number,
            error_code=code(part.error),
            timestamp=part.timestamp,
            offset=part.offset,
            leader_epoch=part.leader_epoch,
        )

    topics = (
        fill(kio.ListOffsetsTopicResponse, name=topic, partitions=tuple(map(partition, parts)))
        for topic, parts in by_topic(response.parts)
    )
    return fill(kio.ListOffsetsResponse, topics=tuple(topics))


def offset_for_leader_epoch(request: Entity, version: int) -> OffsetForLeaderEpoch:
    return OffsetForLeaderEpoch(
        replica_id=getattr(request, "replica_id", CONSUMER),
        parts=tuple(
            EpochEndPart(
                topic=topic.topic,
                number=part.partition,
                leader_epoch=part.leader_epoch,
                current_leader_epoch=part.current_leader_epoch,
            )
            for topic in request.topics
            for part in topic.partitions
        ),
    )


def epochs_ended(kio: ModuleType, response: EpochsEnded, addresses: Addresses) -> Entity:
    def partition(part: EpochEndedPart) -> Entity:
        return fill(
            kio.EpochEndOffset,
            error_code=code(part.error),
            partition=part.number,
            leader_epoch=part.end.leader_epoch,
            end_offset=part.end.end_offset,
        )

    topics = (
        fill(kio.OffsetForLeaderTopicResult, topic=topic, partitions=tuple(map(partition, parts)))
        for topic, parts in by_topic(response.parts)
    )
    return fill(kio.OffsetForLeaderEpochResponse, topics=tuple(topics))


ADAPTERS = (
    Adapter(
        api_key=2,
        # 10 brought a timeout for looking into tiered storage, of which there is none; 11 asks for
        # the first offset that is not yet tiered (KIP-1023).
        versions=range(1, 11),
        to_core=list_offsets,
        from_core=offsets_listed,
    ),
    Adapter(
        api_key=23,
        versions=range(2, 5),
        to_core=offset_for_leader_epoch,
        from_core=epochs_ended,
    ),
)
