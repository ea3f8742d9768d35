"""`summary.md`: the headline, the counts and what needs a look, for a pull request or a log."""

import re

from reports.model import Report, Target
from reports.wire import cut
from spec.verdict import Verdict

ROWS = 60
"""How many broken or open clauses are listed per target; the page has all of them."""


def render(report: Report) -> str:
    """Markdown, ending in a newline."""
    words = [v for v in Verdict if any(t.counts[v] for t in report.targets)]
    lines = [
        f"# Profile {_md(report.profile.name)}: {report.headline.value}",
        "",
        "| target | headline | " + " | ".join(f"{v.mark} {v.value}" for v in words) + " |",
        "|---|---|" + "---:|" * len(words),
    ]
    for target in report.targets:
        counts = " | ".join(str(target.counts[v]) for v in words)
        lines.append(f"| {_md(target.name)} | {target.headline.value} | {counts} |")
    if report.mutants and report.mutants != report.targets:
        killed = sum(bool(report.killers(mutant)) for mutant in report.mutants)
        lines += ["", f"{killed} of {len(report.mutants)} mutants killed."]
    for target in report.targets:
        lines += _exceptions(target)
    return "\n".join(lines) + "\n"


def _exceptions(target: Target) -> list[str]:
    order = [Verdict.ERROR, Verdict.FAIL, Verdict.KNOWN, Verdict.INCONCLUSIVE, Verdict.WEAK]
    found = [id for verdict in order for id, v in target.verdicts.items() if v is verdict]
    if not found:
        return []
    lines = [
        "",
        f"## {_md(target.name)}",
        "",
        "| clause | verdict | case | why |",
        "|---|---|---|---|",
    ]
    for id in found[:ROWS]:
        run = target.decisive(id)
        if run is None:
            continue
        seen = run.record.counterexample
        why = seen.observed if seen else run.record.note
        verdict = f"{run.record.verdict.mark} {run.record.verdict.value}"
        lines.append(f"| {id} | {verdict} | {_md(run.record.title)} | {_md(why)} |")
    if len(found) > ROWS:
        lines += ["", f"{len(found) - ROWS} more in the report."]
    return lines


def _md(text: str) -> str:
    """One line of plain text: nothing in it is markup, a cell border or HTML."""
    line = cut(" ".join(text.split()), 240)
    escaped = re.sub(r"([\\`*_\[\]|#~!])", r"\\\1", line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
