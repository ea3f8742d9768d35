"""TCP links that can be cut: a thread that stands between the two ends and may let nothing pass.

A held link is what a network partition is to TCP: connections stay open, what was sent waits, and
it arrives after all once the link is whole again, if the ends have not given up by then. Frames of
the protocol are never looked at.
"""

import selectors
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

BUFFERED_MAX_BYTES = 1 << 18
CHUNK_BYTES = 1 << 16
DONE_WITHIN_S = 10.0
BACKLOG = 128
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER with no time left: closing sends RST instead of FIN."""


class Way:
    """One direction of one connection: what was read at `source` and has to go to `sink`."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.buffer = bytearray()
        self.ended = self.closed = False
        """Whether the source has said its last word, and whether the sink has been told so."""

    def read(self) -> None:
        chunk = self.source.recv(CHUNK_BYTES)
        self.buffer += chunk
        self.ended = not chunk

    def write(self) -> None:
        if self.buffer:
            del self.buffer[: self.sink.send(self.buffer)]
        if self.ended and not self.buffer and not self.closed:
            self.closed = True
            self.sink.shutdown(socket.SHUT_WR)


class Pair:
    """A connection through a link: the one that was accepted, and the one on to the far end."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.sockets = (near, far)
        self.ways = (Way(near, far), Way(far, near))

    def interest(self, end: socket.socket) -> int:
        """What the selector has to watch for at this end."""
        wanted = 0
        for way in self.ways:
            full = len(way.buffer) >= BUFFERED_MAX_BYTES
            if way.source is end and not way.ended and not full:
                wanted |= READ
            if way.sink is end and (way.buffer or (way.ended and not way.closed)):
                wanted |= WRITE
        return wanted

    def serve(self, end: socket.socket, ready: int) -> bool:
        """Moves what can be moved; returns whether the connection goes on."""
        try:
            for way in self.ways:
                if way.source is end and ready & READ and not way.ended:
                    way.read()
                if way.sink is end and ready & WRITE:
                    way.write()
        except BlockingIOError:
            return True
        except OSError:
            return False
        return not all(way.closed for way in self.ways)


class Link:
    """An address to connect to in the place of another. Made by `Proxy.link`."""

    def __init__(self, proxy: "Proxy", listener: socket.socket, to: tuple[str, int]) -> None:
        self._proxy, self.listener, self.to = proxy, listener, to
        self.is_held = False
        self.pairs: list[Pair] = []

    def hold(self) -> None:
        """From now on nothing passes, in either direction, until `join`."""
        self._proxy.call(lambda: self._proxy.set_held(self, True))

    def join(self) -> None:
        """What waited arrives, and the link is whole again."""
        self._proxy.call(lambda: self._proxy.set_held(self, False))

    def reset(self) -> None:
        """Breaks the connections that there are; new ones can be made unless it is held."""
        self._proxy.call(lambda: self._proxy.break_all(self))


class Proxy:
    """All links of a cluster, served by one thread until `close`."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._links: list[Link] = []
        self._calls: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._waker, woken = socket.socketpair()
        woken.setblocking(False)
        self._selector.register(woken, READ, None)
        self._woken = woken
        self._is_open = True
        self._thread = threading.Thread(target=self._serve, name="links", daemon=True)
        self._thread.start()

    def link(self, listen: tuple[str, int], to: tuple[str, int]) -> Link:
        """Whoever connects to `listen` reaches `to`. Raises OSError where it cannot listen."""
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setblocking(False)
            listener.bind(listen)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        made = Link(self, listener, to)
        self._links.append(made)
        self.call(lambda: self._watch(listener, READ, made))
        return made

    def close(self) -> None:
        """Breaks all connections and ends the thread. Idempotent."""
        if self._is_open:
            self._is_open = False
            self._waker.send(b".")
            self._thread.join(DONE_WITHIN_S)

    # ---- from other threads ---------------------------------------------------------------------

    def call(self, act: Callable[[], None]) -> None:
        """Has the thread do something, and returns when it is done."""
        done = threading.Event()
        self._calls.append((act, done))
        self._waker.send(b".")
        if not done.wait(DONE_WITHIN_S):
            raise RuntimeError("the thread that serves the links does not answer")

    # ---- in the thread --------------------------------------------------------------------------

    def set_held(self, link: Link, held: bool) -> None:
        link.is_held = held
        self._watch(link.listener, 0 if held else READ, link)
        for pair in link.pairs:
            self._watch_pair(link, pair)

    def break_all(self, link: Link) -> None:
        for pair in list(link.pairs):
            self._drop(link, pair)

    def _serve(self) -> None:
        while self._is_open:
            for key, ready in self._selector.select():
                if key.data is None:
                    self._answer_calls()
                elif isinstance(key.data, Link):
                    self._accept(key.data)
                else:
                    link, pair = key.data
                    self._move(link, pair, key.fileobj, ready)
        for link in self._links:
            self.break_all(link)
            link.listener.close()
        self._selector.close()
        self._waker.close()
        self._woken.close()

    def _answer_calls(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(CHUNK_BYTES)
        while self._calls:
            act, done = self._calls.popleft()
            act()
            done.set()

    def _accept(self, link: Link) -> None:
        try:
            near, _ = link.listener.accept()
        except OSError:  # it went away while it waited
            return
        far = socket.socket()
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError, ConnectionRefusedError):  # the selector will tell
            far.connect(link.to)
        pair = Pair(near, far)
        link.pairs.append(pair)
        self._watch_pair(link, pair)

    def _move(self, link: Link, pair: Pair, end: Any, ready: int) -> None:
        if link.is_held or pair not in link.pairs:  # since the selector spoke
            return
        if pair.serve(end, ready):
            self._watch_pair(link, pair)
        else:
            self._drop(link, pair)

    def _watch_pair(self, link: Link, pair: Pair) -> None:
        for end in pair.sockets:
            self._watch(end, 0 if link.is_held else pair.interest(end), (link, pair))

    def _watch(self, end: socket.socket, events: int, data: object) -> None:
        known = end in self._selector.get_map()
        if known and events:
            self._selector.modify(end, events, data)
        elif known:
            self._selector.unregister(end)
        elif events:
            self._selector.register(end, events, data)

    def _drop(self, link: Link, pair: Pair) -> None:
        link.pairs.remove(pair)
        for end in pair.sockets:
            self._watch(end, 0, None)
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.close()
