"""Any cluster at host:port. One thread: sockets are served inside `pass_time`, and only there."""

import os
import selectors
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from conformance.connection import Receiver
from conformance.outcomes import Loss
from conformance.targets.target import Address, Nemesis

CONNECT_WITHIN_S = 5.0
FRAME_MAX_BYTES = 128 << 20
"""A broker that announces more is not answered from memory that we do not have."""
TURN_MAX_S = 0.5
CHUNK_BYTES = 1 << 18


class SocketLink:
    """A non-blocking socket; what is written before it is connected waits for that."""

    def __init__(
        self, selector: selectors.BaseSelector, address: Address, receiver: Receiver
    ) -> None:
        self.selector, self.receiver = selector, receiver
        self.received, self.unsent = bytearray(), bytearray()
        self.open, self.connected = True, False
        self.connect_by = time.monotonic() + CONNECT_WITHIN_S
        self.socket = socket.socket(_family(address), socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(self.socket, selectors.EVENT_WRITE, self)
        try:
            self.socket.connect(address)
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(Loss.UNREACHABLE, str(error))

    def write(self, payload: bytes) -> None:
        self.write_raw(struct.pack(">i", len(payload)) + payload)

    def write_raw(self, data: bytes) -> None:
        """At once where the kernel has room: a request is in flight when `send` returns."""
        self.unsent += data
        if self.connected:
            self._flush()

    def serve(self, ready: int) -> None:
        """The selector says that something can be done."""
        if self.open and not self.connected:
            self._finish_connecting()
        if self.open and ready & selectors.EVENT_WRITE:
            self._flush()
        if self.open and ready & selectors.EVENT_READ:
            self._receive()

    def give_up_connecting(self, now: float) -> None:
        if self.open and not self.connected and now >= self.connect_by:
            self._lose(Loss.UNREACHABLE, f"no connection within {CONNECT_WITHIN_S:g} s")

    def close(self) -> None:
        if self.open:
            self.open = False
            self.selector.unregister(self.socket)
            self.socket.close()

    def _finish_connecting(self) -> None:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._lose(Loss.UNREACHABLE, os.strerror(error))
        else:
            self.connected = True

    def _flush(self) -> None:
        try:
            while self.unsent:
                del self.unsent[: self.socket.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(Loss.CLOSED_BY_BROKER, str(error))
            return
        more = selectors.EVENT_WRITE if self.unsent else 0
        self.selector.modify(self.socket, selectors.EVENT_READ | more, self)

    def _receive(self) -> None:
        try:
            chunk = self.socket.recv(CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(Loss.CLOSED_BY_BROKER, str(error))
            return
        if not chunk:
            self._lose(Loss.CLOSED_BY_BROKER, "end of stream")
            return
        self.received += chunk
        self._split()

    def _split(self) -> None:
        while self.open and len(self.received) >= 4:
            (size,) = struct.unpack_from(">i", self.received)
            if not 4 <= size <= FRAME_MAX_BYTES:
                self._lose(Loss.BAD_FRAME, f"a frame announces {size} bytes")
                return
            if len(self.received) < 4 + size:
                return
            payload = bytes(memoryview(self.received)[4 : 4 + size])
            del self.received[: 4 + size]
            self.receiver.frame_received(payload)

    def _lose(self, loss: Loss, detail: str) -> None:
        self.close()
        self.receiver.connection_lost(loss, detail)


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address.host else socket.AF_INET


class AddressTransport:
    """Sockets, and the machine's clock."""

    nemesis: Nemesis | None = None

    def __init__(self, *bootstrap: Address, facts: dict[str, Any] | None = None) -> None:
        self.bootstrap = bootstrap
        self.facts = facts or {}
        self.selector = selectors.DefaultSelector()
        self.links: list[SocketLink] = []

    def open(self, address: Address, receiver: Receiver) -> SocketLink:
        link = SocketLink(self.selector, address, receiver)
        self.links = [old for old in self.links if old.open]
        self.links.append(link)
        return link

    def pass_time(self, until: Callable[[], bool], within_ms: int) -> bool:
        deadline = time.monotonic() + within_ms / 1000
        while not until():
            now = time.monotonic()
            if now >= deadline:
                return False
            for link in self.links:
                link.give_up_connecting(now)
            for key, ready in self._select(min(deadline - now, TURN_MAX_S)):
                key.data.serve(ready)
        return True

    def _select(self, timeout_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        return self.selector.select(timeout_s)

    def now_ms(self) -> int:
        return int(time.monotonic() * 1000)

    def clock_ms(self) -> int:
        return int(time.time() * 1000)

    def describe(self) -> dict[str, Any]:
        return self.facts

    def close(self) -> None:
        for link in self.links:
            link.close()
        self.selector.close()
