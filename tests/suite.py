"""Runs the suite as a user does, in a process of its own, and reads what it leaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spec.evidence import Evidence, read
from spec.verdict import Verdict, merge

ROOT = Path(__file__).parents[1]
SUITE_WITHIN_S = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished run."""

    status: int
    output: str
    evidence: tuple[Evidence, ...]
    folder: Path

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Clause -> the verdict of its cases together."""
        clauses = dict.fromkeys(record.clause for record in self.evidence)
        return {id_: merge(r.verdict for r in self.evidence if r.clause == id_) for id_ in clauses}

    @property
    def cases(self) -> Mapping[str, Verdict]:
        return {record.case: record.verdict for record in self.evidence}

    @property
    def traces(self) -> Mapping[str, str]:
        """Case -> the digest of all that happened in its simulated clusters."""
        return {record.case: record.run["trace"] for record in self.evidence}

    def report(self) -> Any:
        return json.loads((self.folder / "report.json").read_text(encoding="utf-8"))


def command(folder: Path, *options: str) -> list[str]:
    paths = [option for option in options if option.endswith(".py")] or ["conformance"]
    rest = [option for option in options if option not in paths]
    return [sys.executable, "-m", "pytest", *paths, f"--report={folder}", *rest]


def run(folder: Path, *options: str) -> Run:
    """Runs `pytest conformance` with these options; a `.py` among them replaces the folder."""
    done = subprocess.run(
        command(folder, *options),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SUITE_WITHIN_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return finished(done.returncode, done.stdout + done.stderr, folder)


def finished(status: int, output: str, folder: Path) -> Run:
    file = folder / "evidence.ndjson"
    evidence = tuple(read(file)) if file.exists() else ()
    return Run(status=status, output=output, evidence=evidence, folder=folder)


@contextmanager
def started(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A run in the background, in a process group of its own as in a terminal."""
    with subprocess.Popen(
        command(folder, *options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def served_reference(*options: str) -> Iterator[str]:
    """The reference behind sockets; yields its bootstrap addresses."""
    with subprocess.Popen(
        [sys.executable, "-m", "reference.server", "--until-eof", *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())["bootstrap"]
        finally:
            process.terminate()
