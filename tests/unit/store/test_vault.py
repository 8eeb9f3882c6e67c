"""Secrets at rest: what a database gives away without its key, and what is said about a key that is not there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from railgun_core.base.errors import EnvironmentFailure
from railgun_core.base.ids import RoomId
from railgun_core.changes import Membership, RoomPut, SecretPut
from railgun_core.store.schema import SECRETS, summed
from railgun_core.store.sqlite import SqliteStore
from railgun_core.store.vault import Vault

ROOM = RoomId(b"room-one" * 2)
ROOT, SEED, SECRET = b"the root of it all, 32 bytes....", b"the seed of a member, 32 bytes..", b"the state of a ratchet"


async def filled(folder: Path) -> None:
    store = await SqliteStore.open(folder / "railgun.db")
    await store.commit(
        [RoomPut(ROOM, "friends", ROOT, SEED, 1.0, Membership.ACTIVE), SecretPut(ROOM, "session", SECRET)]
    )
    await store.close()


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "store.key"}


async def refused(folder: Path) -> str:
    """What is said when the store is opened; nothing in the folder may change."""
    before = content(folder)
    with pytest.raises(EnvironmentFailure, match=r"^[A-Z].+\.$") as caught:
        await SqliteStore.open(folder / "railgun.db")
    assert caught.value.code == "key-unusable"
    assert content(folder) == before
    return str(caught.value)


async def test_no_secret_stands_in_any_file_but_sealed(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "railgun.db")
    await store.commit(
        [RoomPut(ROOM, "friends", ROOT, SEED, 1.0, Membership.ACTIVE), SecretPut(ROOM, "session", SECRET)]
    )
    files = content(tmp_path)
    assert "railgun.db-wal" in files
    for secret in (ROOT, SEED, SECRET):
        assert not any(secret in data for data in files.values())
    (stored,) = (await store.load()).rooms
    assert (stored.room.root, stored.room.member_seed, stored.secrets[0].value) == (ROOT, SEED, SECRET)
    await store.close()


async def test_a_replaced_secret_is_in_no_file_once_the_log_is_emptied(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "railgun.db")
    await store.commit([SecretPut(ROOM, "session", SECRET)])
    link = sqlite3.connect(tmp_path / "railgun.db")
    (sealed,) = link.execute("SELECT value FROM secrets").fetchone()
    link.close()
    await store.commit([SecretPut(ROOM, "session", SECRET[::-1])])
    assert any(sealed in data for data in content(tmp_path).values())
    await store.prune(items_before_s=0.0, traffic_before_hour=0, committees_before_s=0.0)
    assert not any(sealed in data for data in content(tmp_path).values())
    await store.close()


async def test_without_its_key_file_a_database_is_left_alone_and_this_said(tmp_path: Path) -> None:
    await filled(tmp_path)
    key = (tmp_path / "store.key").read_bytes()
    (tmp_path / "store.key").unlink()
    assert "store.key" in await refused(tmp_path)
    assert not (tmp_path / "store.key").exists()
    (tmp_path / "store.key").write_bytes(key)
    (tmp_path / "store.key").chmod(0o600)
    store = await SqliteStore.open(tmp_path / "railgun.db")
    assert len((await store.load()).rooms) == 1
    await store.close()


async def test_with_the_key_of_another_database_it_is_left_alone_and_this_said(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "store.key").write_bytes(b"k" * 32)
    assert "not the one" in await refused(tmp_path)


async def test_a_key_file_that_holds_no_key_is_said(tmp_path: Path) -> None:
    await filled(tmp_path)
    (tmp_path / "store.key").write_bytes(b"short")
    assert "does not hold a key" in await refused(tmp_path)


async def test_a_new_database_beside_an_old_key_uses_it(tmp_path: Path) -> None:
    await filled(tmp_path)
    key = (tmp_path / "store.key").read_bytes()
    (tmp_path / "railgun.db").unlink()
    await filled(tmp_path)
    assert (tmp_path / "store.key").read_bytes() == key


@pytest.mark.parametrize("place", [("other", ROOM, "root"), ("rooms", b"", "root"), ("rooms", ROOM, "seed")])
def test_a_value_opens_in_its_own_place_only(place: tuple[str, bytes, str]) -> None:
    vault = Vault(b"k" * 32)
    sealed = vault.seal(SECRET, table="rooms", room=ROOM, name="root")
    assert vault.open(sealed, table="rooms", room=ROOM, name="root") == SECRET
    table, room, name = place
    with pytest.raises(EnvironmentFailure) as caught:
        vault.open(sealed, table=table, room=room, name=name)
    assert caught.value.code == "database-damaged"


@pytest.mark.parametrize("sealed", [b"", b"x" * 27, b"x" * 60])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(EnvironmentFailure):
        Vault(b"k" * 32).open(sealed, table="rooms", room=ROOM, name="root")


def test_the_same_value_is_never_sealed_the_same_way_twice() -> None:
    vault = Vault(b"k" * 32)
    assert len({vault.seal(SECRET, table="t", room=ROOM, name="n") for _ in range(100)}) == 100


async def test_a_value_moved_to_another_row_is_damage(tmp_path: Path) -> None:
    await filled(tmp_path)
    link = sqlite3.connect(tmp_path / "railgun.db")
    (sealed,) = link.execute("SELECT value FROM secrets").fetchone()
    row = summed(SECRETS, room=ROOM, name="other", value=sealed)  # the checksum is right: only the seal tells
    link.execute("INSERT INTO secrets (room, name, value, crc) VALUES (:room, :name, :value, :crc)", row)
    link.commit()
    link.close()
    store = await SqliteStore.open(tmp_path / "railgun.db")
    with pytest.raises(EnvironmentFailure) as caught:
        await store.load()
    assert caught.value.code == "database-damaged"
    await store.close()
