"""What brokers know of producers after the leader was struck."""

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.workload.story import PLOTS, Story, stories, tell

KNOWN = frozenset({ErrorCode.none, ErrorCode.duplicate_sequence_number})


@pytest.mark.clause("PROD-08")
@stories(*PLOTS)
def test_the_last_batch_is_known_after_a_failover(bench: Bench, plot: str) -> None:
    """A producer sends its last batch again, to the next leader and to the one that was struck
    once it leads again: both know it. Neither takes a batch that leaves out a number."""
    story = tell(bench, plot)
    _retries_are_known(bench, story, newest_only=True)
    for when, answer in story.gaps:
        bench.premise("a batch left out a number")
        refused = answer.error is ErrorCode.out_of_order_sequence_number
        assert refused, f"{when}: OUT_OF_ORDER_SEQUENCE_NUMBER"


@pytest.mark.clause("PROD-08")
@stories("alone-killed", "alone-shut-down")
def test_all_recent_batches_are_known_after_a_restart(bench: Bench, plot: str) -> None:
    """A producer with several batches in flight sends all of them again, after their leader was
    started anew: it knows each of them, and not only the last."""
    _retries_are_known(bench, tell(bench, plot), newest_only=False)


def _retries_are_known(bench: Bench, story: Story, *, newest_only: bool) -> None:
    newest = max(offset for _, _, offset in story.retries)
    for when, answer, offset in story.retries:
        if newest_only and offset != newest:
            continue
        bench.premise("a batch was sent again to another leader")
        assert answer.error in KNOWN, f"{when}: the batch at {offset} is known"
        assert answer.base_offset in (offset, -1), f"{when}: it is at {offset}"
