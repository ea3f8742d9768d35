"""`highwater --target=...`: the suite from an installed wheel, in any folder."""

import os
import sys

# Before pytest loads any plugin: importing Hypothesis writes into the working directory at once.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", "build/hypothesis")

import pytest

PLUGINS = ("-p", "reports.plugin", "-p", "conformance.plugin", "-p", "no:cacheprovider")
PYTEST = (
    "--pyargs",
    "conformance",
    "--import-mode=importlib",
    "--strict-markers",
    # `-p` loads our plugins before Hypothesis's own, which only costs a moment.
    "-W",
    "ignore:Slow code in plugin",
    "-o",
    "verbosity_assertions=2",
)


def main() -> int:
    """Runs the suite with pytest's own options and ours; returns its exit status."""
    arguments = sys.argv[1:]
    return int(pytest.main([*PLUGINS, *PYTEST, f"--rootdir={os.getcwd()}", *arguments]))


if __name__ == "__main__":
    sys.exit(main())
