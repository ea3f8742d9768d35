"""The explorer against the plain one: the same states, levels, successors and violations."""

from collections.abc import Mapping

import pytest

from spec.checkers.bounds import Bounds
from spec.checkers.explore import Explorer
from spec.language import Protocol, trace
from spec.models.replication import (
    EpochFencing,
    Kip101,
    Kip279,
    Kip320,
    Kip320FirstTry,
    TruncateToHighWatermark,
    bounds,
)
from spec.registry import FAMILIES
from tests.explore_zoo import ZOO
from tests.plain_explorer import PlainExplorer

VARIANTS = (TruncateToHighWatermark, Kip101, Kip279, Kip320FirstTry, EpochFencing, Kip320)
CASES: list[tuple[type[Protocol], Mapping[str, int]]] = [
    *((specimen.protocol, specimen.counts) for specimen in ZOO),
    *((variant, bounds(2, 1, 2, 1)) for variant in VARIANTS),
]


WITH_MESSAGES = {"Broker": 2, "Epoch": 1, "Offset": 2, "RecordId": 1, "PartitionEpoch": 3}
CONSUMERS = {"Member": 2, "Generation": 3, "Offset": 2}
TINY: Mapping[str, Mapping[str, int]] = {
    "replication/kip-320": {"Broker": 2, "Offset": 2, "RecordId": 1, "Epoch": 3},
    "replication_messages/fenced": WITH_MESSAGES,
    "replication_messages/separate-decisions": WITH_MESSAGES,
    "replication_messages/kip-966": WITH_MESSAGES | {"BrokerEpoch": 2},
    "replication_messages/whole-logs": {
        "Broker": 2,
        "LeaderEpoch": 2,
        "LogLength": 2,
        "PartitionEpoch": 2,
    },
    "eligible_leaders/kip-966": {
        "Broker": 2,
        "LeaderEpoch": 2,
        "BrokerEpoch": 2,
        "Offset": 1,
        "min_insync": 1,
    },
    "controller/fenced": {
        "Broker": 1,
        "Partition": 1,
        "ControllerEpoch": 3,
        "LeaderEpoch": 3,
        "StateVersion": 3,
    },
    "quorum/kraft": {"Voter": 2, "Epoch": 2, "Offset": 3},
    "idempotence/five-in-flight": {
        "ProducerId": 1,
        "ProducerEpoch": 2,
        "Sequence": 6,
        "Offset": 1,
    },
    "idempotence/ids-in-blocks": {"Broker": 1, "Block": 4, "Index": 3},
    "transactions/kip-890": {
        "Client": 1,
        "Partition": 1,
        "Transaction": 1,
        "Record": 2,
        "ProducerEpoch": 3,
        "Offset": 3,
    },
    "groups_classic/classic": {"Member": 1, "Partition": 1, "Generation": 3},
    "groups_consumer/consumer": {"Member": 1, "Partition": 2, "MemberEpoch": 2, "Version": 3},
    "delivery/end-to-end": {"Value": 2, "Offset": 1, "Member": 1, "Generation": 4},
    "delivery/acks-all": {"Value": 3, "Offset": 4},
    "delivery/acks-one": {"Value": 3, "Offset": 4},
    "delivery/acks-zero": {"Value": 3, "Offset": 4},
    "delivery/retries": {"Value": 2, "Offset": 4},
    "delivery/idempotent": {"Value": 3, "Offset": 2},
    "delivery/commit-first": {"Member": 3, "Generation": 4, "Offset": 1},
    "delivery/process-first": CONSUMERS,
    "delivery/process-first-unfenced": CONSUMERS,
    "delivery/transactional": CONSUMERS,
    "delivery/producer-per-partition": CONSUMERS,
}
"""For each right variant an instance that the plain explorer finishes in a second or two."""


RIGHT: list[tuple[str, type[Protocol]]] = [
    (f"{family.name}/{variant.name}", variant.protocol)
    for family in FAMILIES.values()
    for variant in family.variants
    if not variant.is_wrong
]


@pytest.mark.parametrize(("protocol", "counts"), CASES)
def test_explorers_agree(protocol: type[Protocol], counts: Mapping[str, int]) -> None:
    assert states_agreed_on(protocol, counts) > 5


@pytest.mark.parametrize(("name", "protocol"), RIGHT)
def test_explorers_agree_on_every_model(name: str, protocol: type[Protocol]) -> None:
    assert states_agreed_on(protocol, TINY[name]) > 90


def states_agreed_on(protocol: type[Protocol], counts: Mapping[str, int]) -> int:
    """Everything that both explorers find is the same. Returns how many states there are."""
    model = trace(protocol)
    plain = PlainExplorer(model, counts).explore()
    explorer = Explorer(model, Bounds(**counts))
    explorer.run()
    result = explorer.result()
    cells = [(cell.leaf.name, cell.index) for cell in explorer.ground.cells]
    states = {
        frozenset(zip(cells, map(int, explorer.state(number)), strict=True))
        for number in range(result.distinct)
    }
    assert result.complete
    different = len(states ^ plain.states.keys())  # not the sets: pytest would print them all
    assert different == 0
    assert list(result.levels) == plain.levels
    assert result.actions == plain.actions
    assert result.generated == 1 + sum(plain.actions.values())
    assert result.deadlocks.count == plain.stuck
    found = {name: (v.count, v.first_level) for name, v in result.violations.items()}
    assert found == plain.violations
    assert {n: at for n, at in result.witnesses.items() if at is not None} == plain.witnesses
    assert sum(result.fresh.values()) == result.distinct - 1
    return result.distinct


@pytest.mark.parametrize(("protocol", "counts"), CASES)
def test_every_step_of_a_counterexample_is_one(
    protocol: type[Protocol], counts: Mapping[str, int]
) -> None:
    model = trace(protocol)
    plain = PlainExplorer(model, counts)
    explorer = Explorer(model, Bounds(**counts))
    explorer.run()
    cells = [(cell.leaf.name, cell.index) for cell in explorer.ground.cells]
    for name, violation in explorer.result().violations.items():
        states = [
            frozenset(zip(cells, map(int, moment.cells), strict=True))
            for moment in violation.trace.moments
        ]
        assert states[0] == plain.initial()
        for moment, before, after in zip(
            violation.trace.moments[1:], states, states[1:], strict=False
        ):
            step = (moment.action, tuple(moment.params.values()), after)
            is_a_step = step in list(plain.successors(before, moment.action))
            assert is_a_step, moment
        assert not plain.value(model.invariants[name].expr, dict(states[-1]), {})
