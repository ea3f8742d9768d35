"""The words of the command line, and what they are taken for."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from spec.command.findings import DEFAULT
from spec.command.outcome import UsageError
from spec.models.family import Family, Variant
from spec.proofs.proof import Proof
from spec.registry import FAMILIES, PROOFS

MEGABYTE = 1 << 20


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m spec", description="Explore, refute, prove and walk the formal models."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="what models, variants and proofs there are")
    listing.add_argument("model", nargs="?", metavar="MODEL", help="only this one")
    listing.add_argument("--json", action="store_true", help="print one JSON document")
    explore = _of_models(verbs, "explore", "every state of an instance, breadth first")
    explore.add_argument("--all", action="store_true", help="every model, with its usual bounds")
    explore.add_argument(
        "--symmetry",
        default=None,
        metavar="SORT|none",
        help="entities whose permutations are not told apart",
    )
    explore.add_argument("--stop", action="store_true", help="end at the first violation")
    explore.add_argument("--memory-mb", type=_positive, default=2048, help="default: 2048")
    explore.add_argument("--states", type=_positive, default=None, help="end beyond so many states")
    explore.add_argument("--time-limit-s", type=_positive, default=600, help="default: 600")
    bounded = _of_models(verbs, "bounded", "the shortest counterexample, by a solver")
    bounded.add_argument("--depth", type=_positive, default=20, help="actions; default: 20")
    bounded.add_argument("--start", type=_natural, default=0, help="depths below it are clean")
    bounded.add_argument("--time-limit-s", type=_positive, default=120, help="default: 120")
    prove = verbs.add_parser("prove", help="by induction, for any size")
    prove.add_argument("model", nargs="?", metavar="MODEL", help="a model or a proof; see list")
    prove.add_argument("--all", action="store_true", help="every proof")
    prove.add_argument("--seed", type=_natural, default=0)
    prove.add_argument("--workers", type=_positive, default=2, help="processes; default: 2")
    prove.add_argument("--learn", action="store_true", help="remember which hypotheses suffice")
    prove.add_argument("--mutants", action="store_true", help="show also what breaks each proof")
    _common(prove)
    explain = verbs.add_parser("explain", help="the argument of a proof, in order")
    explain.add_argument("model", nargs="?", metavar="MODEL", help="a model or a proof; see list")
    explain.add_argument("--all", action="store_true", help="every proof")
    explain.add_argument("--json", action="store_true", help="print one JSON document")
    walk = _of_models(verbs, "walk", "random walks, where there is too much to explore")
    walk.add_argument("--all", action="store_true", help="every model, with its usual bounds")
    walk.add_argument("--seed", type=_natural, default=0)
    walk.add_argument("--walks", type=_positive, default=20, help="default: 20")
    walk.add_argument("--steps", type=_positive, default=2000, help="of each walk; default: 2000")
    trace = verbs.add_parser("trace", help="whether the steps of a trace file are allowed")
    trace.add_argument("model", metavar="MODEL", help="a model; see list")
    _of_variants(trace)
    trace.add_argument("--file", type=Path, required=True, help="states in ITF JSON")
    trace.add_argument("--json", action="store_true", help="print one JSON document")
    return top


def _of_models(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=what)
    verb.add_argument("model", nargs="?", metavar="MODEL", help="a model; see list")
    _of_variants(verb)
    verb.add_argument(
        "--save-trace",
        type=Path,
        metavar="FILE",
        help="write the first counterexample as an ITF file",
    )
    verb.add_argument(
        "--invariant",
        action="append",
        default=[],
        metavar="NAME",
        help="check this one (repeatable); default: all",
    )
    _common(verb)
    return verb


def _of_variants(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--variant", default="", help="default: the first of the model")
    verb.add_argument("--bounds", default="", metavar="NAME=N,...", help="the size; see list")


def _common(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="print one JSON document")
    verb.add_argument(
        "--evidence",
        type=Path,
        default=DEFAULT,
        metavar="FILE",
        help=f"append evidence here; default: {DEFAULT}",
    )
    verb.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def _natural(text: str) -> int:
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _positive(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return value


# ---- names of things ----------------------------------------------------------------------------


def family(name: str | None) -> Family:
    """Raises `UsageError` with the names that there are."""
    found = FAMILIES.get((name or "").replace("-", "_"))
    if found is None:
        raise UsageError(f"no model is called {name}; there are {', '.join(FAMILIES)}")
    return found


def variant(of: Family, name: str) -> Variant:
    try:
        return of.variant(name)
    except KeyError:
        known = ", ".join(variant.name for variant in of.variants)
        raise UsageError(f"{of.name} has no variant {name}; it has {known}") from None


def bounds(of: Family, text: str) -> dict[str, int]:
    """`replicas=3,epochs=2` by sort. Raises `UsageError`."""
    named: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not value.strip().isdigit():
            raise UsageError(f"--bounds: {part!r} is not NAME=NUMBER")
        if name.strip() not in of.bounds:
            known = ", ".join(of.bounds)
            raise UsageError(f"--bounds: {of.name} has no bound {name.strip()}; it has {known}")
        named[name.strip()] = int(value)
    return of.counts(named)


def proofs(name: str | None, everything: bool) -> list[Proof]:
    """The proofs of a model, the one of that name, or all. Raises `UsageError`.

    Where no model is called so, those whose names begin so: `groups`.
    """
    if everything == bool(name):
        raise UsageError("name a model, or say --all")
    if everything:
        return list(PROOFS.values())
    asked = (name or "").replace("-", "_")
    keys = {key: key.replace("-", "_") for key in PROOFS}
    found = [PROOFS[key] for key, flat in keys.items() if asked in (flat, flat.split("/")[0])]
    if not found:
        found = [PROOFS[key] for key, flat in keys.items() if flat.startswith(f"{asked}_")]
    if not found:
        raise UsageError(f"nothing is proved of {name}; there are {', '.join(PROOFS)}")
    return found


def checked(arguments: Sequence[str] | None) -> argparse.Namespace:
    options = parser().parse_args(arguments)
    everything = getattr(options, "all", False)
    if everything and options.model:
        raise UsageError("name either a model or --all, not both")
    if options.verb in ("explore", "bounded", "walk") and not (everything or options.model):
        raise UsageError(f"name a model: {', '.join(FAMILIES)}")
    return options
