"""KIP-966, and what goes wrong without each of its rules.

The state and the promises are in `eligible_leaders_state`, the rules in
`eligible_leaders_protocol`. Each variant here leaves out one rule, and its refutations say how
short the way to the damage is.
"""

from spec.language import (
    FALSE,
    NOBODY,
    TRUE,
    SetOf,
    all_of,
    any_of,
    for_all,
    implies,
    ite,
    not_,
    only,
    require,
    var,
)
from spec.models.eligible_leaders_protocol import EligibleLeaders
from spec.models.eligible_leaders_state import Broker, ReplicaSet
from spec.models.family import Family, Refutation, Variant


class LastReplicaStanding(EligibleLeaders):
    """Before KIP-966: no ELR; the last member stays in the ISR whatever happens to it."""

    def elr_beside(self, isr, elr):
        return elr.where(lambda _: FALSE)

    def isr_without(self, broker, rest):
        alone = for_all(Broker, lambda b: implies(ReplicaSet.has(self.isr, b), b == broker))
        return ite(alone, rest == self.isr, super().isr_without(broker, rest))


class RestartUndetected(EligibleLeaders):
    """A broker that restarts uncleanly keeps its places in ISR and ELR."""

    def broker_register(self, new, broker, rest, next_epoch, broker_epoch):
        require(not_(self.running[broker]), self.is_eligible(broker))
        require(rest == self.isr, next_epoch == self.leader_epoch)
        require(broker_epoch == self.broker_epoch[broker])
        new.running[broker] = True


class HighWatermarkBelowMinimum(EligibleLeaders):
    """The high watermark moves although the ISR is smaller than min.insync.replicas."""

    def enough_to_acknowledge(self, isr):
        return TRUE


class ElrKept(EligibleLeaders):
    """The ELR is not emptied when the ISR has min.insync.replicas members again."""

    def elr_beside(self, isr, elr):
        return elr


class LastLeaderCountedAsClean(EligibleLeaders):
    """Where ISR and ELR are empty the last known leader is elected as if it had everything."""

    last_known_leader = var(SetOf(Broker), init=NOBODY)

    def may_be_elected_from_elr(self, candidate, isr):
        last_resort = all_of(
            ReplicaSet.is_empty(self.isr),
            self.elr.is_empty(),
            self.last_known_leader.has(candidate),
            ReplicaSet.plus(isr, self.isr, candidate),
        )
        return any_of(super().may_be_elected_from_elr(candidate, isr), last_resort)

    def controller_elect_leader(self, new, candidate, isr, next_epoch):
        super().controller_elect_leader(new, candidate, isr, next_epoch)
        new.last_known_leader = only(candidate)


class BrokerEpochNotChecked(EligibleLeaders):
    """Before KIP-903: AlterPartition names brokers, but not which life of them caught up."""

    def names_living_broker(self, leader, follower):
        return TRUE


class PendingMemberIgnored(EligibleLeaders):
    """Before KIP-497: only the ISR that the controller confirmed counts."""

    def maximal_isr(self, leader, broker):
        return ReplicaSet.has(self.isr_view[leader], broker)


class EpochStartNotChecked(EligibleLeaders):
    """A follower joins the ISR when it has reached the leader's high watermark (KAFKA-7128)."""

    def is_caught_up(self, leader, follower):
        return self.high_watermark[leader] <= self.last_fetch[leader, follower].offset


class FetchNotFenced(EligibleLeaders):
    """Before KIP-320: a leader serves followers of any epoch, and counts what they fetch."""

    def is_following(self, follower, leader):
        return all_of(
            follower != leader,
            self.running[follower],
            self.presumes_leadership[leader],
            not_(self.presumes_leadership[follower]),
        )


class OldFetchesCount(EligibleLeaders):
    """A leader counts fetches of earlier epochs, although followers have truncated since."""

    def forget_fetches(self, new, leader):
        pass


