"""The report says what the evidence says, all of it, and nothing in it can break the page."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reports import page, wire
from reports.build import build
from reports.model import NotReportable, assemble
from reports.view import View
from spec.evidence import Evidence
from spec.verdict import Headline, Verdict, merge
from tests.sample_evidence import (
    CLAUSES,
    HOSTILE,
    PROFILE,
    TARGETS,
    WIRE,
    evidence,
    hostile,
    mutated,
    record,
)

VOID = {"meta", "link", "br", "wbr", "col", "input"}
SCHEMA = json.loads((files("reports") / "schema.json").read_text())


@dataclass
class Parsed(HTMLParser):
    """A page as a list of elements; refuses tags that do not close in order."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    text: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice: {names}"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def all(self, attribute: str) -> list[str]:
        return [found[attribute] for _, found in self.elements if attribute in found]

    def classed(self, tag: str, name: str) -> list[dict[str, str]]:
        return [a for t, a in self.elements if t == tag and name in a.get("class", "").split()]


def parse(html: str) -> Parsed:
    parsed = Parsed()
    parsed.feed(html)
    parsed.close()
    assert parsed.open == []
    return parsed


def built(records: Sequence[Evidence], out: Path) -> tuple[Parsed, Any]:
    build(records, CLAUSES, PROFILE, out)
    html = (out / "index.html").read_text(encoding="utf-8")
    document = json.loads((out / "report.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator(SCHEMA).validate(document)
    return parse(html), document


def alone(records: Sequence[Evidence], target: str = "reference") -> list[Evidence]:
    return [found for found in records if found.target == target]


# ---- the page -----------------------------------------------------------------------------------


def test_every_clause_has_a_mark_in_every_column(tmp_path: Path) -> None:
    parsed, _ = built(evidence(), tmp_path)
    matrix = [a for a in parsed.classed("td", "cell") if "data-col" in a]
    labels = Counter(found["data-col"] for found in matrix)
    on_clause_pages = sum(len(cases) for cases in assembled(evidence()).cases.values())
    assert labels.pop("mutants") == len(CLAUSES)
    assert labels == {target: len(CLAUSES) + on_clause_pages for target in TARGETS}


def assembled(records: Sequence[Evidence]) -> Any:
    return assemble(records, CLAUSES, PROFILE)


def test_links_resolve_and_ids_are_unique(tmp_path: Path) -> None:
    parsed, _ = built([*evidence(), *hostile()], tmp_path)
    ids = parsed.all("id")
    assert len(ids) == len(set(ids))
    aims = [href[1:].partition("?")[0] for href in parsed.all("href") if href.startswith("#")]
    assert len(aims) > 100
    assert set(aims) <= set(ids)
    for id_ in ids:
        assert re.fullmatch(r"[A-Za-z0-9.+_/@-]+", id_), id_


def test_a_page_asks_nothing_of_the_network(tmp_path: Path) -> None:
    parsed, _ = built([*evidence(), *hostile()], tmp_path)
    for tag, attributes in parsed.elements:
        assert not {"src", "srcset", "data", "poster", "action"} & set(attributes), tag
        if "href" in attributes and tag != "a":
            assert attributes["href"] == "data:,"
    links = [href for href in parsed.all("href") if not href.startswith(("#", "data:", "wire/"))]
    assert set(links) == {"https://issues.apache.org/jira/browse/KAFKA-1"}
    code = " ".join(text for tag, text in parsed.text if tag in ("style", "script"))
    assert not re.search(r"https?:|//\w|url\(|@import|fetch\(", code)


def test_every_deep_link_of_the_address_grammar_has_its_place(tmp_path: Path) -> None:
    parsed, _ = built(evidence(), tmp_path)
    expected = {"overview", "not-tested", "mutants", "legend", "LOG-03", "LOG-03/a-case"}
    expected |= {"LOG-03/a-case@kafka-4.1.0", "LOG-03/a-case@reference+crc_not_checked"}
    assert expected <= set(parsed.all("id"))


def test_the_page_shows_what_a_developer_acts_on(tmp_path: Path) -> None:
    parsed, _ = built(alone(evidence(), TARGETS[1]), tmp_path)
    text = "\n".join(text for _, text in parsed.text)
    for said in ("base offset 0, and 3 records in the log", "batches=[3],\nrepeat=1"):
        assert said in text
    assert f"pytest conformance --target={TARGETS[1]} --clause=LOG-02 --seed=42" in text
    assert "CORRUPT_MESSAGE (2)" in text
    assert "cut 1 from 2" in text
    for words in (*CLAUSES["LOG-02"].sources, CLAUSES["LOG-02"].calibrated):
        assert words in text
    for verdict in Verdict:
        assert verdict.meaning in text


def test_a_clause_without_a_record_is_not_run_and_says_why() -> None:
    report = assembled(evidence())
    target = report.targets[0]
    assert target.verdicts["LOG-11"] is Verdict.NOT_RUN
    cell = View(report).cell("LOG-11", target)
    assert (cell.verdict, cell.word, cell.amount) == (Verdict.NOT_RUN, "not run", None)
    groups = View(report).undecided(target)
    assert groups == [(Verdict.NOT_RUN, "no case of this clause ran", ["LOG-11", "PROD-02"])]


def test_filters_keep_what_they_name() -> None:
    view = View(assembled(evidence()))
    assert view.flags("LOG-01").split() == ["exceptions", "open", "differs"]
    assert view.flags("LOG-03").split() == ["exceptions", "open"]  # an error is no judgement
    assert view.flags("LOG-06") == "open"  # the third target did not run it
    assert view.flags("LOG-02").split() == ["exceptions", "open", "differs"]
    single = View(assembled(alone(evidence())))
    assert single.flags("LOG-06") == ""
    assert single.flags("LOG-11") == "open"
    assert single.flags("PROD-01").split() == ["exceptions", "open"]


# ---- what is counted ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.PASS, Headline.SHOWN),
        (Verdict.KNOWN, Headline.VIOLATED),
        (Verdict.FAIL, Headline.VIOLATED),
        (Verdict.INCONCLUSIVE, Headline.NOT_SHOWN),
        (Verdict.NOT_RUN, Headline.NOT_SHOWN),
        (Verdict.UNSUPPORTED, Headline.NOT_SHOWN),
        (Verdict.ERROR, Headline.NOT_SHOWN),
    ],
)
def test_the_headline_is_that_of_the_must_clauses(
    verdict: Verdict, expected: Headline, tmp_path: Path
) -> None:
    musts = [id_ for id_, found in CLAUSES.items() if found.level == "MUST"]
    records = [record(id_, Verdict.PASS) for id_ in musts[1:]] + [record(musts[0], verdict)]
    records += [record("PROD-01", Verdict.WEAK)]
    _, document = built(records, tmp_path)
    assert document["headline"] == expected.value
    assert sum(document["must_counts"].values()) == len(musts)
    assert sum(document["counts"].values()) == len(CLAUSES)
    assert expected.value in (tmp_path / "badge.svg").read_text()
    assert expected.value in (tmp_path / "summary.md").read_text()


