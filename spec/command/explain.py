"""`explain`: the argument of a proof, in an order in which it can be followed.

Every obligation follows from a few conjuncts. Conjuncts that rest on each other are proved by one
induction, together; what follows from them comes later. That order is a graph's: its strongly
connected components, sorted.
"""

from argparse import Namespace
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import networkx

from spec.checkers.reasons import Reason, reasons
from spec.command import arguments, findings
from spec.command.outcome import Exit
from spec.language import Model, trace
from spec.proofs.proof import Proof


def run(options: Namespace) -> Exit:
    documents = []
    for proof in arguments.proofs(options.model, options.all):
        model = trace(proof.proof)
        layers = layers_of(dependencies(reasons(proof)))
        documents.append({"proof": proof.name, "layers": layers})
        if not options.json:
            _tell(proof, model, layers)
    if options.json:
        findings.print_json({"proofs": documents} if options.all else documents[0])
    return Exit.AS_CLAIMED


def dependencies(found: Iterable[Reason]) -> dict[str, set[str]]:
    """What each conjunct, cut or invariant was proved from, over all obligations."""
    rests_on: dict[str, set[str]] = defaultdict(set)
    for reason in found:
        rests_on[reason.obligation.property].update(reason.hypotheses)
    return rests_on


def layers_of(rests_on: dict[str, set[str]]) -> list[dict[str, Any]]:
    """Groups of facts that are proved together, each after those that it rests on."""
    graph = networkx.DiGraph()
    for name, used in sorted(rests_on.items()):
        graph.add_node(name)
        graph.add_edges_from((name, other) for other in sorted(used) if other != name)
    groups = networkx.condensation(graph)
    order = reversed(list(networkx.lexicographical_topological_sort(groups, key=_key(groups))))
    layers = []
    for number in order:
        members = sorted(groups.nodes[number]["members"])
        below = {o for m in members for o in rests_on.get(m, ()) if o not in members}
        layers.append({"together": members, "rest_on": sorted(below)})
    return layers


def _key(groups: Any) -> Any:
    return lambda number: min(groups.nodes[number]["members"])


def _tell(proof: Proof, model: Model, layers: list[dict[str, Any]]) -> None:
    docs = {
        name: item.doc.split("\n")[0]
        for group in (model.conjuncts, model.invariants, model.cuts)
        for name, item in group.items()
    }
    print(f"{proof.name}: {proof.summary}\n")
    for number, layer in enumerate(layers, 1):
        how = "proved together, by one induction" if len(layer["together"]) > 1 else ""
        rest = f"from {', '.join(layer['rest_on'])}" if layer["rest_on"] else ""
        print(f"{number:3d}. {'; '.join(filter(None, (how, rest))) or 'by itself'}")
        for name in layer["together"]:
            kind = "INVARIANT " if name in model.invariants else ""
            print(f"       {kind}{name}: {docs.get(name, '')}")
    print()
