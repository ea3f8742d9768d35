"""One request of every served API, with a different value in every field.

Each is given twice: as a client fills it in kio's newest version, and as the core must see it.
`request_frame` builds the frame of any version, without what the version lacks.
"""

import dataclasses
import io
import struct
import sys
from datetime import timedelta
from typing import Any, get_args, get_origin
from uuid import UUID

from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer

from reference import requests as core
from reference.requests import Partition
from reference.wire.adapter import fill

ID = UUID("6f2d1a3e-7b1c-4c55-9a61-0d8f4f6f9a10")
SECOND = timedelta(seconds=1)


def build(schema: Any, values: dict[str, Any]) -> Any:
    """Returns a kio entity from plain values: dicts for structs, lists for arrays."""

    def convert(annotation: Any, value: Any) -> Any:
        if isinstance(value, list):
            kind = next(a for a in (annotation, *get_args(annotation)) if get_origin(a) is tuple)
            return tuple(convert(get_args(kind)[0], each) for each in value)
        return build(annotation, value) if isinstance(value, dict) else value

    types = {field.name: field.type for field in dataclasses.fields(schema)}
    known = {name: convert(types[name], each) for name, each in values.items() if name in types}
    return fill(schema, **known)


def encoded(entity: Any) -> bytes:
    """Returns kio's bytes of an entity."""
    buffer = io.BytesIO()
    entity_writer(type(entity))(buffer, entity)
    return buffer.getvalue()


def frame(schema: Any, body: bytes, correlation_id: int = 7) -> bytes:
    """Returns a request frame with this body."""
    head = struct.pack(">hhi", schema.__api_key__, schema.__version__, correlation_id)
    client_id = b"\0\4test"
    return head + client_id + (b"\0" if schema.__header_schema__.__flexible__ else b"") + body


def request_frame(api_key: int, version: int, correlation_id: int = 7) -> bytes:
    """Returns the frame of the sample request in a version."""
    schema: Any = load_request_schema(api_key, version)
    values = dict(REQUESTS[api_key][0])
    if api_key == 3 and version < 12:
        values["topics"] = [{"name": "a"}]
    if api_key == 20:
        values["topics"] = [{"topic_id": ID}, {"name": "b"}]
    return frame(schema, encoded(build(schema, values)), correlation_id)


def read_response(api_key: int, version: int, answer: bytes) -> tuple[int, Any]:
    """Returns correlation id and kio entity of a response frame, every byte accounted for."""
    schema: Any = load_response_schema(api_key, version)
    header, start = entity_reader(schema.__header_schema__)(answer, 0)
    entity, size = entity_reader(schema)(answer, start)
    assert start + size == len(answer)
    return header.correlation_id, entity


def module_of(schema: Any) -> Any:
    """Returns the module of a kio class."""
    return sys.modules[schema.__module__]


