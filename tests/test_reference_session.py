"""A connection to the reference without its socket: order, negotiation, and malformed input."""

import dataclasses
import random
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.schema.errors import ErrorCode
from kio.schema.index import api_key_map, schema_name_map
from kio.serial import entity_reader
from kio.static.constants import EntityType

from reference import requests as core
from reference.errors import Error
from reference.simulator.cluster import Cluster
from reference.wire import ADAPTERS, guard
from reference.wire.codec import decode, head_of
from reference.wire.frames import FrameReader
from reference.wire.guard import Malformed, guarded, varint_bytes
from reference.wire.session import Asked, CloseConnection, MalformedRequest, Session, served
from tests.wire_answers import ADDRESSES, response_to
from tests.wire_samples import build, encoded, frame, read_response, request_frame

SERVED = [(key, version) for key in sorted(ADAPTERS) for version in ADAPTERS[key].versions]
API_VERSIONS = 18


class Rules:
    """What a broker without mutations decides about a connection."""

    def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
        return served

    def answers_in_request_order(self) -> bool:
        return True

    def accepts_frame(self, size_bytes: int) -> bool:
        return size_bytes <= 1000

    def refuses_malformed(self) -> bool:
        return True

    def answers_produce(self, acks: int) -> bool:
        return acks != 0


def session(*frames: bytes, rules: Rules | None = None) -> Session:
    connection = Session(ADDRESSES, rules or Rules())
    for each in frames:
        connection.receive(each)
    return connection


def todo(connection: Session) -> Any:
    found = connection.next_request()
    assert found is not None
    return found


# ---- order -------------------------------------------------------------------------------------


def test_one_request_is_inside_the_broker_at_a_time() -> None:
    connection = session(request_frame(1, 11, 1), request_frame(3, 9, 2), api_versions(3, 3))
    fetch = todo(connection)
    assert isinstance(fetch.request, core.Fetch)
    assert connection.next_request() is None
    assert connection.waiting == 3
    assert read_response(1, 11, connection.answer(fetch.ticket, response_to(1, 11)))[0] == 1
    metadata = todo(connection)
    assert connection.next_request() is None
    assert read_response(3, 9, connection.answer(metadata.ticket, response_to(3, 9)))[0] == 2
    assert read_response(API_VERSIONS, 3, todo(connection))[0] == 3
    assert connection.waiting == 0
    assert connection.next_request() is None


def test_a_mutant_may_answer_out_of_order() -> None:
    class Unordered(Rules):
        def answers_in_request_order(self) -> bool:
            return False

    frames = request_frame(1, 11, 1), request_frame(3, 9, 2)
    connection = session(*frames, rules=Unordered())
    fetch, metadata = todo(connection), todo(connection)
    assert read_response(3, 9, connection.answer(metadata.ticket, response_to(3, 9)))[0] == 2
    assert read_response(1, 11, connection.answer(fetch.ticket, response_to(1, 11)))[0] == 1


@pytest.mark.parametrize("error", [Error.NONE, Error.NOT_LEADER_OR_FOLLOWER])
def test_acks_0_is_answered_by_nothing_or_by_the_end(error: Error) -> None:
    schema: Any = load_request_schema(0, 9)
    body = encoded(build(schema, {"acks": 0, "timeout": timedelta(0), "topic_data": []}))
    connection = session(frame(schema, body))
    asked = todo(connection)
    part = core.ProducedPart(topic="a", number=0, error=error)
    if error:
        with pytest.raises(CloseConnection):
            connection.answer(asked.ticket, core.Produced(parts=(part,)))
    else:
        assert connection.answer(asked.ticket, core.Produced(parts=(part,))) is None


def test_a_mutant_may_answer_acks_0() -> None:
    class Talkative(Rules):
        def answers_produce(self, acks: int) -> bool:
            return True

    schema: Any = load_request_schema(0, 9)
    body = encoded(build(schema, {"acks": 0, "timeout": timedelta(0), "topic_data": []}))
    connection = session(frame(schema, body), rules=Talkative())
    answer = connection.answer(todo(connection).ticket, core.Produced(parts=()))
    assert answer is not None
    assert read_response(0, 9, answer)[0] == 7


# ---- ApiVersions -------------------------------------------------------------------------------


def api_versions(version: int, correlation_id: int = 7, **about: str) -> bytes:
    schema: Any = load_request_schema(API_VERSIONS, version)
    names = {"client_software_name": "test", "client_software_version": "1.0"} | about
    return frame(schema, encoded(build(schema, names)), correlation_id)


