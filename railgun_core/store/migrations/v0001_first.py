"""The first tables: rooms, conversation, outbox, committees, duties, replay, traffic, peers, settings, marks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


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
    """Create everything."""
    _rooms()
    _conversation()
    _relay()
    op.create_table(
        "peers", _blob("peer_id"), _real("seen_s"), _int("crc"), _blob("raw"), sa.PrimaryKeyConstraint("peer_id")
    )
    op.create_index("peers_by_seen", "peers", ["seen_s"])
    op.create_table("marks", _text("name"), _int("value"), _int("crc"), sa.PrimaryKeyConstraint("name"))
    op.create_table("settings", _text("name"), _text("value"), _int("crc"), sa.PrimaryKeyConstraint("name"))


def _rooms() -> None:
    op.create_table(
        "rooms",
        _blob("room"),
        _text("name"),
        _blob("root"),
        _blob("member_seed"),
        _real("created_s"),
        _int("membership"),
        _int("crc"),
        sa.PrimaryKeyConstraint("room"),
    )
    op.create_table("streams", _blob("room"), _int("last_seq"), _int("crc"), sa.PrimaryKeyConstraint("room"))
    op.create_table(
        "members",
        _blob("room"),
        _blob("member"),
        _text("name"),
        _int("have"),
        _int("baseline"),
        _int("membership"),
        _real("heard_s"),
        _int("crc"),
        sa.PrimaryKeyConstraint("room", "member"),
    )


def _conversation() -> None:
    op.create_table(
        "items",
        _serial("position"),
        _blob("room"),
        _blob("sender"),
        _int("seq"),
        _int("part"),
        _int("parts"),
        _int("own"),
        _real("at_s"),
        _int("crc"),
        _blob("body"),
        sa.UniqueConstraint("room", "sender", "seq", name="items_once"),
        sqlite_autoincrement=True,
    )
    op.create_index("items_in_order", "items", ["room"])
    op.create_index("items_own", "items", ["room", "seq"], sqlite_where=sa.text("own = 1"))
    op.create_table(
        "outbox",
        _blob("room"),
        _int("seq"),
        _int("delivery"),
        _int("epoch"),
        _int("crc"),
        sa.PrimaryKeyConstraint("room", "seq"),
        sqlite_with_rowid=False,
    )


def _relay() -> None:
    op.create_table(
        "committees",
        _serial("id"),
        _blob("room"),
        _blob("tag"),
        _int("epoch"),
        _int("epoch_s"),
        _real("computed_s"),
        _int("size"),
        _int("crc"),
        _blob("records"),
        sa.UniqueConstraint("tag", "epoch", "room", name="committees_once"),
    )
    op.create_index("committees_by_room", "committees", ["room", "epoch"])
    op.create_table(
        "duties",
        _blob("tag"),
        _int("epoch"),
        _int("seat"),
        _int("committee_size"),
        _text("state"),
        _real("since_s"),
        _real("until_s"),
        _int("members"),
        _int("envelopes"),
        _int("relayed_bytes"),
        _int("crc"),
        sa.PrimaryKeyConstraint("tag"),
    )
    _counters()


def _counters() -> None:
    op.create_table(
        "traffic",
        _int("hour"),
        _int("up_bytes"),
        _int("down_bytes"),
        _int("envelopes"),
        _int("relayed_bytes"),
        _int("crc"),
        sa.PrimaryKeyConstraint("hour"),
    )
    op.create_table("replay", _serial("id"), _blob("tag"), _int("epoch"), _int("crc"), _blob("ids"))
    op.create_index("replay_by_epoch", "replay", ["epoch"])
