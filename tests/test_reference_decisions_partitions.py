"""Who leads a partition, and who is in sync: the controller asked directly."""

import pytest

from reference.errors import Error
from reference.messages import (
    AlterPartition,
)
from reference.metadata.records import NO_LEADER
from reference.requests import (
    ElectionType,
)
from tests.controller_bench import TIMEOUT_MS, Bench, sets

# ---- who leads ----------------------------------------------------------------------------------


def test_the_first_replica_in_sync_leads_after_a_failure_in_one_decision_with_a_new_epoch() -> None:
    bench = Bench(4)
    bench.create(2, 4, 3, 1)
    bench.alter(1, 2, 3)
    before = bench.state()
    bench.pass_time(TIMEOUT_MS + 200, 1, 3, 4)
    assert bench.state().leader == 3, "4 comes before it, but is not in sync"
    assert bench.state().isr == (1, 3)
    assert bench.state().leader_epoch == before.leader_epoch + 1
    assert bench.state().partition_epoch == before.partition_epoch + 1


def test_a_follower_that_fails_ends_no_leader_epoch() -> None:
    bench = Bench(3)
    bench.create(2, 1, 3)
    bench.pass_time(TIMEOUT_MS + 200, 1, 2)
    assert sets(bench.state()) == (2, (1, 2), ())
    assert bench.state().leader_epoch == 0


def test_without_elr_the_last_member_stays_and_leads_again() -> None:
    bench = Bench(2, elr=False)
    bench.create(1, 2, min_insync_replicas="2")
    bench.pass_time(TIMEOUT_MS + 200, 1)
    bench.pass_time(TIMEOUT_MS + 200, 2)
    assert sets(bench.state()) == (NO_LEADER, (1,), ())
    bench.beat(2)
    assert bench.state().leader == NO_LEADER, "2 is alive, but not in sync"
    bench.restart_uncleanly(1, 2)
    assert bench.state().leader == 1


def test_an_eligible_replica_leads_where_the_isr_is_empty() -> None:
    bench = Bench(3)
    bench.create(1, 2, 3, min_insync_replicas="2")
    bench.pass_time(TIMEOUT_MS + 200, 1, 2)
    assert sets(bench.state()) == (1, (1, 2), ()), "large enough: nobody else is eligible"
    bench.pass_time(TIMEOUT_MS + 200, 1)
    assert sets(bench.state()) == (1, (1,), (2,))
    bench.pass_time(TIMEOUT_MS + 200, 3)
    assert sets(bench.state()) == (NO_LEADER, (), (1, 2))
    assert bench.state().last_known_elr == (1,)
    bench.beat(2)
    assert sets(bench.state()) == (2, (2,), (1,))
    assert not bench.state().recovering
    assert bench.state().last_known_elr == ()
    bench.beat(1)
    bench.alter(1, 2)
    assert sets(bench.state()) == (2, (1, 2), ())


def test_after_an_unclean_restart_a_broker_is_eligible_no_more() -> None:
    bench = Bench(3)
    bench.create(1, 2, 3, min_insync_replicas="2")
    bench.alter(1, 2)
    bench.alter(1)
    assert sets(bench.state()) == (1, (1,), (2,))
    bench.restart_uncleanly(1, 3)
    assert sets(bench.state()) == (NO_LEADER, (), (2,)), "1 may lack what 2 has"
    bench.beat(2)
    assert bench.state().leader == 2


def test_a_clean_restart_keeps_its_places() -> None:
    bench = Bench(1)
    bench.create(1)
    epoch = bench.life(1).broker_epoch
    assert bench.beat(1, stop=True).may_stop
    assert sets(bench.state()) == (NO_LEADER, (), (1,))
    bench.register(1, previous=epoch)
    assert bench.state().elr == (1,)
    bench.beat(1)
    assert bench.state().leader == 1
    assert not bench.state().recovering


