"""The wire layer without a broker: adapters, encoders, sessions, and what must not get through."""

import ast
import dataclasses
import importlib
import inspect
import warnings
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.schema.errors import ErrorCode
from kio.serial import entity_reader

from reference import requests as core
from reference.errors import Error
from reference.wire import ADAPTERS, configs, elections, hot, metadata, offsets, topics
from reference.wire import records as records_adapters
from reference.wire.adapter import response_module
from reference.wire.codec import Head, encode
from reference.wire.session import (
    Asked,
    Session,
)
from tests.wire_answers import ADDRESSES, READ_BY_KAFKA_PYTHON, response_to
from tests.wire_samples import (
    ID,
    REQUESTS,
    build,
    encoded,
    frame,
    module_of,
    read_response,
    request_frame,
)

SERVED = [(key, version) for key in sorted(ADAPTERS) for version in ADAPTERS[key].versions]
HOT = [(key, version) for key, version in SERVED if ADAPTERS[key].encode]


class Rules:
    """What a broker without mutations decides about a connection."""

    def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
        return served

    def answers_in_request_order(self) -> bool:
        return True

    def accepts_frame(self, size_bytes: int) -> bool:
        return size_bytes <= 100 << 20

    def refuses_malformed(self) -> bool:
        return True

    def answers_produce(self, acks: int) -> bool:
        return acks != 0


def session(rules: Rules | None = None) -> Session:
    return Session(ADDRESSES, rules or Rules())


def ask(frame: bytes) -> bytes | Asked | None:
    connection = session()
    connection.receive(frame)
    return connection.next_request()


# ---- every version of every API ----------------------------------------------------------------


@pytest.mark.parametrize(("key", "version"), SERVED)
def test_requests_reach_the_core_whole(key: int, version: int) -> None:
    asked = ask(request_frame(key, version))
    assert isinstance(asked, Asked)
    whole = REQUESTS[key][1]
    if hasattr(whole, "api_version"):
        whole = dataclasses.replace(whole, api_version=version)
    assert type(asked.request) is type(whole)
    if version == ADAPTERS[key].versions.stop - 1:
        assert asked.request == whole


@pytest.mark.parametrize(("key", "version"), SERVED)
def test_responses_are_read_back_by_kio(key: int, version: int) -> None:
    connection = session()
    connection.receive(request_frame(key, version, correlation_id=-5))
    asked = connection.next_request()
    assert isinstance(asked, Asked)
    response = response_to(key, version)
    answer = connection.answer(asked.ticket, response)
    assert answer is not None
    correlation_id, entity = read_response(key, version, answer)
    assert correlation_id == -5
    kio = response_module(key, version)
    expected = ADAPTERS[key].from_core(kio, response, ADDRESSES)
    if key == 0:  # kio reads timestamps to the second
        assert encode(Head(key, version, -5), expected) == answer
    else:
        assert entity == expected


def kafka_python_responses() -> dict[int, Any]:
    with warnings.catch_warnings(action="ignore"):  # it reads its schemas in a deprecated way
        for group in ("admin", "consumer", "metadata", "producer"):
            importlib.import_module(f"kafka.protocol.{group}")
        from kafka.protocol.api_message import ApiMessage
    found: dict[int, Any] = {}

    def walk(cls: Any) -> None:
        for each in cls.__subclasses__():
            schema = getattr(each, "_json", None)
            if schema and schema.get("type") == "response" and each._class_version is None:
                found[each.API_KEY] = each
            walk(each)

    walk(ApiMessage)
    return found


KAFKA_PYTHON = kafka_python_responses()


def assert_agrees(read: Any, expected: Any, where: str) -> None:
    if isinstance(expected, list):
        assert len(read) == len(expected), where
        for each, wanted in zip(read, expected, strict=True):
            assert_agrees(each, wanted, where)
    elif isinstance(expected, dict):
        for name in expected.keys() & {name for name in read if read[name] not in (None, [])}:
            assert_agrees(read[name], expected[name], f"{where}.{name}")
    else:
        assert read == expected, where


@pytest.mark.parametrize(("key", "version"), SERVED)
def test_responses_are_read_by_another_codec(key: int, version: int) -> None:
    answer = encode(
        Head(key, version, 7),
        ADAPTERS[key].from_core(
            response_module(key, version), response_to(key, version), ADDRESSES
        ),
    )
    read = KAFKA_PYTHON[key][version].decode(answer, header=True).to_dict()
    assert_agrees(read, READ_BY_KAFKA_PYTHON[key], str(key))
    if version == ADAPTERS[key].versions.stop - 1:
        missing = _paths(READ_BY_KAFKA_PYTHON[key]) - _paths(read)
        assert missing <= {".responses.name", ".responses.topic"}, "by id since version 13"


