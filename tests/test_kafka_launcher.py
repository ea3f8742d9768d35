"""The launcher of real Apache Kafka: what it says when it cannot, and what it leaves behind.

Only the last tests start brokers. They need Java and Maven (the first time also Maven Central),
and are skipped without them.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from conformance.targets.kafka import KafkaCluster, TargetUnavailable, launch, readiness
from conformance.targets.kafka.artifacts import install
from conformance.targets.kafka.java import find_java
from conformance.targets.kafka.ports import HOST, reserved_ports

LATEST = "4.4.0"
ROOT = Path(__file__).parents[1]


def why_no_brokers() -> str:
    """Why this machine cannot run real brokers; empty where it can."""
    try:
        find_java(at_least=17, needed_by="a real broker")
    except TargetUnavailable as error:
        return str(error)
    return "" if shutil.which("mvn") else "there is no mvn in PATH to get real brokers with"


needs_brokers = pytest.mark.skipif(bool(why_no_brokers()), reason=why_no_brokers())


def wait_until(holds: Callable[[], bool], within_s: float = 20) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name `folder`; a zombie has none."""
    if Path("/proc/self/cmdline").exists():  # a small Linux image may have no ps
        lines = [words.replace("\0", " ") for words in map(command_of, Path("/proc").iterdir())]
    else:
        table = subprocess.run(["ps", "-axwwo", "args"], capture_output=True, text=True, check=True)
        lines = table.stdout.splitlines()
    return [line for line in lines if str(folder) in line]


def command_of(process: Path) -> str:
    """Empty where `process`, a folder of /proc, is none, or has just ended."""
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


