"""Mail is kept once by name and bytes, no more by name alone: a name may stand for several envelopes.

The table is made anew and filled from the old one, in its order; every row has its checksum over the new columns. It
needs as much room again as the mail takes, for as long as the upgrade lasts.
"""

from __future__ import annotations

import hashlib
import sqlite3

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NAME_AT = 17  # in an envelope frame: length 4, type 1, handle 8, expiry 4; then msg_id 16 and the envelope


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, autoincrement=False)


def upgrade() -> None:
    """Make the table of mail anew."""
    connection = op.get_bind()
    op.drop_index("mail_in_order", "mail")
    op.drop_index("mail_by_expiry", "mail")
    op.rename_table("mail", "mail_0003")
    op.create_table(
        "mail",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _blob("tag"),
        _int("position"),
        _int("day"),
        _blob("digest"),
        _int("expiry_s"),
        _int("size"),
        _int("crc"),
        _blob("frame"),
        sa.UniqueConstraint("tag", "digest", name="mail_once"),
    )
    link = connection.connection.driver_connection
    assert isinstance(link, sqlite3.Connection)
    link.create_function("mail_digest", 1, _digest, deterministic=True)
    columns = "tag, position, day, mail_digest(frame), expiry_s, size"
    connection.exec_driver_sql(
        f"INSERT INTO mail SELECT id, {columns}, row_crc({columns}, frame), frame FROM mail_0003 ORDER BY id"
    )
    op.drop_table("mail_0003")
    op.create_index("mail_in_order", "mail", ["tag", "position", "day", "digest", "expiry_s", "size"])
    op.create_index("mail_by_expiry", "mail", ["expiry_s"])


def _digest(frame: bytes) -> bytes:
    return hashlib.blake2b(frame[_NAME_AT:], digest_size=16).digest()
