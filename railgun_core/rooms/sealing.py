"""From content to what leaves: one envelope, sealed for a lane, as a session's frame or as a post through mixes."""

from __future__ import annotations

from railgun_core.base.ids import MsgId
from railgun_core.rooms.content import size_for
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.room import RoomContext
from railgun_core.wire.envelope import SizeClass, seal
from railgun_core.wire.frames import envelope_frame
from railgun_core.wire.posts import Post, sign_post


def envelope(lane: Lane, content: bytes, msg_id: MsgId, context: RoomContext) -> bytes:
    """A sealed envelope frame for a session; its id is remembered, so that its echo is known."""
    lane.seen.add(msg_id)
    sealed = seal(content, lane.keys.seal, size=size_for(content), rng=context.rng)
    return envelope_frame(lane.handle, expiry_s=_expiry_s(lane, context), msg_id=msg_id, envelope=sealed)


def post_of(lane: Lane, content: bytes, msg_id: MsgId, context: RoomContext) -> Post:
    """The same as a post: always medium, signed by the epoch's key. UsageError when the content does not fit."""
    lane.seen.add(msg_id)
    sealed = seal(content, lane.keys.seal, size=SizeClass.MEDIUM, rng=context.rng)
    return sign_post(lane.keys.sign, lane.epoch, _expiry_s(lane, context), msg_id, sealed)


def _expiry_s(lane: Lane, context: RoomContext) -> int:
    return int(context.clock.retire_s(lane.epoch)) + 1
