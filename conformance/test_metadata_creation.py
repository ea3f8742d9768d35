"""Topics that cannot be created: the code of their fault, and no effect."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from kio.schema.errors import ErrorCode

from conformance.bench import Bench
from conformance.client import Client, TopicView
from conformance.outcomes import Unsupported
from conformance.workload.epochs import Versions
from conformance.workload.settings import broker_setting
from conformance.workload.topics import (
    NewTopic,
    Shape,
    ask_to_create,
    assigned_topic,
    new_topic,
    settled,
    shape,
    views,
)

NONE = ErrorCode.none
CREATE = Versions(api="create_topics", first=2)
MINUS_ONE_SINCE = 4
"""KIP-464."""
NAME_MAX = 249
NO_SUCH_BROKER = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A cluster with one topic, and a supply of names for others."""

    bench: Bench
    client: Client
    existing: str
    before: Shape

    def name(self) -> str:
        return self.bench.name()

    @property
    def brokers(self) -> tuple[int, ...]:
        return self.client.brokers


@contextmanager
def scene(bench: Bench) -> Iterator[Scene]:
    with bench.client() as client:
        if not client.controller().serves("create_topics"):
            raise Unsupported("the target creates no topics on request")
        existing = bench.name(".with_both.kinds")
        try:
            client.create_topic(existing)
            yield Scene(
                bench=bench,
                client=client,
                existing=existing,
                before=shape(settled(client, existing)),
            )
        finally:
            bench.discard(client, existing)


# ---- the table: what is wrong, and what is said of it -------------------------------------------


def existing(s: Scene) -> Iterator[NewTopic]:
    """Whatever else is wrong with it: existence comes before counts, assignment and settings."""
    yield new_topic(s.existing)
    yield new_topic(s.existing, partitions=0)
    yield new_topic(s.existing, replication_factor=0)
    yield new_topic(s.existing, replication_factor=len(s.brokers) + 1)
    yield new_topic(s.existing, configs={"no.such.setting": "1"})
    yield new_topic(s.existing, configs={"retention.ms": "soon"})
    yield assigned_topic(s.existing, s.brokers[:1] * 2)
    yield assigned_topic(s.existing, s.brokers[:1], partitions=1, replication_factor=1)


def malformed_name(s: Scene) -> Iterator[NewTopic]:
    for name in ("", ".", ".."):
        yield new_topic(name)
    for suffix in (" ", "/", "\\", ",", "\0", "\n", ":", '"', "'", ";", "*", "?", "é", "名"):
        yield new_topic(f"{s.name()}{suffix}")
    yield new_topic(s.name().ljust(NAME_MAX + 1, "x"))


def name_that_collides(s: Scene) -> Iterator[NewTopic]:
    stem = s.existing.removesuffix(".with_both.kinds")
    for ending in (".with.both.kinds", "_with_both_kinds", "_with.both_kinds"):
        yield new_topic(stem + ending)


def partition_count(s: Scene) -> Iterator[NewTopic]:
    for count in (0, -2, -(2**31)):
        yield new_topic(s.name(), partitions=count)


def replication_factor(s: Scene) -> Iterator[NewTopic]:
    for factor in (0, -2, -(2**15), len(s.brokers) + 1, 2**15 - 1):
        yield new_topic(s.name(), replication_factor=factor)


def assignment(s: Scene) -> Iterator[NewTopic]:
    one = s.brokers[:1]
    yield assigned_topic(s.name(), one * 2)
    yield assigned_topic(s.name(), one, numbers=[1])
    yield assigned_topic(s.name(), one, one, numbers=[0, 2])
    if len(s.brokers) > 1:
        yield assigned_topic(s.name(), one, s.brokers[:2])


def configuration(s: Scene) -> Iterator[NewTopic]:
    for name, value in (
        ("no.such.setting", "1"),
        ("retention.ms", "soon"),
        ("max.message.bytes", "-1"),
        ("min.insync.replicas", "0"),
        ("cleanup.policy", "burn"),
        ("compression.type", "rar"),
        ("unclean.leader.election.enable", "perhaps"),
    ):
        yield new_topic(s.name(), configs={name: value})


def assignment_and_counts(s: Scene) -> Iterator[NewTopic]:
    one = s.brokers[:1]
    yield assigned_topic(s.name(), one, partitions=1)
    yield assigned_topic(s.name(), one, replication_factor=1)
    yield assigned_topic(s.name(), one, partitions=1, replication_factor=1)


Faults = Callable[[Scene], Iterator[NewTopic]]
REFUSED: Sequence[tuple[Faults, ErrorCode]] = (
    (existing, ErrorCode.topic_already_exists),
    (malformed_name, ErrorCode.invalid_topic_exception),
    (name_that_collides, ErrorCode.invalid_topic_exception),
    (partition_count, ErrorCode.invalid_partitions),
    (replication_factor, ErrorCode.invalid_replication_factor),
    (assignment, ErrorCode.invalid_replica_assignment),
    (configuration, ErrorCode.invalid_config),
    (assignment_and_counts, ErrorCode.invalid_request),
)
faults = pytest.mark.parametrize(
    ("faulty", "code"), REFUSED, ids=[f.__name__.replace("_", "-") for f, _ in REFUSED]
)


# ---- META-02 -------------------------------------------------------------------------------------


