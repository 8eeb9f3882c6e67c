"""The writer's thread: groups, order, answers, neighbours."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from railgun_core.base.errors import EnvironmentFailure, UsageError
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import Item, ItemsAdd, SettingPut, TrafficAdd
from railgun_core.store.sqlite import SqliteStore
from railgun_core.store.writer import MAX_ROWS, MAX_SOON, Job

ROOM = RoomId(b"r" * 16)
ANN = MemberId(b"ann-----")
DEADLINE_S = 10.0


class Gate:
    """Holds the writer's thread inside a transaction until opened."""

    def __init__(self, store: SqliteStore) -> None:
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.commits = 0
        event.listen(store._writer._engine, "commit", self._count)
        assert store._writer.put(Job(self._hold, 1, False, lambda _error: None))

    def _count(self, _connection: Connection) -> None:
        self.commits += 1

    def _hold(self, _connection: Connection) -> None:
        self.entered.set()
        assert self.opened.wait(DEADLINE_S)


async def opened(tmp_path: Path) -> SqliteStore:
    return await SqliteStore.open(tmp_path / "railgun.db")


async def test_all_commits_that_wait_share_one_transaction(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    gate = Gate(store)
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    waiting = [asyncio.ensure_future(store.commit([SettingPut(f"s{n}", "1")])) for n in range(100)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE_S)
    assert gate.commits == 2
    assert len(await store.settings()) == 100
    await store.close()


async def test_a_transaction_is_bounded_in_rows(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    gate = Gate(store)
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    half = MAX_ROWS // 2 + 1
    adds = [
        ItemsAdd(ROOM, ANN, tuple(Item(n * half + k + 1, 0, 1, b"x") for k in range(half)), False) for n in range(3)
    ]
    waiting = [asyncio.ensure_future(store.commit([add])) for add in adds]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait_for(asyncio.gather(*waiting), DEADLINE_S)
    assert gate.commits == 4
    await store.close()


async def test_reads_do_not_wait_for_writes(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.commit([SettingPut("colour", "red")])
    gate = Gate(store)
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    assert await asyncio.wait_for(store.settings(), DEADLINE_S) == {"colour": "red"}
    gate.opened.set()
    await store.close()


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
async def test_a_value_too_large_fails_its_own_commit_and_no_neighbour(tmp_path: Path, value: int) -> None:
    store = await opened(tmp_path)
    gate = Gate(store)
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    good = asyncio.ensure_future(store.commit([SettingPut("a", "1")]))
    bad = asyncio.ensure_future(store.commit([SettingPut("b", "1"), TrafficAdd(1, value, 0, 0, 0)]))
    also_good = asyncio.ensure_future(store.commit([SettingPut("c", "1")]))
    await asyncio.sleep(0)
    gate.opened.set()
    results = await asyncio.wait_for(asyncio.gather(good, bad, also_good, return_exceptions=True), DEADLINE_S)
    assert [type(r) for r in results] == [type(None), UsageError, type(None)]
    assert sorted(await store.settings()) == ["a", "c"]
    await store.close()


@pytest.mark.parametrize(
    "change", [SettingPut("a", "\ud800"), ItemsAdd(ROOM, ANN, (Item(1, 0, 1, b"x", float("nan")),), False)]
)
async def test_what_no_column_can_hold_is_the_callers_error(tmp_path: Path, change: SettingPut | ItemsAdd) -> None:
    store = await opened(tmp_path)
    with pytest.raises(UsageError):
        await store.commit([change])
    await store.commit([SettingPut("b", "1")])
    assert await store.settings() == {"b": "1"}
    await store.close()


async def test_what_is_put_soon_is_written_without_another_commit(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    committed = threading.Event()
    event.listen(store._writer._engine, "commit", lambda _connection: committed.set())
    store.commit_soon([SettingPut("a", "1")])
    assert await asyncio.to_thread(committed.wait, DEADLINE_S)
    await store.close()
    again = await opened(tmp_path)
    assert await again.settings() == {"a": "1"}
    await again.close()


async def test_many_unhurried_changes_do_not_pile_up(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    for _ in range(MAX_SOON * 2):
        store.commit_soon([TrafficAdd(1, 1, 1, 1, 1)])
    await store.commit([])
    assert await store.traffic(since_hour=0) == (TrafficAdd(1, *([MAX_SOON * 2] * 4)),)
    await store.close()


async def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    store.commit_soon([SettingPut("a", "1")])
    waiting = asyncio.ensure_future(store.commit([SettingPut("b", "1")]))
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    await asyncio.wait_for(waiting, DEADLINE_S)
    again = await opened(tmp_path)
    assert await again.settings() == {"a": "1", "b": "1"}
    await again.close()


async def test_a_caller_that_is_cancelled_disturbs_nobody(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    gate = Gate(store)
    assert await asyncio.to_thread(gate.entered.wait, DEADLINE_S)
    gone = asyncio.ensure_future(store.commit([SettingPut("a", "1")]))
    await asyncio.sleep(0)
    gone.cancel()
    gate.opened.set()
    await store.commit([SettingPut("b", "1")])
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert await store.settings() == {"a": "1", "b": "1"}
    await store.close()


async def test_after_closing_every_call_is_refused(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.close()
    with pytest.raises(EnvironmentFailure):
        await store.commit([])
    with pytest.raises(EnvironmentFailure):
        await store.load()
