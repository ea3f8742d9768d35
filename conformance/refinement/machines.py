"""Machines of the message-level model for as many epochs, records and decisions as a run needs.

A step of a machine copies rows as long as its bounds, so a run begins with small ones; a run that
outgrows them goes on in a larger machine. Only COUNT_MAX of `spec.checkers.bounds` ends it.
"""

from functools import lru_cache
from typing import Any

from spec.checkers.bounds import COUNT_MAX, Bounds
from spec.checkers.step import Machine, State
from spec.language import trace
from spec.language.model import Model
from spec.models.replication_messages_elr_protocol import ReplicationWithElr

FIRST = (("BrokerEpoch", 3), ("Epoch", 8), ("Offset", 32), ("PartitionEpoch", 16))
"""Where a run begins, by the name of a sort."""
FACTOR = 2

Counts = tuple[tuple[str, int], ...]
"""How many values each sort has that grows, by name."""


@lru_cache(maxsize=1)
def model() -> Model:
    """The protocol that steps are compared with."""
    return trace(ReplicationWithElr)


@lru_cache(maxsize=64)
def machine(brokers: int, counts: Counts) -> Machine:
    """The machine for so many brokers; record ids, which no row is indexed by, never run short."""
    return Machine(model(), Bounds(Broker=brokers, RecordId=COUNT_MAX, **dict(counts)))


def larger(counts: Counts, sort: str) -> Counts | None:
    """More values of one sort; None where a machine can have no more."""
    found = dict(counts)
    if found.get(sort, COUNT_MAX) >= COUNT_MAX:
        return None
    found[sort] = min(COUNT_MAX, FACTOR * found[sort])
    return tuple(sorted(found.items()))


def embedded(state: State, before: State, after: State) -> State:
    """A state of a smaller machine in a larger one; their initial states are `before`, `after`."""
    return tuple(map(_overlaid, state, before, after))


def _overlaid(cells: Any, before: Any, after: Any) -> Any:
    if cells is before:
        return after  # Nothing has happened here: most of a machine's rows are never written.
    if not isinstance(cells, tuple):
        return cells
    return tuple(map(_overlaid, cells, before, after)) + after[len(cells) :]
