"""DescribeConfigs (32), IncrementalAlterConfigs (44)."""

from types import ModuleType

from reference.requests import (
    ConfigChange,
    ConfigEntry,
    ConfigsAltered,
    ConfigsDescribed,
    DescribeConfigs,
    IncrementalAlterConfigs,
    ResourceDescribed,
    ResourceToAlter,
    ResourceToDescribe,
)
from reference.wire.adapter import Adapter, Addresses, Entity, code, fill


def describe_configs(request: Entity, version: int) -> DescribeConfigs:
    return DescribeConfigs(
        resources=tuple(
            ResourceToDescribe(
                type=resource.resource_type,
                name=resource.resource_name,
                keys=resource.configuration_keys,
            )
            for resource in request.resources
        ),
        include_synonyms=request.include_synonyms,
        include_documentation=getattr(request, "include_documentation", False),
    )


def configs_described(kio: ModuleType, response: ConfigsDescribed, addresses: Addresses) -> Entity:
    def config(entry: ConfigEntry) -> Entity:
        synonyms = (
            fill(kio.DescribeConfigsSynonym, name=name, value=value, source=source)
            for name, value, source in entry.synonyms
        )
        return fill(
            kio.DescribeConfigsResourceResult,
            name=entry.name,
            value=entry.value,
            read_only=entry.read_only,
            config_source=entry.source,
            synonyms=tuple(synonyms),
            config_type=entry.type,
            documentation=entry.documentation,
        )

    def resource(described: ResourceDescribed) -> Entity:
        return fill(
            kio.DescribeConfigsResult,
            error_code=code(described.error),
            error_message=described.message,
            resource_type=described.type,
            resource_name=described.name,
            configs=tuple(map(config, described.configs)),
        )

    return fill(kio.DescribeConfigsResponse, results=tuple(map(resource, response.resources)))


def alter_configs(request: Entity, version: int) -> IncrementalAlterConfigs:
    return IncrementalAlterConfigs(
        resources=tuple(
            ResourceToAlter(
                type=resource.resource_type,
                name=resource.resource_name,
                changes=tuple(
                    ConfigChange(config.name, config.config_operation, config.value)
                    for config in resource.configs
                ),
            )
            for resource in request.resources
        ),
        validate_only=request.validate_only,
    )


def configs_altered(kio: ModuleType, response: ConfigsAltered, addresses: Addresses) -> Entity:
    responses = (
        fill(
            kio.AlterConfigsResourceResponse,
            error_code=code(resource.error),
            error_message=resource.message,
            resource_type=resource.type,
            resource_name=resource.name,
        )
        for resource in response.resources
    )
    return fill(kio.IncrementalAlterConfigsResponse, responses=tuple(responses))


ADAPTERS = (
    Adapter(
        api_key=32, versions=range(1, 5), to_core=describe_configs, from_core=configs_described
    ),
    Adapter(api_key=44, versions=range(2), to_core=alter_configs, from_core=configs_altered),
)
