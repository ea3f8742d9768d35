"""Logs after a leader was struck: what was read stays, and all replicas are alike."""

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.workload import oracles
from conformance.workload.story import PLOTS, Story, stories, tell


@pytest.mark.clause("LOG-02")
@stories()
def test_what_was_read_once_is_read_again(bench: Bench, plot: str) -> None:
    """At each offset all consumers were given the same record, whichever replica they read."""
    history = tell(bench, plot).history
    bench.premise("a record was given to a consumer", times=len(history.seen))
    records = {stored.record.offset: stored.record for stored in history.final}
    for seen in history.seen:
        assert records.get(seen.record.offset) == seen.record, f"as it was given: {seen}"


@pytest.mark.clause("LOG-03")
@stories()
def test_replicas_are_alike_once_all_is_healed(bench: Bench, plot: str) -> None:
    """Every replica ends with the same records at the same offsets in the same epochs."""
    history = tell(bench, plot).history
    bench.premise("a replica was read to its end", times=len(history.logs))
    assert oracles.different_replicas(history) == [], "the logs are equal"
    assert oracles.falling_epochs_in_log(history.final) == [], "epochs only grow along the log"


@pytest.mark.clause("LOG-06")
@stories(*PLOTS)
def test_a_broker_that_was_struck_knows_where_epochs_end(bench: Bench, plot: str) -> None:
    """OffsetForLeaderEpoch, asked of the broker once it leads again, agrees with its log."""
    story = tell(bench, plot)
    assert story.epoch_ends, "the broker led in some epoch"
    for epoch, answer in story.epoch_ends.items():
        bench.premise("a broker that was struck told where an epoch ends")
        assert answer.error_code is ErrorCode.none, f"epoch {epoch} is known"
        expected = _end_of(story, epoch)
        assert answer.end_offset == expected, f"epoch {epoch} ends where a later one begins"
        assert answer.leader_epoch <= epoch, f"no later epoch is named than {epoch}"


def _end_of(story: Story, epoch: int) -> int:
    """Where the first record of a later epoch is, or the end of the log."""
    later = (s.record.offset for s in story.history.final if s.leader_epoch > epoch)
    newest = max(story.epoch_ends)
    appended_last = story.log_end - 1 if epoch < newest else story.log_end
    return min(later, default=appended_last)
