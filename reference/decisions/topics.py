"""CreateTopics and DeleteTopics (ReplicationControlManager.createTopics, deleteTopics).

The order of checks decides which error a topic with several faults gets: repeated in the request,
name, existence, settings, then the numbers.
"""

from collections import Counter

from reference.config_definitions import TOPIC_CONFIGS
from reference.configs import Configs, InvalidConfig, checked
from reference.decisions.placement import (
    PARTITIONS_MAX,
    Refused,
    automatic_assignment,
    first_state,
    manual_assignment,
)
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.messages import CONTROLLER
from reference.metadata.records import (
    ConfigRecord,
    MetadataRecord,
    PartitionId,
    TopicRecord,
    TopicRemoved,
)
from reference.requests import (
    NO_TOPIC_ID,
    ConfigEntry,
    CreateTopics,
    DeleteTopics,
    NewTopic,
    ResourceType,
    TopicCreated,
    TopicDeleted,
    TopicRef,
    TopicsCreated,
    TopicsDeleted,
)
from reference.topic_names import name_error


def create_topics(controller: ControllerState, request: CreateTopics) -> TopicsCreated:
    """Answers each name once. A topic that fails leaves nothing behind."""
    named = Counter(topic.name for topic in request.topics)
    left = PARTITIONS_MAX
    answers = []
    for topic in {topic.name: topic for topic in request.topics}.values():
        try:
            if named[topic.name] > 1:
                raise Refused(Error.INVALID_REQUEST, "Duplicate topic name")
            answer = _create(controller, topic, left, validate_only=request.validate_only)
            left -= answer.partitions
        except Refused as refused:
            answer = TopicCreated(name=topic.name, error=refused.error, message=refused.message)
        answers.append(answer)
    return TopicsCreated(topics=tuple(answers))


def _create(
    controller: ControllerState, topic: NewTopic, at_most: int, *, validate_only: bool
) -> TopicCreated:
    _check_name(controller, topic.name)
    overrides = _checked_configs(topic)
    if topic.assignments:
        assignment = manual_assignment(controller, topic)
    else:
        assignment = automatic_assignment(controller, topic, at_most)
    topic_id = controller.new_topic_id()
    records: list[MetadataRecord] = [TopicRecord(name=topic.name, topic_id=topic_id)]
    records += [
        ConfigRecord(resource_type=ResourceType.TOPIC, resource=topic.name, name=name, value=value)
        for name, value in overrides.items()
    ]
    records += [
        first_state(controller, PartitionId(topic_id, number), replicas)
        for number, replicas in enumerate(assignment)
    ]
    takes_effect = controller.rules.takes_effect(validate_only)
    if takes_effect:
        controller.commit(records)
    return TopicCreated(
        name=topic.name,
        error=Error.NONE,
        topic_id=topic_id if takes_effect else NO_TOPIC_ID,
        partitions=len(assignment),
        replication_factor=len(assignment[0]),
        configs=_described(controller, topic.name, overrides),
    )


def _check_name(controller: ControllerState, name: str) -> None:
    wrong = name_error(name)
    if wrong:
        raise Refused(Error.INVALID_TOPIC_EXCEPTION, f"Topic name is invalid: {wrong}")
    if name in controller.image.ids:
        raise Refused(Error.TOPIC_ALREADY_EXISTS, f"Topic '{name}' already exists.")
    for other in controller.image.ids:
        if controller.rules.names_collide(name, other):
            text = f"Topic '{name}' collides with existing topic: {other}"
            raise Refused(Error.INVALID_TOPIC_EXCEPTION, text)


def _checked_configs(topic: NewTopic) -> dict[str, str]:
    overrides = {}
    for name, value in topic.configs:
        if value is None:
            raise Refused(Error.INVALID_CONFIG, f"Null value not supported for {name}")
        try:
            overrides[name] = checked(TOPIC_CONFIGS, name, value)
        except InvalidConfig as error:
            raise Refused(Error.INVALID_CONFIG, str(error)) from error
    return overrides


def _described(
    controller: ControllerState, name: str, overrides: dict[str, str]
) -> tuple[ConfigEntry, ...]:
    """The settings of the topic as they are, or as they would be."""
    table = controller.image.configs | {(ResourceType.TOPIC, name): overrides}
    return Configs(CONTROLLER, controller.static_configs, table).describe_topic(name)


def delete_topics(controller: ControllerState, request: DeleteTopics) -> TopicsDeleted:
    """Answers each topic once, by the name or id that it was named by."""
    named = Counter(request.topics)
    answers = (_delete(controller, ref, named[ref]) for ref in named)
    return TopicsDeleted(topics=tuple(answers))


def _delete(controller: ControllerState, ref: TopicRef, times: int) -> TopicDeleted:
    by_name = isinstance(ref, str)
    name, topic_id = (ref, NO_TOPIC_ID) if isinstance(ref, str) else (None, ref)
    if times > 1:
        return TopicDeleted(name=name, topic_id=topic_id, error=Error.INVALID_REQUEST)
    topic = controller.image.topic(ref)
    if topic is None:
        error = Error.UNKNOWN_TOPIC_OR_PARTITION if by_name else Error.UNKNOWN_TOPIC_ID
        return TopicDeleted(name=name, topic_id=topic_id, error=error)
    controller.commit([TopicRemoved(topic_id=topic.topic_id)])
    return TopicDeleted(name=topic.name, topic_id=topic.topic_id, error=Error.NONE)
