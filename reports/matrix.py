"""`python -m reports.matrix report.json README.md`: the published results as a table in README.

It replaces what stands between `<!-- matrix -->` and `<!-- /matrix -->`: a row per area of clauses,
a column per target, in each cell how many clauses have which verdict.
"""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spec.verdict import Verdict

BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"
USAGE_ERROR = 2


def table(report: dict[str, Any]) -> str:
    """Markdown from a `report.json` of one or of several targets, without a final newline.

    Mutants of the reference are left out: they show what the suite sees, not what a target does.
    """
    targets = [target for target in report.get("targets", [report]) if "mutant" not in target]
    names = [f"`{target['target']}`" for target in targets]
    headlines = [f"**{target['headline']}**" for target in targets]
    lines = [_row("", names), _row("---", ["---"] * len(names)), _row("headline", headlines)]
    for area in dict.fromkeys(clause["id"].partition("-")[0] for clause in targets[0]["clauses"]):
        cells = [_cell(target, area) for target in targets]
        if any(cell.strip("· 0123456789") for cell in cells):
            lines.append(_row(area, cells))
    return "\n".join(lines)


def _row(first: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join([first, *cells]) + " |"


def _cell(target: dict[str, Any], area: str) -> str:
    found = Counter(
        Verdict(clause["verdict"])
        for clause in target["clauses"]
        if clause["id"].partition("-")[0] == area
    )
    order = [Verdict.PASS, *(verdict for verdict in Verdict if verdict is not Verdict.PASS)]
    return " ".join(f"{found[verdict]} {verdict.mark}" for verdict in order if found[verdict])


def replaced(text: str, matrix: str) -> str:
    """The text with the matrix between its marks. Raises `ValueError` where a mark is missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{BEGIN} and {END} do not both stand in it")
    return f"{before}{BEGIN}\n{matrix}\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    if len(arguments) != 2:
        print("usage: python -m reports.matrix REPORT.json README.md", file=sys.stderr)
        return USAGE_ERROR
    report, readme = map(Path, arguments)
    try:
        matrix = table(json.loads(report.read_text(encoding="utf-8")))
        text = replaced(readme.read_text(encoding="utf-8"), matrix)
    except (OSError, ValueError, KeyError) as error:
        print(f"reports.matrix: {report} and {readme}: {error}", file=sys.stderr)
        return USAGE_ERROR
    readme.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
