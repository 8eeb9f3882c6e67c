"""One or more valid objects of every kind that is decoded, as hypothesis strategies and as fixed samples."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from railgun_core.base.ids import MemberId, MsgId, PeerId, PublicKey, Tag, TagHandle
from railgun_core.base.keys import Identity
from railgun_core.changes import Item, Membership
from railgun_core.ratchet.account import Bundle
from railgun_core.rooms.content import (
    Entry,
    Form,
    Kind,
    Letter,
    Letters,
    Mood,
    Piece,
    SentItem,
    Sync,
    encode_item,
    encode_letters,
    encode_piece,
    encode_sync,
)
from railgun_core.rooms.invite import Invite
from railgun_core.wire.envelope import SIZES
from railgun_core.wire.frames import (
    PACKET_BYTES,
    Ack,
    Bye,
    Cell,
    CellKind,
    ControlFrame,
    Got,
    Have,
    Misdirected,
    Nack,
    Open,
    Opened,
    Packet,
    Ping,
    Pong,
    Pull,
    Refused,
    Role,
    Slice,
    Want,
)
from railgun_core.wire.heads import CHECKPOINT, Head
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Collect, Collected, Deposit, Evicted, Obituary, Receipt
from railgun_core.wire.records import Address, AddressKind, AnnouncementBody, PeerBody, PeerRole, Record, sign_record

U8, U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64))
HANDLES = st.binary(min_size=8, max_size=8).map(TagHandle)
TAGS = st.binary(min_size=32, max_size=32).map(Tag)
PEER_IDS = st.binary(min_size=32, max_size=32).map(PeerId)
MSG_ID = st.binary(min_size=16, max_size=16).map(MsgId)
SIGNATURES = st.binary(min_size=64, max_size=64)
PUBLIC_KEYS = st.binary(min_size=32, max_size=32).map(PublicKey)
SEALED = st.sampled_from(sorted(SIZES)).map(bytes)
MSG_IDS = st.lists(st.binary(min_size=16, max_size=16).map(MsgId), max_size=20).map(tuple)
KEYS = st.sampled_from([b"", b"m" * 32])
PORTS = st.integers(1, 65_535)
HOSTS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)

FRAMES: dict[str, st.SearchStrategy[ControlFrame]] = {
    "Open": st.builds(
        Open,
        TAGS,
        U64,
        st.sampled_from(Role),
        st.sampled_from(Slice),
        st.sampled_from([b"", b"s" * 64]),
        st.binary(max_size=512),
    ),
    "Opened": st.builds(Opened, HANDLES, U8, U8, U32, U32),
    "Refused": st.builds(Refused, HANDLES, st.sampled_from(Refusal), U32),
    "Misdirected": st.builds(Misdirected, HANDLES, st.lists(st.binary(max_size=200), max_size=32).map(tuple)),
    "Ack": st.builds(Ack, HANDLES, U64, U64, U8, U8),
    "Nack": st.builds(Nack, HANDLES, st.sampled_from(Refusal), U32, MSG_IDS),
    "Got": st.builds(Got, HANDLES, U64),
    "Have": st.builds(Have, HANDLES, U64, MSG_IDS),
    "Want": st.builds(Want, HANDLES, MSG_IDS),
    "Pull": st.builds(Pull, HANDLES, U64),
    "Ping": st.builds(Ping, U64),
    "Pong": st.builds(Pong, U64),
    "Bye": st.builds(Bye, HANDLES),
    "Packet": st.builds(Packet, st.integers(0, 255).map(lambda n: bytes((n,)) * PACKET_BYTES)),
    "Cell": st.builds(Cell, st.sampled_from(CellKind), U32, st.binary(max_size=300)),
    "Deposit": st.builds(Deposit, TAGS, U64, U32, MSG_ID, SIGNATURES, SEALED),
    "Receipt": st.builds(Receipt, HANDLES, MSG_ID, st.one_of(st.none(), st.sampled_from(Refusal)), U32),
    "Collect": st.builds(Collect, TAGS, U64, U64, st.booleans(), SIGNATURES),
    "Collected": st.builds(Collected, HANDLES, U64, st.booleans()),
    "Evicted": st.builds(
        lambda tag, day, first, more, at_s, key, sig: Evicted(tag, day, first, first + more, 1 + more, at_s, key, sig),
        TAGS,
        U64,
        st.integers(0, 2**63),
        U16,
        U64,
        PUBLIC_KEYS,
        SIGNATURES,
    ),
    "Head": st.builds(
        Head,
        TAGS,
        U64,
        U64,
        st.integers(1, 2**59).map(lambda n: CHECKPOINT * n),
        st.binary(min_size=16, max_size=16),
        PUBLIC_KEYS,
        SIGNATURES,
    ),
    "Obituary": st.builds(Obituary, PEER_IDS, U64, U64, U64, PUBLIC_KEYS, SIGNATURES),
}
ANY_FRAME = st.one_of(*FRAMES.values())

ADDRESSES = st.builds(Address, st.sampled_from(AddressKind), HOSTS, PORTS)
SOFTWARE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
PEER_BODIES = st.builds(
    PeerBody,
    st.lists(ADDRESSES, max_size=4).map(tuple),
    st.integers(0, 127).map(PeerRole),
    SOFTWARE,
    st.just(1),
    st.integers(1, 255),
    st.lists(PEER_IDS, max_size=3).map(tuple),
    KEYS,
    KEYS,
    st.binary(max_size=200),
    U16,
)
ANNOUNCEMENTS = st.builds(AnnouncementBody, TAGS, U64, U8, U16, st.lists(PEER_IDS, max_size=10).map(tuple))

SEQUENCES = st.integers(1, 2**62 - 1)
COUNTS = st.integers(0, 2**62 - 1)
MEMBERS = st.binary(min_size=8, max_size=8).map(MemberId)
PUBLIC = st.binary(min_size=32, max_size=32).map(PublicKey)
SIGNATURES = st.binary(min_size=64, max_size=64)
SYNCS = st.builds(
    Sync,
    PUBLIC,
    st.sampled_from(Mood),
    COUNTS,
    COUNTS,
    st.lists(st.builds(Entry, MEMBERS, st.sampled_from(Membership), COUNTS, U32), max_size=20).map(tuple),
    st.booleans(),
    st.none() | st.builds(Bundle, PUBLIC, PUBLIC, st.lists(PUBLIC, max_size=16).map(tuple)),
    st.just(b"") | PUBLIC,
    SIGNATURES,
)
LETTERS = st.builds(
    Letters,
    st.sampled_from((Kind.KEYS, Kind.REROOT)),
    PUBLIC,
    PUBLIC,
    U32,
    st.lists(st.builds(Letter, MEMBERS, st.integers(0, 1), st.binary(max_size=400)), max_size=6).map(tuple),
    SIGNATURES,
)
SENT_ITEMS = st.builds(
    SentItem, MEMBERS, SEQUENCES, st.integers(1, 2**32 - 1), st.sampled_from(Form), st.binary(max_size=300)
)


@st.composite
def items(draw: st.DrawFn) -> Item:
    """A valid item, sent at a whole millisecond of the years 1970 to 2500."""
    parts = draw(st.integers(1, 256))
    at_s = draw(st.integers(0, 16_725_225_600_000)) / 1000
    return Item(draw(SEQUENCES), draw(st.integers(0, parts - 1)), parts, draw(st.binary(max_size=300)), at_s)


NAMES = st.text(min_size=1, max_size=60).filter(lambda name: name.isprintable() and len(name.encode()) <= 120)
INVITES = st.builds(
    Invite,
    st.binary(min_size=32, max_size=32),
    NAMES,
    st.integers(1, 2**64 - 1),
    st.lists(st.tuples(HOSTS, PORTS), max_size=4).map(tuple),
)


def frame_samples() -> dict[str, tuple[bytes, ...]]:
    """Encoded frames of every kind."""
    handle, ids = TagHandle(b"handle-8"), tuple(MsgId(bytes((n,)) * 16) for n in range(3))
    samples: tuple[tuple[ControlFrame, ...], ...] = (
        (
            Open(Tag(b"t" * 32), 3_000_000, Role.MEMBER, Slice.PUSH, b"s" * 64, b"token"),
            Open(Tag(b"t" * 32), 0, Role.RELAY, Slice.QUIET, b""),
        ),
        (Opened(handle, 1, 5, 200, 400),),
        (Refused(handle, Refusal.RATE, 250),),
        (Misdirected(handle, (b"r" * 300, b"", b"x" * 1_000)), Misdirected(handle, ())),
        (Ack(handle, 10, 9, 3, 5),),
        (Nack(handle, Refusal.FULL, 100, ids), Nack(handle, Refusal.SIZE, 0, ())),
        (Got(handle, 7),),
        (Have(handle, 3, ids),),
        (Want(handle, ids), Want(handle, ())),
        (Pull(handle, 0),),
        (Ping(1),),
        (Pong(2**64 - 1),),
        (Bye(handle),),
        (Packet(bytes(range(256)) * 20 + bytes(188)),),
        (Cell(CellKind.DATA, 7, b"data"), Cell(CellKind.IDLE, 0, b"")),
        (Deposit(Tag(b"t" * 32), 20_833, 9, ids[0], b"s" * 64, b"e" * 256),),
        (Receipt(handle, ids[1]), Receipt(handle, ids[2], Refusal.QUOTA, 60_000)),
        (Collect(Tag(b"t" * 32), 20_833, 7, True, b"s" * 64),),
        (Collected(handle, 9, False),),
        (Evicted(Tag(b"t" * 32), 20_833, 3, 8, 5, 7, PublicKey(b"k" * 32), b"s" * 64),),
        (Head(Tag(b"t" * 32), 9, 5, 32, b"h" * 16, PublicKey(b"k" * 32), b"s" * 64),),
        (Obituary(PeerId(b"p" * 32), 9, 5, 6, PublicKey(b"k" * 32), b"s" * 64),),
    )
    return {type(group[0]).__name__: tuple(frame.encode() for frame in group) for group in samples}


def record_samples() -> tuple[Record, ...]:
    """Signed records: the smallest, a full one, and an announcement."""
    identity = Identity(b"\x07" * 32)
    addresses = (
        Address(AddressKind.DHT, "127.0.0.1", 4_100),
        Address(AddressKind.QUIC, "2001:db8::7", 4_101),
        Address(AddressKind.TLS, "127.0.0.1", 4_102),
    )
    full = PeerBody(
        addresses,
        PeerRole.RELAY | PeerRole.MIX,
        "railgun 0.1.0",
        1,
        2,
        (PeerId(b"i" * 32), PeerId(b"j" * 32)),
        b"m" * 32,
        b"k" * 32,
        b"proof" * 10,
        310,
        1_799_000_000,
    )
    bodies = (
        PeerBody((), PeerRole(0), "", 1, 1),
        full,
        AnnouncementBody(Tag(b"t" * 32), 3_000_000, 2, 17, (PeerId(b"i" * 32), PeerId(b"j" * 32))),
    )
    return tuple(
        sign_record(identity, body, sequence=1_800_000_000_000, not_before_s=1_799_999_000, expires_s=1_800_007_000)
        for body in bodies
    )


def content_samples(rng: random.Random) -> tuple[bytes, ...]:
    """Items, syncs and letters as envelope content."""
    me, you = MemberId(b"me-mine!"), MemberId(b"you-you!")
    key, signature = PublicKey(rng.randbytes(32)), rng.randbytes(64)
    entries = (Entry(you, Membership.ACTIVE, 12, 4), Entry(me, Membership.LEFT, 0))
    bundle = Bundle(rng.randbytes(32), rng.randbytes(32), (rng.randbytes(32), rng.randbytes(32)))
    letters = (Letter(me, 0, rng.randbytes(50)), Letter(you, 1, rng.randbytes(20)))
    return (
        encode_item(SentItem(me, 1, 7, Form.GROUP, b"hello")),
        encode_item(SentItem(me, 9, 1, Form.OPAQUE, rng.randbytes(60))),
        encode_sync(Sync(key, Mood.HERE, 1, 9, entries, secure=True, signature=signature)),
        encode_sync(Sync(key, Mood.JOINING, 0, 0, (), bundle=bundle, signature=signature)),
        encode_sync(Sync(key, Mood.LEAVING, 0, 0, (), successor=bytes(key), signature=signature)),
        encode_letters(Letters(Kind.KEYS, key, bytes(key), 7, letters, signature)),
        encode_piece(Piece(MsgId(bytes(16)), 2, 17, rng.randbytes(40))),
    )
