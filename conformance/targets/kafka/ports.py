"""Free TCP ports on 127.0.0.1."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

HOST = "127.0.0.1"


@contextmanager
def reserved_ports(count: int) -> Iterator[list[int]]:
    """`count` different ports that nobody else can bind inside the `with` block.

    Leave it just before the servers start. Another process may still get there first, so a
    start that fails must be tried again with new ports. Over a restart of a server its port is
    fairly safe: Linux gives outgoing connections ports of the other parity than bind(0) gives.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        yield [each.getsockname()[1] for each in sockets]
