"""Wrong rules of the in-sync replicas and of leader epochs."""

from reference.errors import Error
from reference.mutants.mutant import Mutant
from reference.requests import EpochEnd
from reference.rules import Rules


class AckBeforeReplication(Rules):
    def committed(self, high_watermark: int, end_offset: int) -> bool:
        return True


class MinInsyncIgnored(Rules):
    def enough_in_sync(self, isr_size: int, min_insync_replicas: int) -> bool:
        return True


class LaggardNeverShrunk(Rules):
    def keeps_up(
        self, *, end_offset: int, high_watermark: int, leader_end: int, behind_ms: int, lag_ms: int
    ) -> bool:
        return end_offset >= high_watermark


class FetchEpochUnfenced(Rules):
    def leader_epoch_error(self, asked: int, current: int) -> Error:
        return Error.NONE


class WrongBrokerUnknown(Rules):
    def wrong_broker_error(self) -> Error:
        return Error.UNKNOWN_TOPIC_OR_PARTITION


class EpochEndOffByOne(Rules):
    def answered_epoch_end(self, end: EpochEnd) -> EpochEnd:
        return EpochEnd(end.leader_epoch, end.end_offset - 1) if end.end_offset > 0 else end


class PreferredIgnoresIsr(Rules):
    def may_be_preferred_leader(self, replica: int, isr: object) -> bool:
        return True


MUTANTS = (
    Mutant(
        name="ack-before-replication",
        id="H-11",
        clauses=("ISR-05",),
        rules=AckBeforeReplication,
        wrong="acks=-1 is answered as soon as the leader has appended.",
    ),
    Mutant(
        name="jepsen-2013-isr-of-one",
        id="M-19",
        clauses=("ISR-06",),
        rules=MinInsyncIgnored,
        wrong="min.insync.replicas is ignored, and the leader alone is enough for acks=-1.",
    ),
    Mutant(
        name="lagging-follower-never-shrunk",
        id="M-24",
        clauses=("ISR-07",),
        rules=LaggardNeverShrunk,
        wrong="A follower that has reached the high watermark counts as caught up for ever.",
    ),
    Mutant(
        name="no-fetch-epoch-fencing",
        id="M-03",
        clauses=("LEAD-07",),
        rules=FetchEpochUnfenced,
        wrong="The leader epoch that a client believes in is not checked.",
    ),
    Mutant(
        name="wrong-broker-unknown",
        id="H-12",
        clauses=("ERR-05", "LEAD-07"),
        rules=WrongBrokerUnknown,
        wrong="A broker that does not lead a partition says that there is no such partition.",
    ),
    Mutant(
        name="epoch-end-off-by-one",
        id="H-13",
        clauses=("LOG-05",),
        rules=EpochEndOffByOne,
        wrong="OffsetForLeaderEpoch names the last offset of an epoch as its end.",
    ),
    Mutant(
        name="preferred-ignores-isr",
        id="M-113",
        clauses=("LEAD-09",),
        rules=PreferredIgnoresIsr,
        wrong="Preferred election takes the first replica even if it is out of sync.",
    ),
)
