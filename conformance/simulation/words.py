"""What is said of messages and of changes when the story of a run is told."""

import re

from reference.messages import AlterPartition, MetadataUpdate, ReplicaFetch, ReplicaFetched
from reference.metadata.records import NO_LEADER, PartitionId, PartitionState
from reference.requests import Fetch, Fetched, Produce, Produced
from reference.simulator.workload import records_of
from spec.story import Value

Lane = dict[str, Value]


def lane_of(node: int) -> str:
    """The lane of a node, or of ZooKeeper's ensemble."""
    return f"b{node}" if node > 0 else "zookeeper"


def lanes_of(nodes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(lane_of(node) for node in nodes)


def label_of(message: object, partition: PartitionId) -> str:
    """What a message says about a partition, in a few words."""
    match message:
        case ReplicaFetch(id=id_, offset=offset) if id_ == partition:
            return f"fetch from {offset}"
        case ReplicaFetched(id=id_) if id_ == partition:
            return _response(message)
        case AlterPartition(id=id_, isr=isr) if id_ == partition:
            return f"ISR {_names(isr)}?"
        case MetadataUpdate(records=records):
            about = [r for r in records if isinstance(r, PartitionState) and r.id == partition]
            return _decision(about[-1]) if about else "metadata"
        case Produce(parts=parts):
            return f"write {', '.join(_values(part.records or b'') for part in parts)}"
        case Produced(parts=(part,)):
            return part.error.name if part.error else f"at {part.base_offset}"
        case Fetch(parts=(wanted,)):
            return f"read from {wanted.offset}"
        case Fetched(parts=(found,)):
            return found.error.name if found.error else _values(found.records) or "nothing new"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(message).__name__).lower()


def _response(fetched: ReplicaFetched) -> str:
    if fetched.diverging:
        return f"go back to {fetched.diverging.end_offset}, epoch {fetched.diverging.leader_epoch}"
    return _values(fetched.records) or f"high watermark {fetched.high_watermark}"


def _values(records: bytes) -> str:
    values = [record.value.decode(errors="replace") for record in records_of(records)]
    return ", ".join(values) if len(values) < 4 else f"{values[0]} to {values[-1]}"


def _decision(state: PartitionState) -> str:
    leader = lane_of(state.leader) if state.leader != NO_LEADER else "nobody"
    return f"{leader} leads in epoch {state.leader_epoch}, ISR {_names(state.isr)}"


def _names(nodes: tuple[int, ...]) -> str:
    return " ".join(lanes_of(nodes)) or "empty"


def change_of(before: Lane, after: Lane) -> str:
    """What a broker has done, from its states before and after."""
    said = []
    if (before.get("role"), before.get("leader_epoch")) != (after["role"], after["leader_epoch"]):
        said.append(f"{after['role']} in epoch {after['leader_epoch']}")
    old, new = before.get("log") or (), after["log"] or ()
    assert isinstance(old, tuple)
    assert isinstance(new, tuple)
    kept = next(
        (n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]),
        min(len(old), len(new)),
    )
    if kept < len(old):
        said.append(f"truncates to {kept}")
    if kept < len(new):
        values = [str(entry[3]) for entry in new[kept:]]
        said.append("appends " + (", ".join(values) if len(values) < 4 else f"{len(values)} more"))
    if before.get("high_watermark") != after["high_watermark"]:
        said.append(f"high watermark {after['high_watermark']}")
    if before.get("isr") != after["isr"] and isinstance(after["isr"], tuple):
        said.append(f"ISR {' '.join(map(str, after['isr']))}")
    return "; ".join(said)
