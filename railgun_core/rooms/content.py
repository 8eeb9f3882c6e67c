"""What members say to each other inside an envelope: items, syncs and letters. The room's key has closed the envelope.

Item: one sequenced piece of a sender's stream, encrypted by the sender's ratchet; a long message is several in a row.
Sync: what a member has of everybody, and where its own stream stands. One kind serves as greeting, welcome, receipt,
request and farewell, because each of these is just news about those counts. Signed by its author's member key.
Letters: something secret for single members, each part encrypted to one of them: sender keys, or a new room root.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import MemberId, MsgId, PublicKey, Tag
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.changes import Item, Membership
from railgun_core.ratchet.account import Bundle
from railgun_core.rooms.epoch_keys import member_id_of
from railgun_core.wire.codec import Reader, blob16, u16, u32
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.heads import Head

ITEM_HEADER_BYTES = 1 + 8 + 8 + 4 + 1
PLAIN_HEADER_BYTES = 2 + 2 + 8 + 1
GROUP_OVERHEAD_BYTES = 1 + 3 + 4 + 8 + 64 + 16  # version, index, length, MAC, signature, a block of padding
_SYNC_BYTES = 1 + 32 + 1 + 1 + 8 + 8 + 2 + SIGNATURE_BYTES
_ENTRY_BYTES = 8 + 1 + 8 + 4
MAX_PARTS = 256
_PIECE_BYTES = 1 + 16 + 2 + 2
MAX_HEADS = 20  # 168 bytes each: a medium envelope
MAX_PIECES = 32  # a large envelope's content is 17
MAX_BUNDLE_BYTES = 32 + 32 + 1 + 16 * 32
MAX_MEMBERS = (SizeClass.LARGE.capacity - _SYNC_BYTES - MAX_BUNDLE_BYTES) // _ENTRY_BYTES
_LETTERS_BYTES = 1 + 32 + 32 + 4 + 2 + SIGNATURE_BYTES


class Kind(enum.IntEnum):
    """The first byte of content."""

    ITEM = 1
    SYNC = 2
    KEYS = 3
    REROOT = 4
    PIECE = 5
    HEADS = 6


class Form(enum.IntEnum):
    """How an item is protected."""

    GROUP = 0  # by its sender's ratchet
    OPAQUE = 1  # by whoever handed it in; signed by its sender's member key


class Mood(enum.IntEnum):
    """What a sync means beside its counts."""

    HERE = 0
    JOINING = 1  # please tell me where everybody stands
    LEAVING = 2
    ASKING = 3  # here, and please confirm what you have, and give me the keys I lack


@dataclass(frozen=True, slots=True)
class SentItem:
    """An item as it travels. The generation also names it: the same item goes out again under another name."""

    sender: MemberId
    seq: int
    generation: int
    form: Form
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the author has of one member: everything up to `have`, and its keys up to `generation` (0: none)."""

    member: MemberId
    membership: Membership
    have: int
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Sync:
    """The author's own stream runs from `first` (the oldest it can still send) to `last`.

    `bundle`: what others need to open sessions with it. `secure`: it sends through mixes. `successor`: in a farewell,
    the key of the member that goes on in its place.
    """

    key: PublicKey
    mood: Mood
    first: int
    last: int
    entries: tuple[Entry, ...]
    secure: bool = False
    bundle: Bundle | None = None
    successor: bytes = b""
    signature: bytes = field(default=b"", repr=False)

    @property
    def author(self) -> MemberId:
        return member_id_of(self.key)


@dataclass(frozen=True, slots=True)
class Letter:
    """The part for one member: the type and bytes of a pairwise message."""

    member: MemberId
    type: int
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Letters:
    """Letters of one author. `identity`: its key in pairwise sessions. `number`: for KEYS, the generation."""

    kind: Kind
    key: PublicKey
    identity: bytes
    number: int
    entries: tuple[Letter, ...]
    signature: bytes = field(default=b"", repr=False)

    @property
    def author(self) -> MemberId:
        return member_id_of(self.key)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of content that is too large for its room's envelopes. `whole` names the content."""

    whole: MsgId
    index: int
    count: int
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Heads:
    """What relays signed of an epoch, passed on: whoever holds another head of the same count has a proof."""

    heads: tuple[Head, ...]


Content = SentItem | Sync | Letters | Piece | Heads

# ---------------------------------------------------------------- items


def encode_item(sent: SentItem) -> bytes:
    """An item as envelope content."""
    head = bytes((Kind.ITEM,)) + sent.sender + u64(sent.seq) + u32(sent.generation) + bytes((sent.form,))
    return head + sent.payload


