"""A very short run of the relay benchmark: real processes, real sockets, and sums that fit."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from railgun_core.bench import brokers
from railgun_core.bench.options import BenchRelayOptions
from railgun_core.bench.relay import run
from railgun_core.wire.envelope import SizeClass

FIELDS = {
    "transport",
    "size",
    "fan_out",
    "envelopes_per_s",
    "deliveries_per_s",
    "cpu_us_per_envelope",
    "bare_cpu_us_per_envelope",
    "ratio_to_bare",
    "rss_mb",
    "vs",
}


@pytest.mark.parametrize("transport", ["quic", "tls"])
def test_the_engine_is_measured_against_its_floor_and_loses_nothing(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    options = BenchRelayOptions(
        transports=(transport,), size=SizeClass.SMALL, fan_out=2, seconds=1.5, rounds=1, vs=("bare", "mosquitto")
    )
    report: Any = run(options)
    assert json.loads(json.dumps(report)) == report
    (result,) = report["results"]
    assert result.keys() >= FIELDS
    assert (result["transport"], result["size"], result["fan_out"]) == (transport, 256, 2)
    assert report["lost"] == 0
    assert result["cpu_us_per_envelope"] > 0
    assert result["deliveries_per_s"] == pytest.approx(2 * result["envelopes_per_s"], rel=0.01, abs=2)
    assert result["spool_mb"] > 0  # the engine kept what it carried
    assert result["vs"]["bare"]["deliveries_per_s"] > 0
    assert result["vs"]["mosquitto"] == "not installed"  # a broker that is missing is named, and nothing fails


@pytest.mark.parametrize("name", sorted(brokers.BROKERS))
def test_a_broker_gets_the_same_load(name: str) -> None:
    if brokers.installed(brokers.BROKERS[name]) is None:
        pytest.skip(f"{name} is not installed")
    options = BenchRelayOptions(transports=("tls",), size=SizeClass.SMALL, fan_out=2, seconds=0.3, rounds=1, vs=(name,))
    report: Any = run(options)
    found = report["results"][0]["vs"][name]
    assert found["deliveries_per_s"] > 0
    assert found["cpu_us_per_delivery"] > 0
    assert report["lost"] == 0
