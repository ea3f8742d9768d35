"""Fetch: read what consumers may see, or hold the request until there is enough (KIP-74)."""

from dataclasses import dataclass

from reference.broker_state import BrokerState, Located, hint
from reference.compression import ZSTD
from reference.errors import Error
from reference.log import Slice
from reference.metadata.records import PartitionId
from reference.purgatory import WaitingFetch
from reference.replica import Replica
from reference.requests import (
    NO_EPOCH_END,
    EpochEnd,
    Fetch,
    Fetched,
    FetchedPart,
    FetchPart,
    LeaderHint,
)

ZSTD_SINCE_FETCH = 10
FOLLOWERS_SINCE_FETCH = 11
"""Older requests have no rack, so their clients know nothing of followers that serve (KIP-392)."""
NOTHING = Slice(0, 0, 0)


@dataclass(slots=True)
class Reading:
    """What one partition has for a fetch, before any byte is copied."""

    part: FetchPart
    error: Error
    replica: Replica | None = None
    found: Slice = NOTHING
    diverging: EpochEnd | None = None
    current_leader: LeaderHint | None = None


def fetch(broker: BrokerState, ticket: int, request: Fetch) -> None:
    """Answers at once where something is wrong or there is enough, else parks the request."""
    if request.replica_id >= 0:
        # Brokers replicate over their own messages; who says it is one is not (CVE-2018-1288).
        refused = Error.CLUSTER_AUTHORIZATION_FAILED
        broker.reply(ticket, Fetched(error=refused, session_id=0, parts=()))
        return
    context = broker.sessions.open(request, broker.now_ms)
    if isinstance(context, Error):
        broker.reply(ticket, Fetched(error=context, session_id=0, parts=()))
        return
    waiting = WaitingFetch(ticket, request, context)
    if complete(broker, waiting, expired=request.max_wait_ms <= 0):
        return
    deadline = broker.rules.fetch_deadline_ms(broker.now_ms, request.max_wait_ms)
    broker.park(waiting, _partitions(broker, waiting), deadline)


def _partitions(broker: BrokerState, waiting: WaitingFetch) -> list[PartitionId]:
    located = (broker.locate(part.topic, part.number) for part in waiting.context.parts)
    return [each.state.id for each in located if each.state]


def complete(broker: BrokerState, waiting: WaitingFetch, *, expired: bool) -> bool:
    """Answers if there is enough to say, or time is over. Returns whether it has answered."""
    request = waiting.request
    max_bytes = min(request.max_bytes, broker.config.fetch_max_bytes)
    readings = _read(broker, waiting, max_bytes)
    size = sum(reading.found.size_bytes for reading in readings)
    must_answer = any(reading.error or reading.diverging for reading in readings)
    enough = size >= min(request.min_bytes, max_bytes)
    if readings and not (expired or must_answer or enough):
        return False
    parts = [_answered(reading, broker) for reading in readings]
    response = broker.sessions.answer(waiting.context, request, parts, broker.now_ms)
    broker.finish(waiting.ticket, response)
    return True


def _read(broker: BrokerState, waiting: WaitingFetch, max_bytes: int) -> list[Reading]:
    """Reads the partitions in order. The first batch of all is returned however large it is."""
    readings = []
    left, at_least_one = max_bytes, broker.rules.returns_at_least_one_batch()
    for part in waiting.context.parts:
        version = waiting.request.api_version
        located = broker.readable(
            part.topic,
            part.number,
            part.current_leader_epoch,
            from_follower=version >= FOLLOWERS_SINCE_FETCH,
        )
        size = min(part.max_bytes, left)
        reading = _read_part(located, part, size, at_least_one=at_least_one)
        _check_codec(reading, version)
        left = max(0, left - reading.found.size_bytes)
        at_least_one = at_least_one and not reading.found.size_bytes
        readings.append(reading)
    return readings


def _read_part(located: Located, part: FetchPart, max_bytes: int, *, at_least_one: bool) -> Reading:
    replica = located.replica
    if located.error or replica is None:
        return Reading(part, located.error, current_leader=hint(located))
    diverging = replica.divergence(part.offset, part.last_fetched_epoch)
    if diverging is not None:
        # Below the log's start nothing can be said of divergence, nor of epochs never reached.
        if diverging == NO_EPOCH_END or part.offset < replica.log.start_offset:
            return Reading(part, Error.OFFSET_OUT_OF_RANGE)
        return Reading(part, Error.NONE, replica, diverging=diverging)
    error = replica.range_error(part.offset)
    if error:
        return Reading(part, error)
    found = replica.visible(part.offset, max_bytes, at_least_one=at_least_one)
    return Reading(part, Error.NONE, replica, found)


def _check_codec(reading: Reading, api_version: int) -> None:
    replica, found = reading.replica, reading.found
    if replica and api_version < ZSTD_SINCE_FETCH:
        headers = replica.log.headers[found.first : found.stop]
        if any(header.codec == ZSTD for header in headers):
            reading.error, reading.found = Error.UNSUPPORTED_COMPRESSION_TYPE, NOTHING


def _answered(reading: Reading, broker: BrokerState) -> FetchedPart:
    part, replica = reading.part, reading.replica
    if reading.error or replica is None:
        return FetchedPart(
            topic=part.topic,
            number=part.number,
            error=reading.error,
            current_leader=reading.current_leader,
        )
    committed, end = replica.high_watermark, replica.log.end_offset
    return FetchedPart(
        topic=part.topic,
        number=part.number,
        error=Error.NONE,
        high_watermark=committed,
        last_stable_offset=broker.rules.last_stable_offset(committed, end),
        log_start_offset=replica.log.start_offset,
        diverging=reading.diverging,
        records=replica.content(reading.found),
    )
