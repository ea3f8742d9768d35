"""Configurations that are read back and take effect, and topics that appear by being asked for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client
from conformance.codec import Entity
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Partition
from conformance.records import batch_of
from conformance.workload.epochs import Versions
from conformance.workload.leaders import controller, move_leader
from conformance.workload.settings import TOPIC, broker_setting, described
from conformance.world import World, worlds

NONE, UNKNOWN = ErrorCode.none, ErrorCode.unknown_topic_or_partition
STILL_COMING = frozenset({UNKNOWN, ErrorCode.leader_not_available, NONE})
DESCRIBE = Versions(api="describe_configs", first=1)
METADATA = Versions(api="metadata", first=0)
FORBIDS_CREATION_SINCE = 4
"""KIP-361."""
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
"""Kafka's numbers (AlterConfigOp.OpType)."""
MARKER = "delete.retention.ms"
"""A setting of its own value in every change: a broker that shows it has taken the change over."""
TAKES_EFFECT_WITHIN_MS = 20_000
SMALL_BYTES, LIMIT_BYTES, LARGE_BYTES, HIGHER_LIMIT_BYTES = 200, 1_000, 3_000, 10_000

SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "max.message.bytes": st.integers(100, 10**6).map(str),
        "segment.ms": st.integers(10**6, 10**12).map(str),
        "retention.bytes": st.integers(10**6, 10**12).map(str),
        "segment.bytes": st.integers(2 * 2**20, 2**30).map(str),
        "min.insync.replicas": st.integers(1, 3).map(str),
        "cleanup.policy": st.sampled_from(["delete", "compact", "compact,delete"]),
        "message.timestamp.type": st.sampled_from(["CreateTime", "LogAppendTime"]),
        "unclean.leader.election.enable": st.sampled_from(["true", "false"]),
    },
)


# ---- META-07: read back --------------------------------------------------------------------------


@pytest.mark.clause("META-07")
@given(world=worlds(), settings=SETTINGS)
def test_settings_of_a_new_topic_are_read_back(
    bench: Bench, world: World, settings: dict[str, str]
) -> None:
    """Every broker that knows a topic describes the settings it was created with."""
    with bench.topic(world=world, configs=settings) as topic:
        if not topic.client.broker().serves("create_topics"):
            raise Unsupported("the target creates no topics on request")
        bench.premise("a topic was created with settings", times=len(topic.client.brokers))
        for broker in topic.client.brokers:
            found = described(topic.client.broker(broker), TOPIC, topic.name)
            wrong = {name: found.get(name) for name in settings if found[name] != settings[name]}
            assert wrong == {}, f"broker {broker} describes them as they were set: {settings}"


@pytest.mark.clause("META-07")
@given(world=worlds(), settings=SETTINGS)
def test_altered_settings_are_read_back(
    bench: Bench, world: World, settings: dict[str, str]
) -> None:
    """What IncrementalAlterConfigs sets is described as it was set; what it deletes, as before."""
    with bench.topic(world=world) as topic:
        client, name = topic.client, topic.name
        before = described(client.broker(), TOPIC, name)
        _alter(client, name, {n: (SET, v) for n, v in settings.items()}, marker="1111")
        for broker, found in _taken_over(client, name, "1111"):
            bench.premise("a broker has taken over what was set")
            wrong = {n: found[n] for n in settings if found[n] != settings[n]}
            assert wrong == {}, f"broker {broker} describes them as they were set: {settings}"
        _alter(client, name, dict.fromkeys(settings, (DELETE, None)), marker="2222")
        for broker, found in _taken_over(client, name, "2222"):
            bench.premise("a broker has taken over what was deleted")
            wrong = {n: found[n] for n in settings if found[n] != before[n]}
            assert wrong == {}, f"broker {broker} describes the defaults again"


