"""The mixnet under load: pools as theory says, and what an observer of all wires makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from railgun_core.base.errors import UsageError
from railgun_core.sim.mixflow import flow
from railgun_core.sim.options import FlowOptions


def figures(**given: Any) -> dict[str, Any]:
    return flow(FlowOptions(**{"seconds": 6.0, "targets": 60, **given}))


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    """The load of threats.md B19: 1,000 clients, half a packet a second, ten mixes a layer."""
    return figures()


def test_the_pool_of_every_mix_is_rate_times_mean_delay(reference: dict[str, Any]) -> None:
    pool = reference["pool"]
    assert pool["mean"] >= 11
    assert pool["mean"] == pytest.approx(pool["theory"], rel=0.06)
    assert pool["min"] >= 11


def test_who_sees_all_wires_hardly_ever_finds_a_packet_again(reference: dict[str, Any]) -> None:
    assert reference["observer"]["success"] <= 0.05
    assert reference["observer"]["entropy_bits"] >= 9


def test_a_mixnet_with_little_to_carry_hides_little(reference: dict[str, Any]) -> None:
    lonely = figures(clients=30, targets=60, seconds=12.0)
    assert lonely["pool"]["mean"] < 1
    assert lonely["observer"]["success"] > 10 * max(reference["observer"]["success"], 0.01)


def test_a_run_is_its_seed() -> None:
    assert figures(clients=100) == figures(clients=100)
    assert figures(clients=100) != figures(clients=100, seed=2)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"clients": 0}, "--clients"), ({"mixes": 2}, "--mixes"), ({"clients": 1, "targets": 100}, "Too few packets")],
)
def test_what_cannot_be_run_is_said_before_it_runs(given: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        FlowOptions(**given)  # type: ignore[arg-type]
