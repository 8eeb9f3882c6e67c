"""`railgun sim`: what it prints, and that its checks see what they are for."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from railgun_core.base.ids import MemberId
from railgun_core.changes import Item, ItemsAdd
from railgun_core.sim.options import Partition, SimOptions
from railgun_core.sim.report import prepare, quantiles, run
from railgun_core.sim.world import at_once

SMALL = SimOptions(peers=6, minutes=1, rooms=1, members=3, rate_per_s=1.0)


def test_one_seed_gives_its_figures_and_all_of_them_are_json() -> None:
    said: list[str] = []
    figures = run(SMALL, said.append)
    assert json.loads(json.dumps(figures)) == figures
    assert (figures["lost"], figures["duplicated"], figures["out_of_order"]) == (0, 0, 0)
    assert figures["sent"] == int(str(figures["expected"])) / 2
    assert figures["envelope_sizes"] == [256, 4_096]
    assert "lost 0" in said[-1]


def test_several_seeds_give_their_sums_and_each_run() -> None:
    figures = run(replace(SMALL, seeds=(1, 2)))
    runs = figures["runs"]
    assert isinstance(runs, list)
    assert [one["seed"] for one in runs] == [1, 2]
    assert figures["lost"] == 0


def test_a_message_that_never_arrived_is_counted_as_lost() -> None:
    world, workload = prepare(SMALL, 1)
    world.run_until(70)
    sender, reader = workload.rooms[0].members[:2]
    world.crash_peer(reader)
    for _ in range(50):
        workload.send()
    world.run_until(90)
    assert workload.lost > 0
    assert {number for number, _ in workload.missing()} == {reader.number}
    assert workload.unconfirmed > 0
    world.start_peer(reader)
    world.run_until(150)
    assert workload.lost == 0
    assert sender is not reader


def test_a_copy_and_a_swap_are_seen() -> None:
    world, workload = prepare(SMALL, 1)
    world.run_until(70)
    place = workload.rooms[0]
    reader = place.members[0]
    other = MemberId(b"someone ")
    bodies = [b"0 9 5|", b"0 9 4|", b"0 9 5|"]
    items = tuple(Item(seq, 0, 1, body) for seq, body in enumerate(bodies, 1))
    workload._sent_at.update({body: 60.0 for body in bodies})
    at_once(reader.store.commit((ItemsAdd(place.room, other, items, own=False),)))
    workload._read(reader.number, place.room)
    assert (workload.duplicated, workload.out_of_order) == (1, 1)


def test_everybody_is_up_again_when_the_last_message_is_sent() -> None:
    world, _ = prepare(replace(SMALL, minutes=6, churn_per_hour=10, partition=Partition(1, 2)), 3)
    down = 0
    for minute in range(1, 6):
        world.run_until(minute * 60)
        down += sum(peer.node is None for peer in world.peers)
    world.run_until(361)
    assert down > 0
    assert all(peer.node is not None for peer in world.peers)
    assert world.network.split == frozenset()


@pytest.mark.parametrize(
    ("values", "p50", "p99"), [((), None, None), ((3.0,), 3.0, 3.0), (tuple(map(float, range(100))), 50.0, 99.0)]
)
def test_quantiles_are_values_that_occurred(values: tuple[float, ...], p50: float | None, p99: float | None) -> None:
    found = quantiles(values)
    assert (found["p50"], found["p99"]) == (p50, p99)
