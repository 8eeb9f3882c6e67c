"""Fetching mail: day after day, the oldest first, from every mailbox of the day; and staying for what comes.

What a mailbox brings goes the way of every envelope, so it may bring it twice, late, in any order, or lie: envelopes
that no member sealed are counted and end it, and so do pages that do not get on and more bytes than a tag may hold.
A day is done when all its mailboxes were read, or enough of them and the rest takes too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from railgun_core.base.clock import Instant
from railgun_core.base.errors import MalformedFrame
from railgun_core.base.ids import PeerId, peer_id_of
from railgun_core.events import Effect, Noticed, Send
from railgun_core.rooms import receive
from railgun_core.rooms.lane import Lane
from railgun_core.rooms.mail import KEEP_FORMERS, day_of, mail_lane
from railgun_core.rooms.mail_links import Box, MailLinks
from railgun_core.rooms.receive import Taken
from railgun_core.rooms.room import Room, RoomContext
from railgun_core.wire.kinds import Refusal
from railgun_core.wire.mail import Collect, Collected, Evicted, collect_message

FOLLOW_AFTER_S = 1.0  # no relay for so long: what is deposited now is wanted now
STAY_S = 30.0  # and for so long after one is there again
ENOUGH_AFTER_S = 2.0  # a day's slower mailboxes are waited for so long when enough have answered
DAY_WITHIN_S = 60.0
FOLLOW_AGAIN_S = 60.0  # whatever a mailbox without a place says
AGAIN_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0)
POLL_S = 900.0  # what somebody left who saw no committee, and whom nobody has heard of since
MAX_BOX_BYTES = 64 * 1024 * 1024  # of one mailbox and day at a time: a tag may hold 50 MB
MAX_GARBAGE = 64


@dataclass(slots=True, eq=False)
class Round:
    """One walk through the days that may hold something. `unix_s`: when it began."""

    lanes: deque[Lane]
    unix_s: float
    lane: Lane | None = None
    begun_s: float = 0.0
    is_complete: bool = True

    def __len__(self) -> int:
        return len(self.lanes) + (self.lane is not None)


def begin(room: Room, context: RoomContext, now: Instant) -> Round:
    """A walk from the first day that may not have been collected to today, under the present root and newer ones."""
    days = range(room.mail.first_day(now.unix_s), day_of(now.unix_s) + 1)
    lanes: deque[Lane] = deque()
    for day in days:
        for former in room.lineage.formers[-KEEP_FORMERS:]:
            lanes.append(mail_lane(former.mail, former.root, day, context.rng))
        lanes.append(mail_lane(room.mail.lanes, room.put.root, day, context.rng))
    return Round(lanes, now.unix_s)


def walk(round_: Round, room: Room, links: MailLinks, now: Instant, out: list[Effect]) -> bool:
    """Take the walk as far as it goes now; whether it has ended."""
    while True:
        if round_.lane is None:
            if not round_.lanes:
                return True
            round_.lane, round_.begun_s = round_.lanes.popleft(), now.mono_s
            for box in links.of_room(room.id):
                if box.lane is round_.lane and not box.follows:
                    box.complete, box.taken_bytes = False, 0
        done = _day_done(round_, round_.lane, room, links, now, out)
        if done is None:
            return False
        round_.is_complete = round_.is_complete and done
        round_.lane = None


def follow(room: Room, lane: Lane, links: MailLinks, now: Instant, out: list[Effect]) -> None:
    """Be told of what is deposited from now on."""
    for mailbox in links.targets(room, lane, now).mailboxes:
        box = links.box(room, lane, mailbox, now, out)
        if box is not None and not box.follow and now.mono_s >= box.not_before_s:
            box.follow = True
            box.wants = True
            ask(room, box, now, out)


def ask(room: Room, box: Box, now: Instant, out: list[Effect]) -> None:
    """Send COLLECT if it is due and can be."""
    if not box.wants or box.asks or box.link is None or now.mono_s < box.not_before_s:
        return
    box.wants, box.asks, box.used_s, box.stuck = False, True, now.mono_s, False
    box.follows = box.follow
    day, keys = box.lane.epoch, box.lane.keys
    signature = keys.sign.sign("collect", collect_message(box.binding, day))
    position = room.mail.position(box.lane, box.peer_id)
    out.append(Send(box.link, (Collect(keys.tag, day, position, box.follow, signature).encode(),)))


def envelopes(
    room: Room, context: RoomContext, box: Box, frames: Iterable[bytes], now: Instant, out: list[Effect]
) -> None:
    """Take in what a mailbox sent. MalformedFrame when it is not to be trusted."""
    kept = tuple(frames)
    box.taken_bytes += sum(map(len, kept))
    box.brought = True
    said = receive.kept(room, context, box.lane, kept, now, out)
    box.garbage += sum(one is Taken.GARBAGE for one in said)
    box.stuck = box.stuck or Taken.DROPPED in said
    if box.garbage > MAX_GARBAGE or box.taken_bytes > MAX_BOX_BYTES:
        raise MalformedFrame("mail")


def collected(room: Room, box: Box, frame: Collected, now: Instant, out: list[Effect]) -> bool:
    """A mailbox says how far that was; whether it is to be left for now. MalformedFrame when it does not get on."""
    if frame.handle != box.lane.handle or not (box.asks or box.follows):
        raise MalformedFrame("collected")
    if box.stuck:  # the position stays: what had no room is read again
        return True
    if frame.more and frame.position <= box.reached:
        raise MalformedFrame("collected")
    box.garbage += frame.more and not box.brought  # each page costs a signature here, an empty one nothing there
    if box.garbage > MAX_GARBAGE:
        raise MalformedFrame("collected")
    box.reached, box.brought = frame.position, False
    room.mail.read(box.lane, box.peer_id, frame.position)
    box.asks = False
    if frame.more:
        box.wants = True
        ask(room, box, now, out)
    else:
        box.complete = True
    return False


def refused(box: Box, code: Refusal, retry_s: float, now: Instant) -> bool:
    """A mailbox will not: whether it is to be left for a while; else it is asked again."""
    if code is Refusal.FULL and box.follows and not box.asks:  # all was read; only there is no place to hear of more
        box.follow = box.follows = False
        box.used_s, box.not_before_s = now.mono_s, now.mono_s + min(retry_s, FOLLOW_AGAIN_S)
        return False
    if code in (Refusal.RATE, Refusal.FULL) and retry_s <= ENOUGH_AFTER_S:
        box.asks, box.wants, box.not_before_s = False, True, now.mono_s + max(0.1, retry_s)
        return False
    return True


def evicted(box: Box, frame: Evicted, links: MailLinks, room: Room, now: Instant, out: list[Effect]) -> None:
    """A mailbox's signed word that it could not keep everything: it is said once, and others may have it.

    MalformedFrame when it is forged.
    """
    lane = box.lane
    mine = frame.tag == lane.keys.tag and frame.day == lane.epoch
    word = (lane.keys.tag, peer_id_of(frame.key))
    if not mine or word in room.mail.evictions or peer_id_of(frame.key) not in links.everyone(lane):
        return
    if not frame.is_signed():
        raise MalformedFrame("evicted")
    room.mail.evictions.add(word)
    out.append(Noticed("mail-evicted", str(frame.count)))


# ---------------------------------------------------------------- inside


def _day_done(round_: Round, lane: Lane, room: Room, links: MailLinks, now: Instant, out: list[Effect]) -> bool | None:
    """Whether a day was read completely; None while it is not decided.

    Standbys are read as well: whoever could not reach the seats has left its mail with them.
    """
    targets = links.targets(room, lane, now)
    if not targets.mailboxes:
        return not links.everyone(lane)
    usable = links.usable(room, lane, now)
    done: set[PeerId] = set()
    for mailbox in usable:
        box = links.box(room, lane, mailbox, now, out)
        if box is None:
            continue
        if box.complete:
            done.add(mailbox)
        elif not box.asks:
            box.wants = True
            ask(room, box, now, out)
    waited_s = now.mono_s - round_.begun_s
    enough = len(done.intersection(targets.mailboxes)) >= targets.enough
    if len(done) == len(usable) or (enough and waited_s >= ENOUGH_AFTER_S):
        return enough
    return False if waited_s >= DAY_WITHIN_S else None
