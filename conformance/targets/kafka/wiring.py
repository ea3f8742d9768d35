"""By which names and links brokers reach each other, so that any of them can be cut.

A broker advertises one address to all its peers, and so a proxy in front of it could not tell who
connects. Here each JVM has a hosts file of its own (`jdk.net.hosts.file`, Java 9 and later) in
which the name of every peer leads to a loopback address that belongs to this pair alone: broker 1
reaches broker 2 as 127.0.1.2, and there a link waits that can be held. Clients use another
listener, to which no link leads.
"""

import socket
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from conformance.nemesis.proxy import Link, Proxy
from conformance.targets.kafka.ports import HOST

ZOOKEEPER = 250
"""Its number in the addresses of links; brokers have the numbers from 1 on."""


class Traffic(StrEnum):
    """What passes between two servers; each kind has a listener of its own."""

    REPLICATION = "replication"
    CONTROL = "control"


class Direct:
    """Every server is found at 127.0.0.1, and no link can be cut."""

    links: "Links | None" = None

    def host(self, number: int) -> str:
        """By which name the others know a server."""
        return HOST

    def java_options(self, number: int) -> tuple[str, ...]:
        """What the JVM of this server has to be told."""
        return ()

    def connect(self, number: int, traffic: Traffic, port: int) -> None:
        """Lets all brokers reach this port of a server."""


class Linked(Direct):
    """Servers have names, which lead every broker to links of its own."""

    def __init__(self, folder: Path, brokers: int) -> None:
        self._brokers = range(1, brokers + 1)
        self._hosts = {n: folder / f"hosts-of-{self.host(n)}" for n in (*self._brokers, ZOOKEEPER)}
        for number, path in self._hosts.items():
            path.write_text("".join(self._lines(number)), encoding="utf-8")
        self.links: Links = Links()

    def host(self, number: int) -> str:
        return "zookeeper" if number == ZOOKEEPER else f"broker-{number}"

    def java_options(self, number: int) -> tuple[str, ...]:
        return (f"-Djdk.net.hosts.file={self._hosts[number]}",)

    def connect(self, number: int, traffic: Traffic, port: int) -> None:
        for broker in self._brokers:
            if broker != number:
                self.links.add(broker, number, traffic, (address(broker, number), port), port)

    def _lines(self, number: int) -> Iterator[str]:
        """The hosts file of one server. Nothing outside it can be looked up by that JVM."""
        yield f"{HOST} localhost {socket.gethostname()}\n"
        for other in self._hosts:
            reached_at = HOST if other == number else address(number, other)
            yield f"{reached_at} {self.host(other)}\n"


def address(broker: int, other: int) -> str:
    """Where the link from one server to another listens."""
    return f"127.0.{broker}.{other}"


def can_link() -> bool:
    """Whether this machine has more loopback addresses than one, as Linux has."""
    try:
        with socket.socket() as probe:
            probe.bind((address(1, 2), 0))
    except OSError:
        return False
    return True


class Links:
    """All links of a cluster: who reaches whom, and for what."""

    def __init__(self) -> None:
        self._proxy = Proxy()
        self._links: dict[tuple[int, int, Traffic], Link] = {}

    def add(
        self, broker: int, other: int, traffic: Traffic, listen: tuple[str, int], port: int
    ) -> None:
        """A link from `listen` to that port of `other`, for `broker` alone."""
        self._links[broker, other, traffic] = self._proxy.link(listen, (HOST, port))

    def hold(self, broker: int, others: Sequence[int], *traffic: Traffic) -> None:
        """Nothing passes between a broker and others, in either direction."""
        for link in self._between(broker, others, traffic):
            link.hold()

    def join(self, broker: int, others: Sequence[int], *traffic: Traffic) -> None:
        """The end of `hold`."""
        for link in self._between(broker, others, traffic):
            link.join()

    def _between(
        self, broker: int, others: Sequence[int], traffic: Sequence[Traffic]
    ) -> Iterator[Link]:
        for (one, other, kind), link in self._links.items():
            if kind in traffic and (
                (one == broker and other in others) or (other == broker and one in others)
            ):
                yield link

    def close(self) -> None:
        self._proxy.close()
