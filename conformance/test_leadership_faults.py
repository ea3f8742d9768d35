"""Leaders that are struck: they are replaced in time, in a new epoch, and without a loss."""

from itertools import pairwise

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.nemesis.capability import Capability
from conformance.outcomes import Inconclusive, Unsupported
from conformance.workload import oracles
from conformance.workload.errands import Strays
from conformance.workload.story import stories, tell
from conformance.workload.strandings import ALONE, BOTH, OTHER, strand

NONE = ErrorCode.none

# ---- LEAD-02, LEAD-04, LEAD-06 -------------------------------------------------------------------


@pytest.mark.clause("LEAD-02")
@stories()
def test_a_leader_that_is_struck_is_followed_by_a_larger_epoch(bench: Bench, plot: str) -> None:
    """In no leader epoch do brokers name two leaders; each change of leader is a larger epoch."""
    history = tell(bench, plot).history
    for broker in history.logs:
        told = [look for look in history.looks_of(broker) if look.leader >= 0]
        for before, after in pairwise(told):
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


# ---- LEAD-08 -------------------------------------------------------------------------------------


@pytest.mark.clause("LEAD-08")
@stories("isolated", "without-controllers")
def test_a_leader_that_is_cut_off_acknowledges_nothing(bench: Bench, plot: str) -> None:
    """A leader that does not know that it was deposed shows a stray write to no consumer, fails
    one with acks=all once it knows, and discards both."""
    story = tell(bench, plot)
    strays = story.errand(Strays)
    if strays.held is None:
        raise Inconclusive("no other leader was elected")
    bench.premise("a deposed leader was sent a write")
    if strays.taken is not None:
        bench.premise("it took a write with acks=1")
        assert strays.served == (), "a consumer is not given what the real ISR lacks"
    if strays.held.answered:
        error = strays.held.value.error
        assert error is ErrorCode.not_leader_or_follower, "acks=all fails with a retriable error"
    stored = {each.record.value for log in story.history.logs.values() for each in log}
    assert stored.isdisjoint(Strays.VALUES), "what the new leader does not have is discarded"
    assert oracles.lost(story.history) == [], "what was acknowledged, by whomever, is there"


# ---- LEAD-03, LEAD-05: nobody left who may lead --------------------------------------------------

strands = pytest.mark.needs(Capability.KILL, Capability.CUT_BROKERS)


@pytest.mark.clause("LEAD-03")
@strands
def test_nobody_leads_who_was_not_in_sync(bench: Bench) -> None:
    """The only in-sync replica is dead: nobody else is elected, not even on demand, and nobody
    takes a write. Once it is back it leads, with all that was committed."""
    found = strand(bench)
    bench.premise("the only in-sync replica was dead", times=len(found.looks))
    led = [look for look in found.looks if look.leader in found.others]
    assert led == [], "no replica is elected that is not in the ISR or ELR"
    assert found.write is not NONE, "none of them takes a write"
    assert found.preferred not in (NONE, ErrorCode.election_not_needed), "nor on demand"
    assert found.led_again_ms is not None, "it becomes available again"
    values = [stored.record.value for stored in found.kept]
    assert values == [BOTH, ALONE], "with its committed data"


@pytest.mark.clause("LEAD-05")
@strands
def test_after_an_unclean_election_replicas_follow_the_new_leader(bench: Bench) -> None:
    """An unclean election is a larger epoch. The old leader, once it is back, gives up what the new
    one does not have, and a consumer that was further is told so."""
    found = strand(bench)
    if found.unclean is not NONE:
        raise Unsupported(f"an unclean election was answered with {found.unclean}")
    bench.premise("a replica out of sync was elected")
    before, after = found.epochs
    assert after > before, "in a larger leader epoch"
    logs = list(found.logs.values())
    assert [log for log in logs if log != logs[0]] == [], "all replicas have the new leader's log"
    epochs: dict[int, set[bytes | None]] = {}
    for stored in logs[0]:
        epochs.setdefault(stored.leader_epoch, set()).add(stored.record.value)
    assert OTHER not in epochs.get(before, set()), "an epoch does not mix two histories"
    bench.premise("committed records were lost", times=int(ALONE not in epochs.get(before, set())))
    if ALONE not in epochs.get(before, set()):
        assert found.epoch_end.end_offset < found.position, "a consumer is told of the loss"
