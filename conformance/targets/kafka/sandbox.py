"""A folder and a group of processes that end together, and with this process at the latest."""

import subprocess
import sys
import tempfile
from pathlib import Path

from conformance.targets.kafka import supervisor

_WITHIN_S = 20


class Sandbox:
    """Where a cluster's files and processes live.

    `close` kills every process that `spawn` started and removes `folder`. If it is never called,
    because of an exception, `sys.exit` or SIGKILL, the supervisor does the same as soon as this
    process is gone.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="highwater-kafka-"))
        self._spawned: list[subprocess.Popen[bytes]] = []
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,
        )
        assert self._supervisor.stdout is not None
        self._group = int(self._supervisor.stdout.readline())

    def spawn(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        """Starts `command` in the folder of `log`, which gets all that it writes."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self._group,
            )
        self._spawned.append(process)
        return process

    def close(self) -> None:
        """Idempotent. Returns when no process and no folder is left."""
        for process in self._spawned:
            process.kill()
        for process in self._spawned:
            process.wait(_WITHIN_S)
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        self._supervisor.stdin.close()
        self._supervisor.stdout.close()
        self._supervisor.wait(_WITHIN_S)
