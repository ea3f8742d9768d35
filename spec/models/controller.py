"""The controller elected through ZooKeeper, and what goes wrong without each of its rules.

The protocol is in `controller_protocol`. Each variant here leaves out one rule, and its refutation
says how short the way to the damage is.
"""

from spec.language import Protocol
from spec.models.controller_protocol import Controller
from spec.models.family import Family, Refutation, Variant


class EpochWithoutCompareAndSet(Controller):
    """/controller_epoch is written without the condition that it has not changed since the read."""

    def epoch_is_unchanged(self, candidate):
        return True


class EpochNotIncremented(Controller):
    """A new controller takes the epoch of the last one."""

    def next_epoch(self, candidate):
        return self.epoch_known[candidate]


class UnfencedWrites(Controller):
    """Writes are conditional on the version of the state, not on the controller epoch."""

    def is_newest_controller(self, controller):
        return True


class WritesWithoutVersion(Controller):
    """Writes are conditional on the controller epoch, not on the version of the state."""

    def is_newest_version(self, controller, partition):
        return True


class UnconditionalWrites(UnfencedWrites, WritesWithoutVersion):
    """Writes have no condition at all."""


class StaleControllersObeyed(Controller):
    """Brokers do not compare the controller epoch of a request with what they know."""

    def is_not_older(self, broker, controller_epoch):
        return True


class OlderLeaderEpochsObeyed(Controller):
    """Brokers do not compare the leader epoch of a request with what they know."""

    def is_news(self, broker, partition, leader_epoch):
        return True


class FailoverFromCache(Controller):
    """A controller that was one before goes on with what it knew then, instead of reading."""

    def forget_cache(self, new, candidate):
        pass


class UncleanElection(Controller):
    """A broker outside the ISR may be elected (unclean.leader.election.enable=true)."""

    def is_complete(self, cached, candidate):
        return True


class DeadLeaderElected(Controller):
    """A member of the ISR is elected whether it lives or not."""

    def is_alive(self, alive, candidate):
        return True


class LeaderEpochKept(Controller):
    """An election does not raise the leader epoch."""

    def next_leader_epoch(self, cached):
        return cached.leader_epoch


class DeposedLeaderChangesIsr(Controller):
    """A leader that was replaced without knowing it may still change the ISR."""

    def is_still_leader(self, leader, partition):
        return True


SMALL = {"Broker": 2, "Partition": 1, "ControllerEpoch": 3, "LeaderEpoch": 3, "StateVersion": 3}


def refuted(broken: str, steps: int, **more: int) -> Refutation:
    return Refutation(invariant=broken, bounds={**SMALL, **more}, steps=steps)


def wrong(name: str, protocol: type[Protocol], *refutations: Refutation) -> Variant:
    return Variant(
        name=name,
        protocol=protocol,
        bounds=refutations[0].bounds,
        symmetry="Broker",
        refutations=refutations,
    )


MODEL = Family(
    name="controller",
    summary="the controller of a cluster with ZooKeeper, its zombies, and leader election",
    bounds={
        "brokers": "Broker",
        "partitions": "Partition",
        "controller_epochs": "ControllerEpoch",
        "leader_epochs": "LeaderEpoch",
        "versions": "StateVersion",
    },
    variants=(
        Variant(name="fenced", protocol=Controller, bounds=SMALL, symmetry="Broker"),
        wrong(
            "no-compare-and-set", EpochWithoutCompareAndSet, refuted("one_controller_per_epoch", 3)
        ),
        wrong("epoch-not-incremented", EpochNotIncremented, refuted("one_controller_per_epoch", 3)),
        wrong("unfenced-writes", UnfencedWrites, refuted("deposed_controllers_change_nothing", 7)),
        wrong(
            "no-version-check",
            WritesWithoutVersion,
            refuted("elected_leader_was_in_isr", 10, ControllerEpoch=2, StateVersion=4),
        ),
        wrong(
            "unconditional-writes", UnconditionalWrites, refuted("one_leader_per_leader_epoch", 10)
        ),
        wrong(
            "stale-controllers-obeyed",
            StaleControllersObeyed,
            refuted("brokers_obey_no_older_controller", 10),
        ),
        wrong(
            "older-leader-epochs-obeyed",
            OlderLeaderEpochsObeyed,
            refuted("brokers_obey_no_older_leader_epoch", 8),
        ),
        wrong(
            "failover-from-cache",
            FailoverFromCache,
            refuted("elected_leader_was_alive", 8),
            refuted("controllers_start_from_the_store", 11),
        ),
        wrong("unclean-election", UncleanElection, refuted("elected_leader_was_in_isr", 9)),
        wrong("dead-leader-elected", DeadLeaderElected, refuted("elected_leader_was_alive", 4)),
        wrong("leader-epoch-kept", LeaderEpochKept, refuted("one_leader_per_leader_epoch", 4)),
        wrong(
            "deposed-leader-changes-isr",
            DeposedLeaderChangesIsr,
            refuted("leader_is_in_isr", 10, ControllerEpoch=2, StateVersion=4),
        ),
    ),
)
