"""The report drawn by headless Chromium: each view, light and dark, wide and narrow."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reports.build import build
from tests.browser.chromium import Page, browser, executable
from tests.sample_evidence import CLAUSES, PROFILE, TARGETS, evidence, hostile

AUDIT = (Path(__file__).parent / "audit.js").read_text(encoding="utf-8")
VIEWS = (
    "overview",
    "overview?show=exceptions&area=LOG&q=sample",
    "LOG-02",
    "LOG-11",
    "LOG-02/a-case",
    "LOG-03/a-case@reference+crc_not_checked",
    "mutants",
    "not-tested",
    "legend",
)
pytestmark = pytest.mark.skipif(executable() is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    build(evidence(), CLAUSES, PROFILE, folder)
    return folder / "index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser() as found:
        yield found


@pytest.fixture
def page(chromium: Page) -> Iterator[Page]:
    """A window of the usual size; fails the test on any error of the console."""
    chromium.errors.clear()
    chromium.show(width=1440, dark=False)
    yield chromium
    assert chromium.errors == []


def found_wrong(page: Page) -> dict[str, Any]:
    audit: dict[str, Any] = page.evaluate(AUDIT)
    assert audit.pop("views") == 1
    assert audit.pop("texts") > 10
    return {what: where for what, where in audit.items() if where}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 420])
def test_every_view_is_legible_and_fits(page: Page, report: Path, width: int, dark: bool) -> None:
    page.show(width=width, dark=dark)
    for view in VIEWS:
        page.open(report, view)
        assert found_wrong(page) == {}, view


def test_hostile_text_does_not_break_the_layout(page: Page, tmp_path: Path) -> None:
    build(hostile(), CLAUSES, PROFILE, tmp_path)
    ids = page_ids(page, tmp_path / "index.html")
    for width in (1440, 420):
        page.show(width=width, dark=False)
        for view in (
            "overview",
            "not-tested",
            "mutants",
            *(i for i in ids if i.startswith("LOG-01")),
        ):
            page.open(tmp_path / "index.html", view)
            assert found_wrong(page) == {}, view


def page_ids(page: Page, file: Path) -> list[str]:
    page.open(file)
    ids: list[str] = page.evaluate("[...document.querySelectorAll('.v')].map(view => view.id)")
    return ids


def test_the_audit_sees_what_is_wrong(page: Page, report: Path) -> None:
    page.open(report, "LOG-02")
    page.evaluate("document.querySelector('.v.show .why').style.color = '#ccc'")
    page.evaluate("document.querySelector('.v.show .norm').style.width = '3000px'")
    page.evaluate("document.querySelector('.v.show .norm').style.maxWidth = 'none'")
    assert {"pale", "wide"} <= set(found_wrong(page))
    page.evaluate("console.error('seen')")
    assert len(page.errors) == 1
    page.errors.clear()


def test_filters_keep_rows_and_the_address(page: Page, report: Path) -> None:
    page.open(report, "overview?show=differs")
    assert rows(page) == ["LOG-01", "LOG-02", "LOG-05", "LOG-07"]
    page.evaluate("document.querySelector('[data-show=open]').click()")
    everything = rows(page)
    assert len(everything) == len(CLAUSES)
    page.evaluate("text.value = 'prod-0 SHOULD'")
    page.evaluate("text.dispatchEvent(new Event('input'))")
    assert rows(page) == ["PROD-01"]
    assert page.evaluate("location.hash") == "#overview?show=open&q=prod-0+SHOULD"
    assert page.evaluate("shown.textContent") == f"1 of {len(CLAUSES)} clauses"
    page.open(report, "overview?show=nonsense&area=%3Cb%3E&q=%")
    assert rows(page) == []


def rows(page: Page) -> list[str]:
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('.mx tr[data-clause]')].filter(row => "
        "row.checkVisibility()).map(row => row.dataset.clause)"
    )
    return found


def test_keys_and_links_lead_where_they_say(page: Page, report: Path) -> None:
    page.open(report, f"LOG-02/a-case@{TARGETS[1].replace(':', '-')}")
    assert page.evaluate("document.querySelector('.v.show').id") == "LOG-02/a-case"
    page.press("/")
    wait_for(page, "document.activeElement.id === 'text'")
    assert page.evaluate("document.querySelector('.v.show').id") == "overview"
    page.evaluate("document.querySelector('.mx a[href=\"#LOG-11\"]').click()")
    wait_for(page, "document.activeElement.tagName === 'H1'")
    assert page.evaluate("document.title").startswith("LOG-11")
    page.evaluate("history.back()")
    wait_for(page, "document.querySelector('.v.show').id === 'overview'")


def test_the_command_can_be_copied(page: Page, report: Path) -> None:
    page.open(report, "LOG-02/a-case")
    page.evaluate("document.querySelector('.v.show .copy').click()")
    wait_for(page, "document.querySelector('.v.show .copy').textContent !== 'copy'")
    copied = page.evaluate("document.querySelector('.v.show .copy').textContent")
    assert copied in ("✓ copied", "Ctrl+C")
    if copied == "Ctrl+C":
        assert page.evaluate("getSelection().toString()").startswith("pytest conformance")


def test_the_theme_can_be_chosen(page: Page, report: Path) -> None:
    page.open(report)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.evaluate("theme.click(), theme.click()")
    assert page.evaluate("theme.textContent") == "dark"
    assert page.evaluate(ground) != light
    page.evaluate("theme.click()")


def test_everything_is_there_without_scripts(page: Page, report: Path) -> None:
    page.scripts(enabled=False)
    try:
        page.open(report, "LOG-02/a-case")
        hidden = "[...document.querySelectorAll('.v')].filter(view => !view.checkVisibility())"
        assert page.evaluate(f"{hidden}.length") == 0
        assert page.evaluate("document.querySelector('.filters').checkVisibility()") is False
        assert page.evaluate("scrollY") > 0
        assert page.evaluate("document.querySelectorAll('.v').length") > len(CLAUSES)
    finally:
        page.scripts(enabled=True)


def wait_for(page: Page, condition: str) -> None:
    deadline = time.monotonic() + 10
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        time.sleep(0.02)
