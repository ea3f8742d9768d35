"""ElectLeaders (KIP-460): leadership moves to the preferred replica, or to whoever is left."""

from dataclasses import replace

from reference.decisions.partition_change import next_state
from reference.decisions.placement import Refused
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.metadata.records import NO_LEADER, PartitionState
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
    if election == ElectionType.UNCLEAN:
        _elect_anybody(controller, state)
    else:
        _elect_preferred(controller, state)


def _elect_preferred(controller: ControllerState, state: PartitionState) -> None:
    preferred = state.replicas[0]
    if preferred == state.leader:
        raise Refused(Error.ELECTION_NOT_NEEDED, "The preferred replica leads already.")
    if not controller.is_active(preferred) or not controller.rules.may_be_preferred_leader(
        preferred, state.isr
    ):
        text = f"Broker {preferred} is not alive and in sync."
        raise Refused(Error.PREFERRED_LEADER_NOT_AVAILABLE, text)
    changed = next_state(
        state, controller.terms(controller.image.topics[state.id.topic_id]), leader=preferred
    )
    assert changed is not None, "the leader changes"
    controller.commit([changed])


def _elect_anybody(controller: ControllerState, state: PartitionState) -> None:
    if state.leader != NO_LEADER:
        raise Refused(Error.ELECTION_NOT_NEEDED, "The partition has a leader.")
    changed = next_state(
        state,
        replace(
            controller.terms(controller.image.topics[state.id.topic_id]), elects_uncleanly=True
        ),
    )
    if changed is None:
        raise Refused(Error.ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica is alive.")
    controller.commit([changed])
