"""`index.html` and `badge.svg`: Jinja2 templates over the view of the evidence."""

import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from reports import formal, simulation, stories
from reports.diagram import MARKS, Diagram
from reports.model import Report, Run
from reports.text import escaped, visible
from reports.view import EXCEPTIONS, View
from reports.wire import Log, bounded, cut, logs, one_line
from reports.wire import files as files_of_logs
from spec.verdict import Headline, Verdict

TEXT_CHARACTERS = 4_000
STYLES = {
    Verdict.PASS: "p",
    Verdict.WEAK: "w",
    Verdict.INFO: "i",
    Verdict.KNOWN: "k",
    Verdict.INCONCLUSIVE: "u",
    Verdict.UNSUPPORTED: "o",
    Verdict.UNOBSERVABLE: "o",
    Verdict.NOT_RUN: "o",
    Verdict.FAIL: "f",
    Verdict.ERROR: "e",
}
HEADLINE_VERDICTS = {
    Headline.SHOWN: Verdict.PASS,
    Headline.NOT_SHOWN: Verdict.INCONCLUSIVE,
    Headline.VIOLATED: Verdict.FAIL,
}
"""Whose mark and colour a headline takes."""
AREA_NAMES = {
    "CTL": "Controller election and fencing",
    "META": "Topics and partition metadata",
    "LEAD": "Partition leadership",
    "ISR": "In-sync replicas and high watermark",
    "LOG": "Log structure, truncation, retention",
    "OFF": "Offsets",
    "PROD": "Produce and idempotence",
    "CONS": "Fetch",
    "GRP": "Consumer groups",
    "TXN": "Transactions",
    "AMO": "At most once",
    "ALO": "At least once",
    "EOS": "Exactly once",
    "QUOTA": "Client quotas",
    "ACL": "Authorization",
    "DUR": "Durability and integrity",
    "ERR": "Protocol errors and negotiation",
}

_COMMENT = re.compile(r"//.*|/\*.*\*/")
_NORMATIVE = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")


def pages(report: Report) -> dict[str, str]:
    """`index.html`, readable without scripts and without a network, and what lies beside it: long
    stories, and the wire logs of what did not fail."""
    view = View(report)
    found = _logs(report, view)
    html = (
        _environment()
        .get_template("base.html.jinja")
        .render(
            report=report,
            view=view,
            wire=found,
            player_data=Markup(stories.player_data(list(view.stories.values()))),
            css=Markup(_asset("report.css") + _asset("story.css")),
            js=Markup(_asset("report.js") + _asset("player.js")),
        )
    )
    words = view.refutations_in_words()
    whole = {shown.file: stories.whole_file(shown.whole) for shown in view.stories.values()}
    whole.pop("", None)
    return {"index.html": html, **files_of_logs(found), **words, **whole}


def _logs(report: Report, view: View) -> dict[str, Log]:
    """By the id of the run. What needs a look on a target is on the page."""
    told = [
        (target, run)
        for cases in report.cases.values()
        for case in cases
        for target, run in view.ordered(case)
    ]
    on_page, aside = list[Run](), list[Run]()
    for target, run in told:
        needed = run.record.verdict in EXCEPTIONS and target in report.targets
        (on_page if needed else aside).append(run)
    found = logs([run.record for run in on_page], [run.record for run in aside])
    return {run.id: log for run, log in zip(on_page + aside, found, strict=True)}


def badge(report: Report) -> str:
    """The worst headline of the columns, as a small SVG."""
    label, value = f"highwater {report.profile.name}", report.headline.value
    return (
        _environment()
        .get_template("badge.svg.jinja")
        .render(
            label=label,
            value=value,
            label_px=14 + 7 * len(label),
            value_px=14 + 8 * len(value),
            fill={"SHOWN": "#1c663f", "NOT SHOWN": "#744800", "VIOLATED": "#a3160d"}[value],
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    environment.filters |= {
        "style": lambda verdict: STYLES[verdict],
        "normative": _normative,
        "breakable": _breakable,
        "cut": _cut,
        "fact": _fact,
        "kill_of": simulation.kill,
        "number": lambda value: f"{value:,}".replace(",", "\u2009"),
        "seconds": _seconds,
        "moment": lambda at: re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*$", r"\1 \2 UTC", at),
    }
    environment.globals |= {
        "Verdict": Verdict,
        "area_name": lambda area: AREA_NAMES.get(area, ""),
        "headline_verdict": HEADLINE_VERDICTS.__getitem__,
        "any_simulation": simulation.any_simulation,
        "simulations": simulation.simulations,
        "simulation_counts": (
            ("runs", "seeds"),
            ("events", "events"),
            ("steps validated", "validated"),
            ("refused", "refused"),
            ("outgrown", "outgrown"),
        ),
        "diagram_of": Diagram,
        "outcome_marks": MARKS,
        "replica_rows": stories.replica_rows,
        "model_of": formal.model_of,
        "size_of": formal.size_of,
        "weight_of": formal.weight_of,
    }
    return environment


def _template(name: str) -> str:
    return (files("reports") / "templates" / name).read_text(encoding="utf-8")


def _asset(name: str) -> str:
    """A style sheet or a script without indentation and without lines that only comment."""
    text = (files("reports") / "assets" / name).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not _COMMENT.fullmatch(line)) + "\n"


def _normative(sentence: str) -> Markup:
    return Markup(_NORMATIVE.sub(r'<b class="kw">\1</b>', escaped(sentence)))


def _breakable(name: str) -> Markup:
    """A target's or a model's name that may wrap where its parts meet."""
    return Markup(re.sub(r"([+,:/])", r"\1<wbr>", escaped(cut(name, 80))))


def _cut(text: str, limit: int = TEXT_CHARACTERS) -> str:
    return cut(text, limit)


def _fact(value: Any) -> str:
    if isinstance(value, str):
        return cut(value, 300)
    return cut(one_line(bounded(value), top=True), 300)


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
