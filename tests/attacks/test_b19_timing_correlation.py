"""B19: what one who sees every link can tell of a packet's way, at the reference load.

1,000 clients send 0.5 packets a second over 30 mixes, ten to a layer on average; paths and delays are drawn by the code
that clients use. The observer knows all times on all links and the distribution of the delays. An exponential delay has
no memory, so of the packets in a mix each is as likely to be the next that leaves; following that from mix to mix is
the best he can do (maximum likelihood), and his success is printed as a number to watch.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from dataclasses import dataclass, field

from railgun_core.base.ids import Group, PeerId
from railgun_core.mix.topology import MixNode, Strata, draw_delays

CLIENTS, RATE_PER_S, MIXES = 1_000, 0.5, 30
SPAN_S, WARM_S = 30.0, 4.0


@dataclass
class Traffic:
    """Every arrival at a mix and departure from it: (time, packet, mix left or None, mix entered or None)."""

    steps: list[tuple[float, int, int | None, int | None]] = field(default_factory=list)
    started: list[tuple[float, int]] = field(default_factory=list)

    @classmethod
    def drawn(cls, rng: random.Random, *, answered: bool, per_s: float = CLIENTS * RATE_PER_S) -> Traffic:
        """Packets, and if `answered` the replies they bring, which cross three mixes of their own."""
        mixes = [MixNode(PeerId(rng.randbytes(32)), Group(n.to_bytes(2, "big")), b"", 0.0) for n in range(MIXES)]
        index = {mix.peer_id: n for n, mix in enumerate(mixes)}
        strata, traffic, at_s, packet = Strata(mixes, day=20_000), cls(), 0.0, 0
        while at_s < SPAN_S:
            at_s += rng.expovariate(per_s)
            leaves_s = at_s
            for _ in range(2 if answered else 1):
                leaves_s = traffic._cross(strata, index, packet, leaves_s, rng)
                packet += 1
        traffic.steps.sort(key=lambda step: step[0])
        return traffic

    def _cross(self, strata: Strata, index: dict[PeerId, int], packet: int, at_s: float, rng: random.Random) -> float:
        path = strata.path(rng=rng)
        assert path is not None
        self.started.append((at_s, packet))
        before = None
        for mix, delay_ms in zip(path, draw_delays(rng), strict=True):
            self.steps.append((at_s, packet, before, index[mix.peer_id]))
            before = index[mix.peer_id]
            at_s += delay_ms / 1000
        self.steps.append((at_s, packet, before, None))
        return at_s


def mean_pool(traffic: Traffic) -> float:
    """The mean number of packets in a mix, over time and mixes."""
    inside, area, last_s = 0, 0.0, WARM_S
    for at_s, _, left, entered in traffic.steps:
        if WARM_S < at_s <= SPAN_S:
            area += inside * (at_s - last_s)
            last_s = at_s
        inside += (entered is not None) - (left is not None)
    return area / (last_s - WARM_S) / MIXES


def followed(traffic: Traffic, target: int, pools: list[dict[int, None]], start: int) -> tuple[float, int]:
    """Whom the observer takes for the target at the end, and how sure he is: the exit with most of its likelihood."""
    inside = [len(pool) for pool in pools]
    mass: defaultdict[int, float] = defaultdict(float)
    exits: list[tuple[float, int]] = []
    until_s = traffic.steps[start][0] + 2.0
    for at_s, packet, left, entered in traffic.steps[start:]:
        if at_s > until_s:
            break
        share = 1.0 if packet == target and left is None else 0.0
        if left is not None:
            share = mass[left] / inside[left] if mass[left] else 0.0
            mass[left] -= share
            inside[left] -= 1
        if entered is None:
            heapq.heappush(exits, (-share, packet))
        else:
            mass[entered] += share
            inside[entered] += 1
    return -exits[0][0], exits[0][1]


def success(traffic: Traffic, rng: random.Random, targets: int) -> tuple[float, float]:
    """The share of targets whose exit the observer names, and what he expects it to be."""
    started = sorted(packet for at_s, packet in traffic.started if WARM_S < at_s < SPAN_S - 3)
    chosen = set(rng.sample(started, min(targets, len(started))))
    pools: list[dict[int, None]] = [{} for _ in range(MIXES)]
    hits, sure = 0, 0.0
    for place, (_, packet, left, entered) in enumerate(traffic.steps):
        if packet in chosen and left is None:
            likelihood, guess = followed(traffic, packet, pools, place)
            hits, sure = hits + (guess == packet), sure + likelihood
        if left is not None:
            del pools[left][packet]
        if entered is not None:
            pools[entered][packet] = None
    return hits / len(chosen), sure / len(chosen)


def test_at_the_reference_load_eleven_packets_hide_one_another_in_a_mix(rng: random.Random) -> None:
    both = mean_pool(Traffic.drawn(rng, answered=True))
    alone = mean_pool(Traffic.drawn(rng, answered=False))
    print(f"mean pool {both:.2f} with the answers, {alone:.2f} without")
    assert both >= 11.0
    # Without the answers the rate is 50/s and the mean 215 ms, because sums over 1,840 ms are drawn again: 10.75.
    assert abs(alone - 50 * 0.215) < 0.4


def test_a_global_observer_rarely_names_the_packet(rng: random.Random, long_run: bool) -> None:
    share, expected = success(Traffic.drawn(rng, answered=True), rng, 2_000 if long_run else 200)
    print(f"maximum likelihood names {share:.4f} of the packets, {expected:.5f} by its own account")
    assert share <= 0.02
    assert expected <= 0.005


def test_the_observer_of_this_test_is_no_fool(rng: random.Random) -> None:
    share, expected = success(Traffic.drawn(rng, answered=False, per_s=3.0), rng, 200)
    assert share > 0.6  # with few about he follows most of them
    assert abs(share - expected) < 0.15
