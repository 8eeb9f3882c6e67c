"""The token bucket: never more than the burst plus the rate, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.base.ratelimit import TokenBucket

RATES = st.integers(1, 5_000).map(float)
BURSTS = st.integers(1, 5_000).map(float)
STEPS = st.lists(st.tuples(st.floats(-5, 20), st.integers(0, 3_000)), max_size=60)


@given(RATES, BURSTS, STEPS)
def test_no_more_is_admitted_than_the_burst_and_the_rate_allow(
    rate: float, burst: float, steps: list[tuple[float, int]]
) -> None:
    bucket, now_s, latest_s, admitted = TokenBucket(rate, burst, now_s=100.0), 100.0, 100.0, 0
    for step_s, wanted in steps:
        now_s += step_s
        latest_s = max(latest_s, now_s)
        granted = bucket.take(wanted, now_s)
        assert 0 <= granted <= min(wanted, burst)
        admitted += granted
        assert admitted <= burst + (latest_s - 100.0) * rate + 1e-3


@given(RATES, BURSTS, st.integers(1, 5_000))
def test_who_waits_as_long_as_told_is_admitted(rate: float, burst: float, wanted: int) -> None:
    bucket = TokenBucket(rate, burst, now_s=0.0)
    bucket.take(int(burst), 0.0)
    wait_ms = bucket.retry_after_ms(wanted)
    possible = min(wanted, int(burst))
    assert bucket.take(possible, wait_ms / 1000) == possible
    assert wait_ms <= possible / rate * 1000 + 1


def test_a_bucket_starts_full_and_has_no_wait() -> None:
    bucket = TokenBucket(10.0, 5.0, now_s=0.0)
    assert bucket.retry_after_ms(5) == 0
    assert bucket.take(9, 0.0) == 5
    assert bucket.take(1, 0.0) == 0


def test_a_clock_that_goes_back_admits_nothing_extra() -> None:
    bucket = TokenBucket(1.0, 5.0, now_s=100.0)
    assert bucket.take(5, 100.0) == 5
    assert bucket.take(5, 50.0) == 0
    assert bucket.take(5, 100.0) == 0
    assert bucket.take(5, 102.0) == 2


def test_what_was_not_used_is_given_back_up_to_the_burst() -> None:
    bucket = TokenBucket(1.0, 5.0, now_s=0.0)
    bucket.take(4, 0.0)
    bucket.give_back(3)
    assert bucket.take(9, 0.0) == 4
    bucket.give_back(100)
    assert bucket.take(9, 0.0) == 5


def test_asking_for_more_than_the_burst_waits_for_a_full_bucket() -> None:
    bucket = TokenBucket(2.0, 4.0, now_s=0.0)
    bucket.take(4, 0.0)
    assert 2_000 <= bucket.retry_after_ms(1_000) <= 2_001
