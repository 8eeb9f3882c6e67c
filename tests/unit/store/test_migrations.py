"""Databases of older versions, with something in every table, become one of today."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path

import msgspec
import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import MemberId, MsgId, RoomId, Tag, handle_of
from railgun_core.changes import (
    CommitteePut,
    Delivery,
    DutyPut,
    ExposurePut,
    Item,
    ItemsAdd,
    MailAdd,
    MemberPut,
    Membership,
    MixTagsAdd,
    OutboxRange,
    PeerPut,
    ReplayAdd,
    RoomPut,
    SecretPut,
    StoredMail,
    TrafficAdd,
)
from railgun_core.store import migrations
from railgun_core.store.checks import probe
from railgun_core.store.connections import connect, writer_engine
from railgun_core.store.migrations import v0001_first, v0002_private, v0003_mail
from railgun_core.store.schema import APPLICATION_ID, SUMMED_BEFORE, Value, row_crc
from railgun_core.store.sqlite import SqliteStore
from railgun_core.store.vault import KEY_MARK, Vault, vault_beside
from railgun_core.wire.frames import envelope_frame

ROOM, ME, ANN = RoomId(b"room-one" * 2), MemberId(b"me------"), MemberId(b"ann-----")
TAG = Tag(b"t" * 32)
ROOT, SEED = b"the root of it all, 32 bytes....", b"the seed of a member, 32 bytes.."
POSITIONS_GIVEN = 40  # more than there are items: the newest are pruned

ROWS: dict[str, list[tuple[Value, ...]]] = {
    "rooms": [(ROOM, "friends", ROOT, SEED, 1.5, 1)],
    "streams": [(ROOM, 7)],
    "members": [(ROOM, ANN, "Ann", 3, 1, 1, 5.5)],
    "items": [
        (ROOM, ME, 6, 0, 1, 1, 10.0, b"x" * 20_000),
        (ROOM, ANN, 3, 0, 1, 0, 11.0, b"hello"),
        (ROOM, ME, 7, 0, 1, 1, 12.0, b""),
    ],
    "outbox": [(ROOM, 7, 1, 9)],
    "committees": [(ROOM, TAG, 9, 300, 2.0, 3, msgspec.msgpack.encode((b"a", b"b")))],
    "duties": [(TAG, 9, 1, 5, "serving", 1.0, 2.0, 3, 4, 5)],
    "traffic": [(4, 1, 2, 3, 4)],
    "replay": [(TAG, 9, b"i" * 32)],
    "peers": [(b"p" * 32, 3.0, b"raw")],
    "settings": [("colour", "red")],
}


def old_database(path: Path) -> None:
    """As the first version left it: no key, no count of starts."""
    path.touch()
    engine = writer_engine(path)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        migrations.upgrade(connection, Vault(bytes(32)), steps=(v0001_first,))
    engine.dispose()
    link = connect(path)
    link.execute("DELETE FROM marks WHERE name = ?", (KEY_MARK,))
    for table, rows in ROWS.items():
        names = SUMMED_BEFORE["0001"][table]
        wanted = f"INSERT INTO {table} ({', '.join(names)}, crc) VALUES ({', '.join('?' * len(names))}, ?)"
        link.executemany(wanted, [(*row, row_crc(*row)) for row in rows])
    link.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'items'", (POSITIONS_GIVEN,))
    link.close()


# What the second version added, on top of ROWS.
ROWS_0002: dict[str, list[tuple[Value, ...]]] = ROWS | {
    "rooms": [],  # sealed: put below
    "members": [(ROOM, ANN, "Ann", 3, 1, 1, 5.5, 1, b"k" * 32)],
    "items": [(ROOM, ME, 6, 0, 1, 1, 0, 10.0, b"mine"), (ROOM, ANN, 3, 0, 1, 0, 1, 11.0, b"hello")],
    "mix_tags": [(7, b"m" * 32)],
    "exposure": [(5, "mailbox", "links", 3)],
}


def second_database(path: Path) -> None:
    """As the second version left it, with its key beside it."""
    path.touch()
    vault = vault_beside(path, may_create=True)
    engine = writer_engine(path)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        migrations.upgrade(connection, vault, steps=(v0001_first, v0002_private))
    engine.dispose()
    sealed = [
        vault.seal(secret, table="rooms", room=ROOM, name=name)
        for secret, name in ((ROOT, "root"), (SEED, "member_seed"))
    ]
    key = vault.seal(b"ratchet", table="secrets", room=b"", name="account")
    rows = ROWS_0002 | {"rooms": [(ROOM, "friends", *sealed, 1.5, 1, 1)], "secrets": [(b"", "account", key)]}
    link = connect(path)
    for table, values in rows.items():
        names = SUMMED_BEFORE["0002"][table]
        wanted = f"INSERT INTO {table} ({', '.join(names)}, crc) VALUES ({', '.join('?' * len(names))}, ?)"
        link.executemany(wanted, [(*row, row_crc(*row)) for row in values])
    link.close()


async def test_a_database_of_the_second_version_keeps_all_it_holds_and_can_keep_mail(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    second_database(path)
    store = await SqliteStore.open(path)
    assert store.repaired is None
    state = await store.load()
    (stored,) = state.rooms
    assert stored.room == RoomPut(ROOM, "friends", ROOT, SEED, 1.5, Membership.ACTIVE, True)
    assert stored.members == (MemberPut(ROOM, ANN, "Ann", 3, 1, Membership.ACTIVE, 5.5, True, b"k" * 32),)
    assert state.secrets == (SecretPut(RoomId(b""), "account", b"ratchet"),)
    assert state.mix_tags == (MixTagsAdd(7, b"m" * 32),)
    assert await store.exposure(day=5) == (ExposurePut(5, "mailbox", "links", 3),)
    assert [m.body for m in await store.messages(ROOM, after=0, limit=9)] == [b"mine", b"hello"]
    assert (state.mail, state.restored_backup) == ((), False)
    add = MailAdd(TAG, 5, 1, b"i" * 16, 99, b"frame")
    await store.commit([add])
    await store.close()
    assert (probe(path).revision, probe(tmp_path / "railgun.db.before-0004").revision) == ("0004", "0002")
    store = await SqliteStore.open(path)
    assert store.repaired is None
    assert (await store.load()).mail == (StoredMail(TAG, 5, 2, ((1, add.digest, 5, 99),)),)
    await store.close()


# What the third version added: mail, kept by its name alone.
FRAMES = [
    envelope_frame(handle_of(TAG), expiry_s=99, msg_id=MsgId(bytes((n,)) * 16), envelope=bytes((n,)) * size)
    for n, size in enumerate((256, 4_096, 65_536), 1)
]
ROWS_0003: dict[str, list[tuple[Value, ...]]] = {
    "mail": [(TAG, n + 4, 5, frame[17:33], 99, len(frame), frame) for n, frame in enumerate(FRAMES)],
    "mail_tags": [(TAG, 5, 9)],
    "mail_notices": [(TAG, 1, 5, 3, b"notice")],
}


def third_database(path: Path) -> None:
    """As the third version left it, with its key beside it."""
    path.touch()
    vault = vault_beside(path, may_create=True)
    engine = writer_engine(path)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
        migrations.upgrade(connection, vault, steps=(v0001_first, v0002_private, v0003_mail))
    engine.dispose()
    link = connect(path)
    for table, values in ROWS_0003.items():
        names = SUMMED_BEFORE["0003"][table]
        wanted = f"INSERT INTO {table} ({', '.join(names)}, crc) VALUES ({', '.join('?' * len(names))}, ?)"
        link.executemany(wanted, [(*row, row_crc(*row)) for row in values])
    link.close()


async def test_mail_of_the_third_version_stays_in_its_place_and_is_known_by_name_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    third_database(path)
    digests = [hashlib.blake2b(frame[17:], digest_size=16).digest() for frame in FRAMES]
    kept = tuple((n + 4, digests[n], len(frame), 99) for n, frame in enumerate(FRAMES))
    for _ in range(2):
        store = await SqliteStore.open(path)
        assert store.repaired is None
        assert (await store.load()).mail == (StoredMail(TAG, 5, 10, kept, (b"notice",)),)
        assert await store.mail(TAG, 1, 9) == tuple((n + 4, frame) for n, frame in enumerate(FRAMES))
        await store.close()
    assert (probe(path).revision, probe(tmp_path / "railgun.db.before-0004").revision) == ("0004", "0003")
    store = await SqliteStore.open(path)
    variant = FRAMES[0][:33] + bytes(256)
    await store.commit([MailAdd(TAG, 5, 10, hashlib.blake2b(variant[17:], digest_size=16).digest(), 99, variant)])
    assert [position for position, _ in await store.mail(TAG, 1, 9)] == [4, 5, 6, 10]
    await store.close()


async def test_damage_in_mail_of_the_third_version_is_found_before_it_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    third_database(path)
    path.write_bytes(path.read_bytes().replace(b"\x01" * 200, b"\x01" * 199 + b"!"))
    store = await SqliteStore.open(path)
    assert store.repaired is not None
    assert probe(tmp_path / "railgun.db.damaged-1").revision == "0003"
    await store.close()


@pytest.mark.parametrize("flip", [b"hello", b"mailbox"])
async def test_damage_in_a_database_of_the_second_version_is_found_before_it_is_upgraded(
    tmp_path: Path, flip: bytes
) -> None:
    path = tmp_path / "railgun.db"
    second_database(path)
    path.write_bytes(path.read_bytes().replace(flip, flip[:-1] + b"!"))
    store = await SqliteStore.open(path)
    assert store.repaired is not None
    assert probe(tmp_path / "railgun.db.damaged-1").revision == "0002"
    await store.close()


async def test_a_database_of_the_first_version_keeps_all_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    old_database(path)
    store = await SqliteStore.open(path)
    assert store.repaired is None
    state = await store.load()
    (stored,) = state.rooms
    assert stored.room == RoomPut(ROOM, "friends", ROOT, SEED, 1.5, Membership.ACTIVE)
    assert stored.members == (MemberPut(ROOM, ANN, "Ann", 3, 1, Membership.ACTIVE, 5.5),)
    assert (stored.next_seq, stored.first_kept) == (8, 6)
    assert stored.outbox == (OutboxRange(7, 7, Delivery.ACCEPTED, 9),)
    assert (stored.secrets, state.secrets, state.mix_tags, state.restored_backup) == ((), (), (), False)
    assert state.replay == (ReplayAdd(TAG, 9, b"i" * 32),)
    assert await store.own_items(ROOM, 1, 9) == (Item(6, 0, 1, b"x" * 20_000, 10.0), Item(7, 0, 1, b"", 12.0))
    assert [m.body[:5] for m in await store.messages(ROOM, after=0, limit=9)] == [b"xxxxx", b"hello", b""]
    assert await store.committees() == (CommitteePut(ROOM, TAG, 9, 300, 2.0, 3, (b"a", b"b")),)
    assert await store.duties(limit=9) == (DutyPut(TAG, 9, 1, 5, "serving", 1.0, 2.0, 3, 4, 5),)
    assert await store.traffic(since_hour=0) == (TrafficAdd(4, 1, 2, 3, 4),)
    assert await store.peers(limit=9) == (PeerPut(b"p" * 32, b"raw", 3.0),)
    assert await store.settings() == {"colour": "red"}
    await store.close()


async def test_positions_go_on_where_the_first_version_stopped(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    old_database(path)
    store = await SqliteStore.open(path)
    await store.commit([ItemsAdd(ROOM, ANN, (Item(4, 0, 1, b"new"),), False)])
    (newest,) = await store.latest_messages(ROOM, limit=1)
    assert newest.position == POSITIONS_GIVEN + 1
    await store.close()


async def test_an_upgraded_database_is_sound_at_the_next_start_and_holds_no_open_key(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    old_database(path)
    assert ROOT in path.read_bytes()
    for _ in range(2):
        store = await SqliteStore.open(path)
        assert store.repaired is None
        assert not (await store.load()).restored_backup
        await store.close()
    assert probe(path).revision == "0004"
    assert ROOT not in path.read_bytes()
    assert SEED not in path.read_bytes()
    copy = tmp_path / "railgun.db.before-0004"
    assert probe(copy).revision == "0001"
    assert ROOT in copy.read_bytes()


async def test_a_database_of_the_first_version_put_back_later_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    old_database(path)
    await (await SqliteStore.open(path)).close()
    path.unlink()
    (tmp_path / "railgun.db.before-0004").rename(path)
    store = await SqliteStore.open(path)
    assert (await store.load()).restored_backup
    await store.close()


async def test_damage_in_an_old_database_is_found_before_it_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    old_database(path)
    path.write_bytes(path.read_bytes().replace(b"hello", b"hellp"))
    store = await SqliteStore.open(path)
    assert store.repaired is not None
    assert probe(tmp_path / "railgun.db.damaged-1").revision == "0001"
    await store.close()


async def test_an_upgrade_with_an_unusable_key_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "railgun.db"
    old_database(path)
    before = path.read_bytes()
    (tmp_path / "store.key").write_bytes(b"short")
    with pytest.raises(EnvironmentFailure) as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "key-unusable"
    assert path.read_bytes() == before


def test_the_database_of_this_test_is_what_the_first_version_made(tmp_path: Path) -> None:
    old_database(tmp_path / "railgun.db")
    link = sqlite3.connect(tmp_path / "railgun.db")
    tables = {name for (name,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    link.close()
    assert set(ROWS) <= tables
    assert not tables & {"secrets", "mix_tags", "exposure", "mail", "mail_tags", "mail_notices"}
