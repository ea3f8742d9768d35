"""Which node is the active controller, as clients can see it."""

from dataclasses import dataclass

from kio.schema.errors import ErrorCode

from conformance.client import Client
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.workload.settings import BROKER, described

METADATA_LOG = "__cluster_metadata"
SESSION_TIMEOUTS = ("broker.session.timeout.ms", "zookeeper.session.timeout.ms")
ASSUMED_SESSION_MS = 18_000
"""The longest default of both, for brokers that tell none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """The leader of the KRaft quorum in one epoch, which is the active controller."""

    leader: int
    epoch: int


def ask_for_quorum(over: Connection) -> Pending[Quorum | None]:
    """DescribeQuorum: None where the broker cannot say. Raises `Unsupported` without KRaft."""
    topic = {"topic_name": METADATA_LOG, "partitions": [{"partition_index": 0}]}
    return over.send(over.build("describe_quorum", topics=[topic]), _quorum)


def _quorum(answer: Entity) -> Quorum | None:
    if answer.error_code is not ErrorCode.none:
        return None
    part = answer.topics[0].partitions[0]
    if part.error_code is not ErrorCode.none:
        return None
    return Quorum(leader=part.leader_id, epoch=part.leader_epoch)


def active_controller(client: Client) -> int:
    """By DescribeQuorum where there is one, because with KRaft Metadata names any live broker."""
    over = client.broker()
    if over.serves("describe_quorum"):
        quorum = ask_for_quorum(over).result()
        if quorum and quorum.leader in client.brokers:
            return quorum.leader
    return int(client.metadata().controller_id)


def session_timeout_ms(client: Client) -> int:
    """After which silence a broker is given up, by the longer of what both modes go by."""
    broker = client.brokers[0]
    told = described(client.broker(broker), BROKER, str(broker), SESSION_TIMEOUTS)
    return max((int(value) for value in told.values() if value), default=ASSUMED_SESSION_MS)
