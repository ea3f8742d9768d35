"""How many steps per second are validated against a model, without and with its invariants.

    python -m benchmarks.trace [--steps 20000] [--seed 1]

Prints figures and judges nothing. All of them are of CPU time, of one process. The steps are those
of a random walk in which writes and fetches dominate, so that logs grow to their full length;
`is_allowed` compares whole states, `take` carries the state forward and gives a reason.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from spec.checkers.bounds import Bounds
from spec.checkers.step import Allowed, Machine, State
from spec.checkers.trace import Validator
from spec.checkers.walk import Walker
from spec.language import trace
from spec.models import replication, replication_messages
from spec.models.family import Family

Run = list[tuple[State, str, tuple[int, ...], State]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A right protocol, and an instance of it."""

    family: Family
    counts: Mapping[str, int]
    rare: tuple[str, ...]
    """Beginnings of the names of actions that are not on the data path."""


ATOMIC = {"RecordId": 127, "Epoch": 12}
MESSAGES = {"RecordId": 127, "Epoch": 24, "PartitionEpoch": 48}
CONTROL = ("controller_", "become_", "leader_shrink_")
CASES = (
    Case(family=replication.MODEL, counts={**ATOMIC, "Broker": 3, "Offset": 8}, rare=CONTROL),
    Case(family=replication.MODEL, counts={**ATOMIC, "Broker": 3, "Offset": 64}, rare=CONTROL),
    Case(family=replication.MODEL, counts={**ATOMIC, "Broker": 5, "Offset": 64}, rare=CONTROL),
    Case(
        family=replication_messages.MODEL,
        counts={**MESSAGES, "Broker": 3, "Offset": 64},
        rare=("controller_", "restart", "leader_ask_to_shrink_"),
    ),
)


def recorded(machine: Machine, rare: tuple[str, ...], steps: int, seed: int) -> Run:
    """Random walks from the initial state, with the states."""
    weights = {name: 1.0 if name.startswith(rare) else 30.0 for name in machine.model.actions}
    walker, run = Walker(machine, seed, weights), Run()
    while len(run) < steps:
        walked = walker.walk(min(4000, steps - len(run)))
        run += [(state, *transition) for state, transition in walked]
    return run


def rate(steps: int, work: Callable[[], object]) -> float:
    """Steps per CPU second."""
    start = time.process_time()
    work()
    return steps / (time.process_time() - start)


def is_allowed(machine: Machine, run: Run) -> None:
    for state, action, params, after in run:
        assert machine.is_allowed(state, action, params, after)


def take(validator: Validator, run: Run) -> None:
    """Takes the whole run; it begins anew where a walk did."""
    previous = None
    for state, action, params, after in run:
        if state is not previous:
            validator.begin()
        answer = validator.take(action, params)
        assert type(answer) is Allowed
        previous = after


def whole(machine: Machine, run: Run) -> None:
    """Every invariant in every state, from nothing."""
    for _, _, _, after in run:
        for name in machine.model.invariants:
            assert machine.holds[name](after)


def measure(case: Case, steps: int, seed: int) -> None:
    model, bounds = trace(case.family.variant().protocol), Bounds(**case.counts)
    start = time.process_time()
    plain, checking = Validator(model, bounds, invariants=False), Validator(model, bounds)
    build_ms = 1000 * (time.process_time() - start)
    machine = plain.machine
    run = recorded(machine, case.rare, steps, seed)
    sample = run[:: max(1, steps // 200)]
    figures = {
        "is_allowed": rate(steps, lambda: is_allowed(machine, run)),
        "take": rate(steps, lambda: take(plain, run)),
        "take, with invariants": rate(steps, lambda: take(checking, run)),
        "all invariants anew": rate(len(sample), lambda: whole(machine, sample)),
        "successors": rate(len(sample), lambda: [machine.successors(s) for s, *_ in sample]),
    }
    ends = [max(state[machine.slot["log.end_offset"]]) for state, *_ in run]
    marks = [max(state[machine.slot["high_watermark"]]) for state, *_ in run]
    print(f"{case.family.name} {case.family.variant().name}, {bounds}")
    for name, figure in figures.items():
        print(f"    {figure:>9,.0f} per second: {name}")
    print(
        f"    logs: longest {max(ends)}, median {median(ends):.0f}; "
        f"high watermark: median {median(marks):.0f}; "
        f"{len(model.invariants)} invariants; built in {build_ms:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for case in CASES:
        measure(case, options.steps, options.seed)


if __name__ == "__main__":
    main()
