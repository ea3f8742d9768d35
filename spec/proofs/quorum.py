"""KRaft, proved for any size, and what breaks the proof.

The argument is `quorum_election` and `quorum_induction`; here is one wrong rule after the other,
the wrong variants of `quorum`, each of which must break an obligation.
"""

from spec.models.quorum import (
    AnyLogWins,
    CommitOldEpoch,
    CommitWithoutQuorum,
    CountsOtherEpochs,
    FetchByOffset,
    FetchesAcrossEpochs,
    FollowsPastLeader,
    StandsInKnownEpoch,
    TruncateWholeEpoch,
    VoteNotPersisted,
    VotesInPastEpoch,
    WinsWithOwnVote,
)
from spec.models.quorum_protocol import Kraft
from spec.proofs.proof import Proof
from spec.proofs.quorum_induction import KraftProof


class VoteForgotten(KraftProof, VoteNotPersisted):
    """Breaks the memory of the vote."""


class StandsTwice(KraftProof, StandsInKnownEpoch):
    """Breaks the memory of the vote, and that epochs grow."""


class VotesInThePast(KraftProof, VotesInPastEpoch):
    """Breaks that a vote pins its epoch."""


class WinsAlone(KraftProof, WinsWithOwnVote):
    """Breaks that a quorum stands behind each leader."""


class FollowsThePast(KraftProof, FollowsPastLeader):
    """Breaks that a vote pins its epoch."""


class NoUpToDateCheck(KraftProof, AnyLogWins):
    """Breaks what votes say about logs."""


class FetchEpochUnchecked(KraftProof, FetchesAcrossEpochs):
    """Breaks what followers know of their leader."""


class FetchOffsetOnly(KraftProof, FetchByOffset):
    """Breaks fetch soundness."""


class WholeEpochCut(KraftProof, TruncateWholeEpoch):
    """Breaks what an acknowledgement promises."""


class NoQuorumAwaited(KraftProof, CommitWithoutQuorum):
    """Breaks what a commit says."""


class AnyEpochCounted(KraftProof, CountsOtherEpochs):
    """Breaks what a commit says."""


class OldEpochCommitted(KraftProof, CommitOldEpoch):
    """Breaks what a commit says."""


PROOFS: tuple[Proof, ...] = (
    Proof(
        name="quorum",
        protocol=Kraft,
        proof=KraftProof,
        small={"Voter": 3, "Epoch": 3, "Offset": 2},
        mutants=(
            VoteForgotten,
            StandsTwice,
            VotesInThePast,
            WinsAlone,
            FollowsThePast,
            NoUpToDateCheck,
            FetchEpochUnchecked,
            FetchOffsetOnly,
            WholeEpochCut,
            NoQuorumAwaited,
            AnyEpochCounted,
            OldEpochCommitted,
        ),
    ),
)
