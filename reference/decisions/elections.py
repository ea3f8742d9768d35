"""ElectLeaders (KIP-460): leadership moves to the preferred replica."""

from reference.decisions.placement import Refused
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.metadata.records import NO_LEADER
from reference.requests import (
    ElectionType,
    ElectLeaders,
    LeaderElected,
    LeadersElected,
    Partition,
)


def elect_leaders(controller: ControllerState, request: ElectLeaders) -> LeadersElected:
    """Answers each partition; where all are asked for, only those that needed an election."""
    if request.election not in tuple(ElectionType):
        return LeadersElected(error=Error.INVALID_REQUEST, partitions=())
    asked = request.partitions
    if asked is None:
        asked = tuple(partition for partition, _ in controller.image.partitions())
    answers = []
    for partition in dict.fromkeys(asked):
        try:
            _elect(controller, partition, request.election)
            answer = LeaderElected(partition=partition, error=Error.NONE)
        except Refused as refused:
            answer = LeaderElected(
                partition=partition, error=refused.error, message=refused.message
            )
        if request.partitions is not None or answer.error is not Error.ELECTION_NOT_NEEDED:
            answers.append(answer)
    return LeadersElected(error=Error.NONE, partitions=tuple(answers))


def _elect(controller: ControllerState, partition: Partition, election: int) -> None:
    state = controller.image.named(partition)
    if state is None:
        raise Refused(Error.UNKNOWN_TOPIC_OR_PARTITION, "No such partition.")
    preferred = state.replicas[0]
    unclean = election == ElectionType.UNCLEAN
    if (unclean and state.leader != NO_LEADER) or preferred == state.leader:
        raise Refused(Error.ELECTION_NOT_NEEDED, "The partition has the leader it should have.")
    if unclean:
        raise Refused(Error.ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica can become the leader.")
    if not controller.rules.may_be_preferred_leader(preferred, state.isr):
        raise Refused(Error.PREFERRED_LEADER_NOT_AVAILABLE, f"Broker {preferred} is not in sync.")
    controller.change(state, leader=preferred, leader_epoch=state.leader_epoch + 1)
