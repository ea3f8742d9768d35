"""Why deposed controllers are without power: any number of brokers, partitions and epochs.

Everything rests on two numbers of ZooKeeper that only grow: the controller epoch, and the version
of each partition's state. Whoever writes has read the newest of both. The model's own history
variables suffice.
"""

from spec.language import all_of, conjunct, for_all, implies
from spec.models.controller import (
    DeadLeaderElected,
    DeposedLeaderChangesIsr,
    EpochNotIncremented,
    EpochWithoutCompareAndSet,
    FailoverFromCache,
    LeaderEpochKept,
    OlderLeaderEpochsObeyed,
    StaleControllersObeyed,
    UncleanElection,
    UnconditionalWrites,
    UnfencedWrites,
    WritesWithoutVersion,
)
from spec.models.controller_protocol import (
    Broker,
    Controller,
    ControllerEpoch,
    Partition,
    StateVersion,
)
from spec.proofs.proof import Proof


class ControllerProof(Controller):
    """Epochs are taken once, versions are written once, and nobody knows one of the future."""

    # ---- controllers
    @conjunct
    def nobody_knows_a_future_epoch(self):
        """Or a new controller could take an epoch that somebody has already."""
        return all_of(
            self.controller_epoch >= 0,
            for_all(
                Broker,
                lambda b: all_of(
                    self.epoch_known[b] >= 0, self.epoch_known[b] <= self.controller_epoch
                ),
            ),
        )

    @conjunct
    def epochs_are_taken_once(self):
        """The invariant itself."""
        return self.one_controller_per_epoch()

    @conjunct
    def owner_has_the_newest_epoch(self):
        """The invariant itself, and that its session lives: when that ends, the node goes too."""
        return all_of(
            self.owner_of_the_node_has_the_newest_epoch(),
            for_all(Broker, lambda b: implies(self.controller_node == b, self.registered.has(b))),
        )

    # ---- what is stored, what is known of it, and what is sent
    @conjunct
    def nobody_knows_a_future_version(self):
        """Or what a controller cached, sent or applied could be written later, and differently."""
        return for_all(
            Partition,
            lambda p: all_of(
                self.newest[p] >= 0,
                for_all(
                    Broker,
                    lambda b: all_of(
                        self.version_known[b][p] <= self.newest[p],
                        self.applied[b][p] <= self.newest[p],
                        self.applied[b][p] >= 0,
                    ),
                ),
            ),
        )

    @conjunct
    def reigns_begin_in_the_past(self):
        """Or what a controller reads could be older than the beginning of its reign."""
        return for_all(
            Partition, ControllerEpoch, lambda p, e: self.version_at_start[e][p] <= self.newest[p]
        )

    @conjunct
    def controllers_have_read_since_they_began(self):
        """Or a request could tell what was known in an earlier reign."""
        return for_all(
            Broker,
            Partition,
            lambda c, p: implies(
                all_of(self.is_active[c], self.has_read[c].has(p)),
                self.version_at_start[self.epoch_known[c]][p] <= self.version_known[c][p],
            ),
        )

    @conjunct
    def requests_tell_what_was_stored(self):
        """By a controller of the past, of a state of the past, but not of before its reign."""
        return all_of(
            self.controllers_start_from_the_store(),
            for_all(
                Partition,
                ControllerEpoch,
                StateVersion,
                lambda p, e, v: implies(
                    self.requests.has(partition=p, controller_epoch=e, version=v),
                    all_of(e <= self.controller_epoch, v <= self.newest[p]),
                ),
            ),
        )

    @conjunct
    def stored_controller_epochs_are_of_the_past(self):
        """Or who is alive in a reign would be recorded after an election in it."""
        return for_all(
            Partition,
            StateVersion,
            lambda p, v: implies(
                v <= self.newest[p],
                all_of(
                    self.partition_state[p][v].controller_epoch >= 0,
                    self.partition_state[p][v].controller_epoch <= self.controller_epoch,
                ),
            ),
        )

    # ---- who is alive
    @conjunct
    def registered_are_alive_in_the_newest_epoch(self):
        """What a controller reads is recorded as alive in its reign."""
        return for_all(self.registered, self.alive_in[self.controller_epoch].has)

    @conjunct
    def the_newest_controller_knows_who_was_alive(self):
        """Or it could elect a broker that has not been seen in its reign."""
        return for_all(
            Broker,
            Broker,
            lambda c, b: implies(
                all_of(
                    self.is_active[c],
                    self.epoch_known[c] == self.controller_epoch,
                    self.alive_known[c].has(b),
                ),
                self.alive_in[self.controller_epoch].has(b),
            ),
        )

    # ---- the invariants that are inductive by themselves, given the above
    @conjunct
    def elections_are_in_order(self):
        """One leader per leader epoch, and the epochs grow with the versions."""
        return all_of(self.one_leader_per_leader_epoch(), self.leader_epoch_grows())

    @conjunct
    def leaders_are_in_isr(self):
        """The invariant itself: an election keeps the living of the ISR, its leader among them."""
        return self.leader_is_in_isr()

    @conjunct
    def elections_are_by_the_newest_controller(self):
        """The invariant itself: no conjunct above speaks of who wrote a version."""
        return self.deposed_controllers_change_nothing()

    @conjunct
    def elections_are_clean(self):
        """The invariants themselves: what is stored does not change, so they stay true."""
        return all_of(self.elected_leader_was_in_isr(), self.elected_leader_was_alive())

    @conjunct
    def brokers_go_forward(self):
        """The invariants themselves: what a broker obeys next is not older."""
        return all_of(
            self.brokers_obey_no_older_controller(), self.brokers_obey_no_older_leader_epoch()
        )