def _paths(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, list):
        return {path for each in value for path in _paths(each, prefix)}
    if isinstance(value, dict):
        return {path for name in value for path in _paths(value[name], f"{prefix}.{name}")}
    return set() if value is None else {prefix}


@pytest.mark.parametrize(
    "module", [records_adapters, offsets, metadata, topics, configs, elections]
)
def test_adapters_name_only_fields_that_kio_has(module: Any) -> None:
    """`fill` and `getattr` pass over what a version lacks; a misspelt name must not hide there."""
    known: set[str] = set()
    fields: dict[str, set[str]] = {}
    for adapter in module.ADAPTERS:
        for version in adapter.versions:
            for schema in (
                load_request_schema(adapter.api_key, version),
                load_response_schema(adapter.api_key, version),
            ):
                for name, each in vars(module_of(schema)).items():
                    if dataclasses.is_dataclass(each):
                        names = {field.name for field in dataclasses.fields(each)}
                        fields.setdefault(name, set()).update(names)
                        known |= names
    for call in ast.walk(ast.parse(inspect.getsource(module))):
        if not isinstance(call, ast.Call):
            continue
        called = ast.unparse(call.func)
        if called == "getattr":
            assert ast.literal_eval(call.args[1]) in known
        if called == "fill" and isinstance(call.args[0], ast.Attribute):
            named = {keyword.arg for keyword in call.keywords if keyword.arg}
            assert named <= fields[call.args[0].attr], call.args[0].attr


def test_every_error_has_a_name_in_kio() -> None:
    assert {error.name.lower() for error in Error} == {ErrorCode(error).name for error in Error}


# ---- what Kafka's protocol says about single fields --------------------------------------------


def asked_for(key: int, version: int, **values: Any) -> Any:
    schema: Any = load_request_schema(key, version)
    asked = ask(frame(schema, encoded(build(schema, values))))
    return asked.request if isinstance(asked, Asked) else asked


@pytest.mark.parametrize(
    ("version", "topics", "expected"),
    [
        (0, [], None),
        (0, [{"name": "a"}], ("a",)),
        (1, None, None),
        (1, [], ()),
        (12, None, None),
        (12, [], ()),
        (12, [{"topic_id": ID, "name": None}], (ID,)),
    ],
)
def test_which_topics_metadata_asks_for(version: int, topics: Any, expected: Any) -> None:
    assert asked_for(3, version, topics=topics).topics == expected


@pytest.mark.parametrize(("version", "allowed"), [(3, True), (4, False), (12, False)])
def test_old_metadata_requests_create_topics(version: int, allowed: bool) -> None:
    request = asked_for(3, version, topics=[], allow_auto_topic_creation=False)
    assert request.allow_auto_topic_creation is allowed


@pytest.mark.parametrize("version", [10, 11])
@pytest.mark.parametrize("topic", [{"topic_id": ID, "name": "a"}, {"name": None}])
def test_metadata_by_id_before_it_was_served(version: int, topic: dict[str, Any]) -> None:
    answer = asked_for(3, version, topics=[topic])
    _, entity = read_response(3, version, answer)
    assert [each.error_code for each in entity.topics] == [ErrorCode.invalid_request]


@pytest.mark.parametrize(
    ("endpoint_type", "error"),
    [(2, ErrorCode.mismatched_endpoint_type), (9, ErrorCode.unsupported_endpoint_type)],
)
def test_endpoints_that_a_broker_does_not_know(endpoint_type: int, error: ErrorCode) -> None:
    _, entity = read_response(60, 1, asked_for(60, 1, endpoint_type=endpoint_type))
    assert entity.error_code == error


@pytest.mark.parametrize("topic", [{"topic_id": ID, "name": "a"}, {"name": None}])
def test_topics_to_delete_are_named_once(topic: dict[str, Any]) -> None:
    _, entity = read_response(20, 6, asked_for(20, 6, topics=[topic]))
    assert [each.error_code for each in entity.responses] == [ErrorCode.invalid_request]


