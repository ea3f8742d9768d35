"""A DeleteRecords request that waits until the log of every replica has moved its start."""

from dataclasses import replace

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.purgatory import Goal, WaitingDeletion
from reference.requests import NO_OFFSET, RecordsDeleted


def complete(broker: BrokerState, waiting: WaitingDeletion) -> bool:
    """Answers if every part has been decided. Returns whether it has answered."""
    waiting.goals = [goal for goal in waiting.goals if not _decided(broker, waiting, goal)]
    if not waiting.goals:
        broker.finish(waiting.ticket, RecordsDeleted(parts=tuple(waiting.parts)))
    return not waiting.goals


def expire(broker: BrokerState, waiting: WaitingDeletion) -> None:
    """Answers now: the leader has deleted, and some replica may not have yet."""
    if not complete(broker, waiting):
        for goal in waiting.goals:
            _decide(waiting, goal, Error.REQUEST_TIMED_OUT, NO_OFFSET)
        broker.finish(waiting.ticket, RecordsDeleted(parts=tuple(waiting.parts)))


def _decided(broker: BrokerState, waiting: WaitingDeletion, goal: Goal) -> bool:
    replica = broker.replicas.get(goal.partition)
    if replica is None or replica.leadership is None:
        _decide(waiting, goal, broker.loss_error(goal.partition), NO_OFFSET)
        return True
    lowest = replica.leadership.low_watermark(replica.log.start_offset)
    if lowest < goal.offset:
        return False
    _decide(waiting, goal, Error.NONE, lowest)
    return True


def _decide(waiting: WaitingDeletion, goal: Goal, error: Error, lowest: int) -> None:
    part = waiting.parts[goal.position]
    waiting.parts[goal.position] = replace(part, error=error, low_watermark=lowest)
