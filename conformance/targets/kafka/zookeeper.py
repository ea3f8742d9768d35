"""ZooKeeper mode, which Kafka 4.0 removed: one ZooKeeper server and the brokers.

ZooKeeper is of the version that Kafka itself depends on. One server suffices, for the promises
under test are the brokers'.

A broker that was killed leaves a session behind. Started again before ZooKeeper has given that
up, after `zookeeper.session.timeout.ms`, it finds its id taken and ends with exit status 1.
"""

from conformance.targets.kafka.artifacts import Installation
from conformance.targets.kafka.configuration import overrides
from conformance.targets.kafka.jvm import java_command, write_properties
from conformance.targets.kafka.layout import BrokerPorts, Layout, broker
from conformance.targets.kafka.ports import HOST, reserved_ports
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox
from conformance.targets.kafka.wiring import ZOOKEEPER, Direct, Traffic

_SESSION_TIMEOUT_MS = 4_000
_TICK_S = 1.0
"""ZooKeeper expires sessions at whole ticks."""


def lay_out(installation: Installation, sandbox: Sandbox, wiring: Direct, brokers: int) -> Layout:
    """A ZooKeeper server and `brokers` brokers, all with empty storage."""
    with reserved_ports(3 * brokers + 1) as ports:
        zookeeper_port, *numbers = ports
        common = overrides(brokers) | {
            "zookeeper.connect": f"{wiring.host(ZOOKEEPER)}:{zookeeper_port}",
            # What the controller and brokers say to each other has a listener of its own, so that
            # replication can be cut and they go on to hear of each other.
            "control.plane.listener.name": "CONTROLLER",
            # All start at once; a broker waits this long for ZooKeeper to come up.
            "zookeeper.connection.timeout.ms": "60000",
            # A broker that fell silent is given up after 4 s instead of 18 s.
            "zookeeper.session.timeout.ms": str(_SESSION_TIMEOUT_MS),
        }
        processes = tuple(
            broker(
                installation,
                sandbox,
                wiring,
                i,
                BrokerPorts(clients=clients, replication=replication, control=control),
                common | {"broker.id": str(i)},
            )
            for i, (clients, replication, control) in enumerate(
                zip(*[iter(numbers)] * 3, strict=True), 1
            )
        )
        wiring.connect(ZOOKEEPER, Traffic.CONTROL, zookeeper_port)
        server = _zookeeper(installation, sandbox, zookeeper_port)
    return Layout(
        mode="ZooKeeper",
        servers=(server,),
        brokers=processes,
        overrides=common,
        links=wiring.links,
        restarts_after_s=_SESSION_TIMEOUT_MS / 1000 + 2 * _TICK_S,
    )


def _zookeeper(installation: Installation, sandbox: Sandbox, port: int) -> ServerProcess:
    folder = sandbox.folder / "zookeeper"
    folder.mkdir()
    configuration = folder / "zookeeper.properties"
    properties = {
        "dataDir": str(folder / "data"),
        "clientPort": str(port),
        "clientPortAddress": HOST,
        # A session may not be shorter than two ticks, nor longer than twenty.
        "tickTime": str(round(_TICK_S * 1000)),
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
