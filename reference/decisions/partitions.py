"""CreatePartitions (KIP-195): more partitions for a topic, those it has untouched."""

from collections import Counter

from reference.decisions.placement import (
    PARTITIONS_MAX,
    Refused,
    check_replicas,
    first_state,
    placed,
)
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.image import TopicImage
from reference.metadata.records import PartitionId
from reference.requests import (
    CreatePartitions,
    MorePartitions,
    PartitionsCreated,
    PartitionsCreatedPart,
)


def create_partitions(controller: ControllerState, request: CreatePartitions) -> PartitionsCreated:
    """Answers each topic once."""
    named = Counter(more.topic for more in request.topics)
    answers = []
    for more in {more.topic: more for more in request.topics}.values():
        try:
            if named[more.topic] > 1:
                raise Refused(Error.INVALID_REQUEST, "Duplicate topic in request.")
            _create(controller, more, validate_only=request.validate_only)
            answer = PartitionsCreatedPart(topic=more.topic, error=Error.NONE)
        except Refused as refused:
            answer = PartitionsCreatedPart(
                topic=more.topic, error=refused.error, message=refused.message
            )
        answers.append(answer)
    return PartitionsCreated(topics=tuple(answers))


def _create(controller: ControllerState, more: MorePartitions, *, validate_only: bool) -> None:
    topic = controller.image.topic(more.topic)
    if topic is None:
        text = f"The topic '{more.topic}' does not exist."
        raise Refused(Error.UNKNOWN_TOPIC_OR_PARTITION, text)
    current = len(topic.partitions)
    if not controller.rules.partition_count_allowed(current, more.count):
        text = f"The topic has {current} partitions; {more.count} would not be an increase."
        raise Refused(Error.INVALID_PARTITIONS, text)
    if more.count - current > PARTITIONS_MAX:
        raise Refused(Error.POLICY_VIOLATION, f"More than {PARTITIONS_MAX} new partitions.")
    assignment = _assignment(controller, topic, more)
    states = [
        first_state(controller, PartitionId(topic.topic_id, current + index), replicas)
        for index, replicas in enumerate(assignment)
    ]
    if controller.rules.takes_effect(validate_only):
        controller.commit([*states])


def _assignment(
    controller: ControllerState, topic: TopicImage, more: MorePartitions
) -> list[tuple[int, ...]]:
    additional = more.count - len(topic.partitions)
    factor = len(topic.partitions[0].replicas)
    if more.assignments is None:
        return placed(controller, additional, factor)
    if len(more.assignments) != additional:
        text = f"{len(more.assignments)} assignments for {additional} additional partitions."
        raise Refused(Error.INVALID_REPLICA_ASSIGNMENT, text)
    for replicas in more.assignments:
        check_replicas(controller, replicas, factor)
    return list(more.assignments)
