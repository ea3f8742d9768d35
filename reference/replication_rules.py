"""The rules of replication: part of `reference.rules`, which says what a rule is."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from reference.requests import EpochEnd


class Asked(NamedTuple):
    """Which of a follower's requests a response is about."""

    leader_epoch: int
    attempt: int
    offset: int


class ReplicationRules:
    # ---- following the metadata ----------------------------------------------------------------

    def is_newer_decision(self, given: int, known: int) -> bool:
        """ISR-08, LEAD-02: an older partition epoch would bring back an older, smaller ISR."""
        return given > known

    def is_own_registration(self, registered: UUID, incarnation: UUID) -> bool:
        """LEAD-08: a broker that has started anew leads nothing before the controller knows."""
        return registered == incarnation

    def begins_epoch(self, known: int, told: int, *, same_leader: bool) -> bool:
        """LOG-04: each new leader epoch is begun, also under the same leader (KAFKA-7164)."""
        return told > known

    def forgets_acknowledgements(self) -> bool:
        """ISR-02: what followers acknowledged in an earlier epoch they may have truncated since."""
        return True

    def kept_by_new_follower(self, high_watermark: int, end_offset: int) -> int:
        """LOG-04: a follower's high watermark lags, so its log is not cut there (KIP-101)."""
        return end_offset

    # ---- replication ---------------------------------------------------------------------------

    def maximal_isr(self, committed: Iterable[int], proposed: Iterable[int]) -> frozenset[int]:
        """ISR-02: until the controller has answered, both ISRs may be the one it elects from."""
        return frozenset(committed).union(proposed)

    def in_current_epoch(self, asked: int, current: int) -> bool:
        """ISR-02, LOG-04: leader and follower deal with each other in one leader epoch only."""
        return asked == current

    def is_latest_life(self, broker_epoch: int, heard: int) -> bool:
        """ISR-08: what a follower had before it lost its data does not count again (KIP-903)."""
        return broker_epoch >= heard

    def is_position_on_log(self, offset: int, last_epoch: int, end: EpochEnd) -> bool:
        """LOG-03: the record before the offset is the same if its epoch is, and reaches it."""
        return end.leader_epoch == last_epoch and offset <= end.end_offset

    def is_awaited(self, answered: Asked, asked: Asked) -> bool:
        """LOG-04: an answer to an earlier request is about a log that has changed since."""
        return answered == asked

    def committed(self, high_watermark: int, end_offset: int) -> bool:
        """ISR-05: acks=-1 is answered once all members of the ISR have the whole batch."""
        return high_watermark >= end_offset

    def enough_in_sync(self, isr_size: int, min_insync_replicas: int) -> bool:
        """ISR-06: acks=-1 promises at least min.insync.replicas copies."""
        return isr_size >= min_insync_replicas

    def keeps_up(
        self, *, end_offset: int, high_watermark: int, leader_end: int, behind_ms: int, lag_ms: int
    ) -> bool:
        """ISR-07: caught up with the leader's end, now or not longer ago than the lag limit."""
        return end_offset >= leader_end or behind_ms <= lag_ms

    def may_join_isr(self, end_offset: int, high_watermark: int, epoch_start: int) -> bool:
        """ISR-08: a new leader's high watermark lags, so its epoch's start counts (KAFKA-7128)."""
        return end_offset >= high_watermark and end_offset >= epoch_start

    def isr_change_is_current(
        self, asked: tuple[int, int, int], current: tuple[int, int, int]
    ) -> bool:
        """ISR-08: compare-and-set on leader, leader epoch and partition epoch (KIP-497)."""
        return asked == current

    def truncation_offset(self, own: EpochEnd, leaders: EpochEnd) -> int:
        """LOG-04: the largest offset at which both logs can still agree (KIP-279)."""
        if own.leader_epoch != leaders.leader_epoch:
            return own.end_offset
        return min(own.end_offset, leaders.end_offset)
