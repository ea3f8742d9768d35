"""Malformed frames end their own connection and nobody else's (ERR-03).

Beside each of them a healthy client reads another partition: its connection stays open, it is
answered, and it reads what it always read. Behind each malformed frame, on the same connection,
comes a right one: where that is answered first, the malformed one was passed over in silence, and
no clock is needed to say so. No frame here can do harm where it is taken for a
request after all: what is bent are questions about a topic of the test's own, and, where a frame
is wrong for certain, a Produce to a partition that must stay empty.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.schema.errors import ErrorCode

from conformance import codec
from conformance.bench import DEFAULT, Bench
from conformance.codec import Entity
from conformance.connection import Connection, describe
from conformance.outcomes import Inconclusive, Unsupported
from conformance.partition import Partition
from conformance.workload.fates import (
    PATIENCE_MS,
    PROBE,
    Fate,
    decoded,
    fate,
    fates,
    frames_in_turn,
    probe,
)
from conformance.workload.harmless import errors_in, harmless_requests, served
from conformance.workload.tampering import (
    NULL,
    Length,
    Piece,
    TaggedFields,
    joined,
    pieces_of,
    tampered,
    unsigned_varint,
)
from conformance.world import World, worlds

CONTENT = [b"what the healthy client", b"reads again and again"]
BENT = ("produce", "fetch", "list_offsets", "offset_for_leader_epoch", "describe_configs")
READING = ("fetch", "list_offsets", "offset_for_leader_epoch", "describe_configs", "api_versions")
HEADER_BYTES = 8
"""Key, version and correlation id: the least that can be called a request."""
CORRELATION_ID = 7
SOFTWARE = {"client_software_name": "highwater", "client_software_version": "0"}
HUGE = (1 << 31) - 1
A_BROKER = 4
LIMIT, LIMIT_MAX_BYTES = "socket.request.max.bytes", 128 << 20
SCANNERS = (
    b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n",
    b"SSH-2.0-scanner\r\n",
    bytes.fromhex("1603010200010001fc0303") + bytes(64),  # the beginning of a TLS handshake
    bytes(64),
    b"\xff" * 64,
    b"\r\n" * 4,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ward:
    """What is bent goes to `victim`; what must not notice it is `healthy`."""

    healthy: Partition
    witness: Connection
    victim: Partition

    def requests(self, apis: tuple[str, ...]) -> list[Entity]:
        """Whole requests about the victim, in every version that is served."""
        every = harmless_requests(self.victim.topic)
        return served(self.victim.leader, {api: every[api] for api in apis})

    def connect(self, count: int) -> list[Connection]:
        return [self.victim.connect() for _ in range(count)]

    def send(self, frames: Iterable[bytes]) -> list[Connection]:
        """Each over a connection of its own, with a right one behind it."""
        return self.send_raw(struct.pack(">i", len(frame)) + frame for frame in frames)

    def send_raw(self, contents: Iterable[bytes]) -> list[Connection]:
        sent = []
        for content in contents:
            connection = self.victim.connect()
            connection.send_raw(content)
            probe(connection)
            sent.append(connection)
        return sent

    def expect_unharmed(self) -> None:
        """The healthy client is still connected, and reads what it always read."""
        asked = self.healthy.fetch(0, over=self.witness)
        self.healthy.target.settle(asked)
        assert self.witness.loss is None, "another client's connection stays open"
        assert [r.value for r in asked.value.records] == CONTENT, "its partition is unchanged"

    def expect_refused(self, sent: Mapping[str, Connection], request: Entity = PROBE) -> None:
        """Each of these frames was certainly wrong: closed, or answered with an error."""
        self.expect_noticed(sent)
        taken = [name for name, over in sent.items() if was_taken(request, over)]
        assert taken == [], "malformed frames end in a closed connection or in an error"
        waiting = [name for name, over in sent.items() if fate(over) is Fate.WAITING]
        if waiting:
            raise Inconclusive(f"{Fate.WAITING}: {', '.join(waiting[:10])}")

    def expect_noticed(self, sent: Mapping[str, Connection], within_ms: int = PATIENCE_MS) -> None:
        """None of these frames was passed over."""
        ends = fates(self.healthy.target, list(sent.values()), within_ms)
        ignored = [name for name, end in zip(sent, ends, strict=True) if end is Fate.PASSED_OVER]
        assert ignored == [], "a malformed frame is not passed over in silence"

    def expect_nothing_appended(self) -> None:
        assert self.victim.append(b"x").base_offset == 0, "no malformed Produce took an offset"


def was_taken(request: Entity, connection: Connection) -> bool:
    """Whether it was answered as if nothing were wrong, or with what is no answer at all."""
    if fate(connection) is not Fate.ANSWERED:
        return False
    answer = decoded(request, CORRELATION_ID, connection.unasked[0])
    return answer is None or not any(e is not ErrorCode.none for e in errors_in(answer))


@contextmanager
def ward(bench: Bench, world: World = DEFAULT) -> Iterator[Ward]:
    """Two partitions, led by the same broker where that can be had."""
    with bench.client(world) as client:
        options: dict[str, Any] = {"partitions": 2}
        if client.controller().serves("create_topics"):
            options = {"assignments": dict.fromkeys((0, 1), client.brokers[:3])}
        with bench.topic(client=client, **options) as topic:
            victim, healthy = topic[0], topic[1]
            healthy.append(*CONTENT)
            yield Ward(healthy=healthy, witness=healthy.connect(), victim=victim)


# ---- lengths of frames --------------------------------------------------------------------------


@pytest.mark.clause("ERR-03")
@given(
    world=worlds(),
    lengths=st.lists(
        st.sampled_from((-1, 0, 1, 3, 4, -HUGE - 1)) | st.integers(-HUGE - 1, HEADER_BYTES - 1),
        min_size=1,
        max_size=6,
        unique=True,
    ),
)
def test_a_length_that_no_request_has_is_refused(
    bench: Bench, world: World, lengths: list[int]
) -> None:
    """A negative length, or one too short for a header, closes its connection and no other."""
    with ward(bench, world) as found:
        sent = found.send_raw(struct.pack(">i", n) + bytes(max(0, n)) for n in lengths)
        bench.premise("a frame had a length that no request has", len(lengths))
        found.expect_unharmed()
        found.expect_refused(dict(zip(map("length {}".format, lengths), sent, strict=True)))
        found.expect_unharmed()


@pytest.mark.clause("ERR-03")
def test_a_huge_length_holds_up_nobody(bench: Bench) -> None:
    """Whether the broker closes or waits for gigabytes that never come, others are served."""
    lengths = [HUGE, HUGE - 1, 1 << 30, (1 << 30) + 1, 1 << 29, 1 << 28]
    with ward(bench) as found:
        connections = found.connect(len(lengths))
        for length, connection in zip(lengths, connections, strict=True):
            connection.send_raw(struct.pack(">i", length) + bytes(length % 64))
        bench.premise("a frame announced hundreds of megabytes", len(lengths))
        found.expect_unharmed()
        ends = fates(found.healthy.target, connections, within_ms=500)
        assert Fate.ANSWERED not in ends, "a request that has not arrived is not answered"
        found.expect_unharmed()


@pytest.mark.clause("ERR-03")
def test_a_request_above_the_broker_s_limit_is_refused(bench: Bench) -> None:
    """A request of more than socket.request.max.bytes is not served, even if it is right."""
    with ward(bench) as found:
        limit = request_limit(found.victim.leader, found.victim.view.leader)
        pieces = pieces_of(codec.request("api_versions", 3, **SOFTWARE), CORRELATION_ID)
        padding = TaggedFields(fields=((10_000, bytes(limit)),))
        frame = tampered(pieces, len(pieces) - 1, padding)
        (connection,) = found.connect(1)
        connection.send_raw(struct.pack(">i", len(frame)) + frame[:HEADER_BYTES])
        bench.premise("a request was larger than the broker's limit")
        if fates(found.healthy.target, [connection], within_ms=500) == [Fate.WAITING]:
            connection.send_raw(frame[HEADER_BYTES:])
        found.expect_refused({"a request above the limit": connection})
        found.expect_unharmed()


def request_limit(connection: Connection, broker: int) -> int:
    """The broker's socket.request.max.bytes."""
    if not connection.serves("describe_configs") or not connection.serves("api_versions"):
        raise Unsupported("the broker does not say how large a request may be")
    wanted = {
        "resource_type": A_BROKER,
        "resource_name": str(broker),
        "configuration_keys": (LIMIT,),
    }
    answer = connection.call("describe_configs", at_most=3, resources=[wanted])
    values = [int(c.value) for c in answer.results[0].configs if c.name == LIMIT and c.value]
    if not values or values[0] > LIMIT_MAX_BYTES:
        raise Unsupported(f"the broker's {LIMIT} is unknown, or too large to be tried: {values}")
    return values[0]


