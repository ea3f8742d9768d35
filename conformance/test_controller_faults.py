"""Controllers and brokers that fall silent: who replaces them, and what stays of their work."""

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.outcomes import Inconclusive, Unsupported
from conformance.workload.errands import StaleChange
from conformance.workload.story import stories, tell

SILENT = ("killed", "paused", "isolated", "without-controllers", "without-power")
DEPOSED = ("killed", "paused", "isolated")
"""The plots in which the leader that is struck is the active controller."""


@pytest.mark.clause("CTL-01")
@stories(*DEPOSED)
def test_an_epoch_of_the_quorum_has_one_leader(bench: Bench, plot: str) -> None:
    """DescribeQuorum names one leader for each epoch, and no broker goes back to an older one."""
    story = tell(bench, plot)
    if not story.quorums:
        raise Unsupported("the brokers do not serve DescribeQuorum")
    leaders: dict[int, set[int]] = {}
    newest: dict[int, int] = {}
    for broker, quorum in story.quorums:
        bench.premise("a broker described the quorum")
        assert quorum.epoch >= newest.get(broker, 0), f"broker {broker} does not go back"
        newest[broker] = quorum.epoch
        if quorum.leader >= 0:
            leaders.setdefault(quorum.epoch, set()).add(quorum.leader)
    assert {e: who for e, who in leaders.items() if len(who) > 1} == {}, "an epoch has one leader"


@pytest.mark.clause("CTL-01")
@stories(*DEPOSED)
def test_one_controller_follows_another(bench: Bench, plot: str) -> None:
    """Without KRaft Metadata names the active controller: another one while that which was active
    is struck, and in the end the same on all brokers."""
    story = tell(bench, plot)
    if story.quorums:
        raise Unsupported("with KRaft Metadata may name any live broker")
    bench.premise("the active controller was struck")
    during: dict[int, int] = {}
    at_last: dict[int, int] = {}
    for look in story.history.looks:
        at_last[look.broker] = look.controller
        if story.struck_ms < look.at_ms < story.healed_ms and look.broker != story.victim:
            during[look.broker] = look.controller
    assert len(set(during.values())) == 1, "all others name the same one"
    assert story.victim not in during.values(), "it is another one"
    assert len(set(at_last.values())) == 1, "all brokers name the same one at last"


@pytest.mark.clause("CTL-02")
@stories("paused", "isolated")
def test_a_deposed_controller_changes_nothing(bench: Bench, plot: str) -> None:
    """What the new controller decided stands after the old one is back, on all brokers."""
    story = tell(bench, plot)
    if story.created is not ErrorCode.none:
        raise Unsupported(f"the new controller created no topic: {story.created}")
    bench.premise("a new controller made a change, and the old one returned")
    everybody = tuple(sorted(story.history.logs))
    assert story.created_seen == everybody, "every broker knows the topic that was created"
    assert {kept[0] for kept in story.kept.values()} == {ErrorCode.none}, "and the older one"


@pytest.mark.clause("CTL-03")
@stories(*DEPOSED)
def test_a_new_controller_takes_the_work_over(bench: Bench, plot: str) -> None:
    """The controller, which also led the partition, falls silent: a new one elects a leader for
    it, and creates topics."""
    story = tell(bench, plot)
    bench.premise("the active controller fell silent")
    assert story.led_again_ms is not None, f"a new leader within {story.limit_ms} ms"
    assert story.written_again_ms is not None, f"a write is taken within {story.limit_ms} ms"
    assert story.created is ErrorCode.none, "a topic can be created"


@pytest.mark.clause("CTL-04")
@stories()
def test_acknowledged_metadata_survives(bench: Bench, plot: str) -> None:
    """Each broker knows a topic that was created before the fault, with its configuration."""
    story = tell(bench, plot)
    for broker, kept in story.kept.items():
        bench.premise("a broker was asked for what had been acknowledged")
        assert kept == story.kept_expected, f"broker {broker} knows topic and configuration"
    everybody = tuple(sorted(story.kept))
    if story.created is ErrorCode.none:
        assert story.created_seen == everybody, "and the topic created during the fault"


@pytest.mark.clause("CTL-05")
@stories(*SILENT)
def test_a_silent_broker_is_fenced_and_returns(bench: Bench, plot: str) -> None:
    """A broker that renews its session no more leaves all ISRs, loses its leaderships, and is not
    among the brokers; once it is back it is among them, and in sync."""
    story = tell(bench, plot)
    bench.premise("a broker did not renew its session")
    assert story.fenced_ms is not None, f"it is fenced within {story.limit_ms} ms"
    assert story.returned_ms is not None, f"it is back within {story.limit_ms} ms"


@pytest.mark.clause("CTL-02", "CTL-08")
@stories("isolated")
def test_what_a_controller_without_a_majority_decides_is_not_seen(bench: Bench, plot: str) -> None:
    """A change asked of a controller that has just been cut off is not seen on any broker unless
    it is acknowledged, and at the end on all or none."""
    story = tell(bench, plot)
    stale = story.errand(StaleChange)
    if stale.asked is None or story.led_again_ms is None:
        raise Inconclusive("no other controller was seen at work")
    bench.premise("a controller was asked that had been cut off")
    made = stale.asked.answered and stale.asked.value is ErrorCode.none
    assert made or stale.seen_during == (), "no broker tells of what is not acknowledged"
    everybody = tuple(sorted(story.history.logs))
    assert stale.seen_after in ((), everybody), "at the end it is on all brokers or none"
    assert stale.seen_after == everybody or not made, "what is acknowledged stays"


@pytest.mark.clause("CTL-08")
@stories("isolated")
def test_the_majority_goes_on_without_the_leader_of_the_quorum(bench: Bench, plot: str) -> None:
    """While the leader of the quorum is cut off with a minority, the majority elects another in a
    later epoch, and what it acknowledges stays."""
    story = tell(bench, plot)
    if not story.quorums:
        raise Unsupported("the brokers do not serve DescribeQuorum")
    bench.premise("the leader of the quorum was cut off from the majority")
    others = [quorum for broker, quorum in story.quorums if broker != story.victim]
    assert others[-1].leader >= 0, "there is a leader"
    assert any(quorum.leader != story.victim for quorum in others), "it is another one"
    assert story.created is ErrorCode.none, "a change is accepted by the majority"
    assert story.created_seen == tuple(sorted(story.history.logs)), "and is still there"
