"""Giving out the own sender keys: when a generation begins, who gets it, and again whoever lacks it.

A generation begins before the next item after members came, left or were removed, after 100 items, a day, a restart,
or when somebody lacks it who can no longer be given it. Its start key goes to the members of that moment, each by a
pairwise message that is saved before it leaves; it is forgotten when all who were heard of lately have confirmed it.
Members that it was not given to get items that they lack once more, under a later generation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MemberId
from railgun_core.changes import Item, SecretPut
from railgun_core.events import Effect, Save
from railgun_core.ratchet.group import OutboundGroup
from railgun_core.rooms.content import (
    Form,
    Kind,
    Letter,
    Letters,
    SentItem,
    Sync,
    encode_item,
    encode_letters,
    encode_plain,
    opaque_item,
    signed_letters,
    split_letters,
)
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.keyring import Generation, Sealed, keys_plaintext
from railgun_core.rooms.room import Room, RoomContext

RENEW_AFTER_ITEMS = 100
RENEW_AFTER_S = 86_400.0
TELL_AGAIN_S, TELL_MOST_S = 1.5, 60.0
NEW_SESSION_FROM_TRY = 2  # the first retry assumes a lost letter, the next ones a lost session
MAX_PAST = 8
AWAY_S = 1_800  # no look for so long: this device slept
MAX_LETTERS = 256  # contents of a generation that are kept for mail

Pump = Callable[[Room, RoomContext, Instant, list[Effect]], None]
Say = Callable[[Room, RoomContext, bytes, Instant, list[Effect]], bool]


def ready(room: Room, context: RoomContext, now: Instant, out: list[Effect], *, say: Say, then: Pump) -> bool:
    """Whether the next item may be encrypted now. If not, a new generation begins, and `then` is called after it."""
    ring = room.ring
    if ring.own is not None and not _is_due(room, ring.own, now):
        return True
    if not ring.beginning:
        _begin(room, context, now, out, say, then)
    return False


def sealed(room: Room, item: Item) -> Sealed:
    """An item, encrypted once a generation: hedges and copies for two epochs are the same bytes."""
    ring, own = room.ring, room.ring.own
    assert own is not None  # `ready` said so
    found = ring.sealed.get(item.seq)
    if found is not None and found.generation == own.number:
        return found
    top = item.seq > ring.top_seq
    ring.top_seq = max(ring.top_seq, item.seq)
    if item.opaque:
        sent = opaque_item(ring.me, item, own.number, top=top)
    else:
        payload = own.group.encrypt(encode_plain(item, top=top))
        sent = SentItem(ring.my_id, item.seq, own.number, Form.GROUP, payload)
    if len(ring.sealed) > 2 * (len(room.outbox.placed) + len(room.outbox.queued)) + 16:
        kept = room.outbox.placed.keys() | room.outbox.queued
        ring.sealed = {seq: one for seq, one in ring.sealed.items() if seq in kept}
    found = ring.sealed[item.seq] = Sealed(own.number, encode_item(sent))
    return found


def heard(room: Room, context: RoomContext, inbox: Inbox, sync: Sync, now: Instant) -> None:
    """Learn from an authentic sync which of our keys its author has, and how to write to it."""
    ring = room.ring
    fellow = ring.fellow(inbox.member)
    fellow.key = sync.key
    if sync.bundle is not None:
        fellow.bundle, fellow.identity = sync.bundle, sync.bundle.identity
    fellow.claimed = next((e.generation for e in sync.entries if e.member == ring.my_id), 0)
    generations = [*ring.past, *(() if ring.own is None else (ring.own,))]
    lacks = False
    own = ring.own
    for generation in generations:
        if inbox.member not in generation.audience:
            continue
        if fellow.claimed >= generation.number:
            generation.confirmed.add(inbox.member)
        elif generation.group.start_key is not None:
            lacks = True
        elif own is not None and generation is own:
            own.stale = True
    if not lacks:
        fellow.tries = 0
    elif now.mono_s - fellow.told_s >= min(TELL_MOST_S, TELL_AGAIN_S * 2**fellow.tries):
        if inbox.member not in ring.lacking:
            ring.lacking.append(inbox.member)
        context.wake("keys", room.id, now.mono_s + 0.1)
    _forget_starts(room, context, now)


def closed_below(room: Room, inbox: Inbox) -> int:
    """The first own item whose keys a member was given, or will be: it cannot open what lies before."""
    if room.ring.own is None:  # nothing was encrypted since the start: it may have the keys of before
        return 0
    covered_from = room.ring.fellow(inbox.member).covered_from
    return room.outbox.last_seq + 1 if covered_from is None else covered_from


def hand_out(room: Room, context: RoomContext, now: Instant, out: list[Effect], *, say: Say) -> None:
    """Give the keys of live generations to those who said that they lack them."""
    ring = room.ring
    members, ring.lacking = ring.lacking, []
    contents: list[bytes] = []
    rows: dict[str, SecretPut] = {}
    again = {m for m in members if ring.fellow(m).tries >= NEW_SESSION_FROM_TRY}
    for generation in (*ring.past, *(() if ring.own is None else (ring.own,))):
        lacking = [m for m in members if m in generation.audience and ring.fellow(m).claimed < generation.number]
        written = _write(room, generation, lacking, rows, now, again)
        generation.letters = [*generation.letters, *written][-MAX_LETTERS:]
        contents += written
        again = set()
    for member in members:
        ring.fellow(member).tries += 1
    if contents:
        _save_and_say(room, context, contents, rows.values(), out, say)


def tidy(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """At each turn of an epoch: renew what others begin sessions with, and forget what is no longer needed."""
    ring = room.ring
    _forget_starts(room, context, now)
    if now.unix_s - ring.tidied_s >= max(AWAY_S, 3 * context.clock.epoch_s):
        ring.account.came_back(now.unix_s)
    ring.tidied_s = now.unix_s
    if ring.account.renew(now.unix_s):
        ring.introduce = True
        out.append(Save(context.when_saved(lambda then, effects: None), (ring.account_put(room.id),)))


def committed(room: Room, inbox: Inbox, items: Iterable[Item]) -> tuple[SecretPut, ...]:
    """Items are about to be saved: what opened them is thrown away in the same transaction.

    An item that was its sender's top one closes everything before it: whatever was encrypted earlier has a lower
    sequence, and is here already, because items are committed in order.
    """
    fellow = room.ring.fellow(inbox.member)
    places = [fellow.opened.pop(item.seq, None) for item in items]
    tops = [(generation, index) for place in places if place is not None for generation, index, top in (place,) if top]
    if not tops:
        return ()
    generation, index = max(tops)
    fellow.inbound.forward(generation, index + 1)
    fellow.inbound.drop_through(generation - 1)
    return (room.ring.group_put(room.id, inbox.member),)


# ---------------------------------------------------------------- inside


def _is_due(room: Room, own: Generation, now: Instant) -> bool:
    if own.stale or own.group.used >= RENEW_AFTER_ITEMS or now.mono_s - own.since_s >= RENEW_AFTER_S:
        return True
    others = room.others
    return len(others) != len(own.audience) or any(inbox.member not in own.audience for inbox in others)


def _begin(room: Room, context: RoomContext, now: Instant, out: list[Effect], say: Say, then: Pump) -> None:
    ring = room.ring
    ring.beginning = True
    members = [inbox.member for inbox in room.others]
    number = ring.next_generation(now.unix_s)
    fresh = Generation(number, OutboundGroup(), frozenset(members), now.mono_s)
    rows: dict[str, SecretPut] = {"account": ring.account_put(room.id)}
    contents = _write(room, fresh, members, rows, now, set())
    fresh.letters = contents[-MAX_LETTERS:]

    def saved(later: Instant, effects: list[Effect]) -> None:
        ring.beginning = False
        if room.ring is not ring:  # another member by now
            return
        _install(room, context, fresh, later)
        for content in contents:
            _say(room, context, content, later, effects, say)
        then(room, context, later, effects)

    out.append(Save(context.when_saved(saved), tuple(rows.values())))


def _install(room: Room, context: RoomContext, fresh: Generation, now: Instant) -> None:
    ring = room.ring
    if ring.own is not None:
        ring.own.until_s = now.mono_s + context.echo_s
        ring.past = [*ring.past, ring.own][-MAX_PAST:]
    ring.own = fresh
    ring.sealed.clear()
    for member, fellow in ring.fellows.items():
        if member not in fresh.audience:
            fellow.covered_from = None
        elif fellow.covered_from is None:
            fellow.covered_from = ring.top_seq + 1
    _forget_starts(room, context, now)


def _write(
    room: Room,
    generation: Generation,
    members: Iterable[MemberId],
    rows: dict[str, SecretPut],
    now: Instant,
    again: set[MemberId],
) -> list[bytes]:
    """Letters with a generation's start key, and the rows to save before they leave."""
    ring, start_key = room.ring, generation.group.start_key
    letters: list[Letter] = []
    for member in members if start_key is not None else ():
        assert start_key is not None
        plaintext = keys_plaintext(ring.my_id, member, generation.number, start_key)
        written = ring.write_to(member, plaintext, again=member in again)
        if written is not None:
            ring.fellow(member).told_s = now.mono_s
            letters.append(Letter(member, *written))
            rows[member.hex()] = ring.member_put(room.id, member)
    key, identity = ring.me.public_key, ring.account.identity
    return [
        encode_letters(signed_letters(Letters(Kind.KEYS, key, identity, generation.number, run), ring.me))
        for run in split_letters(letters)
    ]


