"""Produce: append each part on its own; with acks=-1, wait for the in-sync replicas."""

from dataclasses import replace

from reference.broker_state import BrokerState, hint
from reference.errors import Error
from reference.handlers import acknowledgement
from reference.handlers.completion import progress
from reference.purgatory import Goal, WaitingProduce
from reference.requests import NO_EPOCH, NO_OFFSET, Produce, ProducedPart, ProducePart


def produce(broker: BrokerState, ticket: int, request: Produce) -> None:
    """Answers when the leader has appended, or with acks=-1 when the ISR has. The answer to
    acks=0 is for the wire layer only, which hangs up on an error."""
    waiting = WaitingProduce(ticket, [], [])
    for position, part in enumerate(request.parts):
        answer, goal = _append(broker, request, part, position)
        waiting.parts.append(answer)
        if goal and request.acks == -1:
            waiting.goals.append(goal)
    if acknowledgement.complete(broker, waiting):
        return
    deadline = broker.rules.produce_deadline_ms(broker.now_ms, max(0, request.timeout_ms))
    broker.park(waiting, [goal.partition for goal in waiting.goals], deadline)


def _append(
    broker: BrokerState, request: Produce, part: ProducePart, position: int
) -> tuple[ProducedPart, Goal | None]:
    if not broker.rules.acks_allowed(request.acks):
        return _refused(part, Error.INVALID_REQUIRED_ACKS), None
    located = broker.accessible(part.topic, part.number, NO_EPOCH)
    replica = located.replica
    if located.error or replica is None:
        answer = _refused(part, located.error)
        return replace(answer, current_leader=hint(located)), None
    appended = replica.append(part.records, request.acks, broker.now_ms, request.api_version)
    answer = ProducedPart(
        topic=part.topic,
        number=part.number,
        error=appended.error,
        base_offset=NO_OFFSET if appended.error else appended.base_offset,
        log_append_time_ms=appended.log_append_time_ms,
        log_start_offset=NO_OFFSET if appended.error else replica.log.start_offset,
        record_errors=appended.record_errors,
        message=appended.message,
    )
    progress(broker, replica.state.id)
    goal = Goal(position, replica.state.id, appended.end_offset)
    return answer, None if appended.error else goal


def _refused(part: ProducePart, error: Error) -> ProducedPart:
    return ProducedPart(topic=part.topic, number=part.number, error=error)
