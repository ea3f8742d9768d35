"""The published results are whole, and the README shows them and no others."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reports.matrix import main, replaced, table
from spec.clauses import CLAUSES

ROOT = Path(__file__).parents[1]
PUBLISHED = ROOT / "reports" / "published" / "report.json"
TARGETS = ["reference", "kafka:4.4.0", "kafka:3.9.1+zookeeper", "librdkafka-mock"]


@pytest.fixture
def report() -> Any:
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))


def test_every_target_is_published_with_every_clause(report: Any) -> None:
    schema = json.loads((ROOT / "reports" / "schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, schema)
    plain = [target for target in report["targets"] if "mutant" not in target]
    assert sorted(target["target"] for target in plain) == sorted(TARGETS)
    for target in plain:
        assert [clause["id"] for clause in target["clauses"]] == list(CLAUSES)
        if target["target"] != "librdkafka-mock":  # it dies of some requests
            assert not [c["id"] for c in target["clauses"] if c["verdict"] == "error"]


def test_the_readme_shows_the_published_matrix(report: Any) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert replaced(readme, table(report)) == readme, "run `make published`"


def test_a_matrix_counts_clauses_by_area_and_verdict() -> None:
    verdicts = {"LOG-01": "pass", "LOG-02": "fail", "LOG-03": "not run", "ACL-01": "not run"}
    clauses = [{"id": id_, "verdict": verdict} for id_, verdict in verdicts.items()]
    target = {"target": "t", "headline": "VIOLATED", "clauses": clauses}
    assert table(target).splitlines() == [
        "|  | `t` |",
        "| --- | --- |",
        "| headline | **VIOLATED** |",
        "| LOG | 1 ✓ 1 ✕ 1 · |",
    ]


def test_a_readme_without_marks_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("no marks\n", encoding="utf-8")
    assert main([str(PUBLISHED), str(readme)]) == 2
    assert "do not both stand in it" in capsys.readouterr().err
    assert readme.read_text(encoding="utf-8") == "no marks\n"
