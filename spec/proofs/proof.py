"""A proof: what it is about, what it adds to the protocol, and what must break it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from spec.language import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """An inductive argument for every size, as a class that extends a protocol."""

    name: str
    protocol: type[Protocol]
    """The protocol that is proved; the proof adds history variables and conjuncts to it."""
    proof: type[Protocol]
    small: Mapping[str, int]
    """An instance (values by sort) that is large enough to tell a wrong conjunct from a right one:
    for bounded induction, and to find the hypotheses that matter."""
    mutants: tuple[type[Protocol], ...] = ()
    """Proof classes with one rule of the protocol wrong: each must break an obligation."""
    open: Mapping[str, str] = field(default_factory=dict)
    """Invariants that are not proved -> what was tried."""

    @property
    def summary(self) -> str:
        return (self.proof.__doc__ or "").strip().split("\n")[0]
