"""Unix time to epochs and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railgun_core.committee.epoch import EPOCH_S, OVERLAP_SHARE, EpochClock, make_clock

LENGTHS = st.integers(1, 86_400)
MOMENTS = st.floats(0, 2**34)


@given(LENGTHS, MOMENTS)
def test_a_moment_lies_in_its_epoch_and_in_no_other(epoch_s: int, unix_s: float) -> None:
    clock = make_clock(epoch_s)
    epoch = clock.epoch_at(unix_s)
    assert clock.start_s(epoch) <= unix_s < clock.end_s(epoch)
    assert clock.start_s(epoch + 1) == clock.end_s(epoch)


@given(LENGTHS, MOMENTS)
def test_the_live_epochs_are_one_or_two_in_order_and_hold_the_current_one(epoch_s: int, unix_s: float) -> None:
    clock = make_clock(epoch_s)
    live = clock.live_epochs(unix_s)
    assert 1 <= len(live) <= 2
    assert list(live) == list(range(live[0], live[0] + len(live)))
    assert clock.epoch_at(unix_s) in live


@given(LENGTHS, st.floats(0, 1), MOMENTS)
def test_a_longer_overlap_keeps_at_most_three_epochs_alive(epoch_s: int, share: float, unix_s: float) -> None:
    clock = EpochClock(epoch_s, epoch_s * share)
    live = clock.live_epochs(unix_s)
    assert 1 <= len(live) <= 3
    assert clock.epoch_at(unix_s) in live


@given(LENGTHS, st.integers(0, 2**30))
def test_a_committee_prepares_serves_and_retires_in_that_order(epoch_s: int, epoch: int) -> None:
    clock = make_clock(epoch_s)
    times = [clock.prepare_s(epoch), clock.start_s(epoch), clock.end_s(epoch), clock.retire_s(epoch)]
    assert times == sorted(times)
    assert clock.retire_s(epoch) > clock.prepare_s(epoch + 1)


def test_the_ten_minutes_and_two_of_the_protocol() -> None:
    clock = make_clock(EPOCH_S)
    assert (clock.epoch_s, clock.overlap_s, OVERLAP_SHARE) == (600, 120.0, 0.2)
    assert make_clock(60).overlap_s == 12.0


@pytest.mark.parametrize(
    ("into_s", "live"), [(0, (9, 10)), (119, (9, 10)), (120, (10,)), (479, (10,)), (480, (10, 11)), (599, (10, 11))]
)
def test_which_epochs_are_live_along_one(into_s: int, live: tuple[int, ...]) -> None:
    assert make_clock(600).live_epochs(6_000 + into_s) == live
