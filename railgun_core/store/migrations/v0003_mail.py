"""What a mailbox keeps: envelopes, the positions given under each tag, and the notices of what it could not keep.

Only new tables: nothing that was there is touched.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _blob(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, autoincrement=False)


def _serial(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=True)


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "mail",
        _serial("id"),
        _blob("tag"),
        _int("position"),
        _int("day"),
        _blob("msg_id"),
        _int("expiry_s"),
        _int("size"),
        _int("crc"),
        _blob("frame"),
        sa.UniqueConstraint("tag", "msg_id", name="mail_once"),
    )
    names = ["tag", "position", "day", "msg_id", "expiry_s", "size"]
    op.create_index("mail_in_order", "mail", names)
    op.create_index("mail_by_expiry", "mail", ["expiry_s"])
    op.create_table("mail_tags", _blob("tag"), _int("day"), _int("last"), _int("crc"), sa.PrimaryKeyConstraint("tag"))
    op.create_table(
        "mail_notices",
        _blob("tag"),
        _int("first"),
        _int("day"),
        _int("last"),
        _int("crc"),
        _blob("notice"),
        sa.PrimaryKeyConstraint("tag", "first"),
    )
