"""News about counts: joining, welcoming, confirming, asking, leaving.

Every member says now and then what it has of everybody (a Sync). From the others' syncs a sender learns what is
confirmed and what has to go out again; a receiver learns what it lacks; a newcomer learns where everybody stands.
Nothing depends on a particular sync arriving: each repeats all that matters.
"""

from __future__ import annotations

from railgun_core.base.clock import Instant
from railgun_core.base.ids import MemberId, PublicKey
from railgun_core.changes import Delivery, Item, Membership
from railgun_core.events import Effect, FetchItems, Noticed, Welcomed
from railgun_core.rooms import device, keying, saying
from railgun_core.rooms.content import Entry, Mood, Sync, encode_sync, is_authentic, signed_sync
from railgun_core.rooms.epoch_keys import member_id_of
from railgun_core.rooms.inbox import Inbox
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.mail import DAYS, MailLane, day_of
from railgun_core.rooms.outbox import RESEND_AFTER_S
from railgun_core.rooms.progress import report
from railgun_core.rooms.room import Room, RoomContext, save

SYNC_AFTER_S = 0.5  # news is collected this long; more in large rooms, so that receipts stay a small share
SYNC_EVERY_S = 3.0  # and in steady traffic syncs are this far apart
JOIN_EVERY_S = (0.4, 0.8, 1.5, 3.0, 5.0, 10.0)
RESEND_AT_ONCE = 200
MAX_MEMBERS = 1_000  # known in a room: a member that invents others fills no memory
ASK_AFTER_S = 2.0
NUDGES = 12
NUDGE_AFTER_S, NUDGE_MOST_S = 3.0, 60.0
PRESENT = (Mood.HERE, Mood.ASKING)


def plan_sync(room: Room, context: RoomContext, now: Instant, within_s: float | None = None) -> None:
    """Send a sync soon: after the collecting time, or at a random moment `within_s`.

    The first one after a quiet while comes quickly, so that a chat's ticks do; in steady traffic they keep their
    distance.
    """
    if within_s is not None:
        due_s = now.mono_s + context.rng.uniform(0.05, within_s)
    else:
        share = max(1.0, room.members / 10) * context.rng.uniform(0.8, 1.2)
        due_s = max(now.mono_s + SYNC_AFTER_S * share, room.synced_s + SYNC_EVERY_S * share)
    context.wake("sync", room.id, due_s)


def send_sync(room: Room, context: RoomContext, now: Instant, out: list[Effect], mood: Mood | None = None) -> None:
    """Tell the room where this member stands, through every lane in use."""
    if mood is None:
        mood = Mood.JOINING if room.joining else Mood.HERE
    if room.joining:
        wait_s = JOIN_EVERY_S[min(room.join_tries, len(JOIN_EVERY_S) - 1)]
        room.join_tries += 1
        context.wake("sync", room.id, now.mono_s + wait_s)
    lane = saying.speaking_lane(room)
    goodbye = None if lane is None else device.farewell(room, context, lane, out)
    if goodbye is not None:
        saying.say(room, context, goodbye, now, out)
    if lane is not None and saying.say(room, context, content_of(room, lane, mood), now, out):
        room.synced_s = now.mono_s
        room.ring.introduce = False
        room.mail.sync_due = None
        return
    for later in room.lanes.values():
        later.greeted = False  # as soon as there is a way
    if not room.joining:
        room.mail.sync_due = mood
        context.wake("mail", room.id, now.mono_s)


