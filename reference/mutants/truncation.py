"""Wrong rules of epochs, truncation and the in-sync set: how replicas came to lose or to differ."""

from collections.abc import Iterable
from uuid import UUID

from reference.mutants.mutant import Mutant
from reference.replication_rules import Asked
from reference.requests import EpochEnd
from reference.rules import Rules


class HighWatermarkTruncation(Rules):
    def kept_by_new_follower(self, high_watermark: int, end_offset: int) -> int:
        return high_watermark


class EpochsNotCompared(Rules):
    def is_position_on_log(self, offset: int, last_epoch: int, end: EpochEnd) -> bool:
        return offset <= end.end_offset


class FollowersUnfenced(Rules):
    def in_current_epoch(self, asked: int, current: int) -> bool:
        return True


class JoinAtLaggingHighWatermark(Rules):
    def may_join_isr(self, end_offset: int, high_watermark: int, epoch_start: int) -> bool:
        return end_offset >= high_watermark


class EpochSkippedUnderSameLeader(Rules):
    def begins_epoch(self, known: int, told: int, *, same_leader: bool) -> bool:
        return told > known and not same_leader


class MinimalIsr(Rules):
    def maximal_isr(self, committed: Iterable[int], proposed: Iterable[int]) -> frozenset[int]:
        return frozenset(proposed) or frozenset(committed)


class CommittedIsrOnly(Rules):
    def maximal_isr(self, committed: Iterable[int], proposed: Iterable[int]) -> frozenset[int]:
        return frozenset(committed)


class BackToTheStart(Rules):
    def truncation_offset(self, own: EpochEnd, leaders: EpochEnd) -> int:
        return 0


class AcknowledgementsSurviveEpochs(Rules):
    def forgets_acknowledgements(self) -> bool:
        return False


class ResponsesMatchedByOffset(Rules):
    def is_awaited(self, answered: Asked, asked: Asked) -> bool:
        return answered.offset == asked.offset


class LeaderResumes(Rules):
    def is_own_registration(self, registered: UUID, incarnation: UUID) -> bool:
        return True


MUTANTS = (
    Mutant(
        name="hw-truncation",
        id="M-01",
        clauses=("LOG-04", "LOG-03", "LEAD-04", "ALO-01"),
        rules=HighWatermarkTruncation,
        wrong="A new follower cuts its log at its own high watermark, which lags.",
    ),
    Mutant(
        name="kip-101-only",
        id="M-02",
        clauses=("LOG-03", "LOG-04"),
        rules=EpochsNotCompared,
        wrong="A follower's position is right if the offset is, whatever the epoch before it.",
    ),
    Mutant(
        name="no-follower-epoch-fencing",
        id="M-03",
        clauses=("ISR-02", "LEAD-08", "LOG-04"),
        rules=FollowersUnfenced,
        wrong="A leader serves and counts followers that are in another epoch.",
    ),
    Mutant(
        name="isr-join-at-lagging-hw",
        id="M-04",
        clauses=("ISR-08", "LEAD-04"),
        rules=JoinAtLaggingHighWatermark,
        wrong="A follower joins the ISR at the high watermark, wherever the epoch starts.",
    ),
    Mutant(
        name="no-truncate-same-leader",
        id="M-05",
        clauses=("LOG-04", "LOG-03", "ISR-02"),
        rules=EpochSkippedUnderSameLeader,
        wrong="A new epoch under the same leader is not begun.",
    ),
    Mutant(
        name="hw-over-minimal-isr",
        id="M-08",
        clauses=("ISR-02", "LEAD-04"),
        rules=MinimalIsr,
        wrong="The ISR that a leader has asked for counts before the controller has agreed.",
    ),
    Mutant(
        name="hw-over-committed-isr",
        id="H-70",
        clauses=("ISR-02", "LEAD-04"),
        rules=CommittedIsrOnly,
        wrong="A member that the controller may have added already does not count yet.",
    ),
    Mutant(
        name="fallback-to-start",
        id="M-16",
        clauses=("LOG-04", "LOG-03", "LEAD-04"),
        rules=BackToTheStart,
        wrong="A follower whose log diverges throws all of it away.",
    ),
    Mutant(
        name="acknowledgements-survive-epochs",
        id="H-71",
        clauses=("ISR-02", "LEAD-08"),
        rules=AcknowledgementsSurviveEpochs,
        wrong="A leader of a new epoch counts what followers acknowledged in its former one.",
    ),
    Mutant(
        name="responses-matched-by-offset",
        id="H-72",
        clauses=("LOG-04", "LOG-03"),
        rules=ResponsesMatchedByOffset,
        wrong="A follower takes any response about its offset, whatever it was an answer to.",
    ),
    Mutant(
        name="leader-resumes",
        id="H-73",
        clauses=("LEAD-08", "ISR-02"),
        rules=LeaderResumes,
        wrong="A restarted broker takes up what it led before it is registered anew.",
    ),
)
