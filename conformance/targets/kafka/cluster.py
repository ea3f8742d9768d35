"""A running cluster of real Apache Kafka brokers on 127.0.0.1."""

import time
from types import TracebackType
from typing import Any, Self

from conformance.targets.kafka import kraft, readiness, zookeeper
from conformance.targets.kafka.artifacts import Installation, install, release
from conformance.targets.kafka.controls import KafkaControls
from conformance.targets.kafka.errors import TargetUnavailable
from conformance.targets.kafka.layout import Layout
from conformance.targets.kafka.ports import HOST
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox
from conformance.targets.kafka.wiring import Direct, Linked, can_link

_READY_WITHIN_S = 120
_ANSWER_WITHIN_S = 2
_POLL_S = 0.1
_ATTEMPTS = 3
_HOSTS_FILE_SINCE_JAVA = 9
_PORT_TAKEN = "Address already in use"


class _PortTaken(TargetUnavailable):
    """Somebody bound one of our ports before we did."""


class KafkaCluster:
    """Started by `launch`; ends with `close`, at the end of a `with` block, or with this process.

    `brokers` are the handles to stop, kill, pause and restart single brokers with, in the order
    of their ids, which start at 1; `bootstrap` are their addresses.
    """

    start_up_s = 0.0
    """What the start took, formatting included, but not the download."""

    def __init__(self, installation: Installation, sandbox: Sandbox, layout: Layout) -> None:
        self._installation = installation
        self._sandbox = sandbox
        self._layout = layout
        self.brokers = layout.brokers
        self.bootstrap = tuple((HOST, broker.port) for broker in layout.brokers)
        self.controls = KafkaControls(layout)

    def start(self) -> None:
        """Starts every process and waits until they are a cluster. Raises as `launch` does."""
        for process in self._processes:
            process.start()
        self.wait_until_ready()

    def wait_until_ready(self, within_s: float = _READY_WITHIN_S) -> None:
        """Returns when every broker serves clients, lists all brokers and knows a controller.

        Raises `TargetUnavailable` with the end of the log of a process that ended, or of the
        first broker that is not ready after `within_s`.
        """
        everyone = frozenset(range(1, len(self.brokers) + 1))
        deadline = time.monotonic() + within_s
        for broker in self.brokers:
            while not _is_ready(broker, everyone):
                for process in self._processes:
                    self._check_alive(process)
                if time.monotonic() > deadline:
                    raise self._failure(broker, f"is not ready after {within_s} s")
                time.sleep(_POLL_S)

    def describe(self) -> dict[str, Any]:
        """What a report says about the target: versions, mode, start-up time, configuration."""
        return {
            "kafka": self._installation.version,
            "origin": self._installation.origin,
            "java": self._installation.java.version,
            "mode": self._layout.mode,
            "brokers": len(self.brokers),
            "start_up_s": round(self.start_up_s, 1),
            "overrides": dict(self._layout.overrides),
        }

    def death(self) -> str:
        """Which process has ended by itself, and how; empty where none has."""
        ended = [process for process in self._processes if process.ended_by_itself]
        return ", ".join(f"{p.name} ended with exit status {p.exit_status}" for p in ended)

    def close(self) -> None:
        """Kills every process and removes all data. Idempotent.

        There is no orderly shutdown, which would take seconds to save what is thrown away.
        """
        self._sandbox.close()
        if self._layout.links:
            self._layout.links.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _processes(self) -> tuple[ServerProcess, ...]:
        return (*self._layout.servers, *self._layout.brokers)

    def _check_alive(self, process: ServerProcess) -> None:
        if process.is_alive:
            return
        raise self._failure(process, f"ended with exit status {process.exit_status}")

    def _failure(self, process: ServerProcess, how: str) -> TargetUnavailable:
        kind = _PortTaken if process.has_logged(_PORT_TAKEN) else TargetUnavailable
        return kind(
            f"Apache Kafka {self._installation.version}: {process.name} {how}; its log ends:\n"
            f"{process.last_lines()}"
        )


def _is_ready(broker: ServerProcess, everyone: frozenset[int]) -> bool:
    view = readiness.ask(broker.port, _ANSWER_WITHIN_S)
    return view is not None and view.has_controller and view.broker_ids == everyone


def launch(
    version: str, *, zookeeper: bool = False, brokers: int = 3, linked: bool = False
) -> KafkaCluster:
    """Starts Apache Kafka `version` and returns when every broker lists all brokers.

    `linked` brokers can be cut off from each other, where this machine and its Java allow it.
    Raises `TargetUnavailable` where it cannot be had or does not start.
    """
    if brokers < 1:
        raise ValueError(f"a cluster has one broker at least, not {brokers}")
    _check_mode(version, zookeeper)
    installation = install(version)
    for _ in range(_ATTEMPTS - 1):
        try:
            return _launch(installation, zookeeper, brokers, linked)
        except _PortTaken:
            continue
    return _launch(installation, zookeeper, brokers, linked)


def _check_mode(version: str, with_zookeeper: bool) -> None:
    if with_zookeeper and release(version) >= (4, 0):
        raise TargetUnavailable(
            f"Apache Kafka {version} has no ZooKeeper mode, which 4.0 removed: "
            f"use kafka:{version}, or kafka:3.9.1+zookeeper"
        )
    if not with_zookeeper and release(version) < (3, 3):
        raise TargetUnavailable(
            f"Apache Kafka {version} is older than 3.3, the first for production in KRaft mode "
            f"(KIP-833): use kafka:{version}+zookeeper"
        )


def _launch(
    installation: Installation, with_zookeeper: bool, brokers: int, linked: bool
) -> KafkaCluster:
    lay_out = zookeeper.lay_out if with_zookeeper else kraft.lay_out
    began = time.monotonic()
    sandbox = Sandbox()
    wiring = Direct()
    try:
        if linked and installation.java.feature >= _HOSTS_FILE_SINCE_JAVA and can_link():
            wiring = Linked(sandbox.folder, brokers)
        layout = lay_out(installation, sandbox, wiring, brokers)
        cluster = KafkaCluster(installation, sandbox, layout)
        cluster.start()
        cluster.start_up_s = time.monotonic() - began
    except BaseException:
        sandbox.close()
        if wiring.links:
            wiring.links.close()
        raise
    return cluster
