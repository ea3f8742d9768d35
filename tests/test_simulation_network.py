"""The simulated network: order, loss, repetition, slowness and cuts."""

import random
from collections import Counter

from reference.simulator.network import Network, Plane


def network(**fields: float) -> Network:
    return Network(random.Random(1), (1, 20), **fields)  # type: ignore[arg-type]


def arrivals(net: Network, count: int = 2_000, sender: int = 1) -> list[tuple[int, ...]]:
    return [net.arrivals_ms(sender, 2, at_ms, replicates=True) for at_ms in range(count)]


def test_a_link_keeps_the_order_unless_it_is_told_to_reorder() -> None:
    steady = [at_ms for found in arrivals(network()) for at_ms in found]
    assert steady == sorted(steady)
    assert len(steady) == 2_000
    unsteady = [at_ms for found in arrivals(network(reorder=0.1)) for at_ms in found]
    assert unsteady != sorted(unsteady)
    assert len(unsteady) == 2_000


def test_delays_are_within_the_latency_and_all_of_it_occurs() -> None:
    net = network()
    alone = [net.arrivals_ms(n, 0, 0, replicates=True)[0] for n in range(1, 1_000)]
    assert set(alone) == set(range(1, 21))


def test_loss_and_repetition_are_as_frequent_as_they_should_be() -> None:
    counts = Counter(len(found) for found in arrivals(network(loss=0.2, duplicate=0.1), 10_000))
    assert 1_800 < counts[0] < 2_200
    assert 850 < counts[2] < 1_150
    assert counts.total() == 10_000


def test_slowness_is_of_both_directions_and_adds_up() -> None:
    net = network()
    net.slowness_ms = {1: 100, 2: 1_000}
    assert 1_101 <= net.arrivals_ms(1, 2, 0, replicates=True)[0] <= 1_120
    assert 101 <= net.arrivals_ms(3, 1, 0, replicates=True)[0] <= 120
    assert 1 <= net.arrivals_ms(3, 4, 0, replicates=True)[0] <= 20


def test_cuts_have_directions_and_planes() -> None:
    net = network()
    net.cut(1, 2, one_way=True)
    assert not net.arrivals_ms(1, 2, 0, replicates=True)
    assert not net.passes(1, 2, replicates=False)
    assert net.arrivals_ms(2, 1, 0, replicates=True)
    net.cut(2, 1, plane=Plane.METADATA)
    assert net.passes(2, 1, replicates=True)
    assert not net.passes(2, 1, replicates=False)
    net.heal(1, 2, one_way=True)
    assert net.passes(1, 2, replicates=True)
    assert not net.passes(2, 1, replicates=False)
    net.heal_all()
    assert net.passes(2, 1, replicates=False)
