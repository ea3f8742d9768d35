"""ListOffsets and OffsetForLeaderEpoch: questions about offsets, times and epochs."""

from collections import Counter

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.log import Found
from reference.replica import Replica
from reference.requests import (
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    MAX_TIMESTAMP,
    EpochEndedPart,
    EpochEndPart,
    EpochsEnded,
    ListOffsets,
    ListOffsetsPart,
    OffsetForLeaderEpoch,
    OffsetListedPart,
    OffsetsListed,
)

EARLIEST_LOCAL_TIMESTAMP = -4
LATEST_TIERED_TIMESTAMP = -5
SINCE_VERSION = {
    LATEST_TIMESTAMP: 1,
    EARLIEST_TIMESTAMP: 1,
    MAX_TIMESTAMP: 7,
    EARLIEST_LOCAL_TIMESTAMP: 8,
    LATEST_TIERED_TIMESTAMP: 9,
}
"""The negative timestamps and the version of ListOffsets that brought each."""
OFFSET_NOT_AVAILABLE_SINCE = 5


def list_offsets(broker: BrokerState, ticket: int, request: ListOffsets) -> None:
    """Answers at once. A partition that is named twice is refused twice, as by Kafka."""
    named = Counter((part.topic, part.number) for part in request.parts)
    parts = tuple(
        _refused(part, Error.INVALID_REQUEST)
        if named[part.topic, part.number] > 1
        else _list_part(broker, part, request.api_version)
        for part in request.parts
    )
    broker.reply(ticket, OffsetsListed(parts=parts))


def _list_part(broker: BrokerState, part: ListOffsetsPart, api_version: int) -> OffsetListedPart:
    since = SINCE_VERSION.get(part.timestamp)
    if part.timestamp < 0 and (since is None or api_version < since):
        return _refused(part, Error.UNSUPPORTED_VERSION)
    located = broker.accessible(part.topic, part.number, part.current_leader_epoch)
    replica = located.replica
    if located.error or replica is None:
        return _refused(part, located.error)
    log = replica.log
    if part.timestamp in (EARLIEST_TIMESTAMP, EARLIEST_LOCAL_TIMESTAMP):
        return _listed(part, log.start_offset, log.epochs.epoch_of(log.start_offset))
    if part.timestamp == LATEST_TIERED_TIMESTAMP:
        return _listed(part, -1, -1)
    if not _latest_is_known(broker, replica):
        newer = api_version >= OFFSET_NOT_AVAILABLE_SINCE
        error = Error.OFFSET_NOT_AVAILABLE if newer else Error.LEADER_NOT_AVAILABLE
        return _refused(part, error)
    limit = broker.rules.visible_end(replica.high_watermark, log.end_offset)
    if part.timestamp == LATEST_TIMESTAMP:
        return _listed(part, limit, replica.state.leader_epoch)
    if part.timestamp == MAX_TIMESTAMP:
        found = log.with_maximum_timestamp(limit)
    else:
        found = log.first_at_or_after(part.timestamp, limit)
    if found is None:
        return _listed(part, broker.rules.unknown_offset(), -1)
    return _found(part, found)


def _latest_is_known(broker: BrokerState, replica: Replica) -> bool:
    leadership = replica.leadership
    return leadership is not None and broker.rules.latest_offset_known(
        replica.high_watermark, leadership.epoch_start
    )


def _listed(part: ListOffsetsPart, offset: int, leader_epoch: int) -> OffsetListedPart:
    return OffsetListedPart(
        topic=part.topic,
        number=part.number,
        error=Error.NONE,
        offset=offset,
        leader_epoch=leader_epoch,
    )


def _found(part: ListOffsetsPart, found: Found) -> OffsetListedPart:
    return OffsetListedPart(
        topic=part.topic,
        number=part.number,
        error=Error.NONE,
        timestamp=found.timestamp_ms,
        offset=found.offset,
        leader_epoch=found.leader_epoch,
    )


def _refused(part: ListOffsetsPart, error: Error) -> OffsetListedPart:
    return OffsetListedPart(topic=part.topic, number=part.number, error=error)


def offset_for_leader_epoch(
    broker: BrokerState, ticket: int, request: OffsetForLeaderEpoch
) -> None:
    """Answers at once where each asked epoch ends in the leader's log."""
    parts = tuple(_epoch_end(broker, part) for part in request.parts)
    broker.reply(ticket, EpochsEnded(parts=parts))


def _epoch_end(broker: BrokerState, part: EpochEndPart) -> EpochEndedPart:
    located = broker.accessible(part.topic, part.number, part.current_leader_epoch)
    if located.error or located.replica is None:
        return EpochEndedPart(topic=part.topic, number=part.number, error=located.error)
    log = located.replica.log
    end = broker.rules.answered_epoch_end(log.epochs.end_of(part.leader_epoch, log.end_offset))
    return EpochEndedPart(topic=part.topic, number=part.number, error=Error.NONE, end=end)
