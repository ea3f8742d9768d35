"""DescribeConfigs: what every setting is and where its value comes from (KIP-133, KIP-226)."""

from dataclasses import replace

from reference.broker_state import BrokerState
from reference.errors import Error
from reference.requests import (
    ConfigEntry,
    ConfigsDescribed,
    DescribeConfigs,
    ResourceDescribed,
    ResourceToDescribe,
    ResourceType,
)


def describe_configs(broker: BrokerState, ticket: int, request: DescribeConfigs) -> None:
    """Answers at once; a key that does not exist is left out, as by Kafka."""
    resources = tuple(_describe(broker, request, each) for each in request.resources)
    broker.reply(ticket, ConfigsDescribed(resources=resources))


def _describe(
    broker: BrokerState, request: DescribeConfigs, resource: ResourceToDescribe
) -> ResourceDescribed:
    entries: tuple[ConfigEntry, ...] = ()
    error, message = Error.NONE, None
    if resource.type == ResourceType.TOPIC:
        if broker.image.topic(resource.name) is None:
            error = Error.UNKNOWN_TOPIC_OR_PARTITION
        else:
            entries = broker.configs.describe_topic(resource.name)
    elif resource.type != ResourceType.BROKER:
        error, message = Error.INVALID_REQUEST, f"Unsupported resource type {resource.type}"
    elif resource.name == "":
        entries = broker.configs.describe_broker_defaults()
    elif resource.name == str(broker.id):
        entries = broker.configs.describe_broker()
    else:
        error = Error.INVALID_REQUEST
        message = f"This is broker {broker.id}, not {resource.name!r}"
    wanted = (e for e in entries if resource.keys is None or e.name in resource.keys)
    return ResourceDescribed(
        type=resource.type,
        name=resource.name,
        error=error,
        message=message,
        configs=tuple(_as_asked(request, entry) for entry in wanted),
    )


def _as_asked(request: DescribeConfigs, entry: ConfigEntry) -> ConfigEntry:
    return replace(
        entry,
        synonyms=entry.synonyms if request.include_synonyms else (),
        documentation=entry.documentation if request.include_documentation else None,
    )
