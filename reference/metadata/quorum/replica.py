"""What a replica of the metadata log is made of: a voter of the quorum, or an observer.

Roles as in raft/src/main/java/org/apache/kafka/raft/QuorumState.java. Everything here is driven by
timers, never by comparing clock readings: a clock that jumps costs an election at most.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from reference.messages import Cancel, Effect, Message, Send, Timer, Wake
from reference.metadata.quorum.log import MetadataLog
from reference.metadata.quorum.messages import ElectionDue, QuorumFetch
from reference.metadata.quorum.vote import Vote, read_vote, write_vote
from reference.rules import Rules
from reference.storage.disk import Disk


class Role(Enum):
    UNATTACHED = "unattached"
    """Knows no leader of its epoch; it may have voted in it."""
    CANDIDATE = "candidate"
    FOLLOWER = "follower"
    """Knows the leader, and fetches from it; observers do no more than this."""
    LEADER = "leader"
    RESIGNED = "resigned"
    """Has led its epoch, and neither leads nor votes in it any more."""


@dataclass(slots=True, kw_only=True, eq=False)
class Replica:
    """The state of one life. Epoch, vote and log are recovered from the disk."""

    node: int
    voters: tuple[int, ...]
    disk: Disk
    rules: Rules
    chance: Callable[[], float]
    """Returns a number from 0 up to 1."""
    election_timeout_ms: int
    """Without a leader; up to as much again is added by chance, so that voters stand in turn."""
    fetch_timeout_ms: int
    """Without an answer from the leader; an election timeout is added by chance at most."""
    now_ms: int = 0
    """The time of the event in hand."""
    effects: list[Effect] = field(default_factory=list)
    log: MetadataLog = field(init=False)
    vote: Vote = field(init=False)
    role: Role = Role.UNATTACHED
    leader: int | None = None
    """Of this epoch, if known; the node itself while it leads."""
    high_watermark: int = field(init=False)
    """Everything below is committed. After a start nothing is known but the snapshot."""
    is_caught_up: bool = False
    """The log has all that was known to be committed when the leader answered: until then what a
    replica has may be old news, on which its broker must not act."""

    granted: set[int] = field(default_factory=set)
    """A candidate's votes."""

    epoch_start: int = 0
    """A leader's first offset: that of its LeaderChange."""
    acknowledged: dict[int, int] = field(default_factory=dict)
    """How much of the leader's log each other voter is known to have; -1 if it is not known."""
    silent_ticks: dict[int, int] = field(default_factory=dict)
    """How many ticks have passed since another voter's latest fetch."""
    parked: dict[int, QuorumFetch] = field(default_factory=dict)
    """Fetches that have nothing to learn yet, by sender."""

    attempt: int = 0
    """Of the fetch to which the answer is awaited."""

    def __post_init__(self) -> None:
        self.log = MetadataLog(self.disk)
        self.vote = read_vote(self.disk)
        self.high_watermark = self.log.snapshot.end.offset if self.log.snapshot else 0

    @property
    def epoch(self) -> int:
        return self.vote.epoch

    @property
    def is_voter(self) -> bool:
        return self.node in self.voters

    @property
    def other_voters(self) -> tuple[int, ...]:
        return tuple(voter for voter in self.voters if voter != self.node)

    @property
    def announced_high_watermark(self) -> int:
        """What a leader says of it: 0 until it has committed in its own epoch. Before, its high
        watermark may be behind what an earlier leader has said."""
        return self.high_watermark if self.high_watermark > self.epoch_start else 0

    def remember(self, vote: Vote) -> None:
        """The vote is on disk before anybody hears of it."""
        self.vote = vote
        kept = vote if self.rules.remembers_vote() else Vote(epoch=vote.epoch)
        write_vote(self.disk, kept)

    # ---- effects -------------------------------------------------------------------------------

    def send(self, to: int, message: Message) -> None:
        self.effects.append(Send(to, message))

    def wake_after(self, delay_ms: int, timer: Timer) -> None:
        self.effects.append(Wake(self.now_ms + delay_ms, timer))

    def cancel(self, timer: Timer) -> None:
        self.effects.append(Cancel(timer))

    def await_election(self) -> None:
        """Lets somebody have some time to become leader."""
        self._await(self.election_timeout_ms)

    def await_leader(self) -> None:
        """Lets the leader have some time to answer."""
        self._await(self.fetch_timeout_ms)

    def _await(self, timeout_ms: int) -> None:
        jitter_ms = int(self.election_timeout_ms * self.chance())
        self.wake_after(timeout_ms + jitter_ms, ElectionDue())
