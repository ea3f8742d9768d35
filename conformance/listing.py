"""`--list-clauses` and `--list-mutants`: what there is, in lines that can be grepped."""

import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

from conformance.judge import subjects
from reference.mutants import MUTANTS
from spec.clause import Clause


def clause_lines(clauses: Iterable[Clause], items: Iterable[pytest.Item]) -> Iterator[str]:
    """Two or more lines per clause: id, level, tests, needs; then the sentence."""
    tests = Counter(s.clause for item in items for s in subjects(item))
    width = max(60, min(110, shutil.get_terminal_size().columns))
    total = 0
    for clause in clauses:
        total += 1
        count = tests[clause.id]
        plural = "test" if count == 1 else "tests"
        needs = ", ".join(need.value for need in clause.needs)
        yield f"{clause.id:9}{clause.level:7}{count:3} {plural:6} needs {needs}"
        yield from textwrap.wrap(
            clause.sentence, width, initial_indent="         ", subsequent_indent="         "
        )
    covered = sum(1 for count in tests.values() if count)
    yield f"{total} clauses, {covered} with tests, {sum(tests.values())} pairs of test and clause"


def mutant_lines() -> Iterator[str]:
    """A line per mutant: name, origin, the clauses it violates, and what it gets wrong."""
    for name, mutant in MUTANTS.items():
        yield f"{name:34}{mutant.id:7}{', '.join(mutant.clauses):18} {mutant.wrong}"
    yield f"{len(MUTANTS)} mutants; run one with --target=reference+NAME"
