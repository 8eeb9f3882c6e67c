"""The memory behind the sparkline."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.last_minute import SPAN_S, LastMinute, Rates


def test_before_the_first_report_nothing_is_drawn() -> None:
    assert LastMinute().points(1_000.0) == (None,) * (SPAN_S + 1)


def test_a_report_holds_until_the_next_one() -> None:
    minute = LastMinute()
    minute.add(Rates(940.0, 1.0, 2.0))
    minute.add(Rates(970.0, 5.0, 6.0))
    ups = [point.up_bps if point else None for point in minute.points(1_000.0)]
    assert ups == [1.0] * 30 + [5.0] * 31


def test_a_clock_set_back_starts_the_line_again() -> None:
    minute = LastMinute()
    minute.add(Rates(1_000.0, 1.0, 1.0))
    minute.add(Rates(500.0, 2.0, 2.0))
    assert [point.up_bps for point in minute.points(500.0) if point] == [2.0]


@given(st.lists(st.floats(0, 3_600), max_size=2_000).map(sorted))
def test_there_is_always_one_point_a_second_and_memory_is_bounded(times: list[float]) -> None:
    minute = LastMinute()
    for moment in times:
        minute.add(Rates(moment, 1.0, 1.0))
    points = minute.points(3_600.0)
    assert len(points) == SPAN_S + 1
    assert not times or points[-1] is not None
