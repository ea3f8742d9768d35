"""Requests that wait: looked at again when a partition moves, expired, or abandoned."""

from reference.broker_state import BrokerState
from reference.handlers import acknowledgement, fetch, forwarding, low_watermark
from reference.messages import RequestExpired
from reference.metadata.records import PartitionId
from reference.purgatory import Waiting, WaitingDeletion, WaitingFetch, WaitingProduce
from reference.replica import Replica


def progress(broker: BrokerState, partition: PartitionId) -> None:
    """Answers the followers and the clients that can be answered now."""
    replica = broker.replicas.get(partition)
    if replica is not None and replica.leadership is not None:
        for follower in tuple(replica.leadership.waiting):
            answer_follower(broker, replica, follower)
    for request in broker.purgatory.concerned(partition):
        look_again(broker, request)


def answer_follower(broker: BrokerState, replica: Replica, follower: int) -> None:
    """Answers the fetch that a follower waits with, if there is anything to tell it."""
    leadership = replica.leadership
    assert leadership is not None, "only a leader has followers"
    fetched = replica.response_to(leadership.waiting[follower])
    if fetched:
        del leadership.waiting[follower]
        broker.send(follower, fetched)


def look_again(broker: BrokerState, waiting: Waiting) -> None:
    """Something that the request waits for has moved."""
    match waiting:
        case WaitingProduce():
            acknowledgement.complete(broker, waiting)
        case WaitingFetch():
            if broker.rules.looks_again():
                fetch.complete(broker, waiting, expired=False)
        case WaitingDeletion():
            low_watermark.complete(broker, waiting)


def expire(broker: BrokerState, ticket: int) -> None:
    """The time of a request is over; one that has just been answered is not there any more."""
    waiting = broker.purgatory.waiting.get(ticket)
    match waiting:
        case WaitingProduce():
            acknowledgement.expire(broker, waiting)
        case WaitingFetch():
            fetch.complete(broker, waiting, expired=True)
        case WaitingDeletion():
            low_watermark.expire(broker, waiting)
        case None:
            pass
        case _:
            forwarding.expire(broker, waiting)


def abandon(broker: BrokerState, ticket: int) -> None:
    """Nobody waits for the answer any more. What the request has done stays done."""
    if broker.purgatory.release(ticket) is not None:
        broker.cancel(RequestExpired(ticket))
