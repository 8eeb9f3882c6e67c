"""A short run of the mix benchmark: every figure is there and the sums fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.bench.mix import run
from railgun_core.bench.options import BenchMixOptions


def test_a_hop_is_measured_in_turn_with_its_parts() -> None:
    report: Any = run(BenchMixOptions(rounds=3, calls=5))
    assert json.loads(json.dumps(report)) == report
    for name in ("unwrap", "parts", "bare_parts", "all_parts", "lioness", "build", "surb"):
        assert report[f"{name}_us"] > 0
    assert (report["packet_bytes"], report["surb_bytes"], report["hops"]) == (5_308, 572, 5)
    assert report["packets_per_s_core"] > 0
    assert report["ratio_to_all_parts"] > 0
    assert report["ratio_to_parts"] > 0


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"rounds": 10**6}, {"calls": 0}, {"calls": 10**9}], ids=str)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        BenchMixOptions(**wrong)
