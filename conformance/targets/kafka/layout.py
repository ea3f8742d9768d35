"""What a cluster consists of before it is started."""

from dataclasses import dataclass

from conformance.targets.kafka.artifacts import Installation
from conformance.targets.kafka.jvm import java_command, write_properties
from conformance.targets.kafka.ports import HOST
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox
from conformance.targets.kafka.wiring import Direct, Links, Traffic

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
    links: Links | None
    """Between the brokers, where they can be cut."""
    restarts_after_s: float = 0.0
    """How long a killed broker's id stays taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerPorts:
    """The listeners of a broker; clients have one of their own, to which no link leads."""

    clients: int
    replication: int
    control: int

    def listeners(self, host: str) -> dict[str, str]:
        """`host` is the name by which other servers know the broker."""
        names = {
            "PLAINTEXT": f"{HOST}:{self.clients}",
            "REPLICATION": f"{host}:{self.replication}",
            "CONTROLLER": f"{host}:{self.control}",
        }
        return {
            "listeners": ",".join(f"{name}://{address}" for name, address in names.items()),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names),
            "inter.broker.listener.name": "REPLICATION",
        }


def broker(
    installation: Installation,
    sandbox: Sandbox,
    wiring: Direct,
    broker_id: int,
    ports: BrokerPorts,
    properties: dict[str, str],
) -> ServerProcess:
    """A broker with a folder of its own, configured by `properties`, its listeners, and where its
    data goes; the others reach it through `wiring`."""
    folder = sandbox.folder / f"broker-{broker_id}"
    folder.mkdir()
    configuration = folder / SERVER_PROPERTIES
    own = ports.listeners(wiring.host(broker_id)) | {"log.dirs": str(folder / "data")}
    write_properties(configuration, own | properties)
    wiring.connect(broker_id, Traffic.REPLICATION, ports.replication)
    wiring.connect(broker_id, Traffic.CONTROL, ports.control)
    options = wiring.java_options(broker_id)
    return ServerProcess(
        name=folder.name,
        port=ports.clients,
        command=java_command(
            installation, folder, "kafka.Kafka", str(configuration), options=options
        ),
        folder=folder,
        sandbox=sandbox,
    )
