"""Removing a member: a new root for those who stay, each told by a pairwise letter under the former one.

Nothing that is said under the new root reaches who was removed: it knows neither the tags nor the seals, and every
sender key begins anew without it. What others say under the former root until they have been told, it still reads.
Whoever is awaited and heard under the former root is told again; that ends when it is heard under the new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame, UsageError
from railgun_core.base.ids import MemberId
from railgun_core.changes import Change, Membership, SecretPut
from railgun_core.events import Effect, Noticed, Save
from railgun_core.ratchet.sealed import Unopenable
from railgun_core.rooms import saying, sync
from railgun_core.rooms.content import Kind, Letter, Letters, Mood, encode_letters, signed_letters, split_letters
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.keyring import bound, reroot_plaintext
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.lineage import MAX_FORMERS, MAX_LETTERS, Former, root_hash
from railgun_core.rooms.room import AWAIT_S, Room, RoomContext

TELL_AGAIN_S = 3.0
NORMAL = 1


def remove(room: Room, context: RoomContext, member: MemberId, now: Instant, out: list[Effect]) -> None:
    """Leave a member out from now on. UsageError when it is not in the room, or another removal is on its way."""
    inbox = room.inboxes.get(member)
    if inbox is None or inbox.membership is not Membership.ACTIVE:
        raise UsageError("that member is not in the room", code="no-such-member")
    if room.moving or room.joining:
        raise UsageError("the room is changing just now: try again in a moment", code="room-is-changing")
    root = context.rng.randbytes(32)
    stayers = [other.member for other in room.others if other.member != member]
    former = Former(room.put.root, now.unix_s + AWAIT_S, set(stayers), successor=root, gone=member)
    parent = room.lineage.chain[-1]
    room.lineage.mine[root_hash(root)] = member
    sync.send_sync(room, context, now, out, Mood.ASKING)  # who has no session yet shows how to begin one
    contents, rows = _write(room, former, stayers, parent, again=False)
    notice = _letters(room, [Letter(member, NORMAL, b"")])
    _move(room, context, former, parent, member, rows, [*notice, *contents], now, out)
    out.append(Noticed("member-removed"))


def received(
    room: Room, context: RoomContext, inbox: Inbox, content: Letters, mine: Letter, now: Instant, out: list[Effect]
) -> None:
    """A letter with a new root, or the word that this member was left out."""
    ring, lineage = room.ring, room.lineage
    if not mine.ciphertext:
        if inbox.member not in lineage.removed and not room.told_removed:
            room.told_removed = True
            out.append(Noticed("you-were-removed"))
        return
    fellow = ring.fellow(inbox.member)
    try:
        plain = fellow.pairwise.decrypt(
            mine.type, mine.ciphertext, account=ring.account, identity=content.identity, now_s=now.unix_s
        )
        reader = bound(plain, "reroot", inbox.member, room.me)
        parent, root, gone = reader.take(32), reader.take(32), MemberId(reader.take(8))
        reader.end()
    except (Unopenable, MalformedFrame):
        ring.introduce = True
        context.wake("lacks", room.id, now.mono_s)
        return
    fellow.key, fellow.identity, fellow.proven = content.key, content.identity, True
    rows: list[SecretPut] = [ring.member_put(room.id, inbox.member), ring.account_put(room.id)]
    accepted = lineage.takes(parent, root_hash(root)) and lineage.may_remove(inbox.member, parent)
    if room.moving or not accepted or gone in (room.me, inbox.member):
        out.append(Save(context.when_saved(lambda then, effects: None), tuple(rows)))
        return
    former = Former(room.put.root, now.unix_s + context.echo_s, successor=root, gone=gone)
    _move(room, context, former, parent, gone, rows, [], now, out)
    out.append(Noticed("member-removed"))


def heard(room: Room, context: RoomContext, lane: Lane, author: Inbox, now: Instant, out: list[Effect]) -> None:
    """A member was heard on a lane: under the present root it has come over, under a former one it is told again."""
    if room.moving:
        return
    former = room.lineage.former_of(lane)
    if former is None:
        for one in room.lineage.formers:
            one.awaited.discard(author.member)
        return
    tries, told_s = former.told.get(author.member, (0, float("-inf")))
    if author.member not in former.awaited or now.mono_s - told_s < TELL_AGAIN_S * 2 ** min(tries, 5):
        return
    former.told[author.member] = (tries + 1, now.mono_s)
    contents, rows = _write(room, former, [author.member], root_hash(former.root), again=tries > 1)

    def saved(then: Instant, effects: list[Effect]) -> None:
        for content in contents:
            _say_under(room, context, former, content, then, effects)

    if contents:
        out.append(Save(context.when_saved(saved), (*rows, room.lineage.put(room.id))))


def greet(room: Room, context: RoomContext, former: Former, lane: Lane, now: Instant, out: list[Effect]) -> None:
    """A lane of a former root has a way in its epoch: say there what awaited members have not been heard to know."""
    for readers, content in former.letters:
        if not readers.isdisjoint(former.awaited):
            saying.say_in(room, context, lane, content, now, out)


def tidy(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> list[Former]:
    """Make the removals again that another one undid, and forget former roots that nobody needs; these come back."""
    while room.to_remove and not room.moving:
        member = room.to_remove.pop()
        if member in room.inboxes and room.inboxes[member].membership is Membership.ACTIVE:
            remove(room, context, member, now, out)
    lineage = room.lineage
    over: list[Former] = []
    for former in list(lineage.formers):
        if former.letters and not former.awaited:
            former.letters.clear()
            former.until_s = min(former.until_s, now.unix_s + context.echo_s)
        if now.unix_s >= former.until_s:
            lineage.formers.remove(former)
            over.append(former)
    if over:
        out.append(Save(context.when_saved(lambda then, effects: None), (lineage.put(room.id),)))
    return over


# ---------------------------------------------------------------- inside


def _write(
    room: Room, former: Former, readers: Iterable[MemberId], parent: bytes, *, again: bool
) -> tuple[list[bytes], list[SecretPut]]:
    """Letters with the new root, kept for those who are away, and the rows to save before they leave."""
    ring, letters = room.ring, []
    rows: list[SecretPut] = []
    for reader in readers:
        plaintext = reroot_plaintext(ring.my_id, reader, parent, former.successor, former.gone)
        written = ring.write_to(reader, plaintext, again=again)
        if written is not None:
            letters.append(Letter(reader, *written))
            rows.append(ring.member_put(room.id, reader))
    contents = []
    for run in split_letters(letters):
        (content,) = _letters(room, list(run))
        former.letters = [*former.letters, (frozenset(letter.member for letter in run), content)][-MAX_LETTERS:]
        contents.append(content)
    return contents, rows


def _letters(room: Room, letters: list[Letter]) -> list[bytes]:
    ring = room.ring
    key, identity = ring.me.public_key, ring.account.identity
    return [encode_letters(signed_letters(Letters(Kind.REROOT, key, identity, 0, tuple(letters)), ring.me))]


def _move(
    room: Room,
    context: RoomContext,
    former: Former,
    parent: bytes,
    gone: MemberId,
    rows: list[SecretPut],
    contents: list[bytes],
    now: Instant,
    out: list[Effect],
) -> None:
    """Go over to a new root: saved first, then said, then all that is on its way is placed again."""
    lineage = room.lineage
    room.moving = True
    back = lineage.follow(parent, root_hash(former.successor), gone)
    again = lineage.again(back)
    lineage.formers = [*lineage.formers, former][-MAX_FORMERS:]
    room.put = replace(room.put, root=former.successor)
    changes: list[Change] = [room.put, lineage.put(room.id), *rows]
    for member, membership in ((gone, Membership.LEFT), *((member, Membership.ACTIVE) for member in back)):
        inbox = room.inboxes.get(member)
        if inbox is not None:
            inbox.membership, inbox.left_s = membership, now.unix_s if membership is Membership.LEFT else 0.0
            changes.append(room.member_put(inbox))

    def saved(then: Instant, effects: list[Effect]) -> None:
        room.moving = False
        former.lanes, room.lanes = room.lanes, {}
        former.mail, room.mail.lanes = room.mail.lanes, {}
        room.mail.collect_soon()  # what others sent under the new root while this member was away
        context.wake("mail", room.id, then.mono_s)
        for content in contents:
            _say_under(room, context, former, content, then, effects)
        room.outbox.requeue(list(room.outbox.placed))
        context.wake("lanes", room.id, then.mono_s)
        room.to_remove += again

    out.append(Save(context.when_saved(saved), tuple(changes)))


def _say_under(
    room: Room, context: RoomContext, former: Former, content: bytes, now: Instant, out: list[Effect]
) -> None:
    for lane in former.lanes.values():
        saying.say_in(room, context, lane, content, now, out)
