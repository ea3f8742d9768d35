"""How many events per second the simulated cluster handles, without and with step validation.

    python -m benchmarks.simulate [--seeds 40] [--first 1] [--mode quorum] [--profile [off]]

Prints figures and judges nothing. All of them are of CPU time, of one process, and of whole runs as
the swarm makes them: clients, faults, repair and judgement included. `--profile` adds where the
time of the validated runs goes, or of those without validation: by module, then by function.
"""

import argparse
import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.refinement import RefinementObserver
from conformance.simulation.run import RunResult, ValidatorFactory, run
from conformance.simulation.validation import VALIDATORS
from reference.simulator.cluster import Cluster, Mode
from reference.simulator.faults import random_schedule

ROOT = Path(__file__).parents[1]
MODULES_SHOWN, FUNCTIONS_SHOWN = 15, 25


@dataclass(slots=True)
class Figures:
    """Of many runs."""

    cpu_s: float = 0.0
    results: list[RunResult] = field(default_factory=list)
    taken: Counter[str] = field(default_factory=Counter)
    """Actions of the model of replication, by name."""

    @property
    def events(self) -> int:
        return sum(result.events for result in self.results)

    @property
    def steps(self) -> int:
        return sum(result.steps for result in self.results)


def measure(mode: str, seeds: Sequence[int], validators: Sequence[ValidatorFactory]) -> Figures:
    """Runs the schedules of the seeds."""
    figures = Figures()
    observers: list[RefinementObserver] = []

    def noted(factory: ValidatorFactory) -> ValidatorFactory:
        def make(cluster: Cluster) -> object:
            observer = factory(cluster)
            if isinstance(observer, RefinementObserver):
                observers.append(observer)
            return observer

        return make  # type: ignore[return-value]

    factories = [noted(factory) for factory in validators]
    for seed in seeds:
        schedule = random_schedule(seed, mode)
        observers.clear()
        began_s = time.process_time()
        figures.results.append(run(schedule, validators=factories))
        figures.cpu_s += time.process_time() - began_s
        for observer in observers:
            figures.taken += observer.taken
    return figures


def show(name: str, figures: Figures) -> None:
    outgrown = sum(bool(result.outgrown) for result in figures.results)
    refused = sum(result.is_refused for result in figures.results)
    print(
        f"{figures.events / figures.cpu_s:>9,.0f} events/s {name}: {len(figures.results)} runs, "
        f"{figures.events:,} events in {figures.cpu_s:.1f} s"
    )
    if figures.steps:
        actions = figures.taken.total() / figures.cpu_s
        print(
            f"{'':>9} {figures.steps:,} steps compared, {actions:,.0f} model actions/s; "
            f"{refused} runs refused, {outgrown} outgrown"
        )
    for result in figures.results:
        if result.clause:
            print(f"{'':>9} {result.violations[0] if result.violations else result.error}")


def show_profile(profile: cProfile.Profile) -> None:
    """By module, then by function; the time is that spent in them, not in what they call."""
    entries = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    modules: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for (path, line, function), (_, count, own_s, _, _) in entries.items():
        found = Path(path)
        module = str(found.relative_to(ROOT)) if found.is_relative_to(ROOT) else found.name
        if path.startswith("<"):
            module = "steps of the model" if "step_" in function else "built in, generated"
        name = f"{module}:{line} {function}" if line else function
        modules[module] += own_s
        functions[name] += own_s
        calls[name] += count
    total_s = sum(modules.values())
    print("where the time goes (with the profiler's own cost), by module")
    for module, own_s in modules.most_common(MODULES_SHOWN):
        print(f"    {own_s / total_s:6.1%} {module}")
    print("by function: share, calls")
    for name, own_s in functions.most_common(FUNCTIONS_SHOWN):
        print(f"    {own_s / total_s:6.1%} {calls[name]:>9,} {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], default="quorum")
    parser.add_argument("--profile", nargs="?", const="on", choices=["on", "off"])
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    validators = VALIDATORS[options.mode]
    measure(options.mode, seeds[:2], validators)  # Compiles the machines.
    off = measure(options.mode, seeds, ())
    on = measure(options.mode, seeds, validators)
    print(f"mode {options.mode}, seeds {seeds.start} to {seeds.stop - 1}")
    show("without validation", off)
    show("with validation", on)
    for action, count in on.taken.most_common():
        print(f"{count:>15,} {action}")
    if options.profile:
        profile = cProfile.Profile()
        profile.enable()
        measure(options.mode, seeds, validators if options.profile == "on" else ())
        profile.disable()
        show_profile(profile)


if __name__ == "__main__":
    main()