@pytest.mark.parametrize("version", range(5))
def test_what_is_served_is_advertised(version: int) -> None:
    _, entity = read_response(API_VERSIONS, version, todo(session(api_versions(version))))
    assert entity.error_code == ErrorCode.none
    told = {each.api_key: (each.min_version, each.max_version) for each in entity.api_keys}
    table = {key: (a.versions.start, a.versions.stop - 1) for key, a in ADAPTERS.items()}
    # librdkafka before 2.11 sends no compressed batches to a broker without Produce 0.
    assert told == table | {0: (0, 13), API_VERSIONS: (0, 4)}
    assert list(told) == sorted(told)


def test_a_mutant_may_advertise_something_else() -> None:
    class Boasting(Rules):
        def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
            return {**served, 68: range(2)}

    connection = session(api_versions(0), rules=Boasting())
    _, entity = read_response(API_VERSIONS, 0, todo(connection))
    assert {each.api_key for each in entity.api_keys} == {*served(), 68}


@pytest.mark.parametrize("version", [5, 99, 32767, -1])
def test_an_unsupported_version_is_answered_in_version_0(version: int) -> None:
    request = struct.pack(">hhi", API_VERSIONS, version, 12) + b"any body at all"
    correlation_id, entity = read_response(API_VERSIONS, 0, todo(session(request)))
    assert correlation_id == 12
    assert entity.error_code == ErrorCode.unsupported_version
    told = [(each.api_key, each.min_version, each.max_version) for each in entity.api_keys]
    assert told == [(API_VERSIONS, 0, 4)]


@pytest.mark.parametrize("name", ["", "-a", "a.", "a b", "é", "a\n", "_"])
def test_a_client_must_name_itself_properly(name: str) -> None:
    for about in ({"client_software_name": name}, {"client_software_version": name}):
        answer = todo(session(api_versions(3, **about)))
        _, entity = read_response(API_VERSIONS, 3, answer)
        assert entity.error_code == ErrorCode.invalid_request
        assert entity.api_keys == ()


@pytest.mark.parametrize("name", ["a", "apache-kafka-java", "librdkafka", "2.11.0-RC1", "0"])
def test_proper_names_of_clients(name: str) -> None:
    answer = todo(session(api_versions(4, client_software_name=name)))
    assert read_response(API_VERSIONS, 4, answer)[1].error_code == ErrorCode.none


@pytest.mark.parametrize(
    ("key", "version"), [(0, 2), (0, 14), (1, 18), (3, 14), (3, -1), (68, 0), (-1, 0), (999, 0)]
)
def test_what_is_not_served_ends_the_connection(key: int, version: int) -> None:
    with pytest.raises(MalformedRequest):
        session(struct.pack(">hhi", key, version, 1) + bytes(50)).next_request()


# ---- tagged fields -----------------------------------------------------------------------------


FLEXIBLE = [
    (key, version) for key, version in SERVED if load_request_schema(key, version).__flexible__
]
TAG = varint_bytes(77) + varint_bytes(3) + b"new"


@pytest.mark.parametrize(("key", "version"), FLEXIBLE)
def test_unknown_tagged_fields_are_passed_over(key: int, version: int) -> None:
    known = request_frame(key, version)
    schema: Any = load_request_schema(key, version)
    header_end = guard.end_of(schema.__header_schema__, known, 0)
    expected = decode(head_of(known), known)
    in_header = known[: header_end - 1] + b"\1" + TAG + known[header_end:]
    assert decode(head_of(known), in_header) == expected
    count, behind = guard.varint(known[::-1], 0)
    assert (count, behind) == (0, 1), "the sample ends with its tagged fields, of which it has none"
    assert decode(head_of(known), known[:-1] + b"\1" + TAG) == expected
    assert decode(head_of(known), known[:-1] + b"\2" + TAG + TAG) == expected


def test_unknown_tagged_fields_inside_of_others() -> None:
    """Fetch 15 names the replica in a tagged struct, which has tagged fields of its own."""
    schema: Any = load_request_schema(1, 15)
    replica = {"replica_id": 3, "replica_epoch": 4}
    values = {"replica_state": replica, "topics": [], "forgotten_topics_data": []}
    body = encoded(build(schema, values))
    content = struct.pack(">iq", 3, 4)
    plain = b"\1" + varint_bytes(1) + varint_bytes(13) + content + b"\0"
    assert body.endswith(plain)
    nested = content + b"\1" + TAG
    strange = b"\2" + varint_bytes(1) + varint_bytes(len(nested)) + nested + TAG
    cleaned, start = guarded(schema, body.removesuffix(plain) + strange, 0)
    assert cleaned[start:] == body


def test_unknown_tagged_fields_of_array_entries() -> None:
    schema: Any = load_request_schema(3, 9)
    names = b"".join(varint_bytes(2) + name + b"\1" + TAG for name in (b"a", b"b"))
    asked = todo(session(frame(schema, varint_bytes(3) + names + b"\1\0\0\0")))
    assert asked.request.topics == ("a", "b")