REQUESTS: dict[int, tuple[dict[str, Any], Any]] = {
    0: (
        {
            "transactional_id": "t",
            "acks": -1,
            "timeout": SECOND,
            "topic_data": [
                {
                    "topic_id": ID,
                    "name": "a",
                    "partition_data": [{"index": 3, "records": b"xyz"}, {"index": 4}],
                }
            ],
        },
        core.Produce(
            acks=-1,
            timeout_ms=1000,
            transactional_id="t",
            parts=(
                core.ProducePart(topic=ID, number=3, records=b"xyz"),
                core.ProducePart(topic=ID, number=4, records=None),
            ),
            api_version=13,
        ),
    ),
    1: (
        {
            "replica_id": -1,
            "max_wait": SECOND,
            "min_bytes": 2,
            "max_bytes": 3,
            "isolation_level": 1,
            "session_id": 4,
            "session_epoch": 5,
            "topics": [
                {
                    "topic_id": ID,
                    "topic": "a",
                    "partitions": [
                        {
                            "partition": 6,
                            "current_leader_epoch": 7,
                            "fetch_offset": 8,
                            "last_fetched_epoch": 9,
                            "log_start_offset": -1,
                            "partition_max_bytes": 10,
                        }
                    ],
                }
            ],
            "forgotten_topics_data": [{"topic_id": ID, "topic": "a", "partitions": [11, 12]}],
            "rack_id": "",
        },
        core.Fetch(
            replica_id=-1,
            max_wait_ms=1000,
            min_bytes=2,
            max_bytes=3,
            read_committed=True,
            session_id=4,
            session_epoch=5,
            parts=(
                core.FetchPart(
                    topic=ID,
                    number=6,
                    offset=8,
                    max_bytes=10,
                    current_leader_epoch=7,
                    last_fetched_epoch=9,
                ),
            ),
            forgotten=((ID, 11), (ID, 12)),
            api_version=17,
        ),
    ),
    2: (
        {
            "replica_id": -1,
            "isolation_level": 1,
            "topics": [
                {
                    "name": "a",
                    "partitions": [
                        {"partition_index": 1, "current_leader_epoch": 2, "timestamp": -3}
                    ],
                }
            ],
        },
        core.ListOffsets(
            replica_id=-1,
            read_committed=True,
            parts=(
                core.ListOffsetsPart(topic="a", number=1, timestamp=-3, current_leader_epoch=2),
            ),
            api_version=0,
        ),
    ),
    3: (
        {
            "topics": [{"topic_id": ID, "name": None}, {"topic_id": None, "name": "b"}],
            "allow_auto_topic_creation": False,
        },
        core.Metadata(topics=(ID, "b"), allow_auto_topic_creation=False),
    ),
    19: (
        {
            "topics": [
                {
                    "name": "a",
                    "num_partitions": 2,
                    "replication_factor": 3,
                    "assignments": [{"partition_index": 0, "broker_ids": [1, 2]}],
                    "configs": [{"name": "c", "value": "d"}, {"name": "e", "value": None}],
                }
            ],
            "timeout": SECOND,
            "validate_only": True,
        },
        core.CreateTopics(
            topics=(
                core.NewTopic(
                    name="a",
                    partitions=2,
                    replication_factor=3,
                    assignments=((0, (1, 2)),),
                    configs=(("c", "d"), ("e", None)),
                ),
            ),
            timeout_ms=1000,
            validate_only=True,
        ),
    ),
    20: (
        {"topic_names": ["a", "b"], "topics": [], "timeout": SECOND},
        core.DeleteTopics(topics=(ID, "b"), timeout_ms=1000),
    ),
    21: (
        {
            "topics": [{"name": "a", "partitions": [{"partition_index": 1, "offset": 2}]}],
            "timeout": SECOND,
        },
        core.DeleteRecords(
            timeout_ms=1000, parts=(core.DeleteRecordsPart(topic="a", number=1, before_offset=2),)
        ),
    ),
    22: (
        {
            "transactional_id": "t",
            "transaction_timeout": SECOND,
            "producer_id": 5,
            "producer_epoch": 6,
        },
        core.InitProducerId(
            transactional_id="t", transaction_timeout_ms=1000, producer_id=5, producer_epoch=6
        ),
    ),
    23: (
        {
            "replica_id": -1,
            "topics": [
                {
                    "topic": "a",
                    "partitions": [{"partition": 1, "current_leader_epoch": 2, "leader_epoch": 3}],
                }
            ],
        },
        core.OffsetForLeaderEpoch(
            replica_id=-1,
            parts=(core.EpochEndPart(topic="a", number=1, leader_epoch=3, current_leader_epoch=2),),
        ),
    ),
    32: (
        {
            "resources": [
                {"resource_type": 2, "resource_name": "a", "configuration_keys": ["k"]},
                {"resource_type": 4, "resource_name": "1", "configuration_keys": None},
            ],
            "include_synonyms": True,
            "include_documentation": True,
        },
        core.DescribeConfigs(
            resources=(
                core.ResourceToDescribe(type=2, name="a", keys=("k",)),
                core.ResourceToDescribe(type=4, name="1", keys=None),
            ),
            include_synonyms=True,
            include_documentation=True,
        ),
    ),
    37: (
        {
            "topics": [
                {"name": "a", "count": 2, "assignments": [{"broker_ids": [3, 1]}]},
                {"name": "b", "count": 3, "assignments": None},
            ],
            "timeout": SECOND,
            "validate_only": True,
        },
        core.CreatePartitions(
            topics=(
                core.MorePartitions(topic="a", count=2, assignments=((3, 1),)),
                core.MorePartitions(topic="b", count=3, assignments=None),
            ),
            timeout_ms=1000,
            validate_only=True,
        ),
    ),
    43: (
        {
            "election_type": 1,
            "topic_partitions": [{"topic": "a", "partitions": [1, 2]}],
            "timeout": SECOND,
        },
        core.ElectLeaders(
            election=1, partitions=(Partition("a", 1), Partition("a", 2)), timeout_ms=1000
        ),
    ),
    44: (
        {
            "resources": [
                {
                    "resource_type": 2,
                    "resource_name": "a",
                    "configs": [{"name": "k", "config_operation": 1, "value": "v"}],
                }
            ],
            "validate_only": True,
        },
        core.IncrementalAlterConfigs(
            resources=(
                core.ResourceToAlter(type=2, name="a", changes=(core.ConfigChange("k", 1, "v"),)),
            ),
            validate_only=True,
        ),
    ),
    45: (
        {
            "timeout": SECOND,
            "topics": [
                {
                    "name": "a",
                    "partitions": [
                        {"partition_index": 1, "replicas": [2, 3]},
                        {"partition_index": 4, "replicas": None},
                    ],
                }
            ],
        },
        core.AlterPartitionReassignments(
            reassignments=(
                core.Reassignment(partition=Partition("a", 1), replicas=(2, 3)),
                core.Reassignment(partition=Partition("a", 4), replicas=None),
            ),
            timeout_ms=1000,
        ),
    ),
    46: (
        {"timeout": SECOND, "topics": [{"name": "a", "partition_indexes": [1, 2]}]},
        core.ListPartitionReassignments(partitions=(Partition("a", 1), Partition("a", 2))),
    ),
    60: (
        {"include_cluster_authorized_operations": False, "endpoint_type": 1},
        core.DescribeCluster(),
    ),
}
