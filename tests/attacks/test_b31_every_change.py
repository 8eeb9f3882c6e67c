"""B31, every kind of change in turn: with no room for it, it is there whole or not at all, and nothing false is said.

SQLite's limit on the pages of a file stands for a full disk here, at each page in turn; test_b31_disk_full.py has the
real one.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, RoomId, Tag
from railgun_core.changes import (
    Change,
    CommitteePut,
    Delivery,
    DutyPut,
    ExposurePut,
    Item,
    ItemsAdd,
    MailAdd,
    MailEvict,
    MemberPut,
    Membership,
    MixTagsAdd,
    OutboxMark,
    PeerPut,
    ReplayAdd,
    RoomPut,
    SecretPut,
    SettingPut,
    TrafficAdd,
)
from railgun_core.store.schema import METADATA
from railgun_core.store.sqlite import SqliteStore

ROOM = RoomId(b"r" * 16)
ME, ANN = MemberId(b"me------"), MemberId(b"ann-----")
TRIES = 10
Make = Callable[[int, random.Random], list[Change]]


def tag(number: int) -> Tag:
    return Tag(number.to_bytes(32, "big"))


def of_a_room(number: int) -> RoomId:
    return RoomId(number.to_bytes(16, "big"))


KINDS: dict[str, Make] = {
    "rooms": lambda n, rng: [
        RoomPut(of_a_room(60 * n + k), "n", rng.randbytes(32), b"", 1.0, Membership.ACTIVE) for k in range(60)
    ],
    "members": lambda n, rng: [
        MemberPut(ROOM, MemberId((90 * n + k).to_bytes(8, "big")), "Ann", 1, 1, Membership.ACTIVE, 1.0)
        for k in range(90)
    ],
    "own items": lambda n, rng: [ItemsAdd(ROOM, ME, tuple(_items(n, rng)), True)],
    "items of others": lambda n, rng: [ItemsAdd(ROOM, ANN, tuple(_items(n, rng)), False)],
    "own items and marks": lambda n, rng: [
        ItemsAdd(ROOM, ME, tuple(_items(n, rng)), True),
        OutboxMark(ROOM, 9 * n + 1, 9 * n + 4, Delivery.STORED, 1),
    ],
    "committees": lambda n, rng: [
        CommitteePut(ROOM, tag(n), n, 60, 1.0, 5, tuple(rng.randbytes(900) for _ in "12345678"))
    ],
    "duties": lambda n, rng: [DutyPut(tag(90 * n + k), n, 1, 5, "serving", 1.0, 2.0, 3, 4, 5) for k in range(90)],
    "replay ids": lambda n, rng: [ReplayAdd(tag(n), n, rng.randbytes(16_000))],
    "mix tags": lambda n, rng: [MixTagsAdd(n, rng.randbytes(16_000))],
    "traffic": lambda n, rng: [TrafficAdd(400 * n + k, 1, 2, 3, 4) for k in range(400)],
    "peers": lambda n, rng: [PeerPut((30 * n + k).to_bytes(32, "big"), rng.randbytes(700), 1.0) for k in range(30)],
    "settings": lambda n, rng: [SettingPut(f"s{n}", "x" * 20_000)],
    "secrets": lambda n, rng: [SecretPut(ROOM, f"s{n}", rng.randbytes(20_000))],
    "exposure": lambda n, rng: [ExposurePut(n, "guard", f"what-{k}", 5) for k in range(300)],
    "mail": lambda n, rng: [
        MailAdd(tag(1), 20_000, 9 * n + k, rng.randbytes(16), 1, rng.randbytes(4_137)) for k in range(9)
    ],
    "evicted mail": lambda n, rng: [
        MailAdd(tag(1), 20_000, n, rng.randbytes(16), 1, rng.randbytes(65_577)),
        MailEvict(tag(2 + n), 20_000, 0, 0, rng.randbytes(5_000)),
    ],
}


def _items(number: int, rng: random.Random) -> list[Item]:
    return [Item(9 * number + k + 1, 0, 1, rng.randbytes(4_096), 1.0) for k in range(9)]


async def limit_pages(store: SqliteStore, *, spare: int) -> None:
    """Let the file grow by `spare` more pages, and no further."""

    def work(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        assert isinstance(pages, int)
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + spare}")

    await store._write(work, rows=1, own_items=False)


async def code_of(work: Awaitable[None]) -> str:
    """The code it was refused with; empty when it was done."""
    try:
        await work
    except EnvironmentFailure as error:
        return error.code
    return ""


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, as another reader sees them."""
    link = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return {t.name: link.execute(f"SELECT * FROM {t.name}").fetchall() for t in METADATA.sorted_tables}
    finally:
        link.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_what_finds_no_room_changes_nothing_and_all_that_was_saved_stays(kind: str, tmp_path: Path) -> None:
    rng = random.Random(31)
    path = tmp_path / "railgun.db"
    store = await SqliteStore.open(path)
    await store.commit([RoomPut(ROOM, "n", b"", b"", 1.0, Membership.ACTIVE)])
    number, refused = 0, 0
    for spare in range(TRIES):
        await limit_pages(store, spare=spare)
        before = everything(path)
        code = await code_of(store.commit(KINDS[kind](number, rng)))
        assert code in ("", "disk-full")
        assert code == "" or everything(path) == before
        number, refused = number + (code == ""), refused + (code != "")
        await store.load()  # reading goes on
    assert refused > 0
    await limit_pages(store, spare=1 << 20)
    await store.commit(KINDS[kind](number, rng))
    written = everything(path)
    await store.close()
    again = await SqliteStore.open(path)
    assert again.repaired is None
    kept = everything(path)
    assert {name: rows for name, rows in kept.items() if name != "marks"} == {
        name: rows for name, rows in written.items() if name != "marks"
    }
    await again.close()


async def test_what_nobody_waits_for_and_finds_no_room_is_counted_as_lost(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "railgun.db")
    await limit_pages(store, spare=0)
    store.commit_soon(KINDS["replay ids"](0, random.Random(31)))
    with pytest.raises(EnvironmentFailure):
        await store.commit(KINDS["duties"](0, random.Random(31)) * 2)  # goes with it, in one transaction
    assert store.lost_soon == 1
    await limit_pages(store, spare=1 << 20)
    store.commit_soon(KINDS["replay ids"](1, random.Random(31)))
    await store.commit([SettingPut("a", "b")])
    assert [r.epoch for r in (await store.load()).replay] == [1]
    await store.close()
