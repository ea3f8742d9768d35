"""Whatever a client asks, the brokers answer it and live on."""

from typing import get_args
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reference.requests import NO_TOPIC_ID, Request, Response
from reference.simulator.cluster import Cluster
from tests.core_cluster import Watch, batch, cluster, create, produce, settle

NUMBERS = st.sampled_from([-(2**31), -5, -4, -3, -2, -1, 0, 1, 2, 3, 7, 500, 2**31 - 1])
NAMES = st.sampled_from(
    ["t", "t", "t", "u", "none", "", ".", "a/b", "x" * 300, "1", "2", "cleanup.policy"]
)
VALUES = st.sampled_from(["1", "-1", "0", "compact", "delete", "", "true", "zstd", "9" * 30])
BATCHES = [b"", b"junk" * 20, batch(b"v"), batch(b"v", crc=0), batch(b"v", b"w", timestamp_ms=-5)]
TIMEOUT_FIELDS = {"timeout_ms", "max_wait_ms"}


def values_of(annotation: object, name: str, topic_ids: list[UUID]) -> st.SearchStrategy[object]:
    """Values for one field of a request, by its type; edge cases rather than all of them."""
    if name in TIMEOUT_FIELDS:
        return st.sampled_from([-1, 0, 1, 700])
    if annotation is int:
        return st.sampled_from([0, 0, 0, 1, 2, -1]) if name == "number" else NUMBERS
    if annotation is bool:
        return st.booleans()
    if annotation is str:
        return VALUES if name == "value" else NAMES
    if annotation is bytes:
        return st.sampled_from(BATCHES)
    if annotation is UUID:
        return st.sampled_from(topic_ids)
    if annotation is type(None):
        return st.none()
    inner = get_args(annotation)
    if getattr(annotation, "__origin__", None) is tuple:
        if inner[-1] is Ellipsis:
            return st.lists(values_of(inner[0], name, topic_ids), max_size=3).map(tuple)
        return st.tuples(*(values_of(each, name, topic_ids) for each in inner))
    if inner:
        return st.one_of(*(values_of(each, name, topic_ids) for each in inner))
    return built(annotation, topic_ids)


def built(cls: object, topic_ids: list[UUID]) -> st.SearchStrategy[object]:
    """Instances of a request or of a part of one."""
    fields: dict[str, object] = getattr(cls, "__annotations__")  # noqa: B009
    chosen = {name: values_of(each, name, topic_ids) for name, each in fields.items()}
    return st.builds(cls, **chosen)  # type: ignore[arg-type]


def fresh() -> Cluster:
    running = cluster(configs={"replica.lag.time.max.ms": "2000"})
    create(running, "t", partitions=2)
    create(running, "u", replication_factor=1)
    for value in (b"a", b"b", b"c"):
        produce(running, "t", batch(value))
    return running


IDS = [fresh().image.ids["t"], NO_TOPIC_ID, UUID(int=99)]
KINDS: tuple[type[Request], ...] = get_args(Request)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_no_request_harms_a_broker(kind: type[Request], data: st.DataObject) -> None:
    running = fresh()
    watch = Watch(running)
    asked = []
    for _ in range(3):
        request = data.draw(built(kind, IDS))
        for broker in running.brokers:
            asked.append(running.submit(broker, request))  # type: ignore[arg-type]
        settle(running, 200)
        watch.look()
    settle(running, 35_000)
    assert all(isinstance(each.response, get_args(Response)) for each in asked)
    assert not any(each.purgatory.waiting for each in running.brokers.values())
