"""`prove`: every obligation of a proof, for any size; and what must break it."""

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from typing import Any

import z3

from spec.checkers import prove as checker
from spec.checkers.prove import MutantResult, ProofResult
from spec.command import arguments, findings
from spec.command.findings import Finding
from spec.command.outcome import Exit, worst
from spec.language import Model, trace
from spec.proofs.proof import Proof
from spec.verdict import Verdict


def run(options: Namespace) -> Exit:
    documents, codes = [], []
    for proof in arguments.proofs(options.model, options.all):
        result = checker.run(
            proof,
            seed=options.seed,
            workers=options.workers,
            learn=options.learn,
            progress=None if options.quiet else _say,
        )
        mutants = checker.mutants(proof) if options.mutants else []
        model = trace(proof.proof)
        findings.append(_findings(proof, model, result, mutants, options), options.evidence)
        codes.append(_judged(result, mutants))
        documents.append(_document(result, mutants))
        if not options.json:
            _tell(proof, result, mutants)
    if options.json:
        findings.print_json({"proofs": documents} if options.all else documents[0])
    elif options.all:
        proved = sum(document["proved_obligations"] for document in documents)
        total = sum(document["obligations"] for document in documents)
        seconds = sum(document["seconds"] for document in documents)
        print(f"{proved:,} of {total:,} obligations proved in {seconds:.1f} s")
    return worst(codes)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _judged(result: ProofResult, mutants: list[MutantResult]) -> Exit:
    if result.refuted or not all(mutant.is_killed for mutant in mutants):
        return Exit.REFUTED
    return Exit.AS_CLAIMED if result.is_complete else Exit.UNDECIDED


def _findings(
    proof: Proof,
    model: Model,
    result: ProofResult,
    mutants: list[MutantResult],
    options: Namespace,
) -> Iterator[Finding]:
    by_property = Counter(outcome.obligation.property for outcome in result.outcomes)
    unproved = ", ".join(str(outcome.obligation) for outcome in result.failures)
    broken = {m.name: len(m.broken) for m in mutants}
    for name, proved in result.properties.items():
        yield Finding(
            checker="prove",
            subject=proof.name,
            invariant=model.invariants[name],
            verdict=Verdict.PASS if proved else Verdict.INCONCLUSIVE,
            weight=result.proved,
            note="" if proved else proof.open.get(name, "") or f"not proved: {unproved}",
            facts={
                "size": "any",
                "obligations": result.obligations,
                "solver": f"Z3 {z3.get_version_string()}",
                "mutants": broken,
            },
            counts=dict(by_property),
            seed=result.seed,
            duration_s=result.seconds,
            reproduce=f"python -m spec prove {proof.name} --seed {options.seed}",
        )


def _document(result: ProofResult, mutants: list[MutantResult]) -> dict[str, Any]:
    return {
        "proof": result.name,
        "seed": result.seed,
        "seconds": round(result.seconds, 3),
        "solver_s": round(result.solver_s, 3),
        "obligations": result.obligations,
        "proved_obligations": result.proved,
        "refuted": result.refuted,
        "unknown": result.unknown,
        "vacuous": result.vacuous,
        "properties": {
            name: {
                "proved": proved,
                "obligations": result.obligations,
                "seconds": round(result.seconds, 3),
                "seed": result.seed,
            }
            for name, proved in result.properties.items()
        },
        "not_proved": [
            {"obligation": str(outcome.obligation), "verdict": outcome.verdict}
            for outcome in result.failures
        ],
        "mutants": {m.name: [str(found.obligation) for found in m.broken] for m in mutants},
    }


def _tell(proof: Proof, result: ProofResult, mutants: list[MutantResult]) -> None:
    print(
        f"{proof.name}: {result.proved} of {result.obligations} obligations proved, "
        f"for any size, in {result.seconds:.1f} s (seed {result.seed})"
    )
    for name, proved in result.properties.items():
        print(f"  {'proved' if proved else 'NOT PROVED':12}{name}")
    for outcome in result.failures:
        print(f"  {outcome.verdict:12}{outcome.obligation}")
    for name, tried in proof.open.items():
        print(f"  open        {name}: {tried}")
    for mutant in mutants:
        said = f"breaks {len(mutant.broken)} obligations" if mutant.broken else "BREAKS NOTHING"
        print(f"  mutant      {mutant.name}: {said}")
