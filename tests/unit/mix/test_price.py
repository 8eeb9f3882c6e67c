"""The price of high security against what drawing it gives."""

from __future__ import annotations

import math
import random

import pytest

from railgun_core.mix.cover import SendQueue, Slot, gb_for, rate_for
from railgun_core.mix.price import NETWORK_MS, price
from railgun_core.mix.topology import draw_delays


def drawn_ms(packets_per_s: float, real_per_s: float, rng: random.Random, count: int) -> list[float]:
    """Delays of real packets through the queue itself, and through drawn mixes."""
    queue: SendQueue[float] = SendQueue(packets_per_s)
    now_s, next_real_s, delays = 0.0, rng.expovariate(real_per_s), []
    while len(delays) < count:
        now_s += queue.gap_s(rng)
        while next_real_s <= now_s:
            queue.offer(next_real_s)
            next_real_s += rng.expovariate(real_per_s)
        kind, came_s = queue.draw(rng, secure=False)
        if kind is Slot.REAL and came_s is not None:
            delays.append((now_s - came_s) * 1000 + sum(draw_delays(rng)) + NETWORK_MS)
    return sorted(delays)


@pytest.mark.parametrize(("rate", "real"), [(0.6, 0.05), (2.0, 0.4), (8.0, 0.6)])
def test_the_price_is_what_drawing_gives(rate: float, real: float, rng: random.Random) -> None:
    delays, quoted = drawn_ms(rate, real, rng, 20_000), price(rate, real)
    assert quoted.p50_ms == pytest.approx(delays[10_000], rel=0.04)
    assert quoted.p95_ms == pytest.approx(delays[19_000], rel=0.04)


def test_the_mixes_alone_add_what_the_protocol_says() -> None:
    quoted = price(900.0, 0.0)
    assert quoted.p50_ms == pytest.approx(750, abs=15)
    assert quoted.p95_ms == pytest.approx(1_520, abs=30)


def test_more_data_means_sooner_and_costs_more() -> None:
    quoted = [price(rate, 0.05) for rate in (0.5, 1.0, 4.0, 16.0)]
    assert [q.p95_ms for q in quoted] == sorted((q.p95_ms for q in quoted), reverse=True)
    assert [q.gb_month for q in quoted] == [gb_for(q.packets_per_s) for q in quoted]
    assert quoted[0].mb_hour == pytest.approx(quoted[0].gb_month / 0.72)


def test_what_the_budgets_buy_is_as_published() -> None:
    thirty, hundred = price(rate_for(30.0), 0.05), price(rate_for(100.0), 0.05)
    assert thirty.p95_ms == pytest.approx(4_270, rel=0.02)
    assert hundred.p95_ms < 2_000


def test_whoever_says_more_than_there_are_slots_waits_for_ever() -> None:
    assert price(1.0, 1.0).p50_ms == math.inf
    assert price(0.0, 0.0).p95_ms == math.inf
