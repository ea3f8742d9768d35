"""The protocol itself: what is advertised is served, in well-formed answers (ERR-01, ERR-02)."""

import struct
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.bench import Bench
from conformance.codec import Entity
from conformance.connection import Connection, Pending, describe
from conformance.outcomes import Inconclusive, Loss, MalformedAnswer
from conformance.records import batch_of
from conformance.workload.fates import (
    Fate,
    correlation_id_of,
    decoded,
    fates,
    frames_in_turn,
    probe,
)
from conformance.workload.harmless import (
    Values,
    asked_in_turn,
    errors_in,
    harmless_requests,
    served,
)
from conformance.workload.tampering import joined, pieces_of, with_tagged_fields
from conformance.world import World, worlds

INT32 = (-(1 << 31), (1 << 31) - 1)
API_VERSIONS = codec.KEYS["api_versions"]
SOFTWARE = {"client_software_name": "highwater", "client_software_version": "0"}
HEADER_PIECES = 4
"""Key, version and correlation id; two of the client id; tagged fields where they are flexible."""
UNSUPPORTED_VERSION = struct.pack(">h", 35)
OPTIONAL = ("consumer_group", "share", "streams_group")
"""Kinds of groups that an operator can switch off: their requests may be refused with 35."""
WIDELY_SERVED = (
    "produce",
    "fetch",
    "list_offsets",
    "metadata",
    "create_topics",
    "describe_configs",
)
MOVING = frozenset(
    {
        ErrorCode.coordinator_load_in_progress,
        ErrorCode.coordinator_not_available,
        ErrorCode.not_coordinator,
    }
)
"""What may differ between two answers to the same question, with nobody at fault."""
UNKNOWN_TAGS = ((10_000, b""), (10_001, b"highwater"), (1 << 30, bytes(300)))


# ---- ERR-01: what is advertised is served, and nothing else -------------------------------------


@pytest.mark.clause("ERR-01")
def test_whatever_is_advertised_is_served(bench: Bench) -> None:
    """A minimal request of every advertised API and version is answered, and not with 35."""
    with bench.topic() as topic:
        topic[0].append(b"something to ask about")
        requests = served(topic[0].leader, harmless_requests(topic))
        asked = asked_in_turn(topic, requests)
        closed = [describe(p.request) for p in asked if p.loss is Loss.CLOSED_BY_BROKER]
        bench.premise("an advertised version was asked for", len(asked))
        assert closed == [], "what is advertised is answered"
        refused = [
            describe(pending.request)
            for pending in asked
            if ErrorCode.unsupported_version in errors_in(readable(pending))
            and not codec.NAMES[pending.request.__api_key__].startswith(OPTIONAL)
        ]
        assert refused == [], "what is advertised is not refused as unsupported"


def readable(pending: Pending[Entity]) -> Entity | None:
    """Whether answers are well-formed is for ERR-02 to say."""
    try:
        return pending.value
    except MalformedAnswer:
        return None


@pytest.mark.clause("ERR-01")
def test_every_connection_is_told_the_same(bench: Bench) -> None:
    """Each broker lists the same keys and versions on each connection, in each version."""
    with bench.client() as client:
        for broker in client.brokers:
            lists = [table for _ in range(2) for table in advertised(client.connect(broker))]
            bench.premise("a broker said on several connections what it serves", len(lists))
            assert all(table == lists[0] for table in lists), "the list does not change"
            keys = [key for key, _, _ in lists[0]]
            assert keys == sorted(set(keys)), "no key is listed twice"
            assert API_VERSIONS in keys, "ApiVersions itself is served"
            assert all(0 <= low <= high for _, low, high in lists[0]), "ranges are not empty"


def advertised(connection: Connection) -> list[list[tuple[int, int, int]]]:
    """(key, lowest, highest) in ascending order, asked for in every version of ApiVersions."""
    requests = served(connection, {"api_versions": SOFTWARE})
    asked: list[Pending[Entity]] = [connection.send(request) for request in requests]
    return [
        sorted((k.api_key, k.min_version, k.max_version) for k in answer.api_keys)
        for answer in connection.target.wait(*asked)
    ]


