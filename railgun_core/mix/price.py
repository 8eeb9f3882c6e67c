"""What high security costs: the delay it adds, and the data.

The wait for a slot: real packets come at random and each slot takes one, so the queue is M/M/1 and the wait is
exponential with rate (slots that are no loops - real packets). The mixes: the sum of three exponential delays, drawn
again above 1,840 ms. The network: four more hops of 40 ms. The sum of the three is computed on a grid of 5 ms.
A packet that gets lost on its way and goes again is not in it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from railgun_core.mix.cover import gb_for, loop_share
from railgun_core.mix.topology import MAX_DELAYS_MS, MEAN_DELAY_MS

NETWORK_MS = 160.0
GRID_MS = 5.0
HOURS_A_MONTH = 30 * 24


@dataclass(frozen=True, slots=True)
class MixPrice:
    """What a rate brings and costs. The delays are infinite when more is said than there are slots."""

    packets_per_s: float
    p50_ms: float
    p95_ms: float
    gb_month: float
    mb_hour: float


@functools.lru_cache(maxsize=256)
def price(packets_per_s: float, real_per_s: float) -> MixPrice:
    """The price of `packets_per_s` for somebody who says `real_per_s` things a second. About 10 ms, kept."""
    spare_per_s = packets_per_s * (1 - loop_share(packets_per_s)) - real_per_s
    gb_month = gb_for(packets_per_s)
    p50, p95 = (_quantile_ms(share, spare_per_s) for share in (0.5, 0.95))
    return MixPrice(packets_per_s, p50, p95, gb_month, gb_month * 1_000 / HOURS_A_MONTH)


def _quantile_ms(share: float, spare_per_s: float) -> float:
    if spare_per_s <= 0:
        return math.inf
    low, high = 0.0, MAX_DELAYS_MS + 20_000 / spare_per_s
    while high - low > 0.1:
        middle = (low + high) / 2
        low, high = (middle, high) if _under(middle, spare_per_s) < share else (low, middle)
    return NETWORK_MS + high


def _under(ms: float, spare_per_s: float) -> float:
    """The probability that wait and mixes together take less than `ms`."""
    per_ms = spare_per_s / 1000
    return sum(weight * -math.expm1(-per_ms * (ms - at)) for at, weight in _mixes() if at < ms)


@functools.lru_cache(maxsize=1)
def _mixes() -> tuple[tuple[float, float], ...]:
    """The mixes' delay on the grid: (ms, probability), Erlang of order three, cut off and scaled to one."""
    cells = int(MAX_DELAYS_MS / GRID_MS)
    edges = [_erlang(GRID_MS * n / MEAN_DELAY_MS) for n in range(cells + 1)]
    return tuple((GRID_MS * (n + 0.5), (edges[n + 1] - edges[n]) / edges[-1]) for n in range(cells))


def _erlang(x: float) -> float:
    """The probability that three exponential delays of mean one sum to less than x."""
    return 1 - math.exp(-x) * (1 + x + x * x / 2)
