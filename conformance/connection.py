"""One connection to a broker without its socket: frames out, frames in, answers to questions.

Ordered, pipelined, nothing retried: what is sent is what the test said.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from conformance import codec
from conformance.codec import Entity, plain
from conformance.outcomes import Inconclusive, Loss, ProtocolViolation, Unreachable, Unsupported

if TYPE_CHECKING:
    from conformance.targets.target import Target

R = TypeVar("R")
Versions = Mapping[int, tuple[int, int]]
"""API key -> the lowest and the highest version that a broker serves."""


class Receiver(Protocol):
    """The end of a connection that knows no I/O; a transport calls it while time passes."""

    def frame_received(self, payload: bytes) -> None: ...
    def connection_lost(self, loss: Loss, detail: str) -> None: ...


class Link(Protocol):
    """One ordered stream of frames to a broker; a transport owns framing and its bounds."""

    def write(self, payload: bytes) -> None:
        """Frames the payload and sends it."""

    def write_raw(self, data: bytes) -> None:
        """Sends bytes as they stand, for tests of what a broker does with them."""

    def close(self) -> None: ...


@dataclass(eq=False)
class Pending(Generic[R]):
    """A request in flight, with the two times that a history needs."""

    connection: "Connection" = field(repr=False)
    request: Entity
    parse: Callable[[Entity], R] = field(repr=False)
    sent_ms: int
    answered_ms: int | None = None
    loss: Loss | None = None
    _detail: str = ""
    _violation: ProtocolViolation | None = None
    _answer: Entity = field(default=None, repr=False)

    @property
    def settled(self) -> bool:
        """Answered, or never to be."""
        return self.answered_ms is not None or self.loss is not None

    @property
    def answered(self) -> bool:
        return self.answered_ms is not None

    @property
    def value(self) -> R:
        """The answer.

        Raises `ProtocolViolation` where its bytes are wrong, `Unreachable` where no connection
        could be made, and `Inconclusive` where no answer has come or can come.
        """
        if self._violation:
            raise self._violation
        if self.loss is Loss.UNREACHABLE:
            raise Unreachable(f"{self.connection.peer}: {self._detail}")
        if not self.answered:
            why = f"{self.loss.value} ({self._detail})" if self.loss else "no answer in time"
            raise Inconclusive(f"{describe(self.request)} to {self.connection.peer}: {why}")
        try:
            return self.parse(self._answer)
        except (IndexError, KeyError) as error:
            said = f"{describe(self._answer)} says nothing of what was asked: {plain(self._answer)}"
            raise ProtocolViolation(said) from error

    def result(self, within_ms: int | None = None) -> R:
        """Waits for the answer. `within_ms` defaults to what any answer may take."""
        target = self.connection.target
        if within_ms is None:
            target.settle(self)
        else:
            target.settle(self, within_ms=within_ms)
        return self.value

    def lose(self, loss: Loss, detail: str = "") -> None:
        """No answer will come."""
        self.loss, self._detail = loss, detail

    def accept(self, correlation_id: int, payload: bytes, now_ms: int) -> Entity | None:
        """Takes the frame that answers this request; returns it decoded, where it can be."""
        self.answered_ms = now_ms
        try:
            self._answer = codec.decode_response(self.request, correlation_id, payload)
        except ProtocolViolation as violation:
            self._violation = violation
            return None
        return self._answer


def describe(entity: Entity) -> str:
    """`ProduceRequest v9`."""
    return f"{type(entity).__name__} v{entity.__version__}"


def whole(entity: Entity) -> Entity:
    """The parser of a test that wants the answer as it came."""
    return entity


@dataclass(eq=False)
class Connection:
    target: "Target" = field(repr=False)
    number: int
    peer: str
    versions: Versions = field(default_factory=dict, repr=False)
    link: Link = field(init=False, repr=False)
    loss: Loss | None = None
    loss_detail: str = ""
    unasked: list[bytes] = field(default_factory=list, repr=False)
    """Payloads that answer no request that `send` knows of, such as after `send_frame`."""
    _in_flight: deque[tuple[int, Pending[Any]]] = field(default_factory=deque, repr=False)
    _correlation_id: int = 0

    # ---- versions -------------------------------------------------------------------------------

    def negotiate(self, within_ms: int | None = None) -> None:
        """Asks what the broker serves, in the one version that every broker answers."""
        answer: Entity = self.send(codec.request("api_versions", 0)).result(within_ms)
        self.versions = {k.api_key: (k.min_version, k.max_version) for k in answer.api_keys}

    def serves(self, api: str) -> bool:
        return codec.KEYS[api] in self.versions

    def version(
        self, api: str, *, at_least: int = 0, at_most: int = 99, essential: tuple[str, ...] = ()
    ) -> int:
        """The highest version both sides know that has the `essential` fields.

        Raises `Unsupported`: a field that is silently left out would make a test test nothing.
        """
        low, high = self.versions.get(codec.KEYS[api], (0, -1))
        known = codec.versions_with(api, essential) if essential else codec.VERSIONS[api]
        common = [v for v in known if max(low, at_least) <= v <= min(high, at_most)]
        if common:
            return common[-1]
        served = f"serves {low} to {high}" if high >= low else "does not serve it"
        fields = f" with {', '.join(essential)}" if essential else ""
        wanted = f"{at_least} to {at_most}" if at_most < 99 else f"{at_least} and up"
        raise Unsupported(f"{api}: the broker {served}, the test needs {wanted}{fields}")

    def build(
        self,
        api: str,
        *,
        at_least: int = 0,
        at_most: int = 99,
        essential: tuple[str, ...] = (),
        **values: object,
    ) -> Entity:
        """A request at the version that `version` chooses."""
        version = self.version(api, at_least=at_least, at_most=at_most, essential=essential)
        return codec.request(api, version, **values)

    # ---- requests -------------------------------------------------------------------------------

    def send(
        self, request: Entity, parse: Callable[[Entity], R] = whole, *, answered: bool = True
    ) -> Pending[R]:
        """Puts a request on the wire and returns at once; `answered=False` for acks=0."""
        self._correlation_id += 1
        pending = Pending(self, request, parse, sent_ms=self.target.now_ms())
        if self.loss:
            pending.lose(self.loss, self.loss_detail)
            return pending
        self._log(">", describe(request), self._correlation_id, request)
        if answered:
            self._in_flight.append((self._correlation_id, pending))
        else:
            pending.lose(Loss.NO_ANSWER_ASKED)
        self.link.write(codec.encode_request(request, self._correlation_id))
        return pending

    def call(
        self,
        api: str,
        *,
        at_least: int = 0,
        at_most: int = 99,
        essential: tuple[str, ...] = (),
        **values: object,
    ) -> Entity:
        """Builds, sends and waits: the whole answer."""
        version = self.version(api, at_least=at_least, at_most=at_most, essential=essential)
        return self.send(codec.request(api, version, **values)).result()

    def send_frame(self, payload: bytes) -> None:
        """A frame with any content; what comes back lands in `unasked`."""
        self._log(">", f"{len(payload)} bytes in a frame", None, payload)
        self.link.write(payload)

    def send_raw(self, data: bytes) -> None:
        """Bytes as they stand, not even framed."""
        self._log(">", f"{len(data)} raw bytes", None, data)
        self.link.write_raw(data)

    def close(self) -> None:
        self.connection_lost(Loss.CLOSED_BY_TEST, "")
        self.link.close()

    # ---- from the transport ---------------------------------------------------------------------

    def frame_received(self, payload: bytes) -> None:
        if not self._in_flight:
            self._log("<", f"{len(payload)} bytes in a frame", None, payload)
            self.unasked.append(payload)
            return
        correlation_id, pending = self._in_flight.popleft()
        entity = pending.accept(correlation_id, payload, self.target.now_ms())
        name = describe(pending.request).replace("Request", "Response")
        self._log("<", name, correlation_id, payload if entity is None else entity)

    def connection_lost(self, loss: Loss, detail: str) -> None:
        if self.loss is not None:
            return
        self.loss, self.loss_detail = loss, detail
        self._log("!", loss.value, None, detail)
        while self._in_flight:
            self._in_flight.popleft()[1].lose(loss, detail)

    def _log(self, direction: str, name: str, correlation_id: int | None, content: object) -> None:
        self.target.wire_log.add(
            self.target.now_ms(), self.number, self.peer, direction, name, correlation_id, content
        )
