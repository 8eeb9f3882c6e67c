"""Keeping sessions with a committee: opening, slices, pings, and what relays say.

Nothing here decides what a room sends or shows; it turns a relay's frames into calls on publish.py and receive.py.
"""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import LinkId
from railgun_core.events import Effect, Send
from railgun_core.rooms import publish, receive, removal, sync
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.session import Phase, RelaySession
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
from railgun_core.wire.kinds import FrameType
from railgun_core.wire.records import Record, decode_record

PING_EVERY_S = 5.0
SUSPECT_AFTER_S = 3.0  # protocol.md 9
OPEN_WITHIN_S = 5.0


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
    session.heard_s = now.mono_s
    session.slice = _slice_for(lane)
    out.append(Send(link, (_open(context, lane, session).encode(),)))


def reslice(context: RoomContext, lane: Lane, out: list[Effect], *, joining: bool) -> None:
    """Ask the best relay to push and the next to announce, after sessions came or went.

    A relay that takes over also says what it holds: what its predecessor pushed last may not have arrived.
    """
    for session, slice_ in lane.wanted_slices():
        session.slice = slice_
        assert session.link is not None
        frames = [_open(context, lane, session).encode()]
        if slice_ is not Slice.QUIET and not joining:
            frames.append(Pull(lane.handle, 0).encode())
        out.append(Send(session.link, frames))


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


def ping(lane: Lane, now: Instant, out: list[Effect]) -> list[RelaySession]:
    """Ask quiet relays for a sign of life; those that gave none in time."""
    suspects: list[RelaySession] = []
    for session in list(lane.sessions.values()):
        if session.link is None:
            continue
        quiet_s = now.mono_s - session.heard_s
        limit_s = PING_EVERY_S + SUSPECT_AFTER_S if session.is_open else OPEN_WITHIN_S
        if quiet_s > limit_s:
            suspects.append(session)
        elif quiet_s >= PING_EVERY_S * 0.5:
            out.append(Send(session.link, (Ping(0).encode(),)))
    return suspects


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
    if session.is_open:
        return
    session.phase = Phase.OPEN
    session.grant(frame.rate_per_s, frame.burst, now.mono_s)
    lane.answered(session.peer_id)
    if session.slice is not Slice.QUIET and not room.joining:
        assert session.link is not None
        out.append(Send(session.link, (Pull(lane.handle, 0).encode(),)))
    reslice(context, lane, out, joining=room.joining)
    greet(room, context, lane, now, out)
    publish.pump(room, context, now, out)


def _slice_for(lane: Lane) -> Slice:
    """The slice to begin with: push from the first relay that opens, so that nothing is missed meanwhile."""
    taken = {s.slice for s in lane.sessions.values() if s.phase is not Phase.DIALLING}
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
