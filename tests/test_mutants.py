"""Every mutant of the reference is killed, and by a clause that it violates.

A suite that passes on a broken broker is worthless: this is how we know. What a client can provoke
is killed by the suite. What needs faults at the right moment was found by a swarm of simulated
runs, and is kept as a schedule in `tests/findings` that `test_simulation_runs.py` runs again. What
needs a situation that no client and few faults bring about has a test of its own.
"""

from pathlib import Path

import pytest

from conformance.simulation.finding import load
from reference.mutants import MUTANTS
from spec.clauses import CLAUSES
from spec.verdict import Verdict
from tests.suite import run

FINDINGS = [load(path) for path in sorted(Path(__file__).with_name("findings").glob("*.json"))]
SIMULATED = {finding.mutant for finding in FINDINGS if finding.mutant}
DIRECTED = {
    "kip-101-only": "test_refinement_replication.py",
    "no-truncate-same-leader": "test_refinement_replication.py",
    "acknowledgements-survive-epochs": "test_refinement_replication.py",
    "fenced-replica-rejoins-isr": "test_reference_decisions_eligible.py",
    "stale-broker-epoch-joins-isr": "test_refinement_eligible_leaders.py",
    "last-replica-standing": "test_reference_decisions_eligible.py",
    "unclean-without-epoch": "test_reference_decisions_eligible.py",
    "epoch-0-lost-on-recovery": "test_reference_storage_damage.py",
    "failed-disk-still-acks": "test_reference_storage_damage.py",
    "recovery-trusts-bytes": "test_reference_storage_damage.py",
    "hw-recovered-as-log-end": "test_reference_storage_damage.py",
    "restart-overlooked-at-failover": "test_reference_zookeeper.py",
    "bounce-unnoticed": "test_reference_zookeeper.py",
    "stale-heartbeat-accepted": "test_reference_decisions_mutants.py",
    "stray-replica-revived": "test_reference_storage_damage.py",
    "recovery-leaves-gap": "test_reference_storage_damage.py",
    "epoch-without-compare-and-set": "test_reference_zookeeper.py",
}
"""By name: the file of the test that kills it."""
LEFT_TO_THE_SUITE = [name for name in MUTANTS if name not in SIMULATED and name not in DIRECTED]


@pytest.mark.parametrize("name", LEFT_TO_THE_SUITE)
def test_a_mutant_is_killed_by_a_clause_that_it_violates(tmp_path: Path, name: str) -> None:
    mutant = MUTANTS[name]
    clauses = [f"--clause={id_}" for id_ in mutant.clauses]
    found = run(tmp_path, f"--target=reference+{name}", "-x", *clauses)
    killers = [record for record in found.evidence if record.verdict is Verdict.FAIL]
    assert killers, f"{name} survives: {found.output[-3000:]}"
    assert found.status == 1
    assert {record.clause for record in killers} & set(mutant.clauses)
    assert all(record.mutant == name and record.counterexample for record in killers)


def test_schedules_kill_by_a_clause_that_the_mutant_violates() -> None:
    for finding in FINDINGS:
        if finding.mutant:
            assert finding.clause in MUTANTS[finding.mutant].clauses, finding.mutant


@pytest.mark.parametrize("name", DIRECTED)
def test_a_test_of_its_own_knows_the_mutant(name: str) -> None:
    """By its name, by its class, or as one of all mutants of its file."""
    assert name not in SIMULATED
    rules = MUTANTS[name].rules
    text = (Path(__file__).parent / DIRECTED[name]).read_text(encoding="utf-8")
    folder, _, area = rules.__module__.rpartition(".")
    all_of_its_file = (f"from {rules.__module__} import MUTANTS", f"from {folder} import {area} as")
    known = (f'"{name}"', rules.__name__, *all_of_its_file)
    assert any(words in text for words in known), f"{DIRECTED[name]} does not know {name}"


def test_mutants_name_clauses_that_exist_and_break_one_rule_each() -> None:
    assert len(MUTANTS) >= 18
    for name, mutant in MUTANTS.items():
        assert mutant.name == name
        assert set(mutant.clauses) <= CLAUSES.keys(), name
        own = [key for key in vars(mutant.rules) if not key.startswith("__")]
        assert len(own) == 1, f"{name} overrides {own}"


def test_the_list_of_mutants_has_them_all(tmp_path: Path) -> None:
    found = run(tmp_path, "--list-mutants")
    assert found.status == 0
    lines = {line.split()[0]: line for line in found.output.splitlines() if line.strip()}
    for name, mutant in MUTANTS.items():
        assert mutant.wrong in lines[name]
