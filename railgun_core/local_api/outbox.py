"""What of a room's own stream has not come all the way, and why: answered from the room's state, in codes.

Honest about places: what a majority of a committee holds is safe until that committee ends; after that only mailboxes,
the central server or this device have it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from railgun_core.base.clock import Instant
from railgun_core.changes import Item
from railgun_core.committee.epoch import EpochClock
from railgun_core.local_api import messages as m
from railgun_core.rooms.mail import Keeper
from railgun_core.rooms.naming import member_text
from railgun_core.rooms.room import Room
from railgun_core.wire.kinds import Refusal

_NO_ROOM: dict[Refusal | None, str] = {Refusal.QUOTA: "mail-quota", Refusal.FULL: "mail-full"}
_PLACES = {Keeper.MAILBOX: "mailbox", Keeper.CENTRAL: "central"}


def outbox_of(room: Room, clock: EpochClock, now: Instant, *, disk_refuses: bool) -> m.Outbox:
    """The answer of `room.outbox`. Costs a walk over what is not delivered yet."""
    return m.Outbox(
        room=room.id.hex(),
        unsent=tuple(_unsent(room, disk_refuses=disk_refuses)),
        stored=tuple(_stored(room, clock, now)),
        members=tuple(_members(room, now)),
        last_seq=room.outbox.last_seq,
    )


def _unsent(room: Room, *, disk_refuses: bool) -> Iterable[m.OutboxGroup]:
    outbox = room.outbox
    if outbox.unsaved:
        yield m.OutboxGroup("disk" if disk_refuses else "saving", outbox.unsaved)
    if restoring := sum(span.last - span.first + 1 for span in outbox.backlog):
        yield m.OutboxGroup("restoring", restoring)
    if held := [item for item in outbox.queue if item.seq in outbox.held_s]:
        yield _group("server-first", held)
    if queued := [item for item in outbox.queue if item.seq not in outbox.held_s]:
        yield _group("turn" if room.has_way else _NO_ROOM.get(room.mail.lack, "no-relay"), queued)
    accepted = [placement.item for placement in outbox.placed.values() if placement.accepted]
    silent = [placement.item for placement in outbox.placed.values() if not placement.accepted]
    if silent:
        yield _group("relay-silent", silent)
    if accepted:
        yield _group("no-majority", accepted)


def _group(why: str, items: Iterable[Item]) -> m.OutboxGroup:
    found = list(items)
    return m.OutboxGroup(why, len(found), min((item.at_s for item in found if item.at_s), default=None))


def _stored(room: Room, clock: EpochClock, now: Instant) -> Iterable[m.OutboxGroup]:
    live = set(clock.live_epochs(now.unix_s))
    places: Counter[str] = Counter()
    for seq, (epoch, _) in room.outbox.stored.items():
        kept = room.mail.own.get(seq)
        at_committee = "committee" if epoch in live else "committee-gone"
        places[_PLACES[kept.keeper] if kept is not None else at_committee] += 1
    return (m.OutboxGroup(place, count) for place, count in sorted(places.items()))


def _members(room: Room, now: Instant) -> Iterable[m.OutboxMember]:
    awaited = room.awaited(now.unix_s)
    for inbox in room.others:
        is_awaited = inbox in awaited  # who is not may lack what everybody else has confirmed
        first = room.outbox.first_open if is_awaited else room.outbox.first_kept
        lacks = room.outbox.last_seq - max(inbox.confirmed, first - 1)
        if lacks > 0:
            yield m.OutboxMember(member_text(inbox.member), lacks, inbox.heard_s, is_awaited)
