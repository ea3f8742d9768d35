"""What brokers say of topics and partitions while one of them is struck, and after."""

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.outcomes import Inconclusive
from conformance.workload import oracles
from conformance.workload.errands import Reassignment, Replacement
from conformance.workload.story import stories, tell


@pytest.mark.clause("META-05")
@stories()
def test_a_broker_does_not_go_back_to_an_older_epoch(bench: Bench, plot: str) -> None:
    """The leader epoch in the Metadata of one broker never falls, and all agree at the end."""
    history = tell(bench, plot).history
    epochs = {look.leader_epoch for look in history.looks}
    bench.premise("a broker told of another leader epoch", times=len(epochs) - 1)
    assert oracles.falling_epochs(history) == [], "epochs do not fall"
    last = {look.broker: (look.leader, look.leader_epoch, set(look.isr)) for look in history.looks}
    views = list(last.values())
    assert [view for view in views if view != views[0]] == [], "all brokers agree at rest"


@pytest.mark.clause("META-03")
@stories("killed")
def test_a_broker_that_was_down_serves_nothing_of_a_deleted_topic(bench: Bench, plot: str) -> None:
    """A topic is deleted while a broker with a replica is down, and another is made of the same
    name. The broker, once it is back and leads it, serves the second topic's records only."""
    found = tell(bench, plot).errand(Replacement)
    if found.deleted is not ErrorCode.none:
        raise Inconclusive(f"the topic was not deleted: {found.deleted}")
    bench.premise("a broker was down while a topic was deleted")
    assert found.first_offset == 0, "the new topic starts at offset 0"
    assert found.found == Replacement.NEW, "no record of its predecessor is served"
    assert found.new_id != found.old_id or found.new_id is None, "it has another id"


@pytest.mark.clause("META-06")
@stories("killed")
def test_a_reassignment_to_a_broker_that_is_down_ends_or_is_cancelled(
    bench: Bench, plot: str
) -> None:
    """It ends with exactly the target replicas in sync once the broker is back; one that was
    cancelled leaves the old replicas. No record is lost."""
    found = tell(bench, plot).errand(Reassignment)
    bench.premise("a partition was reassigned to a broker that had been killed")
    assert found.ended, "no reassignment goes on for ever"
    assert found.replicas == found.expected, "the target replicas, or the old ones if cancelled"
    assert set(found.found) == {Reassignment.VALUES}, "every acknowledged record is kept"
    if found.was_going_on:
        bench.premise("a reassignment was cancelled while it went on")
        assert found.cancelled is ErrorCode.none, "it can be cancelled"
