"""`--replay=FILE`: a stored schedule of faults through the suite, with a verdict and evidence."""

from pathlib import Path

from conformance.simulation.finding import load
from spec.verdict import Verdict
from tests.suite import run

FINDING = next((Path(__file__).parent / "findings").glob("hw-truncation-quorum-*.json"))
CLAUSE = load(FINDING).clause


def test_a_mutant_fails_what_it_once_failed(tmp_path: Path) -> None:
    found = run(tmp_path, "--target=reference+hw-truncation", f"--replay={FINDING}")
    (record,) = found.evidence
    assert found.status == 1
    assert (record.clause, record.verdict, record.mutant) == (
        CLAUSE,
        Verdict.FAIL,
        "hw-truncation",
    )
    assert record.counterexample


def test_the_reference_passes_it(tmp_path: Path) -> None:
    found = run(tmp_path, "--target=reference", f"--replay={FINDING}")
    (record,) = found.evidence
    assert (record.clause, record.verdict) == (CLAUSE, Verdict.PASS)


def test_without_the_option_nothing_is_replayed(tmp_path: Path) -> None:
    found = run(tmp_path, "--target=reference", "--collect-only", f"--clause={CLAUSE}")
    assert "test_replay" not in found.output


def test_what_is_no_finding_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}", encoding="utf-8")
    for path in (other, tmp_path / "missing.json"):
        found = run(tmp_path, "--target=reference", f"--replay={path}")
        assert found.status == 4
        assert str(path) in found.output
