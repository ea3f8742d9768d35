"""The reference as a process behind real sockets: real clients, bad clients, and its end."""

import asyncio
import contextlib
import dataclasses
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as ConfluentPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kio.index import load_request_schema
from kio.schema.errors import ErrorCode

from conformance.codec import KEYS, decode_response, encode_request, request
from conformance.records import Batch, NewRecord
from reference.wire import ADAPTERS
from tests.wire_samples import build, encoded, read_response, request_frame
from tests.wire_samples import frame as framed

ABOUT = {"client_software_name": "test", "client_software_version": "1"}
QUIET = {"log_level": 0, "socket.timeout.ms": 10_000}


class Server:
    """A server process that ends with this one."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reference.server", "--until-eof", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.stop()
        self.bootstrap: str = json.loads(line)["bootstrap"]
        self.addresses = [
            (host, int(port))
            for host, port in (each.rsplit(":", 1) for each in self.bootstrap.split(","))
        ]

    def stop(self, by: signal.Signals | None = None) -> str:
        """Ends the process, by a signal or by the end of its input; returns what it complained."""
        if by is not None:
            self.process.send_signal(by)
        _, errors = self.process.communicate(timeout=10)
        return errors.decode()


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    server = Server(*options)
    try:
        yield server
    finally:
        complaints = server.stop()
    assert (server.process.returncode, complaints) == (0, "")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


class Client:
    """Frames over a blocking socket, and no mercy."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=20)
        self.stream = self.socket.makefile("rb")
        self.asked = 0

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, asked: Any) -> int:
        self.asked += 1
        frame = encode_request(asked, self.asked)
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        return self.asked

    def receive(self, asked: Any, correlation_id: int) -> Any:
        (size,) = struct.unpack(">i", self.stream.read(4))
        return decode_response(asked, correlation_id, self.stream.read(size))

    def ask(self, asked: Any) -> Any:
        return self.receive(asked, self.send(asked))

    def is_closed(self) -> bool:
        """Waits for the end of the connection; an answer instead of it is not the end."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True


def create_topic(server: Server, name: str, partitions: int = 1, replicas: int = 3) -> None:
    admin = AdminClient({"bootstrap.servers": server.bootstrap, **QUIET})
    admin.create_topics([NewTopic(name, partitions, replicas)])[name].result(timeout=10)


def metadata(name: str | None = None) -> Any:
    return request("metadata", 8, topics=None if name is None else [{"name": name}])


def leader_of(server: Server, topic: str) -> tuple[str, int]:
    """Returns the address of the broker that leads partition 0, once there is one."""
    deadline = time.monotonic() + 10
    with Client(server.addresses[0]) as client:
        while time.monotonic() < deadline:
            found = client.ask(metadata(topic))
            (described,) = found.topics
            leaders = {part.leader_id for part in described.partitions}
            brokers = {each.node_id: (each.host, each.port) for each in found.brokers}
            if leaders and leaders <= brokers.keys():
                return brokers[leaders.pop()]
    raise AssertionError(f"no leader: {found}")


def fetch(topic: str, **limits: int) -> Any:
    part = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20}
    part |= {"current_leader_epoch": -1, "log_start_offset": -1}
    sizes = {"max_wait": 500, "min_bytes": 1, "max_bytes": 1 << 20} | limits
    topics = [{"topic": topic, "partitions": [part]}]
    return request("fetch", 11, replica_id=-1, session_epoch=-1, topics=topics, **sizes)


def produce(topic: str, *values: bytes, acks: int = -1) -> Any:
    now_ms = time.time_ns() // 1_000_000
    records = Batch(records=[NewRecord(value=v) for v in values], timestamp_ms=now_ms).encode()
    parts = [{"index": 0, "records": records}]
    topics = [{"name": topic, "partition_data": parts}]
    return request("produce", 8, acks=acks, timeout=5000, topic_data=topics)


# ---- real clients ------------------------------------------------------------------------------


def test_librdkafka_writes_and_reads_ten_thousand_records(server: Server) -> None:
    create_topic(server, "librdkafka", partitions=3)
    failures: list[Any] = []
    producer = Producer(
        {"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 5, **QUIET}
    )
    for number in range(10_000):
        while True:
            try:
                producer.produce(
                    "librdkafka",
                    b"%d" % number,
                    partition=number % 3,
                    on_delivery=lambda error, _: error and failures.append(error),
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(30) == 0
    assert failures == []
    # Without auto-commit, or close() waits for a group coordinator.
    no_group = {"group.id": "unused", "enable.auto.commit": False}
    consumer = Consumer(
        {"bootstrap.servers": server.bootstrap, "check.crcs": True, **no_group, **QUIET}
    )
    consumer.assign([ConfluentPartition("librdkafka", number, 0) for number in range(3)])
    read: dict[int, list[int]] = {0: [], 1: [], 2: []}
    deadline = time.monotonic() + 30
    while sum(map(len, read.values())) < 10_000 and time.monotonic() < deadline:
        for message in consumer.consume(1000, timeout=1):
            assert message.error() is None
            assert message.offset() == len(read[message.partition()])
            read[message.partition()].append(int(message.value()))
    consumer.close()
    assert read == {number: list(range(number, 10_000, 3)) for number in range(3)}


@pytest.mark.parametrize("codec", ["gzip", "snappy", "zstd"])
def test_librdkafka_sends_compressed_batches(server: Server, codec: str) -> None:
    """It sends lz4 only to brokers that serve FindCoordinator, so only once there are groups."""
    topic = f"compressed-{codec}"
    create_topic(server, topic)
    producer = Producer(
        {"bootstrap.servers": server.bootstrap, "compression.codec": codec, **QUIET}
    )
    for _ in range(100):
        producer.produce(topic, b"the same again and again" * 10)
    assert producer.flush(20) == 0
    with Client(leader_of(server, topic)) as client:
        asked = fetch(topic)
        records = client.ask(asked).responses[0].partitions[0].records
    assert records[22] & 7 == ["none", "gzip", "snappy", "lz4", "zstd"].index(codec)


def test_aiokafka_writes_and_reads(server: Server) -> None:
    async def write_and_read() -> list[bytes | None]:
        partition = TopicPartition("aiokafka", 0)
        async with AIOKafkaProducer(
            bootstrap_servers=server.bootstrap, enable_idempotence=True, acks="all"
        ) as producer:
            for number in range(500):
                await producer.send("aiokafka", b"%d" % number, partition=0)
        async with AIOKafkaConsumer(
            bootstrap_servers=server.bootstrap, auto_offset_reset="earliest"
        ) as consumer:
            consumer.assign([partition])
            return [(await consumer.getone()).value for _ in range(500)]

    create_topic(server, "aiokafka")
    with warnings.catch_warnings(action="ignore"):
        values = asyncio.run(asyncio.wait_for(write_and_read(), 30))
    assert values == [b"%d" % number for number in range(500)]


def test_kafka_python_writes_and_reads(server: Server) -> None:
    create_topic(server, "kafka-python")
    with warnings.catch_warnings(action="ignore"):
        from kafka import KafkaConsumer, KafkaProducer
        from kafka import TopicPartition as KafkaPythonPartition

        producer = KafkaProducer(bootstrap_servers=server.bootstrap)
        sent = [producer.send("kafka-python", b"%d" % n, partition=0) for n in range(500)]
        producer.flush(20)
        assert [each.get(timeout=1).offset for each in sent] == list(range(500))
        producer.close()
        consumer = KafkaConsumer(
            bootstrap_servers=server.bootstrap,
            auto_offset_reset="earliest",
            consumer_timeout_ms=10_000,
        )
        consumer.assign([KafkaPythonPartition("kafka-python", 0)])
        values = [next(consumer).value for _ in range(500)]
        consumer.close()
    assert values == [b"%d" % number for number in range(500)]


# ---- what is advertised ------------------------------------------------------------------------


def test_every_advertised_version_is_answered() -> None:
    """By a request in which every field says something, and by one in which none does."""
    with serving() as server, Client(server.addresses[0]) as client:
        told = client.ask(request("api_versions", 3, **ABOUT)).api_keys
        ranges = {each.api_key: range(each.min_version, each.max_version + 1) for each in told}
        assert set(ranges) == {*ADAPTERS, KEYS["api_versions"]}
        for key, adapter in ADAPTERS.items():
            for version in adapter.versions:
                assert version in ranges[key]
                schema: Any = load_request_schema(key, version)
                minimal = {"acks": 1} if key == KEYS["produce"] else {}
                for frame in (
                    request_frame(key, version),
                    framed(schema, encoded(build(schema, minimal))),
                ):
                    client.socket.sendall(struct.pack(">i", len(frame)) + frame)
                    (size,) = struct.unpack(">i", client.stream.read(4))
                    correlation_id, entity = read_response(key, version, client.stream.read(size))
                    assert correlation_id == 7
                    assert ErrorCode.unknown_server_error not in set(errors_in(entity)), entity


def errors_in(entity: Any) -> Iterator[ErrorCode]:
    if isinstance(entity, ErrorCode):
        yield entity
    elif isinstance(entity, tuple):
        for each in entity:
            yield from errors_in(each)
    elif dataclasses.is_dataclass(entity):
        for field in dataclasses.fields(entity):
            yield from errors_in(getattr(entity, field.name))


@pytest.mark.parametrize("version", range(3))
def test_produce_is_advertised_from_0_but_served_from_3(server: Server, version: int) -> None:
    with Client(server.addresses[0]) as client:
        told = client.ask(request("api_versions", 3, **ABOUT)).api_keys
        assert [each.min_version for each in told if each.api_key == 0] == [0]
        client.socket.sendall(struct.pack(">ihhih", 10, 0, version, 1, -1))
        assert client.is_closed()


# ---- the connection ----------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    """The first waits for its time to pass, those behind it could be answered at once."""
    create_topic(server, "order")
    with Client(leader_of(server, "order")) as client:
        asked = [fetch("order", max_wait=300), *(metadata("order") for _ in range(200))]
        sent = [(each, client.send(each)) for each in asked]
        for each, correlation_id in sent:
            client.receive(each, correlation_id)


def test_acks_0_ends_the_connection_on_an_error(server: Server) -> None:
    create_topic(server, "acks-0")
    with Client(leader_of(server, "acks-0")) as client:
        client.send(produce("acks-0", b"a", acks=0))
        client.ask(metadata())
        client.send(produce("no-such-topic", b"a", acks=0))
        assert client.is_closed()


def test_a_mutant_is_served_like_the_sound_cluster() -> None:
    with serving("--brokers", "1", "--mutant", "acks-zero-answered") as server:
        create_topic(server, "mutant", replicas=1)
        with Client(leader_of(server, "mutant")) as client:
            answer = client.ask(produce("mutant", b"a", acks=0))
    assert answer.responses[0].partition_responses[0].error_code == ErrorCode.none


GARBAGE = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a length of -1": b"\xff\xff\xff\xff",
    "a length of 2 GiB": b"\x7f\xff\xff\xff",
    "a length of 0": bytes(4),
    "an unknown API": struct.pack(">ihhi", 8, 999, 0, 1),
    "a version that is not served": struct.pack(">ihhi", 8, 3, 99, 1),
    "an array of 2^32 entries": struct.pack(">ihhihb", 16, 3, 9, 1, 0, 0) + b"\xff\xff\xff\xff\x0f",
    "a request that ends too early": struct.pack(">ihhi", 8, 3, 1, 1),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_ends_one_connection_and_no_other(server: Server, name: str) -> None:
    with Client(server.addresses[0]) as healthy, Client(server.addresses[0]) as other:
        healthy.ask(metadata())
        other.ask(metadata())
        other.socket.sendall(GARBAGE[name])
        assert other.is_closed()
        healthy.ask(metadata())


@pytest.mark.parametrize("name", GARBAGE)
def test_what_came_before_garbage_is_answered(server: Server, name: str) -> None:
    """Even if the answer takes a while, since the garbage has to wait for its turn."""
    topic = f"before-garbage-{sorted(GARBAGE).index(name)}"
    create_topic(server, topic)
    asked = fetch(topic, max_wait=200)
    with Client(leader_of(server, topic)) as client:
        frame = encode_request(asked, 1)
        client.socket.sendall(struct.pack(">i", len(frame)) + frame + GARBAGE[name])
        client.receive(asked, 1)
        assert client.is_closed()


def test_a_frame_that_never_ends_disturbs_nobody(server: Server) -> None:
    with Client(server.addresses[0]) as healthy, Client(server.addresses[0]) as other:
        other.socket.sendall(struct.pack(">i", 50 << 20) + b"x" * 100)
        for _ in range(20):
            healthy.ask(metadata())


def test_random_bytes_leave_the_server_alive(server: Server) -> None:
    chance = random.Random(1)
    with Client(server.addresses[0]) as healthy:
        for _ in range(200):
            body = chance.randbytes(chance.randrange(60))
            head = struct.pack(">hhi", chance.randrange(62), chance.randrange(14), 1) + b"\0\0"
            with Client(server.addresses[0]) as other:
                other.socket.sendall(struct.pack(">i", len(head + body)) + head + body)
                other.socket.shutdown(socket.SHUT_WR)
            healthy.ask(metadata())


def test_a_client_that_does_not_read_is_not_read_from(server: Server) -> None:
    """Its requests stay in the sockets' buffers; the server's memory stays where it was."""
    create_topic(server, "unread")
    leader = leader_of(server, "unread")
    with Client(leader) as client:
        client.ask(produce("unread", b"x" * 900_000))
        before = resident_bytes(server)
        client.socket.settimeout(1)
        frame = encode_request(fetch("unread"), 1)
        with pytest.raises(TimeoutError):
            send_for_ever(client, (struct.pack(">i", len(frame)) + frame) * 1000)
        assert resident_bytes(server) - before < 150 << 20
        with Client(leader) as healthy:
            healthy.ask(metadata())


def send_for_ever(client: Client, data: bytes) -> None:
    while True:
        client.socket.sendall(data)


def resident_bytes(server: Server) -> int:
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


# ---- the process -------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, None])
def test_it_stops_at_once_and_frees_its_ports(by: signal.Signals | None) -> None:
    first = Server("--brokers", "2")
    ports = [str(port) for _, port in first.addresses]
    with Client(first.addresses[0]) as client:
        client.ask(metadata())
        started = time.monotonic()
        assert first.stop(by) == ""
        assert first.process.returncode == 0
        assert time.monotonic() - started < 8
    with serving("--brokers", "2", "--port", *ports) as second:
        assert second.addresses == first.addresses


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--brokers", "0"], "--brokers must be from 1 to 100"),
        (["--port", "1", "2"], "--port needs 3 ports"),
        (["--port", "1", "2", "70000"], "--port must be from 0 to 65535"),
        (["--mutant", "no-such-mutant"], "no-such-mutant"),
        (["--host", "203.0.113.1"], "cannot listen on 203.0.113.1"),
    ],
)
def test_bad_options_are_named(options: list[str], complaint: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "reference.server", *options],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert found.returncode == 2
    assert complaint in found.stderr
    assert "Traceback" not in found.stderr


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = subprocess.run(
            [sys.executable, "-m", "reference.server", "--brokers", "1", "--port", port],
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert found.returncode == 2
    assert "cannot listen on 127.0.0.1" in found.stderr
