"""What becomes of a connection over which something was sent that `Pending` cannot follow."""

import struct
from collections.abc import Sequence
from enum import StrEnum

from conformance import codec
from conformance.codec import Entity
from conformance.connection import Connection
from conformance.outcomes import Inconclusive, Loss, MalformedAnswer, ProtocolViolation
from conformance.partition import Topic
from conformance.targets.target import ANSWER_WITHIN_MS, Target

PATIENCE_MS = 3_000
"""How long a broker may take over a frame that it need not answer."""
PROBE, PROBE_ID = codec.request("api_versions", 0), 0x5A5A_5A5A
"""A right question. Sent behind a frame that is wrong, it shows without a clock that the broker
took no notice of that: the answer to the second question comes first."""


class Fate(StrEnum):
    CLOSED = "closed by the broker"
    ANSWERED = "answered"
    PASSED_OVER = "passed over in silence"
    WAITING = "neither closed nor answered"


def fate(connection: Connection) -> Fate:
    """What has become of it so far. Raises `ProtocolViolation` for bytes that are no frame."""
    if connection.unasked:
        first = correlation_id_of(connection.unasked[0])
        return Fate.PASSED_OVER if first == PROBE_ID else Fate.ANSWERED
    check_framing(connection)
    if connection.loss is Loss.UNREACHABLE:
        raise Inconclusive(f"{connection.peer}: {connection.loss_detail}")
    return Fate.CLOSED if connection.loss else Fate.WAITING


def check_framing(connection: Connection) -> None:
    if connection.loss is Loss.BAD_FRAME:
        raise ProtocolViolation(f"the broker sent what cannot be a frame: {connection.loss_detail}")


def probe(connection: Connection) -> None:
    """Asks a right question behind whatever was sent before."""
    connection.send_frame(codec.encode_request(PROBE, PROBE_ID))


def fates(
    target: Target, connections: Sequence[Connection], within_ms: int = PATIENCE_MS
) -> list[Fate]:
    """Waits until each is answered or closed, or time is over."""

    def over() -> bool:
        return all(connection.unasked or connection.loss for connection in connections)

    target.transport.pass_time(over, within_ms)
    return [fate(connection) for connection in connections]


def frames_in_turn(topic: Topic, frames: Sequence[bytes]) -> list[bytes | None]:
    """The answers to frames that a broker must answer, sent in one pipeline to the leader of
    partition 0. None stands for one at which the broker closed; the rest goes on elsewhere.

    Raises `Inconclusive` where a connection stays open and silent, and `ProtocolViolation` where
    bytes come that are no frame.
    """
    found: list[bytes | None] = []
    while len(found) < len(frames):
        connection = topic[0].connect()
        rest = frames[len(found) :]
        for frame in rest:
            connection.send_frame(frame)

        def over(count: int = len(rest), sent_over: Connection = connection) -> bool:
            return len(sent_over.unasked) >= count or sent_over.loss is not None

        topic.target.transport.pass_time(over, ANSWER_WITHIN_MS)
        if not over():
            raise Inconclusive(f"{len(connection.unasked)} of {len(rest)} frames were answered")
        check_framing(connection)
        found += connection.unasked[: len(rest)]
        if len(connection.unasked) < len(rest):
            found.append(None)
        connection.close()
    return found


def correlation_id_of(payload: bytes) -> int:
    (found,) = struct.unpack_from(">i", payload)
    return int(found)


def decoded(request: Entity, correlation_id: int, payload: bytes | None) -> Entity | None:
    """The answer. None where there is none, or none that can be read: ERR-02 has a test that
    fails at that, and the others leave such an API or version out."""
    if payload is None:
        return None
    try:
        return codec.decode_response(request, correlation_id, payload)
    except MalformedAnswer:
        return None
