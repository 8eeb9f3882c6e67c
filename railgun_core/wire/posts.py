"""A post: one medium envelope on its way to a committee relay through the mixnet.

No session stands behind it, so it carries its own proof: the room's epoch key has signed it. Who knows the tag can
check that a member sent it; which member, nobody can tell. The answer comes back by a single-use reply block.

    post:   tag 32 | epoch u64 | expiry u32 | msg_id 16 | signature 64 | envelope 4,096
    answer: status u8 | code u8 | held u8 | size u8
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from railgun_core.base.errors import MalformedFrame
from railgun_core.base.hashing import u64
from railgun_core.base.ids import MsgId, Tag, handle_of
from railgun_core.base.keys import SIGNATURE_BYTES, Identity, verify
from railgun_core.wire.codec import Reader, u32
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.frames import envelope_frame
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.signing import deposit_message

POST_BYTES = 32 + 8 + 4 + 16 + SIGNATURE_BYTES + SizeClass.MEDIUM


@dataclass(frozen=True, slots=True)
class Post:
    """One envelope and the room's word that a member sent it."""

    tag: Tag
    epoch: int
    expiry_s: int
    msg_id: MsgId
    signature: bytes = field(repr=False)
    envelope: bytes = field(repr=False)

    def encode(self) -> bytes:
        head = self.tag + u64(self.epoch) + u32(self.expiry_s) + self.msg_id
        return head + self.signature + self.envelope

    @property
    def frame(self) -> bytes:
        """The envelope frame that goes on to members and fellow relays, as if a session had brought it."""
        return envelope_frame(handle_of(self.tag), expiry_s=self.expiry_s, msg_id=self.msg_id, envelope=self.envelope)

    def is_signed(self) -> bool:
        """Whether the tag's key signed this very envelope, id, epoch and expiry. About 100 us."""
        message = deposit_message(self.epoch, self.expiry_s, self.msg_id, self.envelope)
        return verify(self.tag, "post", message, self.signature)


def sign_post(key: Identity, epoch: int, expiry_s: int, msg_id: MsgId, envelope: bytes) -> Post:
    """A post by a room's epoch key; `envelope` is a medium one."""
    signature = key.sign("post", deposit_message(epoch, expiry_s, msg_id, envelope))
    return Post(Tag(key.public_key), epoch, expiry_s, msg_id, signature, envelope)


def decode_post(body: bytes) -> Post:
    """The post in `body`; what follows it is padding and must be zeros. The signature is not checked here."""
    reader = Reader(body)
    tag, epoch, expiry_s, msg_id = Tag(reader.take(32)), reader.u64(), reader.u32(), MsgId(reader.take(16))
    signature, envelope = reader.take(SIGNATURE_BYTES), reader.take(SizeClass.MEDIUM)
    if any(reader.rest()):
        raise MalformedFrame("trailing bytes")
    return Post(tag, epoch, expiry_s, msg_id, signature, envelope)


class PostStatus(enum.IntEnum):
    """What became of a post."""

    STORED = 1  # a majority of the committee holds it
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """A relay's word about one post. `code` only with REFUSED."""

    status: PostStatus
    code: Refusal | None = None
    held: int = 0
    size: int = 0

    def encode(self) -> bytes:
        return bytes((self.status, self.code or 0, self.held, self.size))


def decode_post_answer(body: bytes) -> PostAnswer:
    """The answer at the start of `body`; zeros follow it. MalformedFrame otherwise."""
    reader = Reader(body)
    status, code, held, size = reader.u8(), reader.u8(), reader.u8(), reader.u8()
    if any(reader.rest()):
        raise MalformedFrame("trailing bytes")
    try:
        answer = PostAnswer(PostStatus(status), Refusal(code) if code else None, held, size)
    except ValueError:
        raise MalformedFrame("answer") from None
    if (answer.status is PostStatus.REFUSED) != (answer.code is not None):
        raise MalformedFrame("answer")
    return answer
