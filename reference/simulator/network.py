"""Links between members and clients: latency, order, loss and cuts, all from one seeded source."""

import random
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Network:
    chance: random.Random
    latency_ms: tuple[int, int]
    """The shortest and the longest way."""
    loss: float = 0.0
    """How likely a message between members is lost. Clients' links are TCP and lose nothing."""
    cuts: set[tuple[int, int]] = field(default_factory=set)
    """Links, from and to, over which nothing passes. Never iterated."""
    _last_ms: dict[Hashable, int] = field(default_factory=dict)
    """Latest arrival per link: a link keeps the order."""

    def arrival_ms(self, link: Hashable, now_ms: int) -> int:
        """When something sent now arrives over a link."""
        shortest, longest = self.latency_ms
        delay = shortest
        if longest > shortest:
            delay += int(self.chance.random() * (longest - shortest + 1))
        at_ms = max(now_ms + delay, self._last_ms.get(link, 0))
        self._last_ms[link] = at_ms
        return at_ms

    def forget(self, link: Hashable) -> None:
        """A link that is gone needs no memory."""
        self._last_ms.pop(link, None)

    def passes(self, sender: int, receiver: int) -> bool:
        return (sender, receiver) not in self.cuts

    def loses(self) -> bool:
        return self.loss > 0 and self.chance.random() < self.loss

    def cut(self, sender: int, receiver: int, *, one_way: bool = False) -> None:
        """From now on nothing passes, not even what is on its way."""
        self.cuts.add((sender, receiver))
        if not one_way:
            self.cuts.add((receiver, sender))

    def heal(self, sender: int, receiver: int) -> None:
        """Both directions pass again; what was lost stays lost."""
        self.cuts.discard((sender, receiver))
        self.cuts.discard((receiver, sender))

    def heal_all(self) -> None:
        self.cuts.clear()
