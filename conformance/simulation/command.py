"""`python -m conformance.simulation`: hunts, shrinks and replays."""

import argparse
import json
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from conformance.simulation import evidence, kills, scenarios
from conformance.simulation.finding import BadFinding, Finding, load
from conformance.simulation.recorder import told_run
from conformance.simulation.replay import again, breaks
from conformance.simulation.run import run
from conformance.simulation.scenarios import SCENARIOS
from conformance.simulation.shrinking import RUNS_MAX, shrink
from conformance.simulation.swarm import Hunt, SeedResult, Tally, swarm
from conformance.simulation.validation import VALIDATORS
from reference.mutants import MUTANTS
from reference.simulator.faults import GROUPS, MODES, FaultKind, Schedule, random_schedule
from spec.story import Story

PROGRAM = "python -m conformance.simulation"
FINDINGS = Path("build/simulation/findings")


class Exit(IntEnum):
    """As `python -m spec` has them."""

    CLEAN = 0
    BROKEN = 1
    """A clause is broken, or the reference has raised an exception."""
    USAGE = 2
    INTERRUPTED = 130


class UsageError(Exception):
    """What was wrong on the command line or in a file."""


# ---- words --------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog=PROGRAM, description="Hunt for broken clauses in simulated runs with faults."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    hunt = verbs.add_parser("swarm", help="run many seeds")
    hunt.add_argument("--seeds", type=_seeds, default=range(100), metavar="FIRST:END")
    hunt.add_argument("--mode", choices=(*MODES, "both"), default="both", help="default: both")
    hunt.add_argument("--mutant", metavar="NAME", help="of the reference with one wrong rule")
    hunt.add_argument(
        "--faults",
        default="all",
        metavar="GROUP,...",
        help=f"all, or some of {', '.join(GROUPS)}; default: all",
    )
    hunt.add_argument("--validation", choices=("on", "off"), default="on", help="of every step")
    hunt.add_argument("--workers", type=_positive, default=2, help="processes; default: 2")
    hunt.add_argument("--stop", action="store_true", help="end at the first broken clause")
    hunt.add_argument("--time-limit-s", type=_positive, help="begin no run after it")
    hunt.add_argument("--shrinks", type=_natural, default=RUNS_MAX, help="runs for each clause")
    hunt.add_argument("--findings", type=Path, default=FINDINGS, metavar="DIR")
    hunt.add_argument("--evidence", type=Path, default=evidence.DEFAULT, metavar="FILE")
    hunt.add_argument("--json", action="store_true", help="print one JSON document")
    hunt.add_argument("--quiet", action="store_true", help="no progress on standard error")
    again = verbs.add_parser("replay", help="run a finding again")
    again.add_argument("file", type=Path, metavar="FILE")
    again.add_argument("--mutant", metavar="NAME|none", help="default: the one of the finding")
    smaller = verbs.add_parser("shrink", help="make a finding smaller, in place")
    smaller.add_argument("file", type=Path, metavar="FILE")
    smaller.add_argument("--runs", type=_positive, default=RUNS_MAX, help=f"default: {RUNS_MAX}")
    measure = verbs.add_parser("kills", help="what it takes to kill the mutants of the findings")
    measure.add_argument("folder", type=Path, metavar="DIR", help="such as tests/findings")
    measure.add_argument("--seeds", type=_seeds, default=range(400), metavar="FIRST:END")
    measure.add_argument("--shrinks", type=_natural, default=RUNS_MAX, help="runs for each mutant")
    measure.add_argument("--mutant", metavar="NAME", help="of this one only")
    measure.add_argument("--evidence", type=Path, default=evidence.DEFAULT, metavar="FILE")
    scenario = verbs.add_parser("scenario", help="go through a named scenario")
    scenario.add_argument("name", choices=sorted(SCENARIOS))
    scenario.add_argument("--mode", choices=(*MODES, "both"), default="both", help="default: both")
    scenario.add_argument("--evidence", type=Path, default=evidence.DEFAULT, metavar="FILE")
    return top


def _seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    if not colon or not first.isdigit() or not end.isdigit() or int(first) >= int(end):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:END, such as 0:1000")
    return range(int(first), int(end))


