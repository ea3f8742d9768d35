"""Connections for clients that must go on whatever becomes of the brokers; nothing here waits."""

from collections.abc import Iterable

from conformance.client import Client
from conformance.connection import Connection, Versions
from conformance.targets.target import Address


class Brokers:
    """Where all brokers are and what they serve, learnt while all of them were well.

    A broker that returns has its old address, and serves what it served.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        client.metadata()
        self.addresses: dict[int, Address] = dict(client.addresses)
        self.versions: dict[int, Versions] = {b: client.broker(b).versions for b in self.addresses}

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(sorted(self.addresses))


class Lines:
    """One client's connections, one for each broker."""

    def __init__(self, brokers: Brokers) -> None:
        self.brokers = brokers
        self._open: dict[int, Connection] = {}

    def to(self, broker: int) -> Connection:
        """The connection to a broker, opened anew where it was lost. It may fail later."""
        connection = self._open.get(broker)
        if connection is None or connection.loss:
            target = self.brokers.client.target
            connection = target.connect(self.brokers.addresses[broker])
            connection.versions = self.brokers.versions[broker]
            self._open[broker] = connection
        return connection

    def drop(self, broker: int) -> None:
        """Closes it, so that an answer that comes late is not taken for another."""
        if broker in self._open:
            self._open.pop(broker).close()

    def close(self, brokers: Iterable[int] | None = None) -> None:
        """Closes those to these brokers, by default all."""
        for broker in list(self._open) if brokers is None else brokers:
            self.drop(broker)
