"""The one queue: when its slots come, what they carry, and what that costs."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.mix.cover import (
    FRAME_BYTES,
    IDLE_AFTER_S,
    MAX_QUEUED,
    MONTH_S,
    SendQueue,
    Slot,
    ask_every_s,
    gb_for,
    loop_share,
    rate_for,
)
from tests.unit.mix.chance import ks_distance, ks_limit


def test_gaps_are_exponential_whatever_waits(rng: random.Random) -> None:
    queue: SendQueue[int] = SendQueue(0.6)
    gaps = []
    for n in range(10_000):
        gaps.append(queue.gap_s(rng))
        queue.draw(rng, secure=True)
        if n % 7 == 0:
            queue.offer(n)
    assert ks_distance(gaps, mean=1 / 0.6) < ks_limit(len(gaps), p=0.01)


def test_at_rate_zero_no_slot_comes(rng: random.Random) -> None:
    assert SendQueue(0.0).gap_s(rng) == math.inf


def test_loops_have_their_share_whether_something_waits_or_not(rng: random.Random) -> None:
    for rate, share in ((0.3, 1 / 6), (0.6, 1 / 6), (2.0, 0.05)):
        assert loop_share(rate) == pytest.approx(share)
        for waiting in (0, 500):
            queue: SendQueue[int] = SendQueue(rate)
            for n in range(waiting):
                queue.offer(n)
            kinds = Counter(queue.draw(rng, secure=False)[0] for _ in range(500))
            assert abs(kinds[Slot.LOOP] / 500 - share) < 4 * math.sqrt(share / 500)
            assert kinds[Slot.DROP] == (500 - kinds[Slot.LOOP] if not waiting else 0)


def test_what_waits_replaces_cover_oldest_first(rng: random.Random) -> None:
    queue: SendQueue[int] = SendQueue(1.0)
    for n in range(5):
        assert queue.offer(n)
    queue.again(-1)
    queue.withdraw(3)
    queue.withdraw(77)
    drawn = [queue.draw(rng, secure=False) for _ in range(40)]
    assert [item for kind, item in drawn if kind is Slot.REAL] == [-1, 0, 1, 2, 4]
    assert all(item is None for kind, item in drawn if kind is not Slot.REAL)


def test_the_chance_that_is_used_does_not_depend_on_what_waits() -> None:
    full: SendQueue[int] = SendQueue(1.0)
    empty: SendQueue[int] = SendQueue(1.0)
    one, other = random.Random(4), random.Random(4)
    for n in range(200):
        full.offer(n)
        full.draw(one, secure=True)
        empty.draw(other, secure=True)
    assert one.random() == other.random()


def test_in_secure_rooms_a_tenth_of_the_cover_are_dummies(rng: random.Random) -> None:
    queue: SendQueue[int] = SendQueue(1.0)
    kinds = Counter(queue.draw(rng, secure=True)[0] for _ in range(5_000))
    assert 0.08 < kinds[Slot.DUMMY] / (kinds[Slot.DUMMY] + kinds[Slot.DROP]) < 0.12


def test_the_queue_is_bounded() -> None:
    queue: SendQueue[int] = SendQueue(1.0)
    assert all(queue.offer(n) for n in range(MAX_QUEUED))
    assert not queue.offer(0)
    assert len(queue.clear()) == MAX_QUEUED
    assert queue.offer(0)


def test_a_rate_costs_two_frames_a_packet() -> None:
    assert ask_every_s(1.0) == 600.0
    busy = (2 * 10 + 9 / 600) * FRAME_BYTES * MONTH_S / 1e9
    assert gb_for(10.0) == pytest.approx(busy, rel=1e-6)
    assert gb_for(0.0) == pytest.approx((2 / IDLE_AFTER_S + 9 / 1_500) * FRAME_BYTES * MONTH_S / 1e9)


@given(st.floats(0.8, 10_000))
def test_a_budget_is_used_and_never_exceeded(gb_month: float) -> None:
    rate = rate_for(gb_month)
    assert gb_for(rate) <= gb_month
    # At 0.2/s records are asked for more often: there is a step, and a budget within it is not used up.
    assert gb_for(rate) > gb_month - 0.2


def test_a_budget_that_does_not_pay_for_the_link_buys_nothing() -> None:
    assert rate_for(0.1) == 0.0
    assert rate_for(1.0) == pytest.approx(0.0167, abs=0.0002)
    assert rate_for(30.0) == pytest.approx(1.03, abs=0.01)


def test_the_mean_number_of_keep_alives_is_as_computed(rng: random.Random) -> None:
    rate, idle, span_s = 0.02, 0, 4_000_000.0
    at = 0.0
    while at < span_s:
        gap_s = rng.expovariate(rate)
        idle += int(gap_s // IDLE_AFTER_S)
        at += gap_s
    quiet = math.exp(-rate * IDLE_AFTER_S)
    assert idle / at == pytest.approx(rate * quiet / (1 - quiet), rel=0.02)
