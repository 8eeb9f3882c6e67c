"""B10: relays that take envelopes and drop some of them.

They acknowledge everything, replicate what they like and push what they like. Members notice gaps in each sender's
sequence, ask other relays by name, and then the sender. Each envelope is pushed by one relay only and announced by
another, so what is pushed is what the honest share of the seats pushes; the rest comes by name within 5 s. Residual: a
committee that is hostile in all its seats holds everything up for an epoch; nothing is lost, because the sender keeps
it until members confirm.
"""

from __future__ import annotations

import dataclasses

import pytest

from railgun_core.events import Effect, Send
from railgun_core.sim.options import SimOptions
from railgun_core.sim.report import prepare
from railgun_core.sim.world import SimPeer, World
from railgun_core.wire.frames import ENVELOPE_FRAME_SIZES

OPTIONS = SimOptions(peers=20, minutes=6, rooms=2, members=4, loss=0.0, rate_per_s=2.0)
PULLED_WITHIN_MS = 5_000.0


def droppers(world: World, peers: frozenset[int], share: float) -> list[int]:
    """From now on these peers drop this share of the envelopes that they should send on for others; how many so far."""
    carry_out = world._carry_out
    dropped = [0]

    def sifted(peer: SimPeer, effect: Effect) -> None:
        if isinstance(effect, Send) and peer.number in peers:
            kept = []
            for chunk in effect.chunks:
                if len(chunk) in ENVELOPE_FRAME_SIZES and world.rng.random() < share:
                    dropped[0] += 1
                else:
                    kept.append(chunk)
            if not kept:
                return
            effect = dataclasses.replace(effect, chunks=kept)
        carry_out(peer, effect)

    world._carry_out = sifted  # type: ignore[method-assign]
    return dropped


def hostile(count: int) -> tuple[World, list[float], int, int, list[int]]:
    world, workload = prepare(OPTIONS, 10)
    people = {person.number for place in workload.rooms for person in place.members}
    bad = [number for number in range(OPTIONS.peers) if number not in people][:count]
    dropped = droppers(world, frozenset(bad), 0.5)
    world.run_until(OPTIONS.minutes * 60 + 120)
    assert (workload.duplicated, workload.out_of_order) == (0, 0)
    return world, workload.latency_ms, workload.expected, workload.lost, dropped


@pytest.mark.deadline(300)
def test_when_a_fifth_of_the_relays_drop_half_nearly_everything_is_there_within_5_s_and_all_in_the_end() -> None:
    _, latency_ms, expected, lost, dropped = hostile(4)
    assert dropped[0] > 100
    assert lost == 0
    in_time = sum(ms <= PULLED_WITHIN_MS for ms in latency_ms)
    assert in_time >= 0.999 * expected


@pytest.mark.deadline(300)
def test_when_half_of_the_relays_drop_half_nothing_is_lost_in_the_end() -> None:
    _, _, expected, lost, dropped = hostile(10)
    assert dropped[0] > 100
    assert expected > 0
    assert lost == 0
