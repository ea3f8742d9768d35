"""A hold on real brokers: links between them, power failures, and who ended by itself.

The last test starts brokers, and is skipped where there is no Java or Maven.
"""

import os
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.nemesis.capability import Capability
from conformance.nemesis.nemesis import Nemesis
from conformance.targets.kafka import launch, readiness
from conformance.targets.kafka.power import METADATA_LOG, RECOVERY_POINTS, lose_unflushed
from conformance.targets.kafka.wiring import ZOOKEEPER, Direct, Linked, Traffic, can_link
from conformance.wirelog import WireLog
from tests.test_kafka_launcher import LATEST, needs_brokers

WITHIN_S = 60
needs_addresses = pytest.mark.skipif(
    not can_link(), reason="this machine has one loopback address only"
)


def batch(base_offset: int) -> bytes:
    return struct.pack(">qi", base_offset, 5) + b"batch"


def log(folder: Path, name: str, **segments: tuple[int, ...]) -> Path:
    """A log whose segments, `at_3` and so on, have batches at these offsets."""
    path = folder / name
    path.mkdir()
    for segment, offsets in segments.items():
        stem = segment.removeprefix("at_").zfill(20)
        (path / f"{stem}.log").write_bytes(b"".join(map(batch, offsets)))
        (path / f"{stem}.index").touch()
    return path


def left(path: Path) -> dict[str, int]:
    """Segment -> how many batches it still has."""
    return {
        file.stem.lstrip("0") or "0": file.stat().st_size // len(batch(0))
        for file in sorted(path.glob("*.log"))
    }


def test_a_power_failure_takes_what_is_behind_the_recovery_point(tmp_path: Path) -> None:
    first = log(tmp_path, "a-b-0", at_0=(0, 2), at_3=(3, 4, 5), at_6=(6,))
    never = log(tmp_path, "never-flushed-1", at_0=(0, 1))
    whole = log(tmp_path, "whole-0", at_0=(0, 1))
    metadata = log(tmp_path, METADATA_LOG, at_0=(0, 1))
    (tmp_path / RECOVERY_POINTS).write_text("0\n2\na-b 0 4\nwhole 0 2\n", encoding="utf-8")
    lose_unflushed(tmp_path)
    assert left(first) == {"0": 2, "3": 1}
    assert not list(first.glob("*6.index"))
    assert left(never) == {"0": 0}
    assert left(whole) == {"0": 2}
    assert left(metadata) == {"0": 2}


def test_a_broken_last_batch_goes_with_what_is_lost(tmp_path: Path) -> None:
    path = log(tmp_path, "t-0", at_0=(0, 1))
    segment = path / f"{0:020}.log"
    segment.write_bytes(segment.read_bytes()[:-1])
    (tmp_path / RECOVERY_POINTS).write_text("0\n1\nt 0 9\n", encoding="utf-8")
    lose_unflushed(tmp_path)
    assert left(path) == {"0": 1}


@needs_addresses
def test_each_broker_reaches_the_others_by_links_of_its_own(tmp_path: Path) -> None:
    wiring = Linked(tmp_path, brokers=2)
    [option] = wiring.java_options(1)
    lines = Path(option.partition("=")[2]).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("127.0.0.1 localhost")
    assert lines[1:] == [
        "127.0.0.1 broker-1",
        "127.0.1.2 broker-2",
        f"127.0.1.{ZOOKEEPER} zookeeper",
    ]
    wiring.connect(2, Traffic.REPLICATION, 4)
    wiring.links.close()


def test_without_links_all_are_found_at_one_address() -> None:
    assert (Direct().host(1), Direct().java_options(1), Direct().links) == ("127.0.0.1", (), None)


def wait_until(holds: Callable[[], object]) -> bool:
    deadline = time.monotonic() + WITHIN_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(holds())


@needs_brokers
@needs_addresses
def test_real_brokers_are_cut_off_killed_and_started_again() -> None:
    with launch(LATEST, linked=True) as cluster:
        controls = cluster.controls
        assert controls.capabilities == frozenset(Capability) - {Capability.SET_CLOCKS}
        nemesis = Nemesis(controls, WireLog(), lambda: 0)
        ports = {number: broker.port for number, broker in enumerate(cluster.brokers, 1)}

        def live(as_seen_by: int) -> frozenset[int]:
            view = readiness.ask(ports[as_seen_by], within_s=2)
            return view.broker_ids if view else frozenset()

        with nemesis.isolate(1):
            assert wait_until(lambda: live(2) == {2, 3})
            assert 1 in live(1), "clients reach it, and it knows of nothing"
        assert wait_until(lambda: live(2) == {1, 2, 3})

        with nemesis.kill(3):
            assert not nemesis.is_running(3)
            assert cluster.death() == "", "it did not end by itself"
            assert wait_until(lambda: live(2) == {1, 2})
        cluster.wait_until_ready()

        pid = cluster.brokers[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        assert wait_until(cluster.death)
        assert cluster.death() == "broker-1 ended with exit status -9"
