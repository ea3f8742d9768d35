"""The reference cluster behind real sockets, its event queue paced by the machine's clock.

    python -m reference.server --brokers 3

prints one line, `{"bootstrap": "127.0.0.1:40001,127.0.0.1:40002,127.0.0.1:40003"}`, and serves
until SIGINT or SIGTERM. One process and one thread run all brokers; they replicate over the
simulator's network, not over sockets. With --data-dir logs and metadata are kept in files, one
folder per broker, and the next server over the same folder goes on with them; without it they are
kept in memory and end with the process.
"""

import argparse
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

# kio imports Hypothesis where it finds it, and Hypothesis keeps a cache in the working directory.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", os.devnull)

from reference.mutants import MUTANTS
from reference.rules import Rules
from reference.simulator.cluster import Cluster, Mode
from reference.storage.disk import Disk
from reference.storage.files import FileDisk
from reference.wire.frames import LENGTH, FrameReader
from reference.wire.refusals import MalformedRequest

READ_BYTES = 1 << 18
CONNECTIONS_MAX = 512
QUEUED_MAX = 16
"""Requests of one connection inside the broker, above which it is not read from. Kafka takes one;
a few more save turns, and each may be answered with some fifty megabytes."""
UNSENT_PAUSE_BYTES = 1 << 20
"""Answers that a client has not taken, above which it is not read from."""
UNSENT_MAX_BYTES = 256 << 20
"""Answers that a client has not taken, above which it is cut off."""
EVENTS_PER_TURN = 1000
"""Events executed before the sockets are looked at again."""


class Peer:
    """A client's connection: what has arrived, and what could not yet be sent."""

    def __init__(self, connection: socket.socket, reader: FrameReader) -> None:
        self.socket = connection
        self.reader = reader
        self.number = 0
        self.unsent: deque[memoryview] = deque()
        self.unsent_bytes = 0
        self.events = 0
        self.is_open = True
        self.is_readable = True
        self.is_ending = False
        """It is closed once everything is sent."""

    def send(self) -> None:
        """Sends what the socket takes. Raises OSError where the connection is lost."""
        while self.unsent:
            sent = self.socket.sendmsg(islice(self.unsent, 64))
            self.unsent_bytes -= sent
            while sent:
                first = self.unsent.popleft()
                if sent < len(first):
                    self.unsent.appendleft(first[sent:])
                sent -= min(sent, len(first))