def _natural(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    value = _natural(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


def _kinds(text: str) -> tuple[FaultKind, ...]:
    if text == "all":
        return tuple(FaultKind)
    for name in text.split(","):
        if name not in GROUPS:
            raise UsageError(f"--faults: {name!r} is none of all, {', '.join(GROUPS)}")
    return tuple(kind for name in text.split(",") for kind in GROUPS[name])


def _mutant(name: str | None) -> str | None:
    if name is not None and name not in MUTANTS:
        raise UsageError(f"--mutant: {name!r} is none of {', '.join(MUTANTS)}")
    return name


# ---- verbs --------------------------------------------------------------------------------------


def _swarm(options: Namespace) -> Exit:
    kinds, mutant = _kinds(options.faults), _mutant(options.mutant)
    documents, code = [], Exit.CLEAN
    for mode in MODES if options.mode == "both" else (options.mode,):
        hunt = Hunt(mode=mode, mutant=mutant, kinds=kinds, is_validated=options.validation == "on")
        began_s = time.monotonic()
        tally = swarm(
            hunt,
            options.seeds,
            workers=options.workers,
            stops_at_first=options.stop,
            time_limit_s=options.time_limit_s,
            progress=None if options.quiet else _reporter(hunt, len(options.seeds)),
        )
        duration_s = time.monotonic() - began_s
        told = {
            clause: _shrunk(hunt, found, options.shrinks)
            for clause, found in tally.first_broken.items()
        }
        findings = {clause: each.finding for clause, each in told.items()}
        stories = {clause: each.story for clause, each in told.items()}
        files = {clause: _file(options.findings, hunt, each) for clause, each in findings.items()}
        _save(findings, files)
        _append(
            options,
            evidence.records(hunt, tally, findings, stories, _command(options, mode), duration_s),
        )
        documents.append(_document(hunt, tally, findings, files, duration_s))
        if not options.json:
            _tell(hunt, tally, findings, files, duration_s)
        if tally.broken:
            code = Exit.BROKEN
    if options.json:
        print(json.dumps({"hunts": documents}, indent=1, ensure_ascii=False))
    return code


def _reporter(hunt: Hunt, count: int) -> Callable[[Tally], None]:
    told = 0

    def report(tally: Tally) -> None:
        nonlocal told
        if tally.runs >= told + 200:
            told = tally.runs
            broken = len(tally.broken)
            print(f"{hunt.mode}: {told} of {count} runs, {broken} broken", file=sys.stderr)

    return report


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding, and its story if the run came as far as to have one."""

    finding: Finding
    story: Story | None


def _shrunk(hunt: Hunt, found: SeedResult, runs_max: int) -> Told:
    """The finding of a seed, as small as it gets."""
    clause = found.result.clause
    schedule = random_schedule(found.seed, hunt.mode, kinds=hunt.kinds)
    return _smaller(schedule, hunt.mutant, clause, runs_max, is_validated=hunt.is_validated)


def _smaller(
    schedule: Schedule, mutant: str | None, clause: str, runs_max: int, *, is_validated: bool = True
) -> Told:
    validators = VALIDATORS[schedule.mode] if is_validated else ()
    small = shrink(schedule, lambda s: breaks(run(s, mutant, validators), clause), runs_max)
    result, story = told_run(small.schedule, mutant, validators, clause)
    said = [each.message for each in result.violations if each.clause == clause]
    message = result.error or (said[0] if said else "")
    finding = Finding(schedule=small.schedule, mutant=mutant, clause=clause, message=message)
    return Told(finding=finding, story=story)


def _file(folder: Path, hunt: Hunt, finding: Finding) -> Path:
    name = f"{hunt.mutant or 'reference'}-{hunt.mode}-{finding.clause}-{finding.schedule.seed}"
    return folder / f"{name.lower()}.json"


def _save(findings: dict[str, Finding], files: dict[str, Path]) -> None:
    for clause, finding in findings.items():
        try:
            finding.save(files[clause])
        except OSError as error:
            raise UsageError(f"cannot write {files[clause]}: {error.strerror}") from error


def _append(options: Namespace, found: object) -> None:
    try:
        evidence.append(options.evidence, found)  # type: ignore[arg-type]
    except OSError as error:
        message = f"cannot append evidence to {options.evidence}: {error.strerror}"
        raise UsageError(message) from error


def _command(options: Namespace, mode: str) -> str:
    words = [f"{PROGRAM} swarm --seeds {options.seeds.start}:{options.seeds.stop} --mode {mode}"]
    if options.mutant:
        words.append(f"--mutant {shlex.quote(options.mutant)}")
    if options.faults != "all":
        words.append(f"--faults {options.faults}")
    if options.validation == "off":
        words.append("--validation off")
    return " ".join(words)


def _document(
    hunt: Hunt,
    tally: Tally,
    findings: dict[str, Finding],
    files: dict[str, Path],
    duration_s: float,
) -> dict[str, object]:
    return {
        "mode": hunt.mode,
        "mutant": hunt.mutant,
        "runs": tally.runs,
        "events": tally.events,
        "steps_validated": tally.steps,
        "outgrown": tally.outgrown,
        "virtual_ms": tally.virtual_ms,
        "cpu_s": round(tally.cpu_s, 3),
        "duration_s": round(duration_s, 3),
        "premises": dict(tally.premises),
        "broken": {
            clause: {
                "runs": count,
                "first_seed": tally.first_broken[clause].seed,
                "message": findings[clause].message,
                "faults": len(findings[clause].schedule.faults),
                "file": str(files[clause]),
            }
            for clause, count in tally.counts.items()
        },
    }


def _tell(
    hunt: Hunt,
    tally: Tally,
    findings: dict[str, Finding],
    files: dict[str, Path],
    duration_s: float,
) -> None:
    what = f"the mutant {hunt.mutant}" if hunt.mutant else "the reference"
    speed = tally.events / tally.cpu_s if tally.cpu_s else 0.0
    print(
        f"{what} in {hunt.mode} mode: {tally.runs:,} runs in {duration_s:.1f} s, "
        f"{tally.events:,} events ({speed:,.0f} per second and core), "
        f"{tally.steps:,} steps validated, {tally.outgrown} runs outgrown"
    )
    if not tally.broken:
        print("No clause was seen broken.")
    for clause, count in tally.counts.most_common():
        finding = findings[clause]
        print(f"\n{clause} is broken in {count} runs, first with seed", end=" ")
        print(f"{tally.first_broken[clause].seed}; shrunk to:")
        print(finding.schedule)
        print(finding.message)
        print(f"replay: {PROGRAM} replay {shlex.quote(str(files[clause]))}")


def _replay(options: Namespace) -> Exit:
    finding = load(options.file)
    mutant = finding.mutant
    if options.mutant is not None:
        mutant = None if options.mutant == "none" else _mutant(options.mutant)
    replayed = again(finding, mutant=mutant)
    print(finding.schedule)
    result = replayed.result
    for violation in result.violations:
        print(violation)
    if result.error:
        print(f"the reference raised: {result.error}")
    if not result.clause:
        print("No clause is broken.")
    return Exit.BROKEN if result.clause else Exit.CLEAN


def _shrink(options: Namespace) -> Exit:
    finding = load(options.file)
    replayed = again(finding, mutant=finding.mutant)
    if not replayed.breaks:
        raise UsageError(f"{options.file}: {finding.clause} is not broken by it (any more)")
    small = _smaller(finding.schedule, finding.mutant, finding.clause, options.runs).finding
    try:
        small.save(options.file)
    except OSError as error:
        raise UsageError(f"cannot write {options.file}: {error.strerror}") from error
    before, after = len(finding.schedule.faults), len(small.schedule.faults)
    print(f"{before} faults before, {after} now:\n{small.schedule}\n{small.message}")
    return Exit.BROKEN


def _scenario(options: Namespace) -> Exit:
    code = Exit.CLEAN
    for mode in MODES if options.mode == "both" else (options.mode,):
        told: scenarios.Told | scenarios.StageMissed
        try:
            told = SCENARIOS[options.name](mode)
        except scenarios.StageMissed as missed:
            told, code = missed, Exit.BROKEN
        print(f"{options.name} in {mode} mode")
        for stage in told.stages:
            print(f"  {stage.at_ms:>6} ms  {stage.name}: {stage.said} ({stage.clause})")
        if isinstance(told, scenarios.StageMissed):
            print(told)
        _append(options, evidence.of_scenario(options.name, mode, told))
    return code


def _kills(options: Namespace) -> Exit:
    chosen, found, code = _mutant(options.mutant), [], Exit.CLEAN
    for hunt in kills.hunts(options.folder):
        if chosen is not None and hunt.mutant != chosen:
            continue
        killed = kills.kill(hunt, options.seeds, options.shrinks)
        if killed is None:
            print(f"{hunt.mutant} in {hunt.mode} mode is alive after {len(options.seeds)} runs")
            code = Exit.BROKEN
            continue
        print(killed, flush=True)
        words = f"{PROGRAM} kills {shlex.quote(str(options.folder))} --mutant {hunt.mutant}"
        _append(options, killed.evidence(words))
        found.append(killed)
    print(kills.summary(found))
    return code


VERBS: dict[str, Callable[[Namespace], Exit]] = {
    "swarm": _swarm,
    "replay": _replay,
    "shrink": _shrink,
    "scenario": _scenario,
    "kills": _kills,
}


def main(words: Sequence[str] | None = None) -> int:
    """The exit code; see `Exit`."""
    try:
        options = parser().parse_args(words)
        return VERBS[options.verb](options)
    except (UsageError, BadFinding) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return Exit.USAGE
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted; nothing of this run is evidence", file=sys.stderr)
        return Exit.INTERRUPTED
