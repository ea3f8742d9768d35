"""`python -m conformance.simulation`, findings in files, stories, and named scenarios."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.simulation import command
from conformance.simulation.command import Exit, main
from conformance.simulation.finding import BadFinding, Finding, load
from conformance.simulation.recorder import told_run
from conformance.simulation.replay import replay
from conformance.simulation.scenarios import StageMissed, failover
from reference.mutants import MUTANTS
from reference.simulator.faults import MODES, Fault, FaultKind, RunOptions, Schedule
from spec import evidence, story_json
from spec.verdict import Verdict

MUTANT = "ack-before-replication"
OPTIONS = RunOptions(partitions=1, producers=1, consumers=0, until_ms=1_500)
SCHEDULE = Schedule(
    seed=3,
    options=OPTIONS,
    faults=(Fault(at_ms=300, kind=FaultKind.CUT, target=1, duration_ms=200),),
)
FINDING = Finding(schedule=SCHEDULE, mutant=MUTANT, clause="ISR-05", message="too early")


def swarm(tmp_path: Path, *words: str) -> int:
    places = ["--findings", str(tmp_path / "findings"), "--evidence", str(tmp_path / "e.ndjson")]
    return main(["swarm", "--workers", "1", "--quiet", *places, *words])


# ---- findings -----------------------------------------------------------------------------------


def test_a_finding_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "finding.json"
    FINDING.save(path)
    assert load(path) == FINDING
    replayed = replay(path)
    assert replayed.breaks
    assert replayed.result.violations[0].clause == "ISR-05"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting value"),
        ("[1]", 'not a finding: it has no "format": 1'),
        ('{"format": 2}', 'not a finding: it has no "format": 1'),
        ("[" * 100_000, "finding.json: "),
    ],
)
def test_what_is_no_finding_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "finding.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFinding, match=complaint):
        load(path)
    with pytest.raises(BadFinding, match="No such file"):
        load(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"mutant": "nobody"}, "mutant: 'nobody' is none of the mutants"),
        ({"clause": "LOG-99"}, "clause: 'LOG-99' is no clause"),
        ({"clause": None}, "clause: None is no clause"),
        ({"message": 3}, "message: 3 is not a text"),
        ({"schedule": {"seed": "x"}}, "schedule: seed: 'x' is not a whole number"),
        ({"schedule": None}, "schedule: the schedule: None is not an object"),
    ],
)
def test_a_wrong_field_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], complaint: str
) -> None:
    path = tmp_path / "finding.json"
    path.write_text(json.dumps(json.loads(FINDING.dump()) | change), encoding="utf-8")
    with pytest.raises(BadFinding, match=complaint):
        load(path)
    assert main(["replay", str(path)]) == Exit.USAGE
    assert complaint in capsys.readouterr().err


# ---- the command --------------------------------------------------------------------------------


def test_a_clean_swarm_passes_and_says_how_much_it_has_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert swarm(tmp_path, "--seeds", "0:3", "--mode", "quorum") == Exit.CLEAN
    said = capsys.readouterr().out
    assert "the reference in quorum mode: 3 runs" in said
    assert "No clause was seen broken." in said
    found = {record.clause: record for record in evidence.read(tmp_path / "e.ndjson")}
    passed = found["LEAD-04"]
    assert (passed.verdict, passed.checker, passed.mutant) == (Verdict.PASS, "simulate", None)
    assert passed.case == "LEAD-04/simulation-quorum"
    assert passed.premise_count > 0
    assert passed.run["seeds"] == 3
    assert passed.run["validated"] > 100
    assert passed.reproduce.endswith("swarm --seeds 0:3 --mode quorum")
    assert all(r.verdict is Verdict.INCONCLUSIVE for r in found.values() if not r.premise_count)


def test_a_mutant_is_found_shrunk_stored_and_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--seeds", "0:8", "--mode", "zookeeper", "--mutant", MUTANT, "--json")
    assert swarm(tmp_path, *words, "--validation", "off") == Exit.BROKEN
    (hunt,) = json.loads(capsys.readouterr().out)["hunts"]
    broken = hunt["broken"]["ISR-05"]
    assert broken["faults"] <= 6
    assert broken["runs"] > 1
    (record,) = (
        record for record in evidence.read(tmp_path / "e.ndjson") if record.clause == "ISR-05"
    )
    assert (record.verdict, record.mutant, record.target) == (Verdict.FAIL, MUTANT, "reference")
    assert record.run["faults_to_kill"] == broken["faults"]
    assert record.run["cpu_s_to_kill"] > 0
    assert record.counterexample
    assert record.counterexample.observed == broken["message"]
    assert record.story
    assert record.story.violation is not None
    assert main(["replay", broken["file"]]) == Exit.BROKEN
    assert "ISR-05: broker" in capsys.readouterr().out
    assert main(["replay", broken["file"], "--mutant", "none"]) == Exit.CLEAN
    assert "No clause is broken." in capsys.readouterr().out


def test_a_finding_is_made_smaller_in_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "finding.json"
    FINDING.save(path)
    assert main(["shrink", str(path)]) == Exit.BROKEN
    assert "1 faults before, 0 now" in capsys.readouterr().out
    assert load(path).schedule.faults == ()
    replace(FINDING, mutant=None).save(path)
    assert main(["shrink", str(path)]) == Exit.USAGE
    assert "ISR-05 is not broken by it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["swarm", "--mutant", "nobody"], "--mutant: 'nobody' is none of"),
        (["swarm", "--faults", "weather"], "--faults: 'weather' is none of all, process"),
        (["replay", "absent.json"], "absent.json: No such file"),
        (["shrink", "absent.json"], "absent.json: No such file"),
        (["swarm", "--seeds", "0:1", "--evidence", "/dev/null/x"], "cannot append evidence"),
    ],
)
def test_a_slip_is_answered_with_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert main([*words]) == Exit.USAGE
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [[], ["swarm", "--seeds", "5:5"], ["swarm", "--seeds", "x"], ["swarm", "--workers", "0"]],
)
def test_words_that_make_no_sense_are_refused(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == Exit.USAGE
    assert "usage: python -m conformance.simulation" in capsys.readouterr().err


def test_an_interrupted_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> Exit:
        raise KeyboardInterrupt

    monkeypatch.setitem(command.VERBS, "swarm", interrupted)
    assert main(["swarm"]) == Exit.INTERRUPTED
    assert "nothing of this run is evidence" in capsys.readouterr().err


# ---- stories and scenarios ----------------------------------------------------------------------


def test_a_run_is_told_as_a_story() -> None:
    result, story = told_run(SCHEDULE, MUTANT, (), "ISR-05")
    assert result.clause == "ISR-05"
    assert story is not None
    assert story_json.from_json(json.loads(json.dumps(story_json.to_json(story)))) == story
    assert (story.clause, story.partition, story.mode) == ("ISR-05", "orders-0", "quorum")
    assert story.violation == len(story.steps) - 1
    assert [fault.label for fault in story.faults] == ["cut 1 for 200 ms"]
    assert {operation.lane for operation in story.operations} == {"p0"}
    states = list(story.states())
    logs = [states[-1][broker]["log"] for broker in story.brokers]
    assert logs[0] == logs[1] == logs[2]
    assert logs[0]
    arrows = {(message.sender, message.receiver) for message in story.messages}
    leader = states[0]["controller"]["leader"]
    assert ("p0", leader) in arrows
    assert any(leader in pair and pair[1] in story.brokers for pair in arrows)


@pytest.mark.parametrize("mode", MODES)
def test_failover_goes_through_all_its_stages(mode: str) -> None:
    told = failover(mode)
    assert [stage.name for stage in told.stages] == [
        "the broker dies",
        "the failure is noticed",
        "a controller is elected",
        "a follower is promoted",
        "clients go on",
        "the broker comes back",
        "nothing is lost",
    ]
    times = [stage.at_ms for stage in told.stages]
    assert times == sorted(times)
    assert times[0] == 0
    assert times[1] > 300, "nobody notices at once"
    lanes = {lane.kind for lane in told.story.lanes}
    assert ("zookeeper" in lanes) is (mode == "zookeeper")
    assert told.result.steps > 20


def test_a_scenario_that_goes_wrong_names_the_clause() -> None:
    rules = MUTANTS[MUTANT].rules()
    with pytest.raises((StageMissed, AssertionError), match=r"[A-Z]+-\d\d"):
        failover("quorum", rules=rules)


def test_the_scenario_is_told_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.ndjson"
    assert main(["scenario", "failover", "--evidence", str(path)]) == Exit.CLEAN
    said = capsys.readouterr().out
    assert said.count("a follower is promoted: broker") == 2
    records = list(evidence.read(path))
    assert {record.run["mode"] for record in records} == set(MODES)
    assert {record.verdict for record in records} == {Verdict.PASS}
    stories = [record for record in records if record.story]
    assert [record.clause for record in stories] == ["CTL-03", "CTL-03"]
