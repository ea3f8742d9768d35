"""One response of every served API, with a different value in every field.

Each is given twice: as the core answers, and as another codec must read it from our bytes.
"""

import dataclasses
from typing import Any

from reference import requests as core
from reference.errors import Error
from reference.requests import ConfigEntry, ConfigSource, ConfigSynonym, ConfigType, Partition
from tests.wire_samples import ID

ADDRESSES = {1: ("127.0.0.1", 9001), 2: ("127.0.0.1", 9002), 3: ("127.0.0.1", 9003)}
CONFIG = ConfigEntry(
    name="k",
    value="v",
    source=ConfigSource.TOPIC,
    type=ConfigType.INT,
    read_only=True,
    synonyms=(ConfigSynonym("s", None, ConfigSource.DEFAULT),),
    documentation="what it is",
)
RESPONSES: dict[int, Any] = {
    0: core.Produced(
        parts=(
            core.ProducedPart(
                topic="a",
                number=1,
                error=Error.INVALID_RECORD,
                base_offset=2,
                log_append_time_ms=1_700_000_000_123,
                log_start_offset=3,
                record_errors=(core.RecordError(4, "why"),),
                message="because",
                current_leader=core.LeaderHint(2, 5),
            ),
        )
    ),
    1: core.Fetched(
        error=Error.NONE,
        session_id=9,
        parts=(
            core.FetchedPart(
                topic="a",
                number=1,
                error=Error.FENCED_LEADER_EPOCH,
                high_watermark=2,
                last_stable_offset=3,
                log_start_offset=4,
                diverging=core.EpochEnd(5, 6),
                current_leader=core.LeaderHint(3, 7),
                aborted=(core.AbortedTransaction(8, 9),),
                preferred_read_replica=10,
                records=b"xyz",
            ),
        ),
    ),
    2: core.OffsetsListed(
        parts=(
            core.OffsetListedPart(
                topic="a",
                number=1,
                error=Error.OFFSET_NOT_AVAILABLE,
                timestamp=2,
                offset=3,
                leader_epoch=4,
            ),
        )
    ),
    3: core.MetadataDescribed(
        cluster_id="c",
        controller=2,
        brokers=(1, 3),
        topics=(
            core.TopicDescription(
                error=Error.NONE,
                name="a",
                topic_id=ID,
                is_internal=True,
                partitions=(
                    core.PartitionDescription(
                        error=Error.LEADER_NOT_AVAILABLE,
                        number=4,
                        leader=-1,
                        leader_epoch=5,
                        replicas=(1, 2),
                        isr=(2,),
                        offline=(1,),
                    ),
                ),
            ),
        ),
    ),
    19: core.TopicsCreated(
        topics=(
            core.TopicCreated(
                name="a",
                error=Error.NONE,
                message="m",
                topic_id=ID,
                partitions=2,
                replication_factor=3,
                configs=(CONFIG,),
            ),
        )
    ),
    20: core.TopicsDeleted(
        topics=(core.TopicDeleted(name="a", topic_id=ID, error=Error.NONE, message="m"),)
    ),
    21: core.RecordsDeleted(
        parts=(
            core.RecordsDeletedPart(
                topic="a", number=1, error=Error.OFFSET_OUT_OF_RANGE, low_watermark=2
            ),
        )
    ),
    22: core.ProducerIdGiven(error=Error.NONE, producer_id=5, producer_epoch=6),
    23: core.EpochsEnded(
        parts=(
            core.EpochEndedPart(
                topic="a", number=1, error=Error.UNKNOWN_LEADER_EPOCH, end=core.EpochEnd(2, 3)
            ),
        )
    ),
    32: core.ConfigsDescribed(
        resources=(
            core.ResourceDescribed(
                type=2, name="a", error=Error.NONE, message="m", configs=(CONFIG,)
            ),
        )
    ),
    37: core.PartitionsCreated(
        topics=(core.PartitionsCreatedPart(topic="a", error=Error.INVALID_PARTITIONS, message="m"),)
    ),
    43: core.LeadersElected(
        error=Error.NONE,
        partitions=(
            core.LeaderElected(
                partition=Partition("a", 1), error=Error.ELECTION_NOT_NEEDED, message="m"
            ),
        ),
    ),
    44: core.ConfigsAltered(
        resources=(core.ResourceAltered(type=2, name="a", error=Error.INVALID_CONFIG, message="m"),)
    ),
    45: core.ReassignmentsAltered(
        error=Error.NONE,
        message="all",
        reassignments=(
            core.ReassignmentAltered(
                partition=Partition("a", 1), error=Error.NO_REASSIGNMENT_IN_PROGRESS, message="m"
            ),
        ),
    ),
    46: core.ReassignmentsListed(
        error=Error.NONE,
        ongoing=(
            core.OngoingReassignment(
                partition=Partition("a", 1), replicas=(1, 2), adding=(2,), removing=(3,)
            ),
        ),
    ),
    60: core.ClusterDescribed(
        cluster_id="c", controller=2, brokers=(1, 3), error=Error.INVALID_REQUEST
    ),
}


def response_to(api_key: int, version: int) -> Any:
    """Returns the sample response, its topics named as a request of this version names them."""
    response = RESPONSES[api_key]
    if (api_key == 0 and version >= 13) or (api_key == 1 and version >= 13):
        parts = tuple(dataclasses.replace(part, topic=ID) for part in response.parts)
        return dataclasses.replace(response, parts=parts)
    return response


