"""Targets that are not there, talk nonsense, hang or die: the suite ends, and says what it met."""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.client import Client
from conformance.targets.spec import parse
from conformance.wirelog import WireLog
from conformance.world import World
from spec.verdict import Verdict
from tests.suite import finished, run, served_reference, started

Talk = Callable[[socket.socket], None]


@contextmanager
def listening(talk: Talk) -> Iterator[str]:
    """A server on loopback that does `talk` with every connection; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def serve() -> None:
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_guarded, args=(talk, connection), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopped.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _guarded(talk: Talk, connection: socket.socket) -> None:
    with connection:
        try:
            talk(connection)
        except OSError:
            return


def closes(connection: socket.socket) -> None:
    """Hangs up at once."""


def is_silent(connection: socket.socket) -> None:
    while connection.recv(1024):
        pass


def talks_another_protocol(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def announces_two_gibibytes(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(struct.pack(">i", 0x7FFFFFFF) + b"x" * 100)
    is_silent(connection)


def answers_junk(connection: socket.socket) -> None:
    while frame := connection.recv(1024):
        correlation_id = frame[8:12]
        connection.sendall(struct.pack(">i", 24) + correlation_id + b"\xff" * 20)


def stops_in_the_middle_of_a_frame(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(struct.pack(">i", 400) + b"\0" * 9)
    is_silent(connection)


def becomes_silent_after_api_versions(connection: socket.socket) -> None:
    """Lists Produce, Metadata and ApiVersions, and then says nothing more."""
    frame = connection.recv(1024)
    keys = b"".join(struct.pack(">hhh", key, 0, 8) for key in (0, 3, 18))
    body = frame[8:12] + struct.pack(">hi", 0, 3) + keys
    connection.sendall(struct.pack(">i", len(body)) + body)
    is_silent(connection)


def test_an_address_where_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for options in ([], ["-n2"]):
        begun = time.monotonic()
        found = run(tmp_path, f"--target=127.0.0.1:{port}", *options)
        assert found.status == 7
        assert f"target unreachable: 127.0.0.1:{port}: Connection refused" in found.output
        assert "Traceback" not in found.output
        assert not found.evidence
        assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "talk",
    [
        closes,
        talks_another_protocol,
        announces_two_gibibytes,
        answers_junk,
        is_silent,
        stops_in_the_middle_of_a_frame,
    ],
)
def test_what_does_not_speak_kafka_is_unreachable(tmp_path: Path, talk: Talk) -> None:
    with listening(talk) as address:
        found = run(tmp_path, f"--target={address}")
    assert found.status == 7, found.output
    assert "target unreachable: " in found.output
    assert "Traceback" not in found.output


def test_a_broker_that_falls_silent_decides_nothing_and_hangs_nothing(tmp_path: Path) -> None:
    with listening(becomes_silent_after_api_versions) as address:
        options = (f"--target={address}", "--clause=LOG-01", "--examples=1", "--time-limit=1")
        found = run(tmp_path, *options)
    assert found.status == 6, found.output
    assert set(found.verdicts.values()) <= {Verdict.INCONCLUSIVE, Verdict.NOT_RUN}


def test_a_target_that_goes_away_ends_the_session(tmp_path: Path) -> None:
    with served_reference() as bootstrap:
        options = (f"--target={bootstrap}", "--examples=500", "--clause=PROD-*", "-v")
        with started(tmp_path, *options) as process:
            assert process.stdout
            for line in process.stdout:
                if "PASS" in line:
                    break
            stop_all(bootstrap)
            output, _ = process.communicate(timeout=90)
    assert process.returncode == 7, output
    assert "target unreachable: " in output


def stop_all(bootstrap: str) -> None:
    """Kills the process that listens at these addresses, as a crash would."""
    port = int(bootstrap.rsplit(":", 1)[1])
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes()
        except OSError:
            continue
        if b"reference.server" in text and listens(int(entry.parent.name), port):
            os.kill(int(entry.parent.name), signal.SIGKILL)
            return
    raise AssertionError(f"no server listens at {bootstrap}")


def listens(pid: int, port: int) -> bool:
    """Whether a process of ours has the listening socket of this port."""
    inodes = {
        fields[9]
        for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
    }
    links = (str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    return any(link == f"socket:[{inode}]" for link in links for inode in inodes)


def topics_of_the_suite(bootstrap: str) -> list[str]:
    """What runs have left on a cluster."""
    client = Client(parse(bootstrap, 0).open(World(), WireLog()))
    try:
        answer = client.broker().call("metadata", at_most=8, topics=None)
        return [topic.name for topic in answer.topics if topic.name.startswith("highwater-")]
    finally:
        client.close()
        client.target.close()


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_topic_and_no_process(
    tmp_path: Path, sent: signal.Signals, workers: str
) -> None:
    with served_reference() as bootstrap:
        options = (f"--target={bootstrap}", "--examples=2000", "--clause=PROD-05", workers)
        with started(tmp_path, *options) as process:
            deadline = time.monotonic() + 60
            while not topics_of_the_suite(bootstrap):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            interrupt(process.pid, sent)
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 2, output
        assert topics_of_the_suite(bootstrap) == []
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert finished(process.returncode, output, tmp_path).status == 2


def interrupt(pid: int, sent: signal.Signals) -> None:
    """Ctrl-C reaches the whole process group, a supervisor's SIGTERM the one process."""
    if sent is signal.SIGINT:
        os.killpg(pid, sent)
    else:
        os.kill(pid, sent)
