"""Marks of a log in every Fetch answer while its leader is struck."""

import pytest

from conformance.bench import Bench
from conformance.workload import oracles
from conformance.workload.story import stories, tell


@pytest.mark.clause("OFF-01")
@stories()
def test_marks_are_in_order_whoever_leads(bench: Bench, plot: str) -> None:
    """On every replica the log start is at most the high watermark, before and after a change of
    the leader."""
    history = tell(bench, plot).history
    bench.premise("a replica told its marks", times=len(history.marks))
    assert oracles.marks_out_of_order(history) == [], "log start <= LSO, high watermark"
