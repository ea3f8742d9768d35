"""A hold on the brokers of a cluster that somebody else has started: signals, or any commands."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from conformance.nemesis.capability import Capability
from conformance.outcomes import TargetBroken
from conformance.targets.description import Description, Node

POLL_S = 0.02
SAID_MAX = 500
NEEDS = {
    Capability.KILL: "kill",
    Capability.PAUSE: "pause",
    Capability.SHUT_DOWN: "stop",
    Capability.ISOLATE: "partition",
}
"""The capability of a cluster -> what each of its nodes has to be able to do."""


class Adapter(Protocol):
    """A hold on one broker. `can` names what it does of the words in a description."""

    can: frozenset[str]

    def is_running(self) -> bool: ...
    def do(self, word: str, peers: Sequence[str] = ()) -> None:
        """Raises `TargetBroken` where it fails."""


class CommandAdapter:
    """Runs a command for each thing that is to be done."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.can = frozenset(node.commands)

    def is_running(self) -> bool:
        """Where nothing tells, it is taken to run."""
        return "running" not in self.can or self._run("running", ()).returncode == 0

    def do(self, word: str, peers: Sequence[str] = ()) -> None:
        if word == "start" and "running" in self.can and self.is_running():
            return
        done = self._run(word, peers)
        if done.returncode != 0:
            said = done.stdout.strip()[-SAID_MAX:]
            raise TargetBroken(
                f"`{word}` of node {self.node.id} ended with exit status {done.returncode}: {said}"
            )

    def _run(self, word: str, peers: Sequence[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                filled(self.node, word, peers),
                cwd=self.folder,
                env=os.environ | self.node.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=self.node.within_s,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetBroken(f"`{word}` of node {self.node.id}: {error}") from error


class ProcessAdapter:
    """Signals a process of this machine, which its pidfile names."""

    def __init__(self, node: Node, folder: Path) -> None:
        assert node.pidfile is not None
        self.node, self.folder, self.pidfile = node, folder, node.pidfile
        self.by_command = CommandAdapter(node, folder)
        self.can = frozenset({*node.commands, "pause", "resume"})
        if "start" in node.commands:
            self.can |= {"kill", "stop"}
        self._ours: subprocess.Popen[bytes] | None = None
        """Started by us, so that we have to take note of its end."""

    def is_running(self) -> bool:
        pid = self._pid()
        if self._ours is not None and self._ours.pid == pid:
            return self._ours.poll() is None
        if pid is None:
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def do(self, word: str, peers: Sequence[str] = ()) -> None:
        if word in ("partition", "heal"):
            self.by_command.do(word, peers)
        elif word == "start":
            self._start()
        else:
            numbers = {
                "kill": signal.SIGKILL,
                "stop": signal.SIGTERM,
                "pause": signal.SIGSTOP,
                "resume": signal.SIGCONT,
            }
            self._signal(numbers[word])
            if word == "kill":
                self._wait_for_end()

    def _start(self) -> None:
        """Does nothing where it runs. One that was asked to end has to do so first."""
        if self._is_ending:
            self._wait_for_end()
        if self.is_running():
            return
        command = filled(self.node, "start", ())
        try:
            self._ours = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | self.node.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise TargetBroken(f"`start` of node {self.node.id}: {error}") from error
        self.pidfile.write_text(f"{self._ours.pid}\n", encoding="utf-8")

    _is_ending = False

    def _signal(self, number: signal.Signals) -> None:
        self._is_ending = number in (signal.SIGTERM, signal.SIGKILL)
        pid = self._pid()
        if pid is None:
            raise TargetBroken(f"node {self.node.id}: {self.pidfile} names no process")
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + self.node.within_s
        while self.is_running():
            if time.monotonic() > deadline:
                raise TargetBroken(f"node {self.node.id} does not end")
            time.sleep(POLL_S)
        self._is_ending = False

    def _pid(self) -> int | None:
        try:
            return int(self.pidfile.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None


def filled(node: Node, word: str, peers: Sequence[str]) -> list[str]:
    """The command with {id} and {peers} replaced; any other brace stays as it is."""
    names = {"{id}": str(node.id), "{peers}": " ".join(peers)}
    words = list(node.commands[word])
    for name, value in names.items():
        words = [part.replace(name, value) for part in words]
    return words


class DescribedControls:
    """See `conformance.nemesis.controls.Controls`."""

    def __init__(self, description: Description) -> None:
        self._nodes = {node.id: node for node in description.nodes}
        self._adapters: dict[int, Adapter] = {
            node.id: (ProcessAdapter if node.pidfile else CommandAdapter)(node, description.folder)
            for node in description.nodes
        }
        self.brokers: Sequence[int] = tuple(sorted(self._nodes))
        self.capabilities = frozenset(
            capability
            for capability, word in NEEDS.items()
            if all(word in adapter.can for adapter in self._adapters.values())
        )

    def is_running(self, broker: int) -> bool:
        return self._adapters[broker].is_running()

    def kill(self, broker: int) -> None:
        self._adapters[broker].do("kill")

    def start(self, broker: int) -> None:
        self._adapters[broker].do("start")

    def pause(self, broker: int) -> None:
        self._adapters[broker].do("pause")

    def resume(self, broker: int) -> None:
        self._adapters[broker].do("resume")

    def shut_down(self, broker: int) -> None:
        self._adapters[broker].do("stop")

    def isolate(self, broker: int) -> None:
        self._adapters[broker].do("partition", self._peers(broker))

    def rejoin(self, broker: int) -> None:
        self._adapters[broker].do("heal", self._peers(broker))

    def lose_power(self, broker: int) -> None:
        raise NotImplementedError("no adapter loses what is not synced")

    def cut(self, broker: int, other: int) -> None:
        raise NotImplementedError("no adapter cuts replication alone")

    def join(self, broker: int, other: int) -> None:
        """Nothing was cut."""

    def cut_controllers(self, broker: int) -> None:
        raise NotImplementedError("no adapter cuts the controllers alone")

    def join_controllers(self, broker: int) -> None:
        """Nothing was cut."""

    def set_clock(self, broker: int, ahead_ms: int) -> None:
        raise NotImplementedError("no adapter sets clocks")

    def _peers(self, broker: int) -> list[str]:
        return [node.host for node in self._nodes.values() if node.id != broker]
