"""InitProducerId without a transaction: an id that nobody ever had."""

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.messages import ProducerIdsGranted, ProducerIdsWanted
from reference.purgatory import WaitingDecision
from reference.requests import InitProducerId, ProducerIdGiven

BLOCK_WAIT_MS = 5_000
"""How long a client waits for the controller to grant a block before it is told to try again."""


def init_producer_id(broker: BrokerState, ticket: int, request: InitProducerId) -> None:
    """Answers from the broker's block of ids, or asks the controller for the next block."""
    if request.transactional_id is not None:
        # This cluster has no transaction coordinator yet.
        empty = not request.transactional_id
        error = Error.INVALID_REQUEST if empty else Error.COORDINATOR_NOT_AVAILABLE
        broker.reply(ticket, ProducerIdGiven(error=error))
    elif (request.producer_id == -1) != (request.producer_epoch == -1):
        broker.reply(ticket, ProducerIdGiven(error=Error.INVALID_REQUEST))
    else:
        deadline = broker.now_ms + BLOCK_WAIT_MS
        broker.park(WaitingDecision(ticket, request), [], deadline)
        broker.producer_ids.tickets.append(ticket)
        _serve(broker)


def on_granted(broker: BrokerState, sender: int, granted: ProducerIdsGranted) -> None:
    """A block that is not waited for, because the question was repeated, is left unused."""
    if broker.producer_ids.left == 0:
        broker.producer_ids.grant(granted.first, granted.count)
        _serve(broker)


def ask_again(broker: BrokerState) -> None:
    """A block that clients wait for may have been lost on its way."""
    if broker.producer_ids.tickets:
        _serve(broker)


def _serve(broker: BrokerState) -> None:
    ids = broker.producer_ids
    while ids.tickets:
        if ids.tickets[0] in broker.purgatory.waiting:
            number = ids.take()
            if number is None:
                broker.send_controller(ProducerIdsWanted())
                return
            given = ProducerIdGiven(error=Error.NONE, producer_id=number, producer_epoch=0)
            broker.finish(ids.tickets[0], given)
        ids.tickets.popleft()
