"""From the relays to the conversation: opening envelopes, order, gaps, and asking for what is missing.

An item is handed on once it is durable, in its sender's order, exactly once: the row (room, sender, seq) is unique,
and the count of what is here is in the same transaction.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import MsgId
from railgun_core.changes import Item, ItemsAdd, Membership
from railgun_core.events import Effect, Grew, Measured, Save, Send
from railgun_core.rooms import keying, opening, pieces, removal
from railgun_core.rooms.content import Content, Heads, Letters, Piece, SentItem, Sync, decode_content
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.mail import MailLane
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.session import RelaySession
from railgun_core.rooms.sync import inbox_of, plan_sync, received_sync
from railgun_core.wire.envelope import open_envelope
from railgun_core.wire.frames import (
    ENVELOPE_FRAME_SIZES,
    ENVELOPE_HEADER,
    ENVELOPE_HEADER_BYTES,
    FrameBatch,
    Got,
    Have,
    Slice,
    Want,
)

IDS_PER_WANT = 32
WANT_AGAIN_S = 2.0
GAP_AFTER_S = 0.3
GAP_EVERY_S = 1.0
ASKS_BEFORE_SYNC = 3
MAX_SEEN = 200_000
MAX_AHEAD_BYTES = 64 * 1024 * 1024  # of a room: what waits for earlier items

Ready = dict[bytes, tuple[Inbox, list[Item]]]


class Taken(enum.Enum):
    """What became of one envelope."""

    KNOWN = "known"  # it was here before
    GARBAGE = "garbage"  # no member sealed it: whoever brought it only carried it
    HERE = "here"
    UNOPENED = "unopened"  # its keys are spent, or it is forged
    DROPPED = "dropped"  # for want of room: it is asked for again


def envelopes(
    room: Room,
    context: RoomContext,
    lane: Lane,
    session: RelaySession,
    batch: FrameBatch,
    indexes: Iterable[int],
    now: Instant,
    out: list[Effect],
) -> None:
    """Take in the envelope frames of one read, and confirm them to the relay by count."""
    ready: Ready = {}
    for index in indexes:
        start, stop = batch.bounds[index], batch.bounds[index + 1]
        if stop - start not in ENVELOPE_FRAME_SIZES:
            raise MalformedFrame("envelope")
        session.received += 1
        msg_id = MsgId(ENVELOPE_HEADER.unpack_from(batch.data, start)[4])
        session.wanted.pop(msg_id, None)
        sealed = batch.data[start + ENVELOPE_HEADER_BYTES : stop]
        is_new = _is_new(lane, msg_id, sealed)
        if is_new and _take(room, context, lane, msg_id, sealed, ready, now, out) is not Taken.GARBAGE:
            lane.heard(now.mono_s)
        # A copy under a name that nothing proves must not count against those who did not bring it.
        is_proof = is_new and msg_id in lane.seen and msg_id not in lane.unproved
        lane.hearsay.came(msg_id, session.peer_id, now.mono_s, is_new=is_proof)
    keep(room, context, ready.values(), now, out)
    assert session.link is not None
    out.append(Send(session.link, (Got(lane.handle, session.received).encode(),)))
    ask(lane, session, now, out)


def kept(
    room: Room,
    context: RoomContext,
    lane: Lane,
    frames: Iterable[bytes],
    now: Instant,
    out: list[Effect],
) -> list[Taken]:
    """Take in whole envelope frames that were kept for this member; what became of each."""
    ready: Ready = {}
    said: list[Taken] = []
    for frame in frames:
        if len(frame) not in ENVELOPE_FRAME_SIZES:
            said.append(Taken.GARBAGE)
            continue
        msg_id, sealed = MsgId(ENVELOPE_HEADER.unpack_from(frame)[4]), frame[ENVELOPE_HEADER_BYTES:]
        new = _is_new(lane, msg_id, sealed)
        said.append(_take(room, context, lane, msg_id, sealed, ready, now, out) if new else Taken.KNOWN)
    keep(room, context, ready.values(), now, out)
    return said


def _is_new(lane: Lane, msg_id: MsgId, sealed: bytes) -> bool:
    """Whether an envelope is to be opened.

    Names are outside the seal, so whoever carries envelopes can bring one under the name of another that it wants to
    keep from this member. Only a name that the content proves stands for all that comes under it; any other stands for
    these very bytes.
    """
    if msg_id not in lane.seen:
        return True
    known = lane.unproved.get(msg_id)
    return known is not None and known != _digest(sealed)


def _note(lane: Lane, msg_id: MsgId, content: Content, sealed: bytes) -> None:
    """An envelope came under this name."""
    if isinstance(content, SentItem):
        is_proved = msg_id == lane.keys.msg_id(content.sender, content.seq, content.generation)
    else:
        is_proved = isinstance(content, Piece) and msg_id == pieces.name_of(content.whole, content.index)
    if is_proved:
        lane.unproved.pop(msg_id, None)
    elif msg_id in lane.seen or len(lane.seen) < MAX_SEEN:
        lane.unproved[msg_id] = _digest(sealed)
    if len(lane.seen) < MAX_SEEN:
        lane.seen.add(msg_id)


def _digest(sealed: bytes) -> bytes:
    return hashlib.blake2b(sealed, digest_size=16).digest()


def _take(
    room: Room,
    context: RoomContext,
    lane: Lane,
    msg_id: MsgId,
    sealed: bytes,
    ready: Ready,
    now: Instant,
    out: list[Effect],
) -> Taken:
    """Take one envelope through a lane; the items that can be handed on because of it go to `ready`."""
    try:
        content = decode_content(open_envelope(sealed, lane.keys.seal))
        decoded = _whole(room, content)
    except MalformedFrame:
        return Taken.GARBAGE
    _note(lane, msg_id, content, sealed)
    if isinstance(decoded, SentItem):
        unopened = room.ring.unopened
        timely = not isinstance(lane, MailLane)
        if not room.ignores(decoded.sender, lane) and not _item(room, context, decoded, ready, now, out, timely=timely):
            lane.seen.discard(msg_id)
            lane.unproved.pop(msg_id, None)
            return Taken.UNOPENED if room.ring.unopened > unopened else Taken.DROPPED
    elif isinstance(decoded, Sync):
        news = received_sync(room, context, lane, decoded, now, out)
        for inbox, items in news:
            _collect(ready, inbox, items)
        if news:
            removal.heard(room, context, lane, news[0][0], now, out)
    elif isinstance(decoded, Letters):
        for inbox, items in opening.letters(room, context, lane, decoded, now, out):
            _collect(ready, inbox, items)
    elif isinstance(decoded, Heads):
        context.compare_heads(room, decoded.heads, now, out)
    return Taken.HERE


def keep(
    room: Room,
    context: RoomContext,
    ready: Iterable[tuple[Inbox, list[Item]]],
    now: Instant,
    out: list[Effect],
) -> None:
    """Save items that are next in their sender's order; then count them, say so, and show them."""
    for inbox, items in ready:
        if not items:
            continue
        upto = inbox.kept = items[-1].seq

        def saved(then: Instant, effects: list[Effect], inbox: Inbox = inbox, upto: int = upto) -> None:
            inbox.committed = max(inbox.committed, upto)
            effects.append(Grew(room.id))
            plan_sync(room, context, then)

        rows = ItemsAdd(room.id, inbox.member, tuple(items), own=False)
        keys = keying.committed(room, inbox, items)
        out.append(Save(context.when_saved(saved), (rows, room.member_put(inbox), *keys)))


