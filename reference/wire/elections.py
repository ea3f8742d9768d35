"""ElectLeaders (43), AlterPartitionReassignments (45), ListPartitionReassignments (46)."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from types import ModuleType
from typing import Any

from reference.requests import (
    AlterPartitionReassignments,
    ElectionType,
    ElectLeaders,
    LeaderElected,
    LeadersElected,
    ListPartitionReassignments,
    OngoingReassignment,
    Partition,
    Reassignment,
    ReassignmentAltered,
    ReassignmentsAltered,
    ReassignmentsListed,
)
from reference.wire.adapter import Adapter, Addresses, Entity, code, fill, milliseconds


def _by_topic(
    parts: Iterable[Any], entry: Callable[[Any], Entity]
) -> Iterator[tuple[str, tuple[Entity, ...]]]:
    for topic, group in groupby(parts, key=lambda part: part.partition.topic):
        yield topic, tuple(map(entry, group))


def elect_leaders(request: Entity, version: int) -> ElectLeaders:
    named = request.topic_partitions
    return ElectLeaders(
        election=getattr(request, "election_type", ElectionType.PREFERRED),
        partitions=None
        if named is None
        else tuple(
            Partition(topic.topic, number) for topic in named for number in topic.partitions
        ),
        timeout_ms=milliseconds(request.timeout),
    )


def leaders_elected(kio: ModuleType, response: LeadersElected, addresses: Addresses) -> Entity:
    def result(elected: LeaderElected) -> Entity:
        return fill(
            kio.PartitionResult,
            partition_id=elected.partition.number,
            error_code=code(elected.error),
            error_message=elected.message,
        )

    topics = (
        fill(kio.ReplicaElectionResult, topic=topic, partition_result=results)
        for topic, results in _by_topic(response.partitions, result)
    )
    return fill(
        kio.ElectLeadersResponse,
        error_code=code(response.error),
        replica_election_results=tuple(topics),
    )


def alter_reassignments(request: Entity, version: int) -> AlterPartitionReassignments:
    return AlterPartitionReassignments(
        reassignments=tuple(
            Reassignment(
                partition=Partition(topic.name, part.partition_index), replicas=part.replicas
            )
            for topic in request.topics
            for part in topic.partitions
        ),
        timeout_ms=milliseconds(request.timeout),
    )


def reassignments_altered(
    kio: ModuleType, response: ReassignmentsAltered, addresses: Addresses
) -> Entity:
    def result(altered: ReassignmentAltered) -> Entity:
        return fill(
            kio.ReassignablePartitionResponse,
            partition_index=altered.partition.number,
            error_code=code(altered.error),
            error_message=altered.message,
        )

    topics = (
        fill(kio.ReassignableTopicResponse, name=topic, partitions=results)
        for topic, results in _by_topic(response.reassignments, result)
    )
    return fill(
        kio.AlterPartitionReassignmentsResponse,
        error_code=code(response.error),
        error_message=response.message,
        responses=tuple(topics),
    )


def list_reassignments(request: Entity, version: int) -> ListPartitionReassignments:
    return ListPartitionReassignments(
        partitions=None
        if request.topics is None
        else tuple(
            Partition(topic.name, number)
            for topic in request.topics
            for number in topic.partition_indexes
        )
    )


def reassignments_listed(
    kio: ModuleType, response: ReassignmentsListed, addresses: Addresses
) -> Entity:
    def ongoing(reassignment: OngoingReassignment) -> Entity:
        return fill(
            kio.OngoingPartitionReassignment,
            partition_index=reassignment.partition.number,
            replicas=reassignment.replicas,
            adding_replicas=reassignment.adding,
            removing_replicas=reassignment.removing,
        )

    topics = (
        fill(kio.OngoingTopicReassignment, name=topic, partitions=partitions)
        for topic, partitions in _by_topic(response.ongoing, ongoing)
    )
    return fill(
        kio.ListPartitionReassignmentsResponse,
        error_code=code(response.error),
        topics=tuple(topics),
    )


ADAPTERS = (
    Adapter(api_key=43, versions=range(3), to_core=elect_leaders, from_core=leaders_elected),
    Adapter(
        api_key=45,
        # 1 lets the client forbid a change of the replication factor (KIP-860).
        versions=range(1),
        to_core=alter_reassignments,
        from_core=reassignments_altered,
    ),
    Adapter(
        api_key=46,
        versions=range(1),
        to_core=list_reassignments,
        from_core=reassignments_listed,
    ),
)