def test_a_missing_must_is_counted_against_the_headline(tmp_path: Path) -> None:
    musts = [id_ for id_, found in CLAUSES.items() if found.level == "MUST"]
    _, document = built([record(id_, Verdict.PASS) for id_ in musts[1:]], tmp_path)
    assert document["headline"] == "NOT SHOWN"
    assert document["must_counts"]["not run"] == 1


def test_the_worst_case_is_the_clause_and_a_repetition_hides_no_failure() -> None:
    first = record("LOG-01", Verdict.FAIL)
    again = replace(first, verdict=Verdict.PASS, counterexample=None)
    other = record("LOG-01", Verdict.INCONCLUSIVE, slug="another")
    for order in ([first, again, other], [other, again, first]):
        report = assembled(order)
        target = report.targets[0]
        runs = {run.record.case: run for run in target.runs["LOG-01"]}
        assert target.verdicts["LOG-01"] is merge([Verdict.INCONCLUSIVE, Verdict.FAIL])
        assert runs[first.case].record is first
        assert runs[first.case].records == 2
        assert target.premise_count("LOG-01") == 14


@pytest.mark.parametrize("worse", list(Verdict)[:-1])
def test_merging_follows_the_order_of_verdicts(worse: Verdict) -> None:
    order = list(Verdict)
    for better in order[order.index(worse) + 1 :]:
        pair = [record("LOG-01", better, slug="b"), record("LOG-01", worse, slug="w")]
        assert assembled(pair).targets[0].verdicts["LOG-01"] is worse


def test_mutants_are_a_column_and_their_kills_are_linked(tmp_path: Path) -> None:
    report = assembled(evidence())
    assert [target.name for target in report.targets] == list(TARGETS)
    killed, survivor = report.mutants
    assert report.killers(killed) == ["LOG-03"]
    assert report.killers(survivor) == []
    view = View(report)
    assert (view.mutants_cell("LOG-03").word, view.mutants_cell("LOG-03").amount) == ("killed", 1)
    assert view.mutants_cell("LOG-04").word == "no kill"
    assert view.mutants_cell("LOG-05").word == "not run"
    parsed, _ = built(evidence(), tmp_path)
    assert "#LOG-03/a-case@reference+crc_not_checked" in parsed.all("href")


