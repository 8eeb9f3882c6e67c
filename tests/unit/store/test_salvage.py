"""What is taken out of a damaged database: every sound row that can be reached, and nothing that was never written."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    Item,
    ItemsAdd,
    MailAdd,
    MemberPut,
    Membership,
    PeerPut,
    ReplayAdd,
    RoomPut,
    SecretPut,
    SettingPut,
)
from railgun_core.store.opening import _FRESH, FILE_MODE
from railgun_core.store.schema import METADATA
from railgun_core.store.sqlite import SqliteStore

PAGE_BYTES = 8_192
ROOMS = [RoomId(bytes((n,)) * 16) for n in (1, 2)]
ME, ANN = MemberId(b"me------"), MemberId(b"ann-----")
LEFT_OUT = {"marks", "settings"}
Rows = dict[str, set[tuple[object, ...]]]


async def filled(path: Path) -> None:
    store = await SqliteStore.open(path)
    rng = random.Random(3)
    for room in ROOMS:
        await store.commit([RoomPut(room, "friends", rng.randbytes(32), b"s" * 32, 1.0, Membership.ACTIVE)])
        await store.commit([MemberPut(room, ANN, "Ann", 7, 3, Membership.ACTIVE, 5.5)])
        await store.commit(
            [ItemsAdd(room, ME, tuple(Item(n, 0, 1, rng.randbytes(900), 1.0) for n in range(1, 90)), True)]
        )
        await store.commit([SecretPut(room, "account", rng.randbytes(700))])
    await store.commit([MailAdd(Tag(b"m" * 32), 9, n, rng.randbytes(16), 99, rng.randbytes(4_137)) for n in (0, 1)])
    await store.commit(
        [ReplayAdd(Tag(b"t" * 32), 9, rng.randbytes(1_600)), PeerPut(b"p" * 32, rng.randbytes(200), 3.0)]
    )
    await store.commit([SettingPut("colour", "red")])
    await store.close()


def rows_of(path: Path) -> Rows:
    link = sqlite3.connect(path)
    try:
        return {t.name: set(link.execute(f"SELECT * FROM {t.name}")) for t in METADATA.sorted_tables}
    finally:
        link.close()


async def repaired(path: Path) -> str | None:
    store = await SqliteStore.open(path)
    await store.load()
    await store.close()
    return store.repaired


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x40
    path.write_bytes(raw)


async def test_a_row_that_is_not_what_was_written_is_all_that_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    before = rows_of(path)
    body = min(row for row in before["items"])[-1]
    assert isinstance(body, bytes)
    flip(path, path.read_bytes().index(body) + 400)
    said = await repaired(path)
    assert said is not None
    assert said.endswith("a new one was made, and 2 rooms were saved.")
    after = rows_of(path)
    for name in set(before) - LEFT_OUT:
        assert len(before[name] - after[name]) == (name == "items"), name
        assert after[name] <= before[name]


async def test_whatever_page_is_gone_nothing_is_there_that_was_never_written_and_rooms_mostly_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    before, raw = rows_of(path), path.read_bytes()
    rooms, kept, pages = 0, 0, range(len(raw) // PAGE_BYTES)
    for number in pages:
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("store.key", "store.mark"):
            (folder / name).write_bytes((tmp_path / name).read_bytes())
            (folder / name).chmod(FILE_MODE)
        harmed = folder / "railgun.db"
        harmed.write_bytes(raw[: number * PAGE_BYTES] + bytes(PAGE_BYTES) + raw[(number + 1) * PAGE_BYTES :])
        if await repaired(harmed) is None:
            continue
        after = rows_of(harmed)
        assert all(after[name] <= before[name] for name in set(before) - LEFT_OUT), f"page {number + 1}"
        rooms += len(after["rooms"]) == len(ROOMS)
        kept += len(after["items"])
    assert rooms >= len(pages) - 4  # the first page, that of the rooms, and pages of definitions
    assert kept >= 0.7 * len(pages) * len(before["items"])


async def test_mail_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    frame = min(row for row in rows_of(path)["mail"])[-1]
    assert isinstance(frame, bytes)
    flip(path, path.read_bytes().index(frame[:1_000]) + 500)
    assert await repaired(path) is not None
    after = rows_of(path)
    assert (after["mail"], after["mail_tags"]) == (set(), set())
    assert len(after["rooms"]) == 2


async def test_what_is_no_database_any_more_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    path.write_bytes(random.Random(1).randbytes(100_000))
    said = await repaired(path)
    assert said is not None
    assert said.endswith("no room could be saved.")


async def test_the_repaired_one_counts_as_an_older_copy(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    flip(path, path.read_bytes().index(b"friends"))
    store = await SqliteStore.open(path)
    state = await store.load()
    assert state.restored_backup
    assert len(state.rooms) in (1, 2)
    assert (await store.settings())["colour"] == "red"
    await store.close()


@pytest.mark.parametrize("stopped", ["while it was made", "after the other was set aside"])
async def test_a_repair_that_was_stopped_is_taken_up_again(stopped: str, tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    await filled(path)
    fresh = path.with_name(path.name + _FRESH)
    if stopped == "while it was made":
        fresh.write_bytes(b"half of it")
        flip(path, path.read_bytes().index(b"friends"))
        said = await repaired(path)
        assert said is not None
    else:
        path.rename(fresh)
        assert await repaired(path) is None
    assert not fresh.exists()
    assert len(rows_of(path)["peers"]) == 1