def have(
    room: Room, context: RoomContext, lane: Lane, session: RelaySession, frame: Have, now: Instant, out: list[Effect]
) -> None:
    """A relay told what it holds: ask for what is not here."""
    lacking = [msg_id for msg_id in frame.ids if msg_id not in lane.seen]
    lane.hearsay.named(frame.ids, session.peer_id, lacking=set(lacking))
    session.probed_s = None
    if session.slice is Slice.QUIET and lacking:  # others may be about to bring it
        coming = {
            i for other in lane.sessions.values() if other is not session for i in (*other.wanted, *other.lacking)
        }
        session.position = session.position if coming.intersection(lacking) else frame.position
        lacking = [msg_id for msg_id in lacking if msg_id not in coming]
    else:
        session.position = frame.position
    session.lack(lacking)
    ask(lane, session, now, out)
    if session.wanted or session.lacking:
        context.wake("gaps", room.id, now.mono_s + GAP_EVERY_S)


def ask(lane: Lane, session: RelaySession, now: Instant, out: list[Effect]) -> None:
    """Want the next ids a relay holds and this member lacks; a few at a time, so that its queue stays short."""
    if not session.lacking and not session.wanted:
        return
    stale = [i for i, at_s in session.wanted.items() if i in lane.seen or now.mono_s - at_s > WANT_AGAIN_S]
    for msg_id in stale:
        del session.wanted[msg_id]
    ids: list[MsgId] = []
    while session.lacking and len(session.wanted) < IDS_PER_WANT:
        msg_id = session.lacking.popleft()
        if msg_id not in lane.seen:
            session.wanted[msg_id] = now.mono_s
            ids.append(msg_id)
    if ids:
        assert session.link is not None
        out.append(Send(session.link, (Want(lane.handle, tuple(ids)).encode(),)))