def test_an_error_beside_it_does_not_hide_a_kill() -> None:
    error = replace(mutated("m", Verdict.ERROR)[0], case="LOG-03/other")
    report = assembled([record("LOG-03", Verdict.PASS), error, *mutated("m", Verdict.FAIL)])
    assert report.killers(report.mutants[0]) == ["LOG-03"]


# ---- report.json --------------------------------------------------------------------------------


def test_one_target_is_one_object(tmp_path: Path) -> None:
    _, document = built(alone(evidence(), TARGETS[1]), tmp_path)
    assert document["target"] == TARGETS[1]
    assert document["headline"] == "VIOLATED"
    assert (document["seed"], document["profile"]) == (42, "core")
    assert document["duration_s"] == pytest.approx(0.25 * 11)
    assert "mutant" not in document
    assert document["run"] == {"brokers": 3}
    clauses = {found["id"]: found for found in document["clauses"]}
    assert list(clauses) == list(CLAUSES)
    for id_, verdict in zip(CLAUSES, Verdict, strict=False):
        assert clauses[id_]["verdict"] == verdict.value
    (case,) = clauses["LOG-02"]["cases"]
    assert case["counterexample"]["observed"] == "base offset 3, and 6 records in the log"
    assert clauses["LOG-11"]["cases"] == []


def test_a_mutated_reference_names_its_mutant(tmp_path: Path) -> None:
    parsed, document = built(mutated("crc_not_checked", Verdict.FAIL), tmp_path)
    assert document["mutant"] == "crc_not_checked"
    assert document["target"] == "reference+crc_not_checked"
    assert document["headline"] == "VIOLATED"
    labels = {found.get("data-col") for found in parsed.classed("td", "cell")}
    assert labels == {"mutants", "reference+crc_not_checked"}


def test_several_targets_are_a_list_in_order_of_appearance(tmp_path: Path) -> None:
    _, document = built(evidence(), tmp_path)
    names = [found["target"] for found in document["targets"]]
    assert names == [*TARGETS, "reference+crc_not_checked", "reference+unnoticed"]


def test_seeds_that_differ_are_no_seed(tmp_path: Path) -> None:
    records = [record("LOG-01", Verdict.PASS), replace(record("LOG-02", Verdict.PASS), seed=1)]
    _, document = built(records, tmp_path)
    assert document["seed"] is None


# ---- bounds, hostile text, repeatability ---------------------------------------------------------


def test_equal_evidence_gives_equal_bytes(tmp_path: Path) -> None:
    written: list[dict[str, bytes]] = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        build(iter(evidence()), CLAUSES, PROFILE, folder)
        found = sorted(path for path in folder.rglob("*") if path.is_file())
        written.append({str(path.relative_to(folder)): path.read_bytes() for path in found})
    assert written[0] == written[1]
    assert {"index.html", "report.json", "summary.md", "badge.svg"} < set(written[0])


def test_files_beside_the_page_are_those_that_it_links_to(tmp_path: Path) -> None:
    parsed, _ = built([*evidence(), *hostile()], tmp_path)
    linked = {href for href in parsed.all("href") if href.startswith("wire/")}
    assert linked == {f"wire/{path.name}" for path in (tmp_path / "wire").iterdir()}
    text = (tmp_path / "wire" / "LOG-03.txt").read_text(encoding="utf-8")
    assert "LOG-03/a-case@reference\n" in text
    assert "Produce v9 #1" in text
    assert "     2 ms  c1 \u00b7 broker 1" in text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    plain, _ = built(evidence(), tmp_path / "plain")
    parsed, document = built(hostile(), tmp_path)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert HOSTILE[:12] not in html
    assert "\x00" not in html
    assert "\u202e" not in html
    assert {tag for tag, _ in parsed.elements} <= {tag for tag, _ in plain.elements}
    assert sum(tag == "script" for tag, _ in parsed.elements) == 2
    assert not any(name.startswith("on") for _, a in parsed.elements for name in a)
    assert not any(value.lower().startswith("javascript") for value in parsed.all("href"))
    assert {target["target"] for target in document["targets"]} > {hostile()[0].target}
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert "<b" not in summary
    assert max(map(len, summary.splitlines())) < 2_000


def test_what_is_huge_is_cut_and_the_cut_is_said(tmp_path: Path) -> None:
    built(hostile(), tmp_path)
    html = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(html) < 400_000
    assert "(1,000,000 characters)" in html
    assert (tmp_path / "report.json").stat().st_size < 400_000


