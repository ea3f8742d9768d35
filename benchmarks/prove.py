"""What the proofs cost: obligations, CPU seconds of solvers and wall-clock time, for several seeds.

    python -m benchmarks.prove [NAME ...] [--seeds 0,1,2] [--workers 2] [--slowest 5]

Prints figures and judges nothing. `asked` obligations went to a solver (the others write nothing
that the conjunct reads), `retried` ones took more than one attempt. A slow or a retried one is a
candidate for `python -m spec prove NAME --learn`.
"""

import argparse
from collections.abc import Iterable

from spec.checkers import prove
from spec.checkers.prove import Outcome, ProofResult
from spec.registry import PROOFS

HEADER = f"{'proof':32}{'seed':>5}{'obligations':>12}{'asked':>7}{'proved':>8}{'retried':>8}"
COSTS = f"{'CPU s':>10}{'wall s':>8}{'slowest':>9}"


def row(result: ProofResult) -> str:
    """One line of the table."""
    asked = [outcome for outcome in result.outcomes if outcome.attempts]
    retried = sum(outcome.attempts > 1 for outcome in asked)
    slowest = max((outcome.seconds for outcome in asked), default=0.0)
    return (
        f"{result.name:32}{result.seed:5}{result.obligations:12,}{len(asked):7,}"
        f"{result.proved:8,}{retried:8}{result.solver_s:10.1f}{result.seconds:8.1f}{slowest:9.2f}"
    )


def total(results: list[ProofResult], seed: int) -> str:
    obligations = sum(result.obligations for result in results)
    proved = sum(result.proved for result in results)
    solver_s = sum(result.solver_s for result in results)
    wall_s = sum(result.seconds for result in results)
    return (
        f"{'all':32}{seed:5}{obligations:12,}{'':7}{proved:8,}{'':8}{solver_s:10.1f}{wall_s:8.1f}"
    )


def slowest(results: Iterable[ProofResult], count: int) -> list[str]:
    """The obligations that took longest, of all proofs."""
    every: list[tuple[float, str, Outcome]] = [
        (outcome.seconds, result.name, outcome) for result in results for outcome in result.outcomes
    ]
    every.sort(key=lambda found: found[0], reverse=True)
    return [
        f"  {seconds:6.2f} s  {name}: {outcome.obligation} ({outcome.how}, "
        f"{outcome.attempts} attempts, {outcome.steps:,} steps)"
        for seconds, name, outcome in every[:count]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: every proof")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--slowest", type=int, default=5)
    options = parser.parse_args()
    chosen = [proof for name, proof in PROOFS.items() if not options.names or name in options.names]
    print(HEADER + COSTS)
    for seed in map(int, options.seeds.split(",")):
        results = []
        for proof in chosen:
            results.append(prove.run(proof, seed=seed, workers=options.workers))
            print(row(results[-1]), flush=True)
        print(total(results, seed))
        print("\n".join(slowest(results, options.slowest)))


if __name__ == "__main__":
    main()
