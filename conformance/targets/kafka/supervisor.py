"""Leaves nothing behind: kills a group of processes and removes a folder once its parent is gone.

Run as a program, `supervisor.py FOLDER`. It prints the id of a new process group, which the
parent starts its children in, and then waits for the end of its standard input. That end comes
when the parent closes the pipe and just as well when the parent dies of whatever cause, so there
is one way of cleaning up, and SIGKILL does not go round it. A terminal's Ctrl-C goes to the
parent's group alone.

Only the standard library, and nothing of ours: it starts in some 20 ms.
"""

import os
import shutil
import signal
import sys
import time

_WITHIN_S = 10


def main(folder: str) -> None:
    anchor = os.fork()
    if anchor == 0:
        _keep_group_alive()
    os.setpgid(anchor, anchor)
    os.write(sys.stdout.fileno(), b"%d\n" % anchor)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.killpg(anchor, signal.SIGKILL)
    os.waitpid(anchor, 0)
    _remove(folder)


def _keep_group_alive() -> None:
    """A process group's id stays ours for as long as it has a member."""
    os.setpgid(0, 0)
    for stream in (0, 1):
        os.close(stream)
    while True:
        signal.pause()


def _remove(folder: str) -> None:
    """Retried, since a killed process may create files until it is quite dead."""
    deadline = time.monotonic() + _WITHIN_S
    while os.path.exists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    main(sys.argv[1])
