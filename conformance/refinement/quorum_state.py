"""The state of the quorum's model as it is carried along with a run, and made small again.

A run writes more records and holds more elections than an instance has room for. What no voter can
act on any more is then forgotten: messages of epochs that all voters have left behind, and the
records that are committed and that all voters have. Every rule of the model says the same as before
of what is left; so nothing is validated that the whole state would refuse.
"""

from collections import Counter
from functools import reduce
from typing import Any

from conformance.refinement.carried import BrokenRule
from conformance.refinement.quorum_logs import EMPTY, EPOCHS, LogBounds, NoRoom, RunLogs, machine
from spec.checkers.step import Refused, State

NOBODY = -1


class CarriedQuorum:
    """A state of the model, and what led to it. Epochs and logs are those of the run."""

    __slots__ = (
        "_at",
        "_invariants",
        "committed",
        "logs",
        "machine",
        "requests",
        "state",
        "taken",
        "voters",
    )

    def __init__(self, voters: int, *, invariants: bool = False) -> None:
        """With `invariants` those that an action can break are looked at after it."""
        self.voters = voters
        self.machine = machine(voters)
        bounds = self.machine.bounds
        assert isinstance(bounds, LogBounds)
        self.logs = RunLogs(bounds)
        self.state: State = self.machine.initial
        self.taken: Counter[str] = Counter()
        self.requests: dict[tuple[int, int], int] = {}
        """The log of each candidate, by epoch and candidate."""
        self.committed = EMPTY
        """The longest log that was committed."""
        self._invariants = invariants
        self._at = self.machine.slot

    # ---- what the model has --------------------------------------------------------------------

    def of(self, variable: str, voter: int) -> Any:
        return self.state[self._at[variable]][voter]

    def epoch(self, voter: int) -> int:
        """In the run."""
        return int(self.of("epoch", voter)) + self.logs.base_epoch

    def log(self, voter: int) -> int:
        return int(self.of("log", voter))

    def has_shown(self, voter: int, epoch: int, log: int) -> bool:
        return bool(self.of("has_shown", voter)[epoch - self.logs.base_epoch][log])

    def has_voted(self, voter: int, candidate: int, epoch: int) -> bool:
        votes = self.state[self._at["votes"]][epoch - self.logs.base_epoch]
        return bool(votes[voter][candidate])

    def model_epoch(self, epoch: int) -> int:
        """Raises NoRoom."""
        found = epoch - self.logs.base_epoch
        if found >= EPOCHS:
            raise NoRoom(f"more than {EPOCHS} epochs")
        return found

    # ---- steps ---------------------------------------------------------------------------------

    def take(self, action: str, *params: int) -> None:
        """Raises BrokenRule for what the model does not allow."""
        self.logs.use()
        after = self.machine.step[action](self.state, *params)
        if after is None:
            answer = self.machine.explain(self.state, action, params)
            assert isinstance(answer, Refused), answer
            raise BrokenRule(action, str(answer))
        if self._invariants:
            for name, recheck in self.machine.rechecks[action]:
                if not recheck(self.state, after, *params):
                    broken = self.machine.model.invariants[name]
                    reason = f"after {action} {name} does not hold [{broken.where}]"
                    raise BrokenRule(action, reason, broken.clauses)
        self.state = after
        self.taken[action] += 1

    # ---- what nobody can act on any more -------------------------------------------------------

    def forget(self) -> None:
        """Makes room for what comes next. Raises NoRoom where less than half becomes free."""
        oldest = min(self.state[self._at["epoch"]])
        self.requests = {
            key: log
            for key, log in self.requests.items()
            if key[0] - self.logs.base_epoch >= oldest
        }
        shown = self._shown_since(oldest)
        needed = [*self.state[self._at["log"]], self.committed, *self.requests.values()]
        base = reduce(self.logs.shared, needed)
        for log in shown:
            if not self.logs.has_prefix(log, base):
                base = self.logs.shared(base, log)
        kept = [*needed, *(log for log in shown if self.logs.has_prefix(base, log))]
        logs, numbers = self.logs.rebased(base, kept)
        shift = logs.base_epoch - self.logs.base_epoch
        newest = max(self.state[self._at["epoch"]]) - shift
        if 2 * len(logs.parents) > len(self.logs.bounds.prefix) or 2 * newest > EPOCHS:
            raise NoRoom(f"{len(logs.parents)} logs and {newest} epochs are still in use")
        self.state = self._rebased(base, numbers, oldest, shift)
        self.requests = {key: numbers[log] for key, log in self.requests.items()}
        self.committed = numbers[self.committed]
        self.logs = logs

    def _shown_since(self, oldest: int) -> list[int]:
        """The logs that voters have shown in epochs that somebody is still in, or comes to."""
        found = {
            log
            for rows in self.state[self._at["has_shown"]]
            for row in rows[oldest:]
            for log, is_shown in enumerate(row)
            if is_shown
        }
        return sorted(found)

    def _rebased(self, base: int, numbers: dict[int, int], oldest: int, shift: int) -> State:
        state, at = self.state, self._at
        initial = dict(zip(at, self.machine.initial, strict=True))
        after = [_listed(each) for each in state]
        for name in ("vote_requests", "votes", "begin_quorum_epoch", "has_shown", "committed"):
            after[at[name]] = _listed(initial[name])
        after[at["epoch"]] = [epoch - shift for epoch in state[at["epoch"]]]
        after[at["log"]] = [numbers[log] for log in state[at["log"]]]
        for epoch in range(oldest, EPOCHS):
            for name in ("votes", "begin_quorum_epoch"):
                after[at[name]][epoch - shift] = state[at[name]][epoch]
            for candidate, row in enumerate(state[at["vote_requests"]][epoch]):
                for log in _true(row):
                    after[at["vote_requests"]][epoch - shift][candidate][numbers[log]] = True
            for voter, rows in enumerate(state[at["has_shown"]]):
                for log in _true(rows[epoch]):
                    if self.logs.has_prefix(base, log):
                        after[at["has_shown"]][voter][epoch - shift][numbers[log]] = True
        for epoch, row in enumerate(state[at["committed"]]):
            for log in _true(row):
                if self.logs.has_prefix(base, log):
                    # All voters are past this epoch, or in it: no rule tells it from the oldest.
                    after[at["committed"]][max(0, epoch - shift)][numbers[log]] = True
        return tuple(_frozen(each) for each in after)


def _true(row: tuple[bool, ...]) -> list[int]:
    return [index for index, value in enumerate(row) if value]


def _listed(value: Any) -> Any:
    return [_listed(part) for part in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(part) for part in value) if isinstance(value, list) else value
