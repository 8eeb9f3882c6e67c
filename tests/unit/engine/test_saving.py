"""Save, then send: in order, joined into few commits, tried again when the disk refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.changes import SettingPut
from railgun_core.engine import saving
from railgun_core.engine.saving import Saver
from railgun_core.events import Save
from railgun_core.store.memory import MemoryStore


class Bench:
    """A saver on a memory store, and what it answered."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.tickets: list[int] = []
        self.failures: list[str] = []
        self.saver = Saver(self.store, self.tickets.append, lambda failure: self.failures.append(failure.code))

    def put(self, ticket: int) -> None:
        self.saver.put(Save(ticket, (SettingPut(f"s{ticket}", "x"),)))


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(saving, "RETRY_S", 0.01)
    bench = Bench()
    task = asyncio.get_running_loop().create_task(bench.saver.run())
    yield bench
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_tickets_come_back_in_order_after_their_rows_are_durable(bench: Bench) -> None:
    for ticket in range(1_200):
        bench.put(ticket)
    await bench.saver.settled()
    assert bench.tickets == list(range(1_200))
    assert len(await bench.store.settings()) == 1_200


async def test_a_full_disk_is_reported_and_the_same_rows_are_tried_again(bench: Bench) -> None:
    bench.store.disk_full = True
    bench.put(1)
    bench.put(2)
    with pytest.raises(EnvironmentFailure) as refused:
        await bench.saver.settled()
    assert refused.value.code == "disk-full"
    assert bench.tickets == []
    bench.store.disk_full = False
    async with asyncio.timeout(5):
        while bench.saver.failure is not None or len(bench.tickets) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert bench.tickets == [1, 2]
    assert set(bench.failures) == {"disk-full"}


async def test_an_orderly_end_commits_what_waits() -> None:
    bench = Bench()
    bench.put(1)
    await bench.saver.drain()
    assert bench.tickets == [1]


async def test_an_end_on_a_full_disk_does_not_wait_for_room() -> None:
    bench = Bench()
    bench.store.disk_full = True
    bench.put(1)
    async with asyncio.timeout(5):
        await bench.saver.drain()
    assert bench.tickets == []
