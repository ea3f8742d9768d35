"""Lives in the process that sees every test's report: evidence file, summary, exit status."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from spec.clause import Clause, Level
from spec.clauses import CLAUSES
from spec.evidence import Evidence, parse
from spec.profile import PROFILES, Profile
from spec.verdict import Headline, Verdict, headline, merge

ONLY_INCONCLUSIVE, TARGET_UNREACHABLE = 6, 7
REMARK_MAX = 200


class Recorder:
    """Collects the records that tests attach to their reports, whichever worker ran them."""

    def __init__(self, config: pytest.Config, profile: Profile, folder: Path) -> None:
        self.config, self.profile, self.folder = config, profile, folder
        self.judged = {id_: c for id_, c in CLAUSES.items() if id_ in profile.clauses}
        self.verdicts: dict[str, list[Verdict]] = {}
        self.premises: Counter[str] = Counter()
        self.remarks: dict[str, list[str]] = {}
        self.unexpected_inconclusive = False
        self.unreachable = ""
        self.path = folder / "evidence.ndjson"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        attached: dict[str, Any] = getattr(report, "highwater", {})
        if attached and not self.verdicts:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.write_text("", encoding="utf-8")
        for line in attached.get("records", ()):
            self._count(parse(line), attached)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        if attached.get("unreachable") and not self.unreachable:
            self.unreachable = attached["unreachable"]

    def _count(self, record: Evidence, attached: dict[str, Any]) -> None:
        self.verdicts.setdefault(record.clause, []).append(record.verdict)
        self.premises[record.clause] += record.premise_count
        if record.verdict is not Verdict.PASS:
            said = record.note or (record.counterexample and record.counterexample.expected) or ""
            remark = (
                f"   {record.verdict.mark:2} {record.case}: {said.splitlines()[0] if said else ''}"
            )
            self.remarks.setdefault(record.clause, []).append(remark[:REMARK_MAX])
        if record.verdict is Verdict.INCONCLUSIVE and not attached["expected"]:
            self.unexpected_inconclusive = True

    def verdict(self, clause: str) -> Verdict:
        return merge(self.verdicts.get(clause, ()))

    def headline(self, profile: Profile) -> Headline:
        musts = (id_ for id_ in profile.clauses if CLAUSES[id_].level is Level.MUST)
        return headline(map(self.verdict, musts))

    # ---- pytest ---------------------------------------------------------------------------------

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.unreachable:
            session.exitstatus = TARGET_UNREACHABLE
        elif exitstatus == pytest.ExitCode.OK and self.unexpected_inconclusive:
            session.exitstatus = ONLY_INCONCLUSIVE
        if self.verdicts:
            hook = self.config.hook.pytest_evidence_complete
            hook(config=self.config, evidence=self.path, profile=self.profile)

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.verdicts:
            return
        terminalreporter.section("clauses")
        for clause in self.judged.values():
            verdict = self.verdict(clause.id)
            if verdict is Verdict.NOT_RUN and clause.id not in self.verdicts:
                continue
            terminalreporter.line(self._row(clause, verdict))
            for line in self.remarks.get(clause.id, ()):
                terminalreporter.line(line)
        for profile in PROFILES.values() if self.profile.name == "all" else ():
            if profile.name != "all":
                terminalreporter.line(f"{self.headline(profile):10}{self.counts(profile)}")
        summary = f"{self.headline(self.profile)}: {self.counts(self.profile)}"
        terminalreporter.section(summary, sep="=")
        if self.unreachable:
            terminalreporter.line(f"target unreachable: {self.unreachable}", red=True)

    def _row(self, clause: Clause, verdict: Verdict) -> str:
        cases, premises = len(self.verdicts[clause.id]), self.premises[clause.id]
        numbers = f"{cases} {'case' if cases == 1 else 'cases'}, premise {premises:,}"
        sentence = clause.sentence if len(clause.sentence) < 72 else clause.sentence[:71] + "…"
        return f"{verdict.mark:2} {clause.id:9}{verdict.value:13}{numbers:26}{sentence}"

    def counts(self, profile: Profile) -> str:
        """`30 of 36 clauses of core pass, 6 not run`: every clause is counted, run or not."""
        found = Counter(map(self.verdict, profile.clauses))
        passed, total = found.pop(Verdict.PASS, 0), len(profile.clauses)
        rest = "".join(f", {found[v]} {v.value}" for v in Verdict if found[v])
        return f"{passed} of {total} clauses of {profile.name} pass{rest}"