def close_gaps(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Ask for missing items by name, each time another relay; when that does not help, ask their sender."""
    again = False
    for inbox in room.inboxes.values():
        gone_s = now.unix_s - inbox.left_s if inbox.membership is Membership.LEFT else 0.0
        if inbox.member in room.lineage.removed or gone_s > context.echo_s:
            continue  # nobody can say it any more
        if now.mono_s - inbox.asked_s < GAP_AFTER_S:
            again = again or bool(inbox.missing(1))
            continue
        missing = inbox.missing(IDS_PER_WANT)
        if not missing:
            continue
        again = True
        if now.mono_s - inbox.asked_s < min(30.0, GAP_EVERY_S * 2 ** max(0, inbox.asks - ASKS_BEFORE_SYNC)):
            continue
        inbox.asked_s = now.mono_s
        for lane in room.lanes_by_use():
            sessions = sorted(lane.open_sessions(), key=lambda s: s.slice is not Slice.QUIET or s.is_suspect)
            session = sessions[inbox.asks % len(sessions)]  # those in use have not brought it: they come later
            ids = _names(room, lane, inbox, missing)
            assert session.link is not None
            if ids:
                out.append(Send(session.link, (Want(lane.handle, ids).encode(),)))
        inbox.asks += 1
        if inbox.asks >= ASKS_BEFORE_SYNC:
            plan_sync(room, context, now)
        if inbox.asks % ASKS_BEFORE_SYNC == 0:  # its sender may leave it with mailboxes only later
            room.mail.collect_soon()
            context.wake("mail", room.id, now.mono_s)
    for lane in room.lanes_by_use():
        for session in lane.open_sessions():
            ask(lane, session, now, out)
            again = again or bool(session.wanted or session.lacking)
    if again:
        context.wake("gaps", room.id, now.mono_s + GAP_EVERY_S)


def _whole(room: Room, content: Content) -> SentItem | Sync | Letters | Heads | None:
    """The content, put together if it came in pieces; None while some are lacking. MalformedFrame as in decoding."""
    if not isinstance(content, Piece):
        return content
    joined = room.puzzle.add(content)
    found = None if joined is None else decode_content(joined)
    if isinstance(found, Piece):
        raise MalformedFrame("piece")
    return found


def _names(room: Room, lane: Lane, inbox: Inbox, missing: Iterable[int]) -> tuple[MsgId, ...]:
    """What missing items may be called: by each of the newest generations that can be opened here, latest first."""
    generations = room.ring.fellow(inbox.member).inbound.held[:-4:-1]
    names = [lane.keys.msg_id(inbox.member, seq, number) for seq in missing for number in generations]
    return tuple(names[:IDS_PER_WANT])


def _item(
    room: Room,
    context: RoomContext,
    sent: SentItem,
    ready: Ready,
    now: Instant,
    out: list[Effect],
    *,
    timely: bool,
) -> bool:
    """Take an item in; whether it is here now, or was before. `timely`: how long it took says something."""
    if sent.sender == room.me:
        return True
    inbox = inbox_of(room, sent.sender, now)
    if inbox is None:
        return False
    seq = sent.seq
    if inbox.holds(seq):
        return True
    if seq != inbox.expected and room.ahead_bytes >= MAX_AHEAD_BYTES:
        inbox.last = max(inbox.last, seq)
    else:
        here, item = opening.item(room, context, inbox, sent, now)
        if item is None:
            return here
        _collect(ready, inbox, inbox.receive(item))
        if inbox.known and timely:
            out.append(Measured("mixnet" if inbox.secure else "relayed", max(0.0, (now.unix_s - item.at_s) * 1000)))
    if inbox.ahead:
        context.wake("gaps", room.id, now.mono_s + GAP_AFTER_S)
        if not inbox.known:
            plan_sync(room, context, now)
    return inbox.holds(seq)


def _collect(ready: Ready, inbox: Inbox, items: list[Item]) -> None:
    ready.setdefault(inbox.member, (inbox, []))[1].extend(items)