@contextmanager
def child(*arguments: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A Python process of ours and the first line that it prints. It is dead afterwards."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


class Machine:
    """A PATH with nothing on it but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.cache = folder / "cache"
        self.calls = folder / "calls"

    def has(self, program: str, script: str) -> None:
        path = self.bin / program
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def has_java(self, version: str = "17.0.1") -> None:
        self.has("java", f"echo 'openjdk version \"{version}\" 2021-10-19' >&2")

    def has_maven(self, script: str) -> None:
        self.has("mvn", f'echo "$@" >> {self.calls}\n{script}')

    @property
    def cached(self) -> list[str]:
        """What is in the cache, but for the files that are locks."""
        folder = self.cache / "kafka"
        return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("HIGHWATER_CACHE", str(made.cache))
    for name in ("JAVA_HOME", "KAFKA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return made


def refusal(version: str, *, zookeeper: bool = False) -> str:
    """The message of the refusal, which has to be one line."""
    with pytest.raises(TargetUnavailable) as raised:
        launch(version, zookeeper=zookeeper)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("version", ["", "4.0", "latest", "4.0.0/../x", "4.0.0<"])
def test_what_is_no_version_is_refused(machine: Machine, version: str) -> None:
    assert refusal(version) == (
        f"{version!r} is not a version of Apache Kafka: write three numbers, such as 4.0.0"
    )


def test_a_mode_that_the_version_does_not_have_is_refused(machine: Machine) -> None:
    assert "4.0.0 has no ZooKeeper mode" in refusal("4.0.0", zookeeper=True)
    assert "use kafka:3.2.0+zookeeper" in refusal("3.2.0")


def test_without_java_it_says_which_to_install(machine: Machine) -> None:
    assert refusal(LATEST) == (
        f"Apache Kafka {LATEST} needs Java 17 or later, and there is no java in PATH: install one"
    )


@pytest.mark.parametrize(
    ("kafka", "java", "enough"),
    [
        ("4.0.0", "11.0.2", False),
        ("4.0.0", "17.0.1", True),
        ("4.0.0", "26-ea", True),
        ("3.9.1", "11.0.2", True),
        ("3.9.1", "1.8.0_412", True),
        ("3.9.1", "1.7.0", False),
    ],
)
def test_java_has_to_be_new_enough(machine: Machine, kafka: str, java: str, enough: bool) -> None:
    machine.has_java(java)
    wanted = "there is no mvn in PATH" if enough else f"java is Java {java}: set JAVA_HOME"
    assert wanted in refusal(kafka)


def test_a_java_that_does_not_run_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", "/no/such/java")
    assert "/no/such/java/bin/java does not run" in refusal(LATEST)
    monkeypatch.delenv("JAVA_HOME")
    machine.has("java", "exit 1")
    assert "does not say which it is" in refusal(LATEST)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            f"Could not find artifact org.apache.kafka:kafka_2.13:jar:{LATEST} in central (https",
            f"Maven Central has no Apache Kafka {LATEST}: choose a released version",
        ),
        (
            f"org.apache.kafka:kafka_2.13:jar:{LATEST} was not found in https://x during a",
            f"Maven Central has no Apache Kafka {LATEST}: choose a released version",
        ),
        (
            "Could not transfer artifact: Connection refused -> [Help 1]",
            f"Maven cannot get Apache Kafka {LATEST}: check the network, or set KAFKA_HOME to an "
            "installation. It says: Could not transfer artifact: Connection refused",
        ),
    ],
)
def test_maven_that_fails_is_quoted_and_caches_nothing(
    machine: Machine, said: str, expected: str
) -> None:
    machine.has_java()
    machine.has_maven(f"printf '\\033[0m[ERROR] %s\\n[ERROR] \\n' '{said}'; exit 1")
    assert refusal(LATEST) == expected
    assert machine.cached == []


def test_a_maven_that_does_not_run_is_named(machine: Machine) -> None:
    machine.has_java()
    machine.has("mvn", "")
    (machine.bin / "mvn").write_text("#!/no/such/shell\n", encoding="utf-8")
    assert f"{machine.bin / 'mvn'} does not run (No such file" in refusal(LATEST)


def test_a_cache_that_cannot_be_written_is_named(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_java()
    monkeypatch.setenv("HIGHWATER_CACHE", str(machine.bin / "java"))
    assert "set HIGHWATER_CACHE to a folder that can" in refusal(LATEST)


def test_two_at_once_download_once(machine: Machine) -> None:
    machine.has_java()
    machine.has_maven(
        "/bin/sleep 0.5\n"
        'for word; do case "$word" in -DoutputDirectory=*) folder="${word#*=}";; esac; done\n'
        '/bin/mkdir "$folder" && echo jar > "$folder/kafka.jar"'
    )
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(install, [LATEST, LATEST])
    assert first == second == install(LATEST)
    assert (first.libraries / "kafka.jar").exists()
    assert len(machine.calls.read_text(encoding="utf-8").splitlines()) == 1
    assert machine.cached == [LATEST]


def test_kafka_home_has_to_hold_the_version_that_is_asked_for(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has_java()
    home = tmp_path / "kafka"
    monkeypatch.setenv("KAFKA_HOME", str(home))
    assert f"KAFKA_HOME={home} is not an installation of Apache Kafka" in refusal(LATEST)
    (home / "libs").mkdir(parents=True)
    (home / "libs" / "kafka_2.13-3.9.1.jar").touch()
    (home / "libs" / "kafka-clients-3.9.1.jar").touch()
    assert f"{home} holds Apache Kafka 3.9.1, not {LATEST}" in refusal(LATEST)
    found = install("3.9.1")
    assert (found.libraries, found.origin) == (home / "libs", str(home))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x01",
        b"\x00\x00\x00\x10\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00\x00\x01\x80\x00\x00\x00",
    ],
)
def test_a_server_that_is_no_broker_is_not_ready(answer: bytes) -> None:
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert readiness.ask(server.getsockname()[1], within_s=5) is None
        thread.join()


IN_A_SANDBOX = """
import signal, sys, time
from conformance.targets.kafka.sandbox import Sandbox
sandbox = Sandbox()
sleeper = [sys.executable, "-c", "import time; time.sleep(600)", str(sandbox.folder)]
sandbox.spawn(sleeper, sandbox.folder / "one.log")
sandbox.spawn(sleeper, sandbox.folder / "two.log").send_signal(signal.SIGSTOP)
print(sandbox.folder, flush=True)
"""


@pytest.mark.parametrize(
    ("then", "number"),
    [
        ("sandbox.close()", None),
        ("pass", None),
        ("raise RuntimeError", None),
        ("time.sleep(600)", signal.SIGINT),
        ("time.sleep(600)", signal.SIGTERM),
        ("time.sleep(600)", signal.SIGKILL),
    ],
)
def test_however_a_process_ends_its_sandbox_does_too(
    then: str, number: signal.Signals | None
) -> None:
    with child("-c", IN_A_SANDBOX + then) as (parent, said):
        folder = Path(said)
        if number is not None:
            assert folder.is_dir()
            assert len(processes_of(folder)) >= 3
            parent.send_signal(number)
        parent.wait(20)
    assert folder.name.startswith("highwater-kafka-")
    assert wait_until(lambda: not folder.exists() and not processes_of(folder))


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with launch(LATEST) as started:
        yield started


@needs_brokers
def test_a_real_client_sees_three_brokers_that_replicate(cluster: KafkaCluster) -> None:
    described = cluster.describe()
    assert described["start_up_s"] > 0
    assert (described["kafka"], described["mode"], described["brokers"]) == (LATEST, "KRaft", 3)
    addresses = [f"{host}:{port}" for host, port in cluster.bootstrap]
    for address in addresses:
        listed = AdminClient({"bootstrap.servers": address}).list_topics(timeout=20)
        assert {f"{b.host}:{b.port}" for b in listed.brokers.values()} == set(addresses)

    bootstrap: dict[str, str | int | float | bool] = {"bootstrap.servers": ",".join(addresses)}
    topic = NewTopic("launched", num_partitions=1, replication_factor=3)
    admin = AdminClient(bootstrap)
    admin.create_topics([topic])["launched"].result(20)
    producer = Producer(bootstrap | {"acks": "all", "enable.idempotence": True})
    producer.produce("launched", b"kept")
    assert producer.flush(20) == 0
    consumer = Consumer(bootstrap | {"group.id": "one", "auto.offset.reset": "earliest"})
    consumer.subscribe(["launched"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    assert message.value() == b"kept"


@needs_brokers
def test_a_broker_can_be_paused_killed_stopped_and_started_again(cluster: KafkaCluster) -> None:
    broker = cluster.brokers[2]
    broker.pause()
    assert readiness.ask(broker.port, within_s=1) is None
    assert broker.is_alive
    broker.resume()
    cluster.wait_until_ready()

    first = broker.pid
    broker.kill()
    assert (broker.pid, broker.exit_status) == (None, -signal.SIGKILL)
    with pytest.raises(TargetUnavailable, match="broker-3 ended with exit status -9; its log"):
        cluster.wait_until_ready()
    broker.start()
    cluster.wait_until_ready()
    assert broker.pid not in (None, first)

    broker.stop()
    assert broker.exit_status == 128 + signal.SIGTERM, "it did not shut down by itself"
    assert broker.has_logged("shut down")
    broker.start()
    cluster.wait_until_ready()


def raise_while(started: KafkaCluster, folder: Path) -> None:
    assert len([line for line in processes_of(folder) if "java" in line]) == 3
    assert {broker.log.parents[1] for broker in started.brokers} == set(folder.iterdir())
    raise RuntimeError("of the test")


@needs_brokers
def test_a_taken_port_costs_a_second_start_and_a_failure_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    attempts = []
    with socket.create_server((HOST, 0)) as taken:

        @contextmanager
        def one_taken_at_first(count: int) -> Iterator[list[int]]:
            with reserved_ports(count) as ports:
                attempts.append(ports)
                last = taken.getsockname()[1] if len(attempts) == 1 else ports[-1]
                yield [*ports[:-1], last]

        monkeypatch.setattr("conformance.targets.kafka.kraft.reserved_ports", one_taken_at_first)
        started = launch(LATEST)
        with pytest.raises(RuntimeError, match="of the test"), started:
            raise_while(started, tmp_path)
        assert len(attempts) == 2
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@needs_brokers
def test_a_killed_command_leaves_no_broker_and_no_zookeeper(tmp_path: Path) -> None:
    command = ("-m", "conformance.targets.kafka", "3.9.1", "--zookeeper")
    with child(*command, TMPDIR=str(tmp_path)) as (parent, line):
        said = json.loads(line)
        assert len(said["bootstrap"].split(",")) == 3
        assert said["mode"] == "ZooKeeper"
        assert len([line for line in processes_of(tmp_path) if "java" in line]) == 4
        parent.kill()
    assert wait_until(lambda: not processes_of(tmp_path) and not list(tmp_path.iterdir()))
