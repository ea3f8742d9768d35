"""Wrong rules of connections and frames."""

from collections.abc import Mapping

from reference.mutants.mutant import Mutant
from reference.rules import Rules


class ApiVersionsLies(Rules):
    def advertised(self, served: Mapping[int, range]) -> Mapping[int, range]:
        return {key: range(each.start, each.stop + 1) for key, each in served.items()}


class ConnectionCrosstalk(Rules):
    def answers_in_request_order(self) -> bool:
        return False


class GarbageTrusted(Rules):
    def accepts_frame(self, size_bytes: int) -> bool:
        return True


class MalformedIgnored(Rules):
    def refuses_malformed(self) -> bool:
        return False


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
        rules=GarbageTrusted,
        wrong="A frame's announced length is trusted, however large, and waited for.",
    ),
    Mutant(
        name="malformed-ignored",
        id="H-01",
        clauses=("ERR-03",),
        rules=MalformedIgnored,
        wrong="A malformed request is passed over in silence and its connection stays open.",
    ),
    Mutant(
        name="acks-zero-answered",
        id="H-02",
        clauses=("PROD-01",),
        rules=AcksZeroAnswered,
        wrong="A produce request with acks=0 is answered.",
    ),
)
