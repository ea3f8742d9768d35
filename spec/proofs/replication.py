"""Why KIP-320 is safe, for any number of brokers, epochs and records.

The conjuncts, together, hold at the start, are kept by every action, and imply the invariants of
`spec/models/replication.py` and those of `replication_history.py`.

The argument in three sentences. Every broker's log is a prefix of the log of the last epoch that it
synced to (so epochs are all that brokers need to compare). Before a broker can be in a later ISR
without having been in an earlier one, some member of the earlier ISR has moved on, and since then
nothing is committed in the earlier epoch. So each ISR that comes after a commit still consists of
brokers that have what was committed.
"""

from spec.language import require
from spec.models.replication import EpochFencing, Kip320, bounds
from spec.proofs.proof import Proof
from spec.proofs.replication_induction import Kip320Proof

# ---- what breaks it -----------------------------------------------------------------------------


class UnfencedTruncation(Kip320Proof):
    """A follower truncates against a leader of another epoch."""

    def become_follower(self, new, follower, leader, epoch):
        EpochFencing.become_follower(self, new, follower, leader, epoch)


class JoinsAtALaggingHighWatermark(Kip320Proof):
    """A follower joins the ISR without having reached the start of the leader's epoch."""

    def is_high_watermark_of_this_epoch(self, leader):
        return True


class UnfencedFollowers(Kip320Proof):
    """Who follows a leader counts for it, in whatever epoch."""

    def is_following(self, follower, leader):
        return self.leader[follower] == leader


class UncleanElection(Kip320Proof):
    """Any broker may be elected."""

    def controller_elect_leader(self, new, leader):
        require(self.quorum.leader != leader)
        self.start_epoch(new, leader, self.quorum.isr)


PROOFS = (
    Proof(
        name="replication/kip-320",
        protocol=Kip320,
        proof=Kip320Proof,
        small=bounds(3, 2, 2, 2),
        mutants=(
            UnfencedTruncation,
            JoinsAtALaggingHighWatermark,
            UnfencedFollowers,
            UncleanElection,
        ),
    ),
)