# ---- malformed input ---------------------------------------------------------------------------


def survives(request: bytes) -> None:
    """Passes if the request is either served or refused in the one way there is."""
    connection = session(request)
    try:
        found = connection.next_request()
    except MalformedRequest:
        return
    assert isinstance(found, bytes | Asked)


@pytest.mark.parametrize(("key", "version"), SERVED)
def test_truncated_and_overlong_requests(key: int, version: int) -> None:
    whole = request_frame(key, version)
    for size in range(len(whole)):
        with pytest.raises(MalformedRequest):
            session(whole[:size]).next_request()
    for rest in (b"\0", b"\0" * 9, b"x"):
        with pytest.raises(MalformedRequest):
            session(whole + rest).next_request()


@given(st.sampled_from(SERVED), st.data())
def test_flipped_bits(served: tuple[int, int], data: st.DataObject) -> None:
    request = bytearray(request_frame(*served))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, len(request) - 1))
        request[at] ^= 1 << data.draw(st.integers(0, 7))
    survives(bytes(request))


@given(st.sampled_from(SERVED), st.binary(max_size=200))
def test_random_bodies(served: tuple[int, int], body: bytes) -> None:
    survives(frame(load_request_schema(*served), body))


@given(st.binary(max_size=200))
@example(b"")
@example(bytes(8))
def test_random_frames(request: bytes) -> None:
    survives(request)


def bombs() -> Iterator[Any]:
    """Requests of a few bytes that announce as much as their form can announce."""
    huge = {False: b"\x7f\xff\xff\xff", True: b"\xff\xff\xff\xff\x0f"}
    for key, version in SERVED:
        schema: Any = load_request_schema(key, version)
        whole = request_frame(key, version)
        start = guard.end_of(schema.__header_schema__, whole, 0)
        for at in range(start, len(whole)):
            for more in (b"", bytes(100)):
                request = whole[:at] + huge[schema.__flexible__] + more
                yield pytest.param(request, id=f"{key}-{version}-{at}-{len(more)}")


def test_huge_counts_allocate_nothing() -> None:
    tracemalloc.start()
    started = time.process_time()
    try:
        for each in bombs():
            survives(each.values[0])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20
    assert time.process_time() - started < 60


