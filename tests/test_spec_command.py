"""`python -m spec`: what it prints, what it leaves, and its exit codes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spec.command.explain import layers_of
from spec.command.main import main
from spec.command.outcome import Exit
from spec.evidence import read
from spec.verdict import Verdict

SMALL = "replicas=2,log_size=2,records=2,epochs=1"


def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    verbs_without = ("list", "trace")
    evidence = () if words[0] in verbs_without else ("--evidence", str(tmp_path / "e.ndjson"))
    code = main([*words, *evidence])
    return code, capsys.readouterr().out


def run_json(tmp_path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    code, out = run(tmp_path, capsys, *words, "--json")
    return code, json.loads(out)


def test_explore_prints_the_anchors_of_tlc_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run_json(
        tmp_path,
        capsys,
        *("explore", "replication", "--variant", "truncate-to-high-watermark", "--bounds", SMALL),
    )
    assert code == Exit.REFUTED
    assert (found["distinct"], found["depth"], found["levels"][:4]) == (1251, 16, [1, 4, 14, 30])
    weak, strong = found["violations"]["weak_isr"], found["violations"]["strong_isr"]
    assert (weak["count"], weak["first_level"]) == (30, 9)
    assert (strong["count"], strong["first_level"]) == (22, 10)
    assert len(weak["trace"]) == 9
    assert found["cpu_s"] > 0
    assert found["peak_rss_bytes"] > 1 << 20


def test_a_right_variant_is_as_claimed_and_leaves_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = run(tmp_path, capsys, "explore", "replication", "--bounds", SMALL)
    assert code == Exit.AS_CLAIMED
    assert "957 distinct states in 15 levels" in out
    assert "No invariant is violated: weak_isr, strong_isr, leader_in_isr." in out
    records = {record.clause: record for record in read(tmp_path / "e.ndjson")}
    assert records["LEAD-04"].verdict is Verdict.PASS
    assert records["LEAD-04"].checker == "explore"
    assert records["LEAD-04"].premise_count == 957
    assert records["LEAD-04"].run["bounds"]["Broker"] == 2
    assert records["LEAD-04"].premises["leader_write"] > 0


def test_a_counterexample_is_told_and_can_be_traced_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "trace.itf.json"
    wrong = ("--variant", "truncate-to-high-watermark")
    code, out = run(
        tmp_path,
        capsys,
        *("explore", "replication", *wrong, "--bounds", SMALL, "--invariant", "strong_isr"),
        *("--stop", "--save-trace", str(file)),
    )
    assert code == Exit.REFUTED
    assert "strong_isr is violated" in out
    assert "leader_write(leader=b" in out
    code, out = run(tmp_path, capsys, "trace", "replication", *wrong, "--file", str(file))
    assert code == Exit.REFUTED, "its last step breaks the invariant"
    assert "9 steps are allowed" in out
    assert "step 9 breaks strong_isr" in out
    code, out = run(
        tmp_path, capsys, "trace", "replication", "--variant", "kip-320", "--file", str(file)
    )
    assert code == Exit.REFUTED
    assert "become_follower" in out
    assert "replication.py:" in out, "the rule that refuses it has its line"


def test_limits_end_an_exploration_and_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bounds = "replicas=3,log_size=2,records=2,epochs=1"
    code, found = run_json(
        tmp_path, capsys, "explore", "replication", "--bounds", bounds, "--states", "1000"
    )
    assert code == Exit.UNDECIDED
    assert not found["complete"]
    assert "1000 states" in found["reason"]
    verdicts = {record.verdict for record in read(tmp_path / "e.ndjson")}
    assert verdicts == {Verdict.INCONCLUSIVE}, "an incomplete exploration passes nothing"


def test_bounded_finds_what_explore_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = run_json(
        tmp_path,
        capsys,
        *("bounded", "replication", "--variant", "truncate-to-high-watermark"),
        *("--bounds", SMALL, "--invariant", "weak_isr", "--depth", "9"),
    )
    assert code == Exit.REFUTED
    (search,) = found["searches"]
    assert (search["result"], search["depth"]) == ("found", 8)


def test_walks_are_repeatable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("walk", "replication", "--bounds", "replicas=3,log_size=8,records=8,epochs=4")
    few = ("--walks", "4", "--steps", "200")
    first = run_json(tmp_path, capsys, *words, *few)
    assert first[0] == Exit.AS_CLAIMED
    assert first[1]["steps"] > 100
    assert run_json(tmp_path, capsys, *words, *few) == first
    assert run_json(tmp_path, capsys, *words, *few, "--seed", "5") != first


def test_prove_says_what_is_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run_json(tmp_path, capsys, "prove", "groups_classic", "--mutants", "--quiet")
    assert code == Exit.AS_CLAIMED
    assert all(item["proved"] for item in found["properties"].values())
    assert found["proved_obligations"] == found["obligations"] > 50
    assert found["seed"] == 0
    assert all(found["mutants"].values())
    records = list(read(tmp_path / "e.ndjson"))
    assert {record.checker for record in records} == {"prove"}
    assert {record.verdict for record in records} == {Verdict.PASS}
    assert all(record.run["mutants"] for record in records)


def test_explain_orders_the_argument(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "groups-classic", "--json"]) == Exit.AS_CLAIMED
    layers = json.loads(capsys.readouterr().out)["layers"]
    known: set[str] = set()
    for layer in layers:
        assert set(layer["rest_on"]) <= known, "each fact comes after those that it rests on"
        known |= set(layer["together"])
    assert "one_owner_per_generation" in known
    assert any(layer["rest_on"] for layer in layers)


def test_facts_that_rest_on_each_other_are_proved_together() -> None:
    layers = layers_of({"safe": {"a"}, "a": {"a", "b"}, "b": {"a", "c"}, "c": {"c"}})
    assert [layer["together"] for layer in layers] == [["c"], ["a", "b"], ["safe"]]
    assert [layer["rest_on"] for layer in layers] == [[], ["c"], ["a"]]


def test_list_has_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == Exit.AS_CLAIMED
    out = capsys.readouterr().out
    for word in ("replication", "kip-320", "strong_isr", "LEAD-04", "replicas", "quorum"):
        assert word in out
    assert main(["list", "--json"]) == Exit.AS_CLAIMED
    assert json.loads(capsys.readouterr().out)["models"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["explore", "replicatoin"], "replication,"),
        (["explore"], "name a model"),
        (["explore", "replication", "--all"], "either"),
        (["explore", "replication", "--variant", "kip-321"], "kip-320,"),
        (["explore", "replication", "--bounds", "brokers=3"], "log_size"),
        (["explore", "replication", "--bounds", "replicas"], "NAME=NUMBER"),
        (["explore", "replication", "--bounds", "replicas=0"], "at least 1"),
        (["explore", "replication", "--bounds", "replicas=999"], "below 127"),
        (["explore", "replication", "--symmetry", "Offset"], "Offset"),
        (["explore", "replication", "--invariant", "weak"], "weak_isr"),
        (["bounded", "replication", "--invariant", "weak"], "weak_isr"),
        (["prove"], "--all"),
        (["prove", "nothing"], "nothing is proved"),
        (["trace", "replication", "--file", "/nowhere/x.json"], "cannot read"),
    ],
    ids=lambda part: " ".join(part)[:40] if isinstance(part, list) else None,
)
def test_slips_get_one_line_and_status_2(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    err = capsys.readouterr().err
    assert hint in err
    assert err.startswith("python -m spec: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["explore", "replication", "--memory-mb", "0"], ["prov"], []])
def test_what_argparse_refuses_has_the_same_status(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == Exit.USAGE
    assert "usage:" in capsys.readouterr().err


def test_a_trace_file_of_nonsense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("", "[1, 2", "{}", '{"states": 3}', '{"states": [{"log": 7}]}'):
        file = tmp_path / "nonsense.json"
        file.write_text(text)
        assert main(["trace", "replication", "--file", str(file)]) == Exit.USAGE
        assert "nonsense.json" in capsys.readouterr().err


def test_evidence_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    path = str(tmp_path / "file" / "e.ndjson")
    words = ["explore", "replication", "--bounds", SMALL, "--evidence", path]
    assert main(words) == Exit.USAGE
    assert "cannot append evidence" in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spec", "list"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert "replication" in done.stdout
