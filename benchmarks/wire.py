"""What a request costs the reference server: CPU per request, on the codec and on the whole path.

    python -m benchmarks.wire [--requests 5000]

Prints figures and judges nothing. "server CPU" is the time that the kernel gave to the server's
process, so a busy machine changes it little; one broker, one partition, acks=1, Produce 9.
"""

import argparse
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", "build/hypothesis")

from conformance.codec import decode_response, encode_request, request
from conformance.records import Batch, NewRecord
from reference import requests as core
from reference.errors import Error
from reference.wire import ADAPTERS
from reference.wire.adapter import response_module
from reference.wire.codec import Head, decode, encode, head_of

TOPIC = "benchmark"
ADDRESSES = {1: ("127.0.0.1", 9092)}
Entity = Any


def batch(records: int, value_bytes: int) -> bytes:
    """Returns a record batch of equal records."""
    value = NewRecord(value=b"x" * value_bytes)
    return Batch(records=[value] * records, timestamp_ms=time.time_ns() // 1_000_000).encode()


def produce(records: bytes) -> Entity:
    """Returns a Produce request of one partition."""
    part = {"index": 0, "records": records}
    topic = {"name": TOPIC, "partition_data": [part]}
    return request("produce", 9, acks=1, timeout=5000, topic_data=[topic])


def fetch(max_bytes: int) -> Entity:
    """Returns a Fetch request of one partition from its start."""
    part = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": max_bytes}
    part |= {"current_leader_epoch": -1, "last_fetched_epoch": -1, "log_start_offset": -1}
    topic = {"topic": TOPIC, "partitions": [part]}
    sizes = {"max_wait": 0, "min_bytes": 1, "max_bytes": max_bytes}
    return request(
        "fetch", 12, replica_id=-1, session_epoch=-1, topics=[topic], rack_id="", **sizes
    )


# ---- the codec alone ---------------------------------------------------------------------------


def codec_figures() -> Iterator[tuple[str, float]]:
    """Yields what is measured and its microseconds per call."""
    produced = core.Produced(
        parts=(core.ProducedPart(topic="t", number=0, error=Error.NONE, base_offset=1),)
    )
    for version in (8, 9, 12):
        yield f"Produce {version}, 1 x 100 B, decode", _decoding(version)
        yield from _encoders(f"Produce {version}, 1 partition", Head(0, version, 1), produced)
    parts = tuple(
        core.FetchedPart(topic="t", number=number, error=Error.NONE, records=bytes(100_000))
        for number in range(8)
    )
    fetched = core.Fetched(error=Error.NONE, session_id=0, parts=parts)
    for version in (11, 12):
        yield from _encoders(f"Fetch {version}, 8 x 100 kB", Head(1, version, 1), fetched)


def _decoding(version: int) -> float:
    part = {"index": 0, "records": batch(1, 100)}
    topic = {"name": TOPIC, "partition_data": [part]}
    frame = encode_request(request("produce", version, acks=1, topic_data=[topic]), 1)
    to_core = ADAPTERS[0].to_core
    return _us(lambda: to_core(decode(head_of(frame), frame), version))


def _encoders(label: str, head: Head, response: Any) -> Iterator[tuple[str, float]]:
    adapter = ADAPTERS[head.api_key]
    by_hand = adapter.encode
    assert by_hand is not None
    kio = response_module(head.api_key, head.version)
    yield (
        f"{label}, encode by kio",
        _us(lambda: encode(head, adapter.from_core(kio, response, ADDRESSES))),
    )
    yield (
        f"{label}, encode by hand",
        _us(lambda: b"".join(by_hand(head.version, response, ADDRESSES))),
    )


def _us(call: Callable[[], object]) -> float:
    call()
    return min(timeit.repeat(call, number=1000, repeat=5)) * 1000


# ---- the server --------------------------------------------------------------------------------


class Connection:
    """Frames over a blocking socket."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")

    def send(self, frame: bytes, times: int = 1) -> None:
        self.socket.sendall((struct.pack(">i", len(frame)) + frame) * times)

    def receive(self) -> bytes:
        (size,) = struct.unpack(">i", self.stream.read(4))
        return self.stream.read(size)

    def ask(self, asked: Entity) -> Entity:
        self.send(encode_request(asked, 1))
        return decode_response(asked, 1, self.receive())


@contextmanager
def server() -> Iterator[tuple[int, Connection]]:
    """Yields the process id of a server of one broker, and a connection to it."""
    command = [sys.executable, "-m", "reference.server", "--brokers", "1", "--until-eof"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        host, port = json.loads(process.stdout.readline())["bootstrap"].split(":")
        yield process.pid, Connection((host, int(port)))
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=10)


def cpu_us(pid: int) -> float:
    """Returns the CPU time that a process has used."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1000


def load(pid: int, connection: Connection, asked: Entity, times: int, pipelined: int) -> str:
    """Returns server CPU per request, and requests per second, over five runs."""
    frame = encode_request(asked, 1)
    costs, rates = [], []
    for _ in range(5):
        cpu_before_us, started = cpu_us(pid), time.perf_counter()
        for _ in range(times // pipelined):
            connection.send(frame, pipelined)
            for _ in range(pipelined):
                answer = connection.receive()
        costs.append((cpu_us(pid) - cpu_before_us) / times)
        rates.append(times / (time.perf_counter() - started))
    entity = decode_response(asked, 1, answer)
    errors = {getattr(p, "error_code", 0) for t in entity.responses for p in _parts(t)}
    assert errors == {0}, errors
    median = statistics.median
    return f"{median(costs):8.1f} us   ({min(costs):.1f}-{max(costs):.1f}), {median(rates):6.0f}/s"


def _parts(topic: Entity) -> Any:
    return getattr(topic, "partition_responses", None) or topic.partitions


def server_figures(times: int) -> Iterator[tuple[str, str]]:
    """Yields what is measured, and its figures."""
    one, many = produce(batch(1, 100)), produce(batch(1000, 100))
    with server() as (pid, connection):
        topic = {"name": TOPIC, "num_partitions": 1, "replication_factor": 1}
        created = connection.ask(request("create_topics", 5, timeout=5000, topics=[topic]))
        assert created.topics[0].error_code == 0, created
        versions = request("api_versions", 0)
        for pipelined in (50, 1):
            label = f"pipelined {pipelined}" if pipelined > 1 else "one by one"
            run = (times, pipelined)
            yield f"ApiVersions, {label}", _bare(pid, connection, versions, *run)
            yield f"Produce 1 x 100 B, {label}", load(pid, connection, one, *run)
        yield "Produce 1000 x 100 B, pipelined 5", load(pid, connection, many, times // 10, 5)
        yield "Fetch 1 MB, one by one", load(pid, connection, fetch(1 << 20), times // 10, 1)


def _bare(pid: int, connection: Connection, asked: Entity, times: int, pipelined: int) -> str:
    frame = encode_request(asked, 1)
    before_us = cpu_us(pid)
    for _ in range(times // pipelined):
        connection.send(frame, pipelined)
        for _ in range(pipelined):
            connection.receive()
    return f"{(cpu_us(pid) - before_us) / times:8.1f} us"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wire")
    parser.add_argument("--requests", type=int, default=5000, metavar="N", help="default: 5000")
    options = parser.parse_args()
    print("codec, best of 5 runs of 1000 calls")
    for label, us in codec_figures():
        print(f"  {label:42} {us:8.1f} us")
    print("server CPU per request, median of 5 runs")
    for label, figures in server_figures(max(50, options.requests)):
        print(f"  {label:42} {figures}", flush=True)


if __name__ == "__main__":
    main()