def _save_and_say(
    room: Room, context: RoomContext, contents: list[bytes], rows: Iterable[SecretPut], out: list[Effect], say: Say
) -> None:
    def saved(later: Instant, effects: list[Effect]) -> None:
        for content in contents:
            _say(room, context, content, later, effects, say)

    out.append(Save(context.when_saved(saved), tuple(rows)))


def _say(room: Room, context: RoomContext, content: bytes, now: Instant, out: list[Effect], say: Say) -> None:
    """Send letters to those who listen; by mail when no relay is there to bring them."""
    if not say(room, context, content, now, out):
        room.mail.letters.append(content)
        context.wake("mail", room.id, now.mono_s)


def _forget_starts(room: Room, context: RoomContext, now: Instant) -> None:
    """Drop start keys that everybody has who was heard of lately, or that nobody can use any more."""
    ring = room.ring
    ring.past = [g for g in ring.past if now.mono_s < g.until_s and not _all_have(room, context, g, now)]
    if ring.own is not None and ring.own.audience and _all_have(room, context, ring.own, now):
        ring.own.group.forget_start()


def _all_have(room: Room, context: RoomContext, generation: Generation, now: Instant) -> bool:
    if generation.confirmed >= generation.audience:
        return True
    waited = (room.inboxes[m] for m in generation.audience - generation.confirmed if m in room.inboxes)
    return bool(generation.confirmed) and all(now.unix_s - inbox.heard_s > context.echo_s for inbox in waited)