@pytest.mark.clause("ERR-01")
@pytest.mark.parametrize("body", ["of version 3", "empty", "unknown"])
def test_apiversions_of_the_future_is_answered_in_version_0(bench: Bench, body: str) -> None:
    """A version that the broker cannot know gets the format of v0, error 35 and key 18's range."""
    with bench.topic() as topic:
        low, high = topic[0].leader.versions[API_VERSIONS]
        pieces = pieces_of(codec.request("api_versions", 3, **SOFTWARE), 0)
        header, of_version_3 = joined(pieces[:HEADER_PIECES]), joined(pieces[HEADER_PIECES:])
        bodies = {"of version 3": of_version_3, "empty": b"", "unknown": bytes(range(200, 240))}
        for version in (high + 1, 99, 0x7FFF):
            (payload,) = frames_in_turn(topic, [future(header + bodies[body], version, 77)])
            bench.premise("ApiVersions was sent in an unsupported version")
            assert payload is not None, f"version {version} is answered, not closed"
            answer = decoded(codec.request("api_versions", 0), 77, payload)
            assert answer is not None, f"version {version} is answered in the format of v0"
            ranges = {k.api_key: (k.min_version, k.max_version) for k in answer.api_keys}
            assert answer.error_code is ErrorCode.unsupported_version
            assert ranges.get(API_VERSIONS) == (low, high), "the supported range of key 18"


def future(frame: bytes, version: int, correlation_id: int) -> bytes:
    """The same frame in the name of another version."""
    return frame[:2] + struct.pack(">hi", version, correlation_id) + frame[8:]


@pytest.mark.clause("ERR-01")
def test_a_connection_goes_on_after_an_unsupported_apiversions(bench: Bench) -> None:
    """A client that was told the supported range asks again, on the same connection (KIP-511)."""
    with bench.client() as client:
        connection = client.connect()
        newest = codec.encode_request(codec.request("api_versions", 3, **SOFTWARE), 0)
        connection.send_frame(future(newest, 99, 1))
        fates(client.target, [connection])
        connection.unasked.clear()
        asked: Pending[Entity] = connection.send(codec.request("api_versions", 0))
        client.target.settle(asked)
        bench.premise("a client asked again after it was refused")
        assert asked.loss is None, "the connection stays open"
        assert asked.value.error_code is ErrorCode.none


@pytest.mark.clause("ERR-01")
def test_what_is_not_advertised_is_refused(bench: Bench) -> None:
    """A version beyond the range, or an unknown key, ends the connection or is answered 35."""
    with bench.topic() as topic:
        frames = unsupported_frames(topic[0].leader, harmless_requests(topic), bench.virtual)
        connections = [topic[0].connect() for _ in frames]
        for connection, frame in zip(connections, frames.values(), strict=True):
            connection.send_frame(frame)
            probe(connection)
        found = dict(zip(frames, fates(topic.target, connections), strict=True))
        bench.premise("a request that is not advertised was sent", len(found))
        ignored = [name for name, end in found.items() if end is Fate.PASSED_OVER]
        assert ignored == [], "what is not advertised is not passed over in silence"
        served_anyway = [
            name
            for name, connection in zip(frames, connections, strict=True)
            if found[name] is Fate.ANSWERED and UNSUPPORTED_VERSION not in connection.unasked[0][4:]
        ]
        assert served_anyway == [], "what is not advertised is closed or answered with 35"
        waiting = [name for name, end in found.items() if end is Fate.WAITING]
        if waiting:
            raise Inconclusive(f"{Fate.WAITING}: {', '.join(waiting)}")


def unsupported_frames(
    connection: Connection, requests: Mapping[str, Values], all_of_them: bool
) -> dict[str, bytes]:
    """One version below and one above each range, with the body of the nearest; unknown keys."""
    found: dict[str, bytes] = {}
    for api in requests if all_of_them else WIDELY_SERVED:
        low, high = connection.versions.get(codec.KEYS[api], (0, -1))
        for version in {low - 1, high + 1}:
            nearest = min((abs(known - version), known) for known in codec.VERSIONS[api])[1]
            request = codec.request(api, nearest, **requests[api])
            if api != "api_versions":
                found[f"{api} v{version}"] = future(codec.encode_request(request, 0), version, 5)
    plain = codec.encode_request(codec.request("api_versions", 0), 5)
    for key in (-1, 999, 0x7FFF):
        found[f"API key {key}"] = struct.pack(">h", key) + plain[2:]
    return found


# ---- ERR-02: well-formed answers with the right correlation id --------------------------------


