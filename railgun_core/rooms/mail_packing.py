"""What a member leaves for others: which items, when, and the envelopes they travel in.

Two reasons: the committee is gone (no relay took an item, or none is there), or somebody who is waited for has not
confirmed an item ten seconds after it was stored. The start keys of an item's generation go before it, so whoever
comes back opens it although its sender is gone. Each item is left once; what a restart may have forgotten, once more.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MsgId
from railgun_core.changes import Item
from railgun_core.events import Effect, FetchItems
from railgun_core.rooms import keying, pieces, saying, sealing, sync
from railgun_core.rooms.content import size_for
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.mail import (
    GONE_AFTER_S,
    SECURE_AFTER_S,
    UNCONFIRMED_AFTER_S,
    UNSTORED_AFTER_S,
    Keeper,
    Kept,
    expiry_s,
)
from railgun_core.rooms.mail_parcels import WINDOW, Parcel, Spool
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.wire.envelope import SizeClass
from railgun_core.wire.mail import sign_deposit

SYNC_EVERY_S = 30.0
FETCH_AT_ONCE = 64


def is_cut_off(room: Room, now: Instant) -> bool:
    """Whether no relay has been there for a while."""
    since_s = room.mail.no_way_s
    return since_s is not None and now.mono_s - since_s >= GONE_AFTER_S


def stranded(room: Room, now: Instant, *, at_once: bool = False) -> list[int]:
    """Own items that no committee stores, oldest first. `at_once`: all that are not stored, without waiting."""
    outbox = room.outbox
    if at_once or is_cut_off(room, now):
        return sorted({*outbox.placed, *outbox.queued})
    found = []
    for seq, tried_s in outbox.tried_s.items():
        placement = outbox.placed.get(seq)
        if placement is None and seq not in outbox.queued:
            continue
        accepted = placement is not None and placement.accepted
        limit_s = SECURE_AFTER_S if room.secure else UNSTORED_AFTER_S if accepted else GONE_AFTER_S
        if now.mono_s - tried_s >= limit_s:
            found.append(seq)
    return sorted(found)


def unconfirmed(room: Room, now: Instant, most: int, *, boxes: bool) -> list[int]:
    """Own items that are stored, and that somebody who is waited for has not confirmed for a while: the oldest."""
    if not room.awaited(now.unix_s):
        return []
    since_s, own, wait_s = room.mail.since_s, room.mail.own, patience_s(room)
    return heapq.nsmallest(
        most,
        (
            seq
            for seq, (_, stored_s) in room.outbox.stored.items()
            if _is_to_be_left(own.get(seq), boxes=boxes) and now.mono_s - max(stored_s, since_s) >= wait_s
        ),
    )


def patience_s(room: Room) -> float:
    """How long a stored item may go unconfirmed: in large rooms even those who are there confirm more rarely."""
    return max(UNCONFIRMED_AFTER_S, 2 * sync.SYNC_EVERY_S * max(1.0, room.members / 10))


def next_s(room: Room, now: Instant, *, boxes: bool) -> float | None:
    """When an item that is on its way now may have to be left for others; None when none is."""
    outbox, own, since_s = room.outbox, room.mail.own, room.mail.since_s
    times = [
        at_s + GONE_AFTER_S for seq, at_s in outbox.tried_s.items() if seq in outbox.placed or seq in outbox.queued
    ]
    if outbox.queued or outbox.placed or outbox.backlog:
        times.append((room.mail.no_way_s or now.mono_s) + GONE_AFTER_S)
    if room.awaited(now.unix_s):
        wait_s = patience_s(room)
        waiting = [s for q, (_, s) in outbox.stored.items() if _is_to_be_left(own.get(q), boxes=boxes)]
        times += [max(stored_s, since_s) + wait_s for stored_s in waiting]
    return min(times, default=None)


def pack(
    room: Room, context: RoomContext, spool: Spool, now: Instant, out: list[Effect], *, central_first: bool, boxes: bool
) -> None:
    """Fill the window: letters and syncs that nobody took, then items. `boxes`: there are mailboxes now."""
    mail = room.mail
    while mail.letters and spool.free > 0:
        add_letter(room, spool, mail.letters.popleft(), now)
    if mail.sync_due is not None and is_cut_off(room, now) and now.mono_s - mail.synced_s >= SYNC_EVERY_S:
        content = sync.content_of(room, spool.lane, mail.sync_due)
        mail.sync_due, mail.synced_s, room.ring.introduce = None, now.mono_s, False
        until_s = now.mono_s + SYNC_EVERY_S
        spool.add(_parcels(room, spool.lane, content, MsgId(context.rng.randbytes(16)), now, until_s=until_s))
    if is_cut_off(room, now):
        backlog = room.outbox.next_backlog()  # nobody else reads on while no relay is there
        if backlog is not None:
            out.append(FetchItems(room.id, backlog.first, backlog.last))
    here = _in_hand(room)
    wanted = [seq for seq in stranded(room, now, at_once=central_first) if not spool.holds(seq)]
    pack_items(room, context, spool, [here[seq] for seq in wanted[: spool.free]], now, out, central_first=central_first)
    if not wanted:
        missed = unconfirmed(room, now, WINDOW + FETCH_AT_ONCE, boxes=boxes)
        _fetch(room, [seq for seq in missed if not spool.holds(seq)], spool, out)


def pack_items(
    room: Room,
    context: RoomContext,
    spool: Spool,
    items: Iterable[Item],
    now: Instant,
    out: list[Effect],
    *,
    central_first: bool = False,
) -> None:
    """Items as envelopes, behind the start keys of their generation; fewer when a new generation has to begin."""
    for item in items:
        if spool.free <= 0 or not keying.ready(room, context, now, out, say=saying.say, then=_look_again):
            break
        own = room.ring.own
        assert own is not None  # `ready` said so
        at_server = item.seq in room.mail.own
        for content in own.letters:
            add_letter(room, spool, content, now, central_first=central_first, at_server=at_server)
        sealed = keying.sealed(room, item)
        name = spool.lane.keys.msg_id(room.me, item.seq, sealed.generation)
        parcels = _parcels(room, spool.lane, sealed.content, name, now, seq=item.seq)
        _route(parcels, central_first=central_first, at_server=at_server)
        spool.add(parcels)


def still_wanted(room: Room, spool: Spool, items: Iterable[Item], now: Instant) -> list[Item]:
    """Of the items that were read back, those that are still to be left for others."""
    wanted = set(unconfirmed(room, now, WINDOW + FETCH_AT_ONCE, boxes=True))
    return [item for item in items if item.seq in wanted and not spool.holds(item.seq)]


# ---------------------------------------------------------------- inside


def _look_again(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    context.wake("mail", room.id, now.mono_s)
    context.wake("pump", room.id, now.mono_s)


def _in_hand(room: Room) -> dict[int, Item]:
    """The own items that are in memory: those on their way to a committee."""
    return {
        **{item.seq: item for item in room.outbox.queue},
        **{seq: placement.item for seq, placement in room.outbox.placed.items()},
    }


def _fetch(room: Room, seqs: list[int], spool: Spool, out: list[Effect]) -> None:
    """Read items back, a run of them at a time, unless something is being read."""
    if not seqs or spool.free <= 0 or room.outbox.fetching:
        return
    last = seqs[0]
    for seq in seqs[1 : min(FETCH_AT_ONCE, spool.free)]:
        if seq != last + 1:
            break
        last = seq
    room.outbox.fetching = True
    room.mail.fetch = (seqs[0], last)
    out.append(FetchItems(room.id, seqs[0], last))


def add_letter(
    room: Room, spool: Spool, content: bytes, now: Instant, *, central_first: bool = False, at_server: bool = False
) -> None:
    """Letters are named by what they say, so that a mailbox keeps them once, also after a restart."""
    name = MsgId(hashlib.blake2b(content, key=spool.lane.keys.ids, digest_size=16).digest())
    if (name, central_first) in room.mail.told:
        return
    room.mail.told.add((name, central_first))
    known = spool.parcels.get(name)
    if known is not None:
        known.central_first = known.central_first and central_first
        return
    parcels = _parcels(room, spool.lane, content, name, now)
    _route(parcels, central_first=central_first, at_server=at_server)
    spool.add(parcels)


def _route(parcels: Iterable[Parcel], *, central_first: bool, at_server: bool) -> None:
    """Which way parcels take: the server first, or, when it has them already, mailboxes only."""
    for parcel in parcels:
        parcel.central_first = central_first
        if at_server:
            parcel.central_again_s = float("inf")


def _is_to_be_left(kept: Kept | None, *, boxes: bool) -> bool:
    """Whether mailboxes lack an item: also one that the server keeps, because not every member uses the server."""
    return kept is None or (boxes and kept.keeper is Keeper.CENTRAL)


def _parcels(
    room: Room,
    lane: Lane,
    content: bytes,
    msg_id: MsgId,
    now: Instant,
    *,
    seq: int | None = None,
    until_s: float = float("inf"),
) -> list[Parcel]:
    """Content as signed deposits: one, or in a high-security room as many medium ones as it takes."""
    parcels = []
    for name, piece in pieces.cut(content, msg_id) if room.secure else [(msg_id, content)]:
        lane.seen.add(name)
        found = sealing.sealed(lane, piece, name, size=SizeClass.MEDIUM if room.secure else size_for(piece))
        deposit = sign_deposit(lane.keys.sign, lane.epoch, expiry_s(lane.epoch), name, found)
        parcels.append(Parcel(deposit, seq, now.mono_s, until_s))
    return parcels
