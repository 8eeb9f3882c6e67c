"""From the outbox to the relays: placing, acknowledgements, hedging, and trying again.

An item goes to the best open session; when that does not answer within its RTO, also to the next, and what comes
after it goes to the next at once. When nobody answers, more relays are dialled. In the overlap it goes to both epochs.
It is stored when one relay says that a majority of its committee holds it.
"""

from __future__ import annotations

from collections.abc import Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.heartbeat import PING_EVERY_S
from railgun_core.base.ids import LinkId, PeerId
from railgun_core.changes import Delivery, Item
from railgun_core.events import Effect, FetchItems, Measured, Send
from railgun_core.rooms import keying, posting, saying
from railgun_core.rooms.esteem import SERVED_WITHIN_S
from railgun_core.rooms.failover import Cause
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.outbox import Placement
from railgun_core.rooms.progress import report
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.sealing import envelope
from railgun_core.rooms.session import RelaySession, Sent
from railgun_core.wire.frames import Ack, Nack, Slice
from railgun_core.wire.kinds import Refusal

RETRY_EVERY_S = 0.25
RETRY_LEAST_S = 0.02
STORE_ELSEWHERE_AFTER_S = 2.0  # taken, but no majority yet: ask another relay to replicate it too
STORE_AGAIN_AFTER_S = 5.0

Chunks = dict[LinkId, list[bytes]]


