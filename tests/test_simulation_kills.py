"""What it takes to kill a mutant is measured, told, and kept as evidence."""

import json
from pathlib import Path

from conformance.simulation import kills
from conformance.simulation.command import Exit, main
from conformance.simulation.swarm import Hunt

FINDING = Path(__file__).with_name("findings") / "hw-over-minimal-isr-quorum-isr-02-2.json"


def test_a_kill_is_evidence_of_time_and_schedule(tmp_path: Path) -> None:
    (tmp_path / FINDING.name).write_bytes(FINDING.read_bytes())
    file = tmp_path / "evidence.ndjson"
    assert main(["kills", str(tmp_path), "--shrinks", "40", "--evidence", str(file)]) == Exit.CLEAN
    (record,) = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert (record["mutant"], record["clause"]) == ("hw-over-minimal-isr", "ISR-02")
    assert record["verdict"] == "fail"
    assert record["run"]["seeds_to_kill"] == record["run"]["seeds"]
    assert record["run"]["cpu_s_to_kill"] > 0
    assert record["run"]["faults_to_kill"] <= 6


def test_who_lives_is_told(tmp_path: Path) -> None:
    (tmp_path / FINDING.name).write_bytes(FINDING.read_bytes())
    words = ["kills", str(tmp_path), "--seeds", "0:1", "--evidence", str(tmp_path / "e")]
    assert main(words) == Exit.BROKEN
    assert not (tmp_path / "e").exists()


def test_a_clause_that_the_mutant_does_not_name_is_no_kill() -> None:
    quiet = Hunt(mode="zookeeper", mutant="quorum-votes-twice")
    assert kills.kill(quiet, range(2), 0) is None
    assert kills.summary([]) == "no kills"