@pytest.mark.clause("ERR-03")
def test_other_protocols_hold_up_nobody(bench: Bench) -> None:
    """Clients that speak no Kafka at all, such as port scanners, harm no other."""
    with ward(bench) as found:
        connections = found.connect(len(SCANNERS))
        for connection, greeting in zip(connections, SCANNERS, strict=True):
            connection.send_raw(greeting)
        bench.premise("a client spoke another protocol", len(connections))
        found.expect_unharmed()
        fates(found.healthy.target, connections, within_ms=500)
        found.expect_unharmed()


# ---- bodies -------------------------------------------------------------------------------------


@pytest.mark.clause("ERR-03")
@pytest.mark.parametrize("api", BENT)
def test_a_truncated_request_is_refused(bench: Bench, api: str) -> None:
    """A frame that ends before its request does is refused, wherever it ends."""
    with ward(bench) as found:
        requests = found.requests((api,))
        if not requests:
            raise Unsupported(f"{api} is not served")
        for request in (requests[0], requests[-1]):
            frame = codec.encode_request(request, CORRELATION_ID)
            every = range(HEADER_BYTES, len(frame))
            ends = every if bench.virtual else [*every[:: len(every) // 8 + 1], every[-1]]
            sent = found.send(frame[:end] for end in ends)
            bench.premise("a request was truncated", len(sent))
            found.expect_unharmed()
            names = [f"{describe(request)}: {end} of {len(frame)} bytes" for end in ends]
            found.expect_refused(dict(zip(names, sent, strict=True)), request)
        found.expect_nothing_appended()
        found.expect_unharmed()


def lies(pieces: list[Piece]) -> list[tuple[str, bytes]]:
    """Frames with one length or one set of tagged fields that cannot be right."""
    size = len(joined(pieces))
    found = []
    for number, piece in enumerate(pieces):
        if isinstance(piece, Length):
            for value in (HUGE, 1 << 24, size) if piece.nullable else (HUGE, 1 << 24, size, NULL):
                wrong = Length(value=value, form=piece.form, nullable=True, is_array=True)
                found.append((f"piece {number} of length {value}", wrong.encode()))
        if isinstance(piece, TaggedFields):
            endless = unsigned_varint(HUGE)
            too_long = unsigned_varint(1) + unsigned_varint(99) + unsigned_varint(1 << 30)
            found += [
                (f"piece {number} of {HUGE} tagged fields", endless),
                (f"piece {number} with a tagged field that is too long", too_long),
                (f"piece {number} with an endless varint", b"\xff" * 12),
            ]
    return [(name, tampered(pieces, int(name.split()[1]), wrong)) for name, wrong in found]


@pytest.mark.clause("ERR-03")
@given(world=worlds(), data=st.data())
def test_a_length_inside_a_request_is_not_trusted(
    bench: Bench, world: World, data: st.DataObject
) -> None:
    """Arrays, strings and tagged fields that claim more than there is, or less than nothing, are
    refused without an effect, and without memory for what they claim."""
    with ward(bench, world) as found:
        request = data.draw(st.sampled_from(found.requests(BENT)))
        every = lies(pieces_of(request, CORRELATION_ID))
        drawn = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=8, unique=True))
        sent = found.send(frame for _, frame in drawn)
        bench.premise("a request lied about a length", len(sent))
        found.expect_unharmed()
        names = [name for name, _ in drawn]
        found.expect_refused(dict(zip(names, sent, strict=True)), request)
        found.expect_nothing_appended()
        found.expect_unharmed()


