"""What the pages show, computed from evidence records: targets, cases, mutants and verdicts.

Everything is decided here and nothing in the templates: which records make a column, what a
clause's verdict is, which record of a case stands for it, and what has no record at all.

The module says nothing of what checkers put into `Evidence.run`, but that it is shown; what the
report knows of simulations is told in `reports.simulation`. Any record may carry a story; a run
that passes and has one is a scenario, told for its own sake.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from reports.formal import Formal, split
from reports.text import Slugs
from spec.clause import Clause, Level
from spec.evidence import Evidence
from spec.verdict import Headline, Verdict, headline, merge

NO_CASE = "no case of this clause ran"
SUITE = "conformance"
"""The checker whose records say what a target is; others add to its cases."""
UNDECIDED = (
    Verdict.ERROR,
    Verdict.INCONCLUSIVE,
    Verdict.UNSUPPORTED,
    Verdict.UNOBSERVABLE,
    Verdict.NOT_RUN,
)
_WORST_FIRST = (Headline.VIOLATED, Headline.NOT_SHOWN, Headline.SHOWN)
_VERDICTS = list(Verdict)


class NotReportable(ValueError):
    """The evidence does not fit the clauses or the profile; the message says where."""


class Profile(Protocol):
    """A named selection of clauses."""

    @property
    def name(self) -> str: ...
    @property
    def meaning(self) -> str: ...
    @property
    def clauses(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A case on a target."""

    id: str
    """The deep link: `PROD-06/a-repeated-batch@kafka-4.1.0`."""
    record: Evidence
    """The worst of the records, the latest of equals: a repetition hides no failure."""
    records: int
    """How many times the case ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A column: what was tested, and what each clause of the profile came to."""

    name: str
    slug: str
    mutant: str | None
    records: tuple[Evidence, ...]
    runs: Mapping[str, tuple[Run, ...]]
    """By clause; a clause without a run is absent."""
    verdicts: Mapping[str, Verdict]
    """By clause of the profile, in its order; `not run` where there is no record."""
    headline: Headline
    must_counts: Counter[Verdict]
    counts: Counter[Verdict]

    def premise_count(self, clause: str) -> int:
        """How often the clause's premise arose, over its cases."""
        return sum(run.record.premise_count for run in self.runs.get(clause, ()))

    @property
    def violated(self) -> list[str]:
        """The clauses that the target breaks, SHOULD included."""
        return [id for id, verdict in self.verdicts.items() if verdict.violates]

    def decisive(self, clause: str) -> Run | None:
        """The first run with the clause's verdict: where a reader should look."""
        runs = self.runs.get(clause, ())
        return next((run for run in runs if run.record.verdict is self.verdicts[clause]), None)

    def killing(self, clause: str) -> Run | None:
        """The first run that breaks the clause."""
        runs = self.runs.get(clause, ())
        return next((run for run in runs if run.record.verdict.violates), None)

    def reasons(self, clause: str) -> list[str]:
        """Why the clause came to its verdict, as the runs that decided it say; no repetition."""
        verdict = self.verdicts[clause]
        runs = [run for run in self.runs.get(clause, ()) if run.record.verdict is verdict]
        return _distinct(_reason(run.record) for run in runs) or [NO_CASE]

    @property
    def suite(self) -> list[Evidence]:
        """The records of the suite; all, where it did not run."""
        return [r for r in self.records if r.checker == SUITE] or list(self.records)

    @property
    def seed(self) -> int | None:
        """The seed of the run, or None where there is none or the records differ."""
        seeds = {record.seed for record in self.suite}
        return seeds.pop() if len(seeds) == 1 else None

    @property
    def started(self) -> str:
        """UTC, ISO 8601: the earliest moment in the records, or empty."""
        return min((record.at for record in self.records if record.at), default="")

    @property
    def duration_s(self) -> float:
        """Time spent in cases, summed; more than the wall time where processes share the work."""
        return round(sum(record.duration_s for record in self.records), 3)

    @property
    def tool_version(self) -> str:
        return ", ".join(_distinct(record.tool_version for record in self.records))

    @property
    def commit(self) -> str:
        return ", ".join(_distinct(record.commit for record in self.records))

    @property
    def facts(self) -> dict[str, Any]:
        """What every record says in the same words of the target and the run."""
        first, *rest = (record.run for record in self.suite)
        return {
            key: value
            for key, value in first.items()
            if all(key in run and run[key] == value for run in rest)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A test case with its runs on all targets, mutated ones included."""

    id: str
    clause: str
    title: str
    runs: Mapping[str, Run]
    """By target name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that the pages need."""

    profile: Profile
    clauses: Mapping[str, Clause]
    """Those of the profile, in the order of the registry."""
    targets: tuple[Target, ...]
    """The columns. Mutated targets are columns only where the evidence holds nothing else."""
    mutants: tuple[Target, ...]
    """Every mutated target."""
    cases: Mapping[str, tuple[Case, ...]]
    """By clause."""
    formal: Formal
    """What is proved, explored and refuted in the models."""
    outside: tuple[str, ...]
    """Clauses with evidence that the profile does not contain; they count nowhere."""

    @property
    def areas(self) -> dict[str, list[Clause]]:
        """The clauses by the letters of their ids."""
        areas: dict[str, list[Clause]] = defaultdict(list)
        for clause in self.clauses.values():
            areas[clause.area].append(clause)
        return dict(areas)

    @property
    def headline(self) -> Headline:
        """The worst of the columns."""
        found = {target.headline for target in self.targets}
        return next(word for word in _WORST_FIRST if word in found)

    @property
    def scenarios(self) -> list[tuple[Target, Case, Run]]:
        """The runs that are told for their own sake: they pass and have a story."""
        return [
            (target, case, case.runs[target.name])
            for cases in self.cases.values()
            for case in cases
            for target in self.targets
            if target.name in case.runs and is_scenario(case.runs[target.name].record)
        ]

    @property
    def everything(self) -> tuple[Target, ...]:
        """Columns, then the mutated targets that are no columns."""
        return self.targets + tuple(m for m in self.mutants if m not in self.targets)

    def killers(self, mutant: Target) -> list[str]:
        """The clauses with a case that the mutant breaks, even where another case errs."""
        return [id for id in self.clauses if mutant.killing(id)]

    def killed_by(self, clause: str) -> list[Target]:
        """The mutants that break a case of the clause."""
        return [mutant for mutant in self.mutants if mutant.killing(clause)]


def is_scenario(record: Evidence) -> bool:
    return record.story is not None and record.verdict in (Verdict.PASS, Verdict.INFO)


def assemble(
    evidence: Iterable[Evidence], clauses: Mapping[str, Clause], profile: Profile
) -> Report:
    """The view of the evidence. Raises `NotReportable`."""
    shown = _of_profile(clauses, profile)
    records = list(evidence)
    _check(records, clauses)
    outside = _distinct(record.clause for record in records if record.clause not in shown)
    inside, formal = split(record for record in records if record.clause in shown)
    if not inside:
        raise NotReportable(f"no run of a target tested any clause of the profile {profile.name}")
    groups: dict[tuple[str, str | None], list[Evidence]] = defaultdict(list)
    for record in inside:
        groups[_label(record), record.mutant].append(record)
    slugs = Slugs()
    case_ids = _case_ids(inside)
    targets = [
        _target(name, slugs.of(name), mutant, group, shown, case_ids)
        for (name, mutant), group in groups.items()
    ]
    plain = tuple(target for target in targets if target.mutant is None)
    mutants = tuple(target for target in targets if target.mutant is not None)
    return Report(
        profile=profile,
        clauses=shown,
        targets=plain or mutants,
        mutants=mutants,
        cases=_cases(targets, shown, case_ids),
        formal=formal,
        outside=tuple(outside),
    )


def _of_profile(clauses: Mapping[str, Clause], profile: Profile) -> dict[str, Clause]:
    unknown = sorted(set(profile.clauses) - set(clauses))
    if unknown:
        raise NotReportable(f"profile {profile.name} names unknown clauses: {', '.join(unknown)}")
    return {id: clause for id, clause in clauses.items() if id in profile.clauses}


def _check(records: list[Evidence], clauses: Mapping[str, Clause]) -> None:
    if not records:
        raise NotReportable("no evidence: the files hold no record")
    for record in records:
        if record.clause not in clauses:
            raise NotReportable(f"evidence about {record.clause}, which is not a known clause")


def _label(record: Evidence) -> str:
    """The target as given, with the mutant's name where the target did not carry it."""
    if record.mutant is None or record.mutant in record.target:
        return record.target
    return f"{record.target}+{record.mutant}"


def _target(
    name: str,
    slug: str,
    mutant: str | None,
    records: list[Evidence],
    clauses: Mapping[str, Clause],
    case_ids: Mapping[tuple[str, str], str],
) -> Target:
    by_case: dict[tuple[str, str], list[Evidence]] = defaultdict(list)
    for record in records:
        by_case[record.clause, record.case].append(record)
    runs: dict[str, list[Run]] = defaultdict(list)
    for key, repeated in by_case.items():
        worst = min(reversed(repeated), key=lambda record: _VERDICTS.index(record.verdict))
        run = Run(id=f"{case_ids[key]}@{slug}", record=worst, records=len(repeated))
        runs[key[0]].append(run)
    verdicts = {id: merge(run.record.verdict for run in runs.get(id, ())) for id in clauses}
    musts = [verdicts[id] for id, clause in clauses.items() if clause.level is Level.MUST]
    return Target(
        name=name,
        slug=slug,
        mutant=mutant,
        records=tuple(records),
        runs={id: tuple(found) for id, found in runs.items()},
        verdicts=verdicts,
        headline=headline(musts),
        must_counts=Counter(musts),
        counts=Counter(verdicts.values()),
    )


def _cases(
    targets: list[Target],
    clauses: Mapping[str, Clause],
    case_ids: Mapping[tuple[str, str], str],
) -> dict[str, tuple[Case, ...]]:
    runs: dict[tuple[str, str], dict[str, Run]] = defaultdict(dict)
    for target in targets:
        for run in (run for found in target.runs.values() for run in found):
            runs[run.record.clause, run.record.case][target.name] = run
    cases: dict[str, list[Case]] = {id: [] for id in clauses}
    for (clause, case), by_target in runs.items():
        title = next(iter(by_target.values())).record.title
        cases[clause].append(
            Case(id=case_ids[clause, case], clause=clause, title=title, runs=by_target)
        )
    return {id: tuple(found) for id, found in cases.items()}


def _case_ids(records: list[Evidence]) -> dict[tuple[str, str], str]:
    """`(clause, case) -> CLAUSE/slug`: what a link may contain, and no two the same."""
    slugs: dict[str, Slugs] = defaultdict(Slugs)
    ids: dict[tuple[str, str], str] = {}
    for clause, case in dict.fromkeys((record.clause, record.case) for record in records):
        name = case.removeprefix(f"{clause}/")
        ids[clause, case] = f"{clause}/{slugs[clause].of(name)}"
    return ids


def _reason(record: Evidence) -> str:
    observed = record.counterexample.observed if record.counterexample else ""
    return record.note or observed or record.verdict.meaning


def _distinct(values: Iterable[str]) -> list[str]:
    """In order of first appearance, without the empty one."""
    return [value for value in dict.fromkeys(values) if value]
