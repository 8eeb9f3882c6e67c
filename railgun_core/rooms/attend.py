"""Keeping sessions with a committee: opening, slices, signs of life, and what relays say.

Nothing here decides what a room sends or shows; it turns a relay's frames into calls on publish.py and receive.py.
Any frame is a sign of life. Looks at the heartbeats fall on a grid of an eighth of a second, and what is due soon after
a look is done with it, so that a device with many rooms wakes up about once a second for all. Source: protocol.md 9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.heartbeat import IDLE_EVERY_S, PING_EVERY_S, Beat
from railgun_core.base.ids import LinkId
from railgun_core.events import Effect, Send
from railgun_core.rooms import publish, receive, removal, sync
from railgun_core.rooms.esteem import SERVED_WITHIN_S
from railgun_core.rooms.failover import Cause
from railgun_core.rooms.lane import CALM_S, Lane
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.session import PING_SLACK_S, Phase, RelaySession
from railgun_core.status import DutyState
from railgun_core.wire.frames import (
    Ack,
    Bye,
    ControlFrame,
    FrameBatch,
    Have,
    Misdirected,
    Nack,
    Open,
    Opened,
    Ping,
    Pong,
    Pull,
    Refused,
    Role,
    Slice,
    decode_control,
)
from railgun_core.wire.heads import Head
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.records import Record, decode_record

OPEN_WITHIN_S = 5.0
GRID_PER_S = 8  # a power of two: its steps are exact
ANSWERED_WITHIN_BEATS = 3  # protocol.md 9: links that answered in the last 3 s, at a ping each second


@dataclass(slots=True)
class Looked:
    """What a look at the heartbeats of one lane brought."""

    suspects: list[RelaySession] = field(default_factory=list)  # since now
    gone: list[RelaySession] = field(default_factory=list)  # dead, or not opened in time
    settled: bool = False  # suspects have come back, or have been calm for long enough: slices may move


def link_up(
    context: RoomContext,
    lane: Lane,
    session: RelaySession,
    link: LinkId,
    binding: bytes,
    now: Instant,
    out: list[Effect],
) -> None:
    """The dialled link is there: ask for a session, signed with the room's epoch key over this very link."""
    session.link = link
    session.binding = binding
    session.phase = Phase.OPENING
    session.heart.heard(now.mono_s)
    session.slice = _slice_for(lane)
    session.opens, session.used_s = 1, now.mono_s
    out.append(Send(link, (_open(context, lane, session).encode(),)))


def reslice(room: Room, context: RoomContext, lane: Lane, now: Instant, out: list[Effect]) -> None:
    """Ask the best relay to push and the next to announce, after sessions came or went.

    A relay that takes over also says what it holds: what its predecessor pushed last may not have arrived.
    """
    for session, slice_ in lane.wanted_slices():
        if slice_ is Slice.PUSH or not session.in_use:
            session.used_s = now.mono_s
        session.slice = slice_
        session.opens += 1
        session.heart.asked_s = now.mono_s  # an OPEN is answered like a ping
        assert session.link is not None
        frames = [_open(context, lane, session).encode()]
        if slice_ is not Slice.QUIET and not room.joining:
            frames.append(Pull(lane.handle, 0).encode())
        out.append(Send(session.link, frames))
        context.wake("ping", room.id, now.mono_s + PING_EVERY_S)  # it may come into use by this


def frames(
    room: Room,
    context: RoomContext,
    lane: Lane,
    session: RelaySession,
    batch: FrameBatch,
    now: Instant,
    out: list[Effect],
) -> tuple[tuple[Record, ...], bool]:
    """Everything one read brought: relay records for the view, and whether the session has ended."""
    if session.heart.heard(now.mono_s):
        lane.failovers.returned(session.peer_id)
        lane.unsettled = True
    sealed: list[int] = []
    records: tuple[Record, ...] = ()
    ended = False
    for index in range(len(batch)):
        start, stop = batch.bounds[index], batch.bounds[index + 1]
        if batch.data[start + 4] == FrameType.ENVELOPE:
            sealed.append(index)
            continue
        frame = decode_control(batch.data, start, stop)
        match frame:
            case Misdirected():
                records, ended = _records(frame), True
            case Refused() | Bye() if frame.handle == lane.handle:
                ended = True
            case _:
                _control(room, context, lane, session, frame, now, out)
    if sealed:  # also when the relay said goodbye behind them
        receive.envelopes(room, context, lane, session, batch, sealed, now, out)
    if ended:
        session.cause = Cause.REFUSED
    return records, ended