# ---- one wrong rule each ------------------------------------------------------------------------


class WithoutCompareAndSet(EpochWithoutCompareAndSet, ControllerProof):
    """/controller_epoch is written unconditionally."""


class NotIncremented(EpochNotIncremented, ControllerProof):
    """A new controller takes the epoch of the last one."""


class Unfenced(UnfencedWrites, ControllerProof):
    """Writes do not depend on the controller epoch."""


class WithoutVersion(WritesWithoutVersion, ControllerProof):
    """Writes do not depend on the version."""


class Unconditional(UnconditionalWrites, ControllerProof):
    """Writes depend on nothing."""


class StaleObeyed(StaleControllersObeyed, ControllerProof):
    """Brokers do not compare controller epochs."""


class OlderLeadersObeyed(OlderLeaderEpochsObeyed, ControllerProof):
    """Brokers do not compare leader epochs."""


class FromCache(FailoverFromCache, ControllerProof):
    """A new controller keeps what it knew."""


class Unclean(UncleanElection, ControllerProof):
    """A broker outside the ISR may be elected."""


class DeadElected(DeadLeaderElected, ControllerProof):
    """A dead member of the ISR may be elected."""


class EpochKept(LeaderEpochKept, ControllerProof):
    """An election does not raise the leader epoch."""


class DeposedChanges(DeposedLeaderChangesIsr, ControllerProof):
    """A deposed leader may change the ISR."""


PROOFS = (
    Proof(
        name="controller",
        protocol=Controller,
        proof=ControllerProof,
        small={
            "Broker": 2,
            "Partition": 1,
            "ControllerEpoch": 3,
            "LeaderEpoch": 3,
            "StateVersion": 3,
        },
        mutants=(
            WithoutCompareAndSet,
            NotIncremented,
            Unfenced,
            WithoutVersion,
            Unconditional,
            StaleObeyed,
            OlderLeadersObeyed,
            FromCache,
            Unclean,
            DeadElected,
            EpochKept,
            DeposedChanges,
        ),
    ),
)
