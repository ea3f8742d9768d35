"""AlterPartition (KIP-497): a leader asks for another ISR, and the controller compares and sets."""

from reference.decisions.reassignments import complete_if_done
from reference.decisions.state import ControllerState
from reference.messages import AlterPartition


def alter_partition(controller: ControllerState, leader: int, ask: AlterPartition) -> None:
    """Accepts a change that was asked by the leader, in its epoch, against the current state.

    A refusal needs no answer: the state that the asker lacks is on its way, or comes with its next
    heartbeat, and takes the question back.
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
    changed = controller.change(state, isr=ask.isr)
    complete_if_done(controller, changed)
