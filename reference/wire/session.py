"""One client connection without its socket: frames in, core requests out, answers in order.

A connection has at most one request inside the broker; the others wait here, so a parked fetch
holds back what was pipelined behind it, and answers cannot overtake each other (PROD-04).
"""

import re
from collections import deque
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple, Protocol

from kio.index import load_response_schema
from kio.schema.errors import ErrorCode

from reference.errors import Error
from reference.requests import Produce, Produced, Request, Response
from reference.wire import ADAPTERS
from reference.wire.adapter import Addresses, Refused, fill, response_module
from reference.wire.codec import Head, decode, encode, head_of, response_header
from reference.wire.refusals import CloseConnection, MalformedRequest

__all__ = ["Asked", "CloseConnection", "MalformedRequest", "Session", "WireRules"]

API_VERSIONS, API_VERSIONS_SERVED = 18, range(5)
PRODUCE = 0
SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
"""What Kafka takes as the name and the version of a client (KIP-511)."""


class WireRules(Protocol):
    """The decisions of `reference.rules.Rules` that concern a connection."""

    def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
        """Returns what ApiVersions tells of what is served."""

    def answers_in_request_order(self) -> bool:
        """Whether a request waits until the one before it is answered."""

    def accepts_frame(self, size_bytes: int) -> bool:
        """Whether a frame of this size is read at all."""

    def refuses_malformed(self) -> bool:
        """Whether a malformed request ends the connection, or is passed over in silence."""

    def answers_produce(self, acks: int) -> bool:
        """Whether a producer that asks for so many acknowledgements gets a response."""


class Asked(NamedTuple):
    """A request for the core, and the ticket under which `Session.answer` takes the response."""

    ticket: int
    request: Request


class _Pending(NamedTuple):
    head: Head
    wants_answer: bool


class Session:
    """The broker's side of one connection."""

    def __init__(self, addresses: Addresses, rules: WireRules) -> None:
        self._addresses = addresses
        self._rules = rules
        self._arrived: deque[bytes] = deque()
        self._inside: dict[int, _Pending] = {}
        self._tickets = 0

    @property
    def waiting(self) -> int:
        """How many frames have arrived that are not yet answered."""
        return len(self._arrived) + len(self._inside)

    def receive(self, frame: bytes) -> None:
        """Takes a frame, without its length, in the order in which it arrived."""
        self._arrived.append(frame)

    def next_request(self) -> bytes | Asked | None:
        """Returns what to do next: a frame to send, a request for the core, or None to wait.

        Raises CloseConnection (MalformedRequest) where the connection must be closed.
        """
        while self._arrived and (not self._inside or not self._rules.answers_in_request_order()):
            try:
                return self._open(self._arrived.popleft())
            except MalformedRequest:
                if self._rules.refuses_malformed():
                    raise
        return None

    def answer(self, ticket: int, response: Response) -> bytes | None:
        """Returns the frame that answers a request, or None where the client wants none.

        Raises CloseConnection where the client wants none but must learn of an error: a producer
        with acks=0 then refreshes its metadata (KafkaApis.handleProduceRequest).
        """
        head, wants_answer = self._inside.pop(ticket)
        if wants_answer:
            return self._encode(head, response)
        if isinstance(response, Produced) and any(part.error for part in response.parts):
            raise CloseConnection("a produce request with acks=0 failed")
        return None

    def _encode(self, head: Head, response: Response) -> bytes:
        adapter = ADAPTERS[head.api_key]
        if adapter.encode is not None:
            body = adapter.encode(head.version, response, self._addresses)
            return b"".join((response_header(head), *body))
        kio = response_module(head.api_key, head.version)
        return encode(head, adapter.from_core(kio, response, self._addresses))

    def _open(self, frame: bytes) -> bytes | Asked:
        head = head_of(frame)
        if not self._rules.accepts_frame(len(frame)):
            raise MalformedRequest(f"a frame of {len(frame)} bytes")
        if head.api_key == API_VERSIONS:
            return self._api_versions(head, frame)
        adapter = ADAPTERS.get(head.api_key)
        if adapter is None or head.version not in adapter.versions:
            raise MalformedRequest(f"API key {head.api_key} version {head.version} is not served")
        request = adapter.to_core(decode(head, frame), head.version)
        if isinstance(request, Refused):
            return self._encode(head, request.response)
        wants_answer = not isinstance(request, Produce) or self._rules.answers_produce(request.acks)
        self._tickets += 1
        self._inside[self._tickets] = _Pending(head, wants_answer)
        return Asked(self._tickets, request)

    def _api_versions(self, head: Head, frame: bytes) -> bytes:
        """Answers also before anything is known of the client (KIP-35, KIP-511)."""
        if head.version not in API_VERSIONS_SERVED:
            # In version 0, which any client can read, with the range to choose from. The body of
            # the request is not read, since its form is unknown.
            key = ((API_VERSIONS, API_VERSIONS_SERVED.start, API_VERSIONS_SERVED.stop),)
            answered = head._replace(version=0)
            return _api_versions_response(answered, Error.UNSUPPORTED_VERSION, key)
        request = decode(head, frame)
        if head.version >= 3:
            about = (request.client_software_name, request.client_software_version)
            if not all(map(SOFTWARE.fullmatch, about)):
                return _api_versions_response(head, Error.INVALID_REQUEST, ())
        ranges = self._rules.advertised(served()).items()
        keys = tuple((key, versions.start, versions.stop) for key, versions in ranges)
        return _api_versions_response(head, Error.NONE, keys)


@cache
def served() -> Mapping[int, range]:
    """Returns the versions of each API key that clients are told.

    Produce starts at 0, although 0-2 are not served: librdkafka before 2.11 silently sends
    uncompressed batches to a broker that says otherwise (KAFKA-18659).
    """
    versions = {key: adapter.versions for key, adapter in ADAPTERS.items()}
    versions[API_VERSIONS] = API_VERSIONS_SERVED
    versions[PRODUCE] = range(versions[PRODUCE].stop)
    return dict(sorted(versions.items()))


def _api_versions_response(
    head: Head, error: Error, keys: tuple[tuple[int, int, int], ...]
) -> bytes:
    return head.correlation_id.to_bytes(4, "big", signed=True) + _api_versions_body(
        head.version, error, keys
    )


@cache
def _api_versions_body(version: int, error: Error, keys: tuple[tuple[int, int, int], ...]) -> bytes:
    kio = response_module(API_VERSIONS, version)
    entity = fill(
        load_response_schema(API_VERSIONS, version),
        error_code=ErrorCode(error),
        api_keys=tuple(
            fill(kio.ApiVersion, api_key=key, min_version=start, max_version=stop - 1)
            for key, start, stop in keys
        ),
    )
    return encode(Head(API_VERSIONS, version, 0), entity)[4:]
