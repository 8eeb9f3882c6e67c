"""B34: the network splits in two halves and comes together again.

Both halves go on with what they reach. After the split everything is delivered once, in order, within 30 s.
Residual: while it lasts, what needs the other half waits, and an item is stored only where a majority can be reached;
and a committee that has one seat alone on its side takes that for a death. With --long: sixteen networks.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from railgun_core.events import Effect, Noticed
from railgun_core.sim.options import Partition, SimOptions
from railgun_core.sim.peer import SimPeer
from railgun_core.sim.report import prepare

OPTIONS = SimOptions(peers=12, minutes=34, rooms=2, members=4, loss=0.02, rate_per_s=0.2)
SPLIT = Partition(3.0, 34.0)  # three epochs and a bit
LONE_SEATS = (6, 9, 12, 20)  # seeds with a committee that has one seat alone on its side: the residual


@pytest.mark.deadline(300)
@pytest.mark.parametrize("seed", [5, *(pytest.param(n, marks=pytest.mark.long) for n in range(6, 21))])
def test_after_three_epochs_apart_everything_is_there_once_within_30_s_and_nobody_was_called_dead(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, workload = prepare(replace(OPTIONS, partition=SPLIT), seed)
    deaths, carry_out = [], world.apply

    def apply(peer: SimPeer, effects: list[Effect]) -> None:
        died = sum(isinstance(effect, Noticed) and effect.code == "relay-died" for effect in effects)
        deaths.extend([(world.now_s, peer.number)] * died)
        carry_out(peer, effects)

    monkeypatch.setattr(world, "apply", apply)
    world.run_until(SPLIT.end_min * 60)
    waiting = len(list(workload.missing()))
    world.run_until(SPLIT.end_min * 60 + 30)
    missing = list(workload.missing())
    assert waiting > 0
    assert not missing, f"seed {seed}: {len(missing)} of {workload.expected} are missing after 30 s"
    assert (workload.duplicated, workload.out_of_order) == (0, 0)
    assert (deaths == []) == (seed not in LONE_SEATS), (
        f"seed {seed}: called dead in a split, when and by whom: {deaths}"
    )


def test_a_split_costs_no_relay_its_place_in_the_view_of_the_others() -> None:
    world, _ = prepare(replace(OPTIONS, minutes=8, partition=Partition(2.0, 8.0)), 8)
    world.run_until(8 * 60 + 30)
    assert {len(peer.node.view) for peer in world.peers if peer.node is not None} == {OPTIONS.peers}
