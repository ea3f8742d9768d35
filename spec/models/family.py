"""A family of protocols: one text, its historic or wrong variants, and how each shows itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spec.language import Protocol

Counts = Mapping[str, int]
"""How many values each sort has, by the sort's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refutation:
    """How a wrong variant breaks an invariant: the smallest instance known to show it."""

    invariant: str
    bounds: Counts
    steps: int
    """Actions of a shortest counterexample within the bounds."""
    symmetry: str = ""
    """The entity sort whose permutations are not told apart; "" for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A protocol of the family. Without refutations it claims all its invariants."""

    name: str
    protocol: type[Protocol]
    bounds: Counts = field(default_factory=dict)
    """What is explored by default, completely."""
    symmetry: str = ""
    refutations: tuple[Refutation, ...] = ()

    @property
    def is_wrong(self) -> bool:
        return bool(self.refutations)

    @property
    def summary(self) -> str:
        return (self.protocol.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Variants of one protocol. The first one is meant where none is named."""

    name: str
    summary: str
    bounds: Mapping[str, str]
    """Names of bounds on the command line -> names of sorts; `+1` after a sort counts one more."""
    variants: tuple[Variant, ...]

    def variant(self, name: str = "") -> Variant:
        """Raises `KeyError` for a variant that the family does not have."""
        for variant in self.variants:
            if name in ("", variant.name):
                return variant
        raise KeyError(name)

    def named(self, counts: Counts) -> dict[str, int]:
        """Bounds as the command line names them, for counts by sort."""
        found = {}
        for name, key in self.bounds.items():
            sort, _, more = key.partition("+")
            if sort in counts:
                found[name] = counts[sort] - int(more or 0)
        return found

    def counts(self, named: Mapping[str, int]) -> dict[str, int]:
        """Counts by sort for bounds as the command line names them. Raises `KeyError`."""
        found = {}
        for name, value in named.items():
            sort, _, more = self.bounds[name].partition("+")
            found[sort] = value + int(more or 0)
        return found
