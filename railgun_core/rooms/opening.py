"""Opening what others encrypted: items by their sender's ratchet, letters by pairwise sessions.

What comes before its keys waits, in bounds, and the room is asked for them. What cannot be opened costs nothing but
itself: it is counted, never shown, and its sender sends it again under keys that are here.
"""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.changes import Item, SecretPut
from railgun_core.events import Effect, Save
from railgun_core.ratchet.pairwise import FIRST
from railgun_core.ratchet.sealed import Unopenable, Why
from railgun_core.rooms import removal
from railgun_core.rooms.content import Form, Kind, Letter, Letters, SentItem, are_authentic, decode_plain, open_opaque
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.keyring import bound
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.rooms.sync import inbox_of, plan_sync

LACK_AFTER_S = 0.4  # until then keys that are on their way may come by themselves


def item(room: Room, context: RoomContext, inbox: Inbox, sent: SentItem, now: Instant) -> tuple[bool, Item | None]:
    """The item, if it can be opened; and whether it is here, opened or waiting for its keys. About 0.2 ms at 4 KiB."""
    try:
        return True, _open(room, sent)
    except Unopenable as error:
        if error.why is not Why.UNKNOWN_KEYS:
            room.ring.unopened += 1
            return False, None
        context.wake("lacks", room.id, now.mono_s + LACK_AFTER_S)
        inbox.last = max(inbox.last, sent.seq)
        return room.ring.wait(sent), None


def letters(
    room: Room, context: RoomContext, lane: Lane, content: Letters, now: Instant, out: list[Effect]
) -> list[tuple[Inbox, list[Item]]]:
    """Read the letter that is for this member; the items that can be handed on because of it."""
    mine = next((entry for entry in content.entries if entry.member == room.me), None)
    author = content.author
    if mine is None or author == room.me or not are_authentic(content):
        return []
    # Who was removed may have removed somebody at the same moment: only the lineage can tell whose word counts.
    if room.ignores(author, lane) and not (content.kind is Kind.REROOT and author in room.inboxes):
        return []
    inbox = inbox_of(room, author, now)
    if inbox is None:
        return []
    if content.kind is Kind.REROOT:
        removal.received(room, context, inbox, content, mine, now, out)
        return []
    return _keys(room, context, inbox, content, mine, now, out)


def _open(room: Room, sent: SentItem) -> Item:
    fellow = room.ring.fellow(sent.sender)
    try:
        if sent.form is Form.OPAQUE:
            if not fellow.key:
                raise Unopenable(Why.UNKNOWN_KEYS)
            found, top = open_opaque(sent, fellow.key)
            room.carries_opaque = True
            index = -1
        else:
            opened = fellow.inbound.open(sent.generation, sent.payload)
            found, top = decode_plain(opened.plaintext, sent.seq, opaque=False)
            index = opened.index
    except MalformedFrame:
        raise Unopenable(Why.FORGED) from None
    fellow.opened[sent.seq] = (sent.generation, index, top)
    return found


def _keys(
    room: Room, context: RoomContext, inbox: Inbox, content: Letters, mine: Letter, now: Instant, out: list[Effect]
) -> list[tuple[Inbox, list[Item]]]:
    ring = room.ring
    fellow, number = ring.fellow(inbox.member), content.number
    fellow.key, fellow.identity = content.key, content.identity
    if fellow.inbound.holds(number) and mine.type != FIRST:
        return []
    try:
        plain = fellow.pairwise.decrypt(
            mine.type, mine.ciphertext, account=ring.account, identity=content.identity, now_s=now.unix_s
        )
        reader = bound(plain, "keys", inbox.member, room.me)
        if reader.u32() != number:
            raise Unopenable(Why.FORGED)
        fellow.inbound.add(number, reader.rest())
    except (Unopenable, MalformedFrame):
        ring.introduce = True  # somebody tries: tell it how
        context.wake("lacks", room.id, now.mono_s + LACK_AFTER_S)
        return []
    fellow.proven = True
    rows: list[SecretPut] = [ring.member_put(room.id, inbox.member), ring.group_put(room.id, inbox.member)]
    if mine.type == FIRST:
        rows.append(ring.account_put(room.id))

    def saved(then: Instant, effects: list[Effect]) -> None:
        fellow.durable = max(fellow.durable, number)
        plan_sync(room, context, then)

    out.append(Save(context.when_saved(saved), tuple(rows)))
    return [(inbox, _take_waiting(room, context, inbox, number, now))]


def _take_waiting(room: Room, context: RoomContext, inbox: Inbox, generation: int, now: Instant) -> list[Item]:
    """Open what waited for a generation; what can be handed on now."""
    ready: list[Item] = []
    for sent in room.ring.take_waiting(inbox.member, generation):
        if not inbox.holds(sent.seq):
            _, opened = item(room, context, inbox, sent, now)
            ready += [] if opened is None else inbox.receive(opened)
    if inbox.ahead:
        context.wake("gaps", room.id, now.mono_s + LACK_AFTER_S)
    return ready