def encode_plain(item: Item, *, top: bool) -> bytes:
    """What is encrypted of an item. `top`: every item that its sender encrypted before has a lower sequence."""
    return u16(item.part) + u16(item.parts) + u64(round(item.at_s * 1000)) + bytes((top,)) + item.body


def decode_plain(plain: bytes, seq: int, *, opaque: bool) -> tuple[Item, bool]:
    """The item, and whether it was its sender's top one. MalformedFrame otherwise."""
    reader = Reader(plain)
    part, parts, sent_ms, top = reader.u16(), reader.u16(), reader.u64(), reader.flag()
    if sent_ms >= 1 << 52 or not part < parts <= MAX_PARTS:
        raise MalformedFrame("item")
    return Item(seq, part, parts, reader.rest(), sent_ms / 1000, opaque=opaque), top


def opaque_item(sender: Identity, item: Item, generation: int, *, top: bool) -> SentItem:
    """An item whose body is ciphertext already: signed, so that nobody forges it."""
    member, plain = member_id_of(sender.public_key), encode_plain(item, top=top)
    signature = sender.sign("item", member + u64(item.seq) + plain)
    return SentItem(member, item.seq, generation, Form.OPAQUE, signature + plain)


def open_opaque(sent: SentItem, key: bytes) -> tuple[Item, bool]:
    """An item that is signed only. MalformedFrame when it is not its sender's."""
    signature, plain = sent.payload[:SIGNATURE_BYTES], sent.payload[SIGNATURE_BYTES:]
    if not verify(key, "item", sent.sender + u64(sent.seq) + plain, signature):
        raise MalformedFrame("item")
    return decode_plain(plain, sent.seq, opaque=True)


# ---------------------------------------------------------------- syncs and letters


def signed_sync(sync: Sync, author: Identity, tag: Tag) -> Sync:
    """The sync with its author's signature, for one lane."""
    return replace(sync, signature=author.sign("sync", tag + _sync_body(sync)))


def is_authentic(sync: Sync, tag: Tag) -> bool:
    """Whether its author signed it, for this lane. About 0.1 ms."""
    return verify(sync.key, "sync", tag + _sync_body(sync), sync.signature)


def encode_sync(sync: Sync) -> bytes:
    """A signed sync as envelope content."""
    return _sync_body(sync) + sync.signature


def _sync_body(sync: Sync) -> bytes:
    flags = sync.secure | (sync.bundle is not None) << 1 | bool(sync.successor) << 2
    head = bytes((Kind.SYNC,)) + sync.key + bytes((sync.mood, flags)) + u64(sync.first) + u64(sync.last)
    rows = [e.member + bytes((e.membership,)) + u64(e.have) + u32(e.generation) for e in sync.entries]
    bundle = b"" if sync.bundle is None else sync.bundle.encode()
    return head + u16(len(rows)) + b"".join(rows) + bundle + sync.successor


def signed_letters(letters: Letters, author: Identity) -> Letters:
    """The letters with their author's signature. They may go out in any epoch: only their readers open them, once."""
    return replace(letters, signature=author.sign("letters", _letters_body(letters)))


def are_authentic(letters: Letters) -> bool:
    """Whether their author signed them. About 0.1 ms."""
    return verify(letters.key, "letters", _letters_body(letters), letters.signature)


def encode_letters(letters: Letters) -> bytes:
    """Signed letters as envelope content."""
    return _letters_body(letters) + letters.signature


def _letters_body(letters: Letters) -> bytes:
    head = bytes((letters.kind,)) + letters.key + letters.identity + u32(letters.number)
    rows = [e.member + bytes((e.type,)) + blob16(e.ciphertext) for e in letters.entries]
    return head + u16(len(rows)) + b"".join(rows)


def split_letters(letters: Sequence[Letter]) -> list[tuple[Letter, ...]]:
    """Runs of letters that fit a medium envelope each: the class that every room may use."""
    runs: list[tuple[Letter, ...]] = []
    room = 0
    for letter in letters:
        size = 8 + 1 + 2 + len(letter.ciphertext)
        if not runs or size > room:
            runs.append(())
            room = SizeClass.MEDIUM.capacity - _LETTERS_BYTES
        runs[-1] += (letter,)
        room -= size
    return runs


def encode_heads(heads: Sequence[Head]) -> bytes:
    """Content of at most MAX_HEADS heads, which need not be signed by whoever passes them on."""
    return bytes((Kind.HEADS, len(heads))) + b"".join(head.body for head in heads)


def encode_piece(piece: Piece) -> bytes:
    """A piece as envelope content."""
    return bytes((Kind.PIECE,)) + piece.whole + u16(piece.index) + u16(piece.count) + piece.body


