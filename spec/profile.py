"""Profiles: the clauses that stand or fall together for one kind of user.

A clause may be in several. Each is in at least one besides `all`, so that a run over the named
profiles leaves nothing out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from spec.clauses import CLAUSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named set of clauses that a run can be limited to and judged by."""

    name: str
    meaning: str
    """One sentence: who relies on it, and for what."""
    clauses: frozenset[str]


def _areas(*areas: str) -> frozenset[str]:
    return frozenset(clause.id for clause in CLAUSES.values() if clause.area in areas)


_COMMITTED_OFFSETS = frozenset({"OFF-03", "OFF-04", "OFF-05", "OFF-06", "OFF-07"})

# What is left out of an area here needs groups, transactions or a fault to be seen at all.
_CORE = (
    _areas("META", "LOG", "OFF", "PROD", "CONS", "ERR")
    - _COMMITTED_OFFSETS
    - {"META-05", "META-06"}
    - {"LOG-02", "LOG-03", "LOG-04", "LOG-06", "LOG-08", "LOG-09"}
    - {"PROD-08", "PROD-10"}
    - {"CONS-04", "CONS-06", "CONS-07"}
) | {"LEAD-07", "ISR-01", "ISR-03", "ISR-05", "ISR-06", "DUR-03"}

_DURABILITY = (
    _areas("CTL", "LEAD", "ISR", "DUR")
    | {"META-03", "META-05", "META-06"}
    | {"LOG-02", "LOG-03", "LOG-04", "LOG-06", "LOG-08"}
    | {"PROD-06", "PROD-08", "PROD-10"}
    | {"CONS-06", "CONS-07", "AMO-01", "ALO-01"}
)

_GROUPS = _areas("GRP") | _COMMITTED_OFFSETS | {"AMO-02", "ALO-02"}

_TRANSACTIONS = _areas("TXN", "EOS", "AMO", "ALO") | {
    "LOG-09",
    "OFF-01",
    "OFF-04",
    "OFF-06",
    "PROD-09",
    "PROD-10",
    "CONS-04",
    "CONS-07",
}

_ALL = (
    Profile(
        name="core",
        meaning="What a producer and a consumer without groups or transactions rely on.",
        clauses=_CORE,
    ),
    Profile(
        name="durability",
        meaning="What survives crashes, partitions, failovers and the loss of a disk.",
        clauses=_DURABILITY,
    ),
    Profile(
        name="groups",
        meaning="What consumers that share partitions and commit positions rely on.",
        clauses=_GROUPS,
    ),
    Profile(
        name="transactions",
        meaning="What at most once, at least once and exactly once rest on.",
        clauses=_TRANSACTIONS,
    ),
    Profile(
        name="administration",
        meaning="What operators rely on who limit clients by quotas and permissions.",
        clauses=_areas("QUOTA", "ACL"),
    ),
    Profile(name="all", meaning="Every clause of the standard.", clauses=frozenset(CLAUSES)),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({profile.name: profile for profile in _ALL})
