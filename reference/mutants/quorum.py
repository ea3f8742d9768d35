"""Wrong rules of the metadata quorum."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from reference.mutants.mutant import Mutant
from reference.rules import Rules

if TYPE_CHECKING:
    from reference.metadata.quorum.messages import Position
    from reference.metadata.records import MetadataRecord


class SplitBrainLeader(Rules):
    def counted_voters(self, voters: Sequence[int], heard: Collection[int]) -> Sequence[int]:
        return [voter for voter in voters if voter in heard]


class VoteNotPersisted(Rules):
    def remembers_vote(self) -> bool:
        return False


class MetadataLostOnFailover(Rules):
    def replayed(self, tail: "Sequence[MetadataRecord]") -> "Sequence[MetadataRecord]":
        return ()


class VotesTwice(Rules):
    def may_vote(self, voted_for: int | None, candidate: int) -> bool:
        return True


class AnyLogWins(Rules):
    def is_up_to_date(self, candidate: "Position", voter: "Position") -> bool:
        return True


class StandsInKnownEpoch(Rules):
    def election_epoch(self, known: int) -> int:
        return max(known, 1)


class WinsWithOwnVote(Rules):
    def has_majority(self, votes: int, voters: int) -> bool:
        return True


class NeverResigns(Rules):
    def keeps_leading(self, heard: int, voters: int) -> bool:
        return True


class CommitsAlone(Rules):
    def majority_offset(self, ends: Iterable[int]) -> int:
        return max(ends)


class CommitsOldEpoch(Rules):
    def may_commit(self, written_in: int, epoch: int) -> bool:
        return True


class FetchesByOffset(Rules):
    def position_matches(self, asked: "Position", leaders: "Position") -> bool:
        return asked.offset <= leaders.offset


class CutsWholeLog(Rules):
    def diverging_offset(self, own: "Position", leaders: "Position") -> int:
        return 0


MUTANTS = (
    Mutant(
        name="split-brain-leader",
        id="M-31",
        clauses=("CTL-08", "CTL-01"),
        rules=SplitBrainLeader,
        wrong="A quorum leader takes the voters that it hears from for all there are.",
    ),
    Mutant(
        name="vote-not-persisted",
        id="M-33",
        clauses=("CTL-07", "CTL-01"),
        rules=VoteNotPersisted,
        wrong="A voter of the quorum forgets in a restart whom it has voted for.",
    ),
    Mutant(
        name="metadata-lost-on-failover",
        id="M-35",
        clauses=("CTL-04",),
        rules=MetadataLostOnFailover,
        wrong="A new controller starts from the last snapshot, without what came after it.",
    ),
    Mutant(
        name="quorum-votes-twice",
        id="H-60",
        clauses=("CTL-07", "CTL-01"),
        rules=VotesTwice,
        wrong="A voter of the quorum votes for every candidate of an epoch.",
    ),
    Mutant(
        name="quorum-any-log-wins",
        id="H-61",
        clauses=("CTL-07", "CTL-04"),
        rules=AnyLogWins,
        wrong="A voter of the quorum votes for a candidate that lacks what it has itself.",
    ),
    Mutant(
        name="quorum-stands-in-known-epoch",
        id="H-62",
        clauses=("CTL-01",),
        rules=StandsInKnownEpoch,
        wrong="A candidate of the quorum stands in the epoch that it is in.",
    ),
    Mutant(
        name="quorum-wins-with-own-vote",
        id="H-63",
        clauses=("CTL-07", "CTL-01"),
        rules=WinsWithOwnVote,
        wrong="A candidate of the quorum leads without the votes of a majority.",
    ),
    Mutant(
        name="quorum-leader-never-resigns",
        id="H-64",
        clauses=("CTL-08",),
        rules=NeverResigns,
        wrong="A quorum leader that nobody follows goes on believing in itself.",
    ),
    Mutant(
        name="quorum-commits-alone",
        id="H-65",
        clauses=("CTL-08", "CTL-04"),
        rules=CommitsAlone,
        wrong="A quorum leader commits what it has written, whoever else has it.",
    ),
    Mutant(
        name="quorum-commits-old-epoch",
        id="H-66",
        clauses=("CTL-08", "CTL-04"),
        rules=CommitsOldEpoch,
        wrong="A quorum leader commits records of an older epoch because a majority has them.",
    ),
    Mutant(
        name="quorum-fetches-by-offset",
        id="H-67",
        clauses=("CTL-08", "CTL-02"),
        rules=FetchesByOffset,
        wrong="A quorum leader does not look at the epoch of a follower's last record.",
    ),
    Mutant(
        name="quorum-cuts-whole-log",
        id="H-68",
        clauses=("CTL-08", "CTL-04"),
        rules=CutsWholeLog,
        wrong="A follower in the quorum cuts off more than what diverges.",
    ),
)
