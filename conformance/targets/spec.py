"""`--target` -> what it means: its kind, how it is started, and how a process opens it.

A real Kafka is started once, by the process that runs the session, and the workers of pytest-xdist
are given the addresses; a mock costs so little that each has its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from conformance.nemesis.capability import EVERYTHING, NETWORK, NOTHING, allowed
from conformance.nemesis.controls import Controls
from conformance.targets import description
from conformance.targets.address import AddressTransport
from conformance.targets.described import DescribedControls
from conformance.targets.target import Address, Capability, Nemesis, Target, Trait, Transport
from conformance.wirelog import WireLog
from conformance.world import World
from reference.mutants import MUTANTS, Mutant
from reference.rules import Rules


class Launched(Protocol):
    """A cluster that the harness has started, and must stop."""

    @property
    def bootstrap(self) -> Sequence[tuple[str, int]]: ...
    @property
    def controls(self) -> Controls | None:
        """None where the harness can only watch it."""

    def describe(self) -> dict[str, Any]: ...
    def death(self) -> str:
        """How it ended by itself; empty while it runs."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A target as the command line names it."""

    name: str
    open_transport: Callable[[World, WireLog], Transport] | None = None
    """For clusters in this process; a fresh one for every test."""
    launch: Callable[[], Launched] | None = None
    shared: bool = True
    """Whether the workers of pytest-xdist use one launched cluster, or each its own."""
    bootstrap: tuple[Address, ...] = ()
    """For an address, and for a launched target once it runs."""
    facts: tuple[tuple[str, Any], ...] = ()
    capabilities: frozenset[Capability] = frozenset()
    """Of a cluster in this process; what else can be done a cluster's controls tell."""
    controls: Controls | None = None
    """Of a cluster that is described in a file, and of a launched one once it runs."""
    faults: str = NOTHING
    """The word of `--faults`, which says what may be done to it."""
    traits: frozenset[Trait] = frozenset()
    mutant: Mutant | None = None

    @property
    def fresh_per_test(self) -> bool:
        return Trait.FRESH_CLUSTER in self.traits

    def forbids(self, needed: frozenset[Capability]) -> str:
        """Why the harness may not do this to the target, or cannot; empty where it may and can."""
        offered = self.controls.capabilities if self.controls else self.capabilities
        if missing := sorted(needed - offered):
            return f"the harness cannot {', '.join(missing)} on this target"
        if forbidden := sorted(needed - allowed(self.faults)):
            return f"--faults={self.faults} does not allow the harness to {', '.join(forbidden)}"
        return ""

    def open(self, world: World, wire_log: WireLog) -> Target:
        """The target for one test or, where clusters are not made afresh, for all of a process."""
        transport: Transport
        if self.open_transport:
            transport = self.open_transport(world, wire_log)
        else:
            transport = AddressTransport(*self.bootstrap, facts=dict(self.facts))
            if self.controls:
                transport.nemesis = Nemesis(self.controls, wire_log, transport.now_ms)
        if transport.nemesis:
            transport.nemesis.allowed = allowed(self.faults)
        return Target(self.name, transport, wire_log)


def parse(name: str, seed: int, faults: str | None = None) -> TargetSpec:
    """What `--target` and `--faults` mean. Faults that the user says nothing about are allowed
    where they harm nobody, which is in a simulation.

    Raises `ValueError` with a message for the command line.
    """
    family, plus, variant = name.partition("+")
    if family == "reference":
        return _reference(name, variant if plus else None, seed, faults or EVERYTHING)
    if name == "librdkafka-mock":
        return TargetSpec(name=name, launch=_launch_mock, shared=False)
    if name.startswith("kafka:"):
        return _kafka(name, faults or NOTHING)
    addresses = tuple(parse_address(part) for part in name.split(","))
    return TargetSpec(name=name, bootstrap=addresses, faults=faults or NOTHING)


def described(path: Path, faults: str | None = None) -> TargetSpec:
    """What `--target-config` means. Raises `ValueError` with a message for the command line."""
    found = description.load(path)
    try:
        bootstrap = tuple(parse_address(text) for text in found.bootstrap)
    except ValueError as error:
        raise ValueError(f"{path}: bootstrap: {error}") from error
    return TargetSpec(
        name=found.name,
        bootstrap=bootstrap,
        controls=DescribedControls(found),
        faults=faults or NOTHING,
    )


def _reference(name: str, variant: str | None, seed: int, faults: str) -> TargetSpec:
    if variant is not None and variant not in MUTANTS:
        raise ValueError(f"there is no mutant {variant!r}; `--list-mutants` prints them")
    mutant = MUTANTS[variant] if variant is not None else None
    rules = mutant.rules if mutant else Rules

    def open_transport(world: World, wire_log: WireLog) -> Transport:
        from conformance.targets.reference import ReferenceTransport

        return ReferenceTransport(seed, rules(), world, wire_log)

    return TargetSpec(
        name=name,
        open_transport=open_transport,
        capabilities=frozenset(Capability),
        faults=faults,
        traits=frozenset(Trait),
        mutant=mutant,
    )


def _launch_mock() -> Launched:
    from conformance.targets.librdkafka_mock import LibrdkafkaMock

    return LibrdkafkaMock()


def _kafka(name: str, faults: str) -> TargetSpec:
    version, plus, mode = name.removeprefix("kafka:").partition("+")
    if not version or not all(part.isdigit() for part in version.split(".")):
        raise ValueError(f"{name!r}: expected kafka:VERSION such as kafka:4.1.0")
    if plus and mode != "zookeeper":
        raise ValueError(f"{name!r}: after the version only `+zookeeper` may follow")

    def launch() -> Launched:
        from conformance.targets import kafka

        linked = bool(NETWORK & allowed(faults))
        return kafka.launch(version, zookeeper=bool(plus), linked=linked)

    # A fault meant by one worker would befall the tests of the others.
    return TargetSpec(name=name, launch=launch, shared=faults == NOTHING, faults=faults)


def parse_address(text: str) -> Address:
    """Raises `ValueError` where it is not host:port."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65_536):
        message = (
            f"{text!r} is neither host:port nor one of reference, reference+MUTANT, "
            "librdkafka-mock, kafka:VERSION, kafka:VERSION+zookeeper"
        )
        raise ValueError(message)
    return Address(host, int(port))
