"""Which actions of the model a decision of the controller is.

In the model one thing changes at a time. A decision that does more is several; nobody ever hears of
the ones in between. One that changes neither leader nor ISR nor ELR is about something else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reference.metadata.records import NO_LEADER, PartitionState

Action = tuple[str, tuple[int, ...]]


def creation(state: PartitionState, number: Mapping[int, int]) -> list[Action]:
    """A partition's first state. In the model's beginning every broker is in the ISR."""
    outside = [number[broker] for broker in number if broker not in state.isr]
    actions: list[Action] = [("controller_remove_broker", (b, b, -1, False)) for b in outside]
    if state.leader != NO_LEADER:
        actions.append(("controller_elect_leader", (number[state.leader], False)))
    return actions


@dataclass(slots=True, kw_only=True)
class Change:
    """One decision, from the state before it to the one after it."""

    before: PartitionState
    after: PartitionState
    number: Mapping[int, int]
    """The model's numbers of the brokers."""
    version: int
    """The model's number of the decision before."""
    life: tuple[int, ...]
    """The life of each broker in the model."""
    was_asked: Callable[[tuple[int, ...]], bool]
    """Whether the model accepts an AlterPartition request with these parameters."""
    epoch: int = field(init=False)
    """The leader epoch after the actions so far."""
    is_small: bool = field(init=False)
    """Whether the ISR is too small to commit: only then anybody is in the ELR."""

    def __post_init__(self) -> None:
        self.epoch = self.before.leader_epoch
        self.is_small = bool(self.after.elr)

    def actions(self) -> list[Action]:
        """Returns them in order: who joins, who leaves, who leads."""
        before, after = self.before, self.after
        elected = after.leader if after.leader not in (before.leader, NO_LEADER) else None
        joined = [b for b in after.isr if b not in before.isr and not (b == elected in before.elr)]
        found = [self._joins(broker) for broker in joined]
        gone = [b for b in before.isr if b not in after.isr]
        if self.is_small:
            gone += [b for b in before.elr if b not in after.elr and b not in after.isr]
        # A leader that leaves is the last to go: it has the new epoch, and a successor.
        gone.sort(key=lambda broker: broker == before.leader)
        found += [self._leaves(broker, last=broker == gone[-1]) for broker in gone]
        if elected is not None and before.leader not in gone:
            found.append(("controller_elect_leader", (self.number[elected], self.is_small)))
        elif after.leader == NO_LEADER != before.leader and before.leader not in gone:
            found.append(("controller_depose_leader", (self.is_small,)))
        elif not found:
            found.append(("controller_decide_anew", (after.leader_epoch, self.is_small)))
        return found

    def _joins(self, broker: int) -> Action:
        number = self.number[broker]
        asked = (self.version, number, self.life[number], self.is_small)
        return "controller_alter_partition", asked

    def _leaves(self, broker: int, *, last: bool) -> Action:
        """Its leader has asked for it, or it failed, or it may have lost its log."""
        before, after = self.before, self.after
        if broker == before.leader or (last and before.leader == after.leader):
            self.epoch = after.leader_epoch
        if self.epoch == before.leader_epoch:
            for life in range(self.life[self.number[broker]] + 1):
                asked = (self.version, self.number[broker], life, self.is_small)
                if last and self.was_asked(asked):
                    return "controller_alter_partition", asked
        if broker in after.elr or (not self.is_small and after.isr):
            return self._fenced(broker, self.epoch)
        number, successor = self.number[broker], self._successor(broker)
        return "controller_remove_broker", (number, successor, self.epoch, self.is_small)

    def _fenced(self, broker: int, epoch: int) -> Action:
        number, successor = self.number[broker], self._successor(broker)
        return "controller_fence_broker", (number, successor, epoch, self.is_small)

    def _successor(self, broker: int) -> int:
        """Who leads after a leader; otherwise the parameter repeats the broker."""
        succeeds = broker == self.before.leader and self.after.leader != NO_LEADER
        return self.number[self.after.leader if succeeds else broker]
