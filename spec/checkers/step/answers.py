"""What a model says of one step: allowed, refused by a rule, or beyond the bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

State = tuple[Any, ...]
"""One entry per leaf, in the order of `Model.leaves`."""


class OutsideDomain(ValueError):
    """A parameter, an index or a value that its sort does not have; nothing was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The model takes this step; `broken` are the invariants that do not hold after it."""

    state: State
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The model does not take this step.

    Either a `require` failed: `rule` is the part of it that is false. Or a variable differs from
    what the action makes of it: `variable`, with what was `expected` and what was `observed`.
    Values are as in states; `step` and `reason` say the same as people write it.
    """

    step: str
    """`leader_write(leader=b1)`"""
    reason: str
    rule: str
    where: str
    """`replication.py:112 leader_write`: the line of the rule, or of the action."""
    witness: Mapping[str, int] = field(default_factory=dict)
    """Where the rule speaks of all values of some variables: values for which it is false."""
    variable: str = ""
    expected: Any = None
    observed: Any = None

    def __str__(self) -> str:
        return f"{self.step} is refused: {self.reason} [{self.where}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgrown:
    """The rules allow the step, but it stores what the bounds have no room for.

    Nothing is known about the step: take larger bounds.
    """

    step: str
    bound: str
    """The sorts, by name, that are too small."""

    def __str__(self) -> str:
        return f"{self.step} outgrows the bounds: {self.bound}"


Answer = Allowed | Refused | Outgrown
