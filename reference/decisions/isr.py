"""AlterPartition (KIP-497): a leader asks for another ISR, and the controller compares and sets."""

from dataclasses import replace

from reference.decisions.partition_change import next_state
from reference.decisions.reassignments import complete_if_done
from reference.decisions.state import ControllerState
from reference.messages import AlterPartition

UNKNOWN_EPOCH = -1


def alter_partition(controller: ControllerState, leader: int, ask: AlterPartition) -> None:
    """Accepts a change that was asked by the leader, in its epoch, against the current state.

    A refusal of what is outdated needs no answer: the state that the asker lacks is on its way. Of
    a member that may not join Kafka says so (INELIGIBLE_REPLICA). Here the answer is the same state
    under the next partition epoch: it reaches the leader as surely as any other decision, and no
    copy of the request that is still on its way can be accepted after it.
    """
    state = controller.image.state(ask.id)
    if state is None:
        return
    asked = (leader, ask.leader_epoch, ask.partition_epoch)
    current = (state.leader, state.leader_epoch, state.partition_epoch)
    if not controller.rules.isr_change_is_current(asked, current):
        return
    if leader not in ask.isr or not set(ask.isr) <= set(state.replicas):
        return
    if not all_may_be_members(controller, ask):
        controller.commit([replace(state, partition_epoch=state.partition_epoch + 1)])
        return
    # A leader that asks has recovered from an unclean election (KIP-704).
    changed = next_state(
        replace(state, recovering=False),
        controller.terms(controller.image.topics[ask.id.topic_id]),
        isr=tuple(sorted(ask.isr)),
        leader=leader,
    )
    if changed is not None:
        controller.commit([changed])
        complete_if_done(controller, changed)


def all_may_be_members(controller: ControllerState, ask: AlterPartition) -> bool:
    """Whether each broker of the ISR is alive, in the life that has caught up."""
    rules = controller.rules
    epochs = ask.isr_epochs or (UNKNOWN_EPOCH,) * len(ask.isr)
    for broker, named in zip(ask.isr, epochs, strict=True):
        registered = controller.image.brokers.get(broker)
        if registered is None:
            return False
        shutting_down = registered.in_controlled_shutdown
        if not rules.may_be_in_isr(fenced=registered.fenced, shutting_down=shutting_down):
            return False
        if not rules.names_present_life(named, registered.broker_epoch):
            return False
    return True
