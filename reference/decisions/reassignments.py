"""AlterPartitionReassignments (KIP-455): replicas move while the old ones go on serving.

New replicas are added first; those to go are removed once the whole target set is in sync.
Source: metadata/.../controller/PartitionReassignmentReplicas.java.
"""

from collections.abc import Iterable, Sequence

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
        _settle(controller, state, _without(state.replicas, state.adding))
        return
    target = wanted.replicas
    check_replicas(controller, target)
    # What an unfinished reassignment was adding is given up, unless the new target has it too.
    before = _without(state.replicas, state.adding)
    adding, removing = _without(target, before), _without(before, target)
    dropped = _without(_without(state.replicas, before), target)
    changed = controller.change(
        state,
        replicas=(*target, *removing),
        adding=adding,
        removing=removing,
        **_leaving(state, dropped),
    )
    complete_if_done(controller, changed)


def complete_if_done(controller: ControllerState, state: PartitionState) -> None:
    """Ends a reassignment whose whole target set is in sync."""
    target = _without(state.replicas, state.removing)
    reassigning = state.adding or state.removing
    if reassigning and controller.rules.reassignment_done(target, state.isr):
        _settle(controller, state, target)


def _settle(controller: ControllerState, state: PartitionState, target: tuple[int, ...]) -> None:
    gone = _without(state.replicas, target)
    controller.change(state, replicas=target, adding=(), removing=(), **_leaving(state, gone))


def _leaving(state: PartitionState, gone: Sequence[int]) -> dict[str, object]:
    """What changes with replicas that go: the ISR, the epoch, and the leader if it is one."""
    if not gone:
        return {}
    isr = _without(state.isr, gone)
    leader = state.leader
    if leader in gone:
        candidates = [broker for broker in _without(state.replicas, gone) if broker in isr]
        if not candidates:
            text = "No replica that stays is in sync; the partition would lose its leader."
            raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)
        leader = candidates[0]
    # The epoch moves although the leader may stay: what a removed replica acknowledged is void.
    return {"isr": isr, "leader": leader, "leader_epoch": state.leader_epoch + 1}


def _without(brokers: Iterable[int], others: Iterable[int]) -> tuple[int, ...]:
    return tuple(broker for broker in brokers if broker not in others)
