"""The diagram and the player of stories, in headless Chromium."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reports.build import build
from spec.verdict import Verdict
from tests.browser.chromium import Page, browser, executable
from tests.browser.test_pages import found_wrong, wait_for
from tests.sample_evidence import CLAUSES, PROFILE, evidence, record
from tests.sample_stories import failover, long_run, lost_write

LOST = "LOG-02/lost@reference"
VIEWS = ("overview", "scenarios", LOST, f"{LOST}@8", "LOG-06/failover", "LOG-03/long@reference@650")
pytestmark = pytest.mark.skipif(executable() is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    told = {
        "lost": ("LOG-02", Verdict.FAIL, lost_write()),
        "failover": ("LOG-06", Verdict.PASS, failover()),
        "long": ("LOG-03", Verdict.FAIL, long_run(700, 660)),
    }
    records = [
        replace(record(clause, verdict, slug=slug), story=story)
        for slug, (clause, verdict, story) in told.items()
    ]
    folder = tmp_path_factory.mktemp("report")
    build([*evidence(), *records], CLAUSES, PROFILE, folder)
    return folder / "index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser() as found:
        yield found


@pytest.fixture
def page(chromium: Page) -> Iterator[Page]:
    chromium.errors.clear()
    chromium.show(width=1440, dark=False)
    yield chromium
    assert chromium.errors == []


def title(page: Page) -> str:
    found: str = page.evaluate("document.querySelector('.v.show .stage h3 span').textContent")
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1000, 420])
def test_stories_are_legible_and_fit(page: Page, report: Path, width: int, dark: bool) -> None:
    page.show(width=width, dark=dark)
    for view in VIEWS:
        page.open(report, view)
        assert found_wrong(page) == {}, view


def test_it_opens_at_the_first_violation_or_at_the_step_of_the_address(
    page: Page, report: Path
) -> None:
    for address, expected in {
        LOST: "11. elect_leader(b2)",
        f"{LOST}@8": "8. restart(b2)",
        "LOG-02/lost@3": "3. leader_write(b1)",
        f"{LOST}@99999": "12. become_leader(b2)",
        "LOG-06/failover": "6. elect_leader(b2)",
        "LOG-03/long@651": "651. leader_write(b1)",
    }.items():
        page.open(report, address)
        assert title(page) == expected, address


def test_keys_buttons_and_the_address_keep_step(page: Page, report: Path) -> None:
    page.open(report, LOST)
    for key, step in (("ArrowLeft", 10), ("Home", 0), ("ArrowRight", 1), ("End", 12), ("f", 11)):
        page.press(key)
        assert title(page).startswith(f"{step}. "), key
    wait_for(page, f"location.hash === '#{LOST}@11'")
    page.evaluate("document.getElementById('LOG-02/lost@reference@4').firstChild.click()")
    assert title(page) == "4. follower_fetch(b2)"
    assert page.evaluate("document.querySelector('.v.show input[type=range]').value") == "4"
    current = "document.querySelectorAll('.v.show [aria-current=step]')"
    assert page.evaluate(f"{current}.length") == 1
    assert page.evaluate(f"{current}[0].parentNode.id") == f"{LOST}@4"
    assert page.evaluate("document.querySelectorAll('.v.show .message.now').length") == 2


def test_a_record_that_is_lost_is_drawn_as_missing_from_its_violation_on(
    page: Page, report: Path
) -> None:
    page.open(report, f"{LOST}@10")
    ghosts = "[...document.querySelectorAll('.v.show .ghost b')].map(b => b.textContent)"
    holds = "document.querySelector('.v.show .holds').textContent"
    assert (page.evaluate(ghosts), page.evaluate(holds)) == ([], "✓ LOG-02 holds")
    page.press("ArrowRight")
    assert page.evaluate(ghosts) == ["v2"]
    assert page.evaluate(holds) == "✕ first violation of LOG-02"
    page.press("ArrowRight")
    assert page.evaluate(holds) == "✕ LOG-02 violated since step 11"


def test_logs_are_drawn_with_epochs_and_watermarks(page: Page, report: Path) -> None:
    page.open(report, f"{LOST}@4")
    cells = "[...document.querySelectorAll('.v.show .record')].map(cell => cell.innerText)"
    assert page.evaluate(cells) == ["e1\nv1", "e1\nv2"] * 2
    above = "document.querySelectorAll('.v.show .record.above').length"
    assert page.evaluate(above) == 3
    marks = "[...document.querySelectorAll('.v.show .mark')].map(mark => mark.textContent)"
    assert page.evaluate(marks) == ["HW 0", "end 2", "HW 1", "end 2"]


def test_the_story_is_there_without_scripts(page: Page, report: Path) -> None:
    page.scripts(enabled=False)
    try:
        page.open(report, LOST)
        visible = "[...document.querySelectorAll('{}')].filter(e => e.checkVisibility()).length"
        assert page.evaluate(visible.format(".spacetime")) == 3
        assert page.evaluate(visible.format(".replicas")) == 3
        assert page.evaluate(visible.format(".play .right, .at")) == 0
        assert page.evaluate("document.querySelector('.rows').offsetWidth") > 500
    finally:
        page.scripts(enabled=True)
