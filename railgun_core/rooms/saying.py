"""Sending what nobody counts: syncs and letters. The next one says it again if this one is lost."""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MsgId
from railgun_core.events import Effect, Send
from railgun_core.rooms import posting
from railgun_core.rooms.content import Kind, encode_heads
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.sealing import envelope
from railgun_core.rooms.session import Sent
from railgun_core.status import DutyState


def speaking_lane(room: Room) -> Lane | None:
    """The lane that something said now goes through; None while there is no way."""
    return posting.posting_lane(room) if room.secure else room.publishing_lane()


def say(room: Room, context: RoomContext, content: bytes, now: Instant, out: list[Effect]) -> bool:
    """Send content under a random id; whether there was a way."""
    if room.secure:
        return posting.say(room, context, content, now, out)
    msg_id = MsgId(context.rng.randbytes(16))
    lane = room.publishing_lane()
    if lane is None:
        return False
    say_through(lane, context, content, msg_id, now, out)
    elder = elder_of(room, lane)
    if elder is not None and content[0] != Kind.SYNC:  # whoever has not come over yet needs letters too
        say_through(elder, context, content, msg_id, now, out)
    return True


def pass_heads_on(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Say once what relays signed of an epoch that has ended, so that members can hold it against what they got."""
    for lane in room.lanes.values():
        heads = lane.heads.to_pass_on()
        if lane.rotation.state is DutyState.OVERLAP and heads and not lane.heads.told:
            lane.heads.told = say(room, context, encode_heads(heads), now, out)


def say_in(room: Room, context: RoomContext, lane: Lane, content: bytes, now: Instant, out: list[Effect]) -> bool:
    """Send content through one lane; whether it has begun and has a way."""
    if lane.rotation.state is DutyState.PREPARING:
        return False
    if room.secure:
        return posting.say(room, context, content, now, out, lane=lane)
    if not lane.open_sessions():
        return False
    say_through(lane, context, content, MsgId(context.rng.randbytes(16)), now, out)
    return True


def elder_of(room: Room, lane: Lane) -> Lane | None:
    """The lane before, while it is in overlap beside this one and has a way."""
    if lane.rotation.state is not DutyState.SERVING:
        return None
    elder = room.lanes.get(lane.epoch - 1)
    return elder if elder is not None and elder.is_live and elder.open_sessions() else None


def say_through(
    lane: Lane, context: RoomContext, content: bytes, msg_id: MsgId, now: Instant, out: list[Effect]
) -> None:
    """Send content through the best open session of a lane; there must be one."""
    session = lane.open_sessions()[0]
    frame = envelope(lane, content, msg_id, context)
    session.sent(Sent(msg_id, None, len(frame), now.mono_s))
    lane.hearsay.gave(msg_id, session.peer_id, frame)
    assert session.link is not None
    out.append(Send(session.link, (frame,)))