# ---------------------------------------------------------------- reading


def decode_content(content: bytes) -> Content:
    """An item, a sync or letters. MalformedFrame otherwise. Signatures are checked by whoever knows what for."""
    reader = Reader(content)
    kind = reader.u8()
    try:
        if kind == Kind.ITEM:
            return _decode_item(reader)
        if kind == Kind.SYNC:
            return _decode_sync(reader)
        if kind == Kind.PIECE:
            return _decode_piece(reader)
        if kind == Kind.HEADS:
            return _decode_heads(reader)
        return _decode_letters(Kind(kind), reader)
    except ValueError:  # no member of an enum
        raise MalformedFrame("content") from None


def _decode_item(reader: Reader) -> SentItem:
    sender, seq, generation, form = MemberId(reader.take(8)), reader.u64(), reader.u32(), Form(reader.u8())
    if seq == 0 or seq >= 1 << 62 or generation == 0:
        raise MalformedFrame("item")
    return SentItem(sender, seq, generation, form, reader.rest())


def _decode_sync(reader: Reader) -> Sync:
    key, mood, flags = PublicKey(reader.take(32)), Mood(reader.u8()), reader.u8()
    if flags > 7:
        raise MalformedFrame("sync")
    first, last, count = reader.u64(), reader.u64(), reader.u16()
    entries = tuple(
        Entry(MemberId(reader.take(8)), Membership(reader.u8()), reader.u64(), reader.u32()) for _ in range(count)
    )
    bundle = Bundle.decode(reader) if flags & 2 else None
    successor = reader.take(32) if flags & 4 else b""
    signature = reader.take(SIGNATURE_BYTES)
    reader.end()
    if max(first, last, *(entry.have for entry in entries)) >= 1 << 62:
        raise MalformedFrame("sync")
    return Sync(key, mood, first, last, entries, bool(flags & 1), bundle, successor, signature)


def _decode_letters(kind: Kind, reader: Reader) -> Letters:
    key, identity, number, count = PublicKey(reader.take(32)), reader.take(32), reader.u32(), reader.u16()
    entries = tuple(Letter(MemberId(reader.take(8)), reader.u8(), reader.blob16()) for _ in range(count))
    signature = reader.take(SIGNATURE_BYTES)
    reader.end()
    if any(entry.type > 1 for entry in entries):
        raise MalformedFrame("letters")
    return Letters(kind, key, identity, number, entries, signature)


def _decode_heads(reader: Reader) -> Heads:
    heads = tuple(Head.decode(reader) for _ in range(reader.count(MAX_HEADS)))
    reader.end()
    return Heads(heads)


def _decode_piece(reader: Reader) -> Piece:
    piece = Piece(MsgId(reader.take(16)), reader.u16(), reader.u16(), reader.rest())
    if not piece.index < piece.count <= MAX_PIECES or not piece.body:
        raise MalformedFrame("piece")
    return piece


# ---------------------------------------------------------------- sizes


def size_for(content: bytes) -> SizeClass:
    """The size class of content: receipts may be small, words never are, so that length tells nothing of them."""
    if content[0] == Kind.SYNC and len(content) <= SizeClass.SMALL.capacity:
        return SizeClass.SMALL
    return SizeClass.MEDIUM if len(content) <= SizeClass.MEDIUM.capacity else SizeClass.LARGE


def body_room(size: SizeClass) -> int:
    """The bytes of a body that fit an envelope, whatever protects it."""
    return size.capacity - ITEM_HEADER_BYTES - GROUP_OVERHEAD_BYTES - PLAIN_HEADER_BYTES


def piece_room(size: SizeClass) -> int:
    """The bytes of content that fit one piece."""
    return size.capacity - _PIECE_BYTES


def split_message(
    body: bytes, first_seq: int, at_s: float, *, opaque: bool = False, medium_only: bool = False
) -> tuple[Item, ...]:
    """A message as items: one medium envelope when it fits, else large ones.

    `medium_only`: medium ones where 256 are enough.
    """
    if len(body) <= body_room(SizeClass.MEDIUM):
        return (Item(first_seq, 0, 1, body, at_s, opaque=opaque),)
    medium, large = body_room(SizeClass.MEDIUM), body_room(SizeClass.LARGE)
    step = medium if medium_only and len(body) <= MAX_PARTS * medium else large
    pieces: Sequence[bytes] = [body[at : at + step] for at in range(0, len(body), step)]
    return tuple(Item(first_seq + n, n, len(pieces), piece, at_s, opaque=opaque) for n, piece in enumerate(pieces))