class SurvivorWhateverIsLost(EligibleLeaders):
    """Not a wrong rule but a wrong hope: a survivor although min.insync.replicas lost data."""

    def losses_are_few(self):
        return TRUE


def _refuted(
    invariant: str, steps: int, *, epochs: int, minimum: int, brokers: int = 2, restarts: int = 1
) -> Refutation:
    """So many steps break it, with logs of one record; restarts are those of each broker."""
    bounds = {
        "Broker": brokers,
        "LeaderEpoch": epochs + 1,
        "BrokerEpoch": restarts + 1,
        "Offset": 2,
        "min_insync": minimum,
    }
    return Refutation(invariant=invariant, bounds=bounds, steps=steps, symmetry="Broker")


COMPLETE, CANDIDATES = "clean_leader_is_complete", "candidates_are_complete"
SURVIVOR = "survivor_if_losses_are_few"

MODEL = Family(
    name="eligible_leaders",
    summary="KIP-966: ISR and ELR, min.insync.replicas, brokers that lose what they stored",
    bounds={
        "brokers": "Broker",
        "epochs": "LeaderEpoch+1",
        "restarts": "BrokerEpoch+1",
        "log_size": "Offset+1",
        "min_insync": "min_insync",
    },
    variants=(
        Variant(
            name="kip-966",
            protocol=EligibleLeaders,
            bounds={"Broker": 2, "LeaderEpoch": 4, "BrokerEpoch": 2, "Offset": 2, "min_insync": 1},
            symmetry="Broker",
        ),
        Variant(
            name="last-replica-standing",
            protocol=LastReplicaStanding,
            refutations=(
                _refuted(COMPLETE, 11, epochs=3, minimum=2),
                _refuted(SURVIVOR, 8, epochs=3, minimum=2),
            ),
        ),
        Variant(
            name="restart-undetected",
            protocol=RestartUndetected,
            refutations=(
                _refuted(COMPLETE, 10, epochs=2, minimum=2),
                _refuted(CANDIDATES, 8, epochs=2, minimum=2),
            ),
        ),
        Variant(
            name="high-watermark-below-minimum",
            protocol=HighWatermarkBelowMinimum,
            refutations=(_refuted(COMPLETE, 8, epochs=3, minimum=2),),
        ),
        Variant(
            name="elr-kept",
            protocol=ElrKept,
            refutations=(_refuted(COMPLETE, 8, epochs=3, minimum=1),),
        ),
        Variant(
            name="last-leader-counted-as-clean",
            protocol=LastLeaderCountedAsClean,
            refutations=(_refuted(COMPLETE, 11, epochs=3, minimum=2),),
        ),
        Variant(
            name="broker-epoch-not-checked",
            protocol=BrokerEpochNotChecked,
            refutations=(_refuted(COMPLETE, 13, epochs=2, minimum=2),),
        ),
        Variant(
            name="pending-member-ignored",
            protocol=PendingMemberIgnored,
            refutations=(_refuted(COMPLETE, 12, epochs=2, minimum=1),),
        ),
        Variant(
            name="epoch-start-not-checked",
            protocol=EpochStartNotChecked,
            refutations=(_refuted(COMPLETE, 14, epochs=3, minimum=1),),
        ),
        Variant(
            name="fetch-not-fenced",
            protocol=FetchNotFenced,
            refutations=(_refuted(CANDIDATES, 9, epochs=2, minimum=2, brokers=3),),
        ),
        Variant(
            name="old-fetches-count",
            protocol=OldFetchesCount,
            refutations=(_refuted(CANDIDATES, 13, epochs=3, minimum=2, brokers=3, restarts=0),),
        ),
        Variant(
            name="survivor-whatever-is-lost",
            protocol=SurvivorWhateverIsLost,
            refutations=(_refuted(SURVIVOR, 8, epochs=2, minimum=2),),
        ),
    ),
)
