"""acks=-1: a produce request that waits for the in-sync replicas."""

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.purgatory import Goal, WaitingProduce
from reference.requests import Produced, ProducedPart


def complete(broker: BrokerState, waiting: WaitingProduce) -> bool:
    """Answers if every part has been decided. Returns whether it has answered."""
    undecided = []
    for goal in waiting.goals:
        error = _outcome(broker, goal)
        if error is None:
            undecided.append(goal)
        else:
            _decide(waiting, goal, error)
    waiting.goals = undecided
    if not undecided:
        broker.finish(waiting.ticket, Produced(parts=tuple(waiting.parts)))
    return not undecided


def expire(broker: BrokerState, waiting: WaitingProduce) -> None:
    """Answers now: what is not replicated yet may still be, so its outcome is unknown."""
    if not complete(broker, waiting):
        for goal in waiting.goals:
            _decide(waiting, goal, Error.REQUEST_TIMED_OUT)
        broker.finish(waiting.ticket, Produced(parts=tuple(waiting.parts)))


def _outcome(broker: BrokerState, goal: Goal) -> Error | None:
    replica = broker.replicas.get(goal.partition)
    if replica is None or replica.leadership is None:
        return broker.loss_error(goal.partition)
    if not broker.rules.committed(replica.high_watermark, goal.offset):
        return None
    enough = replica.has_enough_in_sync
    return Error.NONE if enough else Error.NOT_ENOUGH_REPLICAS_AFTER_APPEND


def _decide(waiting: WaitingProduce, goal: Goal, error: Error) -> None:
    if error:
        part = waiting.parts[goal.position]
        waiting.parts[goal.position] = ProducedPart(
            topic=part.topic, number=part.number, error=error
        )
