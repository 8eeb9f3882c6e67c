"""A relay's signed word about the order in which envelopes came to it: what convicts one that tells two stories.

A relay chains the ids of a duty in their order of arrival, head_n = BLAKE2b-128(head_{n-1} || id_n), from a first head
that names tag, epoch and the moment since which it serves; at every sixteenth it may sign where it stands. Two signed
heads of one relay for the same start and count that differ are a proof that anybody can check. A restart begins a new
chain, because what was in memory is gone; it also begins a new `not_before`, so the two are never compared.

    HEAD 23: tag 32 | epoch u64 | since u64 | count u64 | head 16 | relay's key 32 | signature 64
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import MsgId, PeerId, PublicKey, Tag, peer_id_of
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.wire.codec import Reader
from railgun_core.wire.kinds import FrameType, frame

CHECKPOINT = 16  # envelopes between two counts that may be signed: members can only compare equal counts
HEAD_BYTES = 32 + 8 + 8 + 8 + 16 + 32 + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class Head:
    """One signed head. `since_s`: the `not_before` of the relay's record."""

    tag: Tag
    epoch: int
    since_s: int
    count: int
    head: bytes
    key: PublicKey
    signature: bytes = field(default=b"", repr=False)

    @property
    def relay(self) -> PeerId:
        """Who signed it."""
        return peer_id_of(self.key)

    @property
    def body(self) -> bytes:
        """The bytes without a frame, 168."""
        return self._signed() + self.key + self.signature

    def encode(self) -> bytes:
        return frame(FrameType.HEAD, self.body)

    @classmethod
    def decode(cls, reader: Reader) -> Head:
        tag, epoch, since_s, count = Tag(reader.take(32)), reader.u64(), reader.u64(), reader.u64()
        if count == 0 or count % CHECKPOINT:
            raise MalformedFrame("head")
        return cls(
            tag, epoch, since_s, count, reader.take(16), PublicKey(reader.take(32)), reader.take(SIGNATURE_BYTES)
        )

    def is_signed(self) -> bool:
        """Whether the relay signed it. About 100 us."""
        return verify(self.key, "head", self._signed(), self.signature)

    def contradicts(self, other: Head) -> bool:
        """Whether both cannot be true; both have to be signed."""
        mine = (self.key, self.tag, self.epoch, self.since_s, self.count)
        return mine == (other.key, other.tag, other.epoch, other.since_s, other.count) and self.head != other.head

    def _signed(self) -> bytes:
        return self.tag + u64(self.epoch) + u64(self.since_s) + u64(self.count) + self.head


class Chain:
    """The chain of one duty. About 0.7 us an id."""

    __slots__ = ("_at_checkpoint", "_epoch", "_head", "_since_s", "_tag", "count")

    def __init__(self, tag: Tag, epoch: int, since_s: int) -> None:
        self._tag, self._epoch, self._since_s = tag, epoch, since_s
        self._head = hashlib.blake2b(tag + u64(epoch) + u64(since_s), digest_size=16).digest()
        self._at_checkpoint: tuple[int, bytes] | None = None
        self.count = 0

    def add(self, ids: Iterable[MsgId]) -> None:
        """Envelopes arrived, in this order."""
        for msg_id in ids:
            self._head = hashlib.blake2b(self._head + msg_id, digest_size=16).digest()
            self.count += 1
            if self.count % CHECKPOINT == 0:
                self._at_checkpoint = (self.count, self._head)

    def sign(self, relay: Identity) -> Head | None:
        """The newest checkpoint, signed; None when there is none that was not signed before."""
        if self._at_checkpoint is None:
            return None
        (count, head), self._at_checkpoint = self._at_checkpoint, None
        draft = Head(self._tag, self._epoch, self._since_s, count, head, PublicKey(relay.public_key))
        return Head(self._tag, self._epoch, self._since_s, count, head, draft.key, relay.sign("head", draft._signed()))
