"""Links that can be held: what passes, what waits, and what comes of the connections."""

import socket
import threading
from collections.abc import Iterator

import pytest

from conformance.nemesis.proxy import Link, Proxy

WITHIN_S = 5.0
SILENCE_S = 0.2


class Ends:
    """A server behind a link."""

    def __init__(self, proxy: Proxy) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(WITHIN_S)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        self.link: Link = proxy.link(self.address, self.server.getsockname())

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=WITHIN_S)

    def accept(self) -> socket.socket:
        accepted, _ = self.server.accept()
        accepted.settimeout(WITHIN_S)
        return accepted


@pytest.fixture
def ends() -> Iterator[Ends]:
    proxy = Proxy()
    made = Ends(proxy)
    yield made
    made.server.close()
    proxy.close()


def is_silent(end: socket.socket) -> bool:
    end.settimeout(SILENCE_S)
    try:
        end.recv(1)
    except TimeoutError:
        return True
    finally:
        end.settimeout(WITHIN_S)
    return False


def test_what_is_sent_arrives_in_both_directions(ends: Ends) -> None:
    with ends.connect() as near, ends.accept() as far:
        near.sendall(b"there")
        assert far.recv(9) == b"there"
        far.sendall(b"back")
        assert near.recv(9) == b"back"


def test_nothing_passes_a_link_that_is_held_until_it_is_joined(ends: Ends) -> None:
    with ends.connect() as near, ends.accept() as far:
        ends.link.hold()
        near.sendall(b"late")
        far.sendall(b"late too")
        assert is_silent(far)
        assert is_silent(near)
        ends.link.join()
        assert (far.recv(9), near.recv(9)) == (b"late", b"late too")


def test_a_connection_made_while_it_is_held_is_completed_after(ends: Ends) -> None:
    ends.link.hold()
    with ends.connect() as near:
        near.sendall(b"hello")
        ends.server.settimeout(SILENCE_S)
        with pytest.raises(TimeoutError):
            ends.server.accept()
        ends.server.settimeout(WITHIN_S)
        ends.link.join()
        with ends.accept() as far:
            assert far.recv(9) == b"hello"


def test_one_link_does_not_hold_up_another() -> None:
    proxy = Proxy()
    one, other = Ends(proxy), Ends(proxy)
    one.link.hold()
    with other.connect() as near, other.accept() as far:
        near.sendall(b"x")
        assert far.recv(1) == b"x"
    for made in (one, other):
        made.server.close()
    proxy.close()


def test_a_reset_breaks_what_there_is_and_nothing_else(ends: Ends) -> None:
    with ends.connect() as near, ends.accept() as far:
        ends.link.reset()
        for end in (near, far):
            with pytest.raises(ConnectionResetError):
                end.recv(1)
    with ends.connect() as near, ends.accept() as far:
        near.sendall(b"x")
        assert far.recv(1) == b"x"


def test_whoever_connects_to_a_dead_server_is_told(ends: Ends) -> None:
    ends.server.close()
    with pytest.raises(ConnectionResetError), ends.connect() as near:  # at once, or a moment later
        near.recv(1)


def test_much_data_and_the_end_of_it_come_through(ends: Ends) -> None:
    data = bytes(range(256)) * 40_000
    with ends.connect() as near, ends.accept() as far:

        def send() -> None:
            near.sendall(data)
            near.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=send)
        thread.start()
        received = bytearray()
        while chunk := far.recv(1 << 20):
            received += chunk
        thread.join()
        assert received == data
        far.sendall(b"and the other way round")
        assert near.recv(99) == b"and the other way round"


def test_closing_breaks_connections_and_ends_the_thread() -> None:
    proxy = Proxy()
    made = Ends(proxy)
    with made.connect() as near, made.accept():
        proxy.close()
        proxy.close()
        with pytest.raises(ConnectionResetError):
            near.recv(1)
    with pytest.raises(ConnectionRefusedError):
        made.connect()
    made.server.close()
