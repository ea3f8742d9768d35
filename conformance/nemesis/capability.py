"""What the harness can do to a target, and which of it `--faults` allows."""

from collections.abc import Mapping
from enum import StrEnum

from reference.simulator.faults import GROUPS, FaultKind


class Capability(StrEnum):
    """What the harness can do to a target, beyond speaking Kafka to it."""

    KILL = "kill and restart brokers"
    PAUSE = "pause brokers"
    SHUT_DOWN = "shut brokers down in good order"
    LOSE_POWER = "make a broker lose what it has not synced"
    CUT_BROKERS = "cut brokers off from each other"
    CUT_CONTROLLERS = "cut brokers off from the controllers"
    ISOLATE = "cut a broker off from the whole cluster"
    SET_CLOCKS = "set the clocks of brokers"


KINDS: Mapping[Capability, FaultKind] = {
    Capability.KILL: FaultKind.CRASH,
    Capability.PAUSE: FaultKind.PAUSE,
    Capability.SHUT_DOWN: FaultKind.SHUT_DOWN,
    Capability.LOSE_POWER: FaultKind.POWER_LOSS,
    Capability.CUT_BROKERS: FaultKind.CUT_PAIR,
    Capability.CUT_CONTROLLERS: FaultKind.CUT_FROM_METADATA,
    Capability.ISOLATE: FaultKind.CUT,
    Capability.SET_CLOCKS: FaultKind.CLOCK_JUMP,
}
"""The kind of fault that each of them brings about."""

NETWORK = frozenset({Capability.CUT_BROKERS, Capability.CUT_CONTROLLERS, Capability.ISOLATE})
"""What takes links that can be held."""
NOTHING, EVERYTHING = "none", "all"
WORDS = (NOTHING, "process", "network", "disk", "clock", EVERYTHING)
"""What `--faults` takes."""


def allowed(word: str) -> frozenset[Capability]:
    """What this word of `--faults` allows. A target need not offer all of it."""
    if word == EVERYTHING:
        return frozenset(Capability)
    kinds = GROUPS.get(word, ())
    return frozenset(capability for capability, kind in KINDS.items() if kind in kinds)