@pytest.mark.clause("ERR-02")
def test_every_answer_is_well_formed_in_its_version(bench: Bench) -> None:
    """Every answer of every API and version decodes to its last byte and echoes its id."""
    with bench.topic() as topic:
        topic[0].append(b"something to ask about")
        requests = served(topic[0].leader, harmless_requests(topic))
        ids = [INT32[n % 2] + n * (-1) ** n for n in range(len(requests))]
        frames = [codec.encode_request(r, i) for r, i in zip(requests, ids, strict=True)]
        malformed = []
        for request, sent_id, payload in zip(
            requests, ids, frames_in_turn(topic, frames), strict=True
        ):
            if payload is None:
                continue
            bench.premise("an answer was decoded")
            try:
                codec.decode_response(request, sent_id, payload)
            except MalformedAnswer as violation:
                malformed.append(str(violation))
        assert malformed == [], "answers can be decoded to their last byte, and echo their id"


@pytest.mark.clause("ERR-02")
def test_unknown_tagged_fields_are_skipped(bench: Bench) -> None:
    """Tagged fields that nobody knows, in the header, the body and every entry, change nothing."""
    with bench.topic() as topic:
        topic[0].append(b"something to ask about")
        requests = [
            request
            for request in served(topic[0].leader, harmless_requests(topic))
            if request.__header_schema__.__flexible__
        ]
        plain = frames_in_turn(topic, [codec.encode_request(r, 1) for r in requests])
        tagged = [with_tagged_fields(pieces_of(r, 2), UNKNOWN_TAGS) for r in requests]
        for request, before, after in zip(
            requests, plain, frames_in_turn(topic, tagged), strict=True
        ):
            expected = decoded(request, 1, before)
            if expected is None:
                continue
            bench.premise("a request carried unknown tagged fields")
            assert after is not None, f"{describe(request)} is answered in spite of them"
            found = codec.decode_response(request, 2, after)
            codes, plain_codes = errors_in(found), errors_in(expected)
            if not MOVING & {*codes, *plain_codes}:
                assert codes == plain_codes, f"{describe(request)} is answered as without them"


@pytest.mark.clause("ERR-02")
@given(
    world=worlds(),
    ids=st.lists(st.integers(*INT32) | st.sampled_from((0, -1, *INT32)), min_size=2, max_size=12),
    data=st.data(),
)
def test_a_pipeline_is_answered_in_order_with_its_correlation_ids(
    bench: Bench, world: World, ids: list[int], data: st.DataObject
) -> None:
    """Answers come in the order of the questions, each with its own id, the slow ones too."""
    with bench.topic(world=world) as topic:
        connection = topic[0].leader
        every: dict[str, Entity] = {
            "a fetch that waits": topic[0].fetch_request(0, max_wait_ms=50, over=connection),
            "metadata": connection.build("metadata", at_most=8),
            "api_versions": codec.request("api_versions", 0),
            "acks of all": topic[0].produce_request(batch_of(b"x"), over=connection),
        }
        kinds = [data.draw(st.sampled_from(list(every))) for _ in ids]
        requests = [every[kind] for kind in kinds]
        frames = [codec.encode_request(r, i) for r, i in zip(requests, ids, strict=True)]
        answers = frames_in_turn(topic, frames)
        found = [correlation_id_of(payload) for payload in answers if payload is not None]
        bench.premise("requests were pipelined", len(found))
        assert found == [i for i, a in zip(ids, answers, strict=True) if a is not None]


@pytest.mark.clause("ERR-02")
@pytest.mark.parametrize("client_id", [None, "", "x" * 3_000, "Hochwasser ≋"])
def test_any_client_id_is_accepted(bench: Bench, client_id: str | None) -> None:
    """A null, empty, long or non-ASCII client id in either header does not matter."""
    with bench.topic() as topic:
        content = b"" if client_id is None else client_id.encode()
        name = struct.pack(">h", -1 if client_id is None else len(content)) + content
        requests = served(topic[0].leader, {"api_versions": SOFTWARE})
        frames = []
        for request in requests:
            head, _, _, *rest = pieces_of(request, 9)
            frames.append(joined([head, name, *rest]))
        for request, payload in zip(requests, frames_in_turn(topic, frames), strict=True):
            bench.premise("a request had this client id")
            assert payload is not None, f"{describe(request)} is answered"
            assert codec.decode_response(request, 9, payload).error_code is ErrorCode.none
