"""The pytest plugin that turns a run's evidence into its report, beside the evidence.

It knows nothing of tests: whoever runs checks calls the hook `pytest_evidence_complete`.
"""

from pathlib import Path

import pytest

from reports.build import build
from reports.model import NotReportable
from spec.clauses import CLAUSES
from spec.evidence import UnreadableEvidence, read
from spec.profile import Profile

LINES = pytest.StashKey[list[str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_evidence_complete(config: pytest.Config, evidence: Path, profile: Profile) -> None:
    folder = evidence.parent
    try:
        build(read(evidence), CLAUSES, profile, folder)
    except (NotReportable, OSError, UnreadableEvidence) as error:
        config.stash[LINES] = [f"no report: {error}"]
    else:
        config.stash[LINES] = [f"report: {folder / 'index.html'}"]


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(LINES, []):
        terminalreporter.line(line)
