"""KRaft mode: every process is a broker and a voter of the controller quorum.

Combined processes, since six JVMs would not fit two cores, and what a client can see is the same.
A broker that is killed takes a controller with it; the other two of three are still a majority.
The voters are static (`controller.quorum.voters`), which every release with KRaft understands.
"""

import base64
import subprocess
import uuid

from conformance.targets.kafka.artifacts import Installation
from conformance.targets.kafka.configuration import overrides
from conformance.targets.kafka.errors import TargetUnavailable
from conformance.targets.kafka.jvm import java_command
from conformance.targets.kafka.layout import SERVER_PROPERTIES, Layout, broker
from conformance.targets.kafka.ports import HOST, reserved_ports
from conformance.targets.kafka.process import ServerProcess
from conformance.targets.kafka.sandbox import Sandbox

_FORMAT_WITHIN_S = 90


def lay_out(installation: Installation, sandbox: Sandbox, brokers: int) -> Layout:
    """`brokers` brokers with formatted storage, at the version's default feature levels.

    Raises `TargetUnavailable` where formatting fails.
    """
    with reserved_ports(2 * brokers) as ports:
        clients, controllers = ports[:brokers], ports[brokers:]
        common = overrides(brokers) | _quorum(controllers)
        processes = tuple(
            broker(installation, sandbox, i, client, common | _own(i, client, controller))
            for i, (client, controller) in enumerate(zip(clients, controllers, strict=True), 1)
        )
        _format(installation, sandbox, processes)
    return Layout(mode="KRaft", servers=(), brokers=processes, overrides=common)


def _quorum(controller_ports: list[int]) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": ",".join(
            f"{i}@{HOST}:{port}" for i, port in enumerate(controller_ports, 1)
        ),
        # A broker that fell silent is fenced after 6 s instead of 9 s.
        "broker.heartbeat.interval.ms": "1000",
        "broker.session.timeout.ms": "6000",
    }


def _own(broker_id: int, port: int, controller_port: int) -> dict[str, str]:
    return {
        "node.id": str(broker_id),
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
    }


def _format(
    installation: Installation, sandbox: Sandbox, processes: tuple[ServerProcess, ...]
) -> None:
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    tools = []
    for process in processes:
        folder = process.log.parent
        # With an equals sign, for the id is base64 and may begin with a dash.
        arguments = ("--config", str(folder / SERVER_PROPERTIES), f"--cluster-id={cluster_id}")
        command = java_command(
            installation, folder, "kafka.tools.StorageTool", "format", *arguments
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
