"""What a cluster consists of before it is started."""

from dataclasses import dataclass

from conformance.targets.kafka.artifacts import Installation
from conformance.targets.kafka.jvm import java_command, write_properties
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox

SERVER_PROPERTIES = "server.properties"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Processes with their files written, none of them running."""

    mode: str
    servers: tuple[ServerProcess, ...]
    """What the brokers depend on: ZooKeeper."""
    brokers: tuple[ServerProcess, ...]
    """In the order of their ids, which start at 1."""
    overrides: dict[str, str]
    """The configuration that all brokers have in common, beyond Kafka's defaults."""


def broker(
    installation: Installation,
    sandbox: Sandbox,
    broker_id: int,
    port: int,
    properties: dict[str, str],
) -> ServerProcess:
    """A broker with a folder of its own, configured by `properties` and where its data goes."""
    folder = sandbox.folder / f"broker-{broker_id}"
    folder.mkdir()
    configuration = folder / SERVER_PROPERTIES
    write_properties(configuration, properties | {"log.dirs": str(folder / "data")})
    return ServerProcess(
        name=folder.name,
        port=port,
        command=java_command(installation, folder, "kafka.Kafka", str(configuration)),
        folder=folder,
        sandbox=sandbox,
    )