def greet(room: Room, context: RoomContext, lane: Lane, now: Instant, out: list[Effect]) -> None:
    """Once an epoch has begun and a relay is open: say soon where this member stands."""
    if lane.greeted or lane.rotation.state is DutyState.PREPARING:
        return
    lane.greeted = True
    former = room.lineage.former_of(lane)
    if former is not None:
        removal.greet(room, context, former, lane, now, out)
    else:
        sync.plan_sync(room, context, now, within_s=0.06 if room.joining else 0.5)


def look(lane: Lane, now: Instant, out: list[Effect], *, cut_off: bool) -> Looked:
    """Ask quiet relays for a sign of life; who has become suspect, and who is gone.

    `cut_off`: most links of this device are silent, so nobody is declared dead. Costs O(sessions).
    """
    looked = Looked(settled=lane.unsettled)
    at_s = _step(now) / GRID_PER_S  # a timer that fires late must not shift all later looks
    lane.unsettled = False
    worried = any(s.is_open and s.in_use and s.heart.unanswered for s in lane.sessions.values())
    if worried:
        lane.troubled_s = now.mono_s
    for session in list(lane.sessions.values()):
        if session.link is None:
            continue
        if not session.is_open:
            if now.mono_s - session.heart.heard_s >= OPEN_WITHIN_S:
                looked.gone.append(session)
            continue
        was_suspect = session.is_suspect
        beat = session.beat(at_s, _pace(lane, session, worried=worried))
        if beat is Beat.DEAD and not cut_off:
            session.cause = Cause.SILENT
            looked.gone.append(session)
            continue
        if beat is Beat.DEAD:
            session.heart.asked_s = at_s
        if beat is not Beat.QUIET:
            out.append(Send(session.link, (Ping(0).encode(),)))
        if session.is_suspect and not was_suspect:
            looked.suspects.append(session)
        looked.settled |= _tried(lane, session, now)
    looked.settled |= lane.is_stuck
    return looked


def suspected(
    room: Room, context: RoomContext, lane: Lane, suspects: list[RelaySession], now: Instant, out: list[Effect]
) -> None:
    """Relays left three pings unanswered: others push, and what only these have goes out again. Nothing is closed."""
    for session in suspects:
        publish.given_up(room, lane, session, now, cause=Cause.SILENT)
    publish.relieve(room, lane)
    reslice(room, context, lane, now, out)
    publish.pump(room, context, now, out)
    publish.conclude(room, now, out)


def judge(room: Room, context: RoomContext, lane: Lane, now: Instant, out: list[Effect]) -> None:
    """See which relays have served and which have not; ask one that stands by when nothing comes. Once a look.

    Costs O(envelopes of the last moment), a bounded number.
    """
    if not lane.is_working:
        return
    owing = [s for s in lane.open_sessions() if s.probed_s is not None and now.mono_s - s.probed_s >= SERVED_WITHIN_S]
    served, failed = lane.hearsay.judge(now.mono_s, in_use=lane.in_use(), proved=lane.esteem.proved)
    for session in owing:
        session.probed_s = None
        failed.add(session.peer_id)
    moved = lane.esteem.fade(now.mono_s)
    if lane.esteem.mark(served, failed) or moved:
        reslice(room, context, lane, now, out)
    standby = lane.to_probe(now.mono_s) if room.others and not room.joining else None
    if standby is not None and standby.link is not None:
        standby.probed_s = now.mono_s
        out.append(Send(standby.link, (Pull(lane.handle, standby.position).encode(),)))


def is_cut_off(lanes: Iterable[Lane], now: Instant) -> bool:
    """Whether most of this device's links in use are silent: then it is this device that nobody hears."""
    used = [s for lane in lanes if lane.is_working for s in lane.open_sessions() if s.slice is not Slice.QUIET]
    answered = sum(now.mono_s - s.heart.heard_s <= ANSWERED_WITHIN_BEATS * s.pace_s for s in used)
    return len(used) >= 2 and 2 * answered < len(used)


