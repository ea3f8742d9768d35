"""KRaft mode: every process is a broker and a voter of the controller quorum.

Combined processes, since six JVMs would not fit two cores, and what a client can see is the same.
A broker that is killed takes a controller with it; the other two of three are still a majority.
The voters are static (`controller.quorum.voters`), which every release with KRaft understands.
"""

import base64
import subprocess
import uuid

from conformance.targets.kafka.artifacts import Installation, release
from conformance.targets.kafka.configuration import overrides
from conformance.targets.kafka.errors import TargetUnavailable
from conformance.targets.kafka.jvm import java_command
from conformance.targets.kafka.layout import SERVER_PROPERTIES, BrokerPorts, Layout, broker
from conformance.targets.kafka.ports import HOST, reserved_ports
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox
from conformance.targets.kafka.wiring import Direct

_FORMAT_WITHIN_S = 90


def lay_out(installation: Installation, sandbox: Sandbox, wiring: Direct, brokers: int) -> Layout:
    """`brokers` brokers with formatted storage, at the version's default feature levels, but with
    eligible leader replicas wherever there are any.

    Raises `TargetUnavailable` where formatting fails.
    """
    with reserved_ports(3 * brokers) as numbers:
        ports = {
            i: BrokerPorts(clients=clients, replication=replication, control=control)
            for i, (clients, replication, control) in enumerate(
                zip(*[iter(numbers)] * 3, strict=True), 1
            )
        }
        common = overrides(brokers) | _quorum(wiring, ports)
        processes = tuple(
            broker(installation, sandbox, wiring, i, own, common | _own(wiring, i, own))
            for i, own in ports.items()
        )
        _format(installation, sandbox, processes)
    return Layout(mode="KRaft", servers=(), brokers=processes, overrides=common, links=wiring.links)


def _quorum(wiring: Direct, ports: dict[int, BrokerPorts]) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(
            f"{i}@{wiring.host(i)}:{own.control}" for i, own in ports.items()
        ),
        # A broker that fell silent is fenced after 4 s instead of 9 s.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "4000",
    }


def _own(wiring: Direct, broker_id: int, ports: BrokerPorts) -> dict[str, str]:
    replication = f"{wiring.host(broker_id)}:{ports.replication}"
    return {
        "node.id": str(broker_id),
        # Without the controller's, which may not be advertised before 3.9 and need not after.
        "advertised.listeners": (f"PLAINTEXT://{HOST}:{ports.clients},REPLICATION://{replication}"),
    }


def _format(
    installation: Installation, sandbox: Sandbox, processes: tuple[ServerProcess, ...]
) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    # 4.0 has eligible leader replicas (KIP-966), and from 4.1 on new clusters use them.
    has_elr = release(installation.version) == (4, 0)
    features = ("--feature", "eligible.leader.replicas.version=1") if has_elr else ()
    tools = []
    for process in processes:
        folder = process.log.parent
        # With an equals sign, for the id is base64 and may begin with a dash.
        arguments = ("--config", str(folder / SERVER_PROPERTIES), f"--cluster-id={cluster_id}")
        command = java_command(
            installation, folder, "kafka.tools.StorageTool", "format", *arguments, *features
        )
        log = folder / "format.log"
        tools.append((process, sandbox.spawn(command, log), log))
    for process, tool, log in tools:
        what = f"Apache Kafka {installation.version}: formatting the storage of {process.name}"
        try:
            status = tool.wait(_FORMAT_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise TargetUnavailable(f"{what} takes more than {_FORMAT_WITHIN_S} s") from error
        if status != 0:
            said = log.read_text(encoding="utf-8", errors="replace").strip()
            raise TargetUnavailable(f"{what} ended with exit status {status}:\n{said[-4000:]}")
