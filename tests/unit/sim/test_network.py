"""Virtual links: as ordered and reliable as the real ones, and as slow as loss makes them."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ids import LinkId
from railgun_core.sim.network import LATENCY_S, RETRANSMIT_S, End, Network


@given(st.integers(0, 2**32), st.floats(0, 0.5), st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_chunks_arrive_in_the_order_they_were_sent(seed: int, loss: float, pauses: list[float]) -> None:
    network, end, now_s, arrivals = Network(Random(seed), loss), End(2, LinkId(1)), 0.0, []
    for pause in pauses:
        now_s += pause
        arrivals.append(network.arrival_s(end, 1, now_s))
        assert arrivals[-1] >= now_s + LATENCY_S[0]
    assert arrivals == sorted(arrivals)


def test_a_pair_has_one_latency_in_both_directions_and_for_good() -> None:
    network = Network(Random(1), 0.0)
    pairs = [(a, b) for a in range(20) for b in range(a)]
    for a, b in pairs:
        assert network.latency_s(a, b) == network.latency_s(b, a)
        assert LATENCY_S[0] <= network.latency_s(a, b) <= LATENCY_S[1]
    assert len({network.latency_s(a, b) for a, b in pairs}) > 150


def test_loss_costs_retransmissions() -> None:
    def mean_s(loss: float) -> float:
        network = Network(Random(3), loss)
        return sum(network.arrival_s(End(2, LinkId(n)), 1, 0.0) for n in range(2_000)) / 2_000

    assert mean_s(0.2) - mean_s(0.0) > 0.15 * RETRANSMIT_S


def test_a_split_separates_the_halves_and_nobody_else() -> None:
    network = Network(Random(1), 0.0)
    assert network.reachable(1, 9)
    network.split = frozenset({1, 2})
    assert network.reachable(1, 2)
    assert network.reachable(8, 9)
    assert not network.reachable(2, 9)
