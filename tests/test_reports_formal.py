"""The report's view of the formal models: what is proved, explored and refuted."""

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reports import page
from reports.build import build
from reports.formal import size_of, split
from reports.model import NotReportable, assemble
from reports.plugin import _of_models
from reports.stories import replica_rows, shown
from reports.view import View
from spec.checkers.bounds import Bounds
from spec.checkers.explore import explore
from spec.command.replay import replayed
from spec.command.retelling import story_of
from spec.evidence import Counterexample, Evidence
from spec.language import trace
from spec.registry import FAMILIES
from spec.verdict import Headline, Verdict
from tests.sample_evidence import CLAUSES, PROFILE, record

PASSING = record("LOG-06", Verdict.PASS)
STORY = "  1. initial state\n  2. leader_write(leader=b1)\n       b1: log [0:a@1]*"


def formal(
    clause: str, checker: str, verdict: Verdict = Verdict.PASS, *, wrong: bool = False
) -> Evidence:
    bounds = {"size": "any"} if checker == "prove" else {"bounds": {"Broker": 3, "Epoch": 2}}
    return replace(
        record(clause, Verdict.PASS),
        checker=checker,
        target="model:replication/kip-320",
        verdict=verdict,
        case=f"{clause}/replication.kip-320.strong_isr.{checker}",
        title="Whoever may be elected next has every record",
        premise_count=1_234,
        mutant="replication/kip-320" if wrong else None,
        counterexample=Counterexample(expected="", observed=STORY) if wrong else None,
        wire=(),
        run={"invariant": "strong_isr"} | bounds,
        reproduce="python -m spec prove replication",
    )


def test_proofs_and_explorations_fill_their_columns() -> None:
    made = [PASSING, formal("LOG-06", "prove"), formal("LOG-06", "explore")]
    report = assemble(made, CLAUSES, PROFILE)
    view = View(report)
    proved, explored = view.proved_cell("LOG-06"), view.explored_cell("LOG-06")
    assert (proved.verdict, proved.word, proved.amount) == (Verdict.PASS, "proved", 1)
    assert (explored.verdict, explored.word, explored.amount) == (Verdict.PASS, "explored", 1)
    assert "1,234 states" in explored.title
    assert view.proved_cell("LOG-07").verdict is Verdict.NOT_RUN


def test_what_is_not_proved_never_shows_as_proved() -> None:
    open_ = replace(formal("LOG-06", "prove", Verdict.INCONCLUSIVE), case="LOG-06/other.prove")
    report = assemble([PASSING, formal("LOG-06", "prove"), open_], CLAUSES, PROFILE)
    cell = View(report).proved_cell("LOG-06")
    assert (cell.verdict, cell.word) == (Verdict.INCONCLUSIVE, "not proved")


def test_models_are_no_targets_and_count_in_no_headline() -> None:
    violated = formal("LOG-06", "explore", Verdict.FAIL)
    report = assemble([PASSING, violated], CLAUSES, PROFILE)
    assert [target.name for target in report.targets] == ["reference"]
    assert report.headline is not Headline.VIOLATED
    assert View(report).explored_cell("LOG-06").verdict is Verdict.FAIL
    with pytest.raises(NotReportable, match="no run of a target"):
        assemble([violated], CLAUSES, PROFILE)


def test_a_later_record_replaces_an_earlier_one() -> None:
    earlier, later = formal("LOG-06", "prove", Verdict.INCONCLUSIVE), formal("LOG-06", "prove")
    targets, found = split([earlier, PASSING, later])
    assert targets == [PASSING]
    assert found.proofs("LOG-06") == [later]


def test_a_wrong_variant_is_shown_with_its_story_and_is_no_exploration() -> None:
    refuted = formal("LOG-06", "bounded", Verdict.FAIL, wrong=True)
    report = assemble([PASSING, refuted], CLAUSES, PROFILE)
    assert report.formal.explorations("LOG-06") == []
    assert report.formal.refutations("LOG-06") == [refuted]
    assert report.mutants == ()
    html = page.pages(report)["index.html"]
    assert "leader_write(leader=b1)" in html
    assert "What goes wrong without a rule" in html
    assert size_of(refuted) == "Broker 3, Epoch 2"


