"""The suite itself: it repeats itself, can fail a broker, and admits when it knows nothing."""

import json
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from spec.clauses import CLAUSES
from spec.verdict import Verdict
from tests.suite import ROOT, run

QUICK = ("--clause=PROD-0[67]", "--clause=LOG-01", "--clause=OFF-01", "--examples=5")


def test_the_reference_passes_every_case_that_runs_on_it(tmp_path: Path) -> None:
    found = run(tmp_path, "-n2")
    assert found.status == 0, found.output[-4000:]
    assert set(found.verdicts.values()) <= {Verdict.PASS, Verdict.UNSUPPORTED, Verdict.NOT_RUN}
    passed = [id_ for id_, verdict in found.verdicts.items() if verdict is Verdict.PASS]
    assert len(passed) >= 30
    assert "SHOWN" in found.output


def test_a_seed_names_a_run_whatever_the_number_of_workers(tmp_path: Path) -> None:
    first = run(tmp_path / "1", "--seed=7", *QUICK)
    assert first.status == 0, first.output
    assert len(first.traces) > 4
    assert run(tmp_path / "2", "--seed=7", *QUICK).traces == first.traces
    parallel = run(tmp_path / "3", "--seed=7", "-n2", *QUICK)
    assert parallel.traces == first.traces
    assert parallel.cases == first.cases
    other = run(tmp_path / "4", "--seed=8", *QUICK).traces
    assert other.keys() == first.traces.keys()
    assert not [case for case in other if other[case] == first.traces[case]]


def test_a_seed_names_a_run_in_continuous_integration_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where CI is set, Hypothesis would draw by a digest of the test, whatever the seed."""
    monkeypatch.delenv("CI", raising=False)
    here = run(tmp_path / "1", "--seed=7", *QUICK).traces
    monkeypatch.setenv("CI", "true")
    there = run(tmp_path / "2", "--seed=7", *QUICK).traces
    assert there == here
    assert run(tmp_path / "3", "--seed=8", *QUICK).traces != here


def test_the_report_in_json_keeps_its_schema(tmp_path: Path) -> None:
    found = run(tmp_path, *QUICK)
    schema = json.loads((resources.files("reports") / "schema.json").read_text(encoding="utf-8"))
    report = found.report()
    jsonschema.validate(report, schema)
    assert report["headline"] == "SHOWN"
    assert (report["target"], report["seed"]) == ("reference", 0)
    by_id = {entry["id"]: entry for entry in report["clauses"]}
    assert by_id["PROD-06"]["verdict"] == "pass"
    assert by_id["PROD-06"]["premise_count"] > 0
    assert (tmp_path / "index.html").stat().st_size > 10_000


def test_the_mock_of_librdkafka_is_found_wrong_on_the_wire(tmp_path: Path) -> None:
    found = run(tmp_path, "--target=librdkafka-mock", "--examples=3")
    assert found.status == 1
    assert "VIOLATED" in found.output
    failed = {id_ for id_, verdict in found.verdicts.items() if verdict is Verdict.FAIL}
    assert {"PROD-01", "PROD-06", "PROD-07", "DUR-03", "ERR-04"} <= failed
    for record in found.evidence:
        if record.verdict is Verdict.FAIL:
            assert record.counterexample, record.case
            assert record.wire, record.case


# ---- lists --------------------------------------------------------------------------------------


def test_the_list_of_clauses_has_them_all_with_their_sentences(tmp_path: Path) -> None:
    found = run(tmp_path, "--list-clauses")
    assert found.status == 0
    words = " ".join(found.output.split())
    for clause in CLAUSES.values():
        assert clause.id in words
        assert " ".join(clause.sentence.split()) in words, clause.id
    assert "PROD-06 MUST 0 tests" not in words
    assert not found.evidence


# ---- verdicts -----------------------------------------------------------------------------------


def suite_of(tmp_path: Path, text: str) -> str:
    """A file of tests of one's own, below the root conftest that names the plugins."""
    path = ROOT / "build" / "own" / tmp_path.name / "test_own.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "import pytest\nfrom conformance.outcomes import *\n\n"
    path.write_text(header + text, encoding="utf-8")
    return str(path)


def test_a_premise_that_never_arises_is_inconclusive(tmp_path: Path) -> None:
    text = "@pytest.mark.clause('LOG-01')\ndef test_nothing(bench): pass\n"
    found = run(tmp_path, suite_of(tmp_path, text))
    assert (found.status, dict(found.verdicts)) == (6, {"LOG-01": Verdict.INCONCLUSIVE})


def test_a_crash_of_the_reference_is_no_verdict_on_a_clause(tmp_path: Path) -> None:
    text = (
        "@pytest.mark.clause('LOG-01')\n"
        "def test_crash(bench):\n"
        "    with bench.client() as client:\n"
        "        client.metadata()\n"
        "        cluster = client.target.transport.cluster\n"
        "        class Broken(type(cluster.members[1])):\n"
        "            __slots__ = ()\n"
        "            def handle(self, event, now_ms): raise AssertionError('inside')\n"
        "        cluster.members[1].__class__ = Broken\n"
        "        client.metadata()\n"
    )
    found = run(tmp_path, suite_of(tmp_path, text))
    assert (found.status, dict(found.verdicts)) == (1, {"LOG-01": Verdict.ERROR})
    assert "inside" in found.evidence[0].note