TOPIC_ID = str(ID)
READ_BY_KAFKA_PYTHON: dict[int, dict[str, Any]] = {
    0: {
        "responses": [
            {
                "topic_id": TOPIC_ID,
                "name": "a",
                "partition_responses": [
                    {
                        "index": 1,
                        "error_code": 87,
                        "base_offset": 2,
                        "log_append_time_ms": 1_700_000_000_123,
                        "log_start_offset": 3,
                        "record_errors": [{"batch_index": 4, "batch_index_error_message": "why"}],
                        "error_message": "because",
                        "current_leader": {"leader_id": 2, "leader_epoch": 5},
                    }
                ],
            }
        ],
        "node_endpoints": [{"node_id": 2, "host": "127.0.0.1", "port": 9002}],
    },
    1: {
        "error_code": 0,
        "session_id": 9,
        "responses": [
            {
                "topic_id": TOPIC_ID,
                "topic": "a",
                "partitions": [
                    {
                        "partition_index": 1,
                        "error_code": 74,
                        "high_watermark": 2,
                        "last_stable_offset": 3,
                        "log_start_offset": 4,
                        "diverging_epoch": {"epoch": 5, "end_offset": 6},
                        "current_leader": {"leader_id": 3, "leader_epoch": 7},
                        "aborted_transactions": [{"producer_id": 8, "first_offset": 9}],
                        "preferred_read_replica": 10,
                        "records": "xyz",
                    }
                ],
            }
        ],
        "node_endpoints": [{"node_id": 3, "host": "127.0.0.1", "port": 9003}],
    },
    2: {
        "topics": [
            {
                "name": "a",
                "partitions": [
                    {
                        "partition_index": 1,
                        "error_code": 78,
                        "timestamp": 2,
                        "offset": 3,
                        "leader_epoch": 4,
                    }
                ],
            }
        ]
    },
    3: {
        "error_code": 0,
        "brokers": [
            {"node_id": 1, "host": "127.0.0.1", "port": 9001},
            {"node_id": 3, "host": "127.0.0.1", "port": 9003},
        ],
        "cluster_id": "c",
        "controller_id": 2,
        "topics": [
            {
                "error_code": 0,
                "name": "a",
                "topic_id": TOPIC_ID,
                "is_internal": True,
                "partitions": [
                    {
                        "error_code": 5,
                        "partition_index": 4,
                        "leader_id": -1,
                        "leader_epoch": 5,
                        "replica_nodes": [1, 2],
                        "isr_nodes": [2],
                        "offline_replicas": [1],
                    }
                ],
            }
        ],
    },
    19: {
        "topics": [
            {
                "name": "a",
                "topic_id": TOPIC_ID,
                "error_code": 0,
                "error_message": "m",
                "topic_config_error_code": 0,
                "num_partitions": 2,
                "replication_factor": 3,
                "configs": [
                    {
                        "name": "k",
                        "value": "v",
                        "read_only": True,
                        "config_source": 1,
                        "is_sensitive": False,
                    }
                ],
            }
        ]
    },
    20: {"responses": [{"name": "a", "topic_id": TOPIC_ID, "error_code": 0, "error_message": "m"}]},
    21: {
        "topics": [
            {
                "name": "a",
                "partitions": [{"partition_index": 1, "low_watermark": 2, "error_code": 1}],
            }
        ]
    },
    22: {"error_code": 0, "producer_id": 5, "producer_epoch": 6},
    23: {
        "topics": [
            {
                "topic": "a",
                "partitions": [
                    {"error_code": 75, "partition": 1, "leader_epoch": 2, "end_offset": 3}
                ],
            }
        ]
    },
    32: {
        "results": [
            {
                "error_code": 0,
                "error_message": "m",
                "resource_type": 2,
                "resource_name": "a",
                "configs": [
                    {
                        "name": "k",
                        "value": "v",
                        "read_only": True,
                        "config_source": 1,
                        "is_sensitive": False,
                        "synonyms": [{"name": "s", "source": 5}],
                        "config_type": 3,
                        "documentation": "what it is",
                    }
                ],
            }
        ]
    },
    37: {"results": [{"name": "a", "error_code": 37, "error_message": "m"}]},
    43: {
        "error_code": 0,
        "replica_election_results": [
            {
                "topic": "a",
                "partition_result": [{"partition_id": 1, "error_code": 84, "error_message": "m"}],
            }
        ],
    },
    44: {
        "responses": [
            {"error_code": 40, "error_message": "m", "resource_type": 2, "resource_name": "a"}
        ]
    },
    45: {
        "error_code": 0,
        "error_message": "all",
        "responses": [
            {
                "name": "a",
                "partitions": [{"partition_index": 1, "error_code": 85, "error_message": "m"}],
            }
        ],
    },
    46: {
        "error_code": 0,
        "topics": [
            {
                "name": "a",
                "partitions": [
                    {
                        "partition_index": 1,
                        "replicas": [1, 2],
                        "adding_replicas": [2],
                        "removing_replicas": [3],
                    }
                ],
            }
        ],
    },
    60: {
        "error_code": 42,
        "endpoint_type": 1,
        "cluster_id": "c",
        "controller_id": 2,
        "brokers": [
            {"broker_id": 1, "host": "127.0.0.1", "port": 9001},
            {"broker_id": 3, "host": "127.0.0.1", "port": 9003},
        ],
    },
}
"""`RESPONSES` as kafka-python reads them, without its nulls and defaults."""
