"""IncrementalAlterConfigs (KIP-339): overrides of topics and brokers, one change at a time."""

from collections import Counter

from reference.config_definitions import BROKER_CONFIGS, TOPIC_CONFIGS
from reference.configs import NO_OVERRIDES, Configs, InvalidChange, InvalidConfig, altered
from reference.decisions.availability import look_after_partitions
from reference.decisions.placement import Refused
from reference.decisions.state import ControllerState
from reference.errors import Error
from reference.messages import CONTROLLER
from reference.metadata.records import ConfigRecord
from reference.requests import (
    ConfigsAltered,
    IncrementalAlterConfigs,
    ResourceAltered,
    ResourceToAlter,
    ResourceType,
)

DECISIVE = ("min.insync.replicas", "unclean.leader.election.enable")
"""Settings that change who may lead: an ELR is empty beside an ISR that has become large enough."""


def alter_configs(controller: ControllerState, request: IncrementalAlterConfigs) -> ConfigsAltered:
    """Answers each resource on its own; one with a fault is left as it was."""
    named = Counter((resource.type, resource.name) for resource in request.resources)
    answers = []
    for resource in request.resources:
        try:
            if named[resource.type, resource.name] > 1:
                raise Refused(Error.INVALID_REQUEST, "Duplicate resource in request.")
            records = _changes(controller, resource)
            if controller.rules.takes_effect(request.validate_only):
                controller.commit(records)
                if any(record.name in DECISIVE for record in records):
                    look_after_partitions(controller)
            answers.append(_answer(resource, Error.NONE, None))
        except Refused as refused:
            answers.append(_answer(resource, refused.error, refused.message))
    return ConfigsAltered(resources=tuple(answers))


def _answer(resource: ResourceToAlter, error: Error, message: str | None) -> ResourceAltered:
    return ResourceAltered(type=resource.type, name=resource.name, error=error, message=message)


def _changes(controller: ControllerState, resource: ResourceToAlter) -> list[ConfigRecord]:
    _check_resource(controller, resource)
    if len({change.name for change in resource.changes}) < len(resource.changes):
        raise Refused(Error.INVALID_REQUEST, "Duplicate configuration key.")
    is_topic = resource.type == ResourceType.TOPIC
    definitions = TOPIC_CONFIGS if is_topic else BROKER_CONFIGS
    key = (resource.type, resource.name)
    overrides = controller.image.configs.get(key, NO_OVERRIDES)
    inherited = _inherited(controller, resource)
    records: list[ConfigRecord] = []
    for change in resource.changes:
        current = overrides.get(change.name)
        try:
            value = altered(definitions, change, inherited.get(change.name, ""), current)
        except InvalidConfig as error:
            raise Refused(Error.INVALID_CONFIG, str(error)) from error
        except InvalidChange as error:
            raise Refused(Error.INVALID_REQUEST, str(error)) from error
        if value != current:
            records.append(
                ConfigRecord(
                    resource_type=resource.type,
                    resource=resource.name,
                    name=change.name,
                    value=value,
                )
            )
    return records


def _check_resource(controller: ControllerState, resource: ResourceToAlter) -> None:
    if resource.type == ResourceType.TOPIC:
        if resource.name not in controller.image.ids:
            text = f"The topic '{resource.name}' does not exist."
            raise Refused(Error.UNKNOWN_TOPIC_OR_PARTITION, text)
    elif resource.type != ResourceType.BROKER:
        raise Refused(Error.INVALID_REQUEST, f"Unsupported resource type {resource.type}")
    elif resource.name not in ("", *map(str, sorted(controller.image.brokers))):
        raise Refused(Error.INVALID_REQUEST, f"There is no broker {resource.name!r}")


def _inherited(controller: ControllerState, resource: ResourceToAlter) -> dict[str, str]:
    """What would hold if the resource had no overrides of its own."""
    table = {
        key: overrides
        for key, overrides in controller.image.configs.items()
        if key != (resource.type, resource.name)
    }
    configs = Configs(CONTROLLER, controller.static_configs, table)
    if resource.type == ResourceType.TOPIC:
        entries = configs.describe_topic(resource.name)
    else:
        entries = configs.describe_broker()
    return {entry.name: entry.value or "" for entry in entries}