class Server:
    """Listens for every broker of one cluster, and moves its events and its bytes."""

    def __init__(
        self,
        listeners: Mapping[int, socket.socket],
        rules: Rules,
        seed: int,
        mode: Mode,
        disks: dict[int, Disk] | None = None,
    ) -> None:
        self.addresses = {broker: _address(each) for broker, each in listeners.items()}
        self._rules = rules
        self._cluster = Cluster(
            self.addresses,
            seed=seed,
            rules=rules,
            latency_ms=(0, 0),
            wall_clock_ms=time.time_ns() // 1_000_000,
            traced=False,
            mode=mode,
            disks=disks,
        )
        self._started_ns = time.monotonic_ns() - self._cluster.now_ms * 1_000_000
        self._crashes_told = 0
        self._listeners = listeners
        self._peers: set[Peer] = set()
        self._unflushed: set[Peer] = set()
        self._paused: set[Peer] = set()
        self._selector = selectors.DefaultSelector()
        self._stop_receiver, self._stop_sender = socket.socketpair()
        self._stop_sender.setblocking(False)
        self._selector.register(self._stop_receiver, selectors.EVENT_READ, self._stop)
        self._is_stopped = False
        for broker, listener in listeners.items():
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, broker)

    def stop_at_signals(self, *signals: signal.Signals) -> None:
        """Makes these signals end `run`. They wake it up, too, wherever it waits."""
        for number in signals:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._stop_sender.fileno())

    def stop_at_end_of(self, descriptor: int) -> None:
        """Makes the end of this stream end `run`. Raises OSError where it cannot be waited for."""
        self._selector.register(descriptor, selectors.EVENT_READ, self._discard)

    @property
    def has_crashed(self) -> bool:
        """Whether a broker or the controller has failed by its own fault."""
        return bool(self._cluster.crashes)

    def run(self) -> None:
        """Serves until it is stopped, then closes every socket."""
        while not self._is_stopped:
            self._run_due_events()
            self._tell_crashes()
            self._flush()
            for key, ready in self._selector.select(self._patience_s()):
                self._cluster.now_ms = max(self._cluster.now_ms, self._now_ms())
                if isinstance(key.data, Peer):
                    self._serve(key.data, ready)
                elif isinstance(key.data, int):
                    self._accept(key.data)
                else:
                    key.data(key.fd)
        self._cluster.stop()
        for peer in tuple(self._peers):
            self._close(peer)
        for listener in self._listeners.values():
            listener.close()
        self._selector.close()
        signal.set_wakeup_fd(-1)
        self._stop_receiver.close()
        self._stop_sender.close()

    # ---- time ------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        return (time.monotonic_ns() - self._started_ns) // 1_000_000

    def _run_due_events(self) -> None:
        now_ms = self._now_ms()
        for _ in range(EVENTS_PER_TURN):
            due_ms = self._cluster.next_due_ms
            if due_ms is None or due_ms > now_ms:
                return
            self._cluster.step()

    def _tell_crashes(self) -> None:
        """The others go on without a crashed broker, as in any cluster, but it is not hidden."""
        for crash in self._cluster.crashes[self._crashes_told :]:
            print(f"broker {crash.member} has crashed:", file=sys.stderr)
            traceback.print_exception(crash.error)
            self._crashes_told += 1

    def _patience_s(self) -> float | None:
        if self._unflushed:
            return 0
        due_ms = self._cluster.next_due_ms
        return None if due_ms is None else max(0, due_ms - self._now_ms()) / 1000

    def _stop(self, descriptor: int) -> None:
        self._is_stopped = True

    def _discard(self, descriptor: int) -> None:
        self._is_stopped = not os.read(descriptor, READ_BYTES)

    # ---- connections -----------------------------------------------------------------------

    def _accept(self, broker: int) -> None:
        try:
            connection, _ = self._listeners[broker].accept()
        except OSError:  # the client has gone again, or there are no descriptors left
            return
        if len(self._peers) >= CONNECTIONS_MAX:
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(connection, FrameReader(self._rules.accepts_frame))
        peer.number = self._cluster.connect(broker, lambda frame: self._deliver(peer, frame))
        self._peers.add(peer)
        self._listen(peer)

    def _serve(self, peer: Peer, ready: int) -> None:
        if peer.is_open and ready & selectors.EVENT_WRITE:
            self._unflushed.add(peer)
        if not (peer.is_open and ready & selectors.EVENT_READ):
            return
        try:
            chunk = peer.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._close(peer)
            return
        peer.reader.feed(chunk)
        self._read_frames(peer)

    def _read_frames(self, peer: Peer) -> None:
        """Hands over as many frames as there is room for; the rest waits outside the broker."""
        room = QUEUED_MAX - self._cluster.waiting(peer.number)
        if peer.unsent_bytes > UNSENT_PAUSE_BYTES:
            room = 0
        taken = 0
        try:
            for frame in islice(peer.reader.frames(), max(0, room)):
                self._cluster.receive(peer.number, frame)
                taken += 1
        except MalformedRequest:
            # Where the next frame starts is lost. What came before is answered, and when it is the
            # turn of this, which is no request, the cluster closes the connection.
            peer.is_readable = False
            self._cluster.receive(peer.number, b"")
        if taken < room or not peer.is_readable:
            self._paused.discard(peer)
        else:
            self._paused.add(peer)
        self._listen(peer)

    def _deliver(self, peer: Peer, frame: bytes | None) -> None:
        """Takes an answer of the cluster; None says that it has closed the connection."""
        if not peer.is_open:
            return
        if frame is None:
            self._end(peer)
            return
        peer.unsent += (memoryview(LENGTH.pack(len(frame))), memoryview(frame))
        peer.unsent_bytes += LENGTH.size + len(frame)
        self._unflushed.add(peer)

    def _flush(self) -> None:
        """Sends what the events of this turn have left, and reads on where there is room again."""
        unflushed, self._unflushed = self._unflushed, set()
        for peer in unflushed:
            if peer.is_open:
                self._send(peer)
        for peer in tuple(self._paused):
            self._read_frames(peer)

    def _send(self, peer: Peer) -> None:
        try:
            peer.send()
        except BlockingIOError:
            pass
        except OSError:
            self._close(peer)
            return
        if peer.unsent_bytes > UNSENT_MAX_BYTES or (peer.is_ending and not peer.unsent):
            self._close(peer)
        else:
            self._listen(peer)

    def _listen(self, peer: Peer) -> None:
        """Tells the selector what to wait for at a connection, if anything."""
        reads = peer.is_readable and peer not in self._paused
        events = (selectors.EVENT_READ if reads else 0) | (
            selectors.EVENT_WRITE if peer.unsent else 0
        )
        if events == peer.events:
            return
        if not events:
            self._selector.unregister(peer.socket)
        elif not peer.events:
            self._selector.register(peer.socket, events, peer)
        else:
            self._selector.modify(peer.socket, events, peer)
        peer.events = events

    def _end(self, peer: Peer) -> None:
        """Closes a connection once what was answered before is sent."""
        peer.is_readable = False
        peer.is_ending = True
        self._paused.discard(peer)
        self._cluster.disconnect(peer.number)
        self._unflushed.add(peer)

    def _close(self, peer: Peer) -> None:
        peer.is_open = False
        self._peers.discard(peer)
        self._paused.discard(peer)
        if peer.events:
            self._selector.unregister(peer.socket)
        peer.socket.close()
        self._cluster.disconnect(peer.number)


