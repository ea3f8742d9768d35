"""The pytest plugin that turns a run's evidence into its report, beside the evidence.

It knows nothing of tests: whoever runs checks calls the hook `pytest_evidence_complete`.
"""

from pathlib import Path

import pytest

from reports.build import build
from reports.model import NotReportable
from spec.clauses import CLAUSES
from spec.evidence import Evidence, UnreadableEvidence, read
from spec.profile import Profile

LINES = pytest.StashKey[list[str]]()
MODELS = Path("build/spec/evidence.ndjson")
"""Where `python -m spec` leaves its evidence, below pytest's root."""


@pytest.hookimpl(optionalhook=True)
def pytest_evidence_complete(config: pytest.Config, evidence: Path, profile: Profile) -> None:
    folder = evidence.parent
    try:
        records = list(read(evidence))
        records += _of_models(config.rootpath / MODELS, {_clean(r.commit) for r in records})
        build(records, CLAUSES, profile, folder)
    except (NotReportable, OSError, UnreadableEvidence) as error:
        config.stash[LINES] = [f"no report: {error}"]
    else:
        config.stash[LINES] = [f"report: {folder / 'index.html'}"]


def _of_models(path: Path, commits: set[str]) -> list[Evidence]:
    """Evidence about the models of the same commit: a proof of another text proves nothing here."""
    if not path.exists():
        return []
    return [record for record in read(path) if _clean(record.commit) in commits]


def _clean(commit: str) -> str:
    return commit.removesuffix("+")


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(LINES, []):
        terminalreporter.line(line)
