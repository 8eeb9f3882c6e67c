"""High-security rooms in the simulator: the code that real devices run, through guards and mixes, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railgun_core.sim.options import SimOptions
from railgun_core.sim.report import Json, run_seed

SECURE = SimOptions(peers=18, minutes=1.5, rooms=1, members=3, rate_per_s=0.6, secure=True)


def play(options: SimOptions, seed: int) -> Json:
    figures = run_seed(options, seed, lambda text: None)
    bad = {name: figures[name] for name in ("lost", "duplicated", "out_of_order") if figures[name]}
    again = f"railgun sim --secure --peers {options.peers} --minutes {options.minutes} --rooms {options.rooms}"
    assert not bad, f"{bad}; play it again: {again} --members {options.members} --loss {options.loss} --seed {seed}"
    assert int(str(figures["sent"])) > 20
    return figures


@pytest.mark.deadline(240)
def test_nothing_is_lost_through_mixes_and_only_one_size_is_seen() -> None:
    figures = play(SECURE, 5)
    sizes = figures["envelope_sizes"]
    assert isinstance(sizes, list)
    assert 4_096 in sizes
    assert 65_536 not in sizes


@pytest.mark.long
@pytest.mark.deadline(480)
def test_a_run_through_mixes_is_its_seed() -> None:
    short = replace(SECURE, minutes=1.2, rate_per_s=1.0)
    assert play(short, 3)["trace_hash"] == play(short, 3)["trace_hash"]


@pytest.mark.long
@pytest.mark.deadline(1_200)
@pytest.mark.parametrize("seed", range(10, 20))
def test_nothing_is_lost_through_mixes_that_lose_links_and_restart(seed: int) -> None:
    play(replace(SECURE, minutes=12, loss=0.02, churn_per_hour=2.0), seed)
