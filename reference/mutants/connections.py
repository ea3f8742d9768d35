"""Wrong rules of connections and frames."""

from collections.abc import Mapping, Sequence

from reference.mutants.mutant import Mutant
from reference.rules import Rules


class ApiVersionsLies(Rules):
    def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
        return {key: range(each.start, each.stop + 1) for key, each in served.items()}


class ConnectionCrosstalk(Rules):
    def answers_in_request_order(self) -> bool:
        return False


class GarbageClosesAll(Rules):
    def closed_by_garbage(self, sender: int, connections: Sequence[int]) -> Sequence[int]:
        return connections


class AcksZeroAnswered(Rules):
    def answers_produce(self, acks: int) -> bool:
        return True


MUTANTS = (
    Mutant(
        name="apiversions-lies",
        id="M-109",
        clauses=("ERR-01",),
        rules=ApiVersionsLies,
        wrong="ApiVersions names one version more of each API than the broker can decode.",
    ),
    Mutant(
        name="connection-crosstalk",
        id="M-132",
        clauses=("PROD-04", "ERR-02"),
        rules=ConnectionCrosstalk,
        wrong="Responses leave in the order in which they complete, not in that of the requests.",
    ),
    Mutant(
        name="crash-on-garbage",
        id="M-133",
        clauses=("ERR-03",),
        rules=GarbageClosesAll,
        wrong="A malformed request takes the broker down: all its connections are lost.",
    ),
    Mutant(
        name="acks-zero-answered",
        id="H-02",
        clauses=("PROD-01",),
        rules=AcksZeroAnswered,
        wrong="A produce request with acks=0 is answered.",
    ),
)
