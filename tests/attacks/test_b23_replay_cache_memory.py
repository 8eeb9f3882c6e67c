"""B23, memory of the replay cache: a million packets under one key cost a bounded memory and no honest packet.

Bounds under test: 16 MB of growth of a process for a million tags, however the two live keys share them; false drops
at most one in a million; the tag durable before the packet goes on. Beyond a million tags a period the filter errs
more often, and memory stays: the last test shows how much.
"""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from railgun_core.mix.replay import EXACT_TAGS, TAG_BYTES, ReplayWindow
from tests.unit.mix.mix_desk import Desk

PACKETS = 1_000_000
GROWTH_BYTES = 16 * 1024 * 1024

# In a process of its own: what other tests have freed would hide the growth.
MEASURE = """
import random, sys, psutil
from railgun_core.mix.replay import ReplayWindow
rng, process = random.Random(23), psutil.Process()
windows, counts = (ReplayWindow(), ReplayWindow()), map(int, sys.argv[1:])
before, false_drops = process.memory_info().rss, 0
for window, count in zip(windows, counts):
    for _ in range(count):
        false_drops += not window.add(rng.randbytes(16))
print(process.memory_info().rss - before, false_drops)
"""


@pytest.mark.parametrize(
    "counts",
    [(EXACT_TAGS, PACKETS - EXACT_TAGS), pytest.param((PACKETS, 0), marks=pytest.mark.long)],
    ids=["two keys", "one key"],
)
def test_a_million_tags_stay_below_16_mb_and_lose_no_honest_packet(counts: tuple[int, int]) -> None:
    command = [sys.executable, "-c", MEASURE, *map(str, counts)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    growth_bytes, false_drops = map(int, run.stdout.split())
    assert growth_bytes <= GROWTH_BYTES, f"{growth_bytes:,} bytes"
    assert false_drops <= PACKETS * 1e-6


def test_the_packet_waits_until_its_tag_is_durable() -> None:
    desk = Desk(save_s=None)
    desk.hear(desk.through())
    desk.run(0.5)
    assert (desk.disk.tags, desk.sent) == ([], [])
    desk.save_all()
    assert (len(desk.disk.tags), len(desk.sent)) == (1, 1)


@pytest.mark.long
def test_two_million_tags_cost_honest_packets_but_let_no_replay_pass(rng: random.Random) -> None:
    window = ReplayWindow()
    tags = [rng.randbytes(TAG_BYTES) for _ in range(2 * PACKETS)]
    false_drops = sum(not window.add(tag) for tag in tags)
    assert not any(window.add(tag) for tag in tags[::10])
    assert false_drops / len(tags) < 1e-4
