"""From evidence to a folder: `index.html`, `report.json`, `summary.md` and `badge.svg`.

What would make the page too long for a browser or a reader lies in files beside it."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from reports import machine, page, summary
from reports.model import NotReportable, Profile, Report, assemble
from spec.clause import Clause
from spec.evidence import Evidence


def build(
    evidence: Iterable[Evidence], clauses: Mapping[str, Clause], profile: Profile, out: Path
) -> Report:
    """Writes the four files, and those beside the page, into `out`, made where it is missing.

    Equal evidence gives equal bytes: nothing but the arguments is looked at, not even the clock.
    Raises `NotReportable` where evidence, clauses and profile do not fit, and `OSError`.
    """
    report = assemble(evidence, clauses, profile)
    contents = {
        **page.pages(report),
        "report.json": _json(report),
        "summary.md": summary.render(report),
        "badge.svg": page.badge(report),
    }
    for name, text in contents.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        # A lone surrogate is lawful in JSON's escapes and not in UTF-8: it stays an escape.
        (out / name).write_bytes(text.encode("utf-8", errors="backslashreplace"))
    return report


def _json(report: Report) -> str:
    document = machine.document(report)
    try:
        return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise NotReportable(
            f"the evidence holds a number that JSON has no word for: {error}"
        ) from error
