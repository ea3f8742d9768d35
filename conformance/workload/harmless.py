"""One minimal request per API that a client may send and that changes nothing of anyone else's.

They ask about a topic of the test's own or about nothing at all; what concerns groups and
transactions names one that nobody has, and speaks as a member that it does not know. Left out is
what brokers say to each other, what changes a cluster (formatting, unregistering, joining a
quorum), what creates something that stays, and SASL, which would start an authentication.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.client import ADMIN_TIMEOUT_MS
from conformance.codec import Entity
from conformance.connection import Connection, Pending
from conformance.outcomes import MalformedAnswer, Unsupported
from conformance.partition import FETCH_MAX_BYTES, PRODUCE_TIMEOUT_MS, Topic
from conformance.records import batch_of

NO_TOPIC_ID = UUID(int=0)
NO_KIND_OF_COORDINATOR = 99
"""Asking for the coordinator of a group would create the topic that holds their offsets."""
GROUP, OF_A_TOPIC = 2, 2
"""The kind of a group resource's pattern (ACLs), and of a topic's configuration."""
NOT_HARMLESS = frozenset({("find_coordinator", 0)})
"""Without a kind the coordinator of a group is meant."""
Values = Mapping[str, object]


def harmless_requests(topic: Topic) -> Mapping[str, Values]:
    """API -> the fields of a request in any of its versions. Needs a topic with records in it."""
    nobody = f"{topic.name}-nobody"
    return (
        _about_records(topic)
        | _about_topics(topic)
        | _about_groups(topic, nobody)
        | _about_transactions(topic, nobody)
        | _about_the_cluster(nobody)
    )


def _topic_id(topic: Topic) -> UUID:
    """A broker that does not say it is asked by an id that nobody has, which is harmless too."""
    try:
        return topic.topic_id or NO_TOPIC_ID
    except (Unsupported, MalformedAnswer):
        return NO_TOPIC_ID


def _about_records(topic: Topic) -> dict[str, Values]:
    named = {"name": topic.name, "topic": topic.name, "topic_id": _topic_id(topic)}
    in_produce = {key: named[key] for key in ("name", "topic_id")}
    in_fetch = {key: named[key] for key in ("topic", "topic_id")}
    position = {"current_leader_epoch": -1, "partition": 0}
    fetched = position | {"last_fetched_epoch": -1, "log_start_offset": -1}
    limits = {"max_bytes": FETCH_MAX_BYTES, "min_bytes": 1, "max_wait": 0}
    return {
        "produce": {
            "acks": -1,
            "timeout": PRODUCE_TIMEOUT_MS,
            "topic_data": [
                in_produce
                | {"partition_data": [{"index": 0, "records": batch_of(b"swept").encode()}]}
            ],
        },
        "fetch": limits
        | {
            "replica_id": -1,
            "session_epoch": -1,
            "topics": [
                in_fetch | {"partitions": [fetched | {"partition_max_bytes": FETCH_MAX_BYTES}]}
            ],
        },
        "list_offsets": {
            "replica_id": -1,
            "topics": [
                {
                    "name": topic.name,
                    "partitions": [
                        {"partition_index": 0, "current_leader_epoch": -1, "timestamp": -1}
                    ],
                }
            ],
        },
        "offset_for_leader_epoch": {
            "replica_id": -1,
            "topics": [{"topic": topic.name, "partitions": [position | {"leader_epoch": 0}]}],
        },
        "delete_records": {
            "timeout": ADMIN_TIMEOUT_MS,
            "topics": [{"name": topic.name, "partitions": [{"partition_index": 0, "offset": 0}]}],
        },
        "describe_producers": {"topics": [{"name": topic.name, "partition_indexes": (0,)}]},
    }


def _about_topics(topic: Topic) -> dict[str, Values]:
    return {
        "metadata": {
            "topics": [{"name": topic.name}],
            "allow_auto_topic_creation": False,
        },
        "describe_topic_partitions": {
            "topics": [{"name": topic.name}],
            "response_partition_limit": 10,
        },
        "describe_configs": {
            "resources": [
                {
                    "resource_type": OF_A_TOPIC,
                    "resource_name": topic.name,
                    "configuration_keys": None,
                }
            ]
        },
        "describe_log_dirs": {"topics": [{"topic": topic.name, "partitions": (0,)}]},
        "create_topics": {"validate_only": True, "timeout": ADMIN_TIMEOUT_MS},
        "delete_topics": {"timeout": ADMIN_TIMEOUT_MS},
        "create_partitions": {"validate_only": True, "timeout": ADMIN_TIMEOUT_MS},
        "alter_configs": {"validate_only": True},
        "incremental_alter_configs": {"validate_only": True},
        "alter_replica_log_dirs": {},
        "elect_leaders": {
            "timeout": ADMIN_TIMEOUT_MS,
            "topic_partitions": [{"topic": topic.name, "partitions": (0,)}],
        },
        "alter_partition_reassignments": {"timeout": ADMIN_TIMEOUT_MS},
        "list_partition_reassignments": {
            "timeout": ADMIN_TIMEOUT_MS,
            "topics": [{"name": topic.name, "partition_indexes": (0,)}],
        },
    }


def _about_groups(topic: Topic, nobody: str) -> dict[str, Values]:
    member = {"group_id": nobody, "member_id": "nobody"}
    generation = member | {"generation_id": 1}
    heartbeat = member | {"member_epoch": 5}
    return {
        "find_coordinator": {"key": nobody, "key_type": NO_KIND_OF_COORDINATOR},
        "offset_commit": member | {"generation_id_or_member_epoch": 1},
        "offset_fetch": {
            "group_id": nobody,
            "groups": [{"group_id": nobody, "topics": ()}],
        },
        "join_group": member
        | {"session_timeout": 10_000, "rebalance_timeout": 10_000, "protocol_type": "consumer"},
        "sync_group": generation,
        "heartbeat": generation,
        "leave_group": member | {"members": [{"member_id": "nobody"}]},
        "describe_groups": {},
        "list_groups": {},
        "delete_groups": {},
        "offset_delete": {"group_id": nobody},
        "consumer_group_heartbeat": heartbeat,
        "consumer_group_describe": {},
        "share_group_heartbeat": heartbeat,
        "share_group_describe": {},
        "share_fetch": member | {"share_session_epoch": -1},
        "share_acknowledge": member | {"share_session_epoch": -1},
        "streams_group_heartbeat": heartbeat,
        "streams_group_describe": {},
        "describe_share_group_offsets": {},
        "alter_share_group_offsets": {"group_id": nobody},
        "delete_share_group_offsets": {"group_id": nobody},
    }


def _about_transactions(topic: Topic, nobody: str) -> dict[str, Values]:
    transaction = {"transactional_id": nobody, "producer_id": 1, "producer_epoch": 0}
    return {
        "init_producer_id": {"transactional_id": None, "producer_id": -1, "producer_epoch": -1},
        "add_partitions_to_txn": {
            "v3_and_below_transactional_id": nobody,
            "transactions": [transaction | {"verify_only": True}],
        },
        "add_offsets_to_txn": transaction | {"group_id": nobody},
        "end_txn": transaction,
        "txn_offset_commit": transaction | {"group_id": nobody},
        "describe_transactions": {},
        "list_transactions": {},
    }


def _about_the_cluster(nobody: str) -> dict[str, Values]:
    return {
        "api_versions": {
            "client_software_name": "highwater",
            "client_software_version": "0",
        },
        "describe_cluster": {},
        "describe_acls": {
            "resource_type_filter": GROUP,
            "resource_name_filter": nobody,
            "operation": 1,
            "permission_type": 1,
        },
        "create_acls": {},
        "delete_acls": {},
        "describe_delegation_token": {"owners": ()},
        "describe_client_quotas": {"strict": True},
        "alter_client_quotas": {"validate_only": True},
        "describe_user_scram_credentials": {"users": [{"name": nobody}]},
        "alter_user_scram_credentials": {},
        "list_config_resources": {},
        "get_telemetry_subscriptions": {},
    }


# ---- sending them -------------------------------------------------------------------------------


def served(connection: Connection, requests: Mapping[str, Values]) -> list[Entity]:
    """One request per advertised version, as far as kio knows the version."""
    return [
        codec.request(api, version, **values)
        for api, values in requests.items()
        for version in codec.VERSIONS[api]
        if is_served(connection, api, version) and (api, version) not in NOT_HARMLESS
    ]


def is_served(connection: Connection, api: str, version: int) -> bool:
    low, high = connection.versions.get(codec.KEYS[api], (0, -1))
    return low <= version <= high


def asked_in_turn(topic: Topic, requests: Iterable[Entity]) -> list[Pending[Entity]]:
    """Sends all in one pipeline to the leader of partition 0. Where the broker closes it, the
    first request without an answer is the one to blame, and the rest goes on elsewhere."""
    asked: list[Pending[Entity]] = []
    rest = list(requests)
    while rest:
        connection = topic[0].connect()
        sent: list[Pending[Entity]] = [connection.send(request) for request in rest]
        topic.target.settle(*sent)
        answered = sum(pending.answered for pending in sent)
        asked += sent[: answered + 1]
        rest = rest[answered + 1 :]
        connection.close()
    return asked


def errors_in(answer: object) -> tuple[ErrorCode, ...]:
    """All error codes of an answer, at any depth, in the order of its fields."""
    if isinstance(answer, ErrorCode):
        return (answer,)
    if isinstance(answer, tuple):
        return tuple(error for entry in answer for error in errors_in(entry))
    if is_dataclass(answer):
        values: list[Any] = [getattr(answer, field.name) for field in fields(answer)]
        return errors_in(tuple(values))
    return ()
