"""`--target` -> what it means: its kind, how it is started, and how a process opens it.

A real Kafka is started once, by the process that runs the session, and the workers of pytest-xdist
are given the addresses; a mock costs so little that each has its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.targets.address import AddressTransport
from conformance.targets.target import Address, Capability, Target, Trait, Transport
from conformance.wirelog import WireLog
from conformance.world import World
from reference.mutants import MUTANTS, Mutant
from reference.rules import Rules


class Launched(Protocol):
    """A cluster that the harness has started, and must stop."""

    @property
    def bootstrap(self) -> Sequence[tuple[str, int]]: ...
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
    traits: frozenset[Trait] = frozenset()
    mutant: Mutant | None = None

    @property
    def fresh_per_test(self) -> bool:
        return Trait.FRESH_CLUSTER in self.traits

    def open(self, world: World, wire_log: WireLog) -> Target:
        """The target for one test or, where clusters are not made afresh, for all of a process."""
        if self.open_transport:
            return Target(self.name, self.open_transport(world, wire_log), wire_log)
        transport = AddressTransport(*self.bootstrap, facts=dict(self.facts))
        return Target(self.name, transport, wire_log)


def parse(name: str, seed: int) -> TargetSpec:
    """Raises `ValueError` with a message for the command line."""
    family, plus, variant = name.partition("+")
    if family == "reference":
        return _reference(name, variant if plus else None, seed)
    if name == "librdkafka-mock":
        return TargetSpec(name=name, launch=_launch_mock, shared=False)
    if name.startswith("kafka:"):
        return _kafka(name)
    addresses = tuple(_address(part) for part in name.split(","))
    return TargetSpec(name=name, bootstrap=addresses)


def _reference(name: str, variant: str | None, seed: int) -> TargetSpec:
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
        traits=frozenset(Trait),
        mutant=mutant,
    )


def _launch_mock() -> Launched:
    from conformance.targets.librdkafka_mock import LibrdkafkaMock

    return LibrdkafkaMock()


def _kafka(name: str) -> TargetSpec:
    version, plus, mode = name.removeprefix("kafka:").partition("+")
    if not version or not all(part.isdigit() for part in version.split(".")):
        raise ValueError(f"{name!r}: expected kafka:VERSION such as kafka:4.1.0")
    if plus and mode != "zookeeper":
        raise ValueError(f"{name!r}: after the version only `+zookeeper` may follow")

    def launch() -> Launched:
        from conformance.targets import kafka

        return kafka.launch(version, zookeeper=bool(plus))

    return TargetSpec(name=name, launch=launch)


def _address(text: str) -> Address:
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isdigit() and 0 < int(port) < 65_536):
        message = (
            f"{text!r} is neither host:port nor one of reference, reference+MUTANT, "
            "librdkafka-mock, kafka:VERSION, kafka:VERSION+zookeeper"
        )
        raise ValueError(message)
    return Address(host, int(port))
