"""The hook by which the suite hands its evidence on; it does not know who makes reports of it."""

from pathlib import Path

import pytest

from spec.profile import Profile


def pytest_evidence_complete(config: pytest.Config, evidence: Path, profile: Profile) -> None:
    """All records of this run stand in the file `evidence`; other files may be put beside it.

    `profile` holds the clauses that the headline speaks about.
    """
