"""In-sync replicas under faults: what LATEST shows, and what waits for a follower."""

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.nemesis.capability import Capability
from conformance.workload import oracles
from conformance.workload.laggards import lag
from conformance.workload.story import stories, tell
from conformance.workload.strandings import unclean

pauses = pytest.mark.needs(Capability.PAUSE)
restarts_uncleanly = pytest.mark.needs(Capability.KILL, Capability.PAUSE, Capability.CUT_BROKERS)


@pytest.mark.clause("ISR-04")
@stories()
def test_the_end_of_the_log_does_not_fall(bench: Bench, plot: str) -> None:
    """No answer about LATEST is smaller than one that came before it was asked, whoever leads."""
    history = tell(bench, plot).history
    answered = {end.broker for end in history.ends}
    bench.premise("another leader told where the log ends", times=len(answered) - 1)
    assert oracles.falling_ends(history) == [], "LATEST does not fall"


# ---- ISR-02, ISR-05, ISR-07: a follower that stands still ----------------------------------------


@pytest.mark.clause("ISR-02")
@pauses
def test_nothing_is_served_that_a_member_of_the_isr_lacks(bench: Bench) -> None:
    """While a follower that stands still is in the ISR, consumers are not given what it lacks."""
    found = lag(bench)
    bench.premise("a member of the ISR lacked a record", times=len(found.while_member))
    assert set(found.while_member) <= {()}, "a consumer is given nothing of it"


@pytest.mark.clause("ISR-05")
@pauses
def test_acks_all_waits_for_a_follower_that_stands_still(bench: Bench) -> None:
    """With acks=all a write is not acknowledged before the follower has left the ISR; one that may
    not wait so long is answered with REQUEST_TIMED_OUT."""
    found = lag(bench)
    bench.premise("a member of the ISR stood still")
    assert found.impatient is ErrorCode.request_timed_out, "REQUEST_TIMED_OUT after timeout_ms"
    assert found.acknowledged_ms is not None, "acknowledged once the ISR has shrunk"
    assert found.follower not in found.isr_after, "the ISR has shrunk by then"
    assert found.acknowledged_ms >= found.impatient_ms, "and not before"


@pytest.mark.clause("ISR-07")
@pauses
def test_a_follower_that_stands_still_leaves_the_isr_and_returns(bench: Bench) -> None:
    """It leaves the ISR within the lag time, so that acks=all goes on, and is back after it."""
    found = lag(bench)
    bench.premise("a follower stood still for longer than allowed")
    assert found.acknowledged_ms is not None, f"acks=all goes on within {found.limit_ms} ms"
    assert found.follower not in found.isr_after, "it is removed from the ISR"
    assert found.returned_ms is not None, f"it is taken back within {found.limit_ms} ms"


# ---- ISR-09: replicas that were not shut down in good order --------------------------------------


@pytest.mark.clause("ISR-09")
@restarts_uncleanly
def test_a_replica_that_was_killed_is_not_eligible_until_it_has_caught_up(bench: Bench) -> None:
    """Back after kill -9 and cut off from the leader, it is neither in the ISR nor in the ELR."""
    found = unclean(bench)
    bench.premise("a replica was back after kill -9, and had not caught up")
    assert found.first not in found.after_first.isr, "it is not in the ISR"
    assert found.first not in found.after_first.elr, "it is not in the ELR"
    assert found.before_last.leader == -1, "and it is not elected when the leader dies"


@pytest.mark.clause("ISR-09", "LEAD-03")
@restarts_uncleanly
def test_the_last_known_leader_is_elected_only_once_it_lives(bench: Bench) -> None:
    """ISR and ELR are empty. The last known leader has registered and does not serve yet: nobody
    is elected. Once it serves, it leads (KAFKA-19522)."""
    found = unclean(bench)
    bench.premise("the last known leader had registered, and was not live")
    dead = found.last not in found.live
    assert dead, "a broker that does not renew its session is not among the brokers"
    before, after = found.before_last, found.registered
    assert after.leader == -1, "nobody leads"
    assert after.isr == (), "no broker that is not live is put into the ISR"
    assert after.leader_epoch == before.leader_epoch, "no election has taken place"
    assert found.led_again_ms is not None, "it leads once it lives"
