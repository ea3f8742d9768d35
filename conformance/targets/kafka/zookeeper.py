"""ZooKeeper mode, which Kafka 4.0 removed: one ZooKeeper server and the brokers.

ZooKeeper is of the version that Kafka itself depends on. One server suffices, for the promises
under test are the brokers'.

A broker that was killed leaves a session behind. Started again before ZooKeeper has given that
up, after `zookeeper.session.timeout.ms`, it finds its id taken and ends with exit status 1.
"""

from conformance.targets.kafka.artifacts import Installation
from conformance.targets.kafka.configuration import overrides
from conformance.targets.kafka.jvm import java_command, write_properties
from conformance.targets.kafka.layout import Layout, broker
from conformance.targets.kafka.ports import HOST, reserved_ports
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox


def lay_out(installation: Installation, sandbox: Sandbox, brokers: int) -> Layout:
    """A ZooKeeper server and `brokers` brokers, all with empty storage."""
    with reserved_ports(brokers + 1) as ports:
        zookeeper_port, *broker_ports = ports
        common = overrides(brokers) | {
            "zookeeper.connect": f"{HOST}:{zookeeper_port}",
            # All start at once; a broker waits this long for ZooKeeper to come up.
            "zookeeper.connection.timeout.ms": "60000",
            # A broker that fell silent is given up after 6 s instead of 18 s.
            "zookeeper.session.timeout.ms": "6000",
        }
        processes = tuple(
            broker(installation, sandbox, i, port, common | _own(i, port))
            for i, port in enumerate(broker_ports, 1)
        )
        server = _zookeeper(installation, sandbox, zookeeper_port)
    return Layout(mode="ZooKeeper", servers=(server,), brokers=processes, overrides=common)


def _own(broker_id: int, port: int) -> dict[str, str]:
    return {"broker.id": str(broker_id), "listeners": f"PLAINTEXT://{HOST}:{port}"}


def _zookeeper(installation: Installation, sandbox: Sandbox, port: int) -> ServerProcess:
    folder = sandbox.folder / "zookeeper"
    folder.mkdir()
    configuration = folder / "zookeeper.properties"
    properties = {
        "dataDir": str(folder / "data"),
        "clientPort": str(port),
        "clientPortAddress": HOST,
        # A session may not be shorter than two ticks, nor longer than twenty.
        "tickTime": "1000",
        "maxClientCnxns": "0",
        "admin.enableServer": "false",
    }
    write_properties(configuration, properties)
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    return ServerProcess(
        name=folder.name,
        port=port,
        command=java_command(installation, folder, main, str(configuration)),
        folder=folder,
        sandbox=sandbox,
    )
