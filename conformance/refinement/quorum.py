"""Whether what the voters of the metadata quorum do are steps of the model of KRaft.

After each event the names of the model's actions follow from what has changed at the voter: epoch,
vote, role, leader, log, high watermark. Each action is taken, and then what can be seen of the
voter must be what the model has. A fetch is an action of the follower when it is sent, and again
when its answer is taken. Not in the model, and so not compared: observers, snapshots (one that is
fetched counts as the records in it), time, and with it when a leader resigns.
"""

from collections.abc import Iterator

from conformance.refinement.quorum_state import NOBODY, CarriedQuorum
from reference.messages import Event, FromPeer
from reference.metadata.quorum.messages import QuorumFetched, VoteRequest
from reference.metadata.quorum.replica import Replica, Role
from spec.language.theories import majorities

Action = tuple[str, tuple[int, ...]]


class QuorumDiffers(Exception):
    """What is seen of a voter is not what the model has."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


class QuorumValidator:
    """The model's state of one quorum, carried along."""

    def __init__(self, voters: tuple[int, ...], *, invariants: bool = False) -> None:
        self.number = {node: index for index, node in enumerate(voters)}
        self.carried = CarriedQuorum(len(voters), invariants=invariants)
        self.lives: dict[int, Replica] = {}
        """The present life of each voter."""
        self._following: dict[int, tuple[int, int]] = {}
        """The epoch and the leader that each voter follows."""
        self._committed: dict[int, int] = {}
        """The high watermark of each leader when it was last looked at."""

    def heard(self, replica: Replica, event: Event | None) -> None:
        """The voter has handled an event; None is its start. May be called again for the same
        event, and then goes on. Raises BrokenRule, QuorumDiffers, NoRoom."""
        voter, carried = self.number[replica.node], self.carried
        if self.lives.get(voter) is not replica:
            self.lives[voter] = replica
            self._following.pop(voter, None)
            carried.take("restart", voter)
            self._compare_disk(voter, replica)
        for action, params in self._election(voter, replica, event):
            carried.take(action, *params)
        for action, params in self._replication(voter, replica, event):
            carried.take(action, *params)
        if carried.of("is_leader", voter) and replica.role is not Role.LEADER:
            carried.take("restart", voter)
        self._compare(voter, replica)

    def adopt(self, replica: Replica) -> None:
        """The model is where this voter is."""
        voter = self.number[replica.node]
        self.lives[voter] = replica
        self._following[voter] = (replica.epoch, self._number(replica.leader))
        self._committed[voter] = replica.high_watermark

    def commit(self, leader: Replica) -> None:
        """The model's leader knows to be committed what this one knows."""
        self._committed[self.number[leader.node]] = 0
        for action, params in self._leading(self.number[leader.node], leader):
            self.carried.take(action, *params)

    # ---- elections -----------------------------------------------------------------------------

    def _election(self, voter: int, replica: Replica, event: Event | None) -> Iterator[Action]:
        carried = self.carried
        candidate = self._number(replica.vote.candidate)
        message, sender = None, NOBODY
        if isinstance(event, FromPeer):
            message, sender = event.message, self.number.get(event.sender, NOBODY)
        stands = candidate == voter and replica.role in (Role.CANDIDATE, Role.LEADER)
        is_new_epoch = replica.epoch != carried.epoch(voter)
        has_stood = carried.of("is_candidate", voter) or carried.of("is_leader", voter)
        if stands and (is_new_epoch or not has_stood):
            yield "start_election", (voter, carried.model_epoch(replica.epoch))
            carried.requests[replica.epoch, voter] = carried.log(voter)
        elif isinstance(message, VoteRequest) and message.epoch == replica.epoch:
            is_new_vote = is_new_epoch or candidate != carried.of("voted_for", voter)
            if candidate == sender and is_new_vote:
                yield "grant_vote", (voter, sender, *self._request(replica.epoch, sender))
            elif is_new_epoch:
                yield "refuse_vote", (voter, sender, *self._request(replica.epoch, sender))
        yield from self._leadership(voter, replica)

    def _leadership(self, voter: int, replica: Replica) -> Iterator[Action]:
        carried = self.carried
        leader = self._number(replica.leader)
        if replica.role is Role.LEADER and not carried.of("is_leader", voter):
            votes = {v for v in range(carried.voters) if self._has_vote(voter, v, replica.epoch)}
            yield "become_leader", (voter, self.quorum(votes))
            self._committed[voter] = replica.high_watermark
        elif leader not in (NOBODY, voter):
            if self._following.get(voter) != (replica.epoch, leader):
                yield "follow_leader", (voter, leader, carried.model_epoch(replica.epoch))
                self._following[voter] = (replica.epoch, leader)
        elif replica.epoch > carried.epoch(voter):
            # Somebody who has voted, or has refused to, has told of the epoch.
            asked = [key for key in carried.requests if key[0] == replica.epoch]
            if not asked:
                raise QuorumDiffers("epoch", f"in epoch {replica.epoch} nobody stands for election")
            yield "refuse_vote", (voter, asked[0][1], *self._request(*asked[0]))

    def _has_vote(self, candidate: int, voter: int, epoch: int) -> bool:
        return self.carried.has_voted(voter, candidate, epoch)

    def _request(self, epoch: int, candidate: int) -> tuple[int, int]:
        log = self.carried.requests.get((epoch, candidate))
        if log is None:
            raise QuorumDiffers("epoch", f"node {candidate} does not stand in epoch {epoch}")
        return self.carried.model_epoch(epoch), log

    def quorum(self, members: set[int]) -> int:
        """The number of a quorum within these voters; of any, if there is none."""
        for number, quorum in enumerate(majorities(self.carried.voters)):
            if members.issuperset(quorum):
                return number
        return 0

    # ---- replication ---------------------------------------------------------------------------

    def _replication(self, voter: int, replica: Replica, event: Event | None) -> Iterator[Action]:
        carried = self.carried
        if carried.of("is_leader", voter):
            yield from self._leading(voter, replica)
            return
        if replica.role is not Role.FOLLOWER or replica.leader not in self.number:
            return
        leader = self.number[replica.leader]
        if isinstance(event, FromPeer) and isinstance(event.message, QuorumFetched):
            yield from self._following_up(voter, leader, replica)
        log = carried.log(voter)
        can_acknowledge = carried.has_shown(leader, replica.epoch, log)
        if can_acknowledge and not carried.has_shown(voter, replica.epoch, log):
            yield "follower_fetch", (voter, leader, log, log)

    def _leading(self, voter: int, replica: Replica) -> Iterator[Action]:
        carried, end = self.carried, replica.log.end.offset
        while (at := carried.logs.end(carried.log(voter))) < end:
            (entry,) = replica.log.read(at, at + 1)
            yield "leader_append", (voter, carried.logs.extended(carried.log(voter), entry))
        if replica.high_watermark > self._committed[voter]:
            log = carried.logs.cut(carried.log(voter), replica.high_watermark)
            has = {v for v in range(carried.voters) if carried.has_shown(v, replica.epoch, log)}
            yield "leader_advance_high_watermark", (voter, self.quorum(has), log)
            self._committed[voter] = replica.high_watermark
            if carried.logs.end(log) > carried.logs.end(carried.committed):
                carried.committed = log

    def _following_up(self, voter: int, leader: int, replica: Replica) -> Iterator[Action]:
        """The follower has taken an answer: it has cut its log, appended to it, or replaced it."""
        carried, log = self.carried, replica.log
        mine = carried.log(voter)
        known_end = carried.logs.end(mine)
        if log.end.offset < known_end:
            yield self._cut(voter, leader, log.end.offset)
        elif log.start.offset > known_end or log.position(known_end) != self._position(mine):
            end = carried.logs.cut(carried.log(leader), log.end.offset)
            while not carried.logs.has_prefix(carried.log(voter), end):
                yield self._cut(voter, leader, None)
            yield "follower_fetch", (voter, leader, carried.log(voter), end)
        elif log.end.offset > known_end:
            end = mine
            for entry in log.read(known_end, log.end.offset):
                end = carried.logs.extended(end, entry)
            yield "follower_fetch", (voter, leader, mine, end)

    def _cut(self, voter: int, leader: int, offset: int | None) -> Action:
        """A cut to an offset; by None, to where the model says that the follower has to."""
        logs, mine, answer = self.carried.logs, self.carried.log(voter), self.carried.log(leader)
        while logs.epoch(answer) > logs.epoch(mine):
            answer = logs.parents[answer]
        if offset is not None and offset < logs.base_offset:
            raise QuorumDiffers("log", f"cut at {offset}, below what all voters had committed")
        kept = mine if offset is None else logs.cut(mine, offset)
        while offset is None and (logs.epoch(kept), logs.end(kept)) > self._position(answer):
            kept = logs.parents[kept]
        return "follower_truncate", (voter, leader, answer, kept)

    # ---- what must then be the same ------------------------------------------------------------

    def _number(self, node: int | None) -> int:
        return NOBODY if node is None else self.number.get(node, NOBODY)

    def _position(self, log: int) -> tuple[int, int]:
        return self.carried.logs.epoch(log), self.carried.logs.end(log)

    def _compare(self, voter: int, replica: Replica) -> None:
        carried = self.carried
        log = carried.log(voter)
        voted_for = carried.of("voted_for", voter)
        want = {
            "epoch": (replica.epoch, carried.epoch(voter)),
            "voted_for": (self._number(replica.vote.candidate), voted_for),
            "is_leader": (replica.role is Role.LEADER, carried.of("is_leader", voter)),
            "is_candidate": (replica.role is Role.CANDIDATE, carried.of("is_candidate", voter)),
            "log": (tuple(replica.log.end), self._position(log)),
        }
        for field, (seen, expected) in want.items():
            if seen != expected:
                raise QuorumDiffers(field, f"{field} is {seen}, the model says {expected}")

    def _compare_disk(self, voter: int, replica: Replica) -> None:
        """What a new life has found on the disk."""
        carried = self.carried
        seen = self._number(replica.vote.candidate)
        if replica.epoch == carried.epoch(voter) and seen != carried.of("voted_for", voter):
            expected = carried.of("voted_for", voter)
            raise QuorumDiffers("voted_for", f"voted_for is {seen}, the model says {expected}")
        if replica.role is not Role.LEADER:
            # A single voter leads, and writes, as soon as it starts.
            self.compare_log(replica)

    def compare_log(self, replica: Replica) -> None:
        """All records of a log. Raises QuorumDiffers."""
        logs, log = self.carried.logs, self.carried.log(self.number[replica.node])
        if tuple(replica.log.end) != self._position(log):
            seen, expected = tuple(replica.log.end), self._position(log)
            raise QuorumDiffers("log", f"log ends at {seen}, the model says {expected}")
        start = max(replica.log.start.offset, logs.base_offset)
        for entry in reversed(replica.log.read(start, replica.log.end.offset)):
            if logs.records[log] != entry:
                raise QuorumDiffers("log", f"{entry} at {logs.end(log) - 1} was never written so")
            log = logs.parents[log]
