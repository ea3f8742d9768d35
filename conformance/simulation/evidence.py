"""What a swarm has to say about clauses, as evidence: one record for each clause that it judges."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from conformance.simulation.finding import REFERENCE_RAISED, Finding
from conformance.simulation.scenarios import StageMissed, Told
from conformance.simulation.swarm import Hunt, SeedResult, Tally
from spec.clauses import CLAUSES
from spec.evidence import Counterexample, Evidence
from spec.provenance import commit, now, tool_version
from spec.story import Story
from spec.verdict import Verdict

SCENARIO_TITLES = {
    "failover": "The broker that is controller and partition leader dies, and clients go on",
}
DEFAULT = Path("build/simulation/evidence.ndjson")


def records(
    hunt: Hunt,
    tally: Tally,
    findings: dict[str, Finding],
    stories: Mapping[str, Story | None],
    command: str,
    duration_s: float,
) -> Iterator[Evidence]:
    """A pass, or fail with the shrunk schedule, for each clause whose premise arose."""
    broken = tally.counts
    facts = {
        "mode": hunt.mode,
        "seeds": tally.runs,
        "events": tally.events,
        "validated": tally.steps,
        "refused": tally.refused,
        "outgrown": tally.outgrown,
        "faults": dict(tally.faults),
        "virtual_ms": tally.virtual_ms,
        "cpu_s": round(tally.cpu_s, 3),
    }
    raised = broken[REFERENCE_RAISED]
    for clause in sorted({*tally.premises, *broken} - {REFERENCE_RAISED}):
        first = tally.first_broken.get(clause)
        verdict = Verdict.PASS if tally.premises[clause] else Verdict.INCONCLUSIVE
        if first:
            verdict = Verdict.FAIL
        elif raised:
            verdict = Verdict.ERROR
        yield Evidence(
            clause=clause,
            checker="simulate",
            target="reference",
            verdict=verdict,
            case=f"{clause}/simulation-{hunt.mode}",
            title=f"Random faults in {hunt.mode} mode keep it",
            premise_count=tally.premises[clause] or broken[clause],
            premises={"runs": tally.runs, "broken": broken[clause]},
            mutant=hunt.mutant,
            seed=first.seed if first else None,
            note=f"the reference raised in {raised} runs" if raised else "",
            counterexample=_counterexample(clause, findings.get(clause)),
            story=stories.get(clause),
            reproduce=command,
            run=facts | _cost(tally, first, findings.get(clause)),
            duration_s=round(duration_s, 3),
            tool_version=tool_version(),
            commit=commit(),
            at=now(),
        )


def _cost(tally: Tally, first: SeedResult | None, finding: Finding | None) -> dict[str, float]:
    """What it took to see a clause broken, and how short the shrunk schedule is."""
    if first is None:
        return {}
    runs = sum(seed <= first.seed for seed in tally.costs_s)
    found = {"seeds_to_kill": runs, "cpu_s_to_kill": round(tally.cpu_until_s(first.seed), 3)}
    return found | ({"faults_to_kill": len(finding.schedule.faults)} if finding else {})


def _counterexample(clause: str, finding: Finding | None) -> Counterexample | None:
    if finding is None:
        return None
    return Counterexample(
        expected=CLAUSES[clause].sentence,
        observed=finding.message,
        falsifying=str(finding.schedule),
    )


def of_scenario(name: str, mode: str, told: Told | StageMissed) -> Iterator[Evidence]:
    """A record for each clause that a stage rests on; the story goes with the first."""
    missed = told if isinstance(told, StageMissed) else None
    stages = told.stages
    clauses = dict.fromkeys(stage.clause for stage in stages)
    if missed:
        clauses = dict.fromkeys([missed.clause, *clauses])
    for number, clause in enumerate(clauses):
        is_missed = missed is not None and clause == missed.clause
        reached = [stage for stage in stages if stage.clause == clause]
        yield Evidence(
            clause=clause,
            checker="simulate",
            target="reference",
            verdict=Verdict.FAIL if is_missed else Verdict.PASS,
            case=f"{clause}/{name}-{mode}",
            title=SCENARIO_TITLES[name],
            premise_count=max(1, len(reached)),
            premises={stage.name: 1 for stage in reached},
            seed=0,
            counterexample=Counterexample(
                expected=CLAUSES[clause].sentence,
                observed=str(missed),
            )
            if is_missed
            else None,
            story=told.story if number == 0 else None,
            reproduce=f"python -m conformance.simulation scenario {name} --mode {mode}",
            run={"mode": mode, "stages": {stage.name: stage.at_ms for stage in stages}},
            tool_version=tool_version(),
            commit=commit(),
            at=now(),
        )


def append(path: Path, found: Iterator[Evidence]) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(record.line() + os.linesep for record in found))
