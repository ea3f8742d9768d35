"""`python -m tests.locks`: whether pip's lock and uv's lock name the same versions."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def uv_versions() -> dict[str, set[str]]:
    """Package -> versions in uv.lock, without this project itself."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    found: dict[str, set[str]] = {}
    for package in lock["package"]:
        if "registry" in package["source"]:
            found.setdefault(package["name"], set()).add(package["version"])
    return found


def pip_versions() -> dict[str, set[str]]:
    """Package -> versions in requirements.lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def differences() -> list[str]:
    """A line per package that the two locks disagree on."""
    uv, pip = uv_versions(), pip_versions()
    names = sorted(uv.keys() | pip.keys())
    # uv also locks what only other platforms need; pip's file has those with a marker or not.
    return [
        f"{name}: uv.lock {sorted(uv.get(name, []))}, requirements.lock {sorted(pip[name])}"
        for name in names
        if name in pip and pip[name] != uv.get(name)
    ] + [f"{name}: missing in requirements.lock" for name in names if name not in pip]


if __name__ == "__main__":
    found = differences()
    print(*found or ["both locks name the same versions"], sep="\n")
    sys.exit(bool(found))