def test_the_proof_of_an_older_life_proves_nothing() -> None:
    bench = Bench(1)
    bench.create(1)
    older = bench.life(1).broker_epoch
    bench.restart_uncleanly(1)
    latest = bench.life(1).broker_epoch
    bench.pass_time(TIMEOUT_MS + 200)
    assert sets(bench.state()) == (NO_LEADER, (), (1,))
    bench.register(1, previous=older)
    assert sets(bench.state()) == (NO_LEADER, (), ())
    assert latest > older


def test_the_last_known_leader_leads_again_if_it_is_alive_and_nobody_else_can() -> None:
    bench = Bench(2)
    bench.create(1, 2)
    bench.alter(1)
    bench.pass_time(TIMEOUT_MS + 200, 2)
    bench.register(1)
    assert sets(bench.state()) == (NO_LEADER, (), ())
    assert bench.state().last_known_elr == (1,)
    bench.pass_time(500, 2)
    assert bench.state().leader == NO_LEADER, "1 is registered, but fenced (KAFKA-19522)"
    bench.beat(1)
    assert sets(bench.state()) == (1, (1,), ())
    assert bench.state().recovering
    bench.alter(1, 2)
    assert not bench.state().recovering


@pytest.mark.parametrize("elr", [True, False])
def test_an_unclean_election_needs_permission_and_begins_an_epoch(elr: bool) -> None:
    bench = Bench(2, elr=elr)
    bench.create(1, 2)
    bench.alter(1)
    bench.pass_time(TIMEOUT_MS + 200, 2)
    before = bench.state()
    assert before.leader == NO_LEADER
    bench.configure("unclean.leader.election.enable", "true")
    assert sets(bench.state()) == (2, (2,), ())
    assert bench.state().recovering
    assert bench.state().leader_epoch == before.leader_epoch + 1
    bench.beat(1)
    bench.alter(1, 2)
    assert not bench.state().recovering


def test_a_topic_that_allows_it_has_an_unclean_leader_at_once() -> None:
    bench = Bench(2)
    bench.create(1, 2, unclean_leader_election_enable="true")
    bench.alter(1)
    bench.pass_time(TIMEOUT_MS + 200, 2)
    assert sets(bench.state()) == (2, (2,), ())
    assert bench.state().recovering


def test_a_smaller_minimum_empties_the_elr() -> None:
    bench = Bench(3)
    bench.create(1, 2, 3, min_insync_replicas="3")
    bench.alter(1, 2)
    assert bench.state().elr == (3,)
    bench.configure("min.insync.replicas", "2")
    assert sets(bench.state()) == (1, (1, 2), ()), "what 1 and 2 acknowledge now 3 does not get"


# ---- elections that somebody asks for -----------------------------------------------------------


def test_a_preferred_election_needs_a_live_replica_in_sync() -> None:
    bench = Bench(3)
    bench.create(1, 2, 3)
    assert bench.elect(ElectionType.PREFERRED) is Error.ELECTION_NOT_NEEDED
    bench.pass_time(TIMEOUT_MS + 200, 2, 3)
    assert bench.elect(ElectionType.PREFERRED) is Error.PREFERRED_LEADER_NOT_AVAILABLE
    bench.beat(1)
    assert bench.elect(ElectionType.PREFERRED) is Error.PREFERRED_LEADER_NOT_AVAILABLE
    bench.alter(1, 2, 3)
    epoch = bench.state().leader_epoch
    assert bench.elect(ElectionType.PREFERRED) is Error.NONE
    assert bench.state().leader == 1
    assert bench.state().leader_epoch == epoch + 1


def test_an_unclean_election_on_request() -> None:
    bench = Bench(2)
    bench.create(1, 2)
    assert bench.elect(ElectionType.UNCLEAN) is Error.ELECTION_NOT_NEEDED
    bench.alter(1)
    bench.pass_time(TIMEOUT_MS + 200)
    assert bench.elect(ElectionType.UNCLEAN) is Error.ELIGIBLE_LEADERS_NOT_AVAILABLE
    bench.beat(2)
    assert bench.state().leader == NO_LEADER
    assert bench.elect(ElectionType.UNCLEAN) is Error.NONE
    assert sets(bench.state()) == (2, (2,), ())
    assert bench.state().recovering


