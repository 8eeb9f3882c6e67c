"""B29, page by page: each page of a real database in turn is not what was written, and so each frame of its log.

Found at the start, every time; the damaged file is kept aside, another one made, this said; and the engine goes on with
it. A page is turned over whole, cleared, or changed in one place. Of the log's frames all but those of the very last
transaction are found: a flip there looks like a transaction that the crash cut off.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from railgun_core.base.ids import RoomId, Tag
from railgun_core.changes import MailAdd, MailEvict, SettingPut
from railgun_core.store.sqlite import SqliteStore
from tests.attacks.test_b29_corruption_and_power_loss import ROOM, fill

REPO = Path(__file__).resolve().parents[2]
PAGE_BYTES = 8_192
FRAME_BYTES = 24 + PAGE_BYTES
Harm = Callable[[bytes, random.Random], bytes]

HARMS: dict[str, Harm] = {
    "turned over": lambda page, rng: bytes(byte ^ 0xFF for byte in page),
    "cleared": lambda page, rng: bytes(len(page)),
    "of something else": lambda page, rng: rng.randbytes(len(page)),
}

DIES = """
import asyncio, os, pathlib, sys
from railgun_core.changes import *
from railgun_core.store.sqlite import SqliteStore
async def live():
    store = await SqliteStore.open(pathlib.Path(sys.argv[1]))
    for n in range(100, 120):
        await store.commit([ItemsAdd(b"r" * 16, b"me------", (Item(n, 0, 1, b"%d" % n * 200, 1.0),), True)])
    os._exit(9)
asyncio.run(live())
"""


async def full(path: Path) -> None:
    """Something in every table, mail too."""
    await fill(path)
    store = await SqliteStore.open(path)
    rng = random.Random(7)
    mail = [MailAdd(Tag(b"m" * 32), 9, n, rng.randbytes(16), 99, rng.randbytes(4_137)) for n in range(12)]
    await store.commit([*mail, MailEvict(Tag(b"m" * 32), 9, 0, 1, rng.randbytes(200))])
    await store.close()


@pytest.mark.parametrize("harm", HARMS)
async def test_each_page_that_is_not_what_was_written_is_found_set_aside_and_said(
    harm: str, tmp_path: Path, long_run: bool
) -> None:
    rng = random.Random(29)
    turn = list(HARMS).index(harm)  # each page is harmed in one way, and in every way with --long
    whole = tmp_path / "whole"
    await full(whole / "railgun.db")
    raw = (whole / "railgun.db").read_bytes()
    assert len(raw) // PAGE_BYTES > 20
    for number in range(len(raw) // PAGE_BYTES):
        page = raw[number * PAGE_BYTES : (number + 1) * PAGE_BYTES]
        harmed = HARMS[harm](page, rng)
        if harmed == page or (number % len(HARMS) != turn and not long_run):
            continue  # a free page was clear already
        folder = shutil.copytree(whole, tmp_path / str(number))
        path = folder / "railgun.db"
        path.write_bytes(raw[: number * PAGE_BYTES] + harmed + raw[(number + 1) * PAGE_BYTES :])
        broken = path.read_bytes()
        store = await SqliteStore.open(path)
        if not any(page):  # on the free list, and nothing of it is ever read
            assert len(await store.own_items(ROOM, 1, 99)) == 8
        else:
            assert store.repaired is not None, f"page {number + 1}"
            assert "railgun.db.damaged-1" in store.repaired
            assert (folder / "railgun.db.damaged-1").read_bytes() == broken
        await store.commit([SettingPut("goes", "on")])
        await store.close()
        shutil.rmtree(folder)


@pytest.fixture
def died(tmp_path: Path) -> Path:
    """A database whose engine was killed, so that its newest transactions are in the log."""
    path = tmp_path / "whole" / "railgun.db"
    asyncio.run(fill(path))
    subprocess.run([sys.executable, "-c", DIES, str(path)], cwd=REPO, check=False, timeout=60)
    assert path.with_name("railgun.db-wal").stat().st_size > 40 * FRAME_BYTES
    return path


async def test_each_frame_of_the_log_that_is_not_what_was_written_is_found_and_said(
    died: Path, tmp_path: Path, long_run: bool
) -> None:
    raw = died.with_name("railgun.db-wal").read_bytes()
    count = (len(raw) - 32) // FRAME_BYTES
    ends = [n for n in range(count) if raw[32 + n * FRAME_BYTES + 4 : 32 + n * FRAME_BYTES + 8] != bytes(4)]
    sound = await opened(died.parent, tmp_path / "sound", raw)
    assert sound == (None, list(range(1, 9)) + list(range(100, 120)), False)
    for number in range(0, ends[-2] + 1, 1 if long_run else 7):
        harmed = bytearray(raw)
        harmed[32 + number * FRAME_BYTES + 24 + 4_000] ^= 0x10
        repaired, seqs, is_older = await opened(died.parent, tmp_path / str(number), bytes(harmed))
        assert repaired is not None, f"frame {number} of {count}"
        assert "are gone" in repaired
        assert "damaged-1" in repaired
        assert is_older  # so that no key and no sequence is used a second time
        assert seqs == sound[1][: len(seqs)]


async def opened(whole: Path, folder: Path, log: bytes) -> tuple[str | None, list[int], bool]:
    """Open a copy with another log: what was said, the own items, whether it counts as an older copy."""
    shutil.copytree(whole, folder)
    (folder / "railgun.db-wal").write_bytes(log)
    (folder / "railgun.db-shm").unlink(missing_ok=True)
    store = await SqliteStore.open(folder / "railgun.db")
    if store.repaired is not None:
        assert (folder / "railgun.db.damaged-1-wal").read_bytes() == log
    found = [item.seq for item in await store.own_items(RoomId(b"r" * 16), 1, 1 << 40)]
    is_older = (await store.load()).restored_backup
    await store.close()
    shutil.rmtree(folder)
    return store.repaired, found, is_older
