"""Known failures of a target, each with its evidence: listed, they do not break a build.

They stay VIOLATED in the headline. A listed failure that no longer occurs fails the run, so that
the list cannot rot.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path
from typing import Any

from spec.clauses import CLAUSES
from spec.verdict import Verdict

LISTED = frozenset({Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.WEAK})


class BadExpectations(ValueError):
    """The file cannot be read as expectations; the message says which, where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """One case that is known not to pass."""

    case: str
    verdict: Verdict
    reason: str
    evidence: str
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    source: str = ""
    cases: Mapping[str, Expected] = field(default_factory=dict)

    def of(self, case: str) -> Expected | None:
        return self.cases.get(case)


NOTHING = Expectations()


def load(option: str | None, target: str) -> Expectations:
    """From `--expect`: a path, the name of a shipped file, or None for what the target's name
    calls for. Raises `BadExpectations`."""
    if option is None:
        for name, text in _shipped():
            raw = _table(text, name)
            if any(fnmatch(target, pattern) for pattern in raw.get("targets", [])):
                return parse(text, name)
        return NOTHING
    if Path(option).is_file():
        return parse(Path(option).read_text(encoding="utf-8"), option)
    for name, text in _shipped():
        if option in (name, name.removesuffix(".toml")):
            return parse(text, name)
    names = ", ".join(name.removesuffix(".toml") for name, _ in _shipped()) or "none"
    raise BadExpectations(f"{option}: no such file, and not one of those shipped: {names}")


def _shipped() -> list[tuple[str, str]]:
    folder = resources.files("conformance") / "expectations"
    if not folder.is_dir():
        return []
    found = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return [(e.name, e.read_text(encoding="utf-8")) for e in sorted(found, key=lambda e: e.name)]


def parse(text: str, source: str) -> Expectations:
    """Raises `BadExpectations`."""
    raw = _table(text, source)
    unknown = raw.keys() - {"targets", "known"}
    if unknown:
        raise BadExpectations(f"{source}: unknown key {sorted(unknown)[0]!r}")
    entries = [_entry(entry, f"{source}: known #{n}") for n, entry in enumerate(raw["known"], 1)]
    repeated = {e.case for e in entries if sum(e.case == other.case for other in entries) > 1}
    if repeated:
        raise BadExpectations(f"{source}: {sorted(repeated)[0]} is listed twice")
    return Expectations(source=source, cases={entry.case: entry for entry in entries})


def _table(text: str, source: str) -> dict[str, Any]:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadExpectations(f"{source}: not TOML: {error}") from error
    return {"known": []} | raw


def _entry(raw: object, where: str) -> Expected:
    if not isinstance(raw, dict):
        raise BadExpectations(f"{where}: expected a table")
    unknown = raw.keys() - {"case", "verdict", "reason", "evidence", "link"}
    if unknown:
        raise BadExpectations(f"{where}: unknown key {sorted(unknown)[0]!r}")
    for name in ("case", "reason", "evidence"):
        if not isinstance(raw.get(name), str) or not raw[name].strip():
            raise BadExpectations(f"{where}: `{name}` is missing or empty")
    if raw["case"].partition("/")[0] not in CLAUSES:
        raise BadExpectations(f"{where}: {raw['case']!r} does not begin with a clause id")
    verdict = raw.get("verdict", "fail")
    if verdict not in LISTED:
        words = ", ".join(sorted(LISTED))
        raise BadExpectations(f"{where}: verdict {verdict!r} is not one of {words}")
    return Expected(
        case=raw["case"],
        verdict=Verdict(verdict),
        reason=" ".join(raw["reason"].split()),
        evidence=" ".join(raw["evidence"].split()),
        link=str(raw.get("link", "")),
    )
