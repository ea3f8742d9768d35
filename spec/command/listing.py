"""`list`: what models there are, their variants, invariants and proofs, and what may be bounded."""

from argparse import Namespace
from typing import Any

from spec.command import arguments
from spec.command.findings import print_json
from spec.command.outcome import Exit
from spec.language import trace
from spec.models.family import Family
from spec.registry import FAMILIES, PROOFS


def run(options: Namespace) -> Exit:
    families = [arguments.family(options.model)] if options.model else FAMILIES.values()
    documents = [_described(family) for family in families]
    if options.json:
        print_json({"models": documents})
        return Exit.AS_CLAIMED
    for document in documents:
        print(f"{document['model']}: {document['summary']}")
        usual = ", ".join(f"{name}={count}" for name, count in document["bounds"].items())
        print(f"  bounds      {usual}")
        for name, clauses in document["invariants"].items():
            print(f"  invariant   {name:32} {' '.join(clauses)}")
        for variant in document["variants"]:
            kind = "wrong" if variant["refutations"] else "right"
            print(f"  {kind}       {variant['name']:32} {variant['summary']}")
        for proof in document["proofs"]:
            print(f"  proof       {proof['name']:32} {proof['summary']}")
        print()
    return Exit.AS_CLAIMED


def _described(family: Family) -> dict[str, Any]:
    invariants = {
        item.name: item.clauses
        for variant in family.variants
        for item in trace(variant.protocol).invariants.values()
    }
    return {
        "model": family.name,
        "summary": family.summary,
        "bounds": dict.fromkeys(family.bounds) | family.named(family.variant().bounds),
        "invariants": invariants,
        "variants": [
            {
                "name": variant.name,
                "summary": variant.summary,
                "bounds": dict(variant.bounds),
                "refutations": [
                    {
                        "invariant": refutation.invariant,
                        "steps": refutation.steps,
                        "bounds": dict(refutation.bounds),
                    }
                    for refutation in variant.refutations
                ],
            }
            for variant in family.variants
        ],
        "proofs": [
            {"name": proof.name, "summary": proof.summary}
            for proof in PROOFS.values()
            if proof.name.split("/")[0] == family.name
        ],
    }
