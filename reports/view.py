"""What templates ask of a report: cells, filters, groups and counts."""

from collections.abc import Iterator
from dataclasses import dataclass

from reports import simulation
from reports.formal import model_of, weight_of
from reports.model import NO_CASE, UNDECIDED, Case, Report, Run, Target
from reports.stories import Shown, shown, within_room
from reports.text import Slugs, visible
from reports.wire import cut
from spec.clause import Clause
from spec.evidence import Evidence
from spec.verdict import Verdict, merge

EXCEPTIONS = (Verdict.ERROR, Verdict.FAIL, Verdict.KNOWN, Verdict.INCONCLUSIVE, Verdict.WEAK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One mark of a matrix: always a mark and a word, so colour says nothing alone."""

    verdict: Verdict
    word: str
    amount: int | None
    """Premise count, or number of mutants killed."""
    href: str
    """Where the reason stands; empty for what needs no look, which keeps tab stops few."""
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refutation:
    """A wrong variant of a model that breaks an invariant of a clause."""

    id: str
    record: Evidence
    told_at: str
    """The id under another clause where the same counterexample is told; empty if it is here."""

    @property
    def words(self) -> str:
        """Every state of the model, action by action."""
        return self.record.counterexample.observed if self.record.counterexample else ""

    @property
    def file(self) -> str:
        """Where the words lie beside the page; empty if they are on it, for want of a player."""
        played = self.record.story is not None and not self.told_at
        return f"refutations/{self.record.clause}.txt" if played else ""


def _refutations(report: Report) -> dict[str, list[Refutation]]:
    """An invariant may stand for several clauses; its counterexample is told at the first."""
    first: dict[tuple[str, str], str] = {}
    found: dict[str, list[Refutation]] = {}
    for clause in report.clauses:
        slugs = Slugs()
        for record in report.formal.refutations(clause):
            id_ = f"{clause}/{slugs.of(record.case.removeprefix(f'{clause}/'))}@model"
            text = record.counterexample.observed if record.counterexample else ""
            place = first.setdefault((record.target, text or id_), id_)
            refutation = Refutation(id=id_, record=record, told_at="" if place == id_ else place)
            found.setdefault(clause, []).append(refutation)
    return found


def _shown(id: str, record: Evidence) -> list[Shown]:
    return [shown(id, record.clause, record.story)] if record.story else []


class View:
    """What templates ask for, beside the report itself."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.refutations = _refutations(report)
        """By clause: the wrong variants of models that break it."""
        self.stories = {story.id: story for story in within_room(list(self._told()))}
        """What is told step by step, by the id of the run or of the refutation."""

    def _told(self) -> Iterator[Shown]:
        """Most important first: of columns, one of each mutant, of models, the rest of mutants."""
        report, runs = self.report, list[tuple[Target, Run]]()
        for case in (case for cases in report.cases.values() for case in cases):
            runs += [(target, run) for target, run in self.ordered(case) if run.record.story]
        firsts = {target.name: run.id for target, run in reversed(runs)}
        ranks: dict[int, list[Shown]] = {0: [], 1: [], 2: [], 3: []}
        for target, run in runs:
            rank = 0 if target in report.targets else 1 if firsts[target.name] == run.id else 3
            ranks[rank] += _shown(run.id, run.record)
        for one in (one for told in self.refutations.values() for one in told):
            ranks[2] += [] if one.told_at else _shown(one.id, one.record)
        for found in ranks.values():
            yield from found

    def refutations_in_words(self) -> dict[str, str]:
        """The files beside the page that tell refutations with the model's whole states."""
        texts: dict[str, str] = {}
        for one in (one for found in self.refutations.values() for one in found if one.file):
            head = f"{one.id}\n{one.record.title}\n{one.record.reproduce}\n"
            texts[one.file] = texts.get(one.file, "") + visible(f"{head}\n{one.words}\n\n\n")
        return texts

    def cell(self, clause: str, target: Target) -> Cell:
        """A clause on a target."""
        verdict = target.verdicts[clause]
        run = target.decisive(clause)
        look = verdict in EXCEPTIONS and run is not None
        return Cell(
            verdict=verdict,
            word=verdict.value,
            amount=target.premise_count(clause) or None,
            href=f"#{run.id}" if look and run else "",
            title="" if verdict is Verdict.PASS else "; ".join(target.reasons(clause)),
        )

    def proved_cell(self, clause: str) -> Cell:
        """How many invariants that the clause stands on are proved, for any size."""
        return self._formal_cell(clause, self.report.formal.proofs(clause), "proved")

    def explored_cell(self, clause: str) -> Cell:
        """In how many models all states within bounds were looked at."""
        return self._formal_cell(clause, self.report.formal.explorations(clause), "explored")

    def _formal_cell(self, clause: str, found: list[Evidence], word: str) -> Cell:
        if not found:
            return Cell(verdict=Verdict.NOT_RUN, word="none", amount=None, href="", title="")
        verdict = merge(record.verdict for record in found)
        titles = [f"{model_of(record)}: {record.title} ({weight_of(record)})" for record in found]
        return Cell(
            verdict=verdict,
            word=word if verdict is Verdict.PASS else f"not {word}",
            amount=len(found),
            href="" if verdict is Verdict.PASS else f"#{clause}",
            title="; ".join(titles),
        )

    def simulated_cell(self, clause: str) -> Cell:
        """In how many simulated runs the clause held."""
        found = simulation.simulations(self.report, clause)
        if not found:
            return Cell(verdict=Verdict.NOT_RUN, word="none", amount=None, href="", title="")
        verdict = merge(one.run.record.verdict for one in found)
        look = next(one.run for one in found if one.run.record.verdict is verdict)
        titles = [f"{one.target.name}, {one.mode}: {one.run.record.verdict.value}" for one in found]
        return Cell(
            verdict=verdict,
            word="held" if verdict is Verdict.PASS else verdict.value,
            amount=simulation.seeds(found) or None,
            href=f"#{look.id}" if verdict in EXCEPTIONS else "",
            title="; ".join(titles),
        )

    def mutants_cell(self, clause: str) -> Cell:
        """How many mutants the clause's cases killed."""
        killed = self.report.killed_by(clause)
        if killed:
            names = ", ".join(mutant.mutant or "" for mutant in killed)
            return Cell(
                verdict=Verdict.PASS, word="killed", amount=len(killed), href="", title=names
            )
        ran = any(clause in mutant.runs for mutant in self.report.mutants)
        word = "no kill" if ran else Verdict.NOT_RUN.value
        why = "every mutant that ran against it was killed elsewhere, or survived" if ran else ""
        return Cell(verdict=Verdict.NOT_RUN, word=word, amount=None, href="", title=why or NO_CASE)

    def run_cell(self, run: Run | None) -> Cell:
        """A case on a target."""
        if run is None:
            verdict = Verdict.NOT_RUN
            return Cell(verdict=verdict, word=verdict.value, amount=None, href="", title=NO_CASE)
        record = run.record
        return Cell(
            verdict=record.verdict,
            word=record.verdict.value,
            amount=record.premise_count or None,
            href=f"#{run.id}",
            title=record.note,
        )

    def ordered(self, case: Case) -> list[tuple[Target, Run]]:
        """The runs to show: those of the columns, worst first, then the mutants it killed."""
        columns = [(target, case.runs.get(target.name)) for target in self.report.targets]
        mutants = [
            (mutant, case.runs.get(mutant.name))
            for mutant in self.report.mutants
            if mutant not in self.report.targets
        ]
        killed = [(mutant, run) for mutant, run in mutants if run and run.record.verdict.violates]
        order = list(Verdict)
        shown = [(target, run) for target, run in columns if run]
        return sorted(shown, key=lambda item: order.index(item[1].record.verdict)) + killed

    def mutants_of(self, clause: str) -> list[Target]:
        """The mutants that a case of the clause ran on, those it killed first."""
        ran = [mutant for mutant in self.report.mutants if clause in mutant.runs]
        return sorted(ran, key=lambda mutant: mutant.killing(clause) is None)

    def passed(self, target: Target, clauses: list[Clause]) -> int:
        """How many of the clauses pass."""
        return sum(target.verdicts[clause.id] is Verdict.PASS for clause in clauses)

    def exceptions(self, target: Target, clauses: list[Clause]) -> list[tuple[Verdict, int]]:
        """How many of the clauses need a look, by verdict."""
        found = [target.verdicts[clause.id] for clause in clauses]
        return [(verdict, found.count(verdict)) for verdict in EXCEPTIONS if verdict in found]

    def flags(self, clause: str) -> str:
        """The filters that keep the clause's row."""
        verdicts = [target.verdicts[clause] for target in self.report.targets]
        judged = {verdict for verdict in verdicts if verdict not in UNDECIDED}
        flags = {
            "exceptions": any(verdict in EXCEPTIONS for verdict in verdicts),
            "open": any(verdict is not Verdict.PASS for verdict in verdicts),
            "differs": len(judged) > 1,
        }
        return " ".join(name for name, holds in flags.items() if holds)

    def flagged(self, flag: str) -> int:
        """How many clauses the filter keeps."""
        return sum(flag in self.flags(clause).split() for clause in self.report.clauses)

    def title(self) -> str:
        """Where the worst headline holds: `on 2 of 4 targets`."""
        targets = self.report.targets
        hit = sum(target.headline is self.report.headline for target in targets)
        if len(targets) == 1:
            return f"on {cut(targets[0].name, 80)}"
        return (
            f"on all {hit} targets"
            if hit == len(targets)
            else f"on {hit} of {len(targets)} targets"
        )

    def undecided(self, target: Target) -> list[tuple[Verdict, str, list[str]]]:
        """Verdict, reason and clauses: first what broke or was left open, then by number."""
        groups: dict[tuple[Verdict, str], list[str]] = {}
        for clause, verdict in target.verdicts.items():
            if verdict in UNDECIDED:
                for reason in target.reasons(clause):
                    groups.setdefault((verdict, reason), []).append(clause)
        order = list(Verdict)
        rows = [(verdict, reason, ids) for (verdict, reason), ids in groups.items()]
        return sorted(rows, key=lambda row: (order.index(row[0]), -len(row[2])))

    def undecided_count(self, target: Target) -> int:
        return sum(target.counts[verdict] for verdict in UNDECIDED)

    def must_summary(self, target: Target) -> str:
        """`31 of 112 MUST clauses pass; 2 fail, 79 not run`: each MUST is in one number."""
        counts = target.must_counts
        rest = [f"{counts[v]} {v.value}" for v in Verdict if v is not Verdict.PASS and counts[v]]
        passed = f"{counts[Verdict.PASS]} of {counts.total()} MUST clauses pass"
        return f"{passed}; {', '.join(rest)}" if rest else passed
