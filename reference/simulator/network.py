"""Links between members and clients: latency, order, loss, repetition and cuts, from one seed.

A link keeps the order of what goes over it unless it is told to reorder. Messages between members
may be lost or come twice; the links of clients are TCP and do neither.
"""

import random
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum


class Plane(Enum):
    """What of the traffic between two members."""

    ALL = "all"
    REPLICATION = "replication"
    METADATA = "metadata"


@dataclass(slots=True)
class Network:
    chance: random.Random
    latency_ms: tuple[int, int]
    """The shortest and the longest way."""
    loss: float = 0.0
    """How likely a message between members is lost."""
    duplicate: float = 0.0
    """How likely it arrives twice."""
    reorder: float = 0.0
    """How likely it is held up and may be overtaken by what is sent later."""
    replication_cuts: set[tuple[int, int]] = field(default_factory=set)
    """Links, from and to, over which no replica fetches. Never iterated."""
    metadata_cuts: set[tuple[int, int]] = field(default_factory=set)
    """Links over which nothing else passes: votes, metadata, what brokers ask of the controller.

    Kafka has a listener of its own for either, so that one may fail without the other.
    """
    slowness_ms: dict[int, int] = field(default_factory=dict)
    """By how much longer the ways of some members are, in both directions."""
    _last_ms: dict[Hashable, int] = field(default_factory=dict)
    """Latest arrival per link: a link keeps the order."""

    def arrival_ms(self, link: Hashable, now_ms: int) -> int:
        """When something sent now arrives over a link that keeps the order and loses nothing."""
        shortest, longest = self.latency_ms
        at_ms = now_ms + shortest
        if longest > shortest:
            at_ms += int(self.chance.random() * (longest - shortest + 1))
        last_ms = self._last_ms
        if at_ms < last_ms.get(link, 0):
            return last_ms[link]
        last_ms[link] = at_ms
        return at_ms

    def arrivals_ms(
        self, sender: int, receiver: int, now_ms: int, *, replicates: bool
    ) -> tuple[int, ...]:
        """When a message between members arrives: usually once, sometimes never, or twice."""
        link = (sender, receiver)
        if not self.passes(sender, receiver, replicates=replicates):
            return ()
        unsteady = self.loss + self.duplicate + self.reorder
        fate = self.chance.random() if unsteady else 1.0
        if fate < self.loss:
            return ()
        if self.slowness_ms:
            slowness_ms = self.slowness_ms
            now_ms += slowness_ms.get(sender, 0) + slowness_ms.get(receiver, 0)
        if fate >= unsteady:
            return (self.arrival_ms(link, now_ms),)
        # Held up by several of the longest ways, and not remembered: what is sent later overtakes.
        late_ms = now_ms + self.latency_ms[0] + int(self.chance.random() * 10 * self.latency_ms[1])
        if fate < self.loss + self.duplicate:
            return self.arrival_ms(link, now_ms), late_ms
        return (late_ms,)

    def forget(self, link: Hashable) -> None:
        """A link that is gone needs no memory."""
        self._last_ms.pop(link, None)

    def passes(self, sender: int, receiver: int, *, replicates: bool) -> bool:
        """Whether what is on its way may arrive now."""
        cuts = self.replication_cuts if replicates else self.metadata_cuts
        return not cuts or (sender, receiver) not in cuts

    def cut(
        self, sender: int, receiver: int, *, one_way: bool = False, plane: Plane = Plane.ALL
    ) -> None:
        """From now on nothing passes, not even what is on its way."""
        links = {(sender, receiver)} if one_way else {(sender, receiver), (receiver, sender)}
        for cuts in self._cuts(plane):
            cuts |= links

    def heal(
        self, sender: int, receiver: int, *, one_way: bool = False, plane: Plane = Plane.ALL
    ) -> None:
        """Passes again; what was lost stays lost."""
        links = {(sender, receiver)} if one_way else {(sender, receiver), (receiver, sender)}
        for cuts in self._cuts(plane):
            cuts -= links

    def _cuts(self, plane: Plane) -> list[set[tuple[int, int]]]:
        cuts = []
        if plane is not Plane.METADATA:
            cuts.append(self.replication_cuts)
        if plane is not Plane.REPLICATION:
            cuts.append(self.metadata_cuts)
        return cuts

    def heal_all(self) -> None:
        """All members are connected, as well as the latency and the loss allow."""
        self.replication_cuts.clear()
        self.metadata_cuts.clear()
        self.slowness_ms.clear()
