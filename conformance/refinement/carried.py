"""The model's state as it is carried along with a run: hidden variables need no reconstruction.

Given its parameters an action has one outcome, and the parameters follow from what a broker has
done. So there is no search: an action is allowed, or the step is refused.
"""

from collections import Counter
from collections.abc import Callable

from conformance.refinement.machines import FIRST, Counts, embedded, larger, machine, model
from spec.checkers.step import Outgrown as BeyondBounds
from spec.checkers.step import OutsideDomain, Refused, State
from spec.language.sorts import Sort

SLOT = {name: index for index, name in enumerate(model().leaves)}
"""Where a state has each variable."""
LOG_END, LOG_ID = SLOT["log.end_offset"], SLOT["log.id"]
HIGH_WATERMARK, APPLIED = SLOT["high_watermark"], SLOT["partition_epoch"]
LEADING, PENDING = SLOT["leading"], SLOT["pending"]
REMEMBERED, NEWEST = SLOT["remembered"], SLOT["newest"]
LEADER, EPOCH, ISR = (SLOT[f"decision.{field}"] for field in ("leader", "epoch", "isr"))
ELR, LIFE = SLOT["elr"], SLOT["broker_epoch"]
REMEMBERED_LIFE = SLOT["remembered_life"]

COSTLY = frozenset({"log_matching"})
"""Invariants whose cost is the square of a log's length: looked at only after steps."""


class BrokenRule(Exception):
    """The model does not take an action: a rule of it, or an invariant after it, is false."""

    def __init__(self, action: str, reason: str, clauses: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.action = action
        self.reason = reason
        self.clauses = clauses
        """Of the invariant; () where it is a rule of the action."""


class TooLarge(Exception):
    """No machine has room for the action."""


class Carried:
    """A state of the model, and what led to it."""

    __slots__ = ("_counts", "_invariants", "_steps", "brokers", "machine", "state", "taken")

    def __init__(self, brokers: int, *, invariants: bool = False) -> None:
        """With `invariants` those that an action can break are looked at after it."""
        self.brokers = brokers
        self._counts: Counts = FIRST
        self._invariants = invariants
        self.machine = machine(brokers, FIRST)
        self._steps = self.machine.step
        self.state: State = self.machine.initial
        self.taken: Counter[str] = Counter()

    def take(self, action: str, *params: int) -> None:
        """Raises BrokenRule for what the model does not allow, TooLarge where it cannot tell."""
        after = self.after(action, params)
        if self._invariants:
            for name, recheck in self.machine.rechecks[action]:
                if not recheck(self.state, after, *params):
                    self._broken(action, name)
        self.state = after
        self.taken[action] += 1

    def allows(self, action: str, params: tuple[int, ...]) -> bool:
        """Whether the model would take an action now."""
        try:
            self.after(action, params)
        except BrokenRule:
            return False
        return True

    def after(self, action: str, params: tuple[int, ...]) -> State:
        """The state after an action, in a larger machine where it is needed. Raises as `take`."""
        while True:
            try:
                after = self._steps[action](self.state, *params)
                if after is not None:
                    return after
                answer = self.machine.explain(self.state, action, params)
            except OutsideDomain as outside:
                self._grow(self._outside(action, params) or [], str(outside), action)
                continue
            if isinstance(answer, Refused):
                raise BrokenRule(action, str(answer))
            assert isinstance(answer, BeyondBounds)
            self._grow(answer.bound.split(", "), str(answer), action)

    def _outside(self, action: str, params: tuple[int, ...]) -> list[str]:
        """The sorts, by name, that are too small for the parameters."""
        sorts: list[Sort] = [param.sort for param in self.machine.model.actions[action].params]
        domain: Callable[[Sort], range | tuple[bool, bool]] = self.machine.bounds.domain
        pairs = zip(sorts, params, strict=True)
        return [sort.name for sort, value in pairs if value > int(domain(sort)[-1])]

    def _grow(self, sorts: list[str], reason: str, action: str) -> None:
        if not sorts or "Broker" in sorts:
            raise BrokenRule(action, reason)
        counts: Counts | None = self._counts
        for sort in sorts:
            counts = larger(counts, sort) if counts else None
        if counts is None:
            raise TooLarge(reason)
        self._counts, before = counts, self.machine
        self.machine = machine(self.brokers, counts)
        self._steps = self.machine.step
        self.state = embedded(self.state, before.initial, self.machine.initial)

    def broken_invariants(self) -> list[str]:
        """The invariants that do not hold now, apart from those that take too long."""
        holds, names = self.machine.holds, self.machine.model.invariants
        return [each for each in names if each not in COSTLY and not holds[each](self.state)]

    def _broken(self, action: str, name: str) -> None:
        broken = self.machine.model.invariants[name]
        reason = f"after {action} {name} does not hold [{broken.where}]"
        raise BrokenRule(action, reason, broken.clauses)