@pytest.mark.clause("META-07")
def test_lists_are_appended_to_and_subtracted_from(bench: Bench) -> None:
    """APPEND adds to a list, SUBTRACT takes away from it, and the rest is read back (KIP-339)."""
    with bench.topic(configs={"cleanup.policy": "delete"}) as topic:
        steps = (
            ((APPEND, "compact"), {"delete", "compact"}),
            ((SUBTRACT, "delete"), {"compact"}),
            ((APPEND, "compact"), {"compact"}),
        )
        for number, (change, expected) in enumerate(steps):
            marker = str(1_000 + number)
            _alter(topic.client, topic.name, {"cleanup.policy": change}, marker=marker)
            for broker, found in _taken_over(topic.client, topic.name, marker):
                bench.premise("a broker has taken over a change of a list")
                items = (found["cleanup.policy"] or "").split(",")
                assert sorted(items) == sorted(expected), f"broker {broker} describes the list"


@pytest.mark.clause("META-07")
def test_every_version_describes_the_same(bench: Bench) -> None:
    """DescribeConfigs gives the same values at each version, all of them and by name."""
    settings = {"max.message.bytes": "4321", "retention.ms": "86400000"}
    with bench.topic(configs=settings) as topic:
        over = topic.client.broker()
        for version in DESCRIBE.of(over):
            for keys in (None, tuple(settings)):
                resource = {
                    "resource_type": TOPIC,
                    "resource_name": topic.name,
                    "configuration_keys": keys,
                }
                request = over.build(
                    "describe_configs", at_least=version, at_most=version, resources=[resource]
                )
                answer: Entity = over.send(request).result()
                found = {config.name: config.value for config in answer.results[0].configs}
                bench.premise("a topic was described")
                told = {name: found.get(name) for name in settings}
                assert told == settings, f"DescribeConfigs v{version}: as they were set"
                assert keys is None or set(found) == set(keys), "and only what was asked for"


def _alter(
    client: Client, topic: str, changes: Mapping[str, tuple[int, str | None]], marker: str
) -> None:
    """One change of several settings; raises `Inconclusive` where it is refused."""
    wanted = [
        {"name": name, "config_operation": operation, "value": value}
        for name, (operation, value) in {**changes, MARKER: (SET, marker)}.items()
    ]
    resource = {"resource_type": TOPIC, "resource_name": topic, "configs": wanted}
    answer = client.controller().call("incremental_alter_configs", resources=[resource])
    error = answer.responses[0].error_code
    if error is not NONE:
        raise Inconclusive(f"the settings were not changed: {error.name}")


def _taken_over(
    client: Client, topic: str, marker: str
) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """What each broker describes, once it shows the marker of the change."""
    for broker in client.brokers:
        over = client.broker(broker)
        found = client.target.eventually(
            partial(described, over, TOPIC, topic),
            lambda settings: settings.get(MARKER) == marker,
            within_ms=TAKES_EFFECT_WITHIN_MS,
        )
        yield broker, found


# ---- META-07: take effect ------------------------------------------------------------------------


@pytest.mark.clause("META-07")
def test_a_limit_holds_on_every_replica(bench: Bench) -> None:
    """max.message.bytes of a topic holds on its leader and on each later one; so does a change."""
    limit = {"max.message.bytes": str(LIMIT_BYTES)}
    with bench.partition(configs=limit) as partition:
        controller(partition)
        leaders = (*partition.followers, partition.view.leader)
        for to in leaders:
            move_leader(partition, to)
            _until_accepted(partition, SMALL_BYTES)
            refused = _written(partition, LARGE_BYTES)
            bench.premise("a batch above the limit came to another leader")
            assert refused is ErrorCode.message_too_large, "the limit of the topic holds"
        partition.client.alter_topic(
            partition.topic.name, max_message_bytes=str(HIGHER_LIMIT_BYTES)
        )
        for to in leaders:
            move_leader(partition, to)
            _until_accepted(partition, LARGE_BYTES)
            refused = _written(partition, 2 * HIGHER_LIMIT_BYTES)
            bench.premise("a batch above the changed limit came to another leader")
            assert refused is ErrorCode.message_too_large, "the changed limit holds"


