"""AlterPartitionReassignments (KIP-455): replicas move while the old ones go on serving.

New replicas are added first; those to go are removed once the whole target set is in sync.
Source: metadata/.../controller/PartitionReassignmentReplicas.java.
"""

from collections.abc import Iterable

from reference.decisions.partition_change import reassigned
from reference.decisions.placement import Refused, check_replicas
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.metadata.records import PartitionState
from reference.requests import (
    AlterPartitionReassignments,
    ListPartitionReassignments,
    OngoingReassignment,
    Reassignment,
    ReassignmentAltered,
    ReassignmentsAltered,
    ReassignmentsListed,
)


def alter_reassignments(
    controller: ControllerState, request: AlterPartitionReassignments
) -> ReassignmentsAltered:
    """Answers each partition; a reassignment that is accepted has only begun."""
    answers = []
    for wanted in request.reassignments:
        try:
            _alter(controller, wanted)
            answers.append(ReassignmentAltered(partition=wanted.partition, error=Error.NONE))
        except Refused as refused:
            answers.append(
                ReassignmentAltered(
                    partition=wanted.partition, error=refused.error, message=refused.message
                )
            )
    return ReassignmentsAltered(error=Error.NONE, message=None, reassignments=tuple(answers))


def list_reassignments(
    controller: ControllerState, request: ListPartitionReassignments
) -> ReassignmentsListed:
    """Answers those of the asked partitions that are being reassigned."""
    asked = None if request.partitions is None else set(request.partitions)
    ongoing = tuple(
        OngoingReassignment(
            partition=partition,
            replicas=state.replicas,
            adding=state.adding,
            removing=state.removing,
        )
        for partition, state in controller.image.partitions()
        if (state.adding or state.removing) and (asked is None or partition in asked)
    )
    return ReassignmentsListed(error=Error.NONE, ongoing=ongoing)


def _alter(controller: ControllerState, wanted: Reassignment) -> None:
    state = controller.image.named(wanted.partition)
    if state is None:
        raise Refused(Error.UNKNOWN_TOPIC_OR_PARTITION, "No such partition.")
    if wanted.replicas is None:
        if not (state.adding or state.removing):
            raise Refused(Error.NO_REASSIGNMENT_IN_PROGRESS, "Nothing to cancel.")
        _check_survivors(state, state.adding)
        _settle(controller, state, _without(state.replicas, state.adding))
        return
    target = wanted.replicas
    check_replicas(controller, target)
    # What an unfinished reassignment was adding is given up, unless the new target has it too.
    before = _without(state.replicas, state.adding)
    adding, removing = _without(target, before), _without(before, target)
    _check_survivors(state, _without(_without(state.replicas, before), target))
    changed = reassigned(
        state,
        controller.terms(controller.image.topics[state.id.topic_id]),
        replicas=(*target, *removing),
        adding=adding,
        removing=removing,
    )
    controller.commit([changed])
    complete_if_done(controller, changed)


def complete_if_done(controller: ControllerState, state: PartitionState) -> None:
    """Ends a reassignment whose whole target set is in sync."""
    target = _without(state.replicas, state.removing)
    reassigning = state.adding or state.removing
    if reassigning and controller.rules.reassignment_done(target, state.isr):
        _settle(controller, state, target)


def _settle(controller: ControllerState, state: PartitionState, target: tuple[int, ...]) -> None:
    terms = controller.terms(controller.image.topics[state.id.topic_id])
    controller.commit([reassigned(state, terms, replicas=target, adding=(), removing=())])


def _check_survivors(state: PartitionState, gone: tuple[int, ...]) -> None:
    """Raises Refused where nobody who stays is sure to have what is committed."""
    if gone and not _without((*state.isr, *state.elr), gone):
        text = "No replica that stays is in sync; the partition would lose its leader."
        raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)


def _without(brokers: Iterable[int], others: Iterable[int]) -> tuple[int, ...]:
    return tuple(broker for broker in brokers if broker not in others)