def test_long_wire_logs_share_a_budget() -> None:
    long = tuple(replace(WIRE[1], at_ms=n) for n in range(400))
    failed = [replace(record("LOG-02", Verdict.FAIL), wire=long, wire_dropped=9)] * 3
    passed = [replace(record("LOG-01", Verdict.PASS), wire=long)] * 3
    logs = wire.logs(failed, passed)
    assert [len(log.rows) for log in logs] == [250] * 6
    assert [log.file for log in logs] == [""] * 3 + ["wire/LOG-01.txt"] * 3
    assert (logs[0].earlier, logs[0].rows[-1].at_ms) == (159, 399)
    many = [replace(record("LOG-01", Verdict.FAIL), wire=long) for _ in range(100)]
    rows = [row for log in wire.logs(many, ()) for row in log.rows]
    assert len(rows) == 100 * wire.ENTRIES[-1]
    assert sum(row.characters for row in rows) <= wire.PAGE_CHARACTERS


def test_the_log_of_a_broken_target_is_on_the_page_and_that_of_a_mutant_beside_it() -> None:
    records = [record("LOG-01", Verdict.FAIL), *mutated("crc_not_checked", Verdict.FAIL)]
    written = page.pages(assembled(records))
    assert set(written) == {"index.html", "wire/LOG-03.txt"}
    assert written["index.html"].count('<table class="log">') == 1


def test_a_wire_row_tells_fields_errors_and_faults() -> None:
    (log,) = wire.logs([record("LOG-01", Verdict.FAIL)], ())
    connected, request, response, fault = log.rows
    assert (connected.arrow, connected.summary, connected.fields) == ("●", "127.0.0.1:9092", "")
    assert (request.arrow, request.peer, request.correlation_id) == ("→", "c1 · broker 1", 1)
    assert request.summary.endswith(" …")
    assert "    records:\n" in request.fields
    assert response.errors == ("CORRUPT_MESSAGE (2)",)
    assert response.summary == 'responses=[{error_code="CORRUPT_MESSAGE (2)"}]'
    assert response.fields.endswith("error_message: null")
    assert (fault.kind, fault.name, fault.peer) == ("fault", "cut 1 from 2", "")
    fine = replace(WIRE[2], fields={"error_code": "NONE (0)", "topics": [{"error_code": 0}]})
    (log,) = wire.logs([replace(record("LOG-01", Verdict.PASS), wire=(fine,))], ())
    assert log.rows[0].errors == ()


# ---- what it refuses ----------------------------------------------------------------------------


def test_evidence_that_fits_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotReportable, match="hold no record"):
        build([], CLAUSES, PROFILE, tmp_path)
    with pytest.raises(NotReportable, match="ACL-77, which is not a known clause"):
        build([record("ACL-77", Verdict.PASS)], CLAUSES, PROFILE, tmp_path)
    profile = replace(PROFILE, clauses=frozenset({"ACL-01"}))
    with pytest.raises(NotReportable, match="unknown clauses: ACL-01"):
        build(evidence(), CLAUSES, profile, tmp_path)
    endless = replace(record("LOG-01", Verdict.PASS), duration_s=float("nan"))
    with pytest.raises(NotReportable, match="number"):
        build([endless], CLAUSES, PROFILE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_clauses_outside_the_profile_are_named_and_not_counted(tmp_path: Path) -> None:
    profile = replace(PROFILE, clauses=frozenset({"LOG-01", "LOG-06"}))
    build(evidence(), CLAUSES, profile, tmp_path)
    report = assemble(evidence(), CLAUSES, profile)
    assert list(report.targets[0].verdicts) == ["LOG-01", "LOG-06"]
    assert "LOG-02" in report.outside
    assert "does not contain them: LOG-02" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}\n", "evidence.ndjson:2: not an evidence record"),
        (b"not json\n", "evidence.ndjson:2: not an evidence record"),
        (b"\xff\xfe\n", "evidence.ndjson:2: not an evidence record"),
        (None, "No such file"),
    ],
)
def test_the_command_names_what_it_cannot_read(
    content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "evidence.ndjson"
    if content is not None:
        line = record("LOG-01", Verdict.PASS).line().encode()
        path.write_bytes(line + b"\n" + content)
    done = command(str(path), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_merges_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        found = replace(record("LOG-01", Verdict.PASS), target=name)
        (tmp_path / name).write_text(found.line() + "\n", encoding="utf-8")
    out = tmp_path / "out"
    done = command(str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["NOT SHOWN  a", "NOT SHOWN  b", str(out / "index.html")]
    assert "unknown" not in command("--profile=unknown", "x", "--out=y").stdout


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reports", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parent.parent,
    )


def test_styles_cover_every_verdict_and_headline() -> None:
    assert set(page.STYLES) == set(Verdict)
    assert set(page.HEADLINE_VERDICTS) == set(Headline)
