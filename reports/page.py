"""`index.html` and `badge.svg`: Jinja2 templates over the view of the evidence."""

import re
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import formal
from reports.model import Report
from reports.view import View
from reports.wire import bounded, cut, logs, one_line
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

# Characters that would vanish, reorder the line around them, or not survive UTF-8.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_NORMATIVE = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")


def render(report: Report) -> str:
    """The whole page: one file, no network, readable without scripts."""
    environment = _environment()
    view = View(report)
    runs = [
        run for cases in report.cases.values() for case in cases for _, run in view.ordered(case)
    ]
    wire = dict(zip((run.id for run in runs), logs([run.record for run in runs]), strict=True))
    return environment.get_template("base.html.jinja").render(
        report=report,
        view=view,
        wire=wire,
        css=Markup(_asset("report.css")),
        js=Markup(_asset("report.js")),
    )


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
        finalize=_visible,
    )
    environment.filters |= {
        "style": lambda verdict: STYLES[verdict],
        "normative": _normative,
        "breakable": _breakable,
        "cut": _cut,
        "fact": _fact,
        "number": lambda value: f"{value:,}".replace(",", "\u2009"),
        "seconds": _seconds,
        "moment": lambda at: re.sub(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d).*$", r"\1 \2 UTC", at),
    }
    environment.globals |= {
        "Verdict": Verdict,
        "area_name": lambda area: AREA_NAMES.get(area, ""),
        "headline_verdict": HEADLINE_VERDICTS.__getitem__,
        "model_of": formal.model_of,
        "size_of": formal.size_of,
        "weight_of": formal.weight_of,
    }
    return environment


def _template(name: str) -> str:
    return (files("reports") / "templates" / name).read_text(encoding="utf-8")


def _asset(name: str) -> str:
    return (files("reports") / "assets" / name).read_text(encoding="utf-8")


def _visible(value: Any) -> Any:
    """Text from a target must not hide or reorder what is printed around it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return value


def _normative(sentence: str) -> Markup:
    return Markup(_NORMATIVE.sub(r'<b class="kw">\1</b>', str(escape(_visible(sentence)))))


def _breakable(name: str) -> Markup:
    """A target's or a model's name that may wrap where its parts meet."""
    return Markup(re.sub(r"([+,:/])", r"\1<wbr>", str(escape(_visible(cut(name, 80))))))


def _cut(text: str, limit: int = TEXT_CHARACTERS) -> str:
    return cut(text, limit)


def _fact(value: Any) -> str:
    if isinstance(value, str):
        return cut(value, 300)
    return cut(one_line(bounded(value), top=True), 300)


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
