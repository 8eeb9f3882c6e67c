"""The tables, and the checksum every row carries.

The truth about a database is what the steps in `migrations/` build; the tables here are what the statements are
written against, and a test holds the two together. Every row has `crc`, a CRC-32 over its other columns (without an
assigned key), because SQLite itself does not notice a bit that flips inside a value. Large columns come last, so that
a scan of the small ones does not walk overflow pages.
"""

from __future__ import annotations

import binascii
from typing import Final

from sqlalchemy import Column, Float, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

REVISION: Final = "0004"  # the newest step in migrations/
FORMAT: Final = int(REVISION)  # what PRAGMA user_version says: must agree with the revision
APPLICATION_ID: Final = 0x52475231  # "RGR1"

# Stands for "no room" in committees and "this device" in secrets: SQLite takes two NULLs for different in an index.
NO_ROOM: Final = b""

METADATA: Final = MetaData()


def _blob(name: str, *, key: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, primary_key=key, nullable=False)


def _int(name: str, *, key: bool = False) -> Column[int]:
    return Column(name, Integer, primary_key=key, nullable=False, autoincrement=False)


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False)


def _seconds(name: str) -> Column[float]:
    return Column(name, Float, nullable=False)


def _serial(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=True)


ROOMS: Final = Table(
    "rooms",
    METADATA,
    _blob("room", key=True),
    _text("name"),
    _blob("root"),  # sealed, see vault.py
    _blob("member_seed"),  # sealed
    _seconds("created_s"),
    _int("membership"),
    _int("secure"),
    _int("crc"),
)

STREAMS: Final = Table(  # the last own sequence of a room: must outlive the items, or sequences would be used twice
    "streams",
    METADATA,
    _blob("room", key=True),
    _int("last_seq"),
    _int("crc"),
)

MEMBERS: Final = Table(
    "members",
    METADATA,
    _blob("room", key=True),
    _blob("member", key=True),
    _text("name"),
    _int("have"),
    _int("baseline"),
    _int("membership"),
    _seconds("heard_s"),
    _int("secure"),
    _blob("key"),
    _int("crc"),
)

ITEMS: Final = Table(
    "items",
    METADATA,
    _serial("position"),
    _blob("room"),
    _blob("sender"),
    _int("seq"),
    _int("part"),
    _int("parts"),
    _int("own"),
    _int("opaque"),
    _seconds("at_s"),
    _int("crc"),
    _blob("body"),
    UniqueConstraint("room", "sender", "seq", name="items_once"),
    sqlite_autoincrement=True,  # a position is never given twice, also after a prune
)
Index("items_in_order", ITEMS.c.room)  # ends in the rowid, which is the position
Index("items_own", ITEMS.c.room, ITEMS.c.seq, sqlite_where=ITEMS.c.own == 1)

OUTBOX: Final = Table(
    "outbox",
    METADATA,
    _blob("room", key=True),
    _int("seq", key=True),
    _int("delivery"),
    _int("epoch"),
    _int("crc"),
    sqlite_with_rowid=False,
)

COMMITTEES: Final = Table(
    "committees",
    METADATA,
    _serial("id"),
    _blob("room"),
    _blob("tag"),
    _int("epoch"),
    _int("epoch_s"),
    _seconds("computed_s"),
    _int("size"),
    _int("crc"),
    _blob("records"),
    UniqueConstraint("tag", "epoch", "room", name="committees_once"),
)
Index("committees_by_room", COMMITTEES.c.room, COMMITTEES.c.epoch)

DUTIES: Final = Table(
    "duties",
    METADATA,
    _blob("tag", key=True),
    _int("epoch"),
    _int("seat"),
    _int("committee_size"),
    _text("state"),
    _seconds("since_s"),
    _seconds("until_s"),
    _int("members"),
    _int("envelopes"),
    _int("relayed_bytes"),
    _int("crc"),
)

TRAFFIC: Final = Table(
    "traffic",
    METADATA,
    _int("hour", key=True),
    _int("up_bytes"),
    _int("down_bytes"),
    _int("envelopes"),
    _int("relayed_bytes"),
    _int("crc"),
)

REPLAY: Final = Table(
    "replay",
    METADATA,
    _serial("id"),
    _blob("tag"),
    _int("epoch"),
    _int("crc"),
    _blob("ids"),
)
Index("replay_by_epoch", REPLAY.c.epoch)

