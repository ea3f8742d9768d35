"""Where a piece of evidence comes from: which version of which checkout, and when."""

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from subprocess import DEVNULL, CalledProcessError, check_output


def tool_version() -> str:
    """The installed version; `checkout` where nothing is installed."""
    try:
        return version("highwater")
    except PackageNotFoundError:
        return "checkout"


def commit() -> str:
    """The commit of the checkout, with `+` where it has changes; empty outside one."""
    try:
        found = check_output(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=Path(__file__).parent,
            text=True,
            stderr=DEVNULL,
        )
    except (OSError, CalledProcessError):
        return ""
    return found.strip()


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
