"""Every mutant of the reference is killed, and by a test of a clause that it violates.

A suite that passes on a broken broker is worthless: this is how we know.
"""

from pathlib import Path

import pytest

from reference.mutants import MUTANTS
from spec.clauses import CLAUSES
from spec.verdict import Verdict
from tests.suite import run


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_killed_by_a_clause_that_it_violates(tmp_path: Path, name: str) -> None:
    mutant = MUTANTS[name]
    clauses = [f"--clause={id_}" for id_ in mutant.clauses]
    found = run(tmp_path, f"--target=reference+{name}", "-x", *clauses)
    killers = [record for record in found.evidence if record.verdict is Verdict.FAIL]
    assert killers, f"{name} survives: {found.output[-3000:]}"
    assert found.status == 1
    assert {record.clause for record in killers} & set(mutant.clauses)
    assert all(record.mutant == name and record.counterexample for record in killers)


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