@pytest.mark.clause("ERR-03")
@given(
    world=worlds(),
    data=st.data(),
    flips=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=6),
)
def test_flipped_bits_harm_nobody_else(
    bench: Bench, world: World, data: st.DataObject, flips: list[int]
) -> None:
    """A question with a flipped bit may be anything; it must not be anyone else's trouble."""
    with ward(bench, world) as found:
        request = data.draw(st.sampled_from(found.requests(READING)))
        frame = codec.encode_request(request, CORRELATION_ID)
        bits = 8 * (len(frame) - 2)
        bent = {}
        for flip in flips:
            byte, bit = divmod(16 + flip % bits, 8)  # not the key: it stays a question
            flipped = frame[:byte] + bytes([frame[byte] ^ 1 << bit]) + frame[byte + 1 :]
            bent[f"bit {bit} of byte {byte}"] = flipped
        sent = found.send(bent.values())
        bench.premise("a request had a flipped bit", len(bent))
        found.expect_unharmed()
        found.expect_noticed(dict(zip(bent, sent, strict=True)), within_ms=500)
        found.expect_unharmed()


@pytest.mark.clause("ERR-03")
@given(
    world=worlds(),
    data=st.data(),
    bodies=st.lists(st.binary(max_size=200), min_size=1, max_size=6),
)
def test_garbage_ends_only_its_connection(
    bench: Bench, world: World, data: st.DataObject, bodies: list[bytes]
) -> None:
    """Random bytes behind the header of a question are refused or answered, and harm nobody."""
    with ward(bench, world) as found:
        heads = {
            struct.pack(">hhi", request.__api_key__, request.__version__, CORRELATION_ID)
            for request in found.requests(READING)
        } | {struct.pack(">hhi", key, 0, CORRELATION_ID) for key in (0x4711, 0x7FFF, -1)}
        frames = [data.draw(st.sampled_from(sorted(heads))) + body for body in bodies]
        sent = dict(zip(map(bytes.hex, frames), found.send(frames), strict=False))
        bench.premise("a frame was filled with garbage", len(bodies))
        found.expect_unharmed()
        found.expect_noticed(sent)
        found.expect_unharmed()
        waiting = [name for name, over in sent.items() if fate(over) is Fate.WAITING]
        if waiting:
            raise Inconclusive(f"{Fate.WAITING}: {', '.join(waiting)}")


