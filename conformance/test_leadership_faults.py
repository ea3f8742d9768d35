"""Leaders that are struck: they are replaced in time, in a new epoch, and without a loss."""

import pytest

from conformance.bench import Bench
from conformance.workload import oracles
from conformance.workload.story import stories, tell

# ---- LEAD-02, LEAD-04, LEAD-06 -------------------------------------------------------------------


@pytest.mark.clause("LEAD-02")
@stories()
def test_a_leader_that_is_struck_is_followed_by_a_larger_epoch(bench: Bench, plot: str) -> None:
    """In no leader epoch do brokers name two leaders; each change of leader is a larger epoch."""
    history = tell(bench, plot).history
    for broker in history.logs:
        told = [look for look in history.looks_of(broker) if look.leader >= 0]
        for before, after in zip(told, told[1:], strict=False):
            if after.leader != before.leader:
                bench.premise("a broker told of another leader")
                assert after.leader_epoch > before.leader_epoch, "in a larger epoch"
    assert oracles.shared_epochs(history) == [], "an epoch has one leader"


@pytest.mark.clause("LEAD-04")
@stories()
def test_a_new_leader_has_all_that_was_committed(bench: Bench, plot: str) -> None:
    """What was acknowledged or given to a consumer is there at the end, at its offset."""
    history = tell(bench, plot).history
    bench.premise("a write was acknowledged", times=len(history.acknowledged))
    bench.premise("a consumer was given a record", times=len(history.seen))
    assert oracles.lost(history) == [], "each acknowledged write is at its offset"
    assert oracles.taken_back(history) == [], "what a consumer was given is still there"


@pytest.mark.clause("LEAD-06")
@stories("killed", "paused", "isolated", "without-controllers", "without-power")
def test_a_leader_that_falls_silent_is_replaced_in_time(bench: Bench, plot: str) -> None:
    """Within the time that detection takes there is a new leader, and it takes writes."""
    story = tell(bench, plot)
    bench.premise("a leader fell silent, and an in-sync replica was there")
    assert story.led_again_ms is not None, f"another leader within {story.limit_ms} ms"
    assert story.written_again_ms is not None, f"a write is taken within {story.limit_ms} ms"


@pytest.mark.clause("LEAD-06")
@stories()
def test_no_write_outlives_its_time_out(bench: Bench, plot: str) -> None:
    """A Produce ends in success, an error or a lost connection, unless its broker stands still."""
    story = tell(bench, plot)
    writes = [w for w in story.history.writes if not (story.plot.still and w.hung_at)]
    bench.premise("a write was sent while the leader was struck or replaced", times=len(writes))
    hung = [write for write in writes if write.hung_at is not None]
    assert hung == [], "it does not hang beyond timeout_ms"
