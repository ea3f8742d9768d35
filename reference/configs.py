"""What a setting is worth: overrides, defaults, and the typed values that brokers act on.

Precedence (KIP-226): the topic's override, then the broker's, then the cluster-wide default of
brokers, then what the broker was started with, then Kafka's default.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reference.compression import CODEC_NAMES
from reference.config_definitions import (
    BROKER_CONFIGS,
    TOPIC_CONFIGS,
    Definition,
    list_items,
)
from reference.requests import (
    AlterOperation,
    ConfigChange,
    ConfigEntry,
    ConfigSource,
    ConfigSynonym,
    ConfigType,
    ResourceType,
)

Overrides = Mapping[str, str]
ConfigTable = Mapping[tuple[int, str], Overrides]
"""Overrides by resource type and resource name; the broker named "" stands for all brokers."""

NO_OVERRIDES: Overrides = {}


class InvalidConfig(Exception):
    """A name that is not served, or a value that its type does not allow."""


class InvalidChange(Exception):
    """A change that is malformed whatever the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicConfig:
    """The settings of a topic as one broker sees them."""

    compacts: bool
    deletes: bool
    codec: int | None
    """The number of the codec to store batches in, or None for the client's."""
    max_message_bytes: int
    default_max_message_bytes: int
    """The broker's own, which the topic's overrides."""
    timestamp_after_max_ms: int
    timestamp_before_max_ms: int
    log_append_time: bool
    min_insync_replicas: int
    min_cleanable_dirty_ratio: float
    min_compaction_lag_ms: int
    delete_retention_ms: int
    flush_messages: int
    retention_bytes: int
    retention_ms: int
    segment_bytes: int
    segment_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfig:
    """The settings of a broker that cannot change while it runs."""

    auto_create_topics: bool
    fetch_max_bytes: int
    fetch_sessions_max: int
    cleaner_backoff_ms: int
    checkpoint_ms: int
    replica_fetch_wait_ms: int
    replica_lag_ms: int
    retention_check_ms: int


