"""How a node joins the cluster and becomes its controller: what it asks ZooKeeper, step by step.

Each function is a conversation: it yields what it asks, or the path whose watch it waits for.
Source: KafkaZkClient.scala (registerBroker, registerControllerAndIncrementControllerEpoch),
KafkaController.scala (elect).
"""

from collections.abc import Generator
from typing import NamedTuple
from uuid import UUID

from reference.metadata.zookeeper import znodes
from reference.metadata.zookeeper.messages import (
    Create,
    Delete,
    Exists,
    Failure,
    GetData,
    Node,
    Operations,
    Outcome,
    Result,
    SetData,
    Stat,
    results_of,
)
from reference.rules import Rules


class Elected(NamedTuple):
    epoch: int
    epoch_version: int
    """Of /controller_epoch, as long as nobody else is elected."""


Waiting = Generator[Operations | str, Outcome, int]


def create_persistent() -> Generator[Operations, Outcome, None]:
    """Sees to it that the nodes exist which are always there."""
    while True:
        found = results_of((yield tuple(Exists(path) for path in znodes.PERSISTENT)))
        missing = [
            Create(path, data)
            for (path, data), stat in zip(znodes.PERSISTENT.items(), found, strict=True)
            if stat is None
        ]
        if not missing:
            return
        # This fails if another node is quicker; then there may be nothing left to do.
        yield tuple(missing)


def register(rules: Rules, node: int, incarnation: UUID) -> Waiting:
    """Creates the broker's node, when no former life of the broker is in the way any more.

    Returns the broker epoch (KIP-380).
    """
    path = znodes.broker_path(node)
    create = Create(path, znodes.broker_text(incarnation), ephemeral=True)
    while True:
        outcome = yield (create,)
        if not isinstance(outcome, Failure):
            return stat_of(outcome[0]).czxid
        _, other = results_of((yield (Exists(path, watch=True), GetData(path))))
        if isinstance(other, Node):
            is_own = znodes.incarnation_of(other.data) == incarnation
            if rules.may_register(same_incarnation=is_own, session_alive=True):
                yield (Delete(path, other.stat.version),)
            else:
                yield path


def look() -> Generator[Operations, Outcome, tuple[int | None, Node]]:
    """Returns who is the controller, and the node of the controller epoch; leaves a watch."""
    outcome = yield (
        Exists(znodes.CONTROLLER, watch=True),
        GetData(znodes.CONTROLLER),
        GetData(znodes.CONTROLLER_EPOCH),
    )
    _, owner, epoch = results_of(outcome)
    assert isinstance(epoch, Node), f"{znodes.CONTROLLER_EPOCH} is gone: {epoch}"
    return znodes.controller_of(owner.data) if isinstance(owner, Node) else None, epoch


def stand(rules: Rules, node: int, epoch: Node) -> Generator[Operations, Outcome, Elected | None]:
    """Takes the office and the next epoch at once; returns None where somebody was quicker."""
    number = rules.next_controller_epoch(int(epoch.data))
    outcome = yield (
        Create(znodes.CONTROLLER, znodes.controller_text(node), ephemeral=True),
        SetData(
            znodes.CONTROLLER_EPOCH,
            str(number),
            rules.raised_epoch_version(epoch.stat.version),
        ),
    )
    if isinstance(outcome, Failure):
        return None
    return Elected(number, stat_of(outcome[1]).version)


def stat_of(result: Result) -> Stat:
    assert isinstance(result, Stat), f"a write has returned {result}"
    return result
