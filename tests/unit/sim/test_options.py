"""Bounds of a simulation, and how seeds and partitions are written."""

from __future__ import annotations

from typing import Any

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.sim.options import Partition, SimOptions, parse_seeds


def test_seeds_are_one_or_a_span() -> None:
    assert list(parse_seeds("7")) == [7]
    assert list(parse_seeds("3..5")) == [3, 4, 5]
    assert len(parse_seeds("1..20000", most=1_000_000)) == 20_000


@pytest.mark.parametrize("text", ["", "x", "5..3", "-1", "1..", "1..20000", "1..2..3", str(2**63)])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_seeds(text)


def test_a_partition_is_a_span_of_minutes() -> None:
    assert Partition.parse("10..20.5") == Partition(10, 20.5)


@pytest.mark.parametrize("text", ["", "5", "5..", "20..10", "-1..5", "1..inf", "nan..1"])
def test_what_is_no_partition_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Partition.parse(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"peers": 0},
        {"minutes": 0},
        {"loss": 1.0},
        {"loss": -0.1},
        {"churn_per_hour": 11},
        {"members": 60},
        {"rate_per_s": float("nan")},
        {"seeds": ()},
    ],
    ids=str,
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        SimOptions(**wrong)
