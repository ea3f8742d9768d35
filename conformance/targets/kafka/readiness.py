"""Whether a broker serves clients and which brokers it knows: one Metadata request by hand.

The suite's own client is not used, so that a mistake in it cannot keep a cluster from starting.
"""

import socket
import struct
import time
from dataclasses import dataclass

from conformance.targets.kafka.ports import HOST

_METADATA = 3
_VERSION = 1  # the first that names the controller; every release up to 4.x serves it
_NO_CONTROLLER = -1
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The cluster as one broker sees it."""

    broker_ids: frozenset[int]
    has_controller: bool


def ask(port: int, within_s: float) -> View | None:
    """What the broker on `port` says, or None where it gives no sensible answer `within_s`."""
    deadline = time.monotonic() + within_s
    try:
        with socket.create_connection((HOST, port), timeout=within_s) as connection:
            no_topics = struct.pack(">i", 0)
            body = struct.pack(">hhih", _METADATA, _VERSION, 1, -1) + no_topics
            connection.sendall(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", _exactly(connection, 4, deadline))
            if not 0 <= size <= _MOST_BYTES:
                return None
            return _view(_exactly(connection, size, deadline))
    except (OSError, struct.error):
        return None


def _exactly(connection: socket.socket, size: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < size:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionError("closed before the end of the answer")
        received += chunk
    return bytes(received)


def _view(body: bytes) -> View:
    """MetadataResponse 1: correlation id, brokers (id, host, port, rack), controller, topics."""
    _, count = struct.unpack_from(">ii", body)
    at = 8
    ids = set()
    for _ in range(count):
        broker_id, host_bytes = struct.unpack_from(">ih", body, at)
        ids.add(broker_id)
        at += 6 + max(0, host_bytes) + 4
        (rack_bytes,) = struct.unpack_from(">h", body, at)
        at += 2 + max(0, rack_bytes)
    (controller,) = struct.unpack_from(">i", body, at)
    return View(broker_ids=frozenset(ids), has_controller=controller != _NO_CONTROLLER)