@dataclass(frozen=True, slots=True)
class Configs:
    """One broker's view on all settings."""

    broker: int
    static: Overrides
    table: ConfigTable

    def topic(self, name: str) -> TopicConfig:
        """Returns the typed settings of a topic."""

        def value(key: str) -> str:
            return self._synonyms(TOPIC_CONFIGS[key], name)[0].value or ""

        policies = list_items(value("cleanup.policy"))
        return TopicConfig(
            compacts="compact" in policies,
            deletes="delete" in policies,
            codec=CODEC_NAMES.get(value("compression.type")),
            max_message_bytes=int(value("max.message.bytes")),
            default_max_message_bytes=self.number("message.max.bytes"),
            timestamp_after_max_ms=int(value("message.timestamp.after.max.ms")),
            timestamp_before_max_ms=int(value("message.timestamp.before.max.ms")),
            log_append_time=value("message.timestamp.type") == "LogAppendTime",
            min_insync_replicas=int(value("min.insync.replicas")),
            min_cleanable_dirty_ratio=float(value("min.cleanable.dirty.ratio")),
            min_compaction_lag_ms=int(value("min.compaction.lag.ms")),
            delete_retention_ms=int(value("delete.retention.ms")),
            flush_messages=int(value("flush.messages")),
            retention_bytes=int(value("retention.bytes")),
            retention_ms=int(value("retention.ms")),
            segment_bytes=int(value("segment.bytes")),
            segment_ms=int(value("segment.ms")),
        )

    def broker_config(self) -> BrokerConfig:
        """Returns the typed settings that hold as long as the broker runs."""
        automatic = self._synonyms(BROKER_CONFIGS["auto.create.topics.enable"], None)
        return BrokerConfig(
            auto_create_topics=automatic[0].value == "true",
            fetch_max_bytes=self.number("fetch.max.bytes"),
            fetch_sessions_max=self.number("max.incremental.fetch.session.cache.slots"),
            replica_fetch_wait_ms=self.number("replica.fetch.wait.max.ms"),
            checkpoint_ms=self.number("replica.high.watermark.checkpoint.interval.ms"),
            replica_lag_ms=self.number("replica.lag.time.max.ms"),
            cleaner_backoff_ms=self.number("log.cleaner.backoff.ms"),
            retention_check_ms=self.number("log.retention.check.interval.ms"),
        )

    def topic_value(self, topic: str, name: str) -> str:
        """Returns one setting of a topic, as text."""
        return self._synonyms(TOPIC_CONFIGS[name], topic)[0].value or ""

    def flag(self, name: str) -> bool:
        """Returns a broker's setting of type BOOLEAN."""
        return self._synonyms(BROKER_CONFIGS[name], None)[0].value == "true"

    def number(self, name: str) -> int:
        """Returns a broker's setting of a numeric type."""
        return int(self._synonyms(BROKER_CONFIGS[name], None)[0].value or 0)

    def describe_topic(self, name: str) -> tuple[ConfigEntry, ...]:
        """Returns every setting of a topic, with where its value comes from."""
        return tuple(
            self._entry(definition, self._synonyms(definition, name))
            for definition in TOPIC_CONFIGS.values()
        )

    def describe_broker(self) -> tuple[ConfigEntry, ...]:
        """Returns every setting of this broker, with where its value comes from."""
        return tuple(
            self._entry(definition, self._synonyms(definition, None))
            for definition in BROKER_CONFIGS.values()
        )

    def describe_broker_defaults(self) -> tuple[ConfigEntry, ...]:
        """Returns the cluster-wide overrides of brokers, and nothing that is merely a default."""
        overrides = self.table.get((ResourceType.BROKER, ""), NO_OVERRIDES)
        return tuple(
            self._entry(
                BROKER_CONFIGS[name],
                (ConfigSynonym(name, value, ConfigSource.DYNAMIC_DEFAULT_BROKER),),
            )
            for name, value in sorted(overrides.items())
        )

    def _synonyms(self, definition: Definition, topic: str | None) -> tuple[ConfigSynonym, ...]:
        """All values that the setting has at some level, the one that holds first."""
        found: list[ConfigSynonym] = []

        def look(overrides: Overrides, key: str, source: ConfigSource) -> None:
            if key in overrides:
                found.append(ConfigSynonym(key, overrides[key], source))

        key = definition.name
        if topic is not None:
            overridden = self.table.get((ResourceType.TOPIC, topic), NO_OVERRIDES)
            look(overridden, key, ConfigSource.TOPIC)
            key = definition.broker_name
        own = self.table.get((ResourceType.BROKER, str(self.broker)), NO_OVERRIDES)
        shared = self.table.get((ResourceType.BROKER, ""), NO_OVERRIDES)
        look(own, key, ConfigSource.DYNAMIC_BROKER)
        look(shared, key, ConfigSource.DYNAMIC_DEFAULT_BROKER)
        look(self.static, key, ConfigSource.STATIC_BROKER)
        if key == "broker.id" and key not in self.static:
            found.append(ConfigSynonym(key, str(self.broker), ConfigSource.STATIC_BROKER))
        found.append(ConfigSynonym(key, definition.default, ConfigSource.DEFAULT))
        return tuple(found)

    def _entry(self, definition: Definition, synonyms: tuple[ConfigSynonym, ...]) -> ConfigEntry:
        return ConfigEntry(
            name=definition.name,
            value=synonyms[0].value,
            source=synonyms[0].source,
            type=definition.type,
            read_only=not definition.dynamic,
            synonyms=synonyms,
            documentation=definition.documentation,
        )


def checked(definitions: Mapping[str, Definition], name: str, value: str) -> str:
    """Returns the value as it is stored. Raises InvalidConfig."""
    definition = definitions.get(name)
    if definition is None:
        raise InvalidConfig(f"Unknown config name: {name}")
    complaint = definition.check(value)
    if complaint:
        raise InvalidConfig(f"Invalid value for configuration {name}: {complaint}")
    if definition.type in (ConfigType.INT, ConfigType.LONG, ConfigType.SHORT):
        return str(int(value))
    return value.strip().lower() if definition.type is ConfigType.BOOLEAN else value


def altered(
    definitions: Mapping[str, Definition], change: ConfigChange, inherited: str, current: str | None
) -> str | None:
    """Returns the new override of one setting, None for no override (KIP-339).

    `inherited` is what holds without an override. Raises InvalidConfig or InvalidChange.
    """
    if change.operation not in tuple(AlterOperation):
        raise InvalidChange(f"Unknown operation type {change.operation}")
    definition = definitions.get(change.name)
    if definition is None:
        raise InvalidConfig(f"Unknown config name: {change.name}")
    if not definition.dynamic:
        raise InvalidConfig(f"Cannot update {change.name} while the broker runs")
    if change.operation == AlterOperation.DELETE:
        return None
    if change.value is None:
        raise InvalidChange(f"Null value not supported for {change.name}")
    if change.operation == AlterOperation.SET:
        return checked(definitions, change.name, change.value)
    if definition.type is not ConfigType.LIST:
        raise InvalidConfig(f"Can't append to or subtract from {change.name}: it is no list")
    items = list_items(inherited if current is None else current)
    given = list_items(change.value)
    if change.operation == AlterOperation.APPEND:
        items += [item for item in dict.fromkeys(given) if item not in items]
    else:
        items = [item for item in items if item not in given]
    return checked(definitions, change.name, ",".join(items))
