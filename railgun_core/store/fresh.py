"""The tables of a new database, made at once instead of step by step.

A new database gets what `migrations/` would have built: the same definitions, the same marks. Only this way is taken
for one, because alembic costs 10 MB of memory and half a second, and a relay that will never have an old database
should not pay for it. A test holds the two ways together, definition by definition.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert

from railgun_core.store.checks import DEFINITIONS, SCHEMA_MARK, schema_crc
from railgun_core.store.schema import MARKS, METADATA, REVISION, summed
from railgun_core.store.starts import put_count
from railgun_core.store.vault import KEY_MARK, Vault

_VERSION: Final = Table(  # alembic's own table, as alembic makes it; not in METADATA, because its row has no checksum
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def create_tables(connection: Connection, vault: Vault, *, starts: int = 0) -> None:
    """Fill an empty database. Needs an open transaction. `starts`: what the mark file beside it says."""
    _VERSION.create(connection)
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(insert(_VERSION), [{"version_num": REVISION}])
    put_count(connection, starts)
    seal(connection, vault, revision=REVISION)


def seal(connection: Connection, vault: Vault, *, revision: str) -> None:
    """Say in the file where it is now, which key it needs, what its definitions are: the last thing done to them."""
    connection.exec_driver_sql(f"PRAGMA user_version={int(revision)}")
    definitions = schema_crc([tuple(row) for row in connection.exec_driver_sql(DEFINITIONS)])
    mark = insert(MARKS).prefix_with("OR REPLACE")
    connection.execute(mark, [summed(MARKS, name=SCHEMA_MARK, value=definitions)])
    connection.execute(mark, [summed(MARKS, name=KEY_MARK, value=vault.fingerprint)])