def pump(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Send what is queued, as far as windows and quotas allow: one joined write per link."""
    if room.secure:
        posting.pump(room, context, now, out)
        return
    lane = room.publishing_lane()
    if lane is None:
        return
    backlog = room.outbox.next_backlog()
    if backlog is not None:
        out.append(FetchItems(room.id, backlog.first, backlog.last))
    if not room.outbox.queue:
        return
    elder = saying.elder_of(room, lane)
    sessions, elders = _by_promise(lane, now), _by_promise(elder, now) if elder is not None else []
    chunks: Chunks = {}
    while room.outbox.may_go(now.mono_s):
        session = next((s for s in sessions if s.may_send(now.mono_s)), None)
        if session is None or not keying.ready(room, context, now, out, say=saying.say, then=pump):
            break
        item = room.outbox.next()
        place(room, context, lane, session, item, now, chunks)
        if elder is not None:
            old = next((s for s in elders if s.may_send(now.mono_s)), None)
            if old is not None:
                _give(room, context, elder, old, item, now, chunks)
    flush(chunks, out)
    if room.outbox.queue:
        wait_s = min((s.wait_s() for s in sessions), default=1.0)
        context.wake("pump", room.id, now.mono_s + max(0.02, wait_s, room.outbox.held_for_s(now.mono_s)))
    _plan_retry(room, context, sessions, now)


def place(
    room: Room, context: RoomContext, lane: Lane, session: RelaySession, item: Item, now: Instant, chunks: Chunks
) -> None:
    """Give one item to one relay."""
    _give(room, context, lane, session, item, now, chunks)
    room.outbox.place(item, lane.epoch, session.peer_id, now.mono_s)


def flush(chunks: Chunks, out: list[Effect]) -> None:
    """One Send per link."""
    out += [Send(link, frames) for link, frames in chunks.items()]


def acked(
    room: Room, context: RoomContext, lane: Lane, session: RelaySession, ack: Ack, now: Instant, out: list[Effect]
) -> None:
    """A relay has counted on."""
    accepted, stored = session.acked(ack, now.mono_s)
    lane.hearsay.taken((envelope.msg_id for envelope in accepted), now.mono_s)
    if accepted:
        out.append(Measured("ack", (now.mono_s - accepted[0].at_s) * 1000))
    taken = [e.seq for e in accepted if e.seq is not None]
    if accepted:
        context.wake("unheard", room.id, now.mono_s + SERVED_WITHIN_S)
    news = room.outbox.accept(taken)
    for other in room.every_lane():
        if other.failovers:
            other.failovers.taken(taken)
    report(room, news, Delivery.ACCEPTED, lane.epoch, out)
    held = room.outbox.store((e.seq for e in stored if e.seq is not None), lane.epoch, now.mono_s)
    report(room, held, Delivery.STORED, lane.epoch, out)
    if held:
        room.nudges = 0
        context.wake("nudge", room.id, now.mono_s + 3.0)
    pump(room, context, now, out)
    conclude(room, now, out)


def nacked(
    room: Room, context: RoomContext, session: RelaySession, nack: Nack, now: Instant, out: list[Effect]
) -> None:
    """A relay refused envelopes: they go out again, later or elsewhere."""
    room.outbox.requeue(session.refuse(nack.ids))
    session.allowance = min(session.allowance, 0.0) - (nack.retry_after_ms / 1000) * session.rate_per_s
    if nack.code is not Refusal.RATE:
        session.allowance -= session.rate_per_s
    pump(room, context, now, out)


def session_lost(room: Room, session: RelaySession) -> None:
    """A relay is gone: what only it had goes out again."""
    alone = []
    for seq in session.pending_seqs():
        placement = room.outbox.placed.get(seq)
        if placement is not None:
            placement.relays.discard(session.peer_id)
            if not placement.relays:
                alone.append(seq)
    room.outbox.requeue(alone)


def relieve(room: Room, lane: Lane) -> None:
    """What only suspects have goes out again, once there is a relay to take it. Their late answers count all the same.

    An item that is sent a second time has its first name, so relays and members take it once.
    """
    suspects = {session.peer_id for session in lane.sessions.values() if session.is_suspect}
    if not suspects or not lane.sound_sessions():
        return
    alone = []
    for session in lane.sessions.values():
        for seq in session.pending_seqs() if session.is_suspect else ():
            placement = room.outbox.placed.get(seq)
            if placement is not None and placement.relays <= suspects:
                alone.append(seq)
    room.outbox.requeue(alone)


def given_up(room: Room, lane: Lane, session: RelaySession, now: Instant, *, cause: Cause) -> None:
    """A relay is lost or suspect: if it was in use, others have to take over from now on. Call it before they do.

    Not counted: lanes that do not serve, and goodbyes at an epoch's end.
    """
    if not session.is_open or not lane.is_working or lane.is_ending(now.unix_s):
        return
    others = [s for other in room.every_lane() for s in other.sound_sessions() if s is not session]
    elsewhere = {envelope.seq for other in others for envelope in other.unstored}
    waiting = [seq for seq in session.pending_seqs() if _waits(room, seq) and seq not in elsewhere]
    if waiting or session.slice is Slice.PUSH:
        since_s = max(session.heart.heard_s, session.used_s) if cause is Cause.SILENT else now.mono_s
        lane.failovers.begin(session.peer_id, cause, since_s=since_s, items=waiting)


def conclude(room: Room, now: Instant, out: list[Effect]) -> None:
    """Tell how long it took to do without a relay, once another one pushes and has taken what was open."""
    for lane in room.every_lane():
        if lane.failovers:
            ended = lane.failovers.over(now.mono_s, pushed=lane.is_pushed, waits=lambda seq: _waits(room, seq))
            out += [Measured("failover", ms, cause.value) for cause, ms in ended]


def _waits(room: Room, seq: int) -> bool:
    return seq in room.outbox.placed or seq in room.outbox.queued


def lane_retired(room: Room, lane: Lane) -> None:
    """What a committee did not store before it went is sealed again for the next one."""
    room.outbox.requeue([seq for seq, p in room.outbox.placed.items() if p.epoch <= lane.epoch])


def retry(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Look for items that wait too long, and give them to another relay as well. Posts look after themselves."""
    if room.secure:
        return
    lane = room.publishing_lane()
    chunks: Chunks = {}
    if lane is not None:
        slow = {session.peer_id for session in lane.open_sessions() if session.is_slow(now.mono_s)}
        for placement in list(room.outbox.placed.values()):
            target = _second_relay(lane, placement, slow, now)
            if target is not None and target.may_send(now.mono_s):
                place(room, context, lane, target, placement.item, now, chunks)
        if slow and lane.to_dial(now.mono_s):
            context.wake("attend", room.id, now.mono_s, lane.epoch)
    flush(chunks, out)
    _plan_retry(room, context, lane.open_sessions() if lane is not None else (), now)


def _plan_retry(room: Room, context: RoomContext, sessions: Iterable[RelaySession], now: Instant) -> None:
    """Look again when the next answer is overdue, and otherwise every now and then while something waits."""
    if not room.outbox.placed:
        return
    at_s = now.mono_s + RETRY_EVERY_S
    for session in sessions:
        if session.untaken:
            overdue_s = session.untaken[0].at_s + session.rto_s
            if overdue_s > now.mono_s:
                at_s = min(at_s, overdue_s)
    context.wake("retry", room.id, max(at_s, now.mono_s + RETRY_LEAST_S))


def _by_promise(lane: Lane, now: Instant) -> list[RelaySession]:
    """Open sessions in the order in which items are given to them: those whose answers are overdue come last."""
    return sorted(lane.open_sessions(), key=lambda session: session.is_slow(now.mono_s))


def give_unheard(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """What a relay has taken and no other one has heard of goes to another relay too, whatever was said of it.

    First to one that stands by: what those in use say afterwards tells whose fault it was.
    """
    chunks: Chunks = {}
    for lane in room.every_lane():
        witnesses = set(lane.in_use())
        for msg_id, spoken in lane.hearsay.unheard(now.mono_s, witnesses=witnesses):
            others = [s for s in lane.sound_sessions() if s.peer_id not in spoken.given and s.may_send(now.mono_s)]
            target = min(others, key=lambda session: session.peer_id in witnesses, default=None)
            is_open = spoken.seq is None or room.outbox.is_open(spoken.seq)
            if target is None or not is_open:
                continue
            if spoken.seq in room.outbox.placed:
                room.outbox.placed[spoken.seq].relays.add(target.peer_id)
            lane.hearsay.gave(msg_id, target.peer_id, spoken.frame, seq=spoken.seq)
            target.sent(Sent(msg_id, spoken.seq, len(spoken.frame), now.mono_s))
            chunks.setdefault(_link(target), []).append(spoken.frame)
        again_s = lane.hearsay.due_s(now.mono_s)
        if again_s is not None:
            context.wake("unheard", room.id, again_s)
    flush(chunks, out)


def _second_relay(lane: Lane, placement: Placement, slow: set[PeerId], now: Instant) -> RelaySession | None:
    waited_s = now.mono_s - placement.at_s
    hedge = not placement.accepted and placement.relays <= slow
    restore = placement.accepted and waited_s > STORE_ELSEWHERE_AFTER_S
    moved_on = placement.epoch != lane.epoch and waited_s > STORE_ELSEWHERE_AFTER_S
    if not (hedge or restore or moved_on):
        return None
    fresh = [s for s in lane.sound_sessions() if s.peer_id not in placement.relays and s.peer_id not in slow]
    if fresh:
        return fresh[0]
    if waited_s > STORE_AGAIN_AFTER_S:
        return next((s for s in lane.sound_sessions() if s.peer_id not in slow), None)
    return None


def _give(
    room: Room, context: RoomContext, lane: Lane, session: RelaySession, item: Item, now: Instant, chunks: Chunks
) -> None:
    sealed = keying.sealed(room, item)
    msg_id = lane.keys.msg_id(room.me, item.seq, sealed.generation)
    frame = envelope(lane, sealed.content, msg_id, context)
    session.sent(Sent(msg_id, item.seq, len(frame), now.mono_s))
    lane.hearsay.gave(msg_id, session.peer_id, frame, seq=item.seq)
    if session.pace_s > PING_EVERY_S and not session.tunnelled:  # it is in use now
        context.wake("ping", room.id, now.mono_s + PING_EVERY_S)
    chunks.setdefault(_link(session), []).append(frame)


def _link(session: RelaySession) -> LinkId:
    assert session.link is not None  # an open session has a link
    return session.link
