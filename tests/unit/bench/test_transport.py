"""A short run of the transport benchmark over real sockets: every contender is measured, and the sums fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.bench.options import BenchRelayOptions, BenchTransportOptions
from railgun_core.bench.transport import run


def test_every_contender_is_measured_in_turn() -> None:
    report: Any = run(BenchTransportOptions(seconds=0.1, rounds=2))
    assert json.loads(json.dumps(report)) == report
    assert list(report["transports"]) == ["bare_tcp", "quic", "tls"]
    for figures in report["transports"].values():
        assert figures["frames"] > 0
        assert figures["cpu_us_per_frame"] > 0
    assert report["transports"]["bare_tcp"]["ratio_to_bare"] == 1
    assert report["frame_bytes"] == 4_096 + 33


@pytest.mark.parametrize(
    "wrong",
    [{"transports": ("pigeon",)}, {"seconds": 0}, {"seconds": 1e9}, {"rounds": 0}],
    ids=str,
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    for options in (BenchTransportOptions, BenchRelayOptions):
        with pytest.raises(UsageError):
            options(**wrong)


def test_rivals_and_fan_out_are_bounded() -> None:
    with pytest.raises(UsageError):
        BenchRelayOptions(vs=("carrier-pigeon",))
    with pytest.raises(UsageError):
        BenchRelayOptions(fan_out=0)
