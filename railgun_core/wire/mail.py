"""Frames of the mailbox: envelopes that wait on a disk for members who are away, and the notice of a death.

A deposit needs no session: the room's mail key of the day signs it. A medium one may come through the mixnet, as the
body of a post (`body`, `from_body`); its signature has a domain of its own, so neither can be taken for the other. To
collect, a member signs the link it asks on. Mail comes back as envelope frames, then COLLECTED says how far that was.

    DEPOSIT   17: tag 32 | day u64 | expiry u32 | msg_id 16 | signature 64 | envelope 256, 4,096 or 65,536
    RECEIPT   18: handle 8 | msg_id 16 | code u8 (0: durable here) | retry after ms u32
    COLLECT   19: tag 32 | day u64 | position u64 | follow u8 | signature 64
    COLLECTED 20: handle 8 | position u64 | more u8
    EVICTED   21: tag 32 | day u64 | first position u64 | last u64 | count u32 | unix s u64 | key 32 | signature 64
    OBITUARY  22: peer id 32 | sequence u64 | silent since, unix s u64 | unix s u64 | observer's key 32 | signature 64
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import MsgId, PeerId, PublicKey, Tag, TagHandle, peer_id_of
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.wire.codec import Reader, u32
from railgun_core.wire.envelope import SIZES
from railgun_core.wire.kinds import FrameType, Refusal, frame, refusal
from railgun_core.wire.signing import deposit_message


@dataclass(frozen=True, slots=True)
class Deposit:
    """Keep this envelope under a mail tag until it expires. Answered by one Receipt."""

    tag: Tag
    day: int
    expiry_s: int
    msg_id: MsgId
    signature: bytes = field(repr=False)
    envelope: bytes = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What stands for name and bytes together, 16 bytes: a member can give other bytes the name of another's."""
        return hashlib.blake2b(self.msg_id + self.envelope, digest_size=16).digest()

    @property
    def body(self) -> bytes:
        """The bytes without a frame: what a packet of the mixnet carries."""
        return self.tag + u64(self.day) + u32(self.expiry_s) + self.msg_id + self.signature + self.envelope

    def encode(self) -> bytes:
        return frame(FrameType.DEPOSIT, self.body)

    @classmethod
    def from_body(cls, body: bytes) -> Deposit:
        """What `body` gave. MalformedFrame otherwise."""
        return cls.decode(Reader(body))

    @classmethod
    def decode(cls, reader: Reader) -> Deposit:
        tag, day, expiry_s, msg_id = Tag(reader.take(32)), reader.u64(), reader.u32(), MsgId(reader.take(16))
        signature, envelope = reader.take(SIGNATURE_BYTES), reader.rest()
        if len(envelope) not in SIZES:
            raise MalformedFrame("deposit")
        return cls(tag, day, expiry_s, msg_id, signature, envelope)

    def is_signed(self) -> bool:
        """Whether the tag's key signed this very envelope, id, day and expiry. About 100 us."""
        message = deposit_message(self.day, self.expiry_s, self.msg_id, self.envelope)
        return verify(self.tag, "deposit", message, self.signature)


