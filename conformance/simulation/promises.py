"""Looks at the leader in the very moment in which it acknowledges a record.

What is acknowledged too early is seldom lost, and so seldom missed in the end. Here it is seen at
once.
"""

from collections.abc import Iterator

from conformance.simulation.violation import Violation
from reference.messages import Effect, Event, FromPeer, MetadataUpdate
from reference.node import Node
from reference.requests import Produce, Produced, Request, Response
from reference.simulator.cluster import Cluster


class Promises:
    """A watcher of the agenda."""

    def __init__(self, cluster: Cluster, min_insync_replicas: int) -> None:
        self.cluster = cluster
        self.min_insync_replicas = min_insync_replicas
        self.violations: list[Violation] = []
        self.seen = 0
        """Acknowledgements with acks=all."""
        self._asked: dict[int, tuple[int, Produce]] = {}
        self._told: dict[int, int] = {}
        """The number of the event by which each broker last heard new metadata."""
        cluster.observers.append(self._observe)

    def _observe(self, member: int, event: Event | None, effects: list[Effect]) -> None:
        node = self.cluster.members.get(member)
        for heard in node.heard if isinstance(node, Node) else ():
            if type(heard) is FromPeer and type(heard.message) is MetadataUpdate:
                self._told[member] = self.cluster.events

    def asked(self, number: int, who: str, node: int, request: Request) -> None:
        if isinstance(request, Produce) and request.acks == -1:
            self._asked[number] = node, request

    def answered(self, number: int, response: Response | None) -> None:
        node, request = self._asked.pop(number, (0, None))
        if request is not None and isinstance(response, Produced):
            self.violations += self._judge(node, response)

    def _judge(self, node: int, response: Produced) -> Iterator[Violation]:
        """ISR-05: everything below the high watermark, and enough in sync."""
        broker = self.cluster.brokers.get(node)
        for part in response.parts:
            if part.error or broker is None:
                continue
            replica = broker.locate(part.topic, part.number).replica
            if replica is None or replica.leadership is None:
                continue
            self.seen += 1
            at = f"broker {node} at {self.cluster.now_ms} ms acknowledges offset {part.base_offset}"
            if replica.high_watermark <= part.base_offset:
                text = f"{at} at a high watermark of {replica.high_watermark}"
                yield Violation("ISR-05", text)
            if self._told.get(node) == self.cluster.events:
                continue  # the ISR may have been another when it was acknowledged
            needed = min(self.min_insync_replicas, len(replica.state.replicas))
            if len(replica.state.isr) < needed:
                yield Violation("ISR-06", f"{at} with ISR {replica.state.isr}, {needed} needed")
