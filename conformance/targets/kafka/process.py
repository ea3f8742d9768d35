"""One server process of a cluster: a broker or ZooKeeper."""

import os
import signal
import subprocess
from pathlib import Path

from conformance.targets.kafka.sandbox import Sandbox

_STOP_WITHIN_S = 30
_KILL_WITHIN_S = 10
_TAIL_BYTES = 1 << 20


class ServerProcess:
    """A JVM that can be started, stopped, killed, paused and started again.

    Its port, its folder and its log file stay the same over restarts: a restarted broker finds
    its data, and its clients find it.
    """

    def __init__(
        self, *, name: str, port: int, command: list[str], folder: Path, sandbox: Sandbox
    ) -> None:
        self.name = name
        self.port = port
        self.log = folder / f"{name}.log"
        """What it logs, and what else it writes to standard output and error."""
        self.folder = folder
        self._command = command
        self._sandbox = sandbox
        self._process: subprocess.Popen[bytes] | None = None
        self._told_to_end = False

    def start(self, after_s: float = 0.0) -> None:
        """Returns at once; it starts `after_s`, and serves some seconds later."""
        if self.is_alive:
            raise RuntimeError(f"{self.name} runs already")
        wait = ["/bin/sh", "-c", f'sleep {after_s:g}; exec "$@"', self.name] if after_s > 0 else []
        self._process = self._sandbox.spawn([*wait, *self._command], self.log)
        self._told_to_end = False

    @property
    def ended_by_itself(self) -> bool:
        """Whether it has ended without being stopped or killed."""
        return self.exit_status is not None and not self._told_to_end

    @property
    def is_alive(self) -> bool:
        """Whether the process exists; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The id of the process, None before the first start and after it ended."""
        return self._process.pid if self._process is not None and self.is_alive else None

    @property
    def exit_status(self) -> int | None:
        """As `subprocess` has it, minus the number of a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def stop(self, within_s: float = _STOP_WITHIN_S) -> None:
        """Lets it shut down (a broker hands its partitions over first); kills it if that takes
        longer than `within_s`. Does nothing where it does not run."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def terminate(self) -> None:
        """SIGTERM, after which it shuts down; returns at once."""
        if self._process is not None:
            self._told_to_end = True
            self.resume()
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL: it can finish nothing, though the operating system keeps what it wrote."""
        if self._process is not None:
            self._told_to_end = True
            self._process.kill()
            self._process.wait(_KILL_WITHIN_S)

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered, from when this returns.

        A signal only asks: a server's many threads go on until each of them has been stopped.
        """
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def has_logged(self, text: str) -> bool:
        """Whether any line of the log contains `text`."""
        if not self.log.exists():
            return False
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            return any(text in line for line in lines)

    def last_lines(self, count: int = 20) -> str:
        """The end of the log, after the errors before it: brokers log much while they shut down.

        Empty where the process has never been started.
        """
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        errors = [line for line in lines[:-count] if " ERROR " in line or " FATAL " in line]
        return "\n".join((*errors[-count:], *lines[-count:]))
