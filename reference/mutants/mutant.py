"""What there is to know of a mutant."""

from dataclasses import dataclass

from reference.rules import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A reference cluster with one wrong rule."""

    name: str
    """For `--target=reference+NAME`."""
    id: str
    """M-nn after a fault that some broker had, H-nn for our own."""
    clauses: tuple[str, ...]
    """The clauses it violates, the most direct first."""
    rules: type[Rules]
    wrong: str
    """What it gets wrong, in one sentence."""
