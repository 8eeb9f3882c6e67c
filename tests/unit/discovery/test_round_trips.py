"""Round trips and the time-outs that follow from them."""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.keys import Identity
from railgun_core.discovery.round_trips import FLOOR_S, START_S, RoundTrips

ME = Identity(b"\x01" * 32)
HERE = ("10.0.0.1", 4_000)
START = Instant(1_000.0, 1_700_000_000.0)


def test_timeouts_start_at_400_ms_and_follow_the_network_down_and_up() -> None:
    trips = RoundTrips()
    assert trips.timeout_s(HERE) == START_S
    for _ in range(20):
        trips.sample(HERE, 0.04)
    assert FLOOR_S <= trips.timeout_s(HERE) < 0.15
    assert trips.timeout_s(("10.0.0.2", 1)) < START_S
    for _ in range(10):
        trips.sample(HERE, 1.5)
    assert trips.timeout_s(HERE) == START_S