@pytest.mark.clause("META-02")
@faults
def test_a_faulty_topic_fails_by_itself(bench: Bench, faulty: Faults, code: ErrorCode) -> None:
    """A faulty topic gets the code of its fault and changes nothing; its neighbour is created."""
    with scene(bench) as s:
        topics = list(faulty(s))
        names = {topic["name"] for topic in topics}
        good = bench.name()
        try:
            first, *others = _distinct(topics)
            pending = [ask_to_create(s.client, new_topic(good), *first)]
            pending += [ask_to_create(s.client, *request) for request in others]
            answers = s.client.target.wait(*pending)
            bench.premise("a faulty topic was to be created", times=len(topics))
            found = [
                (topic, answer[topic["name"]].error_code)
                for request, answer in zip((first, *others), answers, strict=True)
                for topic in request
            ]
            assert _but(code, found) == [], f"{code.name} for each of them"
            assert answers[0][good].error_code is NONE, "the topic beside them is created"
            settled(s.client, good)
            assert _known(s.client, names - {s.existing}) == [], "no faulty topic is created"
            assert shape(settled(s.client, s.existing)) == s.before, "the other is as it was"
        finally:
            bench.discard(s.client, good, *(names - {s.existing}))


@pytest.mark.clause("META-02")
@faults
def test_a_faulty_topic_fails_at_every_version(
    bench: Bench, faulty: Faults, code: ErrorCode
) -> None:
    """With validate_only a faulty topic gets the same code, at each version of CreateTopics."""
    with scene(bench) as s:
        versions = CREATE.of(s.client.controller())
        requests = [
            (request, ask_to_create(s.client, *request, version=version, validate_only=True))
            for version in versions
            for request in _distinct(list(faulty(s)))
        ]
        s.client.target.settle(*(pending for _, pending in requests))
        found = [
            (topic, pending.value[topic["name"]].error_code)
            for request, pending in requests
            for topic in request
        ]
        bench.premise("a faulty topic was to be validated", times=len(found))
        assert _but(code, found) == [], f"{code.name} for each of them, at each version"


@pytest.mark.clause("META-02")
def test_an_assignment_names_brokers_that_exist(bench: Bench) -> None:
    """An assignment to a broker that is not there, or to none, is INVALID_REPLICA_ASSIGNMENT.

    It is only validated: a topic on brokers that do not exist may be impossible to delete.
    """
    with scene(bench) as s:
        impossible = ((NO_SUCH_BROKER,), (-1,), (s.brokers[0], NO_SUCH_BROKER), ())
        topics = [assigned_topic(s.name(), brokers) for brokers in impossible]
        answer = ask_to_create(s.client, *topics, validate_only=True).result()
        bench.premise("an assignment named no broker that exists", times=len(topics))
        found = [(topic, answer[topic["name"]].error_code) for topic in topics]
        code = ErrorCode.invalid_replica_assignment
        assert _but(code, found) == [], f"{code.name} for each of them"


@pytest.mark.clause("META-02")
def test_validate_only_creates_nothing(bench: Bench) -> None:
    """A topic that could be created is accepted with validate_only at each version, not created."""
    with scene(bench) as s:
        over, good = s.client.controller(), s.name()
        names = {s.name(): version for version in CREATE.of(over)}
        try:
            pending = [
                ask_to_create(s.client, new_topic(name), version=version, validate_only=True)
                for name, version in names.items()
            ]
            answers = s.client.target.wait(*pending)
            bench.premise("a topic was only to be validated", times=len(answers))
            found = [a[n].error_code for n, a in zip(names, answers, strict=True)]
            assert set(found) == {NONE}, "it is found to be right"
            ask_to_create(s.client, new_topic(good)).result()
            settled(s.client, good)
            assert _known(s.client, set(names)) == [], "it is not created"
        finally:
            bench.discard(s.client, good, *names)


@pytest.mark.clause("META-02")
def test_minus_one_means_the_default(bench: Bench) -> None:
    """From version 4 on -1 stands for the broker's default of either count, and of both."""
    with scene(bench) as s:
        controller = s.client.controller()
        versions = Versions(api="create_topics", first=MINUS_ONE_SINCE).of(controller)
        default_partitions, default_factor = (
            int(broker_setting(s.client, s.brokers[0], name))
            for name in ("num.partitions", "default.replication.factor")
        )
        asked = ((-1, -1), (-1, 1), (2, -1))
        for version in {versions[0], versions[-1]}:
            for partitions, factor in asked:
                name = s.name()
                topic = new_topic(name, partitions=partitions, replication_factor=factor)
                try:
                    answer = ask_to_create(s.client, topic, version=version).result()
                    bench.premise("a count was -1")
                    assert answer[name].error_code is NONE, f"CreateTopics v{version} accepts -1"
                    view = settled(s.client, name)
                    wanted = default_partitions if partitions < 0 else partitions
                    assert len(view.partitions) == wanted, "num.partitions"
                    wanted = default_factor if factor < 0 else factor
                    sizes = {len(part.replicas) for part in view.partitions.values()}
                    assert sizes == {wanted}, "default.replication.factor"
                finally:
                    bench.discard(s.client, name)


def _distinct(topics: list[NewTopic]) -> list[list[NewTopic]]:
    """Requests in which no name occurs twice; as few as can be."""
    requests: list[list[NewTopic]] = []
    for topic in topics:
        free = (r for r in requests if all(other["name"] != topic["name"] for other in r))
        request = next(free, None)
        if request is None:
            requests.append(request := [])
        request.append(topic)
    return requests


def _but(code: ErrorCode, found: list[tuple[NewTopic, ErrorCode]]) -> list[tuple[NewTopic, str]]:
    """The topics that were answered with another code."""
    return [(topic, error.name) for topic, error in found if error is not code]


def _known(client: Client, names: set[str]) -> list[TopicView]:
    """What brokers say of these names, where they know them."""
    return [view for name in names for view in views(client, name) if view.error is NONE]