# ---- the ISR ------------------------------------------------------------------------------------


def test_an_isr_is_changed_by_its_leader_against_its_present_state_only() -> None:
    bench = Bench(3)
    bench.create(1, 2, 3)
    state = bench.state()
    for leader, leader_epoch, partition_epoch in ((2, 0, 0), (1, 1, 0), (1, 0, 1), (1, 0, -1)):
        ask = AlterPartition(
            id=state.id,
            leader_epoch=leader_epoch,
            partition_epoch=partition_epoch,
            isr=(1, 2) if leader == 1 else (2, 3),
        )
        bench.controller.handle(leader, ask, 0)
        assert bench.stored() == []
        assert bench.state() == state
    bench.alter(2, 3)
    bench.alter(1, 2, 9)
    assert bench.state() == state, "an ISR has its leader, and replicas only"
    bench.alter(3, 1)
    assert sets(bench.state()) == (1, (1, 3), ())
    assert bench.state().partition_epoch == 1
    assert bench.state().leader_epoch == 0


@pytest.mark.parametrize("stops", [True, False])
def test_a_fenced_broker_or_one_that_stops_does_not_join(stops: bool) -> None:
    bench = Bench(3)
    bench.create(1, 2, 3)
    if stops:
        assert not bench.beat(3, stop=True).may_stop
    else:
        bench.pass_time(TIMEOUT_MS + 200, 1, 2)
    before = bench.state()
    assert before.isr == (1, 2)
    bench.alter(1, 2, 3)
    assert bench.state().isr == (1, 2)
    assert bench.state().partition_epoch == before.partition_epoch + 1, "the request is void"


def test_a_former_life_does_not_join() -> None:
    bench = Bench(2)
    bench.create(1, 2)
    own, former = bench.life(1).broker_epoch, bench.life(2).broker_epoch
    bench.restart_uncleanly(2, 1)
    bench.alter(1, 2, epochs=(own, former))
    assert bench.state().isr == (1,)
    bench.alter(1, 2, epochs=(own, bench.life(2).broker_epoch))
    assert bench.state().isr == (1, 2)
    bench.alter(1)
    bench.alter(1, 2, epochs=(own, -1))
    assert bench.state().isr == (1, 2), "the leader may not know"


# ---- reassignment -------------------------------------------------------------------------------


def test_a_reassignment_is_done_when_the_whole_target_is_in_sync() -> None:
    bench = Bench(4)
    bench.create(1, 2)
    assert bench.reassign(3, 4) is Error.NONE
    assert bench.state().replicas == (3, 4, 1, 2)
    assert bench.state().leader == 1
    bench.alter(1, 2, 3)
    assert bench.state().replicas == (3, 4, 1, 2)
    epoch = bench.state().leader_epoch
    bench.alter(1, 2, 3, 4)
    assert bench.state().replicas == (3, 4)
    assert sets(bench.state()) == (3, (3, 4), ())
    assert bench.state().leader_epoch == epoch + 1
    assert bench.state().adding == ()


def test_a_reassignment_passes_over_a_dead_replica() -> None:
    bench = Bench(4)
    bench.create(1, 2)
    bench.reassign(3, 4)
    bench.alter(1, 2, 3)
    bench.pass_time(TIMEOUT_MS + 200, 1, 2, 4)
    bench.alter(1, 2, 4)
    assert bench.state().replicas == (3, 4, 1, 2), "3 has left the ISR again"


def test_a_reassignment_that_would_leave_nobody_with_the_data_is_refused() -> None:
    bench = Bench(3)
    bench.create(1)
    bench.reassign(2)
    assert bench.reassign(3) is Error.NONE
    assert bench.state().replicas == (3, 1)
    bench.pass_time(TIMEOUT_MS + 200, 2, 3)
    assert sets(bench.state()) == (NO_LEADER, (), (1,))
    assert bench.reassign() is Error.NONE
    assert bench.state().replicas == (1,)
    assert bench.state().elr == (1,)