@pytest.mark.parametrize(("key", "field"), [(0, "topic_data"), (1, "topics")])
def test_the_zero_id_is_an_id(key: int, field: str) -> None:
    part = {0: {"partition_data": [{"index": 0}]}, 1: {"partitions": [{"partition": 0}]}}[key]
    request = asked_for(key, 13, **{field: [{"topic_id": None, **part}]})
    assert [each.topic for each in request.parts] == [core.NO_TOPIC_ID]


def test_repetitions_and_order_survive() -> None:
    parts = tuple(
        core.ProducedPart(topic=topic, number=number, error=Error.NONE)
        for topic, number in [("a", 1), ("b", 0), ("a", 1), ("a", 0)]
    )
    body = b"".join(hot.encode_produced(9, core.Produced(parts=parts), ADDRESSES))
    entity, _ = entity_reader(load_response_schema(0, 9))(body, 0)
    assert [(t.name, [p.index for p in t.partition_responses]) for t in entity.responses] == [
        ("a", [1]),
        ("b", [0]),
        ("a", [1, 0]),
    ]


@pytest.mark.parametrize(("key", "version"), [(0, 9), (1, 12), (1, 15)])
def test_leaders_are_told_from_kip_951_on(key: int, version: int) -> None:
    for told, at in ((False, version), (True, {0: 10, 1: 16}[key])):
        response = response_to(key, at)
        body = b"".join(ADAPTERS[key].encode(at, response, ADDRESSES))  # type: ignore[misc]
        assert (b"127.0.0.1" in body) is told


# ---- hand-written encoders ---------------------------------------------------------------------

INT, LONG = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=150)
HINT = st.none() | st.builds(
    core.LeaderHint, st.sampled_from([-1, 1, 2, 3, 99]), st.sampled_from([-1, 0, 7])
)
DATE_MS = st.integers(-1, 4_102_444_800_000)
ERROR = st.sampled_from(Error)


def produced_parts(topic: st.SearchStrategy[Any]) -> st.SearchStrategy[core.ProducedPart]:
    return st.builds(
        core.ProducedPart,
        topic=topic,
        number=INT,
        error=ERROR,
        base_offset=LONG,
        log_append_time_ms=DATE_MS,
        log_start_offset=LONG,
        record_errors=st.lists(st.builds(core.RecordError, INT, TEXT), max_size=3).map(tuple),
        message=st.none() | TEXT,
        current_leader=HINT,
    )


def fetched_parts(topic: st.SearchStrategy[Any]) -> st.SearchStrategy[core.FetchedPart]:
    aborted = st.lists(st.builds(core.AbortedTransaction, LONG, LONG), max_size=3).map(tuple)
    return st.builds(
        core.FetchedPart,
        topic=topic,
        number=INT,
        error=ERROR,
        high_watermark=LONG,
        last_stable_offset=LONG,
        log_start_offset=LONG,
        diverging=st.none()
        | st.builds(core.EpochEnd, st.sampled_from([-1, 3]), st.sampled_from([-1, 4])),
        current_leader=HINT,
        aborted=st.none() | aborted,
        preferred_read_replica=INT,
        records=st.binary(max_size=300),
    )


def responses(key: int, version: int) -> st.SearchStrategy[Any]:
    by_id = version >= records_adapters.TOPIC_IDS_SINCE
    topic: st.SearchStrategy[Any] = (
        st.integers(0, 3).map(lambda n: UUID(int=n)) if by_id else st.sampled_from(["a", "é" * 80])
    )
    parts = (produced_parts if key == 0 else fetched_parts)(topic)
    many = st.lists(parts, max_size=4).map(tuple)
    if key == 0:
        return st.builds(core.Produced, parts=many)
    return st.builds(core.Fetched, error=ERROR, session_id=INT, parts=many)


@pytest.mark.parametrize(("key", "version"), HOT)
@given(data=st.data())
def test_hand_written_encoders_write_what_kio_writes(
    key: int, version: int, data: st.DataObject
) -> None:
    response = data.draw(responses(key, version))
    adapter = ADAPTERS[key]
    entity = adapter.from_core(response_module(key, version), response, ADDRESSES)
    assert adapter.encode is not None
    body = b"".join(adapter.encode(version, response, ADDRESSES))
    assert body == encode(Head(key, version, 0), entity)[4 if _is_legacy(key, version) else 5 :]


def _is_legacy(key: int, version: int) -> bool:
    schema: Any = load_response_schema(key, version)
    return not schema.__header_schema__.__flexible__
