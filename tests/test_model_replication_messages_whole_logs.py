"""Replication with messages has two texts: one with records, one with whole logs. They agree.

In small instances every step of the one is a step of the other, under a mapping of states that
loses nothing but the ids of records. So what is proved of whole logs is true of records.
"""

import os
from collections.abc import Mapping
from typing import Any

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Exploration, explore
from spec.checkers.step import Machine
from spec.language import Protocol, const, trace
from spec.models.replication import RecordId
from spec.models.replication_messages import MODEL, bounds
from spec.models.replication_messages_protocol import ReplicationMessages
from spec.models.replication_messages_whole_logs import WholeLog, WholeLogReplication
from spec.proofs import replication_messages as wrong_rules

NIGHTLY = bool(os.environ.get("HIGHWATER_NIGHTLY"))


class RecordsWithoutIds(ReplicationMessages):
    """Records are told apart by their epochs only, as the whole logs of a finite instance are."""

    def take_record_id(self, new: Any) -> Any:
        return const(0, RecordId)


def with_whole_logs(instance: Mapping[str, int]) -> dict[str, int]:
    """The same instance: there epochs count from -1, and offsets have no one past the last."""
    return {
        "Broker": instance["Broker"],
        "LeaderEpoch": instance["Epoch"] + 1,
        "LogLength": instance["Offset"] + 1,
        "PartitionEpoch": instance["PartitionEpoch"],
    }


def explored(
    protocol: type[Protocol], instance: Mapping[str, int], *, stop: bool = False
) -> Exploration:
    return explore(trace(protocol), Bounds(**instance), symmetry="Broker", stop_at_violation=stop)


# ---- the mapping --------------------------------------------------------------------------------

State = tuple[Any, ...]


class Mapped:
    """States with records as states with whole logs."""

    def __init__(self, instance: Mapping[str, int]) -> None:
        self.records = Machine(trace(RecordsWithoutIds), Bounds(**instance))
        counts = with_whole_logs(instance)
        self.whole = Machine(trace(WholeLogReplication), Bounds(**counts))
        self.brokers, self.versions = range(counts["Broker"]), range(counts["PartitionEpoch"])
        self.epochs = range(counts["LeaderEpoch"])
        self.values = WholeLog.values(counts)
        self.number = {value: number for number, value in enumerate(self.values)}

    def image(self, state: State) -> State:
        """The state of the other text that says the same."""

        def get(leaf: str) -> Any:
            return state[self.records.slot[leaf]]

        logs = [self._log(get, "log", b) for b in self.brokers]
        served = [self._log(get, "served", e) for e in self.epochs]
        found = {
            name: get(name)
            for name in (
                "partition_epoch",
                "leading",
                "remembered",
                "decision.isr",
                "newest",
                "alter_requests",
                "opened",
            )
        }
        found["log"] = tuple(self.number[log] for log in logs)
        found["high_watermark"] = tuple(
            self.number[log[:end]] for log, end in zip(logs, get("high_watermark"), strict=True)
        )
        found["pending"] = tuple(map(self._only, get("pending")))
        found["decision.leader"] = tuple(map(self._only, get("decision.leader")))
        found["decision.epoch"] = tuple(epoch + 1 for epoch in get("decision.epoch"))
        found["fetch_requests"] = tuple(
            tuple(self._positions(get("fetch_requests")[b][e], served) for e in self.epochs)
            for b in self.brokers
        )
        shown = zip(served, get("served_high_watermark"), get("opened"), strict=True)
        found["served_high_watermark"] = tuple(
            self._prefixes(log[:end], opened) for log, end, opened in shown
        )
        found["served"] = tuple(
            self._prefixes(log, opened) for log, opened in zip(served, get("opened"), strict=True)
        )
        committed = tuple(e + 1 for e in get("committed.epoch")[: get("committed.end_offset")])
        found["committed"] = (False, *self._prefixes(committed, True)[1:])
        return tuple(found[name] for name in self.whole.slot)

    def _log(self, get: Any, name: str, at: int) -> tuple[int, ...]:
        end = get(f"{name}.end_offset")[at]
        return tuple(epoch + 1 for epoch in get(f"{name}.epoch")[at][:end])

    def _only(self, broker: int) -> tuple[bool, ...]:
        return tuple(b == broker for b in self.brokers)

    def _prefixes(self, log: tuple[int, ...], exists: bool) -> tuple[bool, ...]:
        return tuple(exists and log[: len(prefix)] == prefix for prefix in self.values)

    def _positions(self, sent: Any, served: list[tuple[int, ...]]) -> tuple[bool, ...]:
        """The logs that requests were sent from: the leader of its last epoch has had each."""
        found = {
            served[epoch][:offset]
            for offset, row in enumerate(sent)
            for epoch, is_sent in enumerate(row)
            if is_sent
        }
        return tuple(value in found for value in self.values)


