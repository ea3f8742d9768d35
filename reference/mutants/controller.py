"""Wrong rules of the controller: who leads, who is in sync, which brokers live."""

from collections.abc import Iterable

from reference.mutants.mutant import Mutant
from reference.rules import Rules


class FencedReplicaRejoins(Rules):
    def may_be_in_isr(self, *, fenced: bool, shutting_down: bool) -> bool:
        return True


class FormerLifeJoinsIsr(Rules):
    def names_present_life(self, named_broker_epoch: int, broker_epoch: int) -> bool:
        return True


class LastReplicaStanding(Rules):
    def isr_may_be_empty(self, elr_enabled: bool) -> bool:
        return False


class DeadLastKnownLeader(Rules):
    def may_be_elected_as_last_known(self, active: bool) -> bool:
        return True


class UncleanAlways(Rules):
    def may_elect_uncleanly(self, enabled: bool) -> bool:
        return True


class ReassignmentDoneEarly(Rules):
    def reassignment_done(self, target: Iterable[int], isr: Iterable[int]) -> bool:
        return not set(target).isdisjoint(isr)


class IsrCasMissing(Rules):
    def isr_change_is_current(
        self, asked: tuple[int, int, int], current: tuple[int, int, int]
    ) -> bool:
        return asked[:2] == current[:2]


class TwoLeadersInOneEpoch(Rules):
    def next_leader_epoch(self, leader_epoch: int, *, clean: bool) -> int:
        return leader_epoch


class UncleanWithoutEpoch(Rules):
    def next_leader_epoch(self, leader_epoch: int, *, clean: bool) -> int:
        return leader_epoch + clean


class IsrKeepsRemovedLeader(Rules):
    def isr_without(self, isr: tuple[int, ...], gone: int) -> tuple[int, ...]:
        return isr


class NoFailureDetection(Rules):
    def must_be_fenced(self, session_lost: bool) -> bool:
        return False


class ElrOff(Rules):
    def keeps_elr(self, enabled: bool) -> bool:
        return False


class ElrKept(Rules):
    def elr_is_needed(self, isr_size: int, min_insync_replicas: int) -> bool:
        return True


class RestartUndetected(Rules):
    def may_stay_eligible(self, clean: bool) -> bool:
        return True


class FormerLifeKeptAlive(Rules):
    def broker_epoch_is_current(self, given: int, registered: int) -> bool:
        return True


class SecondProcessRegistered(Rules):
    def may_register(self, *, same_incarnation: bool, session_alive: bool) -> bool:
        return True


MUTANTS = (
    Mutant(
        name="fenced-replica-rejoins-isr",
        id="M-09",
        clauses=("ISR-08", "LEAD-03"),
        rules=FencedReplicaRejoins,
        wrong="AlterPartition brings brokers into the ISR that are fenced or about to stop.",
    ),
    Mutant(
        name="stale-broker-epoch-joins-isr",
        id="M-10",
        clauses=("ISR-08", "ISR-09", "CTL-06"),
        rules=FormerLifeJoinsIsr,
        wrong="AlterPartition names brokers, but not which life of them has caught up.",
    ),
    Mutant(
        name="last-replica-standing",
        id="M-11",
        clauses=("ISR-09", "LEAD-04"),
        rules=LastReplicaStanding,
        wrong="The last member stays in the ISR and leads again, whatever it has lost.",
    ),
    Mutant(
        name="elect-dead-last-known-leader",
        id="M-12",
        clauses=("LEAD-03", "ISR-09"),
        rules=DeadLastKnownLeader,
        wrong="The last known leader is elected although it is fenced.",
    ),
    Mutant(
        name="unclean-always",
        id="M-19",
        clauses=("LEAD-03", "LEAD-04", "ALO-01"),
        rules=UncleanAlways,
        wrong="Any live replica is elected, whether the topic allows unclean elections or not.",
    ),
    Mutant(
        name="reassignment-done-early",
        id="M-22",
        clauses=("META-06", "ISR-08"),
        rules=ReassignmentDoneEarly,
        wrong="A reassignment is completed as soon as one replica of the target is in sync.",
    ),
    Mutant(
        name="isr-cas-missing",
        id="M-37",
        clauses=("ISR-08",),
        rules=IsrCasMissing,
        wrong="AlterPartition is accepted whatever partition epoch it was asked against.",
    ),
    Mutant(
        name="two-leaders-one-epoch",
        id="M-110",
        clauses=("LEAD-02", "LEAD-01", "LOG-03"),
        rules=TwoLeadersInOneEpoch,
        wrong="The leader changes, and the leader epoch does not.",
    ),
    Mutant(
        name="isr-keeps-removed-leader",
        id="M-111",
        clauses=("ISR-01", "LEAD-03"),
        rules=IsrKeepsRemovedLeader,
        wrong="A broker that was fenced, or that lost its data, stays in the ISR.",
    ),
    Mutant(
        name="no-failure-detection",
        id="M-112",
        clauses=("CTL-05", "CTL-03", "LEAD-06"),
        rules=NoFailureDetection,
        wrong="A broker whose session is over goes on leading in the metadata.",
    ),
    Mutant(
        name="unclean-without-epoch",
        id="M-118",
        clauses=("LEAD-05", "LOG-02"),
        rules=UncleanWithoutEpoch,
        wrong="An unclean election keeps the leader epoch, so nobody can tell what was lost.",
    ),
    Mutant(
        name="elr-off",
        id="H-31",
        clauses=("ISR-09", "LEAD-04"),
        rules=ElrOff,
        wrong="There is no ELR: the last member of the ISR leads again after a power failure.",
    ),
    Mutant(
        name="elr-kept",
        id="H-32",
        clauses=("ISR-01", "ISR-09", "LEAD-04"),
        rules=ElrKept,
        wrong="The ELR keeps brokers that lack what a large ISR acknowledges.",
    ),
    Mutant(
        name="unclean-restart-undetected",
        id="H-33",
        clauses=("ISR-09", "LEAD-04"),
        rules=RestartUndetected,
        wrong="A broker that restarts without proof of a clean shutdown stays eligible.",
    ),
    Mutant(
        name="stale-heartbeat-accepted",
        id="H-34",
        clauses=("CTL-06",),
        rules=FormerLifeKeptAlive,
        wrong="A heartbeat of a broker's former life renews the session of the present one.",
    ),
    Mutant(
        name="second-process-registered",
        id="H-35",
        clauses=("CTL-06",),
        rules=SecondProcessRegistered,
        wrong="A second live process with the same broker id is registered.",
    ),
)