PEERS: Final = Table(
    "peers",
    METADATA,
    _blob("peer_id", key=True),
    _seconds("seen_s"),
    _int("crc"),
    _blob("raw"),
)
Index("peers_by_seen", PEERS.c.seen_s)

SETTINGS: Final = Table(
    "settings",
    METADATA,
    _text("name", key=True),
    _text("value"),
    _int("crc"),
)

SECRETS: Final = Table(
    "secrets",
    METADATA,
    _blob("room", key=True),  # b"": of this device
    _text("name", key=True),
    _int("crc"),
    _blob("value"),  # sealed
)

MIX_TAGS: Final = Table(
    "mix_tags",
    METADATA,
    _serial("id"),
    _int("period"),
    _int("crc"),
    _blob("tags"),
)
Index("mix_tags_by_period", MIX_TAGS.c.period)

EXPOSURE: Final = Table(
    "exposure",
    METADATA,
    _int("day", key=True),
    _text("role", key=True),
    _text("what", key=True),
    _int("count"),
    _int("crc"),
)

MAIL: Final = Table(  # what this peer keeps for others as a mailbox
    "mail",
    METADATA,
    _serial("id"),
    _blob("tag"),
    _int("position"),
    _int("day"),
    _blob("digest"),
    _int("expiry_s"),
    _int("size"),
    _int("crc"),
    _blob("frame"),
    UniqueConstraint("tag", "digest", name="mail_once"),
)
# All small columns: what a start reads are the names, and with this index it reads no page with an envelope on it.
Index("mail_in_order", MAIL.c.tag, MAIL.c.position, MAIL.c.day, MAIL.c.digest, MAIL.c.expiry_s, MAIL.c.size)
Index("mail_by_expiry", MAIL.c.expiry_s)

MAIL_TAGS: Final = (
    Table(  # the last position given under a tag: must outlive the mail, or positions would be used twice
        "mail_tags",
        METADATA,
        _blob("tag", key=True),
        _int("day"),
        _int("last"),
        _int("crc"),
    )
)

MAIL_NOTICES: Final = Table(  # signed: mail first..last could not be kept
    "mail_notices",
    METADATA,
    _blob("tag", key=True),
    _int("first", key=True),
    _int("day"),
    _int("last"),
    _int("crc"),
    _blob("notice"),
)

MARKS: Final = Table(  # what the file says about itself: checksum of the definitions, which key, how many starts
    "marks",
    METADATA,
    _text("name", key=True),
    _int("value"),
    _int("crc"),
)

SUMMED: Final[dict[str, tuple[str, ...]]] = {
    table.name: tuple(c.name for c in table.columns if c.name != "crc" and c.autoincrement is not True)
    for table in METADATA.sorted_tables
}

_SINCE_0002: Final = {"rooms": ("secure",), "members": ("secure", "key"), "items": ("opaque",)}
_TABLES_SINCE_0003: Final = frozenset({"mail", "mail_tags", "mail_notices"})
_TABLES_SINCE_0002: Final = frozenset({"secrets", "mix_tags", "exposure"}) | _TABLES_SINCE_0003

SUMMED_BEFORE: Final[dict[str, dict[str, tuple[str, ...]]]] = {  # an old database is checked before it is upgraded
    "0001": {
        table: tuple(name for name in names if name not in _SINCE_0002.get(table, ()))
        for table, names in SUMMED.items()
        if table not in _TABLES_SINCE_0002
    },
    "0002": {table: names for table, names in SUMMED.items() if table not in _TABLES_SINCE_0003},
    "0003": SUMMED | {"mail": tuple("msg_id" if name == "digest" else name for name in SUMMED["mail"])},
}

Value = bytes | str | float | int


def row_crc(*values: Value) -> int:
    """The checksum of a row's values, in column order. Finds every flip of up to 32 bits in one value."""
    crc = 0
    for value in values:
        if isinstance(value, bytes):
            crc = binascii.crc32(value, binascii.crc32(b"b%d:" % len(value), crc))
        elif isinstance(value, str):
            crc = binascii.crc32(ascii(str(value)).encode(), crc)  # str: of an enum, what SQLite will give back
        elif isinstance(value, float):
            crc = binascii.crc32(repr(value + 0.0).encode(), crc)  # SQLite gives -0.0 back as 0.0
        else:
            crc = binascii.crc32(b"i%d" % value, crc)
    return crc


def summed(table: Table, **row: Value) -> dict[str, Value]:
    """A row for `table` with its checksum."""
    row["crc"] = row_crc(*(row[name] for name in SUMMED[table.name]))
    return row