@pytest.mark.parametrize(
    "instance",
    [
        bounds(2, 2, 1, 1, 2),
        bounds(3, 2, 1, 1, 1),
        pytest.param(bounds(2, 2, 2, 1, 2), marks=pytest.mark.skipif(not NIGHTLY, reason="30 s")),
    ],
)
def test_each_step_of_one_text_is_a_step_of_the_other(instance: Mapping[str, int]) -> None:
    mapped = Mapped(instance)
    images = {mapped.records.initial: mapped.image(mapped.records.initial)}
    assert images[mapped.records.initial] == mapped.whole.initial
    waiting, happened = [mapped.records.initial], set[str]()
    while waiting:
        state = waiting.pop()
        steps = set()
        for action, _, after in mapped.records.successors(state):
            if after not in images:
                images[after] = mapped.image(after)
                waiting.append(after)
            steps.add((action, images[after]))
        whole = {(action, t) for action, _, t in mapped.whole.successors(images[state])}
        missing, more = whole - steps, steps - whole
        assert not missing
        assert not more
        happened |= {action for action, _ in steps}
    distinct = len(set(images.values()))
    assert distinct == len(images)
    assert distinct > 500
    if instance["PartitionEpoch"] > 2:
        assert happened == set(mapped.records.step), "every action was compared"


# ---- larger instances, by their counts ----------------------------------------------------------


@pytest.mark.parametrize("instance", [bounds(2, 3, 1, 1, 3), bounds(2, 2, 2, 1, 4)])
def test_both_texts_have_as_many_states_and_steps(instance: Mapping[str, int]) -> None:
    records = explored(RecordsWithoutIds, instance)
    whole = explored(WholeLogReplication, with_whole_logs(instance))
    assert records.complete
    assert whole.complete
    assert records.levels == whole.levels
    assert records.actions == whole.actions
    assert records.distinct > 50_000
    assert records.witnesses == whole.witnesses


SAME_RULE = {
    "minimal-isr": wrong_rules.MinimalIsr,
    "committed-isr-only": wrong_rules.CommittedIsrOnly,
    "leader-resumes": wrong_rules.LeaderResumes,
    "old-decisions-applied": wrong_rules.OldDecisionsApplied,
    "truncate-to-high-watermark": wrong_rules.TruncateToHighWatermark,
    "join-at-lagging-high-watermark": wrong_rules.JoinAtLaggingHighWatermark,
    "positions-not-checked": wrong_rules.PositionsNotChecked,
    "requests-not-awaited": wrong_rules.RequestsNotAwaited,
    "overtaken-requests-accepted": wrong_rules.OvertakenRequestsAccepted,
    "unclean-election": wrong_rules.UncleanElection,
}


@pytest.mark.parametrize("name", SAME_RULE)
def test_a_missing_rule_breaks_both_texts_after_as_many_actions(name: str) -> None:
    (refutation,) = MODEL.variant(name).refutations
    instance = with_whole_logs(refutation.bounds)
    found = explored(SAME_RULE[name], instance, stop=True)
    assert found.violations[refutation.invariant].first_level - 1 == refutation.steps


def test_both_texts_have_the_same_actions_and_the_same_promises() -> None:
    records, whole = trace(ReplicationMessages), trace(WholeLogReplication)
    assert sorted(records.actions) == sorted(whole.actions)
    assert set(records.invariants) == set(whole.invariants) - {"fetched_after_own_log"}
    for name, invariant in records.invariants.items():
        assert invariant.clauses == whole.invariants[name].clauses
