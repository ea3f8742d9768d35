"""The tests of single decisions notice the wrong rules that are about single decisions."""

from collections.abc import Callable

import pytest

from reference.mutants.controller import MUTANTS
from tests import test_reference_decisions as lives
from tests import test_reference_decisions_partitions as partitions
from tests.controller_bench import Bench

SCENARIOS: dict[str, Callable[[], None]] = {
    "stale-broker-epoch-joins-isr": partitions.test_a_former_life_does_not_join,
    "reassignment-done-early": (
        partitions.test_a_reassignment_is_done_when_the_whole_target_is_in_sync
    ),
    "isr-cas-missing": (
        partitions.test_an_isr_is_changed_by_its_leader_against_its_present_state_only
    ),
    "no-failure-detection": lives.test_a_silent_broker_is_fenced_and_no_sooner_than_its_time,
    "stale-heartbeat-accepted": lives.test_a_heartbeat_of_a_former_life_keeps_nobody_alive,
    "second-process-registered": lives.test_a_second_process_is_refused_while_the_first_one_lives,
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_wrong_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    defaults = Bench.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "rules", mutant.rules)
    with pytest.raises(AssertionError):
        SCENARIOS[name]()
