"""How long the swarm takes to find each mutant, and how small what it finds becomes.

    python -m benchmarks.swarm [--mutants NAME,...] [--seeds 0:400] [--mode quorum] [--shrinks 200]

Prints a line per mutant and mode and judges nothing. Times are of the CPU, of one process, with
validation on; a run includes clients, faults, repair and judgement. Mutants that no simulated
client provokes, such as those of the wire protocol, stay alive here and die in the suite.
"""

import argparse
import statistics
import time
from collections.abc import Sequence

from conformance.simulation.replay import breaks
from conformance.simulation.run import run
from conformance.simulation.shrinking import shrink
from conformance.simulation.swarm import Hunt, SeedResult, run_seeds
from conformance.simulation.validation import VALIDATORS
from reference.mutants import MUTANTS
from reference.simulator.faults import MODES, random_schedule


def first_kill(hunt: Hunt, seeds: range) -> tuple[SeedResult | None, float]:
    """The first run that breaks a clause, if any does, and the CPU time up to its end."""
    spent_s = 0.0
    for seed in seeds:
        (found,) = run_seeds(hunt, [seed])
        spent_s += found.cpu_s
        if found.result.clause:
            return found, spent_s
    return None, spent_s


def shrunk_faults(hunt: Hunt, found: SeedResult, runs_max: int) -> tuple[int, float]:
    """How many faults are left, and the CPU time that it took."""
    began_s = time.process_time()
    clause, validators = found.result.clause, VALIDATORS[hunt.mode]
    small = shrink(
        random_schedule(found.seed, hunt.mode, kinds=hunt.kinds),
        lambda schedule: breaks(run(schedule, hunt.mutant, validators), clause),
        runs_max,
    )
    return len(small.schedule.faults), time.process_time() - began_s


def show(hunt: Hunt, seeds: range, shrinks: int) -> float | None:
    """Prints the line of one mutant; returns the CPU seconds to its kill, or None."""
    found, spent_s = first_kill(hunt, seeds)
    name = f"{hunt.mutant:34} {hunt.mode:10}"
    if found is None:
        print(f"{name} alive after {len(seeds)} runs, {spent_s:.1f} s", flush=True)
        return None
    runs = found.seed - seeds.start + 1
    clauses = ",".join(MUTANTS[hunt.mutant or ""].clauses)
    faults, shrink_s = shrunk_faults(hunt, found, shrinks) if shrinks else (0, 0.0)
    print(
        f"{name} {found.result.clause:8} (meant: {clauses}) "
        f"{runs:4} runs {spent_s:7.2f} s  shrunk to {faults} faults in {shrink_s:.1f} s",
        flush=True,
    )
    return spent_s


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How long the swarm takes to find each mutant.")
    parser.add_argument("--mutants", default=",".join(MUTANTS))
    parser.add_argument("--seeds", default="0:200", metavar="FIRST:END")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--shrinks", type=int, default=100, help="runs for each mutant")
    options = parser.parse_args(words)
    first, _, end = options.seeds.partition(":")
    killed_s = []
    for name in options.mutants.split(","):
        for mode in MODES if options.mode == "both" else (options.mode,):
            hunt = Hunt(mode=mode, mutant=name)
            spent_s = show(hunt, range(int(first), int(end)), options.shrinks)
            killed_s += [] if spent_s is None else [spent_s]
    if killed_s:
        print(f"{len(killed_s)} kills, median {statistics.median(killed_s):.2f} s of CPU time")


if __name__ == "__main__":
    main()
