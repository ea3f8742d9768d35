"""What a broker keeps over a crash, and what a cluster keeps when one of them loses data."""

import pytest

from conformance.bench import Bench
from conformance.workload import oracles
from conformance.workload.story import stories, tell


@pytest.mark.clause("DUR-01")
@stories("alone-killed", "alone-shut-down")
def test_a_broker_keeps_what_it_has_acknowledged(bench: Bench, plot: str) -> None:
    """A broker with the only replica dies under load, or is shut down, and is started again: all
    that was acknowledged or read is there, at its offset."""
    story = tell(bench, plot)
    history = story.history
    bench.premise("a write was acknowledged", times=len(history.acknowledged))
    assert oracles.lost(history) == [], "nothing that was acknowledged is lost"
    assert oracles.taken_back(history) == [], "nothing that was read is lost"
    assert oracles.duplicates(history) == [], "no value occurs twice"
    assert oracles.disordered(history) == [], "values stand in the order in which they were sent"


@pytest.mark.clause("DUR-02")
@stories("without-power")
def test_the_loss_of_one_disk_cache_costs_the_cluster_nothing(bench: Bench, plot: str) -> None:
    """A leader loses all that it has not synced; the others have what was acknowledged, and it
    gets all of it back."""
    history = tell(bench, plot).history
    bench.premise("a write was acknowledged", times=len(history.acknowledged))
    assert oracles.lost(history) == [], "nothing that was acknowledged is lost"
    assert oracles.taken_back(history) == [], "nothing that was read is lost"
    assert oracles.different_replicas(history) == [], "the broker has all of it again"
