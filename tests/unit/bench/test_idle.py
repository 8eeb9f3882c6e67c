"""A small idle network of real processes, watched for a moment."""

from __future__ import annotations

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.bench.idle import measure, spread
from railgun_core.bench.options import BenchIdleOptions


async def test_two_idle_peers_are_measured() -> None:
    report = await measure(BenchIdleOptions(peers=2, rooms=1, members=2, seconds=2, settle_s=0, json=True))
    memory, cpu = report["rss_mb"], report["cpu_share_percent"]
    assert isinstance(memory, dict)
    assert isinstance(cpu, dict)
    assert 20 < memory["p50"] <= memory["max"]
    assert 0 <= cpu["p50"] <= cpu["max"]
    assert report["peers"] == report["members"] == 2


def test_the_median_of_an_even_number_is_the_upper_one() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0]) == {"p50": 3.0, "max": 4.0}


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"settle_s": -1.0}, {"members": 13}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        BenchIdleOptions(**wrong)  # type: ignore[arg-type]
