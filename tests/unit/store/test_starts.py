"""The counter of starts: an older database is noticed, and a crash at any moment is not taken for one."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import RoomId
from railgun_core.changes import RESTORED_BACKUP, SecretPut, SettingPut
from railgun_core.store import opening, sqlite
from railgun_core.store.memory import MemoryStore
from railgun_core.store.sqlite import SqliteStore
from railgun_core.store.starts import mark_beside, set_mark

DEVICE = RoomId(b"")


async def started(path: Path) -> bool:
    """One run with a clean end: whether it found an older database."""
    store = await SqliteStore.open(path)
    found = (await store.load()).restored_backup
    await store.close()
    return found


async def test_start_after_start_is_no_restored_backup(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    assert [await started(path) for _ in range(4)] == [False] * 4
    assert mark_beside(path) == 8  # four starts, four ends


async def test_a_database_put_back_after_a_later_run_is_noticed_until_it_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await started(path)
    shutil.copy(path, tmp_path / "copy")
    await started(path)
    shutil.copy(tmp_path / "copy", path)
    assert [await started(path) for _ in range(2)] == [True, True]
    store = await SqliteStore.open(path)
    await store.commit([SecretPut(DEVICE, "account", b"new"), SettingPut(RESTORED_BACKUP, None)])
    assert not (await store.load()).restored_backup
    await store.close()
    assert not await started(path)


async def test_a_copy_made_while_running_is_noticed_after_a_clean_end(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    store = await SqliteStore.open(path)
    shutil.copy(path, tmp_path / "copy")
    await store.commit([SecretPut(DEVICE, "session", b"used")])
    await store.close()
    shutil.copy(tmp_path / "copy", path)
    assert await started(path)


@pytest.mark.parametrize("module", [opening, sqlite])
async def test_a_kill_between_database_and_file_raises_no_alarm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object
) -> None:
    path = tmp_path / "railgun.db"
    await started(path)
    with monkeypatch.context() as killed:
        killed.setattr(module, "set_mark", lambda database, number: None)
        for _ in range(3):
            assert not await started(path)
    assert not await started(path)


async def test_a_disk_that_refuses_the_mark_raises_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "railgun.db"
    await started(path)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as full:
        full.setattr(os, "replace", refuse)
        assert not await started(path)
    assert not await started(path)


async def test_a_new_database_beside_an_old_mark_is_new_and_not_restored(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await started(path)
    path.unlink()
    assert not await started(path)
    path.write_bytes(b"no database at all")
    assert not await started(path)
    assert mark_beside(path) == 6


@pytest.mark.parametrize("line", [b"", b"7", b"99 00000000\n", b"-1 12345678\n", b"\xff" * 40])
async def test_a_mark_that_cannot_be_read_counts_as_none(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "railgun.db"
    await started(path)
    (tmp_path / "store.mark").write_bytes(line)
    assert mark_beside(path) == 0
    assert not await started(path)
    assert mark_beside(path) == 4


def test_the_mark_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    set_mark(path, 12)
    set_mark(path, 7)
    assert mark_beside(path) == 7
    assert [p.name for p in tmp_path.iterdir()] == ["store.mark"]


async def test_a_full_disk_does_not_hide_an_older_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "railgun.db"
    await started(path)
    shutil.copy(path, tmp_path / "copy")
    await started(path)

    def fail(connection: object, *, at_least: int = 0) -> int:
        raise EnvironmentFailure("The disk is full.", code="disk-full")

    with monkeypatch.context() as full:
        full.setattr(opening, "count_up", fail)
        store = await SqliteStore.open(path)  # nothing to hide: it starts, uncounted
        await store.close()
        shutil.copy(tmp_path / "copy", path)
        with pytest.raises(EnvironmentFailure):
            await SqliteStore.open(path)
    assert await started(path)


async def test_a_restored_snapshot_in_memory_says_so_too() -> None:
    store = MemoryStore()
    snapshot = store.snapshot()
    store.crash()
    assert not (await store.load()).restored_backup
    store.restore(snapshot)
    assert (await store.load()).restored_backup
    store.crash()
    assert (await store.load()).restored_backup
    await store.commit([SettingPut(RESTORED_BACKUP, None)])
    assert not (await store.load()).restored_backup
