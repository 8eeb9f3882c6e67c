"""End-to-end rooms and the mixnet: secrets, mix tags, the exposure ledger; room keys are sealed from here on.

Tables that gain columns are made anew and filled from the old ones, so that their definitions are, word for word, what
a new database gets, and every row has its checksum over the new columns. The old tables are dropped under
`secure_delete`: no unsealed root is left in the file. It is left in the copy made before the upgrade.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from railgun_core.store.schema import row_crc
from railgun_core.store.vault import Vault

revision = "0002"
down_revision = "0001"

_ITEM = "position, room, sender, seq, part, parts, own"


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, autoincrement=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)


def _real(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=True)


def upgrade() -> None:
    """Make rooms, members and items anew, and create the rest."""
    connection = op.get_bind()
    vault = op.get_context().opts["vault"]
    assert isinstance(vault, Vault), "the caller gives the vault"
    _rooms(connection, vault)
    _members(connection)
    _items(connection)
    op.create_table(
        "secrets", _blob("room"), _text("name"), _int("crc"), _blob("value"), sa.PrimaryKeyConstraint("room", "name")
    )
    op.create_table("mix_tags", _serial("id"), _int("period"), _int("crc"), _blob("tags"))
    op.create_index("mix_tags_by_period", "mix_tags", ["period"])
    op.create_table(
        "exposure",
        _int("day"),
        _text("role"),
        _text("what"),
        _int("count"),
        _int("crc"),
        sa.PrimaryKeyConstraint("day", "role", "what"),
    )


def _rooms(connection: sa.Connection, vault: Vault) -> None:
    op.rename_table("rooms", "rooms_0001")
    op.create_table(
        "rooms",
        _blob("room"),
        _text("name"),
        _blob("root"),
        _blob("member_seed"),
        _real("created_s"),
        _int("membership"),
        _int("secure"),
        _int("crc"),
        sa.PrimaryKeyConstraint("room"),
    )
    old = "SELECT room, name, root, member_seed, created_s, membership FROM rooms_0001"
    for room, name, root, seed, created_s, membership in connection.exec_driver_sql(old).all():
        sealed_root = vault.seal(root, table="rooms", room=room, name="root")
        sealed_seed = vault.seal(seed, table="rooms", room=room, name="member_seed")
        row = (room, name, sealed_root, sealed_seed, created_s, membership, 0)
        connection.exec_driver_sql("INSERT INTO rooms VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, row_crc(*row)))
    op.drop_table("rooms_0001")


def _members(connection: sa.Connection) -> None:
    op.rename_table("members", "members_0001")
    op.create_table(
        "members",
        _blob("room"),
        _blob("member"),
        _text("name"),
        _int("have"),
        _int("baseline"),
        _int("membership"),
        _real("heard_s"),
        _int("secure"),
        _blob("key"),
        _int("crc"),
        sa.PrimaryKeyConstraint("room", "member"),
    )
    old = "room, member, name, have, baseline, membership, heard_s"
    connection.exec_driver_sql(f"INSERT INTO members SELECT {old}, 0, x'', row_crc({old}, 0, x'') FROM members_0001")
    op.drop_table("members_0001")


def _items(connection: sa.Connection) -> None:
    # The highest position ever given: it must not be given again, also when its item is pruned by now.
    last = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'items'").scalar()
    op.drop_index("items_in_order", "items")
    op.drop_index("items_own", "items")
    op.rename_table("items", "items_0001")
    op.create_table(
        "items",
        _serial("position"),
        _blob("room"),
        _blob("sender"),
        _int("seq"),
        _int("part"),
        _int("parts"),
        _int("own"),
        _int("opaque"),
        _real("at_s"),
        _int("crc"),
        _blob("body"),
        sa.UniqueConstraint("room", "sender", "seq", name="items_once"),
        sqlite_autoincrement=True,
    )
    crc = "row_crc(room, sender, seq, part, parts, own, 0, at_s, body)"
    connection.exec_driver_sql(
        f"INSERT INTO items SELECT {_ITEM}, 0, at_s, {crc}, body FROM items_0001 ORDER BY position"
    )
    op.drop_table("items_0001")
    if last is not None:
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'items'")
        connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('items', ?)", (last,))
    op.create_index("items_in_order", "items", ["room"])
    op.create_index("items_own", "items", ["room", "seq"], sqlite_where=sa.text("own = 1"))
