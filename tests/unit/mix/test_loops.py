"""Loops that come back or vanish, and the exact figures of the alarm."""

from __future__ import annotations

import random

import pytest

from railgun_core.base.clock import Instant
from railgun_core.mix.loops import ALARM, LOSS, MAX_OPEN, WINDOW, LoopWatch

LOOPS_A_WEEK = 60_480  # 0.1 a second


def settle(watch: LoopWatch, now: Instant, *, back: bool, name: bytes = b"loop") -> Instant:
    watch.sent(name, now, due_s=5.0)
    now = now.after(1.0 if back else 5.1)
    if back:
        assert watch.returned(name, now)
    else:
        assert watch.expire(now) == 1
    return now


def test_loops_are_counted_once_as_back_or_lost(now: Instant) -> None:
    watch = LoopWatch()
    assert watch.share is None
    watch.sent(b"a", now, due_s=5.0)
    watch.sent(b"b", now, due_s=3.0)
    assert watch.next_s() == now.mono_s + 3.0
    assert watch.returned(b"a", now.after(2))
    assert not watch.returned(b"a", now.after(2))
    assert not watch.returned(b"c", now.after(2))
    assert not watch.returned(b"b", now.after(4))  # too late: it counts as lost
    assert (watch.share, watch.settled, watch.open) == (0.5, 2, 0)


def test_loops_on_a_link_that_broke_say_nothing(now: Instant) -> None:
    watch = LoopWatch()
    watch.sent(b"a", now, due_s=5.0)
    watch.void()
    assert watch.expire(now.after(60)) == 0
    assert watch.share is None


def test_what_is_kept_is_bounded(now: Instant) -> None:
    watch = LoopWatch()
    for n in range(MAX_OPEN + 50):
        watch.sent(n.to_bytes(4, "big"), now, due_s=5.0)
    assert watch.open == MAX_OPEN
    for _ in range(2):
        watch.expire(now.after(10))
    assert watch.settled == WINDOW


def test_the_alarm_comes_with_losses_and_goes_when_loops_come_back(now: Instant) -> None:
    watch = LoopWatch()
    for _ in range(4):
        assert not watch.alarm
        now = settle(watch, now, back=False)
    assert (watch.alarm, watch.alarms) == (True, 1)
    for _ in range(ALARM - 1):
        now = settle(watch, now, back=True)
        assert watch.alarm
    settle(watch, now, back=True)
    assert not watch.alarm


def still_silent(loops: int, loss: float) -> list[float]:
    """P(no alarm) after each of so many loops: the chain of the score, exactly."""
    chances = [1.0, *[0.0] * (ALARM - 1)]
    silent = []
    for _ in range(loops):
        following = [0.0] * ALARM
        for score, chance in enumerate(chances):
            following[max(0, score - 1)] += chance * (1 - loss)
            if score + LOSS < ALARM:
                following[score + LOSS] += chance * loss
        chances = following
        silent.append(sum(chances))
    return silent


@pytest.mark.parametrize(("loss", "loops"), [(0.2, 57), (1 - 0.99 * 0.8, 53)])
def test_a_fifth_that_vanishes_alarms_within_so_many_loops(loss: float, loops: int) -> None:
    silent = still_silent(loops, loss)
    assert silent[-1] <= 0.01 < silent[-2]


def test_in_21_loops_the_alarm_comes_in_two_of_three_cases_only() -> None:
    assert 1 - still_silent(21, 0.2)[-1] == pytest.approx(0.63, abs=0.005)
    # Why not always: a second loss in 21 is too rare to wait for, and one alone is nature's doing.
    assert 1 - 0.8**21 > 0.99 > 1 - 0.8**21 - 21 * 0.2 * 0.8**20
    assert LOOPS_A_WEEK * 0.01 > 600  # alarms a week, if one loss were enough


def test_natural_losses_alarm_less_than_once_a_week() -> None:
    silent = still_silent(20_000, 0.01)
    # Far from its start the chain loses the same share at every step: its mean time to the first alarm follows.
    rate = 1 - silent[-1] / silent[-2]
    mean = sum(silent) + silent[-1] / rate
    assert mean == pytest.approx(62_138, rel=0.001)
    assert mean > LOOPS_A_WEEK


def test_the_watch_itself_alarms_as_the_chain_says(now: Instant) -> None:
    rng, within = random.Random(17), 0
    for _ in range(400):
        watch, at = LoopWatch(), now
        for _ in range(57):
            at = settle(watch, at, back=rng.random() >= 0.2)
        within += watch.alarms > 0
    assert within >= 389  # of 396 expected, three sigma