def test_a_part_that_should_hold_and_does_not_is_weak(tmp_path: Path) -> None:
    text = (
        "@pytest.mark.clause('LOG-01', level='SHOULD')\n"
        "def test_should(bench):\n"
        "    bench.premise('it arose')\n"
        "    assert 1 == 2, 'one is two'\n"
    )
    found = run(tmp_path, suite_of(tmp_path, text))
    assert (found.status, dict(found.verdicts)) == (0, {"LOG-01": Verdict.WEAK})


def test_a_failure_says_what_to_do_with_it(tmp_path: Path) -> None:
    found = run(tmp_path, "--target=reference+dedup-window-one", "--clause=PROD-06")
    assert found.status == 1
    assert CLAUSES["PROD-06"].sentence[:60] in found.output
    assert "replay: pytest 'conformance/test_produce_idempotence.py::" in found.output
    assert f"report: {tmp_path}/index.html#PROD-06/" in found.output
    assert found.report()["mutant"] == "dedup-window-one"


def test_a_malformed_answer_counts_against_its_own_clause(tmp_path: Path) -> None:
    text = (
        "@pytest.mark.clause('LOG-01')\n"
        "def test_read(bench):\n"
        "    bench.premise('it arose')\n"
        "    raise MalformedAnswer('one trailing byte')\n"
    )
    found = run(tmp_path, suite_of(tmp_path, text))
    expected = {"LOG-01": Verdict.INCONCLUSIVE, "ERR-02": Verdict.FAIL}
    assert (found.status, dict(found.verdicts)) == (1, expected)


# ---- expectations -------------------------------------------------------------------------------

FAILING = (
    "@pytest.mark.clause('LOG-01')\n"
    "def test_wrong(bench):\n"
    "    bench.premise('it arose')\n"
    "    assert {condition}, 'should hold'\n"
)
LISTED = (
    '[[known]]\ncase = "LOG-01/wrong"\nverdict = "fail"\n'
    'reason = "a bug"\nevidence = "seen"\nlink = "https://example.org/1"\n'
)


@pytest.mark.parametrize(
    ("condition", "status", "verdict"), [("1 == 2", 0, "known"), ("1 == 1", 1, "fail")]
)
def test_a_known_failure_does_not_break_the_build_until_it_is_gone(
    tmp_path: Path, condition: str, status: int, verdict: str
) -> None:
    listed = tmp_path / "known.toml"
    listed.write_text(LISTED, encoding="utf-8")
    suite = suite_of(tmp_path, FAILING.format(condition=condition))
    found = run(tmp_path, suite, f"--expect={listed}", "--clause=LOG-01")
    assert (found.status, found.verdicts["LOG-01"]) == (status, verdict)
    assert "VIOLATED" in found.output


# ---- usage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--clause=LOG-99"], "no clause matches 'LOG-99'"),
        (["--target=nowhere"], "'nowhere' is neither host:port nor"),
        (["--target=reference+no-such"], "there is no mutant 'no-such'"),
        (["--target=kafka:latest"], "expected kafka:VERSION"),
        (["--target=kafka:3.9.1+raft"], "only `+zookeeper` may follow"),
        (["--examples=0"], "0 is not a positive number"),
        (["--profile=everything"], "invalid choice: 'everything'"),
        (["--seed=x"], "invalid int value: 'x'"),
        (["--expect=absent.toml"], "absent.toml: no such file"),
        (["--time-limit=-1"], "-1 is not a positive number of seconds"),
    ],
)
def test_a_slip_on_the_command_line_is_named(tmp_path: Path, options: list[str], says: str) -> None:
    found = run(tmp_path, *options)
    assert found.status == 4, found.output
    assert says in found.output
    assert "Traceback" not in found.output
    assert not found.evidence


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("known = [", "not TOML"),
        ("[[known]]\ncase = 'LOG-01/x'\n", "known #1: `reason` is missing"),
        ("[[known]]\ncase = 'XX/x'\nreason='r'\nevidence='e'\n", "does not begin with a clause"),
        ("[[knwon]]\n", "unknown key 'knwon'"),
    ],
)
def test_a_slip_in_a_list_of_known_failures_is_named(tmp_path: Path, text: str, says: str) -> None:
    listed = tmp_path / "known.toml"
    listed.write_text(text, encoding="utf-8")
    found = run(tmp_path, f"--expect={listed}")
    assert found.status == 4, found.output
    assert says in found.output
    assert str(listed) in found.output


def test_a_time_limit_leaves_the_rest_not_run(tmp_path: Path) -> None:
    found = run(tmp_path, "--time-limit=0.001", "--clause=PROD-0[67]")
    first, *rest = found.cases.values()
    assert first is Verdict.PASS
    assert set(rest) == {Verdict.NOT_RUN}
    assert "PROD-07  not run" in found.output
