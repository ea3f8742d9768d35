"""A clause: the unit that proofs, explorations, tests, mutants and report rows hang on."""

import re
from dataclasses import dataclass
from enum import StrEnum

ID = re.compile(r"[A-Z]{3,5}-\d\d")


class Level(StrEnum):
    """RFC 2119 words. A broken MUST is `fail`; a SHOULD that is not followed is `weak`."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class Kind(StrEnum):
    """What sort of promise it is, and so what sort of evidence can break it."""

    SAFETY = "safety"
    """Nothing bad ever happens: one finite history refutes it."""
    LIVENESS = "liveness"
    """Something good happens in the end: a suite can only show that it has not happened yet."""
    PROTOCOL = "protocol"
    """The answer to one request is what the protocol says."""


class Need(StrEnum):
    """What it takes to bring a clause's premise about. The cheapest comes first in `needs`."""

    WIRE = "wire on one broker"
    CLUSTER = "several brokers"
    KILL = "kill and restart"
    PAUSE = "pause, delay or partition"
    DISK = "disk faults"
    RAW = "raw or forged inter-broker requests"
    TIME = "time, or a configuration with small intervals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One normative sentence and what one must know to test it.

    The sentence stands here and nowhere else: whatever prints it reads it from here.
    """

    id: str
    """Permanent: never re-used, never renumbered."""
    level: Level
    kind: Kind
    sentence: str
    reason: str
    """Why a user of the cluster cares: what goes wrong where the clause is broken."""
    needs: tuple[Need, ...]
    sources: tuple[str, ...]
    """KIPs, issues and files of Apache Kafka that the sentence is read from."""
    observe: str
    """How a black-box client can see it kept or broken."""
    model: str
    """The state of the formal model that it speaks about; empty for codec-level clauses."""
    varies: str = ""
    """Where versions and brokers may lawfully differ; a suite must not fail them for it."""
    calibrated: str = ""
    """What running against Apache Kafka taught us: which words changed, and why."""

    def __post_init__(self) -> None:
        if not ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} is not a clause id such as ISR-03")
        for name in ("sentence", "reason", "observe"):
            if not getattr(self, name).strip():
                raise ValueError(f"{self.id} has no {name}")
        if not self.needs or not self.sources:
            raise ValueError(f"{self.id} needs a set-up to be observed in, and a source")

    @property
    def area(self) -> str:
        """The letters before the dash: LOG for LOG-01."""
        return self.id.partition("-")[0]
