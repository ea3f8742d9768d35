"""Requests that only the controller can decide: any broker passes them on (KIP-590)."""

from collections.abc import Iterable

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.messages import Decided, Forwarded, NotController
from reference.purgatory import WaitingDecision
from reference.requests import (
    NO_TOPIC_ID,
    AlterPartitionReassignments,
    ConfigsAltered,
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    ElectLeaders,
    IncrementalAlterConfigs,
    InitProducerId,
    LeaderElected,
    LeadersElected,
    ListPartitionReassignments,
    PartitionsCreated,
    PartitionsCreatedPart,
    ProducerIdGiven,
    ReassignmentsAltered,
    ReassignmentsListed,
    Request,
    ResourceAltered,
    Response,
    TopicCreated,
    TopicDeleted,
    TopicsCreated,
    TopicsDeleted,
)

DEFAULT_TIMEOUT_MS = 30_000
"""For requests that carry no timeout of their own (request.timeout.ms)."""


def forward(broker: BrokerState, ticket: int, request: Request) -> None:
    """Passes the request on. The controller's answer comes after the metadata that it made."""
    timeout_ms = getattr(request, "timeout_ms", DEFAULT_TIMEOUT_MS)
    broker.park(WaitingDecision(ticket, request), [], broker.now_ms + max(0, timeout_ms))
    broker.send_controller(Forwarded(ticket=ticket, request=request))


def on_decided(broker: BrokerState, sender: int, decided: Decided) -> None:
    if decided.ticket in broker.purgatory.waiting:
        broker.finish(decided.ticket, decided.response)


def on_not_controller(broker: BrokerState, sender: int, refused: NotController) -> None:
    """Nothing was decided. The broker asks again when it may have heard of another controller."""
    waiting = broker.purgatory.waiting.get(refused.ticket)
    if isinstance(waiting, WaitingDecision):
        waiting.is_refused = True


def forward_again(broker: BrokerState) -> None:
    """Passes on what a node refused that was not the controller."""
    for waiting in broker.purgatory.waiting.values():
        if isinstance(waiting, WaitingDecision) and waiting.is_refused:
            waiting.is_refused = False
            broker.send_controller(Forwarded(ticket=waiting.ticket, request=waiting.request))


def expire(broker: BrokerState, waiting: WaitingDecision) -> None:
    """Answers now: whether the controller has acted is unknown."""
    broker.finish(waiting.ticket, _timed_out(waiting.request))


def _timed_out(request: Request) -> Response:
    late = Error.REQUEST_TIMED_OUT
    match request:
        case CreateTopics(topics=topics):
            names = _once(topic.name for topic in topics)
            return TopicsCreated(topics=tuple(TopicCreated(name=n, error=late) for n in names))
        case DeleteTopics(topics=topics):
            return TopicsDeleted(
                topics=tuple(
                    TopicDeleted(name=ref, topic_id=NO_TOPIC_ID, error=late)
                    if isinstance(ref, str)
                    else TopicDeleted(name=None, topic_id=ref, error=late)
                    for ref in dict.fromkeys(topics)
                )
            )
        case CreatePartitions(topics=more):
            names = _once(each.topic for each in more)
            parts = tuple(PartitionsCreatedPart(topic=name, error=late) for name in names)
            return PartitionsCreated(topics=parts)
        case IncrementalAlterConfigs(resources=resources):
            altered = (ResourceAltered(type=r.type, name=r.name, error=late) for r in resources)
            return ConfigsAltered(resources=tuple(altered))
        case ElectLeaders(partitions=partitions):
            elected = (LeaderElected(partition=each, error=late) for each in partitions or ())
            return LeadersElected(error=late, partitions=tuple(elected))
        case AlterPartitionReassignments():
            return ReassignmentsAltered(error=late, message=None, reassignments=())
        case ListPartitionReassignments():
            return ReassignmentsListed(error=late, ongoing=())
        case InitProducerId():
            return ProducerIdGiven(error=Error.COORDINATOR_LOAD_IN_PROGRESS)
        case _:
            raise AssertionError(f"{type(request).__name__} is not forwarded")


def _once(names: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(names)
