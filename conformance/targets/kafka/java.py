"""The Java runtime that the brokers run on."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from conformance.targets.kafka.errors import TargetUnavailable

_VERSION = re.compile(r'version "(?P<full>(?:1\.)?(?P<feature>\d+)[^"]*)"')
_WITHIN_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """One Java runtime."""

    path: Path
    version: str
    """As it names itself: 17.0.15, or 1.8.0_412."""
    feature: int
    """The number that compatibility is stated in: 17, or 8 for 1.8."""


def find_java(*, at_least: int, needed_by: str) -> Java:
    """The `java` of `JAVA_HOME`, else the one in `PATH`.

    Raises `TargetUnavailable` where there is none, or where it is older than `at_least`;
    `needed_by` says in the message who needs it.
    """
    home = os.environ.get("JAVA_HOME")
    found = Path(home, "bin", "java") if home else shutil.which("java")
    wanted = f"{needed_by} needs Java {at_least} or later"
    if found is None:
        raise TargetUnavailable(f"{wanted}, and there is no java in PATH: install one")
    java = _ask(Path(found).absolute(), wanted)
    if java.feature < at_least:
        raise TargetUnavailable(
            f"{wanted}, and {java.path} is Java {java.version}: "
            "set JAVA_HOME to a later one, or choose an earlier version of Kafka"
        )
    return java


def _ask(path: Path, wanted: str) -> Java:
    try:
        answer = subprocess.run(
            [path, "-version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetUnavailable(f"{wanted}, and {path} does not run: {error}") from error
    version = _VERSION.search(answer.stderr + answer.stdout)
    if answer.returncode != 0 or version is None:
        raise TargetUnavailable(f"{wanted}, and `{path} -version` does not say which it is")
    return Java(path=path, version=version["full"], feature=int(version["feature"]))
