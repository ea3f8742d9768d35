"""Which models the steps of a run are compared with."""

from collections.abc import Mapping, Sequence

from conformance.refinement.controller_observer import ControllerObserver
from conformance.refinement.eligible_leaders_observer import EligibleLeadersObserver
from conformance.refinement.observer import RefinementObserver
from conformance.refinement.quorum_observer import QuorumObserver
from conformance.simulation.run import ValidatorFactory

VALIDATORS: Mapping[str, Sequence[ValidatorFactory]] = {
    "quorum": (QuorumObserver, RefinementObserver, EligibleLeadersObserver),
    "zookeeper": (RefinementObserver, EligibleLeadersObserver, ControllerObserver),
}
"""By mode."""