def _written(partition: Partition, size_bytes: int) -> ErrorCode:
    return partition.produce(batch_of(b"x" * size_bytes)).result().error


def _until_accepted(partition: Partition, size_bytes: int) -> None:
    """Until the leader leads, and has taken over a change of its limit."""
    partition.target.eventually(
        lambda: _written(partition, size_bytes),
        lambda error: error is NONE,
        within_ms=TAKES_EFFECT_WITHIN_MS,
    )


# ---- META-07: automatic creation -----------------------------------------------------------------


@contextmanager
def unknown_topics(bench: Bench, client: Client, count: int) -> Iterator[list[str]]:
    """Names that no topic has; whatever comes to have them is deleted."""
    names = [bench.name() for _ in range(count)]
    try:
        yield names
    finally:
        bench.discard(client, *names)


@pytest.mark.clause("META-07")
def test_asking_for_a_topic_does_not_create_it_where_forbidden(bench: Bench) -> None:
    """Metadata that allows no creation answers UNKNOWN_TOPIC_OR_PARTITION and creates nothing."""
    with bench.client() as client:
        versions = Versions(api="metadata", first=FORBIDS_CREATION_SINCE).of(client.broker())
        with unknown_topics(bench, client, len(versions)) as names:
            for name, version in zip(names, versions, strict=True):
                told = [_ask(client, b, name, version, allowed=False) for b in client.brokers]
                bench.premise("an unknown topic was asked for", times=len(told))
                assert set(told) == {UNKNOWN}, f"Metadata v{version}: UNKNOWN_TOPIC_OR_PARTITION"
            with bench.topic(client=client):
                # All brokers know of a topic that was created after all this.
                found = {
                    _ask(client, b, n, 4, allowed=False) for b in client.brokers for n in names
                }
                assert found == {UNKNOWN}, "no topic was created"


@pytest.mark.clause("META-07")
def test_asking_for_a_topic_creates_it_where_allowed(bench: Bench) -> None:
    """Metadata that allows it creates an unknown topic with the broker's defaults, where
    auto.create.topics.enable is on; where it is off, it creates nothing."""
    with bench.client() as client:
        broker = client.brokers[0]
        enabled, partitions, factor = (
            broker_setting(client, broker, name)
            for name in (
                "auto.create.topics.enable",
                "num.partitions",
                "default.replication.factor",
            )
        )
        known = METADATA.of(client.broker(broker))
        versions = sorted({v for v in (1, FORBIDS_CREATION_SINCE, known[-1]) if v in known})
        with unknown_topics(bench, client, len(versions)) as names:
            for name, version in zip(names, versions, strict=True):
                told = _ask(client, broker, name, version, allowed=True)
                bench.premise("an unknown topic was asked for")
                if enabled == "false":
                    assert told is UNKNOWN, f"Metadata v{version}: UNKNOWN_TOPIC_OR_PARTITION"
                    continue
                assert told in STILL_COMING, f"Metadata v{version}: it is being created"
                view = client.settled(name)
                found = (len(view.partitions), len(view.partitions[0].replicas))
                assert found == (int(partitions), int(factor)), "with the broker's defaults"
            if enabled == "false":
                with bench.topic(client=client):
                    found_errors = {_ask(client, broker, n, 4, allowed=False) for n in names}
                    assert found_errors == {UNKNOWN}, "no topic was created"


def _ask(client: Client, broker: int, topic: str, version: int, *, allowed: bool) -> ErrorCode:
    """What a broker answers to Metadata about a topic."""
    over = client.broker(broker)
    request = over.build(
        "metadata",
        at_least=version,
        at_most=version,
        topics=[{"name": topic}],
        allow_auto_topic_creation=allowed,
    )
    error: ErrorCode = over.send(request).result().topics[0].error_code
    return error
