"""What Kafka keeps in ZooKeeper: where, and as which text.

Data are JSON. A partition's state node has the controller epoch of the decision beside it, and its
version is the partition epoch. Source: core/src/main/scala/kafka/zk/ZkData.scala.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from reference.metadata.records import PartitionId, PartitionState
from reference.metadata.zookeeper.messages import Create, Operation, SetData
from reference.metadata.zookeeper.tree import Tree
from reference.requests import ResourceType

CONTROLLER = "/controller"
CONTROLLER_EPOCH = "/controller_epoch"
BROKER_IDS = "/brokers/ids"
TOPICS = "/brokers/topics"
TOPIC_CONFIGS = "/config/topics"
BROKER_CONFIGS = "/config/brokers"
PRODUCER_IDS = "/latest_producer_id_block"

PERSISTENT: Mapping[str, str] = {
    "/brokers": "",
    BROKER_IDS: "",
    TOPICS: "",
    "/config": "",
    TOPIC_CONFIGS: "",
    BROKER_CONFIGS: "",
    CONTROLLER_EPOCH: "0",
    PRODUCER_IDS: '{"next":0}',
}
"""What whoever comes first creates, in this order."""

_STATE = re.compile(rf"{TOPICS}/([^/]+)/partitions/(\d+)/state")

ALL_BROKERS = "<default>"
"""The name of the broker that stands for all of them (ConfigEntityName.DEFAULT)."""


class Replicas(NamedTuple):
    replicas: tuple[int, ...]
    adding: tuple[int, ...] = ()
    removing: tuple[int, ...] = ()


@dataclass(slots=True)
class Assignment:
    """The data of a topic's node: where its partitions are, and on their way to."""

    topic_id: UUID
    partitions: dict[int, Replicas] = field(default_factory=dict)

    def text(self) -> str:
        partitions = {
            str(number): [list(brokers) for brokers in each]
            for number, each in sorted(self.partitions.items())
        }
        return _text({"topic_id": str(self.topic_id), "partitions": partitions})

    @classmethod
    def of(cls, text: str) -> "Assignment":
        content = json.loads(text)
        partitions = {
            int(number): Replicas(*map(tuple, each))
            for number, each in content["partitions"].items()
        }
        return cls(UUID(content["topic_id"]), partitions)


# ---- paths -------------------------------------------------------------------------------------


def broker_path(broker: int) -> str:
    return f"{BROKER_IDS}/{broker}"


def topic_path(name: str) -> str:
    return f"{TOPICS}/{name}"


def partition_path(name: str, number: int) -> str:
    return f"{TOPICS}/{name}/partitions/{number}"


def state_path(name: str, number: int) -> str:
    return f"{TOPICS}/{name}/partitions/{number}/state"


def config_path(kind: int, resource: str) -> str:
    if kind == ResourceType.TOPIC:
        return f"{TOPIC_CONFIGS}/{resource}"
    return f"{BROKER_CONFIGS}/{resource or ALL_BROKERS}"


# ---- data --------------------------------------------------------------------------------------


def _text(content: object) -> str:
    return json.dumps(content, separators=(",", ":"))


def broker_text(incarnation: UUID) -> str:
    return _text({"incarnation": str(incarnation)})


def incarnation_of(text: str) -> UUID:
    return UUID(json.loads(text)["incarnation"])


def controller_text(broker: int) -> str:
    return _text({"brokerid": broker})


def controller_of(text: str) -> int:
    return int(json.loads(text)["brokerid"])


def producer_ids_text(next_producer_id: int) -> str:
    return _text({"next": next_producer_id})


def next_producer_id_of(text: str) -> int:
    return int(json.loads(text)["next"])


def config_text(overrides: Mapping[str, str]) -> str:
    return _text({"config": overrides})


def overrides_of(text: str) -> dict[str, str]:
    overrides: dict[str, str] = json.loads(text)["config"]
    return overrides


def state_text(state: PartitionState, controller_epoch: int) -> str:
    """What a state node says; the rest of the state is in the topic's node, or its version."""
    return _text(
        {
            "leader": state.leader,
            "leader_epoch": state.leader_epoch,
            "isr": state.isr,
            "controller_epoch": controller_epoch,
            "elr": state.elr,
            "last_known_elr": state.last_known_elr,
            "recovering": state.recovering,
        }
    )


def controller_epoch_of(text: str) -> int:
    """The epoch of the controller that wrote a partition's state."""
    return int(json.loads(text)["controller_epoch"])


def isr_of(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text)["isr"])


def state_of(partition: PartitionId, text: str, version: int, replicas: Replicas) -> PartitionState:
    content: dict[str, Any] = json.loads(text)
    return PartitionState(
        id=partition,
        replicas=replicas.replicas,
        leader=content["leader"],
        leader_epoch=content["leader_epoch"],
        isr=tuple(content["isr"]),
        partition_epoch=version,
        adding=replicas.adding,
        removing=replicas.removing,
        elr=tuple(content["elr"]),
        last_known_elr=tuple(content["last_known_elr"]),
        recovering=content["recovering"],
    )


# ---- what a transaction has said of partitions -------------------------------------------------


def named_by(path: str) -> tuple[str, int] | None:
    """The topic and number of the partition whose state node is at a path, if it is one."""
    found = _STATE.fullmatch(path)
    return (found[1], int(found[2])) if found else None


def partition_at(tree: Tree, path: str) -> PartitionId | None:
    """The partition whose state node is at a path; None where there is no such topic."""
    named = named_by(path)
    topic = tree.get(topic_path(named[0])) if named else None
    return PartitionId(Assignment.of(topic.data).topic_id, named[1]) if named and topic else None


def written_states(tree: Tree, operations: Sequence[Operation]) -> Iterator[PartitionState]:
    """Yields the partition states that a transaction has just written, in order.

    What the transaction itself has deleted again is left out.
    """
    for operation in operations:
        named = named_by(operation.path)
        if named is None or not isinstance(operation, Create | SetData):
            continue
        topic = tree.get(topic_path(named[0]))
        assignment = Assignment.of(topic.data) if topic else None
        if assignment and named[1] in assignment.partitions:
            version = operation.version + 1 if isinstance(operation, SetData) else 0
            partition = PartitionId(assignment.topic_id, named[1])
            replicas = assignment.partitions[named[1]]
            yield state_of(partition, operation.data, version, replicas)
