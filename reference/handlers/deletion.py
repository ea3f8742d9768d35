"""DeleteRecords: the leader deletes a prefix, then waits for its followers to do so (KIP-107)."""

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.handlers import low_watermark
from reference.handlers.completion import progress
from reference.purgatory import Goal, WaitingDeletion
from reference.requests import NO_EPOCH, DeleteRecords, DeleteRecordsPart, RecordsDeletedPart

TO_HIGH_WATERMARK = -1


def delete_records(broker: BrokerState, ticket: int, request: DeleteRecords) -> None:
    """Answers when the log of every replica starts where the client said, or further on."""
    waiting = WaitingDeletion(ticket, [], [])
    for position, part in enumerate(request.parts):
        error, goal = _delete(broker, part, position)
        answer = RecordsDeletedPart(topic=part.topic, number=part.number, error=error)
        waiting.parts.append(answer)
        if goal:
            waiting.goals.append(goal)
    if not low_watermark.complete(broker, waiting):
        partitions = [goal.partition for goal in waiting.goals]
        broker.park(waiting, partitions, broker.now_ms + max(0, request.timeout_ms))


def _delete(
    broker: BrokerState, part: DeleteRecordsPart, position: int
) -> tuple[Error, Goal | None]:
    located = broker.accessible(part.topic, part.number, NO_EPOCH)
    replica = located.replica
    if located.error or replica is None:
        return located.error, None
    if not replica.config.deletes:
        return Error.POLICY_VIOLATION, None
    offset = part.before_offset
    if offset == TO_HIGH_WATERMARK:
        offset = replica.high_watermark
    if not broker.rules.may_delete_before(offset, replica.high_watermark):
        return Error.OFFSET_OUT_OF_RANGE, None
    replica.log.delete_before(offset)
    progress(broker, replica.state.id)
    return Error.NONE, Goal(position, replica.state.id, offset)
