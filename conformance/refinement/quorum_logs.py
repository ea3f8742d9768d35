"""The metadata logs of a run, as values of the model's sort of whole logs.

The model knows a log by its prefixes, its last epoch and its length, and is true of any set of logs
that has the prefixes of each of its members. A finite instance of the checkers has all short logs.
Here it has just those that occur in a run: a tree, each log one record longer than its parent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from reference.metadata.quorum.messages import Entry
from spec.checkers.bounds import Bounds
from spec.checkers.step import Machine
from spec.language import trace
from spec.language.expression import Symbol
from spec.language.model import Model
from spec.language.sorts import Sort
from spec.models.quorum_protocol import Kraft, LogValue

LOGS = 256
"""How many logs an instance has room for."""
EPOCHS = 64
EMPTY = 0


class NoRoom(Exception):
    """The run has more logs, or more epochs, than the instance."""


class LogBounds(Bounds):
    """Bounds whose logs are those of a run: tables that are filled while it goes on."""

    def __init__(self, voters: int) -> None:
        super().__init__(Voter=voters, Epoch=EPOCHS, Offset=LOGS)
        self._domains[LogValue] = range(LOGS)
        self.prefix = [[a == b for b in range(LOGS)] for a in range(LOGS)]
        self.last_epoch = [0] * LOGS
        self.length = [0] * LOGS
        self._tables: Mapping[str, Any] = {
            "LogValue.prefix": self.prefix,
            "LogValue.last_epoch": self.last_epoch,
            "LogValue.length": self.length,
            "LogValue.empty": EMPTY,
        }
        self.owner: RunLogs | None = None
        """Whose logs the tables are about now: all runs share one instance."""

    def check(self, model: Model) -> None:
        """They are made for this one model."""

    def applied(self, symbol: Symbol, arguments: Sequence[int]) -> int | bool:
        found = self._tables.get(symbol.name)
        if found is None:
            return super().applied(symbol, arguments)
        for argument in arguments:
            found = found[argument]
        return found  # type: ignore[no-any-return]

    def table(self, symbol: Symbol, arguments: tuple[int, ...] = ()) -> Any:
        found = self._tables.get(symbol.name)
        return super().table(symbol, arguments) if found is None else found

    def text(self, sort: Sort, value: int) -> str:
        if sort is not LogValue or self.owner is None:
            return super().text(sort, value)
        return self.owner.text(value)


@lru_cache(maxsize=8)
def machine(voters: int) -> Machine:
    """The machine for so many voters."""
    return Machine(trace(Kraft), LogBounds(voters))


@dataclass(slots=True, eq=False, repr=False)
class RunLogs:
    """The logs of one run. Log 0 is the empty one; or, after `rebased`, what all others begin
    with: their records, lengths and epochs are counted from there."""

    bounds: LogBounds
    base_epoch: int = 0
    """The epoch that the model calls 0."""
    base_offset: int = 0
    parents: list[int] = field(default_factory=lambda: [EMPTY])
    records: list[Entry | None] = field(default_factory=lambda: [None])
    """The last record of each log."""
    lengths: list[int] = field(default_factory=lambda: [0])
    _children: dict[tuple[int, Entry], int] = field(default_factory=dict)

    def use(self) -> None:
        """Puts the logs of this run into the tables, where those of another one may be."""
        if self.bounds.owner is self:
            return
        self.bounds.owner = self
        for log in range(len(self.parents)):
            self._fill(log)

    def _fill(self, log: int) -> None:
        bounds, parent = self.bounds, self.parents[log]
        for other, row in enumerate(bounds.prefix):
            row[log] = other == log or (log != EMPTY and other < log and row[parent])
        record = self.records[log]
        bounds.last_epoch[log] = record.epoch - self.base_epoch if record else 0
        bounds.length[log] = self.lengths[log]

    def extended(self, log: int, entry: Entry) -> int:
        """The log with one record more. Raises NoRoom."""
        found = self._children.get((log, entry))
        if found is not None:
            return found
        new = len(self.parents)
        if new == LOGS or not 0 <= entry.epoch - self.base_epoch < EPOCHS:
            raise NoRoom(f"more than {LOGS} logs or {EPOCHS} epochs")
        self._children[log, entry] = new
        self.parents.append(log)
        self.records.append(entry)
        self.lengths.append(self.lengths[log] + 1)
        if self.bounds.owner is self:
            self._fill(new)
        return new

    def end(self, log: int) -> int:
        """The offset at which a log ends, in the run."""
        return self.base_offset + self.lengths[log]

    def cut(self, log: int, offset: int) -> int:
        """What a log begins with, up to an offset that is not below `base_offset`."""
        while self.end(log) > offset:
            log = self.parents[log]
        return log

    def has_prefix(self, part: int, log: int) -> bool:
        return self.cut(log, self.end(part)) == part

    def shared(self, one: int, other: int) -> int:
        """The longest log that both begin with."""
        offset = min(self.end(one), self.end(other))
        one, other = self.cut(one, offset), self.cut(other, offset)
        while one != other:
            one, other = self.parents[one], self.parents[other]
        return one

    def epoch(self, log: int) -> int:
        """Of the last record, in the run; at the base the epoch that the model calls 0."""
        record = self.records[log]
        return record.epoch if record else self.base_epoch

    def rebased(self, base: int, needed: Sequence[int]) -> tuple["RunLogs", dict[int, int]]:
        """The logs that a later part of the run needs, and their prefixes, counted from `base`.

        Returns them with their new numbers; what `base` begins with becomes the empty log.
        """
        new = RunLogs(self.bounds, base_epoch=self.epoch(base), base_offset=self.end(base))
        numbers = {log: EMPTY for log in range(len(self.parents)) if self.has_prefix(log, base)}
        for log in sorted(needed):
            path = []
            while log not in numbers:
                path.append(log)
                log = self.parents[log]
            for each in reversed(path):
                record = self.records[each]
                assert record is not None
                numbers[each] = new.extended(numbers[self.parents[each]], record)
        return new, numbers

    def text(self, log: int) -> str:
        record = self.records[log] if log < len(self.records) else None
        return f"up to {self.end(log)}/e{record.epoch}" if record else f"up to {self.base_offset}"
