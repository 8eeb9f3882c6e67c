"""What members say to each other inside an envelope: items and syncs.

Item: one sequenced piece of a sender's stream; a long message is several items in a row.
Sync: what a member has of everybody, and where its own stream stands. One kind serves as greeting, welcome,
receipt, request and farewell, because each of these is just news about those counts.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import MemberId
from railgun_core.changes import Item, Membership
from railgun_core.wire.codec import Reader, u16
from railgun_core.wire.envelope import SizeClass

_ITEM_HEADER_BYTES = 1 + 8 + 8 + 8 + 2 + 2
_SYNC_HEADER_BYTES = 1 + 8 + 1 + 8 + 8 + 2
_ENTRY_BYTES = 8 + 1 + 8
MAX_PARTS = 256
MAX_MEMBERS = (SizeClass.LARGE.capacity - _SYNC_HEADER_BYTES) // _ENTRY_BYTES


class Kind(enum.IntEnum):
    """The first byte of content."""

    ITEM = 1
    SYNC = 2


class Mood(enum.IntEnum):
    """What a sync means beside its counts."""

    HERE = 0
    JOINING = 1  # please tell me where everybody stands
    LEAVING = 2
    ASKING = 3  # here, and please confirm what you have


@dataclass(frozen=True, slots=True)
class SentItem:
    """An item and its sender."""

    sender: MemberId
    item: Item = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the author has of one member: everything up to `have`."""

    member: MemberId
    membership: Membership
    have: int


@dataclass(frozen=True, slots=True)
class Sync:
    """The author's own stream runs from `first` (the oldest it can still send) to `last`."""

    author: MemberId
    mood: Mood
    first: int
    last: int
    entries: tuple[Entry, ...]


def encode_item(sender: MemberId, item: Item) -> bytes:
    """An item as envelope content."""
    sent_ms = round(item.at_s * 1000)
    head = bytes((Kind.ITEM,)) + sender + u64(item.seq) + u64(sent_ms)
    return head + u16(item.part) + u16(item.parts) + item.body


def encode_sync(sync: Sync) -> bytes:
    """A sync as envelope content."""
    head = bytes((Kind.SYNC,)) + sync.author + bytes((sync.mood,)) + u64(sync.first) + u64(sync.last)
    rows = [entry.member + bytes((entry.membership,)) + u64(entry.have) for entry in sync.entries]
    return head + u16(len(rows)) + b"".join(rows)


def decode_content(content: bytes) -> SentItem | Sync:
    """An item or a sync. MalformedFrame otherwise."""
    reader = Reader(content)
    kind = reader.u8()
    if kind == Kind.ITEM:
        return _decode_item(reader)
    if kind == Kind.SYNC:
        return _decode_sync(reader)
    raise MalformedFrame("content")


def _decode_item(reader: Reader) -> SentItem:
    sender, seq, sent_ms = MemberId(reader.take(8)), reader.u64(), reader.u64()
    part, parts = reader.u16(), reader.u16()
    if seq == 0 or seq >= 1 << 62 or sent_ms >= 1 << 52 or not part < parts <= MAX_PARTS:
        raise MalformedFrame("item")
    return SentItem(sender, Item(seq, part, parts, reader.rest(), sent_ms / 1000))


def _decode_sync(reader: Reader) -> Sync:
    author = MemberId(reader.take(8))
    try:
        mood = Mood(reader.u8())
        first, last, count = reader.u64(), reader.u64(), reader.u16()
        entries = tuple(Entry(MemberId(reader.take(8)), Membership(reader.u8()), reader.u64()) for _ in range(count))
    except ValueError:
        raise MalformedFrame("sync") from None
    reader.end()
    if max(first, last, *(entry.have for entry in entries)) >= 1 << 62:
        raise MalformedFrame("sync")
    return Sync(author, mood, first, last, entries)


def size_for(content: bytes) -> SizeClass:
    """The size class of content: receipts may be small, words never are, so that length tells nothing of them."""
    if content[0] == Kind.SYNC and len(content) <= SizeClass.SMALL.capacity:
        return SizeClass.SMALL
    return SizeClass.MEDIUM if len(content) <= SizeClass.MEDIUM.capacity else SizeClass.LARGE


def split_message(body: bytes, first_seq: int, at_s: float) -> tuple[Item, ...]:
    """A message as items: one medium envelope when it fits, large ones otherwise. At most 16 MB."""
    if len(body) <= SizeClass.MEDIUM.capacity - _ITEM_HEADER_BYTES:
        return (Item(first_seq, 0, 1, body, at_s),)
    step = SizeClass.LARGE.capacity - _ITEM_HEADER_BYTES
    pieces: Sequence[bytes] = [body[at : at + step] for at in range(0, len(body), step)]
    return tuple(Item(first_seq + n, n, len(pieces), piece, at_s) for n, piece in enumerate(pieces))