@pytest.mark.parametrize(
    ("key", "version", "body"),
    [
        pytest.param(3, 0, b"\xff\xff\xff\xff", id="null for an array that is never null"),
        pytest.param(3, 1, b"\xff\xff\xff\xfe", id="an array of -2 entries"),
        pytest.param(20, 1, b"\0\0\0\1\xff\xff\0\0\0\0", id="null for a name"),
        pytest.param(20, 1, b"\0\0\0\1\xff\xfe\0\0\0\0", id="a name of -2 bytes"),
        pytest.param(20, 1, b"\0\0\0\1\0\2\xff\xff\0\0\0\0", id="a name that is not UTF-8"),
        pytest.param(3, 9, b"\xff" * 12, id="an endless varint"),
        pytest.param(3, 9, b"\0\1\0\0\xff\xff\xff\xff\x07", id="2^31 tagged fields"),
        pytest.param(3, 9, b"\0\1\0\0\1\5\xff\xff\xff\xff\x0f", id="a tagged field of 4 GiB"),
        pytest.param(1, 12, bytes(25) + b"\1\1\1\1\0\2\2ab", id="a tag longer than its field"),
    ],
)
def test_forms_that_no_client_sends(key: int, version: int, body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        session(frame(load_request_schema(key, version), body)).next_request()


@pytest.mark.parametrize(
    ("version", "count_bytes", "entry"),
    [
        pytest.param(1, lambda count: struct.pack(">i", count), b"\0\1a", id="array entries"),
        pytest.param(9, lambda count: b"\0\0\0\0" + varint_bytes(count), b"\7\0", id="tags"),
    ],
)
def test_the_number_of_entries_is_bounded(
    version: int, count_bytes: Callable[[int], bytes], entry: bytes
) -> None:
    schema = load_request_schema(3, version)
    most = guard.ENTRIES_MAX
    guarded(schema, count_bytes(most) + entry * most, 0)
    with pytest.raises(Malformed, match="entries"):
        guarded(schema, count_bytes(most + 1) + entry * (most + 1), 0)


def test_a_mutant_may_pass_over_malformed_requests() -> None:
    class Silent(Rules):
        def refuses_malformed(self) -> bool:
            return False

    connection = session(b"junk", request_frame(3, 9)[:-1], api_versions(3), rules=Silent())
    assert read_response(API_VERSIONS, 3, todo(connection))[0] == 7


def test_frames_that_the_rules_do_not_accept() -> None:
    request = frame(load_request_schema(3, 0), struct.pack(">iH", 1, 2000) + b"a" * 2000)
    with pytest.raises(MalformedRequest):
        session(request).next_request()


# ---- every message that kio knows --------------------------------------------------------------


class Messages:
    """Random kio entities, every field in turn null, empty, short and long."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def entity(self, schema: Any) -> Any:
        values = {}
        for field in dataclasses.fields(schema):
            is_tagged = "tag" in field.metadata
            is_optional = is_tagged and field.default is not dataclasses.MISSING
            if is_optional and self.chance.random() < 0.5:
                continue
            kind, is_array, is_nullable = guard.shape_of(field.type)
            if is_nullable and not is_tagged and self.chance.random() < 0.2:
                values[field.name] = None
            elif is_array:
                count = self.chance.randrange(4)
                values[field.name] = tuple(self.value(field, kind) for _ in range(count))
            else:
                values[field.name] = self.value(field, kind)
        return schema(**values)

    def value(self, field: Any, kind: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return self.entity(kind)
        return self.primitive(field.metadata["kafka_type"])

    def primitive(self, kafka_type: str) -> Any:
        chance = self.chance
        if kafka_type.startswith("int"):
            return chance.getrandbits(int(kafka_type[3:]) - 1) * chance.choice((1, -1))
        if kafka_type.startswith("uint"):
            return chance.getrandbits(int(kafka_type[4:]))
        if kafka_type.startswith("timedelta"):
            return timedelta(milliseconds=chance.randrange(-(2**31), 2**31))
        size = chance.choice((0, 1, 3, 130))
        made = {
            "string": lambda: "é" * size,
            "bytes": lambda: chance.randbytes(size),
            "records": lambda: chance.randbytes(size),
            "bool": lambda: chance.random() < 0.5,
            "uuid": lambda: UUID(int=chance.getrandbits(128)),
            "error_code": lambda: chance.choice(list(ErrorCode)),
            "float64": chance.random,
            "datetime_i64": lambda: datetime.fromtimestamp(chance.getrandbits(30), UTC),
        }
        return made[kafka_type]()


def test_the_guard_passes_whatever_kio_writes() -> None:
    messages = Messages(seed=1)
    passed = 0
    for name in api_key_map.values():
        for version, kinds in schema_name_map[name].items():
            key = next(key for key, each in api_key_map.items() if each == name)
            for load in (load_request_schema, load_response_schema):
                kind = EntityType.request if load is load_request_schema else EntityType.response
                if kind not in kinds:
                    continue
                schema: Any = load(key, version)
                for _ in range(3):
                    body = encoded(messages.entity(schema))
                    assert guarded(schema, b"12" + body, 2) == (b"12" + body, 2)
                    assert entity_reader(schema)(body, 0)[1] == len(body)
                    with pytest.raises(Malformed):
                        guarded(schema, body + b"\0", 0)
                    passed += 1
    assert passed > 1500


def test_whatever_clients_ask_no_broker_crashes() -> None:
    """Any values in well-formed requests, and samples with flipped bits, to a running cluster."""
    cluster = Cluster(ADDRESSES, seed=1, traced=False)
    messages = Messages(seed=2)
    chance = messages.chance
    answers: list[bytes | None] = [None]
    connections: dict[int, int] = {}
    for _ in range(1500):
        if None in answers:
            connections = {broker: cluster.connect(broker, answers.append) for broker in ADDRESSES}
        answers.clear()
        key, version = chance.choice(SERVED)
        request = bytearray(request_frame(key, version))
        if chance.random() < 0.5:
            schema: Any = load_request_schema(key, version)
            request = bytearray(frame(schema, encoded(messages.entity(schema))))
        elif chance.random() < 0.8:
            request[chance.randrange(8, len(request))] ^= 1 << chance.randrange(8)
        cluster.receive(connections[chance.choice(list(ADDRESSES))], bytes(request))
        cluster.run(lambda: False, chance.choice((1, 20, 200)))
        assert cluster.crashes == []


# ---- frames ------------------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=8, max_size=40), max_size=6), st.data())
def test_frames_are_cut_out_of_any_chunks(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(struct.pack(">i", len(each)) + each for each in frames)
    reader = FrameReader(Rules().accepts_frame)
    found: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        reader.feed(stream[:size])
        found += reader.frames()
        stream = stream[size:]
    assert found == frames


@pytest.mark.parametrize("size", [0, 7, -1, -(2**31), 1001, 2**31 - 1])
def test_lengths_that_no_frame_has(size: int) -> None:
    reader = FrameReader(Rules().accepts_frame)
    reader.feed(struct.pack(">i", 8) + bytes(8) + struct.pack(">i", size))
    frames = reader.frames()
    assert next(frames) == bytes(8)
    with pytest.raises(MalformedRequest):
        next(frames)
