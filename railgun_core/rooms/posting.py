"""Sending in a high-security room: every envelope is a post through mixes, and nothing is sent over a session.

Sessions (tunnelled through a guard) only receive. So no relay can tell which of the pseudonyms that listen has
spoken. A post goes to a relay of the serving committee drawn anew each time; its answer comes back by a reply block:
stored by a majority, or refused. What is not answered goes out again through another relay, under the same id.
"""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId, PeerId
from railgun_core.changes import Delivery, Item
from railgun_core.events import Effect, FetchItems
from railgun_core.rooms import keying, pieces
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.progress import report
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.sealing import post_of
from railgun_core.status import DutyState
from railgun_core.wire.posts import PostAnswer, PostStatus, decode_post_answer

POSTS_AT_ONCE = 48  # items of one room on their way: more would only wait in the one queue of packets
RETRY_S = 1.0
NOTHING = b"\x00"  # content of no kind


def posting_lane(room: Room) -> Lane | None:
    """Where posts go: the serving epoch, or the one in overlap while no committee serves yet."""
    rank = {DutyState.SERVING: 0, DutyState.OVERLAP: 1}
    found = [lane for lane in room.lanes.values() if lane.rotation.state in rank and lane.order]
    return min(found, key=lambda lane: rank[lane.rotation.state], default=None)


def pump(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Hand queued items to the mixnet, as many as may be on their way."""
    backlog = room.outbox.next_backlog()
    if backlog is not None:
        out.append(FetchItems(room.id, backlog.first, backlog.last))
    lane = posting_lane(room)
    while lane is not None and room.outbox.queue and len(room.outbox.placed) < POSTS_AT_ONCE:
        relay = _relay(lane, context, now)
        if relay is None or not keying.ready(room, context, now, out, say=say, then=pump):
            break
        item = room.outbox.next()
        room.outbox.place(item, lane.epoch, relay, now.mono_s)
        if not _post_item(room, context, lane, relay, item, now, out):
            room.outbox.requeue((item.seq,))
            break
    if room.outbox.queue:
        context.wake("pump", room.id, now.mono_s + RETRY_S)


def say(
    room: Room, context: RoomContext, content: bytes, now: Instant, out: list[Effect], *, lane: Lane | None = None
) -> bool:
    """Post content that nobody waits for (syncs, letters), in one lane if it is named; whether there was a way."""
    msg_id = MsgId(context.rng.randbytes(16))
    lane = lane or posting_lane(room)
    relay = None if lane is None else _relay(lane, context, now)
    if lane is None or relay is None:
        return False
    posts = [post_of(lane, piece, name, context) for name, piece in pieces.cut(content, msg_id)]
    sent = [context.carrier.post(one.encode(), relay, lambda reply, then, effects: None, now, out) for one in posts]
    return all(sent)


def dummy(room: Room, context: RoomContext, now: Instant) -> tuple[PeerId, bytes] | None:
    """A post that says nothing: to relays like any other, and dropped by the members who open it."""
    lane = posting_lane(room)
    relay = None if lane is None else _relay(lane, context, now)
    if lane is None or relay is None:
        return None
    return relay, post_of(lane, NOTHING, MsgId(context.rng.randbytes(16)), context).encode()


def _post_item(
    room: Room, context: RoomContext, lane: Lane, relay: PeerId, item: Item, now: Instant, out: list[Effect]
) -> bool:
    sealed = keying.sealed(room, item)
    msg_id = lane.keys.msg_id(room.me, item.seq, sealed.generation)
    posts = [post_of(lane, piece, name, context) for name, piece in pieces.cut(sealed.content, msg_id)]
    stored = 0

    def answered(reply: bytes | None, then: Instant, effects: list[Effect]) -> None:
        nonlocal stored
        answer = _decoded(reply)
        stored += answer is not None and answer.status is PostStatus.STORED
        if answer is None or answer.status is not PostStatus.STORED or stored == len(posts):
            _answered(room, context, lane, relay, item.seq, reply, then, effects)

    return all([context.carrier.post(one.encode(), relay, answered, now, out) for one in posts])


def _answered(
    room: Room,
    context: RoomContext,
    lane: Lane,
    relay: PeerId,
    seq: int,
    reply: bytes | None,
    now: Instant,
    out: list[Effect],
) -> None:
    """What became of a posted item: stored, or to be sent again by another relay."""
    answer = _decoded(reply)
    if answer is not None and answer.status is PostStatus.STORED:
        lane.answered(relay)
        report(room, room.outbox.accept((seq,)), Delivery.ACCEPTED, lane.epoch, out)
        held = room.outbox.store((seq,), lane.epoch, now.mono_s)
        report(room, held, Delivery.STORED, lane.epoch, out)
        if held:
            room.nudges = 0
            context.wake("nudge", room.id, now.mono_s + 3.0)
    else:
        lane.avoid(relay, now.mono_s)
        placement = room.outbox.placed.get(seq)
        if placement is not None and relay in placement.relays:
            room.outbox.requeue((seq,))
    if room.secure and not room.left:
        pump(room, context, now, out)


def _relay(lane: Lane, context: RoomContext, now: Instant) -> PeerId | None:
    """A relay of the committee that packets can reach, drawn evenly; the standbys only when no seat can be used."""
    assert lane.committee is not None
    for choice in (lane.committee.members, tuple(holder.peer_id for holder in lane.committee.standbys)):
        listed = [p for p in choice if p in lane.order and lane.may_use(p, now.mono_s)]
        usable = [p for p in listed if context.carrier.reaches(p, now)]
        if usable:
            return usable[context.rng.randrange(0, len(usable))]
    return None


def _decoded(reply: bytes | None) -> PostAnswer | None:
    try:
        return None if reply is None else decode_post_answer(reply)
    except MalformedFrame:
        return None
