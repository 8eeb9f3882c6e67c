"""Numbers as people read them."""

from __future__ import annotations

import pytest

from app import figures


@pytest.mark.parametrize(
    ("bits_per_s", "text"),
    [
        (0.0, "0 bit/s"),
        (0.4, "0 bit/s"),
        (812.0, "812 bit/s"),
        (999.6, "1 kbit/s"),
        (84_300.0, "84 kbit/s"),
        (1_240_000.0, "1.2 Mbit/s"),
        (9_960_000.0, "10 Mbit/s"),
        (3.1e9, "3.1 Gbit/s"),
    ],
)
def test_a_rate_has_one_unit_and_no_more_digits_than_were_measured(bits_per_s: float, text: str) -> None:
    assert figures.rate(bits_per_s) == text


def test_both_directions_share_one_unit_in_the_tray() -> None:
    assert figures.rate_pair(1.2e6, 90_000) == "↑1.2 ↓0.1 Mbit/s"
    assert figures.rate_pair(0, 0) == "↑0 ↓0 bit/s"


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0 B"), (999, "999 B"), (312_000_000, "312 MB"), (3_100_000_000, "3.1 GB")]
)
def test_a_total_is_bytes(size_bytes: int, text: str) -> None:
    assert figures.total(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (8.9, "8 s"), (250, "4 min 10 s"), (240, "4 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")],
)
def test_a_wait_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


def test_the_countdown_never_shows_less_time_than_is_left() -> None:
    assert figures.countdown(249.2) == "04:10"
    assert figures.countdown(-1) == "00:00"


def test_an_unmeasured_time_is_a_dash_and_not_a_zero() -> None:
    assert figures.milliseconds(None) == figures.UNKNOWN
    assert figures.milliseconds(0.42) == "0.4 ms"
    assert figures.milliseconds(84.2) == "84 ms"
    assert figures.milliseconds(1_300) == "1.3 s"


def test_a_share_is_one_in_so_many() -> None:
    assert figures.share(1 / 212) == "1/212"
    assert figures.share(0.5) == "50 %"
    assert figures.share(0.0) == "0"
    assert figures.share(None) == figures.UNKNOWN


def test_a_tag_is_shown_in_two_groups_of_four() -> None:
    assert figures.short_tag("7f3a91c2aa00") == "7f3a 91c2"
    assert figures.short_tag("7f3a 91c2") == "7f3a 91c2"
    assert figures.short_tag("7f3a") == "7f3a"
