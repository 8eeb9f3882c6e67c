"""B34: the network splits in two halves and comes together again.

Both halves go on with what they reach. After the split everything is delivered once, in order, within 30 s.
Residual: while it lasts, what needs the other half waits, and an item is stored only where a majority can be reached.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from railgun_core.sim.options import Partition, SimOptions
from railgun_core.sim.report import prepare

OPTIONS = SimOptions(peers=12, minutes=34, rooms=2, members=4, loss=0.02, rate_per_s=0.2)
SPLIT = Partition(3.0, 34.0)  # three epochs and a bit


@pytest.mark.parametrize("seed", [7])
def test_after_three_epochs_apart_everything_is_there_once_within_30_s(seed: int) -> None:
    world, workload = prepare(replace(OPTIONS, partition=SPLIT), seed)
    world.run_until(SPLIT.end_min * 60)
    waiting = len(list(workload.missing()))
    world.run_until(SPLIT.end_min * 60 + 30)
    missing = list(workload.missing())
    assert waiting > 0
    assert not missing, f"seed {seed}: {len(missing)} of {workload.expected} are missing after 30 s"
    assert (workload.duplicated, workload.out_of_order) == (0, 0)


def test_a_split_costs_no_relay_its_place_in_the_view_of_the_others() -> None:
    world, _ = prepare(replace(OPTIONS, minutes=8, partition=Partition(2.0, 8.0)), 8)
    world.run_until(8 * 60 + 30)
    assert {len(peer.node.view) for peer in world.peers if peer.node is not None} == {OPTIONS.peers}
