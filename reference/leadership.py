"""What a leader knows of its followers, for one leader epoch: progress, ISR, high watermark.

All of it is forgotten with the epoch: what a follower acknowledged to another leader, or to this
one in another epoch, it may have truncated since.
"""

from dataclasses import dataclass, field

from reference.messages import ReplicaFetch
from reference.metadata.records import PartitionState
from reference.rules import Rules

UNKNOWN_OFFSET = -1


@dataclass(slots=True)
class Progress:
    """A follower's log as its latest fetch of this epoch told it."""

    end_offset: int = UNKNOWN_OFFSET
    log_start_offset: int = 0
    caught_up_ms: int = 0
    """The latest time at which it had everything that the leader had then."""
    broker_epoch: int = -1
    """Of the life in which it sent that fetch (KIP-903)."""
    fetched_ms: int = 0
    leader_end_then: int = 0
    """The leader's end at its latest fetch: reaching it later proves being caught up then."""


@dataclass(slots=True)
class Leadership:
    broker: int
    rules: Rules
    epoch_start: int
    followers: dict[int, Progress] = field(default_factory=dict)
    waiting: dict[int, ReplicaFetch] = field(default_factory=dict)
    """Fetches that nothing could be said to yet."""
    proposed_isr: tuple[int, ...] = ()
    """An ISR asked of the controller; empty when none is."""
    proposed_epochs: tuple[int, ...] = ()
    """The lives of its members when it was asked: one that restarted since has not caught up, so a
    repetition of the question must not name its new life (KIP-903)."""

    def adopt(self, state: PartitionState, now_ms: int) -> None:
        """Takes the controller's word: replicas come and go, and a proposal is decided by it."""
        others = [broker for broker in state.replicas if broker != self.broker]
        known = self.followers
        self.followers = {b: known.get(b) or Progress(caught_up_ms=now_ms) for b in others}
        self.waiting = {b: fetch for b, fetch in self.waiting.items() if b in self.followers}
        self.proposed_isr = ()

    def acknowledge(self, follower: int, fetch: ReplicaFetch, leader_end: int, now_ms: int) -> bool:
        """A follower whose log agrees so far has everything below the offset it asks for.

        Returns whether its log starts further on than before.
        """
        progress = self.followers[follower]
        starts_later = fetch.log_start_offset > progress.log_start_offset
        progress.end_offset = fetch.offset
        progress.broker_epoch = fetch.broker_epoch
        progress.log_start_offset = fetch.log_start_offset
        if fetch.offset >= leader_end:
            progress.caught_up_ms = now_ms
        elif fetch.offset >= progress.leader_end_then and progress.fetched_ms:
            progress.caught_up_ms = max(progress.caught_up_ms, progress.fetched_ms)
        progress.fetched_ms, progress.leader_end_then = now_ms, leader_end
        return starts_later

    def committed_end(self, state: PartitionState, own_end: int) -> int:
        """The end of what every member of the maximal ISR has."""
        end = own_end
        for broker in self.rules.maximal_isr(state.isr, self.proposed_isr):
            if broker != self.broker:
                progress = self.followers.get(broker)
                end = min(end, progress.end_offset if progress else UNKNOWN_OFFSET)
        return end

    def isr_that_keeps_up(
        self, state: PartitionState, high_watermark: int, own_end: int, now_ms: int, lag_ms: int
    ) -> tuple[int, ...]:
        """The ISR without those who lag."""
        return tuple(
            broker
            for broker in state.isr
            if broker == self.broker
            or self.rules.keeps_up(
                end_offset=self.followers[broker].end_offset,
                high_watermark=high_watermark,
                leader_end=own_end,
                behind_ms=now_ms - self.followers[broker].caught_up_ms,
                lag_ms=lag_ms,
            )
        )

    def broker_epochs(self, isr: tuple[int, ...], own: int) -> tuple[int, ...]:
        """The lives that an ISR would consist of, as far as their fetches have told."""
        return tuple(
            own if broker == self.broker else self.followers[broker].broker_epoch for broker in isr
        )

    def may_join(self, follower: int, high_watermark: int) -> bool:
        """Whether a follower outside the ISR has fetched far enough, in this epoch."""
        progress = self.followers[follower]
        return progress.end_offset != UNKNOWN_OFFSET and self.rules.may_join_isr(
            progress.end_offset, high_watermark, self.epoch_start
        )

    def low_watermark(self, own_start: int) -> int:
        """The smallest log start offset of all replicas."""
        starts = [progress.log_start_offset for progress in self.followers.values()]
        return self.rules.low_watermark(own_start, starts)
