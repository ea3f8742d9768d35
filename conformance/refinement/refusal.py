"""What is said of a step that the model does not allow, and which clause it concerns."""

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.simulation.run import StepRefused

CLAUSES: Mapping[str, tuple[str, ...]] = {
    "controller_elect_leader": ("LEAD-03", "LEAD-04"),
    "controller_fence_broker": ("LEAD-04", "ISR-01"),
    "controller_depose_leader": ("LEAD-02", "ISR-01"),
    "controller_remove_broker": ("ISR-09", "LEAD-04"),
    "controller_decide_anew": ("LEAD-02", "ISR-08"),
    "controller_alter_partition": ("ISR-08",),
    "apply_decision": ("LEAD-02", "ISR-08"),
    "restart": ("LEAD-08", "DUR-02"),
    "restart_without_tail": ("ISR-09", "DUR-02"),
    "leader_write": ("LEAD-01",),
    "leader_handle_fetch": ("ISR-02", "LOG-04"),
    "leader_ask_to_expand_isr": ("ISR-08",),
    "leader_ask_to_shrink_isr": ("ISR-08",),
    "leader_increment_high_watermark": ("ISR-02", "ISR-05"),
    "follower_append": ("LOG-03", "LOG-04"),
    "follower_learn_high_watermark": ("ISR-03",),
    "follower_truncate": ("LOG-04",),
    "decision": ("LEAD-03", "ISR-01"),
    "log": ("LOG-03", "LOG-04"),
    "high_watermark": ("ISR-02", "ISR-03"),
    "partition_epoch": ("LEAD-02", "ISR-08"),
    "leading": ("LEAD-01",),
    "pending": ("ISR-02", "ISR-08"),
    "remembered": ("ISR-02",),
}
"""The clauses that an action's rules keep, or that a differing field concerns; the nearest first.

An invariant names its own clauses.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A step of the cluster that is no step of the model."""

    clauses: tuple[str, ...]
    partition: str
    node: int
    """Whose step it is."""
    at_ms: int
    number: int
    """Of the step, counting those of this partition that were compared."""
    event: str
    """What the node has handled."""
    action: str
    """What the step was taken for; "" where it is a difference that was found after it."""
    reason: str
    """The rule that is broken with its line, or the field that differs."""

    def __str__(self) -> str:
        where = f"node {self.node} at {self.at_ms} ms, step {self.number} of {self.partition}"
        return f"{where}, on {self.event}: {self.reason}"


class ModelRefused(StepRefused):
    """The model does not allow what the cluster did; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.clauses[0], str(refusal))
        self.refusal = refusal
