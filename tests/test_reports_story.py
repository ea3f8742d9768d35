"""Stories on the page: diagram, player data, the table without scripts, scenarios, simulations."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reports import simulation, stories
from reports.build import build
from reports.diagram import ROW, Diagram
from reports.model import Report, assemble
from reports.stories import committed, missing, player_data, replica_rows, shown, within_room
from reports.view import View
from spec import story_json
from spec.evidence import Evidence, parse
from spec.story import Lane, LogEntry, Narrator, Story, log_of
from spec.verdict import Headline, Verdict
from tests.sample_evidence import CLAUSES, HOSTILE, PROFILE, evidence, mutated, record
from tests.sample_stories import failover, long_run, lost_write
from tests.test_reports import Parsed, built

CASE = "LOG-02/a-case@reference"


def told(story: Story, verdict: Verdict = Verdict.FAIL, clause: str = "LOG-02") -> Evidence:
    """A record with a story, as it comes out of a file."""
    return parse(replace(record(clause, verdict), story=story).line())


def page_of(records: Sequence[Evidence], out: Path) -> tuple[Parsed, str, Any]:
    parsed, document = built(records, out)
    return parsed, (out / "index.html").read_text(encoding="utf-8"), document


def assembled(records: Sequence[Evidence]) -> Report:
    return assemble(records, CLAUSES, PROFILE)


# ---- the page -----------------------------------------------------------------------------------


def test_a_step_has_an_address_and_a_row_of_the_diagram(tmp_path: Path) -> None:
    story = lost_write()
    parsed, html, _ = page_of([told(story)], tmp_path)
    steps = [id_ for id_ in parsed.all("id") if re.fullmatch(rf"{re.escape(CASE)}@\d+", id_)]
    assert steps == [f"{CASE}@{number}" for number in range(len(story.steps))]
    (svg,) = parsed.classed("svg", "spacetime")
    assert svg["height"] == str(ROW * len(story.steps))
    assert svg["role"] == "img"
    assert "first violation at step 11" in svg["aria-label"]
    for step in story.steps:
        assert step.action in html


def test_links_resolve_and_ids_are_unique_with_stories(tmp_path: Path) -> None:
    records = [*evidence(), told(lost_write()), told(failover(), Verdict.PASS, "LOG-06")]
    parsed, _, _ = page_of([*records, told(long_run(700, 650), clause="LOG-03")], tmp_path)
    ids = parsed.all("id")
    assert len(ids) == len(set(ids))
    assert {"hatch", "arrow", "stories", "scenarios"} <= set(ids)
    inside = [href[1:].partition("?")[0] for href in parsed.all("href") if href[0] == "#"]
    assert set(inside) <= set(ids)
    beside = {href for href in parsed.all("href") if href.startswith(("wire/", "stories/"))}
    assert "stories/LOG-03.a-case@reference.json" in beside
    for href in beside:
        assert (tmp_path / href).is_file(), href
    for reference in re.findall(r"url\(#(\w+)\)", (tmp_path / "index.html").read_text()):
        assert reference in ids


def test_a_page_without_stories_has_nothing_of_them(tmp_path: Path) -> None:
    parsed, html, document = page_of([record("LOG-01", Verdict.PASS)], tmp_path)
    assert "stories" not in parsed.all("id")
    assert "spacetime" not in html.partition("</style>")[2].partition("<script>")[0]
    assert "story" not in document["clauses"][0]["cases"][0]


def test_the_table_says_without_scripts_what_is_lost() -> None:
    first, second = replica_rows(shown("id", "LOG-02", lost_write()))
    assert (first.name, first.role, first.high_watermark, first.log) == (
        "b1",
        "down",
        "2",
        "v1@1 v2@1",
    )
    assert (second.role, second.log_end, second.isr) == ("follows b1", "1", "b1, b2")
    assert (second.log, second.missing, first.missing) == ("v1@1", "v2@1", "")


def test_what_was_not_observed_is_a_question_mark_and_no_empty_log() -> None:
    lanes = [Lane(id="b1", kind="broker", name="b1")]
    story = Narrator("a probe", lanes)
    story.step("probe", "b1", at_ms=0, state={"b1": {"role": "leader"}})
    (row,) = replica_rows(shown("id", "LOG-02", story.story()))
    assert (row.leader_epoch, row.isr, row.high_watermark, row.log_end) == ("?", "?", "?", "?")
    assert row.log == "not observed"


def test_the_page_opens_at_the_end_of_a_story_without_a_violation() -> None:
    assert shown("id", "LOG-02", failover()).telling == len(failover().steps) - 1
    assert shown("id", "LOG-02", lost_write()).telling == 11


def test_report_json_has_the_story(tmp_path: Path) -> None:
    _, _, document = page_of([told(lost_write())], tmp_path)
    (case,) = next(c["cases"] for c in document["clauses"] if c["id"] == "LOG-02")
    assert story_json.from_json(case["story"]) == lost_write()


def test_hostile_text_in_a_story_stays_text(tmp_path: Path) -> None:
    bad = f"{HOSTILE} \ud800 <!-- "
    story = lost_write()
    spoiled = replace(
        story,
        title=bad,
        lanes=tuple(replace(lane, name=bad) for lane in story.lanes),
        steps=tuple(replace(step, action=bad, note=bad) for step in story.steps),
        messages=tuple(replace(message, label=bad) for message in story.messages),
        operations=tuple(replace(op, label=bad, result=bad) for op in story.operations),
        faults=tuple(replace(bar, label=bad) for bar in story.faults),
    )
    log = (LogEntry(0, 1, 1, bad),)
    first = replace(spoiled.steps[0], changes={"b1": {"role": bad, "log": log, "isr": (bad,)}})
    spoiled = replace(spoiled, steps=(first, *spoiled.steps[1:]))
    plain, _, _ = page_of([told(story)], tmp_path / "plain")
    parsed, html, _ = page_of([told(spoiled)], tmp_path / "spoiled")
    assert {tag for tag, _ in parsed.elements} <= {tag for tag, _ in plain.elements}
    assert HOSTILE[:12] not in html
    assert "\u202e" not in html
    assert sum(tag == "script" for tag, _ in parsed.elements) == 3
    assert not any(name.startswith("on") for _, a in parsed.elements for name in a)


# ---- the diagram --------------------------------------------------------------------------------


def test_the_diagram_draws_messages_faults_leaders_and_operations() -> None:
    svg = Diagram(shown("id", "LOG-02", lost_write())).svg()
    assert svg.count('class="message "') == 5
    assert svg.count('class="message lost"') == 2
    assert svg.count('class="fault-bar"') == 2
    assert re.findall(r'class="op (\w+)"', svg) == ["ok", "unknown"]
    assert re.findall(r"<title>(\w+) leads</title>", svg) == ["b1", "b2"]
    assert re.findall(r"<title>(\w+) is the controller</title>", svg) == ["b1", "b2"]
    assert '<g class="violated">' in svg


def test_a_truncation_is_a_jump_to_the_left() -> None:
    diagram = Diagram(shown("id", "LOG-02", lost_write()))
    curves = re.findall(r'class="log-end" d="([^"]+)"', diagram.svg())
    rights = [[float(x) for x in re.findall(r"[MH]([\d.]+)", curve)] for curve in curves]
    assert rights[0] == sorted(rights[0])
    assert rights[1][1] > rights[1][2] > rights[1][0]


def test_a_lane_is_thick_only_while_its_broker_leads_and_lives() -> None:
    svg = Diagram(shown("id", "LOG-02", lost_write())).svg()
    spans = re.findall(r'class="leads" d="M\d+ (\d+)V(\d+)"', svg)
    middle = ROW // 2
    assert spans[0] == (str(middle), str(10 * ROW + middle))
    assert spans[1] == (str(12 * ROW + middle), str(13 * ROW))


def test_who_is_controller_is_told_where_it_changes() -> None:
    svg = Diagram(shown("id", "LOG-02", failover())).svg()
    assert re.findall(r'class="who"[^>]*>([^<]+)<', svg) == ["→ b2", "→ b1", "→ nobody", "→ b2"]


def test_labels_do_not_lie_on_each_other() -> None:
    svg = Diagram(shown("id", "LOG-02", lost_write())).svg()
    labels = re.findall(r'<text x="([\d.]+)" y="([\d.]+)">(F[^<]+)<', svg)
    assert len(labels) == 3
    for (x1, y1, text1), (x2, y2, text2) in pairwise(labels):
        apart = (len(text1) + len(text2)) * 5.4 / 2
        assert abs(float(y1) - float(y2)) >= 10 or abs(float(x1) - float(x2)) >= apart


def test_long_diagrams_have_labels_in_tooltips_only() -> None:
    svg = Diagram(shown("id", "LOG-02", long_run(100))).svg()
    assert svg.count("<title>v</title>") == 89
    assert not re.findall(r'<g class="message "[^>]*><path[^>]*/><text', svg)


# ---- what the player gets -----------------------------------------------------------------------


def test_the_player_gets_the_same_states() -> None:
    """Summed up as player.js does, the short changes are the states of the story."""
    for story in (lost_write(), failover(), long_run(80)):
        found = shown("id", "LOG-02", story)
        data = json.loads(player_data([found]))["id"]
        state: dict[str, dict[str, Any]] = {}
        for number, changes in enumerate(data["s"]):
            for lane, fields in changes.items():
                before = state.setdefault(lane, {})
                log = before.get("l", [])
                before.update(fields)
                if fields.get("l") is not None:
                    dropped, kept, *added = fields["l"]
                    before["l"] = log[dropped : dropped + kept] + added
            for lane, expected in found.states[number].items():
                names = {stories.KEYS[name]: value for name, value in expected.items()}
                for name, value in names.items():
                    plain = json.loads(json.dumps(value))
                    assert state.get(lane, {}).get(name) == plain, (number, lane, name)


def test_a_log_that_slides_costs_one_entry_a_step() -> None:
    size = len(player_data([shown("id", "LOG-02", long_run(400))]))
    assert size < 400 * 80


def test_committed_is_what_the_highest_watermark_covers() -> None:
    story = lost_write()
    states = list(story.states())
    assert committed(states[:5], story) == log_of([(1, "v1")])
    assert committed(states[:6], story) == log_of([(1, "v1"), (1, "v2")])
    assert committed(states, story) == log_of([(1, "v1"), (1, "v2")])
    other_epoch = (LogEntry(0, 1, 1, "v1"), LogEntry(1, 2, 1, "v3"))
    assert missing(log_of([(1, "v1"), (1, "v2")]), other_epoch) == [LogEntry(1, 1, 1, "v2")]
    deleted = (LogEntry(1, 1, 1, "v2"),)
    assert missing(log_of([(1, "v1"), (1, "v2")]), deleted) == []


# ---- long stories -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "violation", "first", "last"),
    [
        (500, None, 0, 499),
        (501, None, 301, 500),
        (700, 690, 500, 699),
        (700, 300, 121, 320),
        (700, 5, 0, 199),
    ],
)
def test_a_long_story_shows_the_part_that_matters(
    steps: int, violation: int | None, first: int, last: int
) -> None:
    found = shown("id", "LOG-02", long_run(steps, violation))
    assert (found.first, found.last) == (first, last)
    whole = list(long_run(steps, violation).states())
    assert list(found.states) == whole[first : last + 1]
    if violation is not None:
        assert found.first + found.telling == violation


def test_the_whole_of_a_long_story_lies_beside_the_page(tmp_path: Path) -> None:
    story = long_run(700, 650)
    parsed, html, _ = page_of([told(story)], tmp_path)
    assert story_json.read(tmp_path / "stories" / "LOG-02.a-case@reference.json") == story
    assert f"{CASE}@650" in parsed.all("id")
    assert f"{CASE}@0" not in parsed.all("id")
    assert "of 699; all of them are in" in html


def test_stories_beyond_the_room_are_told_and_not_drawn(tmp_path: Path) -> None:
    many = [shown(str(n), "LOG-02", long_run(400)) for n in range(8)]
    assert [found.is_drawn for found in within_room(many)] == [True] * 6 + [False] * 2
    records = [replace(told(long_run(400, 390)), case=f"LOG-02/number-{n}") for n in range(8)]
    parsed, _, _ = page_of(records, tmp_path)
    assert len(parsed.classed("svg", "spacetime")) == 6
    assert len(parsed.classed("table", "replicas")) == 8
    assert len(list((tmp_path / "stories").iterdir())) == 2


def test_columns_have_their_stories_before_mutants() -> None:
    killed = [replace(one, story=lost_write()) for one in mutated("m", Verdict.FAIL)]
    view = View(assembled([*killed, told(failover(), Verdict.PASS, "LOG-06")]))
    assert list(view.stories) == ["LOG-06/a-case@reference", "LOG-03/a-case@reference+m"]


# ---- scenarios and simulations ------------------------------------------------------------------


def test_a_scenario_is_listed_with_its_mode(tmp_path: Path) -> None:
    records = [told(failover(), Verdict.PASS, "LOG-06"), record("LOG-01", Verdict.PASS)]
    parsed, html, _ = page_of(records, tmp_path)
    row = html.partition('id="scenarios"')[2].partition("</table>")[0]
    assert "Failover of leader and controller" in row
    assert "zookeeper" in row
    assert 'href="#LOG-06/a-case@reference"' in row
    assert "#scenarios" in parsed.all("href")


def test_a_broken_run_is_no_scenario() -> None:
    assert assembled([told(lost_write())]).scenarios == []


def simulated(verdict: Verdict = Verdict.PASS, mode: str = "quorum", **facts: Any) -> Evidence:
    run = {"mode": mode, "seeds": 500, "events": 12_345_678, "validated": 9_000, "refused": 0}
    return replace(
        record("LOG-02", verdict, slug=f"simulation-{mode}"),
        checker="simulate",
        run=run | {"outgrown": 2, "faults": {"cut": 7, "crash": 1_812}} | facts,
        seed=None,
    )


def test_simulations_have_a_column_and_a_table(tmp_path: Path) -> None:
    records = [record("LOG-02", Verdict.PASS), simulated(), simulated(mode="zookeeper")]
    parsed, html, _ = page_of(records, tmp_path)
    cell = View(assembled(records)).simulated_cell("LOG-02")
    assert (cell.verdict, cell.word, cell.amount, cell.href) == (Verdict.PASS, "held", 1000, "")
    assert View(assembled(records)).simulated_cell("LOG-03").word == "none"
    columns = [a for a in parsed.classed("td", "cell") if a.get("data-col") == "simulated"]
    assert len(columns) == len(CLAUSES)
    for said in ("1,812 crash, 7 cut", "12\u2009345\u2009678", "outgrown"):
        assert said in html


def test_a_violation_in_a_simulation_is_one_of_the_target() -> None:
    broken = replace(simulated(Verdict.FAIL), story=lost_write())
    report = assembled([record("LOG-02", Verdict.PASS), broken])
    assert report.headline is Headline.VIOLATED
    cell = View(report).simulated_cell("LOG-02")
    assert (cell.verdict, cell.href) == (Verdict.FAIL, "#LOG-02/simulation-quorum@reference")
    assert cell.href[1:] in View(report).stories


def test_simulations_do_not_hide_what_the_target_says_of_itself() -> None:
    report = assembled([simulated(), record("LOG-02", Verdict.PASS)])
    assert report.targets[0].seed == 42
    assert report.targets[0].facts["brokers"] == 3


def test_without_simulations_there_is_no_column(tmp_path: Path) -> None:
    _, html, _ = page_of(evidence(), tmp_path)
    assert "simulated" not in html


def test_what_it_took_to_kill_a_mutant_is_told(tmp_path: Path) -> None:
    slow = simulated(Verdict.FAIL, cpu_s_to_kill=9.5, seeds_to_kill=40, faults_to_kill=3)
    fast = simulated(Verdict.FAIL, "zookeeper", cpu_s_to_kill=1.5, seeds_to_kill=7)
    killed = [replace(one, mutant="m", target="reference+m") for one in (slow, fast)]
    records = [record("LOG-02", Verdict.PASS), *killed, *mutated("other", Verdict.PASS)]
    report = assembled(records)
    found, none = (simulation.kill(mutant) for mutant in report.mutants)
    assert found is not None
    assert none is None
    assert (found.cpu_s, found.seeds, found.faults) == (1.5, 7, None)
    _, html, _ = page_of(records, tmp_path)
    assert "Simulation killed 1 of 2." in html
    assert '<td class="n" data-col="time to kill">1.5 s</td>' in html


def test_facts_of_another_type_are_left_out() -> None:
    odd = simulated(seeds="many", faults=["crash"], cpu_s_to_kill=True)
    (found,) = simulation.simulations(assembled([odd]), "LOG-02")
    assert (found.count("seeds"), found.faults) == (None, "")


def test_the_page_stays_small_under_many_stories(tmp_path: Path) -> None:
    records = [
        replace(told(replace(lost_write(), title=f"{n}")), case=f"LOG-02/{n}") for n in range(150)
    ]
    build(records, CLAUSES, PROFILE, tmp_path)
    assert (tmp_path / "index.html").stat().st_size < 3_000_000


def test_the_script_of_the_player_is_small() -> None:
    source = (Path(__file__).parents[1] / "reports" / "assets" / "player.js").read_text()
    lines = [line.strip() for line in source.splitlines()]
    size = sum(len(line) + 1 for line in lines if not line.startswith("//"))
    assert size < 10_000
