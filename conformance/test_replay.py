"""A stored schedule of faults, run again: collected only with `--replay=FILE`."""

from pathlib import Path

import pytest

from conformance.bench import Bench
from conformance.outcomes import NotRun
from conformance.simulation.finding import Finding
from conformance.simulation.replay import again


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    path: Path = metafunc.config.option.replay
    finding: Finding = metafunc.config.option.finding
    mark = pytest.mark.clause(finding.clause)
    metafunc.parametrize("finding", [pytest.param(finding, id=path.stem, marks=mark)])


def test_a_stored_schedule(finding: Finding, bench: Bench, pytestconfig: pytest.Config) -> None:
    """The clause that a stored schedule of faults once broke holds in it."""
    if not bench.virtual:
        raise NotRun("a schedule counts the milliseconds of a simulation: --target=reference")
    mutant = pytestconfig.option.target.partition("+")[2] or None
    result = again(finding, mutant=mutant).result
    assert not result.error, "the reference raises no exception"
    bench.premise("the schedule was run to its end, or to the first broken clause")
    found = [each for each in result.violations if each.clause == finding.clause]
    assert not found, found[0].message