def ask_for_keys(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Items wait here for keys: say so, ever more rarely, and how to send them."""
    ring = room.ring
    for inbox in room.inboxes.values():
        if inbox.known:
            ring.drop_waiting(inbox.member, inbox.expected)
    if not ring.waiting_items and not ring.introduce:
        ring.asks = 0
        return
    wait_s = min(NUDGE_MOST_S, ASK_AFTER_S * 2**ring.asks)
    if now.mono_s - ring.asked_s >= wait_s:
        ring.asked_s, ring.asks = now.mono_s, ring.asks + 1
        send_sync(room, context, now, out, None if room.joining else Mood.ASKING)
    if ring.waiting_items:
        context.wake("lacks", room.id, max(ring.asked_s + wait_s, now.mono_s + ASK_AFTER_S))


def content_of(room: Room, lane: Lane, mood: Mood) -> bytes:
    """A signed sync. It carries the bundle when somebody may need it to write to this member."""
    ring = room.ring
    entries = tuple(
        Entry(i.member, i.membership, i.committed, ring.fellow(i.member).durable)
        for i in room.inboxes.values()
        if i.known
    )
    bundle = ring.account.bundle if ring.introduce or mood in (Mood.JOINING, Mood.ASKING) else None
    first, last = room.outbox.first_kept, room.outbox.last_seq
    sync = Sync(ring.me.public_key, mood, first, last, entries, secure=room.secure, bundle=bundle)
    return encode_sync(signed_sync(sync, ring.me, lane.keys.tag))


def received_sync(
    room: Room, context: RoomContext, lane: Lane, sync: Sync, now: Instant, out: list[Effect]
) -> list[tuple[Inbox, list[Item]]]:
    """Take in another member's news; the items that can be handed on because of it."""
    if (
        sync.author == room.me
        or room.ignores(sync.author, lane)
        or sync.first > sync.last + 1
        or not is_authentic(sync, lane.keys.tag)
    ):
        return []
    author = inbox_of(room, sync.author, now)
    if author is None:
        return []
    newcomer = author.heard_s == 0.0
    # Mail may be days old: it says that its author was there on its day, and not that it is there now.
    is_old = isinstance(lane, MailLane) and day_of(now.unix_s) != lane.epoch
    author.heard_s = max(author.heard_s, DAYS.start_s(lane.epoch)) if is_old else now.unix_s
    author.secure = sync.secure
    keying.heard(room, context, author, sync, now)
    author.last = max(author.last, sync.last)
    ready = [(author, _place_author(room, author, sync))]
    if newcomer or not is_old:
        _membership(room, context, author, sync, newcomer=newcomer, now=now, out=out)
    if any(entry.member == room.me and entry.have > room.outbox.last_seq for entry in sync.entries):
        device.overtaken(room, context, now, out)
    confirmed = _take_entries(room, context, sync, ready, now)
    if confirmed is not None:
        _confirmed(room, author, confirmed, now, out)
    if room.joining and sync.mood in PRESENT and _may_tell(room, sync):
        save(
            context,
            (room.become(Membership.ACTIVE), *(room.member_put(i) for i in room.inboxes.values() if i.known)),
            out,
        )
        out.append(Welcomed(room.id))
        plan_sync(room, context, now, within_s=0.3)
    if author.known and author.missing(1):
        context.wake("gaps", room.id, now.mono_s + 0.3)
    return ready


def inbox_of(room: Room, member: MemberId, now: Instant) -> Inbox | None:
    """The inbox of a member; a new one does not know its baseline yet. None when the room is full of members."""
    known = room.inboxes.get(member)
    if known is None and member not in room.former_ids and len(room.inboxes) < MAX_MEMBERS:
        known = room.inboxes[member] = Inbox(member, baseline=None, since_s=now.unix_s)
        room.ring.introduce = True
    return known


def nudge(room: Room, context: RoomContext, now: Instant, out: list[Effect]) -> None:
    """Stored items are not confirmed: say again where this stream ends and ask for an answer, ever more rarely."""
    if room.outbox.stored and room.others and room.nudges < NUDGES:
        room.nudges += 1
        near = [inbox for inbox in room.others if _is_near(context, inbox, now)]
        behind = any(inbox.confirmed < room.outbox.last_seq for inbox in near)
        lane = room.publishing_lane()
        if lane is not None and room.nudges > 1 and near and not _is_heard(room, near):
            lane.turn_away()
        send_sync(room, context, now, out, Mood.ASKING if behind and not room.joining else None)
        context.wake("nudge", room.id, now.mono_s + min(NUDGE_MOST_S, NUDGE_AFTER_S * 2**room.nudges))


def settle(room: Room, now: Instant, out: list[Effect]) -> None:
    """Let go of what everybody has who is waited for."""
    awaited = room.awaited(now.unix_s)
    if awaited:
        done = room.outbox.confirm(min(inbox.confirmed for inbox in awaited))
        report(room, done, Delivery.DELIVERED, 0, out)


def resend_fetched(room: Room, items: tuple[Item, ...], now: Instant) -> None:
    """Own items that were read back: queue them again."""
    room.outbox.fetching = False
    room.outbox.resend(items, now.mono_s)


def _may_tell(room: Room, sync: Sync) -> bool:
    """Whether a sync may tell where everybody stands: a newcomer asks that of those who have heard of it.

    Relays that have just taken a seat push what others held before it: syncs from before the joining. By those a
    newcomer would take the past for what it has missed.
    """
    return not room.joining or any(entry.member == room.me for entry in sync.entries)


def _place_author(room: Room, author: Inbox, sync: Sync) -> list[Item]:
    """Where to start with the author, and what it can no longer send."""
    ready: list[Item] = []
    if not author.known and not _may_tell(room, sync) and sync.mood is not Mood.JOINING:
        return []
    if not author.known:
        fresh_stream = sync.mood is Mood.JOINING or not room.joining
        ready += author.begin(sync.first - 1 if fresh_stream else sync.last)
    return ready + author.skip_to(sync.first)


def _membership(
    room: Room, context: RoomContext, author: Inbox, sync: Sync, *, newcomer: bool, now: Instant, out: list[Effect]
) -> None:
    before = author.membership
    if sync.mood is Mood.LEAVING:
        author.membership, author.left_s = Membership.LEFT, now.unix_s
        if sync.successor and room.lineage.renewed(author.member, heir := member_id_of(PublicKey(sync.successor))):
            inbox_of(room, heir, now)  # it does not know the present root yet: it is listened to under the former one
            save(context, (room.lineage.put(room.id),), out)
    elif sync.mood is Mood.JOINING or now.unix_s - author.left_s > context.echo_s:
        author.membership = Membership.ACTIVE
    if newcomer or before is not author.membership:
        if sync.mood is Mood.JOINING:
            author.confirmed = _surely_told(room, author)
        save(context, (room.member_put(author),), out)
        code = "member-left" if author.membership is Membership.LEFT else "member-joined"
        code = "member-new-key" if sync.successor else code
        out.append(Noticed(code))
    if sync.mood is Mood.JOINING and not room.joining:
        plan_sync(room, context, now, within_s=0.4)
    elif sync.mood is Mood.ASKING:
        plan_sync(room, context, now)


def _surely_told(room: Room, newcomer: Inbox) -> int:
    """The last own item that a newcomer surely does not wait for, whoever told it where this stream stands.

    Another member may have told it before it had the newest items: the newcomer expects those, so they are not
    confirmed by it. Nobody who could answer stands lower than it has confirmed here.
    """
    return min((inbox.confirmed for inbox in room.others if inbox is not newcomer), default=room.outbox.last_seq)


def _is_heard(room: Room, near: list[Inbox]) -> bool:
    """Whether anybody near has confirmed something of what is stored and not confirmed by all."""
    oldest = min(room.outbox.stored)
    return any(inbox.confirmed >= oldest for inbox in near)


def _is_near(context: RoomContext, member: Inbox, now: Instant) -> bool:
    """Whether a member was heard of lately: everybody says something in every epoch."""
    return now.unix_s - member.heard_s <= context.echo_s


def _take_entries(
    room: Room, context: RoomContext, sync: Sync, ready: list[tuple[Inbox, list[Item]]], now: Instant
) -> int | None:
    """Learn of members through others; what the author has of our own stream."""
    confirmed = None
    for entry in sync.entries:
        if entry.member == room.me:
            confirmed = entry.have
            continue
        inbox = inbox_of(room, entry.member, now)
        if inbox is None:
            continue
        if not inbox.known and sync.mood in PRESENT and _may_tell(room, sync):
            inbox.membership = entry.membership
            ready.append((inbox, inbox.begin(entry.have if room.joining else 0)))
        elif entry.membership is Membership.LEFT and not _is_near(context, inbox, now):
            inbox.membership = Membership.LEFT  # it said so while this member was away
        inbox.last = max(inbox.last, entry.have)
    return confirmed


def _confirmed(room: Room, author: Inbox, have: int, now: Instant, out: list[Effect]) -> None:
    have = min(have, room.outbox.last_seq)
    author.confirmed = max(author.confirmed, have)
    settle(room, now, out)
    if have != author.claim:
        author.claim, author.claim_s = have, now.mono_s
    # An old sync, pulled from a relay, may say less than is true. Who says it for a while means it; and who was not
    # given the keys of what it lacks cannot help itself.
    closed_below = keying.closed_below(room, author)
    means_it = now.mono_s - author.claim_s >= RESEND_AFTER_S or have + 1 < closed_below
    since = have if means_it else author.confirmed
    if author.membership is Membership.ACTIVE and not room.outbox.fetching:
        lost = room.outbox.lost_to(since, room.lanes, now.mono_s, RESEND_AT_ONCE, closed_below=closed_below)
        if lost:
            room.outbox.fetching = True
            out.append(FetchItems(room.id, lost[0], lost[-1]))
