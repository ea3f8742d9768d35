"""Wrong rules of the controller that is elected through ZooKeeper."""

from reference.image import MetadataImage
from reference.metadata.zookeeper.messages import ANY_VERSION
from reference.mutants.mutant import Mutant
from reference.rules import Rules


class ControllerEpochUnchecked(Rules):
    def checks_controller_epoch(self) -> bool:
        return False


class StaleControllerObeyed(Rules):
    def controller_epoch_is_current(self, given: int, known: int) -> bool:
        return True


class SessionsNeverEnd(Rules):
    def session_is_over(self, silent_ms: int, timeout_ms: int) -> bool:
        return False


class ControllerEpochKept(Rules):
    def next_controller_epoch(self, controller_epoch: int) -> int:
        return max(controller_epoch, 1)


class EpochWithoutCompareAndSet(Rules):
    def raised_epoch_version(self, version: int) -> int:
        return ANY_VERSION


class FailoverFromCache(Rules):
    def image_to_start_from(
        self, stored: MetadataImage, remembered: MetadataImage | None
    ) -> MetadataImage:
        return stored if remembered is None else remembered


class NoSecondElection(Rules):
    def stands_for_election(self, controller_epoch: int) -> bool:
        return controller_epoch == 0


class RestartOverlooked(Rules):
    def restarted_since(self, broker_epoch: int, written_at: int) -> bool:
        return False


class BounceUnnoticed(Rules):
    def is_same_registration(self, known_broker_epoch: int, broker_epoch: int) -> bool:
        return True


MUTANTS = (
    Mutant(
        name="zombie-controller-writes",
        id="M-30",
        clauses=("CTL-02", "LEAD-02"),
        rules=ControllerEpochUnchecked,
        wrong="A controller that was deposed while it slept still writes to ZooKeeper.",
    ),
    Mutant(
        name="stale-controller-obeyed",
        id="H-40",
        clauses=("CTL-02", "META-05"),
        rules=StaleControllerObeyed,
        wrong="Brokers obey a controller whose epoch is older than one they have obeyed.",
    ),
    Mutant(
        name="sessions-never-end",
        id="H-41",
        clauses=("CTL-03", "CTL-05"),
        rules=SessionsNeverEnd,
        wrong="ZooKeeper keeps the session of a dead broker, and its ephemeral nodes, for ever.",
    ),
    Mutant(
        name="controller-epoch-kept",
        id="H-42",
        clauses=("CTL-01",),
        rules=ControllerEpochKept,
        wrong="A new controller takes the epoch of the last one.",
    ),
    Mutant(
        name="epoch-without-compare-and-set",
        id="H-43",
        clauses=("CTL-01",),
        rules=EpochWithoutCompareAndSet,
        wrong="A candidate raises /controller_epoch from what it once read, changed or not.",
    ),
    Mutant(
        name="failover-from-cache",
        id="H-44",
        clauses=("CTL-04", "CTL-03", "LEAD-03"),
        rules=FailoverFromCache,
        wrong="Who was the controller before goes on with what it knew then, instead of reading.",
    ),
    Mutant(
        name="no-second-election",
        id="H-45",
        clauses=("CTL-03",),
        rules=NoSecondElection,
        wrong="Nobody stands for election once there has been a controller.",
    ),
    Mutant(
        name="restart-overlooked-at-failover",
        id="H-46",
        clauses=("ISR-08", "ISR-05", "CTL-06"),
        rules=RestartOverlooked,
        wrong="A new controller leaves a broker in the ISR that restarted while there was none.",
    ),
    Mutant(
        name="bounce-unnoticed",
        id="H-47",
        clauses=("CTL-06",),
        rules=BounceUnnoticed,
        wrong="The controller takes a restarted broker for its former life.",
    ),
)
