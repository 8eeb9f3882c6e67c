"""B31: the disk is full. No crash, no false receipt; reading and deleting go on; all is well again with room.

SQLite's own limit on the pages of a file (`max_page_count`) gives the same answer as a disk without room, at a write
we choose. Where the system lets us mount one, a file system of two megabytes gives the real ENOSPC (page by page with
--long).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Connection

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, RoomId
from railgun_core.changes import Item, ItemsAdd, Membership, RoomPut, SettingPut
from railgun_core.store.memory import MemoryStore
from railgun_core.store.sqlite import SqliteStore
from railgun_core.store.writer import FULL_BELOW_BYTES

REPO = Path(__file__).resolve().parents[2]
ROOM = RoomId(b"r" * 16)
ME = MemberId(b"me------")
ANN = MemberId(b"ann-----")


def own(first: int, count: int) -> ItemsAdd:
    return ItemsAdd(ROOM, ME, tuple(Item(first + n, 0, 1, b"x" * 4096, 1.0) for n in range(count)), True)


async def limit_pages(store: SqliteStore, *, spare: int) -> None:
    """Let the file grow by `spare` more pages, and no further."""

    def work(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        assert isinstance(pages, int)
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + spare}")

    await store._write(work, rows=1, own_items=False)


async def test_at_whatever_write_the_room_ends_the_commit_fails_whole_and_the_store_goes_on(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "railgun.db")
    await store.commit([RoomPut(ROOM, "n", b"", b"", 1.0, Membership.ACTIVE), own(1, 3)])
    acked = 3
    refused: list[str] = []
    for spare in range(12):
        await limit_pages(store, spare=spare)
        try:
            await store.commit([own(acked + 1, 9), SettingPut("last", str(acked + 9))])
            acked += 9
        except EnvironmentFailure as error:
            refused.append(error.code)
        kept = await store.own_items(ROOM, 1, 1 << 40)
        assert [item.seq for item in kept] == list(range(1, acked + 1))
    assert len(refused) >= 5
    assert set(refused) == {"disk-full"}
    await limit_pages(store, spare=1 << 20)
    await store.commit([own(acked + 1, 9)])
    await store.close()
    again = await SqliteStore.open(tmp_path / "railgun.db")
    assert again.repaired is None
    assert len(await again.own_items(ROOM, 1, 1 << 40)) == acked + 9
    await again.close()


async def test_on_a_full_disk_deleting_works_and_makes_room(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "railgun.db")
    await store.commit([RoomPut(ROOM, "n", b"", b"", 1.0, Membership.ACTIVE), own(1, 50)])
    await limit_pages(store, spare=0)
    with pytest.raises(EnvironmentFailure):
        await store.commit([own(51, 20)])
    await store.prune(items_before_s=2.0, traffic_before_hour=0, committees_before_s=0.0)
    await store.commit([own(51, 20)])
    assert len(await store.own_items(ROOM, 1, 99)) == 20
    await store.close()


async def test_own_items_are_refused_before_the_disk_is_full_and_all_else_goes_on(tmp_path: Path) -> None:
    free_bytes = FULL_BELOW_BYTES
    store = await SqliteStore.open(tmp_path / "railgun.db", free_bytes=lambda _folder: free_bytes)
    await store.commit([RoomPut(ROOM, "n", b"", b"", 1.0, Membership.ACTIVE), own(1, 1)])
    free_bytes -= 1
    with pytest.raises(EnvironmentFailure) as caught:
        await store.commit([own(2, 1), SettingPut("with", "it")])
    assert caught.value.code == "disk-full"
    await store.commit([ItemsAdd(ROOM, ANN, (Item(1, 0, 1, b"hello"),), False), SettingPut("a", "1")])
    assert await store.settings() == {"a": "1"}
    assert len(await store.messages(ROOM, after=0, limit=9)) == 2
    free_bytes += 1
    await store.commit([own(2, 1)])
    await store.close()


async def test_the_memory_store_can_be_full_too() -> None:
    store = MemoryStore()
    await store.commit([own(1, 1)])
    store.disk_full = True
    with pytest.raises(EnvironmentFailure) as caught:
        await store.commit([own(2, 1)])
    assert caught.value.code == "disk-full"
    assert len(await store.own_items(ROOM, 1, 9)) == 1
    await store.forget_room(ROOM)
    store.disk_full = False
    await store.commit([own(1, 1)])


SMALL_DISK = """
import asyncio, os, pathlib, shutil, subprocess, sys
from railgun_core.base.errors import EnvironmentFailure
from railgun_core.changes import *
from railgun_core.store.sqlite import SqliteStore

disk = pathlib.Path(sys.argv[1])
ROOM, ME = b"r" * 16, b"me------"
PLENTY = 1 << 40

def ballast(leave):
    (disk / "ballast").write_bytes(b"")
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "ballast").write_bytes(bytes(max(0, free - leave)))

async def once(leave):
    folder = disk / "data"
    acked = 0
    codes = []
    try:
        ballast(leave)
        store = await SqliteStore.open(folder / "railgun.db", free_bytes=lambda _: PLENTY)
    except EnvironmentFailure as error:
        codes.append(error.code)
    else:
        try:
            for n in range(1, 200):
                await store.commit([ItemsAdd(ROOM, ME, (Item(n, 0, 1, bytes(4096), 1.0),), True)])
                acked = n
        except EnvironmentFailure as error:
            codes.append(error.code)
        assert len(await store.own_items(ROOM, 1, 999)) == acked, "read on a full disk"
        await store.close()
    assert codes == ["disk-full"], (leave, codes)
    (disk / "ballast").unlink()
    store = await SqliteStore.open(folder / "railgun.db", free_bytes=lambda _: PLENTY)
    assert store.repaired is None, (leave, store.repaired)
    assert len(await store.own_items(ROOM, 1, 999)) == acked, "after the start"
    await store.commit([ItemsAdd(ROOM, ME, (Item(acked + 1, 0, 1, bytes(4096), 1.0),), True)])
    await store.close()
    shutil.rmtree(folder)

subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(disk)], check=True)
for leave in range(0, 600 * 1024, int(sys.argv[2])):
    asyncio.run(once(leave))
print("done")
"""


def can_mount(folder: Path) -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    tried = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", str(folder)]
    return subprocess.run(tried, capture_output=True, check=False, timeout=10).returncode == 0


def test_a_disk_that_is_really_full_at_each_write_in_turn_costs_nothing_acknowledged(
    tmp_path: Path, long_run: bool
) -> None:
    if not can_mount(tmp_path):
        pytest.skip("this system does not let us mount a small file system")
    step_bytes = 4096 if long_run else 40 * 1024
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, "-c", SMALL_DISK, str(tmp_path), str(step_bytes)],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.stdout.strip() == "done", done.stderr
