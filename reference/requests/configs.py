"""Settings of topics and brokers."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from reference.errors import Error


class ResourceType(IntEnum):
    """Kafka's numbers (org.apache.kafka.common.config.ConfigResource.Type)."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8


class ConfigSource(IntEnum):
    """Kafka's numbers (DescribeConfigsResponse.ConfigSource)."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT_BROKER = 3
    STATIC_BROKER = 4
    DEFAULT = 5


class ConfigType(IntEnum):
    """Kafka's numbers (DescribeConfigsResponse.ConfigType)."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7


class ConfigSynonym(NamedTuple):
    name: str
    value: str | None
    source: ConfigSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEntry:
    name: str
    value: str | None
    source: ConfigSource
    type: ConfigType
    read_only: bool = False
    synonyms: tuple[ConfigSynonym, ...] = ()
    documentation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceToDescribe:
    type: int
    """Raw: a client may send a number that no `ResourceType` has."""
    name: str
    keys: tuple[str, ...] | None
    """None asks for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeConfigs:
    resources: tuple[ResourceToDescribe, ...]
    include_synonyms: bool
    include_documentation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDescribed:
    type: int
    name: str
    error: Error
    message: str | None = None
    configs: tuple[ConfigEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigsDescribed:
    resources: tuple[ResourceDescribed, ...]


class AlterOperation(IntEnum):
    """Kafka's numbers (org.apache.kafka.clients.admin.AlterConfigOp.OpType)."""

    SET = 0
    DELETE = 1
    APPEND = 2
    SUBTRACT = 3


class ConfigChange(NamedTuple):
    name: str
    operation: int
    """Raw, like a resource type."""
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceToAlter:
    type: int
    name: str
    changes: tuple[ConfigChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncrementalAlterConfigs:
    resources: tuple[ResourceToAlter, ...]
    validate_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceAltered:
    type: int
    name: str
    error: Error
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigsAltered:
    resources: tuple[ResourceAltered, ...]