# ---- frames that do not come to their end -------------------------------------------------------


@pytest.mark.clause("ERR-03")
@given(world=worlds(), data=st.data())
def test_half_frames_hold_up_nobody(bench: Bench, world: World, data: st.DataObject) -> None:
    """Many begun requests wait while others are served; those that are completed are answered."""
    with ward(bench, world) as found:
        request = data.draw(st.sampled_from(found.requests(("fetch", "list_offsets"))))
        body = codec.encode_request(request, CORRELATION_ID)
        if frames_in_turn(found.victim.topic, [body]) == [None]:
            raise Inconclusive(f"{describe(request)} is not answered in one part either")
        frame = struct.pack(">i", len(body)) + body
        drawn = data.draw(st.lists(st.integers(0, 1 << 16), min_size=10, max_size=30))
        cuts = [1 + number % (len(frame) - 1) for number in drawn]
        connections = found.connect(len(cuts))
        for cut, connection in zip(cuts, connections, strict=True):
            connection.send_raw(frame[:cut])
        bench.premise("a request was begun and not ended", len(cuts))
        found.expect_unharmed()
        assert {fate(connection) for connection in connections} == {Fate.WAITING}, (
            "half a request is neither answered nor refused"
        )
        abandoned, completed = connections[::2], connections[1::2]
        for connection in abandoned:
            connection.close()
        for cut, connection in zip(cuts[1::2], completed, strict=True):
            connection.send_raw(frame[cut:])
        found.expect_unharmed()
        assert Fate.CLOSED not in fates(found.healthy.target, completed), "the slow are served"
        for connection in completed:
            if not connection.unasked:
                raise Inconclusive("a request that came in two parts was not answered in time")
            answer = decoded(request, CORRELATION_ID, connection.unasked[0])
            assert answer is not None, "it is answered as if it had come in one part"
            assert {*errors_in(answer)} == {ErrorCode.none}


@pytest.mark.clause("ERR-03")
def test_half_a_produce_appends_nothing(bench: Bench) -> None:
    """A client that goes away in the middle of a Produce leaves no record."""
    with ward(bench) as found:
        bodies = [codec.encode_request(r, CORRELATION_ID) for r in found.requests(("produce",))]
        connections = found.connect(len(bodies))
        for cut, (body, connection) in enumerate(zip(bodies, connections, strict=True), 1):
            connection.send_raw(struct.pack(">i", len(body)) + body[:-cut])
        found.expect_unharmed()
        for connection in connections:
            connection.close()
        bench.premise("a client went away in the middle of a Produce", len(connections))
        found.expect_unharmed()
        found.expect_nothing_appended()
