"""Configurations as brokers describe them (DescribeConfigs)."""

from collections.abc import Mapping, Sequence

from kio.schema.errors import ErrorCode

from conformance.client import Client
from conformance.connection import Connection
from conformance.outcomes import Inconclusive

TOPIC, BROKER = 2, 4
"""Kafka's numbers (org.apache.kafka.common.config.ConfigResource.Type)."""


def described(
    over: Connection, kind: int, name: str, keys: Sequence[str] | None = None
) -> Mapping[str, str | None]:
    """The settings of a topic or a broker, all of them or these. Raises `Inconclusive`."""
    resource = {
        "resource_type": kind,
        "resource_name": name,
        "configuration_keys": None if keys is None else tuple(keys),
    }
    answer = over.call("describe_configs", resources=[resource])
    result = answer.results[0]
    if result.error_code is not ErrorCode.none:
        raise Inconclusive(f"{name} is not described: {result.error_code.name}")
    return {config.name: config.value for config in result.configs}


def broker_setting(client: Client, broker: int, name: str) -> str:
    """A broker's own setting; raises `Inconclusive` where it names none."""
    value = described(client.broker(broker), BROKER, str(broker), (name,)).get(name)
    if value is None:
        raise Inconclusive(f"broker {broker} does not tell its {name}")
    return value


def lag_limit_ms(client: Client, leader: int) -> int:
    """How long a follower may lag before this leader drops it from the ISR."""
    return int(broker_setting(client, leader, "replica.lag.time.max.ms"))
