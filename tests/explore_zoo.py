"""Small protocols that between them use every part of the language, for tests of checkers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spec.language import (
    BOOL,
    EMPTY,
    EVERYONE,
    NOBODY,
    NONE,
    Log,
    Messages,
    Optional,
    Protocol,
    Quorums,
    Sequences,
    SetOf,
    Struct,
    Subsets,
    action,
    all_of,
    any_of,
    end_of_last,
    entity,
    exists,
    first_where,
    for_all,
    implies,
    invariant,
    ite,
    larger,
    not_,
    number,
    only,
    order,
    per,
    require,
    rigid,
    smaller,
    var,
    when,
    witness,
)

Broker = entity("Broker")
Epoch = order("Epoch")
Offset = number("Offset")
Level = number("Level", first=-1)
Isr = Subsets("IsrSet", of=Broker)
Majority = Quorums("Quorum", of=Broker)
WholeLog = Sequences("WholeLog", epoch=Epoch, offset=order("Length"))
Owner = entity("Owner")
Task = number("Task")
owner_of = rigid("owner_of", (Task,), Owner, table=lambda counts, task: task % counts["Owner"])
task_of = rigid("task_of", (Owner,), Task, table=lambda counts, owner: counts["Task"] - 1 - owner)


class Voting(Protocol):
    """Votes as messages, a leader by a quorum of them, a set of brokers as one value."""

    epoch = per(Broker, Epoch, init=0)
    vote = var(Messages(voter=Broker, epoch=Epoch, candidate=Broker), init=EMPTY)
    leader = per(Epoch, Optional(Broker), init=NONE)
    isr = var(Isr, init=EVERYONE)
    told = per(Broker, Isr, init=NOBODY)

    @action
    def vote_for(self, new: Any, voter: Broker, candidate: Broker, epoch: Epoch) -> None:
        require(self.epoch[voter] < epoch)
        new.epoch[voter] = epoch
        new.vote.send(voter=voter, epoch=epoch, candidate=candidate)

    @action
    def become_leader(self, new: Any, candidate: Broker, epoch: Epoch, quorum: Majority) -> None:
        require(self.leader[epoch] == NONE)
        require(
            for_all(
                Broker,
                lambda b: implies(
                    Majority.has(quorum, b),
                    self.vote.has(voter=b, epoch=epoch, candidate=candidate),
                ),
            )
        )
        new.leader[epoch] = candidate

    @action
    def shrink(self, new: Any, leader: Broker, out: Broker, isr: Isr) -> None:
        require(exists(Epoch, lambda epoch: self.leader[epoch] == leader))
        require(Isr.has(self.isr, out), Isr.minus(isr, self.isr, out), Isr.large(isr))
        new.isr = isr
        new.told[leader] = isr

    @invariant()
    def members_were_members(self) -> Any:
        return for_all(
            Broker,
            Broker,
            lambda a, b: implies(Isr.has(self.isr, a), any_of(a == b, Isr.has(self.isr, a))),
        )

    @invariant()
    def nobody_leads(self) -> Any:
        """False, sooner or later."""
        return for_all(Epoch, lambda epoch: self.leader[epoch] == NONE)

    @invariant()
    def told_is_the_truth(self) -> Any:
        """False: others are told later."""
        return for_all(
            Broker, lambda b: any_of(Isr.is_empty(self.told[b]), self.told[b] == self.isr)
        )

    @witness
    def leader_changes(self) -> Any:
        return exists(
            Epoch,
            Epoch,
            lambda a, b: all_of(
                self.leader[a] != NONE, self.leader[b] != NONE, self.leader[a] != self.leader[b]
            ),
        )


class WholeLogs(Protocol):
    """Logs as single values: append, replicate, truncate to a common prefix."""

    log = per(Broker, WholeLog, init=EMPTY)
    epoch = var(Epoch, init=0)

    @action
    def begin_epoch(self, new: Any, epoch: Epoch) -> None:
        require(self.epoch < epoch)
        new.epoch = epoch

    @action
    def append(self, new: Any, broker: Broker, log: WholeLog) -> None:
        require(WholeLog.is_extension(log, self.log[broker]))
        require(WholeLog.last_epoch(log) == self.epoch)
        new.log[broker] = log

    @action
    def copy(self, new: Any, follower: Broker, leader: Broker) -> None:
        require(WholeLog.prefix(self.log[follower], self.log[leader]))
        new.log[follower] = self.log[leader]

    @invariant()
    def logs_agree(self) -> Any:
        """False: anyone may append."""
        return for_all(
            Broker,
            Broker,
            lambda a, b: any_of(
                WholeLog.prefix(self.log[a], self.log[b]), WholeLog.prefix(self.log[b], self.log[a])
            ),
        )

    @witness
    def long_log(self) -> Any:
        return exists(
            Broker, lambda b: WholeLog.length(self.log[b]) > WholeLog.length(WholeLog.empty)
        )


class Numbers(Protocol):
    """Arithmetic, searches, maps and logs assigned as a whole, conditional writes, flags."""

    log = per(Broker, Log(Struct(level=Level, mark=BOOL), Offset), init=EMPTY)
    level = var(Level, init=-1)
    high = per(Broker, Offset.end, init=0)
    seen = per(Broker, SetOf(Broker), init=NOBODY)
    flag = var(BOOL, init=False)
    table = per(Level, Struct(by=Optional(Broker), at=Offset.end), init={"by": NONE, "at": 0})

    @action
    def write(self, new: Any, broker: Broker, mark: BOOL) -> None:
        require(not_(self.flag) == mark)
        new.log[broker].append(level=self.level, mark=mark)
        new.seen[broker] = self.seen[broker].plus(broker)
        with when(self.level >= 0):
            new.table[self.level] = {"by": broker, "at": self.log[broker].end_offset}

    @action
    def raise_level(self, new: Any) -> None:
        new.level = self.level + 1
        new.flag = not_(self.flag)

    @action
    def cut(self, new: Any, broker: Broker, other: Broker) -> None:
        require(broker != other, self.log[broker].end_offset > self.high[broker])
        end = end_of_last(
            self.log[broker].end_offset,
            lambda o: self.log[broker][o].level == self.log[other][o].level,
        )
        new.log[broker].truncate_to(end)
        new.high[broker] = smaller(end, self.high[broker])
        new.seen[broker] = only(other)
        with when(self.flag):  # the later of two writes wins
            new.seen[broker] = self.seen[other]

    @action
    def adopt(self, new: Any, broker: Broker, other: Broker) -> None:
        require(self.log[broker].is_empty(), not_(self.log[other].is_empty()))
        new.log[broker] = self.log[other]
        new.high[broker] = larger(
            first_where(self.log[other].end_offset, lambda o: self.log[other][o].mark),
            self.log[other].end_offset - 1,
        )

    @action
    def forget(self, new: Any) -> None:
        require(self.flag)
        new.high = lambda b: ite(self.seen[b].has(b), self.high[b], 0)
        new.seen = lambda b: self.seen[b].minus(b)

    @invariant()
    def high_is_within(self) -> Any:
        return for_all(Broker, lambda b: self.high[b] <= self.log[b].end_offset)

    @invariant()
    def marks_alternate(self) -> Any:
        """False."""
        return for_all(
            Broker,
            Offset.below(1),
            lambda b, o: implies(self.log[b].end_offset > 1, self.log[b][o].mark),
        )


class Ownership(Protocol):
    """Rigid functions, which name entities after all: not symmetric. And stray reads, at NONE."""

    done = var(SetOf(Task), init=NOBODY)
    last = var(Optional(Owner), init=NONE)
    heir = per(Owner, Owner, init=lambda owner: owner)

    @action
    def do(self, new: Any, task: Task) -> None:
        require(not_(self.done.has(task)), owner_of(task) != self.last)
        new.done = self.done.plus(task)
        new.last = owner_of(task)

    @action
    def undo(self, new: Any) -> None:
        require(self.done.has(task_of(self.last)))
        new.done = self.done.minus(task_of(self.last))

    @action
    def inherit(self, new: Any, owner: Owner, other: Owner) -> None:
        new.heir[owner] = self.heir[self.last]
        new.last = self.heir[other]


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A protocol, and an instance small enough for the plain explorer."""

    protocol: type[Protocol]
    counts: Mapping[str, int]


ZOO = (
    Specimen(protocol=Voting, counts={"Broker": 2, "Epoch": 2, "min_insync": 1}),
    Specimen(protocol=WholeLogs, counts={"Broker": 2, "Epoch": 3, "Length": 3}),
    Specimen(protocol=Numbers, counts={"Broker": 2, "Offset": 2, "Level": 1}),
    Specimen(protocol=Ownership, counts={"Owner": 3, "Task": 3}),
)
