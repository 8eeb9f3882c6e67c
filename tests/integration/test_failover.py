"""Seats of a committee die under load and come back: nothing is lost or twice, whoever dies. Real processes.

Short: one seat and two. With --long: 1, 2, 4 and all 5 again and again, and then in mode hybrid the central server too.
"""

from __future__ import annotations

import shutil
from typing import Any, cast

import pytest

from railgun_core.demo.central import ALSO_IN, PROGRAM
from railgun_core.demo.network import play
from railgun_core.demo.options import DemoOptions

FAILOVER_MS = 5_000.0
LATENCY_MS = 5_000.0
ELSEWHERE_MS = 8_000.0

needs_server = pytest.mark.skipif(
    shutil.which(PROGRAM) is None and shutil.which(PROGRAM, path=ALSO_IN) is None, reason="nats-server is not installed"
)


async def played(**given: Any) -> dict[str, Any]:
    """The report of a demo in which nothing was lost, twice or out of order."""
    found = cast(dict[str, Any], await play(DemoOptions(json=True, epoch_s=60, **given)))
    print(found)
    assert (found["lost"], found["duplicated"], found["out_of_order"]) == (0, 0, 0)
    assert found["delivered"] == found["expected"] > 0
    assert "failed" not in found
    return found


@pytest.mark.deadline(400)
async def test_nothing_is_lost_when_one_seat_dies_and_then_two() -> None:
    found = await played(peers=8, rooms=1, members=2, rate_per_s=4.0, kills=2, kill_sizes=(1, 2))
    assert (found["rounds"], found["killed"]) == (2, 3)
    assert found["failover_ms"]["count"] == sum(found["failover_ms"]["causes"].values())


@pytest.mark.long
@pytest.mark.deadline(1_000)
async def test_failovers_take_less_than_five_seconds_whoever_dies() -> None:
    found = await played(peers=14, rooms=2, members=4, rate_per_s=8.0, kills=200, kill_sizes=(1, 2, 4))
    assert found["failover_ms"]["count"] > 0
    assert found["failover_ms"]["p99"] < FAILOVER_MS
    assert found["latency_ms"]["p99"] < LATENCY_MS


@pytest.mark.long
@pytest.mark.deadline(200)
async def test_without_a_committee_messages_are_stored_elsewhere() -> None:
    found = await played(peers=14, rooms=2, members=4, rate_per_s=8.0, kills=10, kill_sizes=(5,))
    assert found["stored_elsewhere_ms"]["messages"] > 0
    assert found["stored_elsewhere_ms"]["max"] < ELSEWHERE_MS


@needs_server
@pytest.mark.long
@pytest.mark.deadline(200)
async def test_nothing_is_lost_when_every_relay_and_then_the_central_server_die() -> None:
    found = await played(
        **{"peers": 8, "rooms": 1, "members": 3, "rate_per_s": 4.0},
        **{"kills": 3, "kill_sizes": (5,), "mailboxes": 0, "mode": "hybrid", "kill_central": True},
    )
    assert found["central"]["starts"] == 2
    assert found["central"]["up"] == 3
    assert found["central"]["kept"] > 0
