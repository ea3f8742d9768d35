"""The requests that only the leader answers, at every version, with the epoch that some carry."""

from dataclasses import dataclass
from typing import Any

from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.partition import LATEST, NAMED_TOPICS_UP_TO, Partition
from conformance.records import batch_of

UNCHECKED = -1
LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """A range of versions of one request."""

    api: str
    first: int
    last: int = 99

    def of(self, connection: Connection) -> tuple[int, ...]:
        """Those that both sides know; raises `Unsupported` where there is none."""
        newest = connection.version(self.api, at_least=self.first, at_most=self.last)
        oldest = max(self.first, connection.versions[codec.KEYS[self.api]][0])
        return tuple(v for v in codec.VERSIONS[self.api] if oldest <= v <= newest)

    def served_by(self, connection: Connection) -> bool:
        """Whether there is one."""
        low, high = connection.versions.get(codec.KEYS[self.api], (0, -1))
        known = codec.VERSIONS[self.api]
        return any(max(low, self.first) <= v <= min(high, self.last) for v in known)


CARRIERS = {
    "fetch": Versions(api="fetch", first=9, last=NAMED_TOPICS_UP_TO),
    "fetch-by-topic-id": Versions(api="fetch", first=NAMED_TOPICS_UP_TO + 1),
    "list-offsets": Versions(api="list_offsets", first=4),
    "offset-for-leader-epoch": Versions(api="offset_for_leader_epoch", first=2),
}
"""What carries current_leader_epoch, and since when (KIP-320)."""


def request(
    partition: Partition,
    over: Connection,
    api: str,
    version: int,
    *,
    epoch: int = UNCHECKED,
    offset: int = 0,
) -> Entity:
    """A request about one partition; `epoch` is what it carries, where it can."""
    if api == "produce":
        batch = batch_of(b"to whoever leads")
        return partition.produce_request(batch, over=over, version=version, acks=1)
    if api == "fetch":
        checked: dict[str, Any] = {}
        if version >= CARRIERS["fetch"].first:
            checked["current_leader_epoch"] = epoch
        return partition.fetch_request(offset, over=over, version=version, **checked)
    part = {"current_leader_epoch": epoch}
    if api == "list_offsets":
        part |= {"partition_index": partition.number, "timestamp": LATEST}
        topic = {"name": partition.topic.name, "partitions": [part]}
    else:
        part |= {"partition": partition.number, "leader_epoch": 0}
        topic = {"topic": partition.topic.name, "partitions": [part]}
    return over.build(api, at_least=version, at_most=version, replica_id=-1, topics=[topic])


def send(over: Connection, entity: Entity) -> Pending[ErrorCode]:
    """Sends it; the answer is the error about its partition."""
    return over.send(entity, partition_error)


def partition_error(answer: Entity) -> ErrorCode:
    """The error about the only partition of an answer, or that of the whole answer."""
    whole: ErrorCode = getattr(answer, "error_code", ErrorCode.none)
    part = only_part(answer)
    if part is None or whole is not ErrorCode.none:
        return whole
    error: ErrorCode = part.error_code
    return error


def only_part(answer: Entity) -> Entity | None:
    """The only partition of an answer; None where a session left it out as unchanged."""
    topics = answer.responses if hasattr(answer, "responses") else answer.topics
    if not topics:
        return None
    produced = getattr(topics[0], "partition_responses", None)
    return (topics[0].partitions if produced is None else produced)[0]