def next_look_s(lanes: Iterable[Lane], now: Instant) -> float | None:
    """When the next heartbeat is due, on the grid; None without sessions."""
    times = [
        session.beat_s() if session.is_open else session.heart.heard_s + OPEN_WITHIN_S
        for lane in lanes
        for session in lane.sessions.values()
        if session.link is not None
    ]
    if not times:
        return None
    return max(math.ceil(min(times) * GRID_PER_S), _step(now) + 1) / GRID_PER_S


def is_due(lanes: Iterable[Lane], now: Instant) -> bool:
    """Whether something is due so soon that a look now saves one."""
    at_s = next_look_s(lanes, now)
    return at_s is not None and at_s <= now.mono_s + PING_SLACK_S


def _step(now: Instant) -> int:
    return math.floor(now.mono_s * GRID_PER_S)


def _pace(lane: Lane, session: RelaySession, *, worried: bool) -> float:
    """How often to ask: each second while something depends on it, or would if another relay failed."""
    if session.tunnelled or not lane.is_working:
        return IDLE_EVERY_S
    return PING_EVERY_S if worried or session.in_use or session.is_suspect else IDLE_EVERY_S


def _tried(lane: Lane, session: RelaySession, now: Instant) -> bool:
    """Note a suspicion; whether a relay that was suspect has been sound for long enough to be used like the others."""
    if session.is_suspect:
        session.suspected_s = lane.troubled_s = now.mono_s
    elif (
        session.suspected_s is not None and now.mono_s - session.suspected_s >= CALM_S and not session.heart.unanswered
    ):
        session.suspected_s = None
        return True
    return False


def _control(
    room: Room,
    context: RoomContext,
    lane: Lane,
    session: RelaySession,
    frame: ControlFrame,
    now: Instant,
    out: list[Effect],
) -> None:
    match frame:
        case Opened():
            _opened(room, context, lane, session, frame, now, out)
        case Ack():
            publish.acked(room, context, lane, session, frame, now, out)
        case Nack():
            publish.nacked(room, context, session, frame, now, out)
        case Have():
            receive.have(room, context, lane, session, frame, now, out)
        case Head() if frame.relay == session.peer_id:
            context.compare_heads(room, (frame,), now, out)
        case Ping():
            assert session.link is not None
            out.append(Send(session.link, (Pong(frame.nonce).encode(),)))
        case _:
            pass


def _opened(
    room: Room,
    context: RoomContext,
    lane: Lane,
    session: RelaySession,
    frame: Opened,
    now: Instant,
    out: list[Effect],
) -> None:
    session.opens = max(0, session.opens - 1)
    if session.is_open:
        publish.conclude(room, now, out)
        return
    session.phase = Phase.OPEN
    session.pace_s = _pace(lane, session, worried=False)
    context.wake("ping", room.id, session.beat_s())
    session.grant(frame.rate_per_s, frame.burst, now.mono_s)
    lane.answered(session.peer_id)
    if session.slice is not Slice.QUIET and not room.joining:
        assert session.link is not None
        out.append(Send(session.link, (Pull(lane.handle, 0).encode(),)))
    reslice(room, context, lane, now, out)
    greet(room, context, lane, now, out)
    publish.relieve(room, lane)
    publish.pump(room, context, now, out)
    publish.conclude(room, now, out)


def _slice_for(lane: Lane) -> Slice:
    """The slice to begin with: push from the first relay that opens, so that nothing is missed meanwhile."""
    taken = {s.slice for s in lane.sessions.values() if s.phase is not Phase.DIALLING and not s.is_suspect}
    return next((s for s in (Slice.PUSH, Slice.ANNOUNCE) if s not in taken), Slice.QUIET)


def _open(context: RoomContext, lane: Lane, session: RelaySession) -> Open:
    draft = Open(lane.keys.tag, lane.epoch, Role.MEMBER, session.slice, b"")
    message = session.binding + draft.epoch.to_bytes(8, "big") + bytes((draft.role,))
    signature, token = lane.keys.sign.sign("open", message), context.trust.token(session.peer_id)
    return Open(draft.tag, draft.epoch, draft.role, draft.slice, signature, token)


def _records(frame: Misdirected) -> tuple[Record, ...]:
    records = []
    for raw in frame.records:
        try:
            records.append(decode_record(raw))
        except MalformedFrame:
            continue
    return tuple(records)
