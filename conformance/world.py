"""The circumstances of one example: which random network, how slow."""

from dataclasses import dataclass

from hypothesis import strategies as st


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Only a simulated target can be put into another world; on an address it means nothing."""

    seed: int = 0
    """Added to the run's own seed."""
    latency_ms: tuple[int, int] = (1, 5)
    """Least and greatest delay of a frame or a message between brokers."""


def worlds() -> st.SearchStrategy[World]:
    """Worlds that differ in order and pace; the simplest is the default."""
    latencies = st.sampled_from([(1, 5), (1, 1), (0, 40), (20, 200)])
    return st.builds(World, seed=st.integers(0, 2**16), latency_ms=latencies)