def sign_deposit(key: Identity, day: int, expiry_s: int, msg_id: MsgId, envelope: bytes) -> Deposit:
    """A deposit by a room's mail key of a day."""
    signature = key.sign("deposit", deposit_message(day, expiry_s, msg_id, envelope))
    return Deposit(Tag(key.public_key), day, expiry_s, msg_id, signature, envelope)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a deposit: durable on this disk (`code` None), or refused and why."""

    handle: TagHandle
    msg_id: MsgId
    code: Refusal | None = None
    retry_after_ms: int = 0

    def encode(self) -> bytes:
        return frame(FrameType.RECEIPT, self.handle + self.msg_id + bytes((self.code or 0,)) + u32(self.retry_after_ms))

    @classmethod
    def decode(cls, reader: Reader) -> Receipt:
        handle, msg_id, code = TagHandle(reader.take(8)), MsgId(reader.take(16)), reader.u8()
        return cls(handle, msg_id, refusal(code) if code else None, reader.u32())


@dataclass(frozen=True, slots=True)
class Collect:
    """Send the mail of a tag from `position` on; with `follow`, also what comes later, while the link lasts.

    `signature` by the day's mail key, domain "collect", over binding 32 | day u64.
    """

    tag: Tag
    day: int
    position: int
    follow: bool
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        head = self.tag + u64(self.day) + u64(self.position) + bytes((self.follow,))
        return frame(FrameType.COLLECT, head + self.signature)

    @classmethod
    def decode(cls, reader: Reader) -> Collect:
        tag, day, position, follow = Tag(reader.take(32)), reader.u64(), reader.u64(), reader.u8()
        if follow > 1:
            raise MalformedFrame("collect")
        return cls(tag, day, position, bool(follow), reader.take(SIGNATURE_BYTES))


def collect_message(binding: bytes, day: int) -> bytes:
    """What a member signs to collect on a link."""
    return binding + u64(day)


@dataclass(frozen=True, slots=True)
class Collected:
    """The envelopes before this frame were everything up to `position` (exclusive); `more`: ask again from there."""

    handle: TagHandle
    position: int
    more: bool

    def encode(self) -> bytes:
        return frame(FrameType.COLLECTED, self.handle + u64(self.position) + bytes((self.more,)))

    @classmethod
    def decode(cls, reader: Reader) -> Collected:
        handle, position, more = TagHandle(reader.take(8)), reader.u64(), reader.u8()
        if more > 1:
            raise MalformedFrame("collected")
        return cls(handle, position, bool(more))


@dataclass(frozen=True, slots=True)
class Evicted:
    """A mailbox's signed word that it could not keep mail `first`..`last` of a tag until its expiry."""

    tag: Tag
    day: int
    first: int
    last: int
    count: int
    at_s: int
    key: PublicKey
    signature: bytes = field(repr=False)

    def encode(self) -> bytes:
        return frame(FrameType.EVICTED, self._body() + self.key + self.signature)

    @classmethod
    def decode(cls, reader: Reader) -> Evicted:
        tag, day, first, last = Tag(reader.take(32)), reader.u64(), reader.u64(), reader.u64()
        count, at_s, key = reader.u32(), reader.u64(), PublicKey(reader.take(32))
        found = cls(tag, day, first, last, count, at_s, key, reader.take(SIGNATURE_BYTES))
        if found.first > found.last or not 0 < found.count <= found.last - found.first + 1:
            raise MalformedFrame("evicted")
        return found

    def is_signed(self) -> bool:
        """Whether the mailbox signed it."""
        return verify(self.key, "evicted", self._body(), self.signature)

    def _body(self) -> bytes:
        spans = u64(self.day) + u64(self.first) + u64(self.last)
        return self.tag + spans + u32(self.count) + u64(self.at_s)


def sign_evicted(mailbox: Identity, tag: Tag, day: int, *, first: int, last: int, count: int, at_s: int) -> Evicted:
    """The notice of a mailbox."""
    draft = Evicted(tag, day, first, last, count, at_s, PublicKey(mailbox.public_key), b"")
    return Evicted(tag, day, first, last, count, at_s, draft.key, mailbox.sign("evicted", draft._body()))


@dataclass(frozen=True, slots=True)
class Obituary:
    """An observer's signed word: this peer, known by the record of `sequence`, has been silent since `silent_s`.

    A newer record of the peer proves it wrong.
    """

    peer_id: PeerId
    sequence: int
    silent_s: int
    at_s: int
    key: PublicKey
    signature: bytes = field(repr=False)

    @property
    def observer(self) -> PeerId:
        """Who says so."""
        return peer_id_of(self.key)

    def encode(self) -> bytes:
        return frame(FrameType.OBITUARY, self._body() + self.key + self.signature)

    @classmethod
    def decode(cls, reader: Reader) -> Obituary:
        peer_id, sequence, silent_s, at_s = PeerId(reader.take(32)), reader.u64(), reader.u64(), reader.u64()
        return cls(peer_id, sequence, silent_s, at_s, PublicKey(reader.take(32)), reader.take(SIGNATURE_BYTES))

    def is_signed(self) -> bool:
        """Whether the observer signed it."""
        return verify(self.key, "obituary", self._body(), self.signature)

    def _body(self) -> bytes:
        return self.peer_id + u64(self.sequence) + u64(self.silent_s) + u64(self.at_s)


def sign_obituary(observer: Identity, peer_id: PeerId, *, sequence: int, silent_s: int, at_s: int) -> Obituary:
    """An observer's word about a peer."""
    draft = Obituary(peer_id, sequence, silent_s, at_s, PublicKey(observer.public_key), b"")
    return Obituary(peer_id, sequence, silent_s, at_s, draft.key, observer.sign("obituary", draft._body()))
