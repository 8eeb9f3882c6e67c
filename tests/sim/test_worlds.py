"""Whole networks under a virtual clock: nothing is lost, doubled or turned around, whatever happens to links and peers.

Each failure names its seed and the command that plays it again. The long form plays many more seeds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from railgun_core.sim.options import Partition, SimOptions
from railgun_core.sim.report import prepare, run_seed
from railgun_core.sim.workload import Workload
from railgun_core.sim.world import START_UNIX_S, World

SMALL = SimOptions(peers=10, minutes=12, rooms=2, members=4, loss=0.02)
ROOT = Path(__file__).resolve().parents[2]
HEAL_WITHIN_S = 30.0  # protocol.md 9
Figures = dict[str, object]


def command(options: SimOptions, seed: int) -> str:
    """What plays a world again."""
    words = ["railgun", "sim", "--peers", options.peers, "--minutes", options.minutes, "--rooms", options.rooms]
    words += ["--members", options.members, "--rate", options.rate_per_s, "--loss", options.loss]
    words += ["--churn", options.churn_per_hour, "--seed", seed]
    if options.partition is not None:
        words += ["--partition", f"{options.partition.start_min}..{options.partition.end_min}"]
    return " ".join(map(str, words))


def play(options: SimOptions, seed: int) -> Figures:
    """The figures of a world in which nothing may be lost, doubled or out of order."""
    figures = run_seed(options, seed, lambda text: None)
    bad = {name: figures[name] for name in ("lost", "duplicated", "out_of_order") if figures[name]}
    assert not bad, f"{bad}; play it again: {command(options, seed)}"
    assert int(str(figures["sent"])) > 0
    return figures


def seeds(few: range, *, long_run: bool) -> range:
    """A few seeds, or thirty times as many."""
    return range(few.start, few.start + 30 * len(few)) if long_run else few


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    options = replace(SMALL, minutes=3, churn_per_hour=6)
    traces = [play(options, seed)["trace_hash"] for seed in (1, 1, 2)]
    assert traces[0] == traces[1]
    assert traces[1] != traces[2]


def test_the_trace_does_not_depend_on_the_order_in_which_a_process_hashes() -> None:
    """Sets of ids iterate differently in every process: a decision that follows their order breaks replay."""
    options = replace(SMALL, minutes=14, churn_per_hour=6, loss=0.05)
    traces = set[str]()
    for hash_seed in ("1", "2"):
        words = [sys.executable, "-m", "railgun_core", *command(options, 7).split()[1:], "--json"]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, timeout=100, check=True)
        traces.add(json.loads(done.stdout)["trace_hash"])
    assert len(traces) == 1


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.20])
def test_lost_chunks_cost_time_and_no_message(loss: float) -> None:
    figures = play(replace(SMALL, minutes=4, loss=loss), 3)
    assert figures["unconfirmed"] == 0


def test_peers_that_crash_and_come_back_lose_nothing(long_run: bool) -> None:
    for seed in seeds(range(1, 3), long_run=long_run):
        play(replace(SMALL, minutes=8, churn_per_hour=8, loss=0.05), seed)


def test_everything_is_delivered_once_within_30_s_after_a_partition_heals(long_run: bool) -> None:
    for seed in seeds(range(20, 21), long_run=long_run):
        options = replace(SMALL, minutes=8, partition=Partition(3.0, 8.0))
        world, workload = prepare(options, seed)
        world.run_until(8 * 60.0 + HEAL_WITHIN_S)
        missing = list(workload.missing())
        assert not missing, f"{len(missing)} lost {missing[:3]}; play it again: {command(options, seed)}"
        assert (workload.duplicated, workload.out_of_order) == (0, 0), command(options, seed)


def test_a_partition_over_several_epochs_with_crashes_heals(long_run: bool) -> None:
    options = replace(SMALL, minutes=26, rate_per_s=0.2, churn_per_hour=2, partition=Partition(3.0, 24.0))
    for seed in seeds(range(30, 31), long_run=long_run):
        play(options, seed)


def test_long_messages_of_several_parts_survive_crashes(long_run: bool) -> None:
    for seed in seeds(range(40, 41), long_run=long_run):
        options = replace(SMALL, churn_per_hour=8, rate_per_s=0.1)
        world, workload = prepare(options, seed, body_bytes=150_000)
        world.run_until(options.minutes * 60 + 240)
        assert not list(workload.missing()), command(options, seed)
        assert workload.delivered == workload.expected > 0
        assert (workload.duplicated, workload.out_of_order) == (0, 0)


SKEW_S = 110.0  # threats.md B30: within 120 s a clock may be wrong and everything works


@pytest.mark.parametrize("seed", [50])
def test_with_every_fifth_clock_110_s_wrong_everything_is_delivered_across_epochs(seed: int) -> None:
    """From 150 s before the end of an epoch until its overlap is over, by everybody's clock."""
    world = World(peers=10, seed=seed, loss=0.02, epoch_s=600, start_unix_s=START_UNIX_S + 450.0)
    wrong = world.rng.sample(world.peers, 2)
    wrong[0].ahead_s, wrong[1].ahead_s = SKEW_S, -SKEW_S
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(5.0)
    workload = Workload(world, rooms=2, members=4, body_bytes=24)
    for at_s in range(15, 400, 3):
        world.at(float(at_s), workload.send)
    world.run_until(400.0 + 30.0)
    missing = list(workload.missing())
    assert not missing, f"seed {seed}: {len(missing)} of {workload.expected} are missing"
    assert workload.expected > 300
    assert (workload.duplicated, workload.out_of_order) == (0, 0)


def test_a_member_that_was_away_for_three_days_gets_what_its_friends_said_though_they_are_gone() -> None:
    """The whole network sleeps meanwhile, so that days cost nothing; the mail is on the disks of its mailboxes."""
    world = World(peers=10, seed=60, loss=0.0, epoch_s=600, mailboxes=True)
    for peer in world.peers:
        world.start_peer(peer)
    world.run_until(5.0)
    workload = Workload(world, rooms=1, members=3, body_bytes=24)
    members = workload.rooms[0].members
    away, friends = members[0], members[1:]
    for second in (30, 32, 34):
        world.at(float(second), workload.send)
    world.run_until(60.0)
    world.crash_peer(away)
    for second in range(70, 110, 2):
        world.at(float(second), workload.send)
    world.run_until(150.0)
    for peer in world.peers:
        world.crash_peer(peer)
    world.run_until(3 * 86_400.0)
    for peer in world.peers:
        if peer not in friends:
            world.start_peer(peer)
    world.run_until(3 * 86_400.0 + 60.0)
    assert len(list(workload.missing())) == 0
    assert (workload.duplicated, workload.out_of_order) == (0, 0)
    assert all(friend.node is None for friend in friends)