def _text(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(listener: socket.socket) -> tuple[str, int]:
    host, port = listener.getsockname()[:2]
    return host, port


def _listeners(host: str, ports: list[int]) -> dict[int, socket.socket]:
    """Returns a listening socket per broker, numbered from 1. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listeners: dict[int, socket.socket] = {}
    try:
        for broker, port in enumerate(ports, start=1):
            listeners[broker] = socket.create_server((host, port), family=family, backlog=128)
    except OSError:
        for listener in listeners.values():
            listener.close()
        raise
    return listeners


def _disks(folder: Path, brokers: int) -> dict[int, Disk]:
    """Returns a disk per broker, a folder each. Raises OSError."""
    return {broker: FileDisk(folder / f"broker-{broker}") for broker in range(1, brokers + 1)}


def _options(arguments: list[str] | None) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    about, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m reference.server",
        description=about,
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--brokers", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument(
        "--metadata",
        type=Mode,
        choices=tuple(Mode),
        default=Mode.QUORUM,
        help="who keeps them; default: quorum",
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="to keep logs and metadata in")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), metavar="NAME", help="one wrong rule")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the ids it draws")
    parser.add_argument("--host", default="127.0.0.1", help="to listen on; default: 127.0.0.1")
    parser.add_argument(
        "--port", type=int, nargs="+", metavar="P", help="one per broker; default: free ports"
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="stop when standard input, a pipe, is closed"
    )
    options = parser.parse_args(arguments)
    options.port = options.port or [0] * options.brokers
    if not 1 <= options.brokers <= 100:
        parser.error(f"--brokers must be from 1 to 100, not {options.brokers}")
    if len(options.port) != options.brokers:
        parser.error(f"--port needs {options.brokers} ports, one per broker")
    if any(not 0 <= port <= 65535 for port in options.port):
        parser.error("--port must be from 0 to 65535")
    return parser, options


def main(arguments: list[str] | None = None) -> None:
    """Serves until it is told to stop, then exits with 0, or with 1 where a broker has crashed.

    Exits with 2 on bad options or ports that are taken.
    """
    parser, options = _options(arguments)
    try:
        listeners = _listeners(options.host, options.port)
    except OSError as error:
        parser.error(f"cannot listen on {options.host}: {error.strerror}")
    rules = MUTANTS[options.mutant].rules if options.mutant else Rules
    try:
        disks = _disks(options.data_dir, options.brokers) if options.data_dir else None
        server = Server(listeners, rules(), options.seed, options.metadata, disks)
    except OSError as error:
        parser.error(f"cannot use --data-dir {options.data_dir}: {error}")
    server.stop_at_signals(signal.SIGINT, signal.SIGTERM)
    if options.until_eof:
        try:
            server.stop_at_end_of(sys.stdin.fileno())
        except OSError:
            parser.error("--until-eof needs a pipe as standard input")
    bootstrap = ",".join(map(_text, server.addresses.values()))
    print(json.dumps({"bootstrap": bootstrap}), flush=True)
    server.run()
    sys.exit(1 if server.has_crashed else 0)


if __name__ == "__main__":
    main()
