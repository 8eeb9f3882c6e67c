"""Mail on the disk: a start reads names only, damage is never handed out, and a full disk loses nothing it promised."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite as dialect

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import Tag
from railgun_core.changes import MailAdd, MailDrop, MailEvict, SettingPut
from railgun_core.store import mail as statements
from railgun_core.store.apply import rows_of
from railgun_core.store.connections import connect
from railgun_core.store.sqlite import SqliteStore

TAG = Tag(b"t" * 32)


def envelope(position: int, *, size: int = 4_129) -> MailAdd:
    return MailAdd(TAG, 5, position, position.to_bytes(16, "big"), 100, (b"envelope %d " % position).ljust(size))


async def filled(path: Path) -> SqliteStore:
    store = await SqliteStore.open(path)
    await store.commit([envelope(n) for n in range(1, 6)])
    return store


async def test_a_start_reads_no_page_with_an_envelope_on_it(tmp_path: Path) -> None:
    await (await filled(tmp_path / "railgun.db")).close()
    link = connect(tmp_path / "railgun.db")
    names = statements._NAMES.order_by("tag", "position")
    asked = str(names.compile(dialect=dialect.dialect()))
    (plan,) = [row[3] for row in link.execute(f"EXPLAIN QUERY PLAN {asked}")]
    link.close()
    assert plan == "SCAN mail USING COVERING INDEX mail_in_order"


async def test_a_page_is_found_by_its_position_and_expiry_by_its_time(tmp_path: Path) -> None:
    await (await filled(tmp_path / "railgun.db")).close()
    link = connect(tmp_path / "railgun.db")
    for asked, index in (
        ("SELECT frame FROM mail WHERE tag = x'00' AND position >= 3 ORDER BY position LIMIT 2", "mail_in_order"),
        ("SELECT id FROM mail WHERE expiry_s <= 9 ORDER BY expiry_s, id LIMIT 5", "COVERING INDEX mail_by_expiry"),
        ("DELETE FROM mail WHERE tag = x'00' AND position BETWEEN 1 AND 2", "mail_in_order"),
    ):
        plan = [row[3] for row in link.execute(f"EXPLAIN QUERY PLAN {asked}")]
        assert len(plan) == 1
        assert index in plan[0]
    link.close()


async def test_a_frame_that_is_not_what_was_written_is_never_handed_out(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    store = await filled(path)
    link = connect(path)
    link.execute("UPDATE mail SET frame = replace(frame, 'envelope 3', 'envelope 8') WHERE position = 3")
    link.close()
    assert len(await store.mail(TAG, 1, 2)) == 2
    with pytest.raises(EnvironmentFailure) as caught:
        await store.mail(TAG, 1, 3)
    assert caught.value.code == "database-damaged"
    await store.close()


@pytest.mark.parametrize(("written", "flipped"), [(b"envelope 4 ", b"envelope 5 "), (b"the notice", b"the police")])
async def test_damage_in_mail_is_found_at_the_next_start(tmp_path: Path, written: bytes, flipped: bytes) -> None:
    path = tmp_path / "railgun.db"
    store = await filled(path)
    await store.commit([MailEvict(TAG, 5, 1, 2, b"the notice")])
    await store.close()
    path.write_bytes(path.read_bytes().replace(written, flipped))
    store = await SqliteStore.open(path)
    assert store.repaired is not None
    assert (await store.load()).mail == ()
    await store.close()


async def test_mail_that_is_gone_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    store = await filled(path)
    await store.commit([MailEvict(TAG, 5, 1, 2, b"notice"), MailDrop(100, 0)])
    await store.prune(items_before_s=0.0, traffic_before_hour=0, committees_before_s=0.0)
    await store.close()
    assert b"envelope 3" not in path.read_bytes()


async def test_a_full_disk_takes_mail_whole_or_not_at_all_and_eviction_makes_room(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "railgun.db")
    await store.commit([envelope(1)])
    link = connect(tmp_path / "railgun.db")
    pages = link.execute("PRAGMA page_count").fetchone()[0]
    link.close()

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")

    await store._write(limit, rows=1, own_items=False)
    with pytest.raises(EnvironmentFailure) as caught:
        await store.commit([SettingPut("a", "b"), *(envelope(n) for n in range(2, 30))])
    assert caught.value.code == "disk-full"
    (stored,) = (await store.load()).mail
    assert [entry[0] for entry in stored.kept] == [1]
    assert await store.settings() == {}
    await store.commit([MailEvict(TAG, 5, 1, 1, b"notice")])
    await store.commit([envelope(2)])
    assert [position for position, _ in await store.mail(TAG, 0, 9)] == [2]
    await store.close()


def test_a_large_envelope_counts_as_several_rows_of_a_transaction() -> None:
    assert rows_of([envelope(1, size=289), envelope(2, size=65_569)]) == 1 + 9


def test_what_removes_many_rows_counts_as_many() -> None:
    assert rows_of([MailDrop(1, 1), MailEvict(TAG, 5, 11, 40, b""), SettingPut("a", "b")]) == 500 + 30 + 1
