"""The clauses of the standard, one module per area.

An id is permanent: a clause that turns out to be wrong is corrected under its id, and one that is
given up leaves its number unused.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from spec.clause import Clause
from spec.clauses import (
    acls,
    controller,
    delivery,
    durability,
    errors,
    fetch,
    groups,
    isr,
    leadership,
    log,
    metadata,
    offsets,
    produce,
    quotas,
    transactions,
)

_MODULES = (
    controller,
    metadata,
    leadership,
    isr,
    log,
    offsets,
    produce,
    fetch,
    groups,
    transactions,
    delivery,
    quotas,
    acls,
    durability,
    errors,
)
"""In reading order, from the bottom of the system to its edges."""


def collect(areas: Iterable[Iterable[Clause]]) -> Mapping[str, Clause]:
    """The clauses by id, ordered by area as given and by number within an area.

    Areas stand in the order in which their first clause does. Raises `ValueError` where an id
    occurs twice.
    """
    by_id: dict[str, Clause] = {}
    rank: dict[str, int] = {}
    for clause in (clause for clauses in areas for clause in clauses):
        if clause.id in by_id:
            raise ValueError(f"{clause.id} is defined twice")
        by_id[clause.id] = clause
        rank.setdefault(clause.area, len(rank))
    ordered = sorted(by_id.values(), key=lambda clause: (rank[clause.area], clause.id))
    return MappingProxyType({clause.id: clause for clause in ordered})


CLAUSES: Mapping[str, Clause] = collect(module.CLAUSES for module in _MODULES)
