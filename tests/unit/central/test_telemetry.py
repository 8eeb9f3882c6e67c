"""Counting by day and relay, showing it, and what of it may leave the device."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from railgun_core.central.telemetry import CLASSES_MS, OTHERS, RELAYS_A_DAY, Counts, RelayRow, Telemetry

DAY = 20_000


def test_a_day_is_shown_with_the_most_used_relays_first() -> None:
    telemetry = Telemetry()
    telemetry.of("slow", DAY).attempts = 5
    telemetry.of("slow", DAY).took(900)
    telemetry.of("fast", DAY).attempts = 50
    telemetry.of("fast", DAY).stored = 49
    for ms in (10, 20, 30, 300):
        telemetry.of("fast", DAY).took(ms)
    assert telemetry.rows(DAY) == (
        RelayRow("fast", 50, 49, 0, 0, 50, 400),
        RelayRow("slow", 5, 0, 0, 0, 1_600, 1_600),
    )
    assert telemetry.rows(DAY + 1) == ()


def test_nothing_measured_has_no_quantile_and_the_slowest_class_is_open() -> None:
    counts = Counts()
    assert counts.quantile(0.5) is None
    counts.took(60_000)
    assert counts.quantile(0.5) == CLASSES_MS[-1]


def test_only_a_month_is_kept() -> None:
    telemetry = Telemetry()
    for day in range(DAY - 40, DAY + 1):
        telemetry.of("a", day).attempts = 1
    changes = telemetry.changes(DAY)
    assert sorted(telemetry.days) == list(range(DAY - 30, DAY + 1))
    assert [name for name, text in changes.items() if text is None] == [
        f"telemetry.{day}" for day in range(DAY - 40, DAY - 30)
    ]
    assert telemetry.changes(DAY) == {}


def test_more_relays_than_the_limit_are_counted_together() -> None:
    telemetry = Telemetry()
    for number in range(RELAYS_A_DAY + 10):
        telemetry.of(f"{number:010}", DAY).attempts += 1
    assert telemetry.days[DAY][OTHERS].attempts == 10
    assert len(telemetry.days[DAY]) == RELAYS_A_DAY + 1


def test_what_is_told_names_no_relay_and_no_exact_number() -> None:
    telemetry = Telemetry()
    assert telemetry.shared(DAY) is None
    telemetry.of("abcdef0123", DAY).attempts = 12_345
    telemetry.of("0123abcdef", DAY).failures = 107
    text = telemetry.shared(DAY)
    assert text is not None
    assert b"abcdef" not in text
    told = json.loads(text)
    assert (told["attempts"], told["failures"], told["relays"], told["day"]) == (12_000, 100, 2, DAY)
    assert len(text) < 4_096


def test_damaged_settings_are_left_out() -> None:
    telemetry = Telemetry()
    telemetry.restore(
        {
            "telemetry.20000": "{",
            "telemetry.x": "{}",
            "telemetry.20001": '{"a":[1]}',
            "telemetry.20002": '{"a":[1,2,3,4,5,6,7,8,9,10,11,12]}',
            "telemetry.shared": "19999",
            "port": "7",
        }
    )
    assert list(telemetry.days) == [20_002]
    assert telemetry.days[20_002]["a"] == Counts(1, 2, 3, 4, [5, 6, 7, 8, 9, 10, 11, 12])
    assert telemetry.shared_day == 19_999


@given(
    st.dictionaries(
        st.text("0123456789abcdef", min_size=10, max_size=10),
        st.lists(st.integers(0, 10**9), min_size=12, max_size=12),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_saved_is_read_back(rows: dict[str, list[int]]) -> None:
    telemetry = Telemetry()
    for name, row in rows.items():
        counts = telemetry.of(name, DAY)
        counts.attempts, counts.stored, counts.failures, counts.unreached = row[:4]
        counts.classes = row[4:]
    saved = {name: text for name, text in telemetry.changes(DAY).items() if text is not None}
    again = Telemetry()
    again.restore(saved)
    assert again.days == telemetry.days