def test_a_counterexample_is_told_once_and_linked_from_other_clauses() -> None:
    both = [formal(clause, "explore", Verdict.FAIL, wrong=True) for clause in ("LOG-06", "LOG-07")]
    view = View(assemble([PASSING, *both], CLAUSES, PROFILE))
    (first,), (second,) = view.refutations["LOG-06"], view.refutations["LOG-07"]
    assert (first.told_at, second.told_at) == ("", first.id)
    html = page.pages(view.report)["index.html"]
    assert html.count("leader_write(leader=b1)") == 1
    assert f'href="#{first.id}"' in html
    assert f'id="{first.id}"' in html


def test_the_counterexample_of_a_replication_model_is_played() -> None:
    """The explorer finds the flaw that KIP-320 repaired, and the page plays it."""
    variant = FAMILIES["replication"].variant("kip-279")
    found = explore(
        trace(variant.protocol),
        Bounds(**variant.bounds),
        invariants=("strong_isr",),
        symmetry=variant.symmetry,
        stop_at_violation=True,
    )
    story = story_of(found.violations["strong_isr"].trace, "a title")
    assert story is not None
    assert story.brokers == ("b1", "b2", "b3")
    assert story.violation == len(story.steps) - 1
    last = list(story.states())[-1]
    leader, isr = last["controller"]["leader"], last["controller"]["isr"]
    assert last[str(leader)]["role"] == "leader"
    assert isinstance(isr, tuple)
    told = shown("id", "LOG-06", story)
    assert told.committed
    lacking = {row.name for row in replica_rows(told) if row.missing}
    assert lacking
    assert lacking <= set(isr)
    refuted = replace(formal("LOG-06", "explore", Verdict.FAIL, wrong=True), story=story)
    written = page.pages(assemble([PASSING, refuted], CLAUSES, PROFILE))
    assert 'class="spacetime"' in written["index.html"]
    assert STORY in written["refutations/LOG-06.txt"]


def test_models_about_other_things_have_no_story() -> None:
    variant = FAMILIES["controller"].variant()
    path = replayed(trace(variant.protocol), Bounds(**variant.bounds), ())
    assert story_of(path, "a title") is None


def test_without_models_there_are_no_columns_for_them() -> None:
    html = page.pages(assemble([PASSING], CLAUSES, PROFILE))["index.html"]
    assert "explored" not in html
    assert "Formal model" not in html


def test_the_json_has_them_and_keeps_to_its_schema(tmp_path: Path) -> None:
    refuted = formal("LOG-06", "explore", Verdict.FAIL, wrong=True)
    build([PASSING, formal("LOG-06", "prove"), refuted], CLAUSES, PROFILE, tmp_path)
    found = json.loads((tmp_path / "report.json").read_text())
    schema = json.loads((files("reports") / "schema.json").read_text())
    Draft202012Validator(schema).validate(found)
    assert [(f["checker"], f["verdict"], f["wrong_variant"]) for f in found["formal"]] == [
        ("prove", "pass", False),
        ("explore", "fail", True),
    ]
    assert found["formal"][1]["counterexample"] == STORY
    del found["formal"][0]["model"]
    assert not Draft202012Validator(schema).is_valid(found)


def test_a_run_takes_the_evidence_of_its_own_commit_only(tmp_path: Path) -> None:
    """A proof of another text proves nothing here."""
    of_now = replace(formal("LOG-06", "prove"), commit="abc1234+")
    of_then = replace(formal("LOG-06", "explore"), commit="0001234")
    path = tmp_path / "evidence.ndjson"
    path.write_text(f"{of_now.line()}\n{of_then.line()}\n")
    assert _of_models(path, {"abc1234"}) == [of_now]
    assert _of_models(tmp_path / "none.ndjson", {"abc1234"}) == []
