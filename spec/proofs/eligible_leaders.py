"""KIP-966, proved for any size, and what breaks the proof.

The argument is `eligible_leaders_logs` and `eligible_leaders_induction`; here is one wrong rule
after the other, the wrong variants of `eligible_leaders`, each of which must break an obligation.
"""

from spec.models.eligible_leaders import (
    BrokerEpochNotChecked,
    ElrKept,
    EpochStartNotChecked,
    FetchNotFenced,
    HighWatermarkBelowMinimum,
    LastLeaderCountedAsClean,
    LastReplicaStanding,
    OldFetchesCount,
    PendingMemberIgnored,
    RestartUndetected,
)
from spec.models.eligible_leaders_protocol import EligibleLeaders
from spec.proofs.eligible_leaders_induction import EligibleLeadersProof
from spec.proofs.proof import Proof


class LastReplicaStays(EligibleLeadersProof, LastReplicaStanding):
    """Breaks what candidates have: the last one may have lost it."""


class RestartOverlooked(EligibleLeadersProof, RestartUndetected):
    """Breaks what candidates have: any of them may have lost it."""


class SmallViewSuffices(EligibleLeadersProof, HighWatermarkBelowMinimum):
    """Breaks what is open: a small view does not cover the ELR."""


class ElrOutlivesItsUse(EligibleLeadersProof, ElrKept):
    """Breaks the cover of large views: beside a large ISR the ELR falls behind."""


class LastLeaderTrusted(EligibleLeadersProof, LastLeaderCountedAsClean):
    """Breaks elections: the last known leader was no candidate."""


class EarlierLifeAdded(EligibleLeadersProof, BrokerEpochNotChecked):
    """Breaks what a request says of the follower that it adds."""


class PendingMemberNotCounted(EligibleLeadersProof, PendingMemberIgnored):
    """Breaks what the requested follower gets meanwhile."""


class EarlierRecordsForgotten(EligibleLeadersProof, EpochStartNotChecked):
    """Breaks what the requested follower has of earlier epochs."""


class EveryFetchCounts(EligibleLeadersProof, FetchNotFenced):
    """Breaks what a fetch says of the follower's log."""


class FetchesKept(EligibleLeadersProof, OldFetchesCount):
    """Breaks what a fetch says of the follower's log after an election."""


PROOFS: tuple[Proof, ...] = (
    Proof(
        name="eligible_leaders",
        protocol=EligibleLeaders,
        proof=EligibleLeadersProof,
        small={"Broker": 2, "LeaderEpoch": 3, "BrokerEpoch": 2, "Offset": 2, "min_insync": 1},
        mutants=(
            LastReplicaStays,
            RestartOverlooked,
            SmallViewSuffices,
            ElrOutlivesItsUse,
            LastLeaderTrusted,
            EarlierLifeAdded,
            PendingMemberNotCounted,
            EarlierRecordsForgotten,
            EveryFetchCounts,
            FetchesKept,
        ),
    ),
)
