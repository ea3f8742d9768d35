"""Judges what was decided on partitions: who was elected, from whom, and in which epochs."""

from collections.abc import Iterator
from itertools import pairwise

from conformance.simulation.violation import Violation
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState


def judge_decisions(
    decided: dict[PartitionId, list[PartitionState]], min_insync_replicas: int
) -> Iterator[Violation]:
    """Looks at all states of each partition in the order in which they were committed."""
    for states in decided.values():
        for state in states:
            yield from _sets(state, min_insync_replicas)
        for before, after in pairwise(states):
            yield from _change(before, after)


def _name(state: PartitionState) -> str:
    return f"partition {state.id.number}, partition epoch {state.partition_epoch}"


def _sets(state: PartitionState, min_insync_replicas: int) -> Iterator[Violation]:
    """ISR-01: the sets are what their names say."""
    isr, elr = set(state.isr), set(state.elr)
    if not isr <= set(state.replicas):
        yield Violation("ISR-01", f"{_name(state)}: ISR {state.isr} of {state.replicas}")
    if state.leader != NO_LEADER and state.leader not in isr:
        yield Violation("ISR-01", f"{_name(state)}: leader {state.leader}, ISR {state.isr}")
    if isr & elr:
        yield Violation("ISR-01", f"{_name(state)}: {sorted(isr & elr)} in both ISR and ELR")
    if elr and len(isr) >= min(min_insync_replicas, len(state.replicas)):
        yield Violation("ISR-01", f"{_name(state)}: ELR {state.elr} beside ISR {state.isr}")


def _change(before: PartitionState, after: PartitionState) -> Iterator[Violation]:
    """LEAD-02: epochs grow with every change of the leader. LEAD-03: who was in sync is elected."""
    name = _name(after)
    if after.partition_epoch <= before.partition_epoch:
        text = f"{name}: it was {before.partition_epoch} before"
        yield Violation("ISR-08", text)
    moved = after.leader != before.leader
    if after.leader_epoch < before.leader_epoch + moved:
        text = f"leader {before.leader} in epoch {before.leader_epoch}"
        yield Violation(
            "LEAD-02", f"{name}: {text}, then {after.leader} in epoch {after.leader_epoch}"
        )
    elected = moved and after.leader != NO_LEADER and not after.recovering
    if elected and after.leader not in (before.isr or before.elr):
        text = f"{name}: {after.leader} is elected, in sync were {before.isr}"
        yield Violation("LEAD-03", f"{text}, eligible {before.elr}")
