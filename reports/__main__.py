"""`python -m reports EVIDENCE.ndjson [more.ndjson] --out DIR`: a report from evidence files."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from reports.build import build
from reports.model import NotReportable
from spec.clauses import CLAUSES
from spec.evidence import Evidence, UnreadableEvidence, read
from spec.profile import PROFILES

USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0 where the report was written, whatever it says; 2 where it was not."""
    parser = argparse.ArgumentParser(
        prog="python -m reports", description="Make a report from evidence files."
    )
    parser.add_argument("evidence", nargs="+", type=Path, help="files of evidence records")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--profile", default="all", choices=sorted(PROFILES))
    options = parser.parse_args(arguments)
    try:
        report = build(_read(options.evidence), CLAUSES, PROFILES[options.profile], options.out)
    except (NotReportable, OSError, UnreadableEvidence) as error:
        print(f"reports: {error}", file=sys.stderr)
        return USAGE_ERROR
    for target in report.targets:
        print(f"{target.headline.value:9}  {target.name}")
    print(options.out / "index.html")
    return 0


def _read(paths: Sequence[Path]) -> Iterator[Evidence]:
    """The records of all files in order."""
    for path in paths:
        yield from read(path)


if __name__ == "__main__":
    sys.exit(main())
