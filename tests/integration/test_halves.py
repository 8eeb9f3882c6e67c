"""A 50/50 split of a real network: both halves go on, and after it everything is there once, in order, within 30 s.

Four relays on each side with two people each, who write all the time.
Short: three epochs of 15 s, since a silence of 30 s is the first that may be called a death. With --long: of 60 s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

import pytest

from .conftest import until
from .halves import Halves, two_halves
from .writers import Reading, Writer, deaths

NODES, PEOPLE = 8, 4
EPOCHS = 3
EVERY_S = 1.0
BEFORE_S, AFTER_S = 5.0, 5.0  # people write before the split and after the heal as well
HEALS_S = 30.0
SETTLE_S = 60.0


def room_of(halves: Halves) -> list[Writer]:
    """A room with two people on each side."""
    link = halves.nodes[0].create("talk")
    for node in halves.nodes[1:PEOPLE]:
        node.good("room", "join", link)
    return [Writer(f"m{number}", node, "talk") for number, node in enumerate(halves.nodes[:PEOPLE])]


async def split(halves: Halves, writers: list[Writer], readings: list[Reading], *, split_s: float) -> float:
    """All write; cut the cable for a while. How long after the heal everybody had all that was written until then."""
    ended = asyncio.Event()
    tasks = [asyncio.create_task(one.write_on(ended, every_s=EVERY_S)) for one in writers]
    try:
        await asyncio.sleep(BEFORE_S)
        halves.cut()
        await asyncio.sleep(split_s)
        wanted = lines_of(writers)
        waiting = await asyncio.to_thread(lacking, readings, wanted)
        assert waiting > 0, "the halves still heard each other"
        halves.heal()
        took_s = await asyncio.to_thread(healing, readings, wanted)
        print(f"{waiting} copies of {len(wanted)} lines waited; all there {took_s:.1f} s after the heal", flush=True)
        await asyncio.sleep(AFTER_S)
    finally:
        ended.set()
        await asyncio.gather(*tasks)
    return took_s


def lines_of(writers: Iterable[Writer]) -> set[bytes]:
    return {line for one in writers for line in one.written}


def lacking(readings: Iterable[Reading], wanted: set[bytes]) -> int:
    """How many copies are missing."""
    return sum(len(one.lacks(wanted)) for one in readings)


def healing(readings: Iterable[Reading], wanted: set[bytes]) -> float:
    """Wait until everybody has these lines; how long it took."""
    began_s = time.monotonic()
    until(lambda: not lacking(readings, wanted), within_s=HEALS_S, what="everything written before the heal")
    return time.monotonic() - began_s


@pytest.mark.deadline(300)
def test_after_three_epochs_apart_everything_is_there_once_within_30_s(long_run: bool) -> None:
    epoch_s = 60 if long_run else 15
    with two_halves("--epoch-s", str(epoch_s)) as halves:
        halves.start(NODES)
        writers = room_of(halves)
        readings = [Reading(one.name, one.node, one.room) for one in writers]
        took_s = asyncio.run(split(halves, writers, readings, split_s=EPOCHS * epoch_s))
        assert took_s <= HEALS_S
        for reading in readings:
            reading.has_all(writers, within_s=SETTLE_S)
            reading.check(writers)
        print(f"deaths that were told: {deaths(halves.nodes)}", flush=True)
