"""What producers were told is safe, and what consumers were given, after the leader was struck."""

import pytest

from conformance.bench import Bench
from conformance.workload import oracles
from conformance.workload.story import stories, tell


@pytest.mark.clause("ALO-01")
@stories()
def test_what_was_acknowledged_is_read(bench: Bench, plot: str) -> None:
    """Every value acknowledged with acks=all is in the final log, and none that was refused."""
    history = tell(bench, plot).history
    bench.premise("a write was acknowledged", times=len(history.acknowledged))
    assert oracles.unread(history) == [], "what was acknowledged is read from the beginning"
    assert oracles.refused_but_there(history) == [], "what was refused is not there"
    plain = [found for found in oracles.duplicates(history) if "idempotent" not in found]
    assert plain == [], "a value that was sent once occurs once"


@pytest.mark.clause("EOS-01")
@stories()
def test_an_idempotent_producer_writes_once_and_in_order(bench: Bench, plot: str) -> None:
    """However often it had to send a batch, it is there once, and behind those before it."""
    history = tell(bench, plot).history
    writes = [write for write in history.writes if write.is_idempotent]
    again = [write for write in writes if write.attempts > 1]
    bench.premise("an idempotent producer sent a batch again", times=len(again))
    bench.premise("an idempotent producer wrote", times=len(writes))
    assert oracles.duplicates(history) == [], "no value occurs twice"
    assert oracles.disordered(history) == [], "values stand in the order in which they were sent"
    assert oracles.forgotten(history) == [], "what was acknowledged is known to the next leader"
