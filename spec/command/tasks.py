"""What a command checks: one variant within bounds, or everything that the families list."""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from spec.command import arguments
from spec.models.family import Family, Refutation, Variant
from spec.registry import FAMILIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One check, and what is expected of it."""

    family: Family
    variant: Variant
    bounds: Mapping[str, int]
    symmetry: str = ""
    invariants: tuple[str, ...] | None = None
    stop: bool = False
    refutation: Refutation | None = None
    """What must be found; None: nothing in particular."""

    @property
    def subject(self) -> str:
        return f"{self.family.name}/{self.variant.name}"

    @property
    def named_bounds(self) -> dict[str, int]:
        """The bounds as the command line calls them."""
        return self.family.named(self.bounds)

    @property
    def size(self) -> str:
        return ", ".join(f"{name}={count}" for name, count in self.named_bounds.items())

    def command(self, verb: str, more: str = "") -> str:
        """The command line that does it again."""
        given = self.size.replace(" ", "")
        symmetry = f" --symmetry {self.symmetry}" if self.symmetry else ""
        only = f" --invariant {self.invariants[0]}" if self.invariants and self.stop else ""
        stop = " --stop" if self.stop and verb == "explore" else ""
        return (
            f"python -m spec {verb} {self.family.name} --variant {self.variant.name} "
            f"--bounds {given}{symmetry}{only}{stop}{more}"
        )


def one(options: Namespace) -> Task:
    """The variant and bounds that the command line names. Raises `UsageError`."""
    family = arguments.family(options.model)
    variant = arguments.variant(family, options.variant)
    bounds = dict(variant.bounds) | arguments.bounds(family, options.bounds)
    invariants = getattr(options, "invariant", None)
    symmetry = getattr(options, "symmetry", "none")
    if symmetry is None:
        symmetry = "none" if options.bounds else variant.symmetry
    return Task(
        family=family,
        variant=variant,
        bounds=bounds,
        symmetry="" if symmetry == "none" else symmetry,
        invariants=tuple(invariants) if invariants else None,
        stop=getattr(options, "stop", False),
    )


def right_ones() -> Iterator[Task]:
    """Every variant that claims its invariants, with its usual bounds."""
    for family in FAMILIES.values():
        for variant in family.variants:
            if variant.bounds and not variant.is_wrong:
                yield Task(
                    family=family,
                    variant=variant,
                    bounds=variant.bounds,
                    symmetry=variant.symmetry,
                )


def refutations() -> Iterator[Task]:
    """Every wrong variant, where it shows itself."""
    for family in FAMILIES.values():
        for variant in family.variants:
            for refutation in variant.refutations:
                yield Task(
                    family=family,
                    variant=variant,
                    bounds=refutation.bounds,
                    symmetry=refutation.symmetry,
                    invariants=(refutation.invariant,),
                    stop=True,
                    refutation=refutation,
                )
