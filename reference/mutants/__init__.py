"""One wrong rule each; `--target=reference+NAME` runs the suite against it.

A suite that passes on a mutant is blind to what the mutant gets wrong.
"""

from collections.abc import Mapping

from reference.mutants import (
    connections,
    controller,
    fetch,
    idempotence,
    metadata,
    offsets,
    produce,
    quorum,
    replication,
    storage,
    truncation,
    zookeeper,
)
from reference.mutants.mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

_AREAS = (
    connections,
    produce,
    idempotence,
    replication,
    truncation,
    storage,
    fetch,
    offsets,
    metadata,
    controller,
    quorum,
    zookeeper,
)

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for area in _AREAS for mutant in area.MUTANTS}
